"""A site's looks: one after the other, kept over cycles, and a storage that is away is left alone for longer and longer."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Validation import Look, Validation, Verdict
from JUNODIRAC.Core.Logic.LooksDue import DueLook, SiteToLookAt
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.SiteLooks import Patience, SiteLooks

pytestmark = pytest.mark.unit

T0 = datetime(2023, 3, 2, tzinfo=UTC)


def due(blockID):
    return DueLook(SiteToLookAt(blockID, "Raw", f"2023030{blockID}", "SE", BlockState.REPLICATED, T0), Look.FIRST)


class FakeLook:
    """A look of so many slices; ``plan`` says what a slice raises, or the verdict it ends with."""

    def __init__(self, each, slices, outcome, world):
        self.due, self.left, self.outcome, self.world = each, slices, outcome, world
        self.isDiscarded = outcome == "changed"
        self.failure = "no route" if outcome == "down" else ""
        self.doneFiles, self.total = 0, slices

    @property
    def isDone(self):
        return self.left == 0

    def step(self):
        self.world.steps.append(self.due.site.blockID)
        self.world.clock += timedelta(seconds=1)
        error = self.world.errors.pop(0) if self.world.errors else None
        if error:
            raise error
        self.left -= 1

    def validation(self, actor, now):
        verdict = Verdict.INCOMPLETE if self.outcome in ("down", "silent") else Verdict(self.outcome)
        return Validation(self.due.site.blockID, "SE", self.due.look, actor, T0, now, verdict, 1, 1, 1, failure=self.failure)


class World:
    def __init__(self, log):
        self.clock, self.log = T0, log
        self.slices, self.outcomes = 2, {}
        self.steps, self.errors, self.made, self.book = [], [], [], []
        self.site = SiteLooks("SE", self.make, self, log, "agent", Patience(10, 40), now=lambda: self.clock)

    def make(self, each, now):
        self.made.append(each.site.blockID)
        return FakeLook(each, self.slices, self.outcomes.get(each.site.blockID, "Good"), self)

    def recordValidation(self, found):
        self.book.append((found.blockID, found.verdict))
        return len(self.book)

    def run(self, *blockIDs, seconds=1000):
        self.site.run([due(blockID) for blockID in blockIDs], self.clock + timedelta(seconds=seconds))

    def wait(self, seconds):
        self.clock += timedelta(seconds=seconds)


@pytest.fixture
def world(log):
    return World(log)


def test_what_is_due_is_looked_at_in_its_order_and_written_down_with_a_line_each(world):
    world.run(1, 2)
    assert world.book == [(1, Verdict.GOOD), (2, Verdict.GOOD)]
    assert [found.blockID for found in world.site.takeOutcomes()] == [1, 2]
    assert world.site.takeOutcomes() == []
    assert len(world.log.at("notice")) == 2
    assert "Raw 20230301 at SE" in world.log.at("notice")[0]


def test_a_look_that_is_too_long_for_a_cycle_goes_on_in_the_next_one(world):
    world.slices = 5
    world.run(1, 2, seconds=3)
    assert world.book == []
    world.run(1, 2, seconds=3)
    assert world.book == [(1, Verdict.GOOD)]
    assert world.made == [1, 2]
    assert world.steps == [1] * 5 + [2]


def test_a_look_that_is_not_due_any_more_is_dropped(world):
    world.slices = 5
    world.run(1, seconds=2)
    world.run(2)
    assert world.book == [(2, Verdict.GOOD)]


def test_a_block_that_changed_is_not_written_down_and_looked_at_anew(world):
    world.outcomes[1] = "changed"
    world.run(1)
    assert world.book == []
    world.outcomes[1] = "Good"
    world.run(1)
    assert world.book == [(1, Verdict.GOOD)]


def test_a_storage_that_is_away_costs_one_look_and_is_asked_again_later_and_later(world):
    world.outcomes = {1: "down", 2: "down"}
    world.run(1, 2)
    assert world.book == [(1, Verdict.INCOMPLETE)]
    world.run(1, 2)
    assert len(world.book) == 1
    for waited in (10, 20, 40, 40):
        world.wait(waited - 1)
        world.run(1, 2)
        world.wait(1)
        before = len(world.book)
        world.run(1, 2)
        assert len(world.book) == before + 1
    world.outcomes = {}
    world.wait(40)
    world.run(1, 2)
    assert world.book[-2:] == [(1, Verdict.GOOD), (2, Verdict.GOOD)]


def test_a_file_that_gives_no_answer_holds_up_its_block_only(world):
    world.outcomes[1] = "silent"
    world.run(1, 2)
    assert world.book == [(1, Verdict.INCOMPLETE), (2, Verdict.GOOD)]
    world.run(1)
    assert len(world.book) == 2
    world.wait(10)
    world.run(1)
    assert len(world.book) == 3


@pytest.mark.parametrize("failures", [1, 2])
def test_a_ledger_or_catalogue_that_is_away_ends_the_run_and_keeps_what_was_found(world, failures):
    world.errors = [None] + [TemporaryFailure("DataManagement/FileCatalog", "away")] * failures
    for _ in range(failures + 1):
        world.run(1)
    assert world.book == [(1, Verdict.GOOD)]
    assert world.made == [1]
    assert len(world.log.at("warn")) == failures


def test_an_outcome_that_cannot_be_written_down_is_written_down_later(world):
    record, failures = world.recordValidation, [TemporaryFailure("RawData/RawDataDB", "away")]

    def recordValidation(found):
        if failures:
            raise failures.pop()
        return record(found)

    world.recordValidation = recordValidation
    world.run(1)
    assert world.book == []
    world.run(1)
    assert world.book == [(1, Verdict.GOOD)]
    assert len(world.steps) == 2


def test_a_block_that_cannot_be_looked_at_at_all_does_not_stop_the_others(world):
    world.errors = [RuntimeError("a bug")]
    world.run(1, 2)
    assert world.book == [(2, Verdict.GOOD)]
    assert "a bug" in world.log.at("exception")[0]
    world.run(1)
    assert len(world.book) == 1, "it waits"


def test_a_run_that_still_waits_for_its_storage_is_not_started_again(world):
    hang, step = threading.Event(), FakeLook.step
    began = threading.Event()

    def slow(look):
        began.set()
        hang.wait(20)
        step(look)

    make = world.make
    world.site._makeLook = lambda each, now: _with(make(each, now), slow)
    assert world.site.start([due(1)], T0 + timedelta(seconds=1000))
    began.wait(20)
    assert not world.site.start([due(1)], T0 + timedelta(seconds=1000))
    hang.set()
    world.site.join(20)
    assert world.book == [(1, Verdict.GOOD)]


def _with(look, step):
    look.step = lambda: step(look)
    return look
