"""A file that comes after its block was closed ends as the policy of its Type says, in exactly one block."""

from __future__ import annotations

import pytest
from fakes import Killed, World, announcement, messages_of, raw_name, raw_policy
from fakes import lfn_of as lfn

from JUNODIRAC.Core.Domain.BlockState import CLOSED_TO_FILES, BlockState
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Reason import Reason

pytestmark = pytest.mark.unit

BLOCK, LATE1, LATE2 = "20230302", "20230302-late1", "20230302-late2"
SITES = ("CNAF-STORM", "IN2P3-DCACHE", "JINR-EOS")


def closed_world(policy: str, state: BlockState = BlockState.VALIDATED, **options: str) -> World:
    """A block with file 1, then closed."""
    world = World(raw_policy(LateFiles=policy, **options))
    world.store(announcement(1))
    world.run(messages_of([announcement(1)]))
    world.ledger.move_block(BLOCK, state)
    return world


def state_of(world: World, name: str = BLOCK) -> BlockState:
    return world.ledger.blocks["Raw", name].state


def transfers(world: World) -> dict[str, list[str]]:
    return {name: sorted(world.transformations.files[number]) for number, name in enumerate(world.transformations.names)}


# ---- Append


@pytest.mark.parametrize("state", [BlockState.REPLICATED, BlockState.VALIDATED, BlockState.DONE])
def test_append_registers_and_attaches_as_usual_and_the_block_has_to_be_proved_again(state: BlockState) -> None:
    world = closed_world("Append", state)
    late = messages_of([announcement(2), announcement(3)], start=1)
    assert world.run(late).registered == 2
    assert state_of(world) == BlockState.CLOSED
    assert world.ledger.taken_back == [
        (BLOCK, f"late files: {raw_name(2)} (juno.raw/0/1), {raw_name(3)} (juno.raw/0/2)"),
    ]
    assert transfers(world) == {f"Commissioning-{BLOCK}-{se}": [lfn(1), lfn(2), lfn(3)] for se in SITES}
    world.check_truth(late)


@pytest.mark.parametrize("state", [BlockState.OPEN, BlockState.CLOSED, BlockState.PROBLEM])
def test_append_changes_nothing_of_a_block_that_has_work_to_do_anyway(state: BlockState) -> None:
    world = closed_world("Append", state)
    world.run(messages_of([announcement(2)], start=1))
    assert (state_of(world), world.ledger.taken_back) == (state, [])


def test_a_block_is_taken_back_before_its_late_file_has_a_row() -> None:
    """Otherwise a crash in between would leave a validated block with one file more, and nobody would know."""
    for step in range(1, 30):
        world = closed_world("Append")
        late = messages_of([announcement(2)], start=1)
        world.steps.count, world.steps.kill_at = 0, step
        try:
            world.run(late)
        except Killed:
            pass
        else:
            break
        assert lfn(2) not in world.ledger.rows or state_of(world) == BlockState.CLOSED, f"killed at step {step}"
        world.run(late)
        world.check_truth(late)
    assert step > 15


def test_the_reason_names_some_files_and_counts_the_others() -> None:
    world = closed_world("Append")
    world.run(messages_of([announcement(number) for number in range(2, 12)], start=1))
    ((_, reason),) = world.ledger.taken_back
    assert reason.endswith(f"{raw_name(6)} (juno.raw/0/5) and 5 more")


# ---- FollowUp


@pytest.mark.parametrize("state", sorted(CLOSED_TO_FILES))
def test_follow_up_leaves_the_closed_block_as_it_is(state: BlockState) -> None:
    world = closed_world("FollowUp", state)
    before = transfers(world)
    late = messages_of([announcement(2)], start=1)
    summary = world.run(late)
    assert [(block.name, block.parent, block.directory) for block in summary.openedBlocks] == [(LATE1, BLOCK, "")]
    assert state_of(world) == state
    assert world.ledger.rows[lfn(2)].followUp == LATE1
    assert world.ledger.rows[lfn(1)].followUp == ""
    assert world.announcer.last()["juno.raw", 0, 1][3] == LATE1
    assert transfers(world) == before | {f"Commissioning-{LATE1}-{se}": [lfn(2)] for se in SITES}
    world.check_truth(late)


def test_late_files_are_in_no_transfer_of_the_closed_block_even_after_the_stock_agent_has_looked() -> None:
    world = closed_world("FollowUp")
    assert len(world.transformations.queries) == len(SITES)
    late = messages_of([announcement(2)], start=1)
    world.run(late)
    world.transformations.pull(world.catalogue)
    world.check_truth(late)
    assert world.transformations.queries == {}


def test_late_files_go_into_the_open_follow_up_block_and_into_the_next_one_when_that_is_closed() -> None:
    world = closed_world("FollowUp")
    world.run(messages_of([announcement(2)], start=1))
    world.run(messages_of([announcement(3)], start=2))
    world.ledger.move_block(LATE1, BlockState.DONE)
    world.run(messages_of([announcement(4)], start=3))
    found = {number: world.ledger.rows[lfn(number)].followUp for number in range(1, 5)}
    assert found == {1: "", 2: LATE1, 3: LATE1, 4: LATE2}
    assert state_of(world, LATE1) == BlockState.DONE
    world.transformations.pull(world.catalogue)
    world.check_truth(messages_of([announcement(number) for number in range(1, 5)]))


def test_a_block_that_was_opened_again_takes_files_itself_while_its_follow_up_keeps_those_that_it_has() -> None:
    world = closed_world("FollowUp")
    world.run(messages_of([announcement(2)], start=1))
    world.ledger.move_block(BLOCK, BlockState.OPEN)
    world.run(messages_of([announcement(3)], start=2))
    assert (world.ledger.rows[lfn(2)].followUp, world.ledger.rows[lfn(3)].followUp) == (LATE1, "")
    world.check_truth(messages_of([announcement(number) for number in range(1, 4)]))


