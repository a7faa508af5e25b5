"""What explanations ask of the ledger, on a real database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ledgertools import NOW, makeEntry, makeFile, makeQuarantined, makeWaiting

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.WhyFacts import WaitingFacts

pytestmark = pytest.mark.integration

BLOCK, LATE = "20230302", "20230302-late1"


def register(ledger, number: int, typeName: str, minutes: int, followUp: str = "") -> None:
    entry = makeEntry(makeFile(typeName, number), number, announcedTime=NOW + timedelta(minutes=minutes), followUp=followUp)
    ledger.recordAnnounced([entry])
    ledger.recordRegistered([entry.file.lfn])


@pytest.fixture
def blocks(ledger, typeName) -> tuple[int, int]:
    """A block with files of minutes 0 and 5, and its follow-up block with one of minute 60."""
    register(ledger, 0, typeName, 0)
    register(ledger, 1, typeName, 5)
    ledger.recordBlock(Block(typeName, BLOCK, makeFile(typeName).directory, {"A-SE": 1}))
    register(ledger, 2, typeName, 60, LATE)
    ledger.recordBlock(Block(typeName, LATE, "", {"A-SE": 2}, parent=BLOCK))
    return ledger.readBlockID(typeName, BLOCK), ledger.readBlockID(typeName, LATE)


def test_a_block_that_was_never_announced_has_no_id(ledger, typeName, blocks):
    assert ledger.readBlockID(typeName, "19000101") is None
    assert blocks[0] != blocks[1]


def test_the_last_announcement_of_a_block_is_not_that_of_its_late_files(ledger, typeName, blocks):
    assert ledger.announcedTimes(blocks[0]) == (NOW + timedelta(minutes=5), None)
    assert ledger.announcedTimes(blocks[1]) == (NOW + timedelta(minutes=60), None)


def test_the_oldest_file_that_is_not_settled_is_one_that_is_announced_or_waits(ledger, typeName, blocks):
    ledger.recordQuarantined([makeQuarantined(typeName, 3, makeFile(typeName, 3))])
    assert ledger.announcedTimes(blocks[0])[1] is None
    ledger.recordAnnounced(
        [makeEntry(makeFile(typeName, number), number, announcedTime=NOW + timedelta(minutes=number)) for number in (8, 9)]
    )
    assert ledger.announcedTimes(blocks[0]) == (ledger.announcedTimes(blocks[0])[0], NOW + timedelta(minutes=8))


def test_a_waiting_file_says_how_long_and_how_often_it_was_asked_for(ledger, typeName, blocks):
    item = makeWaiting(makeFile(typeName, 4), 4)
    ledger.recordWaiting([item])
    expected = WaitingFacts(str(item.reason), item.detail, item.since, item.nextTime, item.attempts)
    assert ledger.readWaitingOf(item.file.lfn) == expected
    assert ledger.readWaitingOf(makeFile(typeName, 0).lfn) is None
    assert ledger.readWaitingOf("/juno/no/such/file") is None
