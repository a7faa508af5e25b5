"""A cycle over the blocks: what it asks, changes and leaves alone, and what becomes of it when something is out of order."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from fakes import raw_policy

from JUNODIRAC.Core.Domain.BlockClosing import FileCounts
from JUNODIRAC.Core.Domain.BlockState import BlockState, checkBlockTransition
from JUNODIRAC.Core.Domain.BlockStatus import DirectoryUsage, Usage
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.Core.Domain.Validation import Look, Validation, Verdict
from JUNODIRAC.Core.Logic.BlockCycle import BlockCycle, CycleLimits, CycleReport
from JUNODIRAC.Core.Logic.BlockCyclePorts import RepairSign
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure

pytestmark = pytest.mark.unit

KNOWN, OPEN, CLOSED, REPLICATED, VALIDATED, DONE, PROBLEM = BlockState
START = datetime(2030, 3, 4, 12, 0, tzinfo=UTC)
STEP = timedelta(seconds=10)
OPTIONS = {"DirectoryDate": "{Year}{MonthDay}", "NameDate": "{FileTime}", "QuietSeconds": "3600", "SecondLookSeconds": "100"}
POLICIES = {"Raw": raw_policy(**OPTIONS)}
TIMES = {OPEN: "openedTime", CLOSED: "closedTime", REPLICATED: "replicatedTime", VALIDATED: "validatedTime",
         DONE: "doneTime", PROBLEM: "problemTime"}  # fmt: skip
LIMITS = CycleLimits()
SES = ("CNAF-STORM", "JINR-EOS")


@dataclass
class World:
    """Ledger, catalogue and transformations in memory; ``asked`` counts the calls by name."""

    blocks: dict[int, LivingBlock] = field(default_factory=dict)
    counts: dict[int, FileCounts] = field(default_factory=dict)
    last: dict[int, datetime] = field(default_factory=dict)
    replicas: dict[tuple[int, str], int] = field(default_factory=dict)
    unfinished: dict[int, int] = field(default_factory=dict)
    waiting: dict[int, int] = field(default_factory=dict)
    status: dict[int, str] = field(default_factory=dict)
    repairs: dict[tuple[int, str], RepairSign] = field(default_factory=dict)
    validations: list[Validation] = field(default_factory=list)
    events: list[tuple[int, str, str, str]] = field(default_factory=list)
    asked: list[tuple] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    broken: dict[str, Exception] = field(default_factory=dict)
    now: datetime = START
    seconds: float = 0.0
    secondsPerMove: float = 0.0

    def call(self, name: str, *what: object) -> None:
        self.asked.append((name, *what))
        if name in self.broken:
            raise self.broken[name]

    def names(self) -> set[str]:
        return {name for name, *_ in self.asked}

    # ---- ledger

    def readLivingBlocks(self, alsoBlockIDs=()):
        self.call("readLivingBlocks")
        living = {b.blockID for b in self.blocks.values() if b.state is not DONE or any(s.state is not DONE for s in b.sites)}
        return [self.blocks[number] for number in sorted(living | set(alsoBlockIDs))]

    def readLivingBlocksByID(self, blockIDs):
        return [self.blocks[number] for number in blockIDs]

    @contextmanager
    def holdBlocks(self, blocks, waitSeconds=None):
        self.call("holdBlocks", *blocks)
        if any(name in self.held for _, name in blocks):
            raise TemporaryFailure("RawDataDB", "held")
        yield

    def countBlockFiles(self, blockIDs):
        self.call("countBlockFiles", *blockIDs)
        return {number: self.counts[number] for number in blockIDs}

    def saveCounts(self, counts, now):
        for number, each in counts.items():
            self.blocks[number] = replace(
                self.blocks[number], registeredFiles=each.registered, unsettledFiles=each.unsettled, countedTime=now
            )

    def lastAnnounced(self, blockIDs):
        self.call("lastAnnounced", *blockIDs)
        return {number: self.last[number] for number in blockIDs if number in self.last}

    def blockDirectories(self, blockIDs):
        return {number: [self.blocks[number].directory] for number in blockIDs}

    def lateSizes(self, blockIDs):
        return {}

    def repairSigns(self, blockIDs):
        return self.repairs

    def newestValidations(self, blockIDs, withNames=False, conclusiveOnly=False):
        assert conclusiveOnly
        return {(each.blockID, each.se): each for each in self.validations if each.isConclusive}

    def badSince(self, validationID):
        return len(self.validations), {v.blockID for v in self.validations[validationID:] if v.verdict is Verdict.BAD}

    def moveBlock(self, blockID, old, new, actor, reason, problem="", closedBy=""):
        self.call("moveBlock", blockID)
        if isinstance(self.broken.get(f"block {blockID}"), Exception):
            raise self.broken[f"block {blockID}"]
        checkBlockTransition(str(blockID), old, new)
        assert self.blocks[blockID].state is old
        self.seconds += self.secondsPerMove
        changes = {"state": new, TIMES[new]: self.now, "problem": problem}
        self.blocks[blockID] = replace(self.blocks[blockID], **changes | ({"closedBy": closedBy} if closedBy else {}))
        self.events.append((blockID, "", old.value, new.value))
        return True

    def moveSite(self, blockID, se, old, new, actor, reason, problem=""):
        checkBlockTransition(se, old, new)
        self.seconds += self.secondsPerMove

        def moved(site):
            assert site.state is old
            return replace(site, state=new, problem=problem, **({TIMES[new]: self.now} if new is not OPEN else {}))

        block = self.blocks[blockID]
        sites = tuple(moved(site) if site.se == se else site for site in block.sites)
        self.blocks[blockID] = replace(block, sites=sites)
        self.events.append((blockID, se, old.value, new.value))
        return True

    def noteProblem(self, blockID, se, words):
        self.call("noteProblem", blockID, se)

    def saveProgress(self, progress, now):
        for each in progress:
            self.call("saveProgress", each.blockID, each.se, each.doneFiles)
            block = self.blocks[each.blockID]
            sites = tuple(
                replace(site, doneFiles=each.doneFiles, doneBytes=each.doneBytes) if site.se == each.se else site
                for site in block.sites
            )
            self.blocks[each.blockID] = replace(block, sites=sites)

    def pruneProgress(self, before):
        self.call("pruneProgress", before)
        return 0

    def doneTransfers(self, transformationIDs):
        return {
            site.transformationID: (block.blockID, site.se)
            for block in self.blocks.values()
            for site in block.sites
            if site.state is DONE and site.transformationID in transformationIDs
        }

    # ---- catalogue

    def directoryUsages(self, directories):
        self.call("directoryUsages", *directories)
        return {
            block.directory: DirectoryUsage(
                Usage(0, 0),
                {se: Usage(n, 100 * n) for (number, se), n in self.replicas.items() if number == block.blockID},
            )
            for block in self.blocks.values()
            if block.directory in directories
        }

    def replicaSites(self, lfns):
        return {}

    # ---- transformations

    def activeOnes(self):
        self.call("activeOnes")
        return {number: status for number, status in self.status.items() if status in ("Active", "Flush", "Stopped")}

    def statuses(self, transformationIDs):
        self.call("statuses")
        return {number: self.status[number] for number in transformationIDs if number in self.status}

    def unfinishedFiles(self, transformationIDs):
        self.call("unfinishedFiles", *transformationIDs)
        return {number: self.unfinished.get(number, 0) for number in transformationIDs}

    def waitingFiles(self, transformationIDs):
        return {number: self.waiting[number] for number in transformationIDs if number in self.waiting}

    def flush(self, transformationID):
        self.call("flush", transformationID)
        self.status[transformationID] = "Flush"

    def complete(self, transformationID):
        self.call("complete", transformationID)
        self.status[transformationID] = "Completed"

    def reopen(self, transformationID, metadata):
        self.call("reopen", transformationID, dict(metadata))
        self.status[transformationID] = "Active"

    # ---- for the tests

    def add(self, number: int, state: BlockState = OPEN, files: int = 10, **changes) -> LivingBlock:
        """A block whose day has passed and in which nothing came for a day."""
        sites = tuple(
            LivingSite(se, 10 * number + index, state, START - 3 * timedelta(days=1), doneFiles=files,
                       replicatedTime=START - timedelta(hours=9), validatedTime=START - timedelta(hours=8))
            for index, se in enumerate(SES)
        )  # fmt: skip
        values = {"openedTime": START - timedelta(days=2), "activeTime": START - timedelta(days=1), "registeredFiles": files,
                  "countedTime": START - timedelta(hours=1), "sites": sites}  # fmt: skip
        block = LivingBlock(number, "Raw", f"b{number}", f"/juno/raw/2029/{300 + number:04d}", state, START, **(values | changes))
        self.blocks[number] = block
        self.counts[number] = FileCounts(registered=files)
        self.last[number] = START - timedelta(days=1)
        for site in sites:
            self.replicas[number, site.se] = files
            self.status[site.transformationID] = "Completed" if state is DONE else "Active"
        return block

    def validate(self, number: int, isGood: bool = True) -> None:
        for se in SES:
            verdict = Verdict.GOOD if isGood else Verdict.BAD
            self.validations.append(
                Validation(
                    number, se, Look.ASKED, "a", self.now, self.now, verdict, 10, 1000, 10, validationID=len(self.validations)
                )
            )

    def states(self, number: int) -> list[str]:
        block = self.blocks[number]
        return [block.state.value, *(site.state.value for site in block.sites)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def cycle(world):
    runner = BlockCycle(world, world, world, lambda: world.seconds)

    def run(policies=POLICIES, limits=LIMITS) -> CycleReport:
        world.asked.clear()
        world.now += STEP
        return runner.run(policies, limits, world.now)

    return run


def test_a_block_goes_from_open_to_done_without_a_hand_its_tail_is_sent_out_and_its_transformations_are_completed(world, cycle):
    world.add(1)
    world.replicas[1, "JINR-EOS"] = 7
    world.waiting = {11: 3}
    cycle()
    assert world.states(1) == ["Closed", "Closed", "Closed"]
    assert world.blocks[1].closedBy == "Quiet"
    assert world.status == {10: "Active", 11: "Flush"}
    cycle()
    assert world.states(1) == ["Closed", "Replicated", "Closed"]
    world.status[11], world.replicas[1, "JINR-EOS"] = "Active", 10
    cycle()
    assert world.states(1) == ["Replicated"] * 3
    world.now += STEP
    world.validate(1)
    cycle()
    assert world.states(1) == ["Validated"] * 3
    world.now += timedelta(seconds=200)
    world.validate(1)
    cycle()
    cycle()
    assert world.states(1) == ["Done"] * 3
    assert world.status == {10: "Completed", 11: "Completed"}
    blockEvents = [(old, new) for number, se, old, new in world.events if not se]
    assert blockEvents == [("Open", "Closed"), ("Closed", "Replicated"), ("Replicated", "Validated"), ("Validated", "Done")]


def test_blocks_at_rest_cost_no_question_to_the_catalogue_or_about_files(world, cycle):
    for number in range(1, 60):
        world.add(number, OPEN, activeTime=START - timedelta(minutes=30), countedTime=START)
        world.last[number] = START - timedelta(minutes=30)
    for number in range(60, 90):
        world.add(number, VALIDATED)
    report = cycle()
    assert (report.blocks, report.moved, report.effects, report.troubles) == (89, 0, 0, {})
    assert world.names() == {"readLivingBlocks", "activeOnes", "pruneProgress"}


def test_a_block_that_a_receiver_has_in_hand_is_closed_in_a_later_cycle_and_nobody_is_troubled(world, cycle):
    world.add(1)
    world.held = {"b1"}
    report = cycle()
    assert world.states(1) == ["Open"] * 3
    assert report.troubles == {}
    world.held = set()
    cycle()
    assert world.states(1) == ["Closed"] * 3


def test_a_late_follow_up_block_is_held_under_the_name_of_its_parent(world, cycle):
    world.add(1, parent="b0", parentID=5)
    cycle()
    assert ("holdBlocks", ("Raw", "b0")) in world.asked


def test_a_block_in_which_a_file_came_between_the_look_and_the_lock_stays_open(world, cycle, monkeypatch):
    world.add(1)
    seen = []

    @contextmanager
    def hold(blocks, waitSeconds=None):
        seen.append(waitSeconds)
        world.last[1] = world.now
        yield

    monkeypatch.setattr(world, "holdBlocks", hold)
    cycle()
    assert seen == [0]
    assert world.states(1) == ["Open"] * 3


def test_done_blocks_are_read_again_only_for_a_bad_validation_and_their_transformations_reopened(world, cycle):
    world.add(1, DONE)
    world.add(2, DONE)
    assert cycle().blocks == 0
    world.status |= {10: "Archived", 20: "Archived"}
    world.blocks[2] = replace(world.blocks[2], hasFollowUps=True)
    world.validate(1, isGood=False)
    cycle()
    assert world.states(1) == ["Closed"] * 3
    cycle()
    assert (world.status[10], world.status[11]) == ("Active", "Active")
    assert ("reopen", 10, {"Block": "b1", "Type": "Raw"}) in world.asked
    assert world.states(2) == ["Done"] * 3
    assert world.status[20] == "Archived"
    world.validate(2, isGood=False)
    cycle()
    cycle()
    assert ("reopen", 20, {}) in world.asked  # a query would find the files of the follow-up block, too


def test_an_old_bad_validation_of_a_done_block_makes_it_be_read_once_and_not_in_each_cycle(world, cycle):
    world.add(1, DONE)
    world.validate(1, isGood=False)
    for site in world.blocks[1].sites:
        assert site.replicatedTime < world.now
    world.blocks[1] = replace(
        world.blocks[1], sites=tuple(replace(site, replicatedTime=world.now + STEP) for site in world.blocks[1].sites)
    )
    assert cycle().blocks == 1
    assert cycle().blocks == 0
    assert world.states(1) == ["Done"] * 3


def test_a_refused_or_forgotten_completion_is_made_up_for_though_the_block_is_done_and_at_rest(world, cycle):
    world.add(1, DONE)
    world.status |= {10: "Active", 11: "Stopped"}
    world.broken["complete"] = Refusal("no")
    report = cycle()
    assert len(report.troubles) == 2
    world.broken.clear()
    assert cycle().effects == 2
    assert world.status == {10: "Completed", 11: "Completed"}


def test_a_transformation_that_somebody_stopped_is_not_flushed_and_one_that_was_deleted_is_told(world, cycle):
    world.add(1)
    world.waiting = {10: 3, 11: 3}
    world.status |= {10: "Stopped", 11: "Deleted"}
    report = cycle()
    assert world.states(1) == ["Closed"] * 3
    assert world.status == {10: "Stopped", 11: "Deleted"}
    assert "Deleted" in report.troubles["transformation 11 of block b1 of Type Raw at JINR-EOS"]


def test_a_flush_that_fails_is_repeated_because_the_site_stays_open(world, cycle):
    world.add(1)
    world.waiting = {10: 3}
    world.broken["flush"] = TemporaryFailure("TransformationManager", "away")
    report = cycle()
    assert world.states(1) == ["Closed", "Open", "Open"]
    assert "away" in report.troubles["block b1 of Type Raw"]
    world.broken.clear()
    cycle()
    assert world.status[10] == "Flush"
    assert world.states(1)[1:] == ["Replicated", "Replicated"] or world.states(1) == ["Closed"] * 3


@pytest.mark.parametrize("away", ["directoryUsages", "activeOnes", "unfinishedFiles"])
def test_while_a_service_is_away_what_needs_it_stands_still_and_the_rest_goes_on(world, cycle, away):
    world.add(1, CLOSED)
    world.add(2, REPLICATED)
    world.validate(2)
    world.broken[away] = TemporaryFailure(away, "away")
    report = cycle()
    assert world.states(2) == ["Validated"] * 3
    assert world.states(1) == (["Replicated"] * 3 if away == "activeOnes" else ["Closed"] * 3)
    assert len(report.troubles) == 1
    world.broken.clear()
    cycle()
    assert world.states(1) == ["Replicated"] * 3


def test_the_ledger_away_ends_the_cycle(world, cycle):
    world.broken["readLivingBlocks"] = TemporaryFailure("RawDataDB", "away")
    with pytest.raises(TemporaryFailure):
        cycle()


def test_a_bad_validation_that_was_seen_while_the_ledger_went_away_is_seen_again(world, cycle):
    world.add(1, DONE)
    world.validate(1, isGood=False)
    world.broken["activeOnes"] = RuntimeError("unexpected")
    with pytest.raises(RuntimeError):
        cycle()
    world.broken.clear()
    cycle()
    assert world.states(1) == ["Closed"] * 3


def test_one_odd_block_and_a_type_without_configuration_hold_up_no_other(world, cycle):
    for number in (1, 2):
        world.add(number)
    world.blocks[3] = replace(world.add(3), typeName="Gone")
    world.broken["block 1"] = ValueError("odd")
    report = cycle()
    assert world.states(1)[0] == "Open"
    assert world.states(2) == ["Closed"] * 3
    assert set(report.troubles) == {"block b1 of Type Raw", "Type Gone"}


def test_a_cycle_ends_in_time_and_what_is_left_over_comes_first_the_failing_last(world, cycle):
    for number in range(1, 7):
        world.add(number)
    world.secondsPerMove = 1.0
    world.broken["block 1"] = ValueError("odd")
    limits = CycleLimits(seconds=5.5)
    assert cycle(limits=limits).isCut
    closed = [number for number in world.blocks if world.states(number)[0] != "Open"]
    assert closed == [2, 3]
    cycle(limits=limits)
    assert [number for number in world.blocks if world.states(number)[0] != "Open"] == [2, 3, 4, 5]
    cycle(limits=limits)
    assert [number for number in world.blocks if world.states(number)[0] == "Open"] == [1]


def test_files_are_counted_again_only_where_they_may_have_changed(world, cycle):
    world.add(1, CLOSED)
    world.add(2, CLOSED, activeTime=START - timedelta(minutes=5))
    world.add(3, CLOSED, unsettledFiles=1)
    world.add(4, CLOSED, countedTime=None)
    cycle()
    assert ("countBlockFiles", 2, 3, 4) in world.asked
    world.now += timedelta(minutes=20)
    cycle()
    cycle()
    assert "countBlockFiles" not in world.names()


def test_progress_is_noted_when_it_changed_and_only_then(world, cycle):
    world.add(1, CLOSED)
    world.replicas[1, "JINR-EOS"] = 4
    cycle()
    assert ("saveProgress", 1, "JINR-EOS", 4) in world.asked
    cycle()
    assert "saveProgress" not in world.names()


def test_files_of_a_transformation_are_counted_only_where_all_replicas_are_there(world, cycle):
    world.add(1, CLOSED)
    world.replicas[1, "JINR-EOS"] = 4
    world.unfinished = {10: 1}
    cycle()
    assert ("unfinishedFiles", 10) in world.asked
    assert world.states(1) == ["Closed"] * 3


def test_what_the_repair_gave_up_makes_a_problem_and_it_ends_with_it(world, cycle):
    world.add(1, CLOSED)
    world.replicas[1, "JINR-EOS"] = 8
    world.repairs = {(1, "JINR-EOS"): RepairSign({"Permission": 2}, 0, START)}
    cycle()
    assert world.states(1) == ["Problem", "Replicated", "Problem"]
    assert "Permission 2" in world.blocks[1].problem
    world.repairs, world.replicas[1, "JINR-EOS"] = {}, 10
    cycle()
    cycle()
    assert world.states(1) == ["Replicated"] * 3


def test_a_reopened_block_is_not_closed_again_by_what_had_closed_it(world, cycle):
    world.add(1, OPEN, openedTime=START, closedTime=START - timedelta(hours=5), expectedFiles=10,
              expectedTime=START - timedelta(hours=6))  # fmt: skip
    cycle()
    assert world.states(1) == ["Open"] * 3
    world.now += timedelta(hours=2)
    cycle()
    assert world.states(1)[0] == "Closed"
    assert world.blocks[1].closedBy == "Quiet"
