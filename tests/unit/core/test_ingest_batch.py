"""Invariants of a batch, with everything outside in memory."""

from __future__ import annotations

import itertools

import pytest
from fakes import Killed, World, announcement, messages_of, raw_name, raw_policy
from fakes import lfn_of as lfn

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.IngestBatch import IngestBatch
from JUNODIRAC.Core.Logic.Ports import Message, TemporaryFailure

pytestmark = pytest.mark.unit

DAY = "/juno/raw/2023/0302"


def mixed_batch() -> list[object]:
    """Good, bad, repeated and contradicting announcements over two blocks."""
    return [
        announcement(1),
        announcement(2, FileSize=None),
        b"{",
        announcement(3, FileSize=0),
        announcement(3),
        announcement(1),
        announcement(1, Checksum="ffffffff"),
        announcement(4, day="0303"),
        announcement(5, FileSize=None),
        announcement(6),
        announcement(6, Checksum="66666666"),
        announcement(7, FileName="Daq.x.dat"),
        announcement(8, FilePath="/eos/juno/esd/2023/0302"),
        announcement(2, FileSize=7),
        announcement(9, FileSize=None),
        announcement(9, FileSize=0),
    ]


def prepared_world() -> World:
    world = World()
    world.storage.files = {lfn(2): (2222, ""), lfn(9): (9999, "")}
    world.catalogue.refused = {(lfn(6), f"{6:08x}")}
    return world


def test_each_message_ends_in_exactly_one_of_registered_duplicate_quarantined() -> None:
    world = prepared_world()
    batch = messages_of(mixed_batch())
    summary = world.run(batch)

    assert summary.messages == len(batch) == summary.registered + summary.duplicates + sum(summary.quarantined.values())
    assert sorted(summary.registeredFiles) == [lfn(1), lfn(2), lfn(3), lfn(6), lfn(9), lfn(4, "0303")]
    assert summary.duplicateFiles == (lfn(1),)
    assert {item.message.offset: item.reason for item in summary.quarantinedMessages} == {
        2: Reason.UNDECODABLE,
        3: Reason.ZERO_SIZE,
        6: Reason.CONFLICT,
        8: Reason.NOT_ON_STORAGE,
        9: Reason.CATALOGUE_REFUSED,
        11: Reason.BAD_NAME,
        12: Reason.BAD_PATH,
        13: Reason.CONFLICT,
        15: Reason.CONFLICT,
    }
    assert summary.blocksOpened == 2


def test_a_registered_file_is_in_ledger_catalogue_and_every_transfer_of_its_block() -> None:
    world = prepared_world()
    summary = world.run(messages_of(mixed_batch()))

    assert set(world.catalogue.files) == set(summary.registeredFiles)
    assert {name for name, row in world.ledger.rows.items() if row.state == FileState.REGISTERED} == set(summary.registeredFiles)
    transfers = world.snapshot()["transfers"]
    for day, se in itertools.product(("0302", "0303"), ("CNAF-STORM", "IN2P3-DCACHE", "JINR-EOS")):
        expected = sorted(name for name in summary.registeredFiles if f"/{day}/" in name)
        assert transfers[f"Commissioning-2023{day}-{se}"] == expected
    assert world.catalogue.metadata[DAY] == {"Block": "20230302", "Type": "Raw"}


def test_a_quarantined_message_keeps_its_bytes() -> None:
    world = World()
    world.run(messages_of([b"\xff\x00 not json", announcement(1, Checksum="xyz")]))
    first, second = world.ledger.quarantine.values()
    assert first.message.payload == b"\xff\x00 not json"
    assert (second.reason, second.fileName) == (Reason.BAD_CHECKSUM, raw_name(1))


def test_replaying_all_messages_changes_nothing() -> None:
    world = prepared_world()
    batch = messages_of(mixed_batch())
    world.run(batch)
    before = world.snapshot()
    summary = world.run(batch)
    assert world.snapshot() == before
    assert summary.blocksOpened == 0
    assert (summary.registered, summary.waiting) == (0, 0)
    assert summary.messages == len(batch) == summary.repeated + summary.duplicates + sum(summary.quarantined.values())