def test_a_new_destination_of_a_block_with_follow_ups_gets_no_query_for_their_files() -> None:
    world = closed_world("FollowUp")
    world.run(messages_of([announcement(2)], start=1))
    world.ledger.move_block(BLOCK, BlockState.OPEN)
    wider = raw_policy(LateFiles="FollowUp", Destinations=", ".join((*SITES, "MSU-EOS")))
    world.run(messages_of([announcement(3)], start=2), wider)
    assert f"Commissioning-{BLOCK}-MSU-EOS" in world.transformations.names
    assert world.transformations.queries == {}


def test_another_announcement_of_a_late_file_is_a_duplicate() -> None:
    for policy in ("Append", "FollowUp"):
        world = closed_world(policy)
        world.run(messages_of([announcement(2)], start=1))
        again = messages_of([announcement(1), announcement(2)], start=2)
        assert world.run(again).duplicates == 2
        world.ledger.move_block(LATE1, BlockState.DONE)
        before = world.snapshot()
        assert world.run(again).duplicates == 2
        assert world.snapshot() == before


def test_death_at_any_step_leaves_a_late_file_in_one_follow_up_block() -> None:
    undisturbed = closed_world("FollowUp")
    late = messages_of([announcement(2), announcement(3), announcement(2)], start=1)
    undisturbed.steps.count = 0
    undisturbed.run(late)
    total = undisturbed.steps.count
    assert total > 30
    for step in range(1, total + 1):
        world = closed_world("FollowUp")
        world.steps.count, world.steps.kill_at = 0, step
        with pytest.raises(Killed):
            world.run(late)
        world.run(late)
        world.transformations.pull(world.catalogue)
        world.check_truth(late)
        assert world.snapshot() == undisturbed.snapshot(), f"killed at step {step}"


# ---- Quarantine


def test_quarantine_refuses_late_files_with_a_reason_and_touches_nothing() -> None:
    world = closed_world("Quarantine", BlockState.DONE)
    late = messages_of([announcement(2), announcement(2), announcement(1)], start=1)
    summary = world.run(late)
    assert summary.quarantined == {Reason.LATE_FILE: 2}
    assert summary.duplicates == 1, "a file that is registered is not late"
    assert "20230302 is Done" in summary.quarantinedMessages[0].detail
    assert (state_of(world), set(world.catalogue.files)) == (BlockState.DONE, {lfn(1)})
    world.check_truth(late)


def test_a_late_file_is_registered_when_its_message_is_replayed_into_the_block_that_was_opened_again() -> None:
    world = closed_world("Quarantine", BlockState.DONE)
    world.run(messages_of([announcement(2)], start=1))
    world.run(messages_of([announcement(2)], start=2))
    assert world.ledger.rows[lfn(2)].state == FileState.QUARANTINED
    world.ledger.move_block(BLOCK, BlockState.OPEN)
    replayed = messages_of([announcement(2)], start=3)
    assert world.run(replayed).registered == 1
    assert set(world.ledger.quarantine_states.values()) == {"Retried"}
    world.check_truth(replayed)


# ---- what counts as late


@pytest.mark.parametrize(("policy", "isInBlock"), [("Append", True), ("FollowUp", False), ("Quarantine", False)])
def test_a_file_that_waited_when_its_block_was_closed_is_late(policy: str, isInBlock: bool) -> None:
    world = closed_world(policy, BlockState.OPEN, StorageCheck="Size", GraceSeconds="100")
    message = messages_of([announcement(2)], start=1)
    assert world.run(message).waiting == 1
    world.ledger.move_block(BLOCK, BlockState.DONE)
    world.store(announcement(2))
    world.retry(20)
    attached = transfers(world)[f"Commissioning-{BLOCK}-JINR-EOS"]
    assert (lfn(2) in attached) == isInBlock
    assert (world.ledger.rows[lfn(2)].state == FileState.QUARANTINED) == (policy == "Quarantine")
    world.check_truth(message)


@pytest.mark.parametrize("policy", ["Append", "FollowUp", "Quarantine"])
def test_a_file_that_a_crash_left_behind_before_the_closing_came_in_time(policy: str) -> None:
    world = closed_world(policy, BlockState.OPEN)
    message = messages_of([announcement(2)], start=1)
    world.steps.kill_at = world.steps.count + 9  # after the row was written
    with pytest.raises(Killed):
        world.run(message)
    assert world.ledger.rows[lfn(2)].state == FileState.ANNOUNCED
    world.ledger.move_block(BLOCK, BlockState.CLOSED)
    assert world.run(message).registered == 1
    assert lfn(2) in transfers(world)[f"Commissioning-{BLOCK}-JINR-EOS"]
    assert len(world.transformations.names) == len(SITES)
    world.check_truth(message)


def test_a_file_that_left_a_follow_up_block_for_quarantine_goes_where_it_belongs_when_it_is_good() -> None:
    world = closed_world("FollowUp")
    world.catalogue.refused = {(lfn(2), f"{2:08x}")}
    world.run(messages_of([announcement(2)], start=1))
    assert world.ledger.rows[lfn(2)].state == FileState.QUARANTINED
    world.catalogue.refused = set()
    world.ledger.move_block(BLOCK, BlockState.OPEN)
    again = messages_of([announcement(2)], start=2)
    assert world.run(again).registered == 1
    assert world.ledger.rows[lfn(2)].followUp == ""
    world.check_truth(again)
