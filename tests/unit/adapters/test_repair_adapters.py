"""The repair's adapters: what is looked at, what is done to DIRAC's services, each site on its own."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.Core.Domain.RepairRecords import DeclaredCopy, Pause
from JUNODIRAC.Core.Domain.TransferErrors import ErrorClass
from JUNODIRAC.Core.Domain.TransferFacts import CopyState
from JUNODIRAC.Core.Domain.Validation import Difference, Verdict
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.Core.Logic.RepairCycle import Failure, RepairOutcome
from JUNODIRAC.Core.Logic.RepairPorts import BlockAtSite
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal
from JUNODIRAC.RawDataSystem.Client.DiracHands import DiracHands
from JUNODIRAC.RawDataSystem.Client.PauseBook import PauseBook, SitePause
from JUNODIRAC.RawDataSystem.Client.RepairCandidates import RepairCandidates
from JUNODIRAC.RawDataSystem.Client.RetransferDesk import BadSelection, RetransferDesk
from JUNODIRAC.RawDataSystem.Client.SiteRepairs import SiteLimits, SiteRepairs

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SE, SOURCE, OTHER = "CNAF-EOS", "IHEP-EOS", "JINR-EOS"
LFNS = [f"/juno/raw/{number}" for number in range(6)]
POLICY = SimpleNamespace(typeName="Raw", sourceSE=SOURCE, repairAttempts=3)


# ---- which files


class Transformations:
    def __init__(self):
        self.rows = {"Problematic": [], "Assigned": []}
        self.attached = 6
        self.calls = 0

    def getTransformationFiles(self, condDict, **more):
        self.calls += 1
        if "Status" not in condDict:
            return S_OK([{"LFN": lfn} for lfn in LFNS[: self.attached]])
        (status,) = [each for each in self.rows if each in condDict["Status"]]
        assert (more["older"] is not None) == (status == "Assigned")
        return S_OK([{"TransformationID": condDict["TransformationID"][0], "LFN": lfn} for lfn in self.rows[status]])

    def getCounters(self, _table, _columns, condDict, older=None, timeStamp=None):
        if "Status" in condDict:
            self.calls += 1
            (status,) = [each for each in self.rows if each in condDict["Status"]]
            assert (older is not None) == (status == "Assigned")
            return S_OK([[{"TransformationID": each}, 1] for each in range(100)] if self.rows[status] else [])
        return S_OK([[{"TransformationID": each}, self.attached] for each in condDict["TransformationID"]])


class Ledger:
    def __init__(self):
        self.due, self.waiting, self.validation, self.records = {}, set(), None, {}
        self.pauses, self.lost = [], 0

    def lastPauses(self, _se):
        return self.pauses

    def countLost(self, _se, since):
        assert NOW - since <= timedelta(hours=1)
        return self.lost

    def dueRepairs(self, _se, _now, _limit):
        return self.due

    def waitingRepairs(self, _se, _now):
        return self.waiting

    def newestValidations(self, blockIDs, withNames=False, conclusiveOnly=False):
        assert conclusiveOnly  # an incomplete look does not hide what was found
        return {(blockIDs[0], SE): self.validation} if self.validation else {}

    def listRepairs(self, _blockID, _se):
        return {SE: self.records}

    def readRegistered(self, _typeName, _block):
        return LFNS


def living(**changes) -> LivingBlock:
    site = LivingSite(SE, 7, BlockState.CLOSED, NOW, doneFiles=3)
    return replace(
        LivingBlock(1, "Raw", "20230302", "/juno/raw", BlockState.CLOSED, NOW, sites=(site,), registeredFiles=6), **changes
    )


def found(ledger, transformations, block=None, policies=None):
    candidates = RepairCandidates(ledger, transformations, 100)
    work = candidates.find([block or living()], policies or {"Raw": POLICY}, NOW, 3600)
    return {lfn: time for _, named in work.get(SE, []) for lfn, time in named.items()}


def test_files_that_were_given_up_or_are_old_or_due_are_looked_at_and_those_that_wait_are_not():
    ledger, transformations = Ledger(), Transformations()
    transformations.rows = {"Problematic": LFNS[:2], "Assigned": [LFNS[2]]}
    ledger.due, ledger.waiting = {1: [LFNS[3]]}, {LFNS[1]}
    assert set(found(ledger, transformations)) == {LFNS[0], LFNS[2], LFNS[3]}


def test_what_a_bad_validation_names_is_looked_at_until_something_was_done_about_it():
    ledger = Ledger()
    names = {Difference.MISSING: (LFNS[0],), Difference.WRONG_SIZE: (LFNS[1],), Difference.EXTRA: ("/extra",)}
    ledger.validation = SimpleNamespace(verdict=Verdict.BAD, endedTime=NOW, names=names, files=6)
    assert found(ledger, Transformations()) == {LFNS[0]: NOW, LFNS[1]: NOW}
    ledger.records = {LFNS[0]: SimpleNamespace(lastTime=NOW + timedelta(seconds=1))}
    assert found(ledger, Transformations()) == {LFNS[1]: NOW}
    ledger.validation.verdict = Verdict.GOOD
    assert found(ledger, Transformations()) == {}


@pytest.mark.parametrize(
    ("missing", "files", "before", "isLoss"),
    [
        (20, 20, 0, False),
        (21, 100, 0, True),
        (21, 14_400, 0, False),
        (1441, 14_400, 0, True),
        (10, 10, 11, True),
        (10, 10, 10, False),
    ],
)
def test_much_that_is_missing_at_once_is_the_storages_matter_and_nothing_is_done_before_a_person_says_so(
    missing, files, before, isLoss
):
    ledger, names = Ledger(), tuple(f"/f{number}" for number in range(missing))
    ledger.validation = SimpleNamespace(verdict=Verdict.BAD, endedTime=NOW, names={Difference.MISSING: names}, files=files)
    ledger.lost = before
    candidates = RepairCandidates(ledger, Transformations(), 100)

    def look():
        return {lfn for _, named in candidates.find([living()], {"Raw": POLICY}, NOW, 3600)[SE] for lfn in named}

    assert look() == (set() if isLoss else set(names))
    assert list(candidates.massLosses) == ([SE] if isLoss else [])
    ledger.lost, resumed = 0, NOW + timedelta(seconds=1)
    ledger.pauses = [replace(pause(), errorClass="MassLoss", ended=resumed)]
    assert look() == set(names)
    ledger.validation.endedTime = NOW + timedelta(seconds=2)
    ledger.lost = before
    assert look() == (set() if isLoss else set(names))


def test_registered_files_that_the_transformation_lacks_are_looked_at_but_not_searched_for_in_each_cycle():
    ledger, transformations = Ledger(), Transformations()
    transformations.attached = 4
    candidates = RepairCandidates(ledger, transformations, 100)
    (work,) = candidates.find([living()], {"Raw": POLICY}, NOW, 3600)[SE]
    assert set(work[1]) == set(LFNS[4:])
    assert candidates.find([living()], {"Raw": POLICY}, NOW + timedelta(seconds=60), 3600)[SE] == []


def test_a_type_that_is_not_configured_is_left_alone():
    transformations = Transformations()
    transformations.rows["Problematic"] = LFNS[:2]
    assert found(Ledger(), transformations, policies={"RTRaw": POLICY}) == {}


def test_of_very_many_stuck_files_a_part_is_read_in_each_cycle_and_all_in_their_turn():
    counts = dict.fromkeys(range(1, 8), 14_400)
    candidates = RepairCandidates(Ledger(), Transformations(), 100)
    turns = [candidates._turn(counts) for _ in range(20)]
    assert {len(turn) for turn in turns} == {2}
    assert {number for turn in turns for number in turn} == set(counts)
    assert candidates._turn({1: 10, 2: 20}) == [1, 2]


def test_the_number_of_calls_does_not_grow_with_the_blocks():
    blocks = [
        living(blockID=number, sites=(LivingSite(SE, number, BlockState.CLOSED, NOW, doneFiles=6),)) for number in range(1, 400)
    ]
    transformations = Transformations()
    RepairCandidates(Ledger(), transformations, 100).find(blocks, {"Raw": POLICY}, NOW, 3600)
    assert transformations.calls == 2


# ---- what is done


class Service:
    """Each of DIRAC's clients, and a storage element."""

    def __init__(self, answer=None):
        self.calls, self.answer = [], answer

    def __getattr__(self, name):
        def call(*args, **more):
            self.calls.append((name, args, more))
            return self.answer or S_OK({"Successful": {}, "Failed": {}})

        return call


