"""The ledger on a real MariaDB: the database that the DIRAC configuration names as RawData/RawDataDB."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from ledgertools import ANYTHING_BUT_UTF8, makeEntry, makeFile, makeQuarantined, stateOf

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.FileState import FileState, IllegalTransition
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import DirectoryTaken, Message, TemporaryFailure
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import DatabaseError
from JUNODIRAC.RawDataSystem.DB.RawDataDB import LedgerMismatch


def test_an_announced_file_is_found_with_all_that_was_said_of_it(ledger, typeName):
    entry = makeEntry(makeFile(typeName), announcedTime=datetime(2023, 3, 2, 1, 2, 3, 456000, tzinfo=UTC))
    ledger.recordAnnounced([entry])
    assert ledger.findFiles([entry.file, makeFile(typeName, 2)]) == {entry.file.lfn: entry}


def test_a_registered_file_stays_as_it_is_whatever_is_announced_or_quarantined_after_it(ledger, typeName):
    file = makeFile(typeName)
    ledger.recordAnnounced([makeEntry(file)])
    ledger.recordRegistered([file.lfn])
    before = ledger.findFiles([file])
    ledger.recordAnnounced([makeEntry(file, offset=2, checksum="ffffffff", sizeBytes=2)])
    ledger.recordQuarantined([makeQuarantined(typeName, 3, file)])
    ledger.recordRegistered([file.lfn])
    ledger.recordSizes({file.lfn: 99})
    assert ledger.findFiles([file]) == before
    assert before[file.lfn].state is FileState.REGISTERED
    assert before[file.lfn].registeredTime is not None


def test_a_quarantined_file_that_is_announced_again_takes_the_new_values(ledger, typeName):
    file = makeFile(typeName)
    ledger.recordQuarantined([makeQuarantined(typeName, 1, file)])
    assert stateOf(ledger, file) is FileState.QUARANTINED
    ledger.recordAnnounced([makeEntry(file, offset=2, sizeBytes=42)])
    entry = ledger.findFiles([file])[file.lfn]
    assert (entry.state, entry.checksum, entry.sizeBytes, entry.offset) == (FileState.ANNOUNCED, "0a1b2c3d", 42, 2)
    ledger.recordRegistered([file.lfn])
    assert stateOf(ledger, file) is FileState.REGISTERED


def test_an_announced_file_keeps_its_content_in_quarantine_and_stands_for_the_refused_message(ledger, typeName):
    file = makeFile(typeName)
    ledger.recordAnnounced([makeEntry(file, offset=5)])
    ledger.recordQuarantined([makeQuarantined(typeName, 9, file)])
    entry = ledger.findFiles([file])[file.lfn]
    assert (entry.state, entry.offset, entry.checksum, entry.sizeBytes) == (FileState.QUARANTINED, 9, "0a1b2c3d", 1000)
    assert entry.quarantinedTime is not None


def test_a_conflict_leaves_an_announced_file_alone_and_is_kept_with_it(ledger, typeName):
    file, other = makeFile(typeName), makeFile(typeName, 2)
    ledger.recordAnnounced([makeEntry(file)])
    conflicts = [makeQuarantined(typeName, offset, which, reason=Reason.CONFLICT) for offset, which in ((8, file), (9, other))]
    ledger.recordQuarantined(conflicts)
    assert stateOf(ledger, file) is FileState.ANNOUNCED
    assert [record.reason for record in ledger.readFile(file.lfn).quarantine] == ["Conflict"]
    assert stateOf(ledger, other) is FileState.QUARANTINED


def test_the_same_message_quarantined_twice_changes_nothing(ledger, typeName):
    file = makeFile(typeName)
    item = makeQuarantined(typeName, 1, file)
    ledger.recordQuarantined([item, item])
    before = ledger.readFile(file.lfn)
    ledger.recordQuarantined([replace(item, reason=Reason.BAD_FIELD, message=replace(item.message, payload=b"other"))])
    assert ledger.readFile(file.lfn) == before
    assert len(before.quarantine) == 1


def test_a_message_refused_again_after_its_file_was_taken_up_again_quarantines_the_file_again(ledger, typeName):
    file = makeFile(typeName)
    item = makeQuarantined(typeName, 1, file)
    ledger.recordQuarantined([item])
    ledger.recordAnnounced([makeEntry(file, offset=1)])
    ledger.recordQuarantined([item])
    assert stateOf(ledger, file) is FileState.QUARANTINED
    assert len(ledger.readFile(file.lfn).quarantine) == 1


def test_a_payload_comes_back_byte_for_byte(ledger, typeName):
    ledger.recordQuarantined([makeQuarantined(typeName, 1, fileName=f"{typeName}\ud800.dat")])
    (record,) = ledger.readQuarantineByName(f"{typeName}\ud800.dat")
    assert record.payload == ANYTHING_BUT_UTF8
    assert record.reason == "CatalogueRefused"
    assert record.detail == "other \\udcff checksum ☂"


def test_large_payloads_are_kept_in_one_call(ledger, typeName):
    payloads = [bytes([number]) * 1_000_000 for number in range(20)]
    items = [makeQuarantined(typeName, n, fileName=typeName, message=Message(typeName, 0, n, p)) for n, p in enumerate(payloads)]
    ledger.recordQuarantined(items)
    assert [record.payload for record in ledger.readQuarantineByName(typeName)] == payloads


def test_a_name_that_no_column_takes_is_quarantined_without_a_file(ledger, typeName):
    long = RawFile(typeName, "/juno/x", "n" * 300, "20230302")
    odd = RawFile(typeName, "/juno/x", "n\udcff", "20230302")
    ledger.recordQuarantined([makeQuarantined(typeName, 1, long), makeQuarantined(typeName, 2, odd)])
    assert ledger.countQuarantine()[typeName] == {"CatalogueRefused": 2}


def test_an_absurd_number_in_a_bad_announcement_does_not_stop_its_quarantine(ledger, typeName):
    ledger.recordQuarantined([makeQuarantined(typeName, 1, makeFile(typeName), sizeBytes=10**30, checksum="x" * 500)])
    assert ledger.countQuarantine()[typeName] == {"CatalogueRefused": 1}


@pytest.mark.parametrize("history", ["unknown", "unknown directory", "quarantined"])
def test_an_illegal_transition_raises_and_writes_nothing(ledger, typeName, history):
    good = [makeFile(typeName, number) for number in range(1, 1500)]
    bad = makeFile(typeName, 9999, subdirectory="/other" if history == "unknown directory" else "")
    ledger.recordAnnounced([makeEntry(file) for file in good])
    if history == "quarantined":
        ledger.recordQuarantined([makeQuarantined(typeName, 1, bad)])
    with pytest.raises(IllegalTransition) as raised:
        ledger.recordRegistered([*(file.lfn for file in good), bad.lfn])
    assert raised.value.lfn == bad.lfn
    assert {entry.state for entry in ledger.findFiles(good).values()} == {FileState.ANNOUNCED}


def test_sizes_are_filled_in_only_where_there_is_none(ledger, typeName):
    files = [makeFile(typeName, number) for number in range(1, 501)]
    ledger.recordAnnounced([makeEntry(file, sizeBytes=None if number % 2 else 5) for number, file in enumerate(files)])
    ledger.recordSizes({file.lfn: 1000 + number for number, file in enumerate(files)} | {"/juno/unknown/file": 1})
    sizes = ledger.findFiles(files)
    assert [sizes[file.lfn].sizeBytes for file in files] == [1000 + n if n % 2 else 5 for n in range(500)]


def test_20000_files_in_one_call_are_all_announced_registered_and_counted(ledger, typeName):
    files = [makeFile(typeName, number, block=f"2023030{number % 3}") for number in range(20_000)]
    ledger.recordAnnounced([makeEntry(file, offset) for offset, file in enumerate(files)])
    ledger.recordRegistered([file.lfn for file in files])
    ledger.recordRegistered([file.lfn for file in files])
    assert {entry.state for entry in ledger.findFiles(files).values()} == {FileState.REGISTERED}
    blocks = ledger.readBlocks(typeName=typeName)
    assert sum(block.fileCounts[FileState.REGISTERED] for block in blocks) == 20_000
    assert sum(block.sizeBytes[FileState.REGISTERED] for block in blocks) == 20_000_000


def test_two_threads_recording_the_same_files_leave_one_row_each(ledger, typeName):
    files = [makeFile(typeName, number) for number in range(3000)]
    failures: list[BaseException] = []

    def record(order: int) -> None:
        try:
            ledger.recordAnnounced([makeEntry(file) for file in files[::order]])
            ledger.recordQuarantined([makeQuarantined(typeName, number) for number in range(500)[::order]])
            ledger.recordRegistered([file.lfn for file in files[::order]])
        except Exception as error:  # noqa: BLE001 - reported by the test
            failures.append(error)

    threads = [threading.Thread(target=record, args=(order,)) for order in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    (block,) = ledger.readBlocks(typeName=typeName)
    assert block.fileCounts == {FileState.REGISTERED: 3000}
    assert ledger.countQuarantine()[typeName] == {"CatalogueRefused": 500}


def test_a_block_is_unknown_until_it_is_opened_and_then_only_gains_transfers(ledger, typeName):
    file = makeFile(typeName, subdirectory="/0302")
    ledger.recordAnnounced([makeEntry(file)])
    assert ledger.findBlock(typeName, file.block) is None
    block = Block(typeName, file.block, f"/juno/{typeName}/{file.block}", {"CNAF-STORM": 1})
    ledger.recordBlock(block)
    ledger.recordBlock(block)
    assert ledger.findBlock(typeName, file.block) == block
    ledger.recordBlock(replace(block, transfers={"JINR-EOS": 2}))
    assert ledger.findBlock(typeName, file.block) == replace(block, transfers={"CNAF-STORM": 1, "JINR-EOS": 2})


def test_a_block_cannot_take_the_directory_of_another(ledger, typeName):
    block = Block(typeName, "a", f"/juno/{typeName}/a", {"CNAF-STORM": 1})
    ledger.recordBlock(block)
    for wrong in (replace(block, directory=f"/juno/{typeName}/b"), replace(block, name="b")):
        with pytest.raises(LedgerMismatch, match="BlockRule"):
            ledger.recordBlock(wrong)
    with pytest.raises(DirectoryTaken, match="block 20230302|block a|block b"):
        ledger.recordAnnounced([makeEntry(makeFile(typeName)), makeEntry(replace(makeFile(typeName, 2), block="b"))])
    assert ledger.findBlock(typeName, "a") == block
    assert ledger.findFiles([makeFile(typeName), makeFile(typeName, 2)]) == {}


def test_a_block_known_only_from_quarantined_files_is_shown_with_them(ledger, typeName):
    ledger.recordQuarantined([makeQuarantined(typeName, 1, makeFile(typeName))])
    (block,) = ledger.readBlocks("20230302", typeName)
    assert (block.state, block.fileCounts, block.transfers) == ("Known", {FileState.QUARANTINED: 1}, {})


def test_the_newest_blocks_are_listed_when_there_are_more_than_the_limit(ledger, typeName):
    for name in ("a", "b", "c"):
        ledger.recordBlock(Block(typeName, name, f"/juno/{typeName}/{name}", {"JINR-EOS": 1}))
    assert [block.name for block in ledger.readBlocks(typeName=typeName, limit=2)] == ["b", "c"]
    assert ledger.countBlocks(typeName=typeName) == 3


def test_a_history_names_fields_transfers_and_every_refused_announcement(ledger, typeName):
    file = makeFile(typeName)
    ledger.recordAnnounced([makeEntry(file, 4)])
    ledger.recordBlock(Block(typeName, file.block, file.directory, {"JINR-EOS": 17}))
    ledger.recordRegistered([file.lfn])
    ledger.recordQuarantined([makeQuarantined(typeName, 8, file), makeQuarantined(typeName, 9, file)])
    known = ledger.readFile(file.lfn)
    assert known.fields == {
        "RunNumber": "123",
        "StreamType": "Physics",
        "FileTag": "tag",
        "FileSequence": "1",
    }
    assert known.transfers == {"JINR-EOS": 17}
    assert [record.offset for record in known.quarantine] == [8, 9]
    assert ledger.readFile(f"{file.lfn}.not") is None


def test_a_lost_connection_is_a_temporary_failure_and_the_next_call_works(ledger, typeName):
    file = makeFile(typeName)
    ledger.recordAnnounced([makeEntry(file)])
    ((connectionID,),) = ledger.select("SELECT CONNECTION_ID()")
    killer = threading.Thread(target=lambda: ledger.execute("KILL %s", (connectionID,)))  # DIRAC: one connection a thread
    killer.start()
    killer.join()
    with pytest.raises(TemporaryFailure):
        ledger.findFiles([file])
    assert stateOf(ledger, file) is FileState.ANNOUNCED


def test_a_connection_lost_in_the_middle_of_a_transaction_leaves_nothing_of_it(ledger, typeName):
    values = (datetime.now(UTC), typeName, typeName, "test", typeName, "")

    def work(conn):
        ledger.execute(
            "INSERT INTO Journal (Time, Actor, ActorGroup, Action, Object, Reason) VALUES (%s, %s, %s, %s, %s, %s)", values, conn
        )
        ledger.execute("KILL CONNECTION_ID()", conn=conn)

    with pytest.raises(TemporaryFailure):
        ledger.inTransaction(work)
    assert ledger.select("SELECT COUNT(*) FROM Journal WHERE Object = %s", (typeName,)) == ((0,),)


def test_a_statement_that_the_database_refuses_is_no_temporary_failure(ledger):
    with pytest.raises(DatabaseError):
        ledger.execute("INSERT INTO Blocks (NoSuchColumn) VALUES (1)")


def test_a_journal_line_names_who_what_and_why(ledger, typeName):
    ledger.recordJournal("manager", "juno_production", "openTransfers", typeName, "new site")
    found = ledger.select("SELECT Actor, ActorGroup, Action, Reason FROM Journal WHERE Object = %s", (typeName,))
    assert found == (("manager", "juno_production", "openTransfers", "new site"),)
    ledger.execute("DELETE FROM Journal WHERE Object = %s", (typeName,))