@pytest.mark.parametrize("error", [Killed, TemporaryFailure])
def test_death_at_any_step_costs_a_repetition_and_nothing_else(error: type[Exception]) -> None:
    undisturbed = prepared_world()
    batch = messages_of(mixed_batch())
    undisturbed.run(batch)
    total = undisturbed.steps.count
    assert total > 40

    for step in range(1, total + 1):
        world = prepared_world()
        world.steps.kill_at, world.steps.error = step, error
        with pytest.raises(error):
            world.run(batch)
        world.run(batch)
        world.check_truth(batch)
        assert world.snapshot() == undisturbed.snapshot(), f"killed at step {step}, after {world.steps.calls}"


def test_a_bad_announcement_never_takes_away_a_registered_file() -> None:
    world = World()
    world.run(messages_of([announcement(1)]))
    bad = [announcement(1, FileSize=0), announcement(1, Checksum="ffffffff"), announcement(1, FileSize=5)]
    summary = world.run(messages_of(bad, start=10))
    assert summary.quarantined == {Reason.CONFLICT: 3}
    row = world.ledger.rows[lfn(1)]
    assert (row.state, row.checksum, row.sizeBytes) == (FileState.REGISTERED, "00000001", 1001)
    assert world.catalogue.files[lfn(1)].checksum == "00000001"


def test_a_conflict_does_not_stop_the_announced_file_that_a_crash_left_behind() -> None:
    world = World()
    good = messages_of([announcement(1)])
    world.steps.kill_at = 9  # after the row was written
    with pytest.raises(Killed):
        world.run(good)
    assert world.ledger.rows[lfn(1)].state == FileState.ANNOUNCED
    # another partition's message comes first after the restart
    assert world.run(messages_of([announcement(1, Checksum="ffffffff")], start=7)).quarantined == {Reason.CONFLICT: 1}
    assert world.run(good).registeredFiles == (lfn(1),)


def left_behind(world: World, content: dict[str, object], offset: int) -> Message:
    """A message whose receiver died between the file's row and its registration."""
    message = messages_of([content], start=offset)
    world.catalogue.silent = {lfn(1)}
    with pytest.raises(TemporaryFailure):
        world.run(message)
    world.catalogue.silent = set()
    assert world.ledger.rows[lfn(1)].state == FileState.ANNOUNCED
    return message[0]


def test_a_file_that_a_crash_left_behind_is_registered_for_the_message_that_the_ledger_names() -> None:
    world = World()
    own = left_behind(world, announcement(1), 7)
    other = messages_of([announcement(1)], start=3)
    assert world.run(other).registeredFiles == (lfn(1),)
    assert world.run([own]).repeatedFiles == (lfn(1),)
    last = world.announcer.last()
    assert (last[other[0].position][0], last[own.position][0]) == ("Duplicate", "Registered")


def test_a_message_before_the_one_that_a_crash_left_behind_does_not_take_its_place() -> None:
    world = World(raw_policy(GraceSeconds="100"))
    before = messages_of([announcement(1, FileSize=None)])  # it waited
    own = left_behind(world, announcement(1), 7)
    world.run([*before, own])
    last = world.announcer.last()
    assert (last[before[0].position][0], last[own.position][0]) == ("Duplicate", "Registered")


def test_after_a_refused_announcement_the_first_that_gets_in_settles_the_matter() -> None:
    world = World()
    refused, good = announcement(1), announcement(1, Checksum="22222222")
    world.catalogue.refused = {(lfn(1), "00000001")}
    summary = world.run(messages_of([refused, refused, good, refused, good]))
    assert {item.message.offset: item.reason for item in summary.quarantinedMessages} == {
        0: Reason.CATALOGUE_REFUSED,
        1: Reason.CATALOGUE_REFUSED,
        3: Reason.CONFLICT,
    }
    assert (summary.registered, summary.duplicates) == (1, 1)


def test_a_quarantined_file_that_is_announced_again_is_registered() -> None:
    world = World()
    late = announcement(1, FileSize=None)
    assert world.run(messages_of([late])).quarantined == {Reason.NOT_ON_STORAGE: 1}
    world.storage.files[lfn(1)] = (77, "")
    assert world.run(messages_of([late])).registered == 0  # the same message again: a replay
    assert world.run(messages_of([late], start=5)).registeredFiles == (lfn(1),)
    assert world.ledger.rows[lfn(1)].sizeBytes == world.catalogue.files[lfn(1)].sizeBytes == 77


