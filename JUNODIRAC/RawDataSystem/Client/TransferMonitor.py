"""What DIRAC's services know of blocks, transfers and files: read only, in few calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from DIRAC.Core.Utilities.List import breakListIntoChunks
from DIRAC.DataManagementSystem.Client.FTS3Client import FTS3Client
from DIRAC.RequestManagementSystem.Client.ReqClient import ReqClient
from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.Core.Domain.BlockStatus import DirectoryUsage, LedgerBlock, TransferState, Usage, usageOf
from JUNODIRAC.Core.Domain.FileHistory import CatalogueRecord, Event, asUTC
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise

CATALOGUE = "DataManagement/FileCatalog"
TRANSFORMATIONS = "Transformation/TransformationManager"
REQUESTS = "RequestManagement/ReqManager"
FTS3 = "DataManagement/FTS3Manager"

_TOTALS = ("TotalSize", "TotalFiles")
# the requests of a file that was tried very often: the newest tell enough
_MAX_TASKS = 20
_FILES_PER_CALL = 1000


class TransferMonitor:
    """Every method raises TemporaryFailure or ServiceRefusal (see DiracAnswer) naming the service that failed."""

    def directoryUsages(self, directories: Sequence[str]) -> dict[str, DirectoryUsage]:
        """Files and replicas below each directory, one call for all; the catalogue keeps these counters up to date.

        Directories that the catalogue does not have are left out.
        """
        if not directories:
            return {}
        client = FileCatalogClient(url=CATALOGUE)
        sizes = valueOrRaise(client.getDirectorySize(list(directories), longOut=True), CATALOGUE)["Successful"]
        return {directory: _directoryUsage(size) for directory, size in sizes.items()}

    def replicaSites(self, lfns: Sequence[str]) -> dict[str, set[str]]:
        """The SEs that have a replica of each file, for those files that the catalogue has."""
        client = FileCatalogClient(url=CATALOGUE)
        found: dict[str, set[str]] = {}
        for chunk in breakListIntoChunks(list(lfns), _FILES_PER_CALL):
            answer = valueOrRaise(client.getReplicas(chunk, allStatus=True), CATALOGUE)
            found |= {lfn: set(replicas) for lfn, replicas in answer["Successful"].items()}
        return found

    def blockUsages(self, blocks: Sequence[LedgerBlock]) -> dict[str, DirectoryUsage]:
        """Files and replicas of each block, by :attr:`LedgerBlock.place`.

        By directory where the directory has files of one block alone; the files of follow-up blocks are looked at one by one.
        """
        usages = self.directoryUsages([block.directory for block in blocks if block.directory])
        late = sorted({lfn for block in blocks for lfn in (*block.ownLateFiles, *block.othersFiles)})
        replicas = self.replicaSites(late)
        for block in blocks:
            if block.othersFiles and block.place in usages:
                usages[block.place] -= usageOf(block.othersFiles, replicas)
            elif block.ownLateFiles:
                usages[block.place] = usageOf(block.ownLateFiles, replicas)
        return usages

    def transferStates(self, transformationIDs: Sequence[int]) -> dict[int, TransferState]:
        """Status of each transformation and of its files: two calls, however many transformations."""
        if not transformationIDs:
            return {}
        client = TransformationClient()
        condition = {"TransformationID": list(transformationIDs)}
        columns = ["TransformationID", "Status"]
        found = valueOrRaise(client.getTransformations(condDict=condition, columns=columns), TRANSFORMATIONS)
        counted = valueOrRaise(client.getCounters("TransformationFiles", columns, condition), TRANSFORMATIONS)
        counts: dict[int, dict[str, int]] = defaultdict(dict)
        for row, count in counted:
            counts[int(row["TransformationID"])][row["Status"]] = count
        return {
            transformationID: TransferState(row["Status"], counts[transformationID])
            for row in found
            for transformationID in [int(row["TransformationID"])]
        }

    def catalogueRecord(self, lfn: str) -> CatalogueRecord | None:
        """The catalogue's entry of a file, or None if it has none."""
        client = FileCatalogClient(url=CATALOGUE)
        metadata = valueOrRaise(client.getFileMetadata([lfn]), CATALOGUE)["Successful"].get(lfn)
        if metadata is None:
            return None
        replicas = valueOrRaise(client.getReplicas([lfn], allStatus=True), CATALOGUE)["Successful"].get(lfn, {})
        return CatalogueRecord(
            sizeBytes=int(metadata["Size"]),
            checksum=str(metadata["Checksum"]),
            status=str(metadata["Status"]),
            createdTime=asUTC(metadata.get("CreationDate")),
            replicas=replicas,
        )

    def transferFiles(self, lfn: str, transformationIDs: Sequence[int]) -> list[dict[str, Any]]:
        """The file's row in each of these transformations, with TaskID, Status, ErrorCount and times."""
        if not transformationIDs:
            return []
        condition = {"TransformationID": list(transformationIDs), "LFN": [lfn]}
        found: list[dict[str, Any]] = valueOrRaise(
            TransformationClient().getTransformationFiles(condDict=condition), TRANSFORMATIONS
        )
        return found

    def tasks(self, transferFiles: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The tasks in which the file is now, one for each transformation at most."""
        client = TransformationClient()
        found: list[dict[str, Any]] = []
        for row in transferFiles:
            if row.get("TaskID"):
                condition = {"TransformationID": row["TransformationID"], "TaskID": int(row["TaskID"])}
                found += valueOrRaise(client.getTransformationTasks(condDict=condition), TRANSFORMATIONS)
        return found[:_MAX_TASKS]

    def requestEvents(self, requestID: int, lfn: str, targetSE: str) -> tuple[list[Event], list[int]]:
        """The request of a task and its operations that hold the file.

        :returns: events, and ids of the operations whose transfers FTS3 knows
        """
        request = valueOrRaise(ReqClient().peekRequest(requestID), REQUESTS)
        if not request:
            return [Event(None, "request", f"request {requestID} to {targetSE} is no longer kept")], []
        what = f"request {requestID} to {targetSE}: {request.Status}"
        events = [Event(asUTC(request.LastUpdate), "request", what, {"RequestID": requestID, "Status": request.Status})]
        operationIDs = []
        for operation in request:
            for file in operation:
                if lfn != file.LFN:
                    continue
                error = file.Error or operation.Error or ""
                what = f"{operation.Type} to {operation.TargetSE or targetSE}: file {file.Status}, operation {operation.Status}"
                fields = {"RequestID": requestID, "OperationID": operation.OperationID, "Status": file.Status, "Error": error}
                events.append(Event(asUTC(operation.LastUpdate), "request", f"{what} {error}".strip(), fields))
                operationIDs.append(int(operation.OperationID))
        return events, operationIDs

    def ftsEvents(self, operationID: int, lfn: str) -> list[Event]:
        """What FTS3 did with the file for one operation."""
        events = []
        for operation in valueOrRaise(FTS3Client().getOperationsFromRMSOpID(operationID), FTS3):
            jobs = {job.ftsGUID: job for job in operation.ftsJobs}
            for file in operation.ftsFiles:
                if file.lfn != lfn:
                    continue
                job = jobs.get(file.ftsGUID)
                where = f" in job {file.ftsGUID} at {job.ftsServer}" if job else ""
                what = f"transfer to {file.targetSE}: {file.status}, attempt {file.attempt}{where} {file.error or ''}".strip()
                fields = {"SE": file.targetSE, "Status": file.status, "Attempt": file.attempt, "JobID": file.ftsGUID}
                events.append(Event(asUTC(file.lastUpdate), "FTS3", what, fields | {"Error": file.error or ""}))
        return events


def _directoryUsage(size: Mapping[str, Any]) -> DirectoryUsage:
    replicas = size.get("PhysicalSize", {})
    return DirectoryUsage(
        logical=Usage(int(size["LogicalFiles"]), int(size["LogicalSize"])),
        replicas={se: Usage(int(value["Files"]), int(value["Size"])) for se, value in replicas.items() if se not in _TOTALS},
    )