def hands(service) -> DiracHands:
    return DiracHands(service, service, service, lambda se, lfns: {lfn: f"root://{se}{lfn}" for lfn in lfns}, lambda _se: service)


def test_files_are_forced_back_to_unused():
    service = Service()
    assert hands(service).setUnused(7, LFNS[:1]) == {}
    assert service.calls == [
        ("setFileStatusForTransformation", (7,), {"newLFNsStatus": {LFNS[0]: "Unused"}, "force": True}),
    ]


def test_replicas_are_registered_with_their_url_and_what_failed_is_told():
    service = Service(S_OK({"Successful": {}, "Failed": {LFNS[0]: "no such file"}}))
    assert hands(service).register(SE, LFNS[:1]) == {LFNS[0]: "no such file"}
    assert service.calls == [("addReplica", ({LFNS[0]: {"PFN": f"root://{SE}{LFNS[0]}", "SE": SE}},), {})]
    assert hands(service).deregister(SE, []) == {}


def test_a_copy_that_cannot_be_deleted_stops_nothing_and_a_request_that_is_gone_neither():
    assert hands(Service(S_ERROR("no such protocol"))).delete(SE, LFNS[:1]) == {LFNS[0]: "no such protocol"}
    assert hands(Service(S_ERROR("No such request 5"))).cancelRequests({5}) == {5: "No such request 5"}


