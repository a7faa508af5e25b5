"""The ledger in memory, on which the unit tests of ingest stand, behaves like the real one."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from ledgertools import NOW, makeEntry, makeFile, makeQuarantined, makeWaiting

from JUNODIRAC.Core.Domain.FileState import FileState, IllegalTransition
from JUNODIRAC.Core.Domain.Reason import Reason

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/core"))

from fakes import FakeLedger, Steps

FILES, MESSAGES, STEPS = 3, 5, 60


def step(choose: random.Random, ledgers, typeName: str) -> None:
    """The same call on each of the ledgers, with the same outcome."""
    file = makeFile(typeName, choose.randrange(FILES))
    # a message is always of the same file
    offset = MESSAGES * int(file.fields["FileSequence"]) + choose.randrange(MESSAGES)
    item = makeQuarantined(typeName, offset, file, reason=choose.choice([Reason.ZERO_SIZE, Reason.CONFLICT]), detail="no")
    waiting = makeWaiting(file, offset, nextTime=NOW + timedelta(seconds=choose.randrange(9)), attempts=choose.randrange(9))
    sizeBytes = choose.choice([None, 7])
    calls = [
        lambda ledger: ledger.recordAnnounced([makeEntry(file, offset, sizeBytes=sizeBytes)]),
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


def shownBy(ledger, typeName: str) -> object:
    """What ingest can see."""
    files = [makeFile(typeName, number) for number in range(FILES)]
    found = ledger.findFiles(files)
    rows = {lfn: (row.state, row.sizeBytes, *_claim(row)) for lfn, row in found.items()}
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
