"""The facts of many files' copies, from DIRAC's services and the storage, in few calls."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts
from JUNODIRAC.Core.Logic.Ports import StoredFile, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.TransferFactsReader import Clients, TransferFactsReader, judgeCopy

SE = "CNAF-EOS"
THEN = datetime(2026, 1, 1, 12)  # noqa: DTZ001 DIRAC gives naive times
LFNS = [f"/juno/raw/{number}" for number in range(4)]


class Request(list):
    """A request is the list of its operations."""

    LastUpdate = THEN


def operation(operationID, kind, files, error=""):
    found = [SimpleNamespace(LFN=lfn, Status=status, Error=why) for lfn, status, why in files]

    class Operation(list):
        OperationID, Type, Error = operationID, kind, error

    return Operation(found)


class Services:
    """All of them in one, with a count of calls."""

    def __init__(self):
        self.calls = []
        # two files of one task, one of a task whose request is gone, one that is not attached
        self.files = [
            {"LFN": lfn, "Status": "Assigned", "LastUpdate": THEN, "ErrorCount": 1, "TaskID": task}
            for lfn, task in zip(LFNS[:3], ("7", "7", "8"), strict=True)
        ]
        self.requests = {70: "Failed"}
        self.operations = Request(
            [
                operation(10, "RegisterReplica", [(LFNS[0], "Failed", "catalogue was away")]),
                operation(11, "ReplicateAndRegister", [(LFNS[0], "Done", ""), (LFNS[1], "Failed", "")], "no room"),
            ]
        )

    def getTransformationFiles(self, condDict):
        self.calls.append("files")
        return S_OK([row for row in self.files if row["LFN"] in condDict["LFN"]])

    def getTransformationTasks(self, condDict):
        self.calls.append("tasks")
        return S_OK(
            [
                {"TaskID": each, "ExternalStatus": "Submitted", "ExternalID": f"{each}0", "LastUpdateTime": THEN}
                for each in condDict["TaskID"]
            ]
        )

    def getBulkRequestStatus(self, wanted):
        self.calls.append("statuses")
        return S_OK({each: self.requests[each] for each in wanted if each in self.requests})

    def peekRequest(self, _requestID):
        self.calls.append("request")
        return S_OK(self.operations)

    def getOperationsFromRMSOpID(self, operationID):
        self.calls.append("fts")
        file = SimpleNamespace(lfn=LFNS[1], status="Defunct", ftsGUID="abc", attempt=3, lastUpdate=THEN, error="[28] No space")
        job = SimpleNamespace(ftsGUID="abc", ftsServer="https://fts")
        return S_OK([SimpleNamespace(ftsJobs=[job], ftsFiles=[file])] if operationID == 11 else [])

    def getReplicas(self, lfns, allStatus):
        assert allStatus
        failed = {LFNS[2]: "No such file or directory", LFNS[3]: "database is away"}
        return S_OK({"Successful": {LFNS[0]: {SE: "pfn"}, LFNS[1]: {"IHEP-EOS": "pfn"}}, "Failed": failed})


def reader(services, **more):
    return TransferFactsReader(Clients(services, services, services, services), **more)


def test_each_file_has_the_facts_of_all_services():
    facts = reader(Services()).read(5, SE, LFNS)
    assert facts[LFNS[1]] == TransferFacts(
        lfn=LFNS[1],
        se=SE,
        transformationID=5,
        fileStatus="Assigned",
        fileTime=THEN.replace(tzinfo=UTC),
        errorCount=1,
        taskID=7,
        taskStatus="Submitted",
        taskTime=THEN.replace(tzinfo=UTC),
        requestID=70,
        requestStatus="Failed",
        requestFileStatus="Failed",
        requestTime=THEN.replace(tzinfo=UTC),
        requestError="no room",
        operationID=11,
        ftsStatus="Defunct",
        ftsJobID="abc",
        ftsServer="https://fts",
        ftsAttempts=3,
        ftsTime=THEN.replace(tzinfo=UTC),
        ftsError="[28] No space",
        requestActiveTime=THEN.replace(tzinfo=UTC),
        hasReplica=False,
        otherSEs=("IHEP-EOS",),
    )


def test_a_failure_in_any_operation_is_the_files_failure_and_the_copy_is_that_of_the_last():
    facts = reader(Services()).read(5, SE, LFNS)[LFNS[0]]
    assert (facts.requestFileStatus, facts.requestError, facts.operationID) == ("Failed", "catalogue was away", 11)


def test_a_request_that_is_no_longer_kept_is_gone_and_a_file_that_is_not_attached_has_no_status():
    facts = reader(Services()).read(5, SE, LFNS)
    assert (facts[LFNS[2]].requestStatus, facts[LFNS[2]].ftsStatus) == ("Gone", None)
    assert (facts[LFNS[3]].fileStatus, facts[LFNS[3]].taskID, facts[LFNS[3]].requestStatus) == (None, None, None)


def test_a_file_that_the_catalogue_lacks_has_no_replica_and_one_it_cannot_tell_of_is_unknown():
    facts = reader(Services()).read(5, SE, LFNS)
    assert [facts[lfn].hasReplica for lfn in LFNS] == [True, False, False, None]


def test_while_fts_works_on_one_file_of_a_request_all_of_them_are_worked_on():
    services = Services()
    works = SimpleNamespace(lfn="/other", status="Active", ftsGUID="abc", attempt=1, lastUpdate=THEN, error="")
    services.getOperationsFromRMSOpID = lambda _operationID: S_OK([SimpleNamespace(ftsJobs=[], ftsFiles=[works])])
    facts = reader(services).read(5, SE, LFNS)
    assert [facts[lfn].isRequestWorked for lfn in LFNS] == [True, True, False, False]


def test_calls_do_not_grow_with_the_number_of_files():
    services = Services()
    reader(services).read(5, SE, LFNS)
    assert services.calls == ["files", "tasks", "statuses", "request", "fts"]


def test_files_of_requests_that_were_not_looked_into_are_left_out():
    services = Services()
    services.requests[80] = "Done"
    facts = reader(services, maxRequests=1).read(5, SE, LFNS)
    assert set(facts) == {LFNS[0], LFNS[1], LFNS[3]}


def test_a_service_that_is_away_ends_the_call():
    services = Services()
    services.getBulkRequestStatus = lambda _wanted: S_ERROR("Connection refused")
    with pytest.raises(TemporaryFailure):
        reader(services).read(5, SE, LFNS)


@pytest.mark.parametrize(
    ("stored", "state"),
    [
        (StoredFile(None), CopyState.MISSING),
        (StoredFile(None, failure="no answer"), CopyState.UNKNOWN),
        (StoredFile(9), CopyState.WRONG_SIZE),
        (StoredFile(10), CopyState.UNKNOWN),
        (StoredFile(10, "0000000a"), CopyState.GOOD),
        (StoredFile(10, "0000000b"), CopyState.WRONG_CHECKSUM),
    ],
)
def test_a_copy_is_judged_by_what_is_declared(stored, state):
    assert judgeCopy(stored, 10, "0000000A")[0] is state


def test_a_checksum_is_asked_for_only_where_the_size_is_right():
    class Storage:
        asked = []

        def look(self, lfns, withChecksum=()):
            self.asked += withChecksum
            return {lfn: StoredFile(10 if lfn != LFNS[0] else 3, "0000000a" if lfn in withChecksum else "") for lfn in lfns}

    facts = [TransferFacts(lfn, SE, 5) for lfn in LFNS[:2]]
    found = reader(Services(), storageOf=lambda _se: Storage()).withCopies(facts, dict.fromkeys(LFNS, (10, "0000000a")))
    assert [found[lfn].copy for lfn in LFNS[:2]] == [CopyState.WRONG_SIZE, CopyState.GOOD]
    assert Storage.asked == [LFNS[1]]
