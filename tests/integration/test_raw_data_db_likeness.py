"""The ledger in memory, on which the unit tests of ingest stand, behaves like the real one."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from ledgertools import NOW, makeEntry, makeFile, makeQuarantined, makeWaiting

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.FileState import FileState, IllegalTransition
from JUNODIRAC.Core.Domain.Reason import Reason

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/core"))

from fakes import FakeLedger, Steps

FILES, MESSAGES, STEPS = 3, 5, 60
BLOCK, LATE = "20230302", ["20230302-late1", "20230302-late2"]


def step(choose: random.Random, ledgers, typeName: str) -> None:
    """The same call on each of the ledgers, with the same outcome."""
    file = makeFile(typeName, choose.randrange(FILES))
    # a message is always of the same file
    offset = MESSAGES * int(file.fields["FileSequence"]) + choose.randrange(MESSAGES)
    item = makeQuarantined(typeName, offset, file, reason=choose.choice([Reason.ZERO_SIZE, Reason.CONFLICT]), detail="no")
    waiting = makeWaiting(file, offset, nextTime=NOW + timedelta(seconds=choose.randrange(9)), attempts=choose.randrange(9))
    sizeBytes = choose.choice([None, 7])
    # another message than that of the row: a file that is on its way is never moved
    row = ledgers[0].findFiles([file]).get(file.lfn)
    isRow = row is not None and row.offset == offset
    followUp = row.followUp if row is not None and isRow else choose.choice(["", "", *LATE])
    calls = [
        lambda ledger: ledger.recordAnnounced([makeEntry(file, offset, sizeBytes=sizeBytes, followUp=followUp)]),
        lambda ledger: ledger.recordRegistered([file.lfn]),
        lambda ledger: ledger.recordQuarantined([item]),
        lambda ledger: ledger.recordWaiting([waiting]),
        lambda ledger: ledger.endWaiting([waiting.message.position]),
        lambda ledger: ledger.recordSizes({file.lfn: 9}),
    ]
    call = choose.choices(calls, [4, 2, 4, 3, 2, 1])[0]
    outcomes = []
    for ledger in ledgers:
        try:
            call(ledger)
            outcomes.append("done")
        except (IllegalTransition, KeyError):
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


def blockStep(choose: random.Random, real, fake, typeName: str) -> None:
    """Something happens to a block, in both ledgers."""
    name = choose.choice([BLOCK, BLOCK, *LATE])
    parent = fake.parents.get((typeName, name), "")
    state, position = choose.choice(list(BlockState)), (f"juno.{typeName}", 0, choose.randrange(99))
    what = choose.choice(["open", "move", "take back", "expect"])
    if what == "open" and (name == BLOCK or parent):
        directory = "" if parent else makeFile(typeName).directory
        block = Block(typeName, name, directory, {choose.choice(["A-SE", "B-SE"]): choose.randrange(99)}, parent=parent)
        for each in (real, fake):
            each.recordBlock(block)
    elif what == "move" and fake.findBlock(typeName, name) and state is not BlockState.KNOWN:
        real.execute("UPDATE Blocks SET State = %s WHERE Type = %s AND Block = %s", (state.value, typeName, name))
        fake.move_block(name, state, typeName)
    elif what == "take back" and fake.findBlock(typeName, name):
        for each in (real, fake):
            each.takeBack(typeName, name, "late")
    elif what == "expect" and name == BLOCK:
        fake.held = [(typeName, name)]
        assert real.recordExpected(typeName, name, 5, position) == fake.recordExpected(typeName, name, 5, position)
        fake.held = []


def blocksShownBy(ledger, typeName: str) -> object:
    return [ledger.findBlock(typeName, name) for name in (BLOCK, *LATE)], ledger.findFollowUp(typeName, BLOCK)


def shownBy(ledger, typeName: str) -> object:
    """What ingest can see."""
    files = [makeFile(typeName, number) for number in range(FILES)]
    found = ledger.findFiles(files)
    rows = {lfn: (row.state, row.sizeBytes, row.followUp, *_claim(row)) for lfn, row in found.items()}
    due = ledger.dueWaiting(f"juno.{typeName}", [0], NOW + timedelta(days=1), 1000)
    positions = [(f"juno.{typeName}", 0, offset) for offset in range(FILES * MESSAGES)]
    waits = [(item.message, item.since, item.nextTime, item.attempts, item.reason) for item in due]
    return rows, waits, ledger.findQuarantined(positions)


def _claim(row):
    """A row that is registered or on its way stands for a message."""
    return (row.checksum, row.offset) if row.state in (FileState.ANNOUNCED, FileState.REGISTERED) else ()


def recordStates(real, fake, typeName: str) -> tuple[dict, dict]:
    found = {record.offset: record.state for record in real.readQuarantineList(typeName=typeName, states=())}
    return found, {position[2]: state for position, state in fake.quarantine_states.items()}


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_calls_ends_alike_in_memory_and_in_the_database(ledger, typeName, seed):
    choose = random.Random(seed)
    fake = FakeLedger(Steps())
    for number in range(STEPS):
        step(choose, (ledger, fake), typeName)
        if seed % 2:
            blockStep(choose, ledger, fake, typeName)
            assert blocksShownBy(ledger, typeName) == blocksShownBy(fake, typeName), f"after call {number}"
        real, memory = shownBy(ledger, typeName), shownBy(fake, typeName)
        assert real == memory, f"after call {number}"
        found, expected = recordStates(ledger, fake, typeName)
        assert found == expected, f"after call {number}"


def test_the_same_row_is_written_when_calls_come_in_bulk(ledger, typeName):
    fake = FakeLedger(Steps())
    files = [makeFile(typeName, number) for number in range(50)]
    for each in (ledger, fake):
        each.recordQuarantined([makeQuarantined(typeName, number, file) for number, file in enumerate(files[::2])])
        each.recordWaiting([makeWaiting(file, 100 + number) for number, file in enumerate(files[::3])])
        each.recordAnnounced([makeEntry(file, 200 + number) for number, file in enumerate(files)])
        each.recordRegistered([file.lfn for file in files[::5]])
        each.recordQuarantined([makeQuarantined(typeName, 300 + number, file) for number, file in enumerate(files)])
    assert {lfn: replace(row, announcedTime=None, registeredTime=None, quarantinedTime=None)
            for lfn, row in ledger.findFiles(files).items()} == fake.findFiles(files)  # fmt: skip
