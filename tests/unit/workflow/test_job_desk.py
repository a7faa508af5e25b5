"""What jobs are told: they work on what is theirs, in order, and only what belongs to their task counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from DIRAC import S_ERROR, S_OK
from jobfakes import AWAY

from JUNODIRAC.Core.Domain.ChainDescription import StepKind
from JUNODIRAC.Core.Domain.ChainRecords import ChainScope, ChainState, StartedChain, StepTransformation
from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Domain.JobRecords import Attempt, AttemptState, CommittedOutput, TaskInput
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.ProductionSystem.Client.JobDesk import JobDesk

pytestmark = pytest.mark.unit

NOW = datetime(2030, 1, 1, tzinfo=UTC)
GUID = "0e0f1c6e-6a2a-5d0c-9d61-3f5f5a4f4c11"
RAWREC, MERGE, COPY = 101, 102, 103
YAML = """
name: rerec
version: J24.1
steps:
  - name: rawrec
    kind: process
    executable: juno-rawrec
    arguments: [--tag, J24.1]
    cores: 8
    input: {type: RTRaw}
    output: {type: ESD, directory: "/juno/esd/{Chain}-{Version}-v{OutputVersion}/{Step}/{Block}",
             name: "{Type}.{Run}.{Stream}.{Sequence}.{Task}.{Attempt}.esd", failover: [IHEP-JUNOEOS, CNAF-STORM]}
    sites: [DIRAC.CNAF.it]
  - name: merge
    kind: merge
    executable: juno-merge
    input: {type: ESD}
    output: {type: MESD, directory: "/juno/mesd/{Chain}-{Version}-v{OutputVersion}/{Step}/{Block}",
             name: "{Type}.{Run}.{Task}.{Attempt}.esd"}
    sites: [DIRAC.CNAF.it]
  - name: replicate
    kind: replicate
    input: {type: MESD}
    destinations: [JINR-EOS]