def test_a_service_that_is_away_ends_the_look():
    with pytest.raises(TemporaryFailure):
        hands(Service(S_ERROR("Connection refused"))).setUnused(7, LFNS)


# ---- each site on its own

AT = BlockAtSite(1, "Raw", "20230302", SE, 7, SOURCE, 3)
LIMITS = SiteLimits(maxFiles=100, timeScale=1.0, quietSeconds=900)


class Cycle:
    """A repair that answers what the test wants."""

    def __init__(self, outcome=None, gate=None):
        self.outcome, self.gate, self.looks = outcome or RepairOutcome(), gate, []

    def repair(self, at, named, _now, isPaused, blockedTime):
        if self.gate:
            self.gate.wait(20)
        self.looks.append((at, dict(named), isPaused, blockedTime))
        return self.outcome


class Book:
    def __init__(self):
        self.pauses, self.journal = [], []

    def lastPauses(self, _se, limit=50):
        return []

    def addPause(self, se, blockID, until, actor, reason, errorClass=""):
        self.pauses.append((se, blockID, until, errorClass))

    def recordDecisions(self, _actor, action, reasons):
        self.journal.append((action, *reasons))


def site(cycle, log, book=None, isBanned=False) -> SiteRepairs:
    return SiteRepairs(SE, lambda: cycle, book or Book(), lambda _se: isBanned, log, lambda: NOW)


def run(made, work, pauses=(), limits=LIMITS):
    return made.run(work, pauses, NOW + timedelta(seconds=60), limits)


def pause(blockID=0) -> Pause:
    return Pause(1, SE, blockID, NOW, None, "alice", "downtime")


def test_a_site_that_hangs_holds_up_no_other(log):
    gate = threading.Event()
    slow, quick = site(Cycle(gate=gate), log), site(Cycle(), log)
    arguments = ([(AT, {LFNS[0]: None})], [], NOW + timedelta(seconds=60), LIMITS)
    try:
        assert slow.start(*arguments)
        assert quick.start(*arguments)
        quick.join(20)
        assert quick._cycle.looks
        assert not slow.start(*arguments)
        assert not slow._cycle.looks
    finally:
        gate.set()
        slow.join(20)


def test_a_site_is_paused_when_its_errors_are_its_own_and_that_is_in_the_journal_first(log):
    book = Book()
    failures = [Failure(LFNS[0], ErrorClass.DESTINATION_FULL, NOW, "no room")]
    run(site(Cycle(RepairOutcome(failures=failures)), log, book), [(AT, {LFNS[0]: None})])
    assert book.journal == [("pauseSite", SE)]
    assert book.pauses == [(SE, 0, NOW + timedelta(seconds=1800), "DestinationFull")]
    assert "is paused" in log.at("warn")[0]


@pytest.mark.parametrize(
    ("pauses", "isBanned", "isPaused"),
    [([], False, False), ([0], False, True), ([1], False, True), ([9], False, False), ([], True, True)],
)
def test_nothing_is_copied_where_a_pause_or_dirac_forbids_it(log, pauses, isBanned, isPaused):
    cycle = Cycle()
    run(site(cycle, log, isBanned=isBanned), [(AT, {LFNS[0]: None})], [pause(number) for number in pauses])
    assert cycle.looks[0][2] is isPaused
    assert (cycle.looks[0][3] is not None) is isPaused


