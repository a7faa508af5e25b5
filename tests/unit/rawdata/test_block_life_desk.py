"""Closing, reopening and flushing by hand: refused where it makes no sense, journalled before the change."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from test_commands import Command

from JUNODIRAC.Core.Domain.BlockClosing import FileCounts
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.RawDataSystem.Client.BlockLifeDesk import BlockLifeDesk, CannotChangeBlock
from JUNODIRAC.RawDataSystem.Client.BlockOpener import UnknownBlock
from JUNODIRAC.RawDataSystem.Client.BlockVerbs import LifeVerbs
from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError
from JUNODIRAC.RawDataSystem.Client.QuarantineDesk import Actor

NOW = datetime(2030, 3, 4, 12, 0, tzinfo=UTC)
ACTOR = Actor("prod", "juno_prod", "because")
OPEN, CLOSED, DONE, PROBLEM = BlockState.OPEN, BlockState.CLOSED, BlockState.DONE, BlockState.PROBLEM


class World:
    """Ledger and transformations."""

    def __init__(self, state: BlockState = OPEN) -> None:
        sites = tuple(LivingSite(se, number, state, NOW) for number, se in enumerate(("CNAF-STORM", "JINR-EOS"), 1))
        self.block = LivingBlock(1, "Raw", "20300303", "/d", state, NOW, sites, closedBy="" if state is OPEN else "Quiet")
        self.counts = FileCounts(registered=10)
        self.waiting: dict[int, int] = {}
        self.status = {1: "Active", 2: "Active"}
        self.done: list[tuple] = []

    def blockIDOf(self, typeName, name):
        return 1 if (typeName, name) == ("Raw", "20300303") else None

    def readLivingBlocksByID(self, blockIDs):
        return [] if self.block.state is BlockState.KNOWN else [self.block]

    def countBlockFiles(self, blockIDs):
        return {1: self.counts}

    @contextmanager
    def holdBlocks(self, blocks, waitSeconds=None):
        self.done.append(("hold", *blocks))
        yield

    def moveBlock(self, blockID, old, new, actor, reason, problem="", closedBy=""):
        self.done.append(("block", old.value, new.value, actor, reason, closedBy))
        self.block = replace(self.block, state=new, closedBy=closedBy)
        return True

    def moveSite(self, blockID, se, old, new, actor, reason, problem=""):
        self.done.append(("site", se, old.value, new.value))
        return True

    def setExpected(self, blockID, fileCount, by, now):
        self.done.append(("expected", fileCount, by))
        self.block = replace(self.block, expectedFiles=fileCount)

    def recordJournal(self, actor, group, action, objectName, reason):
        self.done.append(("journal", actor, group, action, objectName, reason))

    def statuses(self, transformationIDs):
        return self.status

    def waitingFiles(self, transformationIDs):
        return self.waiting

    def flush(self, transformationID):
        self.done.append(("flush", transformationID))

    def names(self) -> list[str]:
        return [each[0] for each in self.done]


def deskOf(world: World) -> BlockLifeDesk:
    return BlockLifeDesk(world, world)


def test_an_open_block_is_closed_under_its_lock_after_the_journal_was_written():
    world = World()
    found = deskOf(world).close("Raw", "20300303", 0, ACTOR, NOW)
    assert (found["OldState"], found["State"]) == ("Open", "Closed")
    assert world.names() == ["hold", "journal", "block"]
    assert world.done[1] == ("journal", "prod", "juno_prod", "closeBlock", "Raw/20300303", "because")
    assert world.done[2] == ("block", "Open", "Closed", "prod", "because", "prod")


@pytest.mark.parametrize("state", [CLOSED, DONE, PROBLEM])
def test_a_block_that_is_not_open_cannot_be_closed_and_that_changes_nothing(state):
    world = World(state)
    with pytest.raises(CannotChangeBlock, match=f"it is {state}, closed by Quiet"):
        deskOf(world).close("Raw", "20300303", 0, ACTOR, NOW)
    assert world.names() == ["hold"]


@pytest.mark.parametrize(
    ("state", "names"), [(OPEN, ["hold", "journal", "expected", "block"]), (PROBLEM, ["hold", "journal", "expected"])]
)
def test_the_number_of_files_can_be_put_right_whatever_the_state(state, names):
    world = World(state)
    assert deskOf(world).close("Raw", "20300303", 11, ACTOR, NOW)["ExpectedFiles"] == 11
    assert world.names() == names
    plan = deskOf(World(state)).plan("close", "Raw", "20300303", 11)
    assert any("10 files were announced of 11" in step for step in plan["Steps"])


def test_a_block_of_any_later_state_is_reopened_with_its_sites():
    world = World(DONE)
    assert deskOf(world).reopen("Raw", "20300303", ACTOR)["State"] == "Open"
    assert world.done[0][3:5] == ("reopenBlock", "Raw/20300303")
    assert world.names() == ["journal", "block", "site", "site"]
    with pytest.raises(CannotChangeBlock, match="Open already"):
        deskOf(World()).reopen("Raw", "20300303", ACTOR)


def test_a_flush_reaches_the_transformations_that_have_a_tail_and_no_others():
    world = World()
    world.waiting = {2: 3}
    assert deskOf(world).flush("Raw", "20300303", ACTOR)["Flushed"] == {"JINR-EOS": 3}
    assert world.names() == ["journal", "flush"]
    assert world.done[1] == ("flush", 2)


@pytest.mark.parametrize(
    ("waiting", "status", "why"), [({}, "Active", "nothing to flush"), ({2: 3}, "Stopped", "JINR-EOS: Stopped")]
)
def test_a_flush_that_would_do_nothing_is_refused(waiting, status, why):
    world = World()
    world.waiting, world.status[2] = waiting, status
    with pytest.raises(CannotChangeBlock, match=why):
        deskOf(world).flush("Raw", "20300303", ACTOR)
    assert world.done == []


def test_unknown_and_never_opened_blocks_are_refused_and_so_is_a_number_that_cannot_be():
    with pytest.raises(UnknownBlock):
        deskOf(World()).close("Raw", "x", 0, ACTOR, NOW)
    with pytest.raises(CannotChangeBlock, match="never opened"):
        deskOf(World(BlockState.KNOWN)).reopen("Raw", "20300303", ACTOR)
    with pytest.raises(CannotChangeBlock, match="cannot have"):
        deskOf(World()).plan("close", "Raw", "20300303", -1)


PLAN = {"Block": "b", "Type": "Raw", "State": "Open", "Registered": 10, "Waiting": 1, "Quarantined": 0, "Waived": 0,
        "Sites": {"JINR-EOS": "Open"}, "Steps": ["it is closed"]}  # fmt: skip
DONE_ANSWER = {"Block": "b", "Type": "Raw", "OldState": "Open", "State": "Closed", "Flushed": {"JINR-EOS": 3}}


@pytest.mark.parametrize(
    ("verb", "method", "more"), [("close", "closeBlock", (0,)), ("reopen", "reopenBlock", ()), ("flush", "flushBlock", ())]
)
def test_a_verb_shows_its_plan_asks_and_calls_with_the_reason(verb, method, more, capsys):
    switches = {"type": "Raw", "reason": "why", "yes": "", "json": ""}
    command = Command([PLAN, DONE_ANSWER], switches, [verb, "b"], io.StringIO())
    assert LifeVerbs.VERBS[verb](command) == 0
    assert command.calls == [("getLifePlan", verb, "b", "Raw", 0), (method, "b", "Raw", *more, "why")]
    assert "it is closed" in capsys.readouterr().err
    assert json.loads(command.out.getvalue()) == DONE_ANSWER


@pytest.mark.parametrize("switches", [{"type": "Raw"}, {"reason": "why"}, {"type": "Raw", "reason": "why", "expect": "x"}])
def test_without_type_or_reason_or_with_a_wrong_number_nothing_is_asked(switches):
    command = Command([PLAN], switches, ["close", "b"])
    with pytest.raises(CommandError):
        LifeVerbs.VERBS["close"](command)
    assert command.calls == []


def test_without_a_yes_nothing_is_changed(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    command = Command([PLAN], {"type": "Raw", "reason": "why"}, ["close", "b"])
    with pytest.raises(CommandError, match="nothing was changed"):
        LifeVerbs.VERBS["close"](command)
    assert len(command.calls) == 1
