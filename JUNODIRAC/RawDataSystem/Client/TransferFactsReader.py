"""What DIRAC's services and the storage know of many files' copies to one destination: read only, in few calls.

For one transformation and its destination: one call for the files in the transformation, one for their tasks, one for the
status of all their requests, one for their replicas, and two for each request (its operations, and what FTS3 did for them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.FileHistory import asUTC
from JUNODIRAC.Core.Domain.RepairTable import isWorking
from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts
from JUNODIRAC.Core.Logic.Ports import StoredFile
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import CATALOGUE, FTS3, REQUESTS, TRANSFORMATIONS

GONE = "Gone"
# a request is fetched whole, some tens of kB and as many milliseconds
MAX_REQUESTS = 100


class Storage(Protocol):
    """A storage element that tells what it has, for example :class:`SourceStorage`."""

    def look(self, lfns: Sequence[str], withChecksum: Sequence[str] = ()) -> dict[str, StoredFile]:
        """See :meth:`Ports.Storage.look`."""


@dataclass
class Clients:
    """DIRAC's clients; with whose credentials, says who makes them. Anybody's will do."""

    transformations: Any
    requests: Any
    fts3: Any
    catalogue: Any

    @classmethod
    def ofThisProcess(cls) -> Clients:
        """With the credentials of the process."""
        from DIRAC.DataManagementSystem.Client.FTS3Client import FTS3Client
        from DIRAC.RequestManagementSystem.Client.ReqClient import ReqClient
        from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        return cls(TransformationClient(), ReqClient(), FTS3Client(), FileCatalogClient(url=CATALOGUE))


@dataclass
class _Request:
    """One request: its status, and by LFN what is known of the file in it."""

    status: str
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    isWorked: bool = False
    activeTime: datetime | None = None

    def noteTransfers(self, transfers: Mapping[str, Mapping[str, Any]]) -> None:
        """What FTS3 did for some of its files."""
        self.isWorked = self.isWorked or any(isWorking(each["ftsStatus"]) for each in transfers.values())
        times = [self.activeTime, *(each["ftsTime"] for each in transfers.values())]
        self.activeTime = max((time for time in times if time), default=None)
        for lfn, values in transfers.items():
            if lfn in self.files:
                self.files[lfn] |= values

    def factsOf(self, lfn: str) -> dict[str, Any]:
        """For one file."""
        common = {"requestStatus": self.status, "isRequestWorked": self.isWorked, "requestActiveTime": self.activeTime}
        return common | self.files.get(lfn, {})


class TransferFactsReader:
    """Reads :class:`TransferFacts`.

    :param storageOf: gives the storage element of a name; needed only for :meth:`withCopies`
    :param maxRequests: requests looked into in one call of :meth:`read`
    """

    def __init__(
        self,
        clients: Clients | None = None,
        storageOf: Callable[[str], Storage] | None = None,
        maxRequests: int = MAX_REQUESTS,
    ) -> None:
        self._clients = clients or Clients.ofThisProcess()
        self._storageOf = storageOf
        self._maxRequests = max(1, maxRequests)

    def read(self, transformationID: int, se: str, lfns: Sequence[str]) -> dict[str, TransferFacts]:
        """The facts of these files, without the copy on the storage.

        Files whose requests could not be looked into, because there are more than ``maxRequests``, are left out.

        :raises TemporaryFailure: if a service does not answer
        :raises ServiceRefusal: if it refuses
        """
        wanted = list(dict.fromkeys(lfns))
        if not wanted:
            return {}
        rows = self._fileRows(transformationID, wanted)
        tasks = self._tasks(transformationID, rows.values())
        requestIDs = {taskID: _requestID(task) for taskID, task in tasks.items()}
        requests = self._requests(requestID for requestID in requestIDs.values() if requestID)
        replicas = self._replicas(se, wanted)
        found = {}
        for lfn in wanted:
            taskID = _taskID(rows.get(lfn))
            requestID = requestIDs.get(taskID) if taskID else None
            if requestID and requestID not in requests:
                continue
            hasReplica, otherSEs = replicas.get(lfn, (None, ()))
            facts = TransferFacts(lfn, se, transformationID, hasReplica=hasReplica, otherSEs=otherSEs)
            facts = _fileFacts(facts, rows.get(lfn))
            if taskID in tasks:
                facts = _taskFacts(facts, tasks[taskID])
            if requestID:
                facts = replace(facts, requestID=requestID, **requests[requestID].factsOf(lfn))
            found[lfn] = facts
        return found

    def withCopies(self, facts: Iterable[TransferFacts], declared: Mapping[str, tuple[int, str]]) -> dict[str, TransferFacts]:
        """The same facts with what the storage of the destination says of each file.

        :param facts: of one destination
        :param declared: size in bytes and adler32 of each LFN, by the ledger
        :raises TemporaryFailure: if the storage answers for none of them
        :raises ServiceRefusal: if it cannot tell checksums at all
        """
        byName = {each.lfn: each for each in facts}
        if not byName:
            return {}
        (se,) = {each.se for each in byName.values()}
        found = self.copiesAt(se, {lfn: declared[lfn] for lfn in byName if lfn in declared})
        for lfn, (state, detail) in found.items():
            byName[lfn] = replace(byName[lfn], copy=state, copyDetail=detail)
        return byName

    def copiesAt(self, se: str, declared: Mapping[str, tuple[int, str]]) -> dict[str, tuple[CopyState, str]]:
        """What a storage says of files, and that in words; raises as :meth:`withCopies`.

        :param declared: size in bytes and adler32 of each LFN
        """
        if self._storageOf is None:
            raise ValueError("this reader was made without storages")
        if not declared:
            return {}
        # a checksum makes the storage read the whole file: not where the size alone is wrong
        storage = self._storageOf(se)
        stored = storage.look(list(declared))
        whole = [lfn for lfn, each in stored.items() if each.sizeBytes == declared[lfn][0]]
        stored |= storage.look(whole, whole) if whole else {}
        return {lfn: judgeCopy(each, *declared[lfn]) for lfn, each in stored.items()}

    # ---- what each service says

    def _fileRows(self, transformationID: int, lfns: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        condition = {"TransformationID": transformationID, "LFN": list(lfns)}
        found = valueOrRaise(self._clients.transformations.getTransformationFiles(condDict=condition), TRANSFORMATIONS)
        return {row["LFN"]: row for row in found}

    def _tasks(self, transformationID: int, rows: Iterable[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
        taskIDs = sorted({taskID for taskID in map(_taskID, rows) if taskID})
        if not taskIDs:
            return {}
        condition = {"TransformationID": transformationID, "TaskID": taskIDs}
        found = valueOrRaise(self._clients.transformations.getTransformationTasks(condDict=condition), TRANSFORMATIONS)
        return {int(row["TaskID"]): row for row in found}

    def _replicas(self, se: str, lfns: Sequence[str]) -> dict[str, tuple[bool | None, tuple[str, ...]]]:
        """Whether each file has a replica there, and where else; a file that the catalogue does not have has none."""
        answer = valueOrRaise(self._clients.catalogue.getReplicas(list(lfns), allStatus=True), CATALOGUE)
        known: dict[str, tuple[bool | None, tuple[str, ...]]] = {}
        for lfn, replicas in answer["Successful"].items():
            known[lfn] = se in replicas, tuple(sorted(set(replicas) - {se}))
        for lfn, why in answer["Failed"].items():
            known[lfn] = (False if "no such file" in str(why).lower() else None), ()
        return known

    def _requests(self, requestIDs: Iterable[int]) -> dict[int, _Request]:
        wanted = sorted(set(requestIDs))
        if not wanted:
            return {}
        statuses = valueOrRaise(self._clients.requests.getBulkRequestStatus(wanted), REQUESTS)
        found = {requestID: _Request(GONE) for requestID in wanted if requestID not in statuses}
        for requestID in [each for each in wanted if each in statuses][: self._maxRequests]:
            found[requestID] = self._request(requestID, statuses[requestID])
        return found

    def _request(self, requestID: int, status: str) -> _Request:
        request = valueOrRaise(self._clients.requests.peekRequest(requestID), REQUESTS)
        if not request:  # deleted in between
            return _Request(GONE)
        found = _Request(status, activeTime=asUTC(request.LastUpdate))
        for operation in request:
            for file in operation:
                found.files[file.LFN] = _inRequest(found.files.get(file.LFN), request, operation, file)
        for operationID in sorted({values["operationID"] for values in found.files.values() if values["operationID"]}):
            found.noteTransfers(self._transfers(operationID))
        return found

    def _transfers(self, operationID: int) -> dict[str, dict[str, Any]]:
        """What FTS3 did for one operation of a request, by LFN."""
        found = {}
        for operation in valueOrRaise(self._clients.fts3.getOperationsFromRMSOpID(operationID), FTS3):
            servers = {job.ftsGUID: job.ftsServer for job in operation.ftsJobs}
            for file in operation.ftsFiles:
                found[file.lfn] = {
                    "ftsStatus": file.status,
                    "ftsJobID": file.ftsGUID,
                    "ftsServer": servers.get(file.ftsGUID),
                    "ftsAttempts": int(file.attempt or 0),
                    "ftsTime": asUTC(file.lastUpdate),
                    "ftsError": file.error or "",
                }
        return found


def judgeCopy(stored: StoredFile, sizeBytes: int, checksum: str) -> tuple[CopyState, str]:
    """What lies on a storage, against what is declared; and that in words."""
    if stored.failure:
        return CopyState.UNKNOWN, stored.failure
    if stored.sizeBytes is None:
        return CopyState.MISSING, "there is no such file"
    if stored.sizeBytes != sizeBytes:
        return CopyState.WRONG_SIZE, f"{stored.sizeBytes} bytes, declared are {sizeBytes}"
    if not stored.checksum:
        return CopyState.UNKNOWN, f"{sizeBytes} bytes, its checksum was not told"
    if stored.checksum.lower().zfill(8) != checksum.lower().zfill(8):
        return CopyState.WRONG_CHECKSUM, f"adler32 {stored.checksum}, declared is {checksum}"
    return CopyState.GOOD, f"{sizeBytes} bytes, adler32 {checksum}"


def _fileFacts(facts: TransferFacts, row: Mapping[str, Any] | None) -> TransferFacts:
    if row is None:
        return facts
    return replace(
        facts,
        fileStatus=row["Status"],
        fileTime=asUTC(row.get("LastUpdate") or row.get("InsertedTime")),
        errorCount=int(row.get("ErrorCount") or 0),
        taskID=_taskID(row),
    )


def _taskFacts(facts: TransferFacts, task: Mapping[str, Any]) -> TransferFacts:
    return replace(
        facts,
        taskStatus=task["ExternalStatus"],
        taskTime=asUTC(task.get("LastUpdateTime") or task.get("CreationTime")),
    )


def _inRequest(before: dict[str, Any] | None, request: Any, operation: Any, file: Any) -> dict[str, Any]:
    """What a request says of a file: a failure in one operation counts, as it does for DIRAC."""
    hasFailed = before is not None and before["requestFileStatus"] == "Failed"
    values = {
        "requestFileStatus": "Failed" if hasFailed else file.Status,
        "requestTime": asUTC(request.LastUpdate),
        "requestError": (before["requestError"] if before else "") or file.Error or operation.Error or "",
        # that of the copy: a registration of its own may stand before it
        "operationID": int(operation.OperationID or 0) or None,
    }
    return values if before is None else before | values


def _taskID(row: Mapping[str, Any] | None) -> int | None:
    """Files that were never in a task have none, or 0."""
    return int(row.get("TaskID") or 0) or None if row else None


def _requestID(task: Mapping[str, Any]) -> int | None:
    """A task that was not submitted has 0 or nothing."""
    external = str(task.get("ExternalID") or "0")
    return int(external) or None if external.isdigit() else None
