"""A message that makes the program fail does not hold the topic; a program that fails does not quarantine the topic."""

from __future__ import annotations

import pytest
from fakes import World, announcement, messages_of, raw_policy
from fakes import lfn_of as lfn

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Isolation import ATTEMPTS_ALONE, MOST_AT_FAULT
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("bad", [{0}, {49}, {99}, {3, 50, 51, 98}, set(range(MOST_AT_FAULT))])
def test_messages_that_fail_are_quarantined_with_their_error_and_all_others_registered(bad: set[int]) -> None:
    world = World()
    world.catalogue.poison = {lfn(number) for number in bad}
    batch = messages_of(announcement(number) for number in range(100))
    summary = world.run(batch)
    assert set(summary.registeredFiles) == {lfn(number) for number in range(100) if number not in bad}
    assert {item.message.offset for item in summary.quarantinedMessages} == bad
    assert set(summary.quarantined) == {Reason.INTERNAL_ERROR}
    first = summary.quarantinedMessages[0]
    assert first.file is not None
    assert first.detail == f"KeyError: {first.file.lfn!r}"
    assert summary.messages == 100
    assert [type(error) for error in summary.errors] == [KeyError] * len(bad)
    world.check_truth(batch)


def test_a_program_that_fails_for_many_messages_quarantines_none() -> None:
    world = World()
    world.catalogue.poison = {lfn(number) for number in range(MOST_AT_FAULT + 1)}
    receiver = world.receiver()
    for _ in range(3 * ATTEMPTS_ALONE):
        with pytest.raises(KeyError):
            receiver.run(messages_of(announcement(number) for number in range(100)), world.now)
    assert world.ledger.quarantine == {}


@pytest.mark.parametrize("count", [1, 2, MOST_AT_FAULT])
def test_messages_that_fail_where_nothing_goes_through_are_given_up_after_some_attempts(count: int) -> None:
    world = World()
    world.catalogue.poison = {lfn(number) for number in range(count)}
    receiver = world.receiver()
    batch = messages_of(announcement(number) for number in range(count))
    for _ in range(ATTEMPTS_ALONE - 1):
        with pytest.raises(KeyError):
            receiver.run(batch, world.now)
        assert world.ledger.quarantine == {}
    assert receiver.run(batch, world.now).quarantined == {Reason.INTERNAL_ERROR: count}
    world.check_truth(batch)


def test_a_program_that_never_succeeds_gives_up_a_few_messages_and_then_stops() -> None:
    world = World()
    world.catalogue.poison = {lfn(number) for number in range(100)}
    receiver = world.receiver()
    for number in range(100):
        for _ in range(ATTEMPTS_ALONE):
            try:
                receiver.run(messages_of([announcement(number)], start=number), world.now)
            except KeyError:
                continue
    assert len(world.ledger.quarantine) == MOST_AT_FAULT
    world.catalogue.poison = set()
    receiver.run(messages_of([announcement(50)], start=50), world.now)
    assert world.ledger.rows[lfn(50)].state == FileState.REGISTERED


def test_a_success_in_between_clears_what_was_held_against_messages() -> None:
    world = World()
    world.catalogue.poison = {lfn(number) for number in range(2 * MOST_AT_FAULT)}
    receiver = world.receiver()
    bad, good = messages_of([announcement(1)]), messages_of([announcement(50)], start=50)
    for _ in range(3):
        for _ in range(ATTEMPTS_ALONE - 1):
            with pytest.raises(KeyError):
                receiver.run(bad, world.now)
        receiver.run(good, world.now)
    assert world.ledger.quarantine == {}
    for number in range(2 * MOST_AT_FAULT):  # and it may give up more than a few, if the program works between them
        batch = messages_of([announcement(number), announcement(51)], start=100 + 2 * number)
        assert receiver.run(batch, world.now).quarantined == {Reason.INTERNAL_ERROR: 1}


class _Refused(Refusal):
    """As an adapter says it."""


@pytest.mark.parametrize("error", [TemporaryFailure("x", "away"), _Refused("no")])
def test_a_service_that_is_away_or_refuses_holds_the_batch_for_good(error: Exception) -> None:
    world = World()

    def fail(*_: object) -> None:
        raise error

    world.catalogue.openBlock = fail  # type: ignore[method-assign]
    receiver = world.receiver()
    for _ in range(3 * ATTEMPTS_ALONE):
        with pytest.raises(type(error)):
            receiver.run(messages_of([announcement(1), announcement(2)]), world.now)
    assert world.ledger.quarantine == {}
    assert world.steps.calls.count("findFiles") == 3 * ATTEMPTS_ALONE  # and nobody searched for a culprit


def test_a_service_that_goes_away_during_the_search_holds_the_batch() -> None:
    world = World()
    world.catalogue.poison = {lfn(3)}
    batch = messages_of(announcement(number) for number in range(8))
    world.steps.kill_at, world.steps.error = 60, TemporaryFailure
    with pytest.raises(TemporaryFailure):
        world.run(batch)
    assert world.ledger.quarantine == {}
    summary = world.run(batch)
    assert summary.quarantined == {Reason.INTERNAL_ERROR: 1}
    world.check_truth(batch)


def test_a_message_whose_row_the_ledger_cannot_write_is_kept_without_it() -> None:
    world = World()
    world.ledger.poison = {lfn(1)}
    batch = messages_of([announcement(1), announcement(2)])
    summary = world.run(batch)
    assert summary.quarantined == {Reason.INTERNAL_ERROR: 1}
    item = world.ledger.quarantine["juno.raw", 0, 0]
    assert (item.file, item.message.payload) == (None, batch[0].payload)
    assert item.detail == f"ValueError: cannot write {lfn(1)}"
    world.check_truth(batch)


def test_a_message_that_waited_and_fails_does_not_wait_any_longer() -> None:
    world = World(raw_policy(StorageCheck="Size", GraceSeconds="100"))
    world.run(messages_of([announcement(1)]))
    world.store(announcement(1), announcement(2))
    world.catalogue.poison = {lfn(1)}
    world.now = next(iter(world.ledger.waiting.values())).nextTime
    summary = world.receiver().run(messages_of([announcement(2)], start=1), world.now, world.due())
    assert (summary.registered, summary.quarantined) == (1, {Reason.INTERNAL_ERROR: 1})
    assert world.ledger.waiting == {}
    assert world.ledger.rows[lfn(1)].state == FileState.QUARANTINED