def test_what_something_else_works_on_is_not_looked_at_again_at_once_unless_a_validation_names_it(log):
    cycle = Cycle(RepairOutcome(quiet=[LFNS[0]]))
    made = site(cycle, log)
    for named in ({LFNS[0]: None, LFNS[1]: None}, {LFNS[0]: None, LFNS[1]: None}, {LFNS[0]: NOW}):
        run(made, [(AT, named)])
    assert [sorted(look[1]) for look in cycle.looks] == [LFNS[:2], [LFNS[1]], [LFNS[0]]]


def test_a_cycle_looks_at_no_more_files_than_it_may(log):
    cycle = Cycle()
    run(site(cycle, log), [(AT, dict.fromkeys(LFNS)), (AT, dict.fromkeys(LFNS))], limits=replace(LIMITS, maxFiles=8))
    assert sum(len(look[1]) for look in cycle.looks) == 8


def test_a_service_that_is_away_is_said_and_the_next_cycle_goes_on(log):
    cycle = Cycle()
    cycle.repair = lambda *_args: (_ for _ in ()).throw(TemporaryFailure("DataManagement/FileCatalog", "away"))
    run(site(cycle, log), [(AT, {LFNS[0]: None})])
    assert "go on later" in log.at("warn")[0]


# ---- copies once more


class RetransferLedger:
    def __init__(self):
        self.givenUp, self.forgotten, self.moves = set(), [], []
        self.state, self.bad, self.ended = BlockState.DONE, {}, []

    def readBadReplicas(self, lfns):
        return {lfn: self.bad[lfn] for lfn in lfns if lfn in self.bad}

    def endBad(self, se, fileIDs):
        self.ended += [(se, fileID) for fileID in fileIDs]

    def findBlock(self, _typeName, name):
        return Block("Raw", name, "/juno/raw", {SE: 7, OTHER: 8}) if name == "20230302" else None

    def findSites(self, _typeName, _name):
        return 1, [SE, OTHER]

    def readRegistered(self, _typeName, _name):
        return LFNS

    def declaredCopies(self, lfns):
        return {lfn: DeclaredCopy(number, 1000, "0a") for number, lfn in enumerate(lfns)}

    def listRepairs(self, _blockID, se, _state):
        return {se: dict.fromkeys(self.givenUp)}

    def forgetRepairs(self, _blockID, se, lfns):
        self.forgotten.append((se, tuple(lfns)))

    def readLivingBlocksByID(self, _blockIDs):
        return [living(state=self.state, sites=(LivingSite(SE, 7, self.state, NOW), LivingSite(OTHER, 8, self.state, NOW)))]

    def moveSite(self, _blockID, se, old, new, _actor, _reason):
        self.moves.append((se, old, new))

    def moveBlock(self, _blockID, old, new, _actor, _reason):
        self.moves.append(("", old, new))


class RetransferServices:
    """Of six files 0 to 3 are at the site, 0 there alone; 4 failed, 5 is being copied."""

    def getReplicas(self, lfns, allStatus):
        where = {lfn: {SOURCE: "", SE: ""} for lfn in LFNS[1:4]} | {
            LFNS[0]: {SE: ""},
            LFNS[4]: {SOURCE: ""},
            LFNS[5]: {SOURCE: ""},
        }
        return S_OK({"Successful": {lfn: where[lfn] for lfn in lfns}, "Failed": {}})

    def getTransformationFiles(self, condDict):
        statuses = ["Processed"] * 4 + ["Problematic", "Assigned"]
        return S_OK([{"LFN": lfn, "Status": statuses[LFNS.index(lfn)], "TaskID": LFNS.index(lfn) + 1} for lfn in condDict["LFN"]])

    def getTransformationTasks(self, condDict):
        return S_OK([{"TaskID": each, "ExternalID": f"{each}0"} for each in condDict["TaskID"]])


class Done:
    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def call(*args):
            self.calls.append((name, *args))
            return {}

        return call


@pytest.fixture
def desk():
    made = SimpleNamespace(ledger=RetransferLedger())
    services, made.copies = RetransferServices(), {}
    made.desk = RetransferDesk(made.ledger, services, services, POLICY, lambda se, lfns: made.copies[se])
    return made