def test_fields_that_nobody_knows_are_kept_in_the_ledger() -> None:
    world = World()
    world.run(messages_of([announcement(1, Shifter="x", EventCount="12", RunNumber=1207, Time=0)]))
    row = world.ledger.rows[lfn(1)]
    assert row.extra == {"Shifter": "x", "RunNumber": 1207, "Time": "1970-01-01T00:00:00+00:00"}
    assert row.eventCount == 12


def test_a_destination_added_later_is_opened_with_the_next_file_and_only_once() -> None:
    world = World()
    world.run(messages_of([announcement(1)]), raw_policy(Destinations="CNAF-STORM"))
    both = raw_policy(Destinations="CNAF-STORM, JINR-EOS")
    assert world.run(messages_of([announcement(2)], start=1), both).blocksOpened == 1
    assert world.run(messages_of([announcement(3)], start=2), both).blocksOpened == 0
    transfers = world.snapshot()["transfers"]
    assert transfers["Commissioning-20230302-CNAF-STORM"] == [lfn(1), lfn(2), lfn(3)]
    assert transfers["Commissioning-20230302-JINR-EOS"] == [lfn(2), lfn(3)]


def test_names_that_differ_in_case_alone_are_a_conflict_whether_in_one_batch_or_in_two() -> None:
    first, second = announcement(1), announcement(1, FileName=raw_name(1, "GLOBAL"))
    together, apart = World(), World()
    together.run(messages_of([first, second]))
    apart.run(messages_of([first]))
    summary = apart.run(messages_of([second], start=1))
    assert summary.quarantined == {Reason.CONFLICT: 1}
    assert "ignore case" in summary.quarantinedMessages[0].detail
    assert lfn(1) in summary.quarantinedMessages[0].detail
    assert together.snapshot() == apart.snapshot()


def test_files_of_a_directory_that_has_another_block_are_quarantined_and_the_rest_goes_on() -> None:
    world = World()
    world.ledger.directories[DAY] = ("Raw", "2023")
    summary = world.run(messages_of([announcement(1), announcement(2, day="0303"), announcement(1), announcement(3, FileSize=5)]))
    assert summary.registeredFiles == (lfn(2, "0303"),)
    assert summary.quarantined == {Reason.BAD_PATH: 3}
    assert "belongs to Raw/2023" in summary.quarantinedMessages[0].detail


def test_a_file_that_the_transformation_system_refuses_is_quarantined_with_what_it_said() -> None:
    world = World()
    world.transformations.refused = {lfn(1)}
    summary = world.run(messages_of([announcement(1), announcement(2)]))
    assert summary.registeredFiles == (lfn(2),)
    assert summary.quarantined == {Reason.CATALOGUE_REFUSED: 1}
    assert "Transformation System refused it: not attached" in summary.quarantinedMessages[0].detail
    world.transformations.refused = set()
    assert world.run(messages_of([announcement(1)], start=2)).registeredFiles == (lfn(1),)


@pytest.mark.parametrize("state", [FileState.WAIVED, FileState.DROPPED])
def test_a_given_up_file_is_taken_up_by_a_good_announcement_and_left_by_a_bad_one(state: FileState) -> None:
    world = World()
    world.run(messages_of([announcement(1, FileSize=0)]))
    world.ledger.close(lfn(1), state)
    assert world.run(messages_of([announcement(1, FileSize=0)], start=1)).quarantined == {Reason.ZERO_SIZE: 1}
    assert world.ledger.rows[lfn(1)].state == state
    assert world.run(messages_of([announcement(1)], start=2)).registeredFiles == (lfn(1),)
    assert world.ledger.rows[lfn(1)].state == FileState.REGISTERED


def test_offsets_may_be_committed_after_a_run_because_all_was_said_before() -> None:
    world = World()
    world.announcer.away = True
    batch = messages_of([announcement(1), b"{", announcement(1)])
    with pytest.raises(TemporaryFailure):
        world.run(batch)
    assert world.ledger.rows[lfn(1)].state == FileState.REGISTERED  # durable before anybody hears of it
    world.announcer.away = False
    world.run(batch)
    last = world.announcer.last()
    assert [last[message.position][0] for message in batch] == ["Registered", "Quarantined", "Duplicate"]