"""


def given(number: int, **changes) -> TaskInput:
    made = TaskInput(f"/juno/rtraw/{number}", number, 5, 100, "0000000a", "PHYSICS.G", 7, 7, number, number, 10)
    return replace(made, **changes)


class FakeLedger:
    def __init__(self):
        self.files = {each.lfn: each for each in (given(1), given(2), given(3))}
        self.products = {}
        self.derived = {}
        self.attempts = {}
        self.ended = []
        self.committed = []
        self.left = []

    def chainOfTransformation(self, number):
        scope = ChainScope()
        chain = StartedChain(
            1, "rerec-J24.1-v2", "rerec", "J24.1", 2, ChainState.ACTIVE, 9, "RTRaw", YAML, scope, NOW, "p", NOW, "p"
        )
        return chain, next(each for each in self.chainSteps(1) if each.transformationID == number)

    def chainSteps(self, chainID):
        return [
            StepTransformation(1, 1, "", "rawrec", StepKind.PROCESS, RAWREC),
            StepTransformation(1, 2, "", "merge", StepKind.MERGE, MERGE),
            StepTransformation(1, 3, "JINR-EOS", "replicate", StepKind.REPLICATE, COPY),
        ]

    def beginAttempt(self, place, job, state, nameOutput):
        number = len(self.attempts) + 1
        lfn = nameOutput(number) if state is AttemptState.RUNNING else ""
        self.attempts[number] = Attempt(number, *place, state, lfn)
        return self.attempts[number]

    def findAttempt(self, attemptID):
        if attemptID not in self.attempts:
            raise JobFailure(JobError.BAD_TASK, f"there is no attempt {attemptID}")
        return self.attempts[attemptID]

    def endAttempt(self, attemptID, state, exitCode, error, detail):
        self.ended.append((attemptID, state, exitCode, error, detail))
        return state

    def commitAttempt(self, attemptID, made, inputs):
        self.committed.append((attemptID, made, [each.lfn for each in inputs]))
        return 33

    def derivedInputs(self, chainID, stepNumber, parentIDs):
        return {number: self.derived[number] for number in parentIDs if number in self.derived}

    def ledgerInputs(self, chainID, stepNumber, lfns):
        return {lfn: self.files[lfn] for lfn in lfns if lfn in self.files}

    def productInputs(self, chainID, sourceNumber, lfns):
        return {lfn: self.products[lfn] for lfn in lfns if lfn in self.products}

    def blockName(self, blockID):
        return "20230302"

    def committedProducts(self, condition, values, limit):
        return self.left

    def parentsOf(self, productIDs, ofLedger):
        return {productID: ["/juno/rtraw/1"] for productID in productIDs}


class FakeTransformations:
    def __init__(self):
        self.vector = "/juno/rtraw/2;/juno/rtraw/1;/juno/rtraw/3"
        self.status = ("Assigned", 12)
        self.down = False

    def getTransformationTasks(self, condDict, inputVector):
        if self.down:
            return S_ERROR(AWAY)
        return S_OK([{"TaskID": 12, "InputVector": self.vector}] if condDict["TaskID"] == 12 else [])

    def getTransformationFiles(self, condDict, columns):
        return S_OK([{"LFN": lfn, "Status": self.status[0], "TaskID": self.status[1]} for lfn in condDict["LFN"]])


@pytest.fixture
def ledger():
    return FakeLedger()


@pytest.fixture
def transformations():
    return FakeTransformations()


@pytest.fixture
def desk(ledger, transformations):
    return JobDesk(ledger, transformations, lambda site: ["CNAF-STORM"] if site == "DIRAC.CNAF.it" else [])


def begin(desk, transformationID=RAWREC, taskID=12, site="DIRAC.CNAF.it"):
    return desk.begin(transformationID, taskID, (42, site, "node#1"))


def output(answer, **changes):
    made = {"LFN": answer["Output"]["LFN"], "GUID": GUID, "SE": "CNAF-STORM", "SizeBytes": 10, "Checksum": "0000000b"}
    return {key: value for key, value in (made | changes).items() if value is not None}


def read(answer, events=10):
    return [{"LFN": each["LFN"], "Events": events} for each in answer["Inputs"]]


# ---- begin


def test_a_job_is_told_its_step_its_inputs_in_order_and_where_to_write(desk):
    answer = begin(desk)
    assert [each["LFN"] for each in answer["Inputs"]] == ["/juno/rtraw/1", "/juno/rtraw/2", "/juno/rtraw/3"]
    assert answer["Inputs"][0] | {"LFN": ""} == {
        "LFN": "", "SizeBytes": 100, "Checksum": "0000000a", "Run": 7, "Sequence": 1, "Events": 10,
    }  # fmt: skip
    assert (answer["Step"]["Executable"], answer["Step"]["Arguments"], answer["Step"]["Cores"]) == (
        "juno-rawrec", ["--tag", "J24.1"], 8,
    )  # fmt: skip
    assert answer["Output"] == {
        "LFN": "/juno/esd/rerec-J24.1-v2/rawrec/20230302/ESD.7.PHYSICS.G.000001.00000012.1.esd",
        "SEs": ["CNAF-STORM", "IHEP-JUNOEOS"],
    }
    assert (answer["Error"], answer["Done"]) == ("", False)


def test_a_merge_gets_what_an_earlier_step_of_its_chain_made(desk, ledger, transformations):
    transformations.vector = "/juno/esd/b;/juno/esd/a"
    ledger.products = {"/juno/esd/a": given(1, lfn="/juno/esd/a"), "/juno/esd/b": given(2, lfn="/juno/esd/b")}
    answer = begin(desk, MERGE)
    assert [each["LFN"] for each in answer["Inputs"]] == ["/juno/esd/a", "/juno/esd/b"]
    transformations.vector = "/juno/rtraw/1"
    assert begin(desk, MERGE)["Error"] == "BadTask"


def test_a_task_of_which_all_is_done_has_nothing_to_do_but_what_nobody_registered(desk, ledger):
    ledger.derived = dict.fromkeys((1, 2, 3), "/juno/esd/x")
    ledger.left = [
        {"ProductID": 4, "ChainID": 1, "StepNumber": 1, "LFN": "/juno/esd/x", "GUID": GUID, "SE": "CNAF-STORM", "SizeBytes": 1,
         "Checksum": "0000000c", "Block": "20230302", "TransformationID": RAWREC}
    ]  # fmt: skip
    answer = begin(desk)
    assert (answer["Done"], answer["Error"]) == (True, "")
    (left,) = [CommittedOutput.fromAnswer(each) for each in answer["Unregistered"]]
    assert left.metadata == {"Block": "20230302", "Type": "ESD", "Chain": "rerec-J24.1-v2", "Step": "rawrec"}
    assert (left.takers, left.parents, left.transformationID) == ((MERGE,), ("/juno/rtraw/1",), RAWREC)
    assert ledger.attempts[1].state is AttemptState.REFUSED


def test_a_task_of_which_a_part_is_done_is_refused_and_named(desk, ledger):
    ledger.derived = {2: "/juno/esd/other"}
    answer = begin(desk)
    assert (answer["Error"], answer["Done"]) == ("Refused", False)
    assert "/juno/rtraw/2 is in /juno/esd/other" in answer["Detail"]
    assert ledger.ended == [(1, AttemptState.REFUSED, 201, "Refused", answer["Detail"])]


@pytest.mark.parametrize("status", [("Unused", 12), ("Problematic", 12), ("Assigned", 13), ("Assigned", 0)])
def test_a_task_that_has_lost_its_inputs_is_refused(desk, transformations, status):
    transformations.status = status
    assert begin(desk)["Error"] == "Refused"


def test_inputs_that_the_chain_was_never_given_or_of_two_blocks_or_streams_make_no_task(desk, ledger, transformations):
    for bad in (given(3, blockID=6), given(3, stream="CALIB.L")):
        ledger.files[bad.lfn] = bad
        assert begin(desk)["Error"] == "BadTask"
    transformations.vector = "/juno/rtraw/1;/elsewhere"
    assert "/elsewhere" in begin(desk)["Detail"]


def test_tasks_that_there_are_not_or_that_run_no_jobs_make_no_sense(desk, ledger, transformations):
    assert begin(desk, taskID=13)["Error"] == "BadTask"
    transformations.vector = ""
    assert begin(desk)["Error"] == "BadTask"
    transformations.vector = "/m"
    ledger.products = {"/m": given(1, lfn="/m")}
    assert "runs no jobs" in begin(desk, COPY)["Detail"]


def test_a_job_without_a_place_for_its_output_is_told_what_to_set(desk, ledger, transformations):
    ledger.products = {"/juno/esd/a": given(1, lfn="/juno/esd/a")}
    transformations.vector = "/juno/esd/a"
    answer = begin(desk, MERGE, site="DIRAC.Nowhere.xx")
    assert answer["Error"] == "BadTask"
    assert "/Resources/Sites" in answer["Detail"]


def test_if_the_transformation_system_is_away_the_job_may_ask_again(desk, ledger, transformations):
    transformations.down = True
    with pytest.raises(TemporaryFailure):
        begin(desk)
    assert not ledger.attempts


# ---- commit


def test_what_is_committed_can_be_registered_by_anyone(desk, ledger):
    ledger.left = [
        {"ProductID": 33, "ChainID": 1, "StepNumber": 1, "LFN": "/x", "GUID": GUID, "SE": "S", "SizeBytes": 1, "Checksum": "c",
         "Block": "20230302", "TransformationID": RAWREC}
    ]  # fmt: skip
    answer = begin(desk)
    done = desk.commit(answer["AttemptID"], output(answer), read(answer))
    assert (done["ProductID"], done["Error"]) == (33, "")
    assert CommittedOutput.fromAnswer(done["Registration"]).takers == (MERGE,)
    ((_, made, lfns),) = ledger.committed
    assert (made.events, lfns) == (30, ["/juno/rtraw/1", "/juno/rtraw/2", "/juno/rtraw/3"])


@pytest.mark.parametrize(
    "changes",
    [
        {"GUID": "x"},
        {"SizeBytes": 0},
        {"SizeBytes": "many"},
        {"Checksum": "ABCDEF01"},
        {"Checksum": ""},
        {"LFN": None},
        {"SE": None},
    ],
)
def test_an_output_that_does_not_make_sense_is_refused_and_nothing_is_changed(desk, ledger, changes):
    answer = begin(desk)
    assert desk.commit(answer["AttemptID"], output(answer, **changes), read(answer))["Error"] == "BadTask"
    assert not ledger.committed


def fewer(inputs):
    return inputs[:-1]


def none(inputs):
    return []


def turned(inputs):
    return inputs[::-1]


def twice(inputs):
    return [*inputs, inputs[-1]]


def negative(inputs):
    return [each | {"Events": -1} for each in inputs]


def nameless(inputs):
    return [{"Events": 1}]


@pytest.mark.parametrize("change", [fewer, none, turned, twice, negative, nameless])
def test_inputs_that_are_not_those_of_the_task_in_order_are_refused(desk, ledger, change):
    answer = begin(desk)
    assert desk.commit(answer["AttemptID"], output(answer), change(read(answer)))["Error"] == "BadTask"
    assert not ledger.committed


def test_events_other_than_announced_are_refused(desk, ledger):
    answer = begin(desk)
    assert desk.commit(answer["AttemptID"], output(answer), read(answer, 9))["Error"] == "EventsDiffer"
    assert not ledger.committed


def test_an_attempt_that_there_is_not_can_neither_commit_nor_end(desk, ledger):
    answer = begin(desk)
    assert desk.commit(99, output(answer), read(answer))["Error"] == "BadTask"


def test_the_end_of_an_attempt_is_written_with_its_error(desk, ledger):
    begin(desk)
    assert desk.end(1, 209, "ProgramFailed", "code 3")["State"] == "Failed"
    assert desk.end(1, 201, "Refused", "others")["State"] == "Refused"
    assert ledger.ended[0] == (1, AttemptState.FAILED, 209, "ProgramFailed", "code 3")
