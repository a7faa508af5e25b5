"""What the Transformation System, the WMS, the catalogue and storages say of inputs and jobs of chains, in few calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from DIRAC.Core.Utilities.List import breakListIntoChunks

from JUNODIRAC.Core.Domain.FileHistory import asUTC
from JUNODIRAC.Core.Logic.BlockComparison import CataloguedFile, DeclaredFile, differenceOf
from JUNODIRAC.Core.Logic.ChainRecoveryPorts import TaskFile, TaskJob
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise
from JUNODIRAC.RawDataSystem.Client.SiteCatalogue import SiteCatalogue
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import TRANSFORMATIONS

JOBS = "WorkloadManagement/JobMonitoring"
_UNSETTLED = ["Assigned", "Problematic", "MaxReset", "MissingInFC", "ProbInFC"]
_PER_CALL = 1000


class ChainRecoveryFacts:
    """Implements :class:`JUNODIRAC.Core.Logic.ChainCleaning.CleaningFacts` and the facts of retirement.

    :param transformations: DIRAC's TransformationClient
    :param jobMonitoring: DIRAC's JobMonitoringClient
    :param catalogue: DIRAC's FileCatalogClient
    :param storageOf: gives the :class:`JUNODIRAC.RawDataSystem.Client.SourceStorage.SourceStorage` of a name
    """

    def __init__(self, transformations: Any, jobMonitoring: Any, catalogue: Any, storageOf: Callable[[str], Any]) -> None:
        self._transformations, self._jobMonitoring = transformations, jobMonitoring
        self._catalogue, self._storageOf = SiteCatalogue(catalogue), storageOf

    # ---- transformations

    def unsettledFiles(self, transformationID: int, limit: int) -> list[TaskFile]:
        """See :meth:`RecoveryFacts.unsettledFiles`."""
        condition = {"TransformationID": transformationID, "Status": _UNSETTLED}
        return self._files(condition, maxfiles=limit, orderAttribute="LastUpdate")

    def filesNamed(self, transformationID: int, lfns: Collection[str]) -> list[TaskFile]:
        """See :meth:`RecoveryFacts.filesNamed`."""
        found: list[TaskFile] = []
        for chunk in breakListIntoChunks(sorted(lfns), _PER_CALL):
            found += self._files({"TransformationID": transformationID, "LFN": chunk})
        return found

    def _files(self, condition: Mapping[str, Any], **options: Any) -> list[TaskFile]:
        columns = ["LFN", "Status", "TaskID", "LastUpdate"]
        rows = valueOrRaise(
            self._transformations.getTransformationFiles(condDict=dict(condition), columns=columns, **options), TRANSFORMATIONS
        )
        return [TaskFile(row["LFN"], row["Status"], int(row["TaskID"] or 0), asUTC(row["LastUpdate"])) for row in rows]

    # ---- jobs

    def jobs(self, transformationID: int, taskIDs: Collection[int]) -> dict[int, TaskJob]:
        """See :meth:`RecoveryFacts.jobs`."""
        tasks: list[Mapping[str, Any]] = []
        for chunk in breakListIntoChunks(sorted(taskIDs), _PER_CALL):
            condition = {"TransformationID": transformationID, "TaskID": chunk}
            tasks += valueOrRaise(self._transformations.getTransformationTasks(condDict=condition), TRANSFORMATIONS)
        jobIDs = {int(task["TaskID"]): int(task["ExternalID"] or 0) for task in tasks}
        statuses = self.jobStatuses({jobID for jobID in jobIDs.values() if jobID})
        found = {}
        for task in tasks:
            taskID = int(task["TaskID"])
            told = ("", "") if statuses is None else statuses.get(jobIDs[taskID], (None, ""))
            found[taskID] = TaskJob(taskID, str(task["ExternalStatus"]), jobIDs[taskID], *told)
        return found

    def jobStatuses(self, jobIDs: Collection[int]) -> dict[int, tuple[str, str]] | None:
        """See :meth:`RecoveryFacts.jobStatuses`."""
        found: dict[int, tuple[str, str]] = {}
        try:
            for chunk in breakListIntoChunks(sorted(jobIDs), _PER_CALL):
                states = valueOrRaise(self._jobMonitoring.getJobsStates(chunk), JOBS)
                found.update({int(jobID): (each["Status"], each.get("MinorStatus", "")) for jobID, each in states.items()})
        except (TemporaryFailure, Refusal):
            return None
        return found

    # ---- catalogue and storages

    def replicas(self, lfns: Collection[str]) -> dict[str, frozenset[str]]:
        """See :meth:`CleaningFacts.replicas`."""
        return self._catalogue.replicasOf(sorted(lfns))

    def seenGood(self, declared: Mapping[str, tuple[int, str]]) -> set[str]:
        """See :meth:`RetirementFacts.seenGood`."""
        good: set[str] = set()
        bySE: dict[str, list[str]] = {}
        for lfn, names in self.replicas(list(declared)).items():
            for se in names:
                bySE.setdefault(se, []).append(lfn)
        for se, lfns in sorted(bySE.items()):
            good |= self._goodAt(se, [lfn for lfn in lfns if lfn not in good], declared)
        return good

    def _goodAt(self, se: str, lfns: Sequence[str], declared: Mapping[str, tuple[int, str]]) -> set[str]:
        good = set()
        try:
            for chunk in breakListIntoChunks(list(lfns), 100):
                stored = self._storageOf(se).look(chunk, withChecksum=chunk)
                for lfn in chunk:
                    wanted = DeclaredFile(*declared[lfn])
                    if differenceOf(wanted, CataloguedFile(*declared[lfn], True), stored.get(lfn)) is None:
                        good.add(lfn)
        except (TemporaryFailure, Refusal):
            return good
        return good
