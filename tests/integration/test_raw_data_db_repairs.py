"""Repairs, bad replicas and pauses on a real database: what is due is found, what is over does not come back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ledgertools import NOW, announced, makeFile

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.RepairRecords import RepairRecord, RepairState
from JUNODIRAC.RawDataSystem.DB.LedgerWatch import LedgerWatch

pytestmark = pytest.mark.integration

OTHER = "CNAF-STORM"


@pytest.fixture
def se(typeName) -> str:
    """A storage element of the test's own, so that it can share a database with a running system."""
    return f"{typeName}-SE"


@pytest.fixture
def block(ledger, typeName, se):
    """Its id, and its registered files."""
    files = [makeFile(typeName, number) for number in range(1, 5)]
    announced(ledger, *files)
    lfns = [file.lfn for file in files]
    ledger.recordRegistered(lfns[:3])
    ledger.recordBlock(Block(typeName, "20230302", files[0].directory, {se: 1, OTHER: 2}))
    blockID, _ = ledger.findSites(typeName, "20230302")
    yield blockID, lfns
    for table, column in (("Repairs", "SE"), ("BadReplicas", "SE"), ("Pauses", "SE"), ("Journal", "Actor")):
        ledger.execute(f"DELETE FROM {table} WHERE {column} = %s", (se,))


def record(ledger, blockID, se, lfn, **changes) -> RepairRecord:
    fileID = ledger.declaredCopies([lfn])[lfn].fileID
    base = RepairRecord(
        blockID, se, fileID, RepairState.ACTIVE, "the copy failed", "Retry", "Timeout", "timed out ☂", 1, NOW, NOW, NOW
    )
    return replace(base, **changes)


def test_what_was_done_is_read_as_it_was_written_and_replaced_by_what_is_done_next(ledger, block, se):
    blockID, lfns = block
    first = record(ledger, blockID, se, lfns[0])
    ledger.recordRepairs([first])
    assert ledger.readRepairs(blockID, se, lfns) == {lfns[0]: first}
    second = replace(first, state=RepairState.GIVEN_UP, attempts=2, lastTime=NOW + timedelta(seconds=1), error="x" * 50_000)
    ledger.recordRepairs([second])
    found = ledger.readRepairs(blockID, se, lfns)[lfns[0]]
    assert (found.state, found.attempts, found.firstTime) == (RepairState.GIVEN_UP, 2, NOW)
    assert ledger.listRepairs(blockID, se, RepairState.GIVEN_UP)[se].keys() == {lfns[0]}
    assert not ledger.listRepairs(blockID, OTHER)


def test_only_what_is_due_is_looked_at_and_what_is_repaired_never(ledger, block, se):
    blockID, lfns = block
    later = NOW + timedelta(hours=1)
    records = [
        record(ledger, blockID, se, lfns[0], nextTime=NOW - timedelta(seconds=1)),
        record(ledger, blockID, se, lfns[1], nextTime=later),
        record(ledger, blockID, se, lfns[2], state=RepairState.REPAIRED, nextTime=None),
    ]
    ledger.recordRepairs(records)
    assert ledger.dueRepairs(se, NOW, 10) == {blockID: [lfns[0]]}
    assert ledger.waitingRepairs(se, NOW) == {lfns[1]}
    assert sorted(ledger.dueRepairs(se, later, 10)[blockID]) == lfns[:2]
    assert len(ledger.dueRepairs(se, later, 1)[blockID]) == 1


def test_only_registered_files_are_declared(ledger, block):
    _, lfns = block
    found = ledger.declaredCopies([*lfns, "/nowhere/file"])
    assert sorted(found) == lfns[:3]
    assert (found[lfns[0]].sizeBytes, found[lfns[0]].checksum) == (1000, "0a1b2c3d")


def test_forgotten_repairs_begin_anew(ledger, block, se):
    blockID, lfns = block
    ledger.recordRepairs([record(ledger, blockID, se, lfn) for lfn in lfns[:3]])
    assert ledger.forgetRepairs(blockID, se, lfns[:2]) == 2
    assert ledger.readRepairs(blockID, se, lfns).keys() == {lfns[2]}


def test_a_bad_replica_is_bad_until_a_good_one_is_there_and_can_be_bad_again(ledger, block, se):
    _, lfns = block
    ids = {lfn: declared.fileID for lfn, declared in ledger.declaredCopies(lfns).items()}
    ledger.markBad(se, {ids[lfns[0]]: "adler32 1", ids[lfns[1]]: "adler32 2"})
    ledger.markBad(se, {ids[lfns[0]]: "adler32 1"})
    assert ledger.readBadReplicas(lfns) == {lfns[0]: [se], lfns[1]: [se]}
    assert ledger.readBadReplicas()[lfns[0]] == [se]
    assert ledger.endBad(se, [ids[lfns[0]]]) == 1
    assert ledger.endBad(se, [ids[lfns[0]]]) == 0
    assert ledger.readBadReplicas(lfns) == {lfns[1]: [se]}
    ledger.markBad(se, {ids[lfns[0]]: "again"})
    assert ledger.readBadReplicas(lfns)[lfns[0]] == [se]


def test_a_pause_holds_until_its_time_or_until_somebody_ends_it(ledger, block, typeName, se):
    blockID, _ = block
    now = datetime.now(UTC)
    ledger.addPause(se, 0, now + timedelta(hours=1), "BlockRepairAgent", "no room", "DestinationFull")
    ledger.addPause(se, blockID, None, "alice", "downtime")

    def holding(at):
        return {(each.blockID, each.block, each.isAutomatic) for each in ledger.readPauses(at) if each.se == se}

    assert holding(now) == {(0, "", True), (blockID, "20230302", False)}
    assert holding(now + timedelta(hours=2)) == {(blockID, "20230302", False)}
    assert ledger.endPauses(se, blockID, "bob") == 1
    assert ledger.endPauses(se, blockID, "bob") == 0
    assert holding(now) == {(0, "", True)}
    assert [each.errorClass for each in ledger.lastPauses(se)] == ["DestinationFull"]


def test_decisions_are_in_the_journal_of_their_file(ledger, block, se):
    _, lfns = block
    ledger.recordDecisions(se, "repairRetry", {f"{lfn} {se}": "because" for lfn in lfns})
    (entry,) = [entry for entry in ledger.readJournal([lfns[0]]) if entry.actor == se]
    assert (entry.action, entry.objectName, entry.reason) == ("repairRetry", f"{lfns[0]} {se}", "because")


def test_the_watch_sees_what_people_are_to_be_told(ledger, block, typeName, se):
    blockID, lfns = block
    records = [record(ledger, blockID, se, lfn, state=RepairState.GIVEN_UP) for lfn in lfns[:2]]
    ledger.recordRepairs([*records, record(ledger, blockID, se, lfns[2], state=RepairState.GIVEN_UP, errorClass="Proxy")])
    ledger.markBad(se, {records[0].fileID: "adler32 1"})
    now = datetime.now(UTC)
    ledger.addPause(se, 0, now + timedelta(hours=1), "BlockRepairAgent", "no room", "DestinationFull")
    signs = LedgerWatch().readSigns([typeName], now, now).repairs
    (givenUp,) = [sign for sign in signs.givenUp if sign.se == se]
    assert (givenUp.classes, givenUp.block) == ({"Timeout": 2, "Proxy": 1}, "20230302")
    (bad,) = [sign for sign in signs.badReplicas if sign.se == se]
    assert (bad.count, bad.example, bad.detail) == (1, lfns[0], "adler32 1")
    assert [pause.errorClass for pause in signs.pauses if pause.se == se] == ["DestinationFull"]
