"""How ingest goes, what is missing, and what a database of another version lacks."""

from __future__ import annotations

import itertools
import re
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledgertools import (
    NOW,
    announced,
    configuredDatabase,
    makeEntry,
    makeFile,
    makeQuarantined,
    makeWaiting,
    runScript,
)

from JUNODIRAC.Core.Domain.BlockStatus import Usage
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LedgerRecords import OldestFile, ReceiverRecord, SweepRecord
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Logic.Ports import IngestCounts
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import DatabaseError
from JUNODIRAC.RawDataSystem.DB.LedgerSchema import schemaText
from JUNODIRAC.RawDataSystem.DB.RawDataDB import OldSchema, RawDataDB


def moveBack(ledger, directory: str, days: int) -> None:
    sql = "UPDATE Directories SET ActiveTime = ActiveTime - INTERVAL %s DAY WHERE Directory = %s"
    assert ledger.execute(sql, (days, directory)) == 1


# ---- receivers and rates


def test_a_receiver_is_known_by_its_last_sign_of_life(ledger, typeName):
    before = datetime.now(UTC)
    ledger.recordHeartbeat(typeName, "RawReceiverAgent", "host", 1, NOW, "Kafka ☂ is away", NOW)
    ledger.recordHeartbeat(typeName, "RawReceiverAgent", "host", 2, NOW)
    ledger.recordHeartbeat(typeName, "RawReceiverAgent", "other", 3, NOW, "waits", NOW)
    first, second = ledger.readReceivers(typeName)
    assert before - timedelta(milliseconds=1) <= first.heartbeatTime <= datetime.now(UTC)
    assert first == ReceiverRecord(typeName, "RawReceiverAgent", "host", 2, NOW, first.heartbeatTime)
    assert (second.host, second.trouble, second.troubleSince) == ("other", "waits", NOW)
    assert [each for each in ledger.readReceivers() if each.typeName == typeName] == [first, second]


