"""Invariants of a batch, with everything outside in memory."""

from __future__ import annotations

import itertools

import pytest
from fakes import Killed, World, announcement, messages_of, raw_name, raw_policy
from hypothesis import given, settings
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure

pytestmark = pytest.mark.unit

DAY = "/juno/raw/2023/0302"


def lfn(sequence: int, day: str = "0302") -> str:
    return f"/juno/raw/2023/{day}/{raw_name(sequence)}"


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
    assert summary.registered == 0


def steps_of_an_undisturbed_run() -> int:
    world = prepared_world()
    world.run(messages_of(mixed_batch()))
    return world.steps.count


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
        assert world.snapshot() == undisturbed.snapshot(), f"killed at step {step}, after {world.steps.calls}"


SEQUENCES = st.integers(1, 3)
CONTENTS = st.one_of(
    st.builds(
        lambda sequence, day, checksum, size: announcement(sequence, day, Checksum=checksum, FileSize=size),
        SEQUENCES,
        st.sampled_from(["0302", "0303"]),
        st.sampled_from(["00000001", "00000002", "bad"]),
        st.sampled_from([None, 0, 10, 20]),
    ),
    st.just(b"junk"),
)


@settings(max_examples=500)
@given(
    contents=st.lists(CONTENTS, max_size=12),
    cuts=st.lists(st.integers(1, 6), max_size=12),
    kills=st.lists(st.integers(1, 60), max_size=3),
    on_storage=st.dictionaries(SEQUENCES, st.sampled_from([0, 10, 20])),
    refused=st.sets(st.tuples(SEQUENCES, st.sampled_from(["00000001", "00000002"])), max_size=2),
)
def test_the_end_does_not_depend_on_where_batches_are_cut_or_who_died(contents, cuts, kills, on_storage, refused) -> None:
    def world() -> World:
        made = World()
        made.storage.files = {lfn(sequence): (size, "") for sequence, size in on_storage.items()}
        made.catalogue.refused = {(lfn(sequence), checksum) for sequence, checksum in refused}
        return made

    messages = messages_of(contents)
    one_by_one = world()
    for message in messages:
        one_by_one.run([message])

    disturbed = world()
    remaining, lengths, deaths = messages, iter(cuts), list(kills)
    while remaining:
        batch = remaining[: next(lengths, 12)]
        disturbed.steps.count, disturbed.steps.kill_at = 0, deaths.pop() if deaths else None
        try:
            disturbed.run(batch)
        except Killed:
            lengths = itertools.chain([len(batch)], lengths)
            continue
        remaining = remaining[len(batch) :]
    assert disturbed.snapshot() == one_by_one.snapshot()


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
    world.steps.kill_at = 7  # after the row was written
    with pytest.raises(Killed):
        world.run(good)
    assert world.ledger.rows[lfn(1)].state == FileState.ANNOUNCED
    # another partition's message comes first after the restart
    assert world.run(messages_of([announcement(1, Checksum="ffffffff")], start=7)).quarantined == {Reason.CONFLICT: 1}
    assert world.run(good).registeredFiles == (lfn(1),)


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


def test_an_empty_batch_asks_nobody() -> None:
    world = World()
    assert world.run([]).messages == 0
    assert world.steps.calls == []
