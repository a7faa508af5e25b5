"""An end-of-block announcement is recorded once, and said once for each message, whatever happens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes import Killed, World, announcement, end_of_block, messages_of, raw_policy
from hypothesis import given
from hypothesis import strategies as st
from payloads import JSON

from JUNODIRAC.Core.Domain.Announcement import Announcement, BadAnnouncement
from JUNODIRAC.Core.Domain.EndOfBlock import EndOfBlock, decodeMessage
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import Expected

pytestmark = pytest.mark.unit

DATA = Path(__file__).parents[2] / "data" / "announcements"
BLOCK = ("Raw", "20230302")


def said(world: World) -> list[tuple[str, str]]:
    return [(status, reason) for _, (status, reason, *_) in sorted(world.announcer.last().items())]


def test_the_first_number_is_recorded_the_same_again_is_a_duplicate_and_another_one_a_conflict() -> None:
    world = World()
    batch = messages_of([end_of_block(3), end_of_block(3), end_of_block(4), end_of_block(3)])
    summary = world.run(batch)
    assert world.ledger.expected == {BLOCK: Expected(3, ("juno.raw", 0, 0))}
    assert said(world) == [("Registered", ""), ("Duplicate", ""), ("Quarantined", Reason.CONFLICT), ("Duplicate", "")]
    assert [item.detail for item in summary.quarantinedMessages] == [
        "block 20230302 was announced with 3 files before, and now with 4"
    ]
    assert [item.fileName for item in summary.quarantinedMessages] == ["end of block 20230302"]
    assert {status.fileName for all_said in world.announcer.said.values() for status in all_said} == {""}
    assert (summary.messages, len(summary.blockEnds)) == (4, 3)
    world.check_truth(batch)


def test_a_repetition_says_the_same_again_and_changes_nothing() -> None:
    world = World()
    batch = messages_of([end_of_block(3), announcement(1), end_of_block(3), end_of_block(4)])
    world.run(batch)
    before = world.snapshot()
    world.run(batch)
    assert world.snapshot() == before


def test_death_at_any_step_costs_a_repetition_and_nothing_else() -> None:
    batch = messages_of([end_of_block(0), end_of_block(0), end_of_block(9), end_of_block(1, "20230303"), announcement(1)])
    undisturbed = World()
    undisturbed.run(batch)
    for step in range(1, undisturbed.steps.count + 1):
        world = World()
        world.steps.kill_at = step
        with pytest.raises(Killed):
            world.run(batch)
        world.run(batch)
        assert world.snapshot() == undisturbed.snapshot(), f"killed at step {step}"


@pytest.mark.parametrize(
    "content",
    [
        end_of_block(-1),
        end_of_block(1.5),
        end_of_block(None),
        end_of_block(True),
        end_of_block("many"),
        end_of_block(10**9 + 1),
        end_of_block(3, ""),
        end_of_block(3, 20230302),
        end_of_block(3, "2023030"),
        end_of_block(3, "20230302-late1"),
        end_of_block(3, "20230302\n"),
        end_of_block(3, Type="RTRaw"),
        end_of_block(3, Type=7),
        {"EndOfBlock": "20230302"},
        announcement(1) | {"EndOfBlock": "20230302"},
    ],
)
def test_what_cannot_be_meant_is_a_bad_field_and_a_dead_letter(content: dict[str, object]) -> None:
    world = World()
    batch = messages_of([content])
    assert world.run(batch).quarantined == {Reason.BAD_FIELD: 1}
    assert world.ledger.expected == {}
    assert len(world.announcer.dead) == 1
    world.check_truth(batch)


@pytest.mark.parametrize("content", [end_of_block(0), end_of_block("14400"), end_of_block(7.0), end_of_block(1, Type="Raw")])
def test_whole_numbers_and_the_own_type_are_taken(content: dict[str, object]) -> None:
    world = World()
    world.run(messages_of([content]))
    assert world.ledger.expected[BLOCK].fileCount == int(float(str(content["FileCount"])))


@pytest.mark.parametrize(
    ("rule", "directory", "good", "bad"),
    [
        ("{Type}-{Year}{MonthDay}", "/juno/raw/{Year:4}/{MonthDay:4}", "Raw-20230302", "ESD-20230302"),
        ("{Campaign}_{Period}", "/juno/raw/{Period}", "Commissioning_a.b", "Commissioning_"),
        ("{Run}", "/juno/raw/{Run:d}", "12", "12a"),
        ("all", "/juno/raw/{Run:d}", "all", "one"),
        # cannot be read back: any plain name is taken
        ("{Run}{Tag}", "/juno/raw/{Run}/{Tag}", "a", "a b"),
    ],
)
def test_only_blocks_that_files_can_have_are_taken(rule: str, directory: str, good: str, bad: str) -> None:
    policy = raw_policy(BlockRule=rule, DirectoryPattern=directory)
    assert policy.isBlockName(good)
    assert not policy.isBlockName(bad)


def test_a_message_that_makes_the_ledger_fail_does_not_hold_the_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    record = world.ledger.recordExpected

    def recordExpected(typeName, name, fileCount, position):
        if fileCount == 13:
            raise ValueError("unlucky")
        return record(typeName, name, fileCount, position)

    monkeypatch.setattr(world.ledger, "recordExpected", recordExpected)
    batch = messages_of([announcement(1), end_of_block(13), end_of_block(5, "20230303")])
    summary = world.run(batch)
    assert summary.quarantined == {Reason.INTERNAL_ERROR: 1}
    assert world.ledger.expected == {("Raw", "20230303"): Expected(5, ("juno.raw", 0, 2))}
    world.check_truth(batch)
    # a repetition after a crash, with a program that was put right: the message had its end, and has it again
    monkeypatch.undo()
    before = world.snapshot()
    world.run(batch)
    assert world.snapshot() == before


@given(st.dictionaries(st.sampled_from(["EndOfBlock", "FileCount", "Type", "FileName", "Other"]), JSON))
def test_any_object_is_an_announcement_an_end_or_a_bad_one(content: dict[str, object]) -> None:
    try:
        read = decodeMessage(json.dumps(content).encode())
    except BadAnnouncement as error:
        assert error.detail
    else:
        assert isinstance(read, EndOfBlock | Announcement)
        assert isinstance(read, EndOfBlock) == ("EndOfBlock" in content)


def test_the_example_of_the_documentation_is_read() -> None:
    assert decodeMessage((DATA / "good" / "end-of-block.json").read_bytes()) == EndOfBlock("20230302", 14400, "Raw")
