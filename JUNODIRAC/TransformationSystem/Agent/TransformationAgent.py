"""The Transformation Agent of DIRAC, which groups files into tasks sooner, and looks only where files wait.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN TransformationAgent
  :end-before: ##END
  :dedent: 2
  :caption: TransformationAgent options
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue, returnValueOrRaise
from DIRAC.TransformationSystem.Agent.TransformationAgent import TransformationAgent as DiracTransformationAgent
from DIRAC.TransformationSystem.Client.TransformationFilesStatus import MISSING_IN_FC, PROB_IN_FC, UNUSED

from JUNODIRAC.RawDataSystem.Client.PromptPasses import PromptPasses
from JUNODIRAC.RawDataSystem.Client.PromptTransport import usePromptTransport
from JUNODIRAC.TransformationSystem.Client.ChainTurns import CHAIN_PLUGINS, ChainTurns
from JUNODIRAC.TransformationSystem.Client.FullCycles import FullCycles
from JUNODIRAC.TransformationSystem.Client.TaskMaker import TaskMaker
from JUNODIRAC.TransformationSystem.Client.WorkToDo import WorkToDo

AGENT_NAME = "Transformation/TransformationAgent"


class TransformationAgent(PromptPasses, FullCycles, DiracTransformationAgent):
    """DIRAC's agent with passes every few seconds, in which only transformations with something to do are processed.

    All tasks that a plugin plans for a transformation are made in a few calls. Transformations of chains, whose files may wait
    for long, have their turn when there may be something new to plan, see :class:`ChainTurns`.
    """

    def initialize(self) -> dict[str, Any]:
        """Initialize as DIRAC does."""
        usePromptTransport()
        self._chainTurns = ChainTurns()
        self._waitingFiles: dict[int, int] = {}
        result: dict[str, Any] = super().initialize()
        return result

    def _getClients(self) -> dict[str, Any]:
        """DIRAC's, with one that makes tasks in bulk."""
        clients: dict[str, Any] = super()._getClients()
        return clients | {"TransformationClient": TaskMaker(clients["TransformationClient"])}

    def getTransformations(self) -> dict[str, Any]:
        """The transformations to process: of those that DIRAC would take the busy ones, and now and then all of them."""
        isFull = self.isFullCycleDue()
        if isFull or self.am_getOption("Transformation", "All") != "All":
            result: dict[str, Any] = super().getTransformations()
        else:
            result = self._busyTransformations()
        if isFull and not result["OK"]:
            self.repeatFullCycle()
        return result

    @convertToReturnValue
    def _busyTransformations(self) -> list[dict[str, Any]]:
        """Those for which DIRAC's cycle would do something.

        For each active transformation it asks for its Unused and ProbInFC files (and MissingInFC for Type Removal), see
        _getTransformationFiles. If there are none it forgets the offset up to which it has read them, puts Flush back to
        Active, and is done. Before that it moves files from the transformation that one was derived from. So all that have
        files, all in Flush and all that are derived are taken; and the offsets of the others are forgotten.
        """
        condition: dict[str, Any] = {"Status": self.transformationStatus}
        if self.transformationTypes:
            condition["Type"] = self.transformationTypes
        columns = ["TransformationID", "Type", "Status", "InheritedFrom", "Plugin"]
        active = returnValueOrRaise(self.transfClient.getTransformations(condDict=dict(condition), columns=columns))
        waiting = WorkToDo(self.transfClient).withFiles([UNUSED, PROB_IN_FC, MISSING_IN_FC])
        busy = self._atTurn(
            {int(each["TransformationID"]): each["Plugin"] for each in active if _hasWork(each, waiting)}, waiting
        )
        for transformationID in set(self.lastFileOffset) - set(busy):
            del self.lastFileOffset[transformationID]
        self._logInfo(f"{len(busy)} of {len(active)} transformations have something to do", method="getTransformations")
        if not busy:
            return []
        # with the states of now: what was stopped in between must not be processed
        condition["TransformationID"] = busy
        found: list[dict[str, Any]] = returnValueOrRaise(self.transfClient.getTransformations(condition, extraParams=True))
        return found

    def _atTurn(self, plugins: dict[int, str], waiting: dict[int, dict[str, int]]) -> list[int]:
        """Those of the transformations that have something to do which are processed now."""
        self._waitingFiles = {number: sum(waiting.get(number, {}).values()) for number in plugins}
        ofChains = {number: files for number, files in self._waitingFiles.items() if plugins[number] in CHAIN_PLUGINS}
        due = self._chainTurns.due(ofChains)
        return [number for number in plugins if number not in ofChains or number in due]

    def processTransformation(self, transDict: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
        """As DIRAC does; what a chain's plugin wants to know, and what it found out of replicas, goes through ``transDict``."""
        if transDict.get("Plugin") not in CHAIN_PLUGINS:
            result: dict[str, Any] = super().processTransformation(transDict, clients)
            return result
        number, started = int(transDict["TransformationID"]), time.monotonic()
        transDict["FilesReadTime"] = datetime.now(UTC).isoformat()
        result = super().processTransformation(transDict, clients)
        awaited = transDict.pop("AwaitedFiles", None)
        if awaited is not None:
            self._chainTurns.looked(number, self._waitingFiles.get(number, 0), time.monotonic() - started)
            self._forgetReplicas(transDict["TransformationID"], awaited)
        return result

    def _forgetReplicas(self, transformationID: int, lfns: Iterable[str]) -> None:
        """Look these files up at the next turn, where DIRAC would take what it has found for two days."""
        for replicas in self.replicaCache.get(transformationID, {}).values():
            for lfn in lfns:
                replicas.pop(lfn, None)

    def _getTransformationFiles(
        self, transDict: dict[str, Any], clients: dict[str, Any], statusList: Any = None, replicateOrRemove: bool = False
    ) -> dict[str, Any]:
        """As DIRAC does, which leaves transformations of jobs alone for six hours while the number of their free files stays the
        same. But those of chains wait for copies, and for their blocks to be closed."""
        isOfChain = transDict.get("Plugin") in CHAIN_PLUGINS
        result: dict[str, Any] = super()._getTransformationFiles(transDict, clients, statusList, replicateOrRemove or isOfChain)
        return result


def _hasWork(transformation: dict[str, Any], waiting: dict[int, dict[str, int]]) -> bool:
    statuses = set(waiting.get(int(transformation["TransformationID"]), {}))
    if transformation["Type"] != "Removal":
        statuses -= {MISSING_IN_FC}
    return bool(statuses or transformation["Status"] == "Flush" or transformation["InheritedFrom"])
