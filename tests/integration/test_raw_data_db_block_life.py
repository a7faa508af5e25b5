"""States of blocks and sites in the ledger: a change and its event are one, and only from the state that was seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from ledgertools import announced, makeFile

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockState import BlockState, IllegalBlockTransition
from JUNODIRAC.Core.Logic.BlockCyclePorts import Progress
from JUNODIRAC.RawDataSystem.DB.LedgerBlockCycle import LedgerBlockCycle
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import DatabaseError

OPEN, CLOSED, REPLICATED, DONE, PROBLEM = (
    BlockState.OPEN, BlockState.CLOSED, BlockState.REPLICATED, BlockState.DONE, BlockState.PROBLEM,
)  # fmt: skip


@pytest.fixture(scope="module")
def cycleLedger(ledger) -> LedgerBlockCycle:
    return LedgerBlockCycle()


@pytest.fixture
def blockID(ledger, typeName) -> int:
    """A block with one announced file and two sites."""
    file = makeFile(typeName)
    announced(ledger, file)
    ledger.recordBlock(Block(typeName, file.block, file.directory, {"A": 900001, "B": 900002}))
    number = ledger.blockIDOf(typeName, file.block)
    yield number
    for table in ("BlockEvents", "BlockProgress"):
        ledger.execute(f"DELETE FROM {table} WHERE BlockID = %s", (number,))


def read(ledger, blockID: int):
    (block,) = ledger.readLivingBlocksByID([blockID])
    return block


def events(ledger, blockID: int) -> list[tuple[str, str, str, str]]:
    return [(event.se, event.fromState, event.toState, event.reason) for event in ledger.readBlockEvents(blockID)]


def test_opening_closing_and_a_problem_leave_times_words_and_events_in_order(ledger, blockID):
    assert ledger.moveBlock(blockID, OPEN, CLOSED, "me", "because ☂", closedBy="Quiet")
    assert ledger.moveSite(blockID, "A", OPEN, PROBLEM, "me", "stuck", problem="Code: words")
    block = read(ledger, blockID)
    assert (block.state, block.closedBy, block.sites[0].state, block.sites[0].problem) == (
        CLOSED,
        "Quiet",
        PROBLEM,
        "Code: words",
    )
    assert block.closedTime > block.openedTime
    assert block.sites[1].state is OPEN
    assert ledger.moveSite(blockID, "A", PROBLEM, CLOSED, "me", "gone")
    assert read(ledger, blockID).sites[0].problem == ""
    assert events(ledger, blockID)[1:] == [
        ("", "Open", "Closed", "because ☂"), ("A", "Open", "Problem", "stuck"), ("A", "Problem", "Closed", "gone"),
    ]  # fmt: skip
    assert events(ledger, blockID)[0][:3] == ("", "Known", "Open")
    assert [event.se for event in ledger.readBlockEvents(blockID, "A")] == ["A", "A"]


def test_a_state_that_is_another_by_now_is_not_changed_and_leaves_no_event(ledger, blockID):
    before = events(ledger, blockID)
    assert not ledger.moveBlock(blockID, CLOSED, REPLICATED, "me", "late")
    assert not ledger.moveSite(blockID, "A", CLOSED, REPLICATED, "me", "late")
    assert not ledger.moveSite(blockID, "unknown", OPEN, CLOSED, "me", "late")
    with pytest.raises(IllegalBlockTransition):
        ledger.moveBlock(blockID, OPEN, DONE, "me", "too far")
    assert (read(ledger, blockID).state, events(ledger, blockID)) == (OPEN, before)


def test_a_change_whose_event_cannot_be_written_is_not_made(ledger, blockID, monkeypatch):
    def refuse(*args):
        raise DatabaseError("no")

    monkeypatch.setattr(ledger, "_writeEvent", refuse)
    with pytest.raises(DatabaseError):
        ledger.moveBlock(blockID, OPEN, CLOSED, "me", "because")
    assert read(ledger, blockID).state is OPEN


def test_of_many_who_make_the_same_change_one_does(ledger, blockID):
    with ThreadPoolExecutor(8) as pool:
        moved = list(pool.map(lambda _: ledger.moveBlock(blockID, OPEN, CLOSED, "me", "because"), range(16)))
    assert sum(moved) == 1
    assert len(events(ledger, blockID)) == 2


def test_living_are_blocks_with_work_left_at_themselves_or_a_site_and_those_that_are_asked_for(ledger, cycleLedger, blockID):
    def isLiving(*also: int) -> bool:
        return blockID in {block.blockID for block in cycleLedger.readLivingBlocks(also)}

    assert isLiving()
    ledger.execute("UPDATE Blocks SET State = 'Done' WHERE BlockID = %s", (blockID,))
    assert isLiving()  # a new destination
    ledger.execute("UPDATE BlockTransfers SET State = 'Done' WHERE BlockID = %s", (blockID,))
    assert not isLiving()
    assert isLiving(blockID)
    assert cycleLedger.doneTransfers([900001, 900003]) == {900001: (blockID, "A")}


def test_progress_keeps_a_sample_for_each_change_and_old_ones_are_deleted(cycleLedger, blockID):
    now = datetime.now(UTC).replace(microsecond=0)
    for minutes, files in ((90, 1), (40, 5), (10, 7)):
        cycleLedger.saveProgress([Progress(blockID, "A", files, 10 * files, True)], now - timedelta(minutes=minutes))
    cycleLedger.saveProgress([Progress(blockID, "A", 6, 60, False)], now)
    site = read(cycleLedger, blockID).sites[0]
    assert (site.doneFiles, site.doneBytes, site.progressTime) == (6, 60, now - timedelta(minutes=10))
    first = cycleLedger.firstSamples([blockID], now - timedelta(hours=1))
    assert first[blockID, "A"].files == 5
    cycleLedger.pruneProgress(now - timedelta(minutes=20))
    assert cycleLedger.firstSamples([blockID], now - timedelta(days=2))[blockID, "A"].files == 7


def test_what_was_counted_and_announced_is_told_by_block(cycleLedger, blockID):
    counts = cycleLedger.countBlockFiles([blockID])
    assert (counts[blockID].waiting, counts[blockID].registered) == (1, 0)
    cycleLedger.saveCounts(counts, datetime.now(UTC))
    assert read(cycleLedger, blockID).unsettledFiles == 1
    assert set(cycleLedger.lastAnnounced([blockID])) == {blockID}
    assert cycleLedger.blockDirectories([blockID])[blockID][0].endswith("20230302")


def test_a_number_that_a_person_declared_takes_the_place_of_the_announced_one(ledger, typeName, blockID):
    ledger.recordExpected(typeName, "20230302", 5, ("t", 0, 1))
    ledger.setExpected(blockID, 6, "prod", datetime.now(UTC))
    assert read(ledger, blockID).expectedFiles == 6
    assert ledger.recordExpected(typeName, "20230302", 5, ("t", 0, 2)).fileCount == 6
    # the same message again is no contradiction
    assert ledger.recordExpected(typeName, "20230302", 5, ("t", 0, 1)).position == ("t", 0, 1)
