"""Transformation plugins of JUNO, beside those of DIRAC.

The TransformationAgent finds this module through its option ``PluginLocation``; the plugins must also stand in
``/Operations/.../Transformations/AllowedPlugins``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from DIRAC import S_OK
from DIRAC.Core.Utilities.ReturnValues import returnValueOrRaise
from DIRAC.TransformationSystem.Agent.TransformationPlugin import TransformationPlugin as DiracPlugin

from JUNODIRAC.Core.Domain.GroupPlan import WaitingFile, planGroups
from JUNODIRAC.ProductionSystem.Client.ChainManagerClient import ChainManagerClient
from JUNODIRAC.RawDataSystem.Client.PauseBook import pauseBook
from JUNODIRAC.TransformationSystem.Client.TaskMaker import TaskMaker

DEFAULT_MAX_WAIT_SECONDS = 60
DEFAULT_SETTLE_SECONDS = 3
# of 100,000 files
_PLAN_TIMEOUT_SECONDS = 300


class TransformationPlugin(DiracPlugin):
    """DIRAC's plugins, BlockTransfer, and those of chains."""

    def run(self) -> dict[str, Any]:
        """Run the plugin; our TransformationAgent makes all of its tasks at once, see :class:`TaskMaker`."""
        result: dict[str, Any] = super().run()
        if result["OK"] and isinstance(self.util.transClient, TaskMaker):
            self.util.transClient.makeTasks(int(self.params["TransformationID"]), result["Value"])
        return result

    def _BlockTransfer(self) -> dict[str, Any]:
        """Groups of files for the one target of a block transfer.

        Like Broadcast, but files that the target has already are Processed without a copy, and a group below the group
        size goes out when no other file has come for a while, or its oldest has waited long enough: no tail is left behind.
        None goes out while the target is paused.

        Transformation parameters: TargetSE, GroupSize, MaxWaitSeconds and SettleSeconds (else those of the Type in DataType).
        """
        targetSE = self.util.seParamtoList(self.params["TargetSE"])[0]
        toCopy = self._withoutPresent(targetSE)
        pause = pauseBook.ofTransformation(targetSE, int(self.params["TransformationID"]))
        if pause:
            self.util.logInfo(f"no groups are made of {len(toCopy)} files: {pause}")
            return S_OK([])
        groups = planGroups(
            self._waitingFiles(toCopy),
            int(self.params["GroupSize"]),
            self._seconds("MaxWaitSeconds", DEFAULT_MAX_WAIT_SECONDS),
            flush=self.params["Status"] == "Flush",
            settleSeconds=self._seconds("SettleSeconds", DEFAULT_SETTLE_SECONDS),
        )
        return S_OK([(targetSE, list(lfns)) for lfns in groups])

    def _ChainProcess(self) -> dict[str, Any]:
        """Tasks of a step of a chain that runs a program."""
        return self._planned()

    def _ChainMerge(self) -> dict[str, Any]:
        """Tasks of a step of a chain that merges."""
        return self._planned()

    def _planned(self) -> dict[str, Any]:
        """The tasks that the service of chains has planned; none while it does not answer.

        Transformation parameter: FilesReadTime, when the agent read which files are free.
        """
        transformationID, readTime = int(self.params["TransformationID"]), self.params.get("FilesReadTime", "")
        files = {lfn: list(storages) for lfn, storages in self.data.items()}
        result = ChainManagerClient(timeout=_PLAN_TIMEOUT_SECONDS).planTasks(transformationID, files, readTime)
        if not result["OK"]:
            self.util.logWarn(f"no tasks are made of {len(files)} files, the plan is not known:", result["Message"])
            return S_OK([])
        self.params["AwaitedFiles"] = result["Value"]["Awaited"]
        return S_OK([(se, list(lfns)) for se, lfns in result["Value"]["Groups"]])

    def _withoutPresent(self, targetSE: str) -> set[str]:
        """The files that the target lacks; the others are set Processed.

        What the agent's replica cache says of the target is asked again: the cache is up to two days old, and a replica
        that was lost since then must be copied. The other way round, a replica that is newer than the cache, costs one
        request, which finds the file at its target and copies nothing.
        """
        toCopy = set(self.data)
        cached = [lfn for lfn, storages in self.data.items() if targetSE in storages]
        if not cached:
            return toCopy
        fresh = returnValueOrRaise(self.util.dm.getReplicas(cached, getUrl=False))["Successful"]
        present = [lfn for lfn in cached if targetSE in fresh.get(lfn, {})]
        if present:
            returnValueOrRaise(
                self.util.transClient.setFileStatusForTransformation(self.params["TransformationID"], "Processed", present)
            )
            self.util.logInfo(f"{len(present)} files are at {targetSE} already, set Processed")
        return toCopy.difference(present)

    def _waitingFiles(self, lfns: set[str]) -> list[WaitingFile]:
        """How long each file has waited: since it was attached, or since it was put back to Unused after a failure."""
        now = datetime.now(UTC)
        return [
            WaitingFile(entry["LFN"], (now - _utc(entry["LastUpdate"] or entry["InsertedTime"])).total_seconds())
            for entry in self.files
            if entry["LFN"] in lfns
        ]

    def _seconds(self, option: str, default: int) -> int:
        """The transformation's own limit if it was given one, else the present one of its Type."""
        given = self.params.get(option)
        if given is None:
            given = self.opsH.getValue(f"RawData/Types/{self.params.get('DataType', '')}/{option}", default)
        return int(given)


def _utc(time: datetime) -> datetime:
    """The TransformationDB keeps UTC_TIMESTAMP() and hands it out without a time zone."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