def test_counts_of_a_minute_add_up_from_all_threads(ledger, typeName):
    counts = IngestCounts(10, 5, 1, 2, 2, 5_000_000_000)
    threads = [threading.Thread(target=lambda: [ledger.recordCounts(typeName, counts) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rates = ledger.readRates(typeName, 5)
    assert sum(rate.messages for rate in rates) == 800
    assert sum(rate.registeredBytes for rate in rates) == 400_000_000_000
    assert (rates[0].registered % 5, rates[0].duplicates % 1, rates[0].quarantined % 2, rates[0].waiting % 2) == (0, 0, 0, 0)
    assert ledger.lastAnnouncements()[typeName] == rates[-1].lastTime


def test_only_the_minutes_asked_for_are_read(ledger, typeName):
    ledger.recordCounts(typeName, IngestCounts(1))
    ledger.execute("UPDATE IngestRates SET Minute = Minute - INTERVAL 2 HOUR WHERE Type = %s", (typeName,))
    ledger.recordCounts(typeName, IngestCounts(2))
    assert [rate.messages for rate in ledger.readRates(typeName, 60)] == [2]
    assert [rate.messages for rate in ledger.readRates(typeName, 180)] == [1, 2]


def test_states_are_counted_in_directories_that_moved_lately_alone(ledger, typeName):
    old, files = makeFile(typeName, 1, block="old"), [makeFile(typeName, number) for number in range(4)]
    announced(ledger, old, *files)
    ledger.recordRegistered([file.lfn for file in files[:2]])
    ledger.recordQuarantined([makeQuarantined(typeName, 5, files[2])])
    moveBack(ledger, old.directory, 10)
    expected = {FileState.REGISTERED: Usage(2, 2000), FileState.QUARANTINED: Usage(1, 1000), FileState.ANNOUNCED: Usage(1, 1000)}
    assert ledger.countStates(3)[typeName] == expected
    assert ledger.countStates(30)[typeName][FileState.ANNOUNCED] == Usage(2, 2000)


def test_an_old_directory_counts_again_when_an_announcement_comes_for_it(ledger, typeName):
    file = makeFile(typeName)
    announced(ledger, file)
    moveBack(ledger, file.directory, 10)
    assert typeName not in ledger.countStates(3)
    fresh = RawDataDB()  # this one did not note the directory within the last minutes
    fresh.recordAnnounced([makeEntry(makeFile(typeName, 2), 2)])
    assert ledger.countStates(3)[typeName] == {FileState.ANNOUNCED: Usage(2, 2000)}


def test_the_oldest_waiting_and_the_oldest_unregistered_file_are_named(ledger, typeName):
    files = [makeFile(typeName, number) for number in range(5)]
    ledger.recordWaiting(
        [makeWaiting(file, number, since=NOW - timedelta(minutes=number)) for number, file in enumerate(files[:3])]
    )
    times = [NOW - timedelta(hours=1), NOW - timedelta(hours=2)]
    ledger.recordAnnounced([makeEntry(file, 9, announcedTime=time) for file, time in zip(files[3:], times, strict=True)])
    assert ledger.oldestWaiting()[typeName] == OldestFile(files[2].lfn, NOW - timedelta(minutes=2))
    assert ledger.oldestAnnounced(1)[typeName] == OldestFile(files[4].lfn, times[1])
    ledger.recordRegistered([file.lfn for file in files[3:]])
    assert typeName not in ledger.oldestAnnounced(1)


# ---- what is missing


def numbered(typeName: str, run: int, sequence: int, block: str, stream: str = "global") -> RawFile:
    fields = {"RunNumber": str(run), "StreamType": "Physics", "StreamName": stream, "FileSequence": str(sequence)}
    return RawFile(typeName, f"/juno/{typeName}/{block}", f"Daq.{run}.{stream}.{sequence:06}.dat", block, fields)


def test_all_files_of_the_runs_of_a_block_are_read_in_order_those_of_other_blocks_too(ledger, typeName):
    files = [numbered(typeName, 7, number, "monday") for number in (3, 1, 2)]
    files += [numbered(typeName, 7, 5, "tuesday"), numbered(typeName, 8, 1, "tuesday"), numbered(typeName, 9, 1, "sunday")]
    announced(ledger, *files)
    ledger.closeQuarantined(_refused(ledger, typeName, numbered(typeName, 7, 4, "monday")), "Dropped", "prod")

    def found(**chosen):
        return [(each.run, each.sequence, each.block, each.isKnown) for each in ledger.sequences(typeName, **chosen)]

    seven = [(7, number, "monday", number != 4) for number in (1, 2, 3, 4)] + [(7, 5, "tuesday", True)]
    assert found(block="monday") == found(run=7) == seven
    assert found(block="tuesday") == [*seven, (8, 1, "tuesday", True)]
    assert found(block="tuesday", run=8) == [(8, 1, "tuesday", True)]
    for directory in (f"/juno/{typeName}/{block}" for block in ("monday", "tuesday")):
        moveBack(ledger, directory, 5)
    assert found(days=2) == [(9, 1, "sunday", True)]
    assert found(run=12345) == []


def _refused(ledger, typeName, file) -> list[int]:
    ledger.recordQuarantined([makeQuarantined(typeName, 99, file)])
    return [record.quarantineID for record in ledger.readQuarantineList(typeName=typeName)]


def test_a_waiting_and_a_refused_file_belong_to_their_run(ledger, typeName):
    ledger.recordWaiting([makeWaiting(numbered(typeName, 5, 1, "a"))])
    ledger.recordQuarantined([makeQuarantined(typeName, 2, numbered(typeName, 6, 1, "b"))])
    assert [each.run for each in ledger.sequences(typeName, days=1)] == [5, 6]


def test_a_series_can_be_left_in_the_middle_and_the_ledger_goes_on(ledger, typeName):
    announced(ledger, *(numbered(typeName, 1, number, "a") for number in range(3000)))
    first = list(itertools.islice(ledger.sequences(typeName), 5))
    assert [each.sequence for each in first] == [0, 1, 2, 3, 4]
    assert sum(1 for _ in ledger.sequences(typeName)) == 3000


def test_directories_are_found_by_block_run_and_days(ledger, typeName):
    announced(ledger, numbered(typeName, 1, 1, "a"), numbered(typeName, 2, 1, "a"), numbered(typeName, 2, 2, "b"))
    a, b = (f"/juno/{typeName}/{block}" for block in "ab")
    moveBack(ledger, a, 5)
    assert ledger.directoriesOf(typeName) == [a, b]
    assert ledger.directoriesOf(typeName, block="a") == [a]
    assert ledger.directoriesOf(typeName, run=2) == [a, b]
    assert ledger.directoriesOf(typeName, run=2, days=1) == [b]
    assert ledger.directoriesOf(typeName, days=1) == [b]


def test_the_files_of_a_directory_come_with_state_and_size(ledger, typeName):
    files = [makeFile(typeName, number) for number in range(2)]
    ledger.recordAnnounced([makeEntry(file, n, sizeBytes=None if n else 7) for n, file in enumerate(files)])
    ledger.recordRegistered([files[0].lfn])
    names = [file.fileName for file in files]
    assert ledger.directoryFiles(files[0].directory) == {
        names[0]: (FileState.REGISTERED, 7),
        names[1]: (FileState.ANNOUNCED, None),
    }
    assert ledger.directoryFiles("/unknown") == {}


def test_the_last_sweep_of_a_directory_is_kept(ledger, typeName):
    ledger.recordSweep(typeName, "/a", NOW, 1, 2, 3, 4, {})
    ledger.recordSweep(typeName, "/b", NOW, 0, 0, 0, 0, {})
    later = NOW + timedelta(hours=1)
    ledger.recordSweep(typeName, "/a", later, 10, 9, 1, 0, {"NeverAnnounced": ["ä.dat"]})
    sweep = SweepRecord(typeName, "/a", later, 10, 9, 1, 0, {"NeverAnnounced": ["ä.dat"]})
    assert ledger.readSweeps(typeName) == [SweepRecord(typeName, "/b", NOW, 0, 0, 0, 0, {}), sweep]
    assert ledger.readSweeps(typeName, since=later) == [sweep]


# ---- databases of other versions


def test_what_a_database_lacks_is_named_with_the_remedy(ledger, monkeypatch):
    monkeypatch.setattr(ledger, "dbName", "NoSuchDatabase")
    with pytest.raises(OldSchema, match=r"lacks table Blocks, .* run RawDataDB.sql and RawDataDB-upgrade.sql of the folder /"):
        ledger._checkSchema()


FIRST_SCHEMA = Path(__file__).parents[1] / "data/ledger/first-schema.sql"
OLD_ROWS = """
INSERT INTO `Blocks` VALUES (1, 'Raw', '20230302', NULL, 'Known', '2023-03-02', NULL);
INSERT INTO `Directories` VALUES (1, 1, '/juno/raw/0302', '2023-03-02');
INSERT INTO `Files`
  (DirectoryID, FileName, State, Topic, KafkaPartition, KafkaOffset, RunNumber, AnnouncedTime, RegisteredTime) VALUES
  (1, 'good', 'Registered', 'juno.raw', 0, 5, 12, '2023-03-02', '2023-03-02 01:00:00'),
  (1, 'bad', 'Quarantined', 'juno.raw', 0, 2, 13, '2023-03-02', NULL);
INSERT INTO `Quarantine` (Topic, KafkaPartition, KafkaOffset, Type, FileID, Reason, Detail, Payload, Time) VALUES
  ('juno.raw', 0, 1, 'Raw', 1, 'ZeroSize', '', 'x', '2023-03-02'),
  ('juno.raw', 0, 2, 'Raw', 2, 'ZeroSize', '', 'x', '2023-03-02'),
  ('juno.raw', 0, 6, 'Raw', 1, 'ZeroSize', '', 'x', '2023-03-03');
"""


@pytest.fixture
def copies():
    """Makes tables under names of their own; dropped afterwards."""
    database = configuredDatabase()
    prefixes = []

    def make(*scripts: str) -> str:
        prefix = f"Test{uuid.uuid4().hex[:8]}"
        prefixes.append(prefix)
        tables = "|".join(re.findall(r"EXISTS `(\w+)` \(", schemaText()))
        for script in scripts:
            runScript(database, re.sub(rf"`({tables})`", rf"`{prefix}\1`", script))
        return prefix

    yield make
    for prefix in prefixes:
        for (table,) in database.select("SHOW TABLES LIKE %s", (f"{prefix}%",)):
            database.execute(f"DROP TABLE {table}")


def tablesOf(ledger, prefix: str) -> list[str]:
    names = sorted(name for (name,) in ledger.select("SHOW TABLES LIKE %s", (f"{prefix}%",)))
    texts = [ledger.select(f"SHOW CREATE TABLE {name}")[0][1] for name in names]
    return [re.sub(r" AUTO_INCREMENT=\d+", "", text).replace(prefix, "") for text in texts]


@pytest.mark.parametrize("times", [1, 2])
def test_an_upgraded_database_is_like_a_new_one_and_keeps_its_rows(ledger, copies, times):
    upgrade = (schemaText(), schemaText("RawDataDB-upgrade.sql"))
    old = copies(FIRST_SCHEMA.read_text(), OLD_ROWS, *upgrade * times)
    assert tablesOf(ledger, old) == tablesOf(ledger, copies(schemaText()))
    assert ledger.select(f"SELECT FileName, State, KafkaOffset FROM {old}Files ORDER BY FileID") == (
        ("good", "Registered", 5),
        ("bad", "Quarantined", 2),
    )
    records = ledger.select(f"SELECT State, ClosedBy FROM {old}Quarantine ORDER BY KafkaOffset")
    assert records == (("Retried", "juno.raw/0/5"), ("Open", ""), ("Open", ""))
    assert ledger.select(f"SELECT RunNumber, DirectoryID FROM {old}Runs ORDER BY 1") == ((12, 1), (13, 1))


def test_the_upgrade_refuses_names_that_differ_in_case_and_keeps_them(ledger, copies):
    twin = OLD_ROWS.replace("'bad'", "'GOOD'")
    old = copies(FIRST_SCHEMA.read_text(), twin, schemaText())
    statement = schemaText("RawDataDB-upgrade.sql").partition(";")[0].replace("`Files`", f"`{old}Files`")
    with pytest.raises(DatabaseError, match="Duplicate entry"):
        runScript(ledger, statement)
    assert ledger.select(f"SELECT FileName FROM {old}Files ORDER BY FileID") == (("good",), ("GOOD",))
