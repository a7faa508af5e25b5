"""What the storage says decides, as far as the policy of the Type asks it."""

from __future__ import annotations

import pytest
from fakes import START, Killed, World, announcement, messages_of, raw_policy
from fakes import lfn_of as lfn
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.Core.Logic.StorageCheck import isSampled

pytestmark = pytest.mark.unit


def checked(**options: str) -> World:
    """A Type whose files are checked on the storage, with a grace time of 100 s."""
    return World(raw_policy(**{"StorageCheck": "Size", "GraceSeconds": "100", **options}))


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ((1001, "00000001"), None),
        ((1002, "00000001"), Reason.SIZE_MISMATCH),
        ((0, "00000001"), Reason.SIZE_MISMATCH),
        ((1001, "ffffffff"), Reason.CHECKSUM_MISMATCH),
    ],
)
def test_a_file_is_registered_only_if_the_storage_has_it_as_it_was_announced(stored, reason) -> None:
    world = checked()
    world.storage.files[lfn(1)] = stored
    summary = world.run(messages_of([announcement(1)]))
    assert summary.quarantined == ({} if reason is None else {reason: 1})
    assert set(world.catalogue.files) == (set() if reason else {lfn(1)})
    if reason:
        assert "IHEP-JUNOEOS" in summary.quarantinedMessages[0].detail


@pytest.mark.parametrize(
    ("size", "announced", "reason"),
    [
        (0, 0, Reason.ZERO_SIZE),
        (0, None, Reason.ZERO_SIZE),
        (51, 51, Reason.TOO_LARGE),
        (51, None, Reason.TOO_LARGE),
        (50, 50, None),
        (50, None, None),
        (1, None, None),
    ],
)
@pytest.mark.parametrize("mode", ["Size", "None"])
def test_sizes_are_bounded_whoever_says_them(mode: str, size: int, announced: int | None, reason: Reason | None) -> None:
    world = checked(MaxSizeBytes="50", StorageCheck=mode)
    world.storage.files[lfn(1)] = (size, "00000001")
    summary = world.run(messages_of([announcement(1, FileSize=announced)]))
    assert summary.quarantined == ({} if reason is None else {reason: 1})


@pytest.mark.parametrize(
    ("options", "asked", "checksums"),
    [
        ({"StorageCheck": "None"}, 1, 0),
        ({"StorageCheck": "None", "ChecksumCheck": "Sample", "ChecksumSampleShare": "1"}, 1, 0),
        ({"ChecksumCheck": "Trust"}, 20, 0),
        ({"ChecksumCheck": "Ask"}, 20, 20),
        ({"ChecksumCheck": "Sample", "ChecksumSampleShare": "0"}, 20, 0),
        ({"ChecksumCheck": "Sample", "ChecksumSampleShare": "1"}, 20, 20),
    ],
)
def test_the_storage_is_asked_what_the_policy_says_in_one_call(options: dict[str, str], asked: int, checksums: int) -> None:
    world = checked(**options)
    files = [announcement(sequence) for sequence in range(20)]
    world.store(*files)
    files[7]["FileSize"] = None
    summary = world.run(messages_of(files))
    assert summary.registered == 20
    assert (len(world.storage.asked), len(world.storage.checksums_asked)) == (asked, checksums)
    assert world.steps.calls.count("look") == 1