def test_only_failed_takes_what_failed_and_leaves_what_is_under_way(desk):
    (plan,) = desk.desk.plan("20230302", [SE], [], onlyFailed=True)
    assert (plan.files, plan.registered, plan.underWay, plan.requestIDs) == ([LFNS[4]], [], [LFNS[5]], [])
    desk.ledger.givenUp = {LFNS[1]}
    (plan,) = desk.desk.plan("20230302", [SE], [], onlyFailed=True)
    assert plan.files == [LFNS[1], LFNS[4]]


def test_all_takes_everything_but_the_only_replica_and_cancels_what_is_under_way(desk):
    (plan,) = desk.desk.plan("20230302", [SE], [], onlyFailed=False)
    assert (plan.files, plan.kept) == (LFNS[1:], [LFNS[0]])
    assert (plan.registered, plan.requestIDs, plan.sizeBytes) == (LFNS[1:4], [60], 5000)


def test_files_are_named_by_lfn_or_name_and_a_wrong_name_changes_nothing(desk):
    (plan,) = desk.desk.plan("20230302", [SE], ["1", LFNS[2]], onlyFailed=False)
    assert plan.files == LFNS[1:3]
    with pytest.raises(BadSelection, match="no registered file nothing"):
        desk.desk.plan("20230302", [SE], ["nothing"], onlyFailed=False)
    with pytest.raises(BadSelection, match="not copied to NOWHERE"):
        desk.desk.plan("20230302", ["NOWHERE"], [], onlyFailed=False)


def test_what_is_copied_again_is_journalled_first_and_the_block_goes_back_to_work(desk):
    (plan,) = desk.desk.plan("20230302", [SE], [LFNS[1]], onlyFailed=False)
    done, journal = Done(), []
    assert desk.desk.carryOut(plan, done, lambda name: journal.append((name, len(done.calls))), "alice", "why") == 1
    assert journal == [(f"{LFNS[1]} {SE}", 0)]
    assert desk.ledger.moves == [(SE, BlockState.DONE, BlockState.CLOSED), ("", BlockState.DONE, BlockState.CLOSED)]
    assert [call[0] for call in done.calls] == ["cancelRequests", "deregister", "attach", "setUnused"]
    assert desk.ledger.forgotten == [(SE, (LFNS[1],))]


def test_a_bad_source_that_was_put_right_is_a_source_again(desk):
    (plan,) = desk.desk.plan("20230302", [SE], LFNS[1:3], onlyFailed=False)
    desk.ledger.bad = {LFNS[1]: [SOURCE, SE], LFNS[2]: [SOURCE]}
    desk.copies = {SOURCE: {LFNS[1]: (CopyState.GOOD, ""), LFNS[2]: (CopyState.WRONG_CHECKSUM, "")}}
    desk.desk.carryOut(plan, Done(), lambda _name: None, "alice", "why")
    assert desk.ledger.ended == [(SOURCE, 0)]


def test_nothing_is_taken_out_of_the_source(desk):
    (plan,) = desk.desk.plan("20230302", [SE], [LFNS[1]], onlyFailed=False)
    done = Done()
    with pytest.raises(ServiceRefusal, match="is the source"):
        desk.desk.carryOut(replace(plan, se=SOURCE), done, lambda _name: None, "alice", "why")
    assert done.calls == []


# ---- what the plugins know


def test_pauses_hold_while_the_service_is_away_and_end_by_themselves():
    said, clock = [SitePause(SE, "why", until=NOW + timedelta(hours=1))], [NOW]

    def ask():
        if said is None:
            raise RuntimeError("away")
        return said

    book = PauseBook(ask, dict, lambda: clock[0])
    book._pauses._validSeconds = 0
    book._pauses._clock = lambda: clock[0].timestamp()
    assert book.ofFile(SE, LFNS[0]) is not None
    said = None
    clock[0] += timedelta(minutes=30)
    assert book.ofFile(SE, LFNS[0]) is not None
    assert book.ofFile(OTHER, LFNS[0]) is None
    clock[0] += timedelta(minutes=31)
    assert book.ofFile(SE, LFNS[0]) is None


def test_without_any_answer_nothing_is_paused_and_no_replica_is_bad():
    def away():
        raise RuntimeError("away")

    book = PauseBook(away, away)
    assert book.ofFile(SE, LFNS[0]) is None
    assert book.ofTransformation(SE, 7) is None
    assert book.badSEs(LFNS[0]) == frozenset()