def test_a_status_message_names_file_and_reason() -> None:
    world = World()
    world.run(messages_of([announcement(1), announcement(2, FileSize=0), announcement(3, FileName="x.dat"), b"{"]))
    said = [statuses[0] for statuses in world.announcer.said.values()]
    assert [(status.status, status.reason, status.fileName) for status in said] == [
        ("Registered", None, raw_name(1)),
        ("Quarantined", Reason.ZERO_SIZE, raw_name(2)),
        ("Quarantined", Reason.BAD_NAME, "x.dat"),
        ("Quarantined", Reason.UNDECODABLE, ""),
    ]
    assert [status.file.lfn if status.file else "" for status in said] == [lfn(1), lfn(2), "", ""]
    assert "0 bytes" in said[1].detail


def test_only_messages_of_which_no_announcement_was_read_are_dead_letters() -> None:
    world = World()
    bad = [b"\xff", announcement(1, Checksum="x"), announcement(2, FileName=None), announcement(3, FileName="x.dat"),
           announcement(4, FileSize=0), announcement(5)]  # fmt: skip
    world.run(messages_of(bad))
    assert sorted(offset for _, _, offset in world.announcer.dead) == [0, 1, 2]
    assert world.announcer.dead["juno.raw", 0, 0][0].message.payload == b"\xff"


def test_the_rates_count_what_is_new_and_not_what_came_again() -> None:
    world = World()
    batch = messages_of([announcement(1), announcement(1), announcement(2, FileSize=0)])
    world.run(batch)
    world.run(batch)
    first, again = world.ledger.counts
    assert (first.messages, first.registered, first.duplicates, first.quarantined, first.registeredBytes) == (3, 1, 1, 1, 1001)
    assert (again.messages, again.registered, again.quarantined, again.registeredBytes) == (3, 0, 0, 0)


def test_the_time_of_a_batch_is_told_by_stage() -> None:
    world = World(raw_policy(StorageCheck="Size"))
    world.store(announcement(1))
    ticks = itertools.count()
    receiver = IngestBatch(world.policy, world.ledger, world.catalogue, world.transformations, world.storage, world.announcer,
                           clock=lambda: float(next(ticks)))  # fmt: skip
    seconds = receiver.run(messages_of([announcement(1)]), world.now).seconds
    assert set(seconds) == {"decode", "lock", "ledger", "storage", "blocks", "catalogue", "transfers", "status"}
    assert all(value > 0 for value in seconds.values())


def test_blocks_are_held_in_one_order_by_all_receivers_and_before_anything_is_looked_up() -> None:
    world = World()
    days = [f"03{day:02}" for day in range(31, 0, -1)]
    summary = world.run(messages_of(announcement(1, day=day) for day in days))  # the ledger looks at the order
    assert summary.registered == len(days)
    assert world.steps.calls[:2] == ["holdBlocks", "findFiles"]
    assert world.ledger.held == []


def test_a_block_never_has_two_directories() -> None:
    world = World()
    pattern = {"DirectoryPattern": "/juno/raw/{Part}/{Day}", "BlockRule": "{Part}-{Day}"}
    contents = [announcement(1, FilePath="/eos/juno/raw/a-b/c"), announcement(2, FilePath="/eos/juno/raw/a/b-c")]
    summary = world.run(messages_of(contents), raw_policy(**pattern))
    assert summary.registered == 1
    assert summary.quarantined == {Reason.BAD_PATH: 1}
    assert len(world.catalogue.metadata) == 1


def test_a_catalogue_that_does_not_answer_for_a_file_stops_the_batch() -> None:
    world = World()
    world.catalogue.silent = {lfn(1)}
    with pytest.raises(TemporaryFailure, match=raw_name(1)):
        world.run(messages_of([announcement(1), announcement(2)]))
    assert world.ledger.rows[lfn(1)].state == FileState.ANNOUNCED


def test_the_number_of_calls_does_not_grow_with_the_number_of_files() -> None:
    def calls(files: int) -> list[str]:
        world = World()
        world.storage.files = {lfn(sequence): (5, "") for sequence in range(files)}
        sizes = itertools.cycle([None, 10])
        world.run(messages_of(announcement(sequence, FileSize=next(sizes)) for sequence in range(files)))
        return world.steps.calls

    assert calls(1000) == calls(2)
    assert len(calls(2000)) == len(calls(2)) + len(["registerFiles", "attachFiles"])  # 1000 at a time


def test_an_empty_batch_asks_nobody() -> None:
    world = World()
    assert world.run([]).messages == 0
    assert world.steps.calls == []