@given(st.text(max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_has_all_files_of_a_smaller_one(name: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert isSampled(name, large) or not isSampled(name, small)
    assert isSampled(name, 1.0)
    assert not isSampled(name, 0.0)


def test_a_share_is_about_that_share_of_the_files() -> None:
    sampled = sum(isSampled(lfn(sequence), 0.1) for sequence in range(5000))
    assert 400 < sampled < 600


def test_a_storage_that_does_not_speak_of_a_file_at_all_stops_the_batch() -> None:
    world = checked()
    world.storage.look = lambda lfns, withChecksum=(): {}  # type: ignore[method-assign]
    with pytest.raises(TemporaryFailure, match="storage IHEP-JUNOEOS"):
        world.run(messages_of([announcement(1)]))


def test_what_a_crash_left_behind_after_its_checks_is_not_asked_for_again() -> None:
    world = checked()
    world.store(announcement(1))
    message = messages_of([announcement(1)])
    world.steps.kill_at = 11  # after the row was written
    with pytest.raises(Killed):
        world.run(message)
    assert world.ledger.rows[lfn(1)].state == FileState.ANNOUNCED
    assert world.storage.asked == [lfn(1)]
    assert world.run(message).registered == 1
    assert world.storage.asked == [lfn(1)]


# ---- waiting


def test_a_file_that_is_not_visible_yet_waits_and_holds_nobody() -> None:
    world = checked()
    world.store(announcement(2))
    summary = world.run(messages_of([announcement(1), announcement(2)]))
    assert (summary.waiting, summary.registeredFiles) == (1, (lfn(2),))
    assert world.ledger.rows[lfn(1)].state == FileState.WAITING
    assert world.announcer.last() == {("juno.raw", 0, 1): ("Registered", "", announcement(2)["FileName"], "20230302")}
    item = summary.waitingMessages[0]
    assert (item.reason, item.since, (item.nextTime - START).total_seconds()) == (Reason.NOT_ON_STORAGE, START, 10)


def test_a_file_that_appears_within_its_grace_time_is_registered_and_no_longer_waits() -> None:
    world = checked()
    message = messages_of([announcement(1)])
    world.run(message)
    assert world.retry(9).messages == 0
    assert world.retry(1).waiting == 1
    world.store(announcement(1))
    assert world.retry(20).registeredFiles == (lfn(1),)
    assert world.ledger.waiting == {}
    world.check_truth(message)


@pytest.mark.parametrize(
    ("broken", "reason", "words"),
    [(False, Reason.NOT_ON_STORAGE, "has no"), (True, Reason.NO_ANSWER, "I/O error")],
)
def test_a_file_that_does_not_appear_is_quarantined_when_its_grace_time_is_over_and_not_before(broken, reason, words) -> None:
    world = checked()
    world.storage.broken = {lfn(1)} if broken else set()
    message = messages_of([announcement(1)])
    world.run(message)
    delays = []
    while world.ledger.waiting and len(delays) < 10:
        item = next(iter(world.ledger.waiting.values()))
        delays.append((item.nextTime - world.now).total_seconds())
        summary = world.retry(delays[-1])
    assert delays == [10, 20, 40, 30]  # at the end of the 100 s, not after it
    assert summary.quarantined == {reason: 1}
    assert words in summary.quarantinedMessages[0].detail
    assert "100 s after" in summary.quarantinedMessages[0].detail
    world.check_truth(message)


def test_the_time_between_two_questions_is_bounded() -> None:
    world = checked(GraceSeconds="1000")
    world.run(messages_of([announcement(1)]))
    for expected in (10, 20, 40, 60, 60, 60):
        item = next(iter(world.ledger.waiting.values()))
        assert (item.nextTime - world.now).total_seconds() == expected
        world.retry(expected)


def test_a_file_for_which_there_is_no_time_to_ask_is_never_given_up() -> None:
    world = checked()
    world.store(announcement(1))
    world.storage.unasked.add(lfn(1))
    world.run(messages_of([announcement(1)]))
    for _ in range(5):
        assert world.retry(1000).waiting == 1
    world.storage.unasked.clear()
    assert world.retry(1000).registered == 1
    assert not world.ledger.quarantine


def test_without_grace_time_nothing_waits() -> None:
    world = checked(GraceSeconds="0")
    assert world.run(messages_of([announcement(1)])).quarantined == {Reason.NOT_ON_STORAGE: 1}
    assert "recordWaiting" not in world.steps.calls


def test_a_checksum_that_the_storage_does_not_give_is_waited_for_and_never_taken_for_right() -> None:
    world = checked()
    world.storage.files[lfn(1)] = (1001, "")
    assert world.run(messages_of([announcement(1)])).waiting == 1
    assert world.retry(100).quarantined == {Reason.NO_ANSWER: 1}


def test_of_two_announcements_that_wait_the_one_that_fits_is_registered() -> None:
    world = checked()
    messages = messages_of([announcement(1, Checksum="ffffffff"), announcement(1), announcement(1)])
    assert world.run(messages).waiting == 3
    world.store(announcement(1))
    summary = world.retry(10)
    assert (summary.registeredFiles, summary.duplicateFiles) == ((lfn(1),), (lfn(1),))
    assert summary.quarantined == {Reason.CHECKSUM_MISMATCH: 1}
    assert world.ledger.rows[lfn(1)].checksum == "00000001"
    world.check_truth(messages)


def test_a_message_that_comes_from_the_ledger_and_from_kafka_is_taken_once() -> None:
    world = checked()
    messages = messages_of([announcement(1)])
    world.run(messages)
    world.store(announcement(1))
    summary = world.receiver().run(messages, world.now, list(world.ledger.waiting.values()))
    assert (summary.messages, summary.registered, summary.duplicates) == (1, 1, 0)
    assert world.ledger.waiting == {}


def test_a_message_that_waits_and_comes_from_kafka_again_waits_no_longer_once_it_has_its_end() -> None:
    world = checked()
    messages = messages_of([announcement(1)])
    world.run(messages)
    world.store(announcement(1))
    assert world.run(messages).registered == 1
    assert world.ledger.waiting == {}


def test_a_message_that_waits_is_forgotten_only_after_its_end_was_told() -> None:
    world = checked()
    message = messages_of([announcement(1)])
    world.run(message)
    world.store(announcement(1))
    world.announcer.away = True
    with pytest.raises(TemporaryFailure):
        world.retry(10)
    assert world.ledger.waiting
    world.announcer.away = False
    world.retry(0)
    world.check_truth(message)


def test_files_that_wait_in_a_directory_of_another_block_are_quarantined() -> None:
    world = checked()
    world.ledger.directories["/juno/raw/2023/0302"] = ("Raw", "2023")
    summary = world.run(messages_of([announcement(1), announcement(2, day="0303")]))
    assert summary.quarantined == {Reason.BAD_PATH: 1}
    assert summary.waiting == 1
