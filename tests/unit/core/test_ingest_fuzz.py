"""Any bytes at all: each message ends in exactly one state, and the receiver lives."""

from __future__ import annotations

import json

import pytest
from fakes import World, announcement, lfn_of, messages_of, raw_policy
from hypothesis import event, given, settings
from hypothesis import strategies as st
from payloads import PAYLOADS

from JUNODIRAC.Core.Domain.Reason import Reason

pytestmark = pytest.mark.unit

DATES = {"DirectoryDate": "{Year}{MonthDay}", "NameDate": "{FileTime}"}


@settings(max_examples=1000)
@given(
    payloads=st.lists(PAYLOADS, min_size=1, max_size=8),
    options=st.sampled_from([{}, DATES, {"StorageCheck": "Size", "GraceSeconds": "100"}]),
)
def test_any_bytes_end_in_exactly_one_state_and_the_next_message_is_registered(payloads, options) -> None:
    world = World(raw_policy(**options))
    good = announcement(77)
    world.store(good, *(announcement(sequence) for sequence in range(4)))
    batch = messages_of([*payloads, json.dumps(good).encode()])
    receiver = world.receiver()
    summary = receiver.run(batch, world.now)
    ends = (
        summary.registered,
        summary.duplicates,
        summary.repeated,
        summary.waiting,
        len(summary.quarantinedMessages),
        len(summary.blockEnds),
    )
    assert sum(ends) == summary.messages == len(batch)
    assert lfn_of(77) in summary.registeredFiles
    assert Reason.INTERNAL_ERROR not in summary.quarantined
    for item in summary.quarantinedMessages:
        assert item.detail.encode("utf-8")
        assert item.fileName.encode("utf-8") or not item.fileName
        event(str(item.reason))
    world.check_truth(batch)
    before = world.snapshot()
    receiver.run(batch, world.now)
    assert world.snapshot() == before
