"""Refused announcements: recorded, answered by good ones, listed, and closed by people."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from ledgertools import ANYTHING_BUT_UTF8, announced, makeEntry, makeFile, makeQuarantined, makeWaiting, quarantineIDs, stateOf

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.QuarantineState import CannotClose
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure


def states(ledger, typeName) -> list[str]:
    return [record.state for record in ledger.readQuarantineList(typeName=typeName, states=())]


def quarantined(ledger, typeName, file, *offsets, **changes) -> list[int]:
    ledger.recordQuarantined([makeQuarantined(typeName, offset, file, **changes) for offset in offsets])
    return quarantineIDs(ledger, typeName)


# ---- what the receiver records


def test_a_message_that_was_quarantined_is_known_with_its_reason_by_its_position_alone(ledger, typeName):
    quarantined(ledger, typeName, None, 1, reason=Reason.BAD_NAME, detail="no ☂")
    quarantined(ledger, typeName, makeFile(typeName), 2)
    topic = f"juno.{typeName}"
    assert ledger.findQuarantined([(topic, 0, 1), (topic, 0, 2), (topic, 0, 3), (topic, 1, 1)]) == {
        (topic, 0, 1): (Reason.BAD_NAME, "no ☂"),
        (topic, 0, 2): (Reason.CATALOGUE_REFUSED, "other \\udcff checksum ☂"),
    }
    ledger.execute("UPDATE Quarantine SET Reason = 'Strange' WHERE Type = %s AND KafkaOffset = 1", (typeName,))
    assert ledger.findQuarantined([(topic, 0, 1)]) == {(topic, 0, 1): (Reason.INTERNAL_ERROR, "Strange: no ☂")}


def test_message_key_and_payload_come_back_byte_for_byte(ledger, typeName):
    quarantined(ledger, typeName, None, 1)
    ledger.recordQuarantined(
        [replace(makeQuarantined(typeName, 2), message=replace(makeQuarantined(typeName, 2).message, key=None))]
    )
    first, second = ledger.readQuarantined(quarantineIDs(ledger, typeName))
    assert (first.payload, first.key, second.key) == (ANYTHING_BUT_UTF8, b"key\xff", None)
    assert [record.payload for record in ledger.readQuarantineList(typeName=typeName)] == [b"", b""]


def test_a_good_announcement_answers_the_open_records_of_its_file_but_no_conflict_and_no_other_file(ledger, typeName):
    file, other = makeFile(typeName, 1), makeFile(typeName, 2)
    quarantined(ledger, typeName, file, 1, 2)
    quarantined(ledger, typeName, file, 3, reason=Reason.CONFLICT)
    quarantined(ledger, typeName, other, 4)
    ledger.recordAnnounced([makeEntry(each, 9) for each in (file, makeFile(typeName, 3))])
    assert states(ledger, typeName) == ["Retried", "Retried", "Open", "Open"]
    closed = ledger.readQuarantineList(typeName=typeName, states=("Retried",))
    assert {record.closedBy for record in closed} == {f"juno.{typeName}/0/9"}
    assert None not in {record.closedTime for record in closed}
    assert stateOf(ledger, other) is FileState.QUARANTINED


def test_a_file_announced_alone_answers_its_records_too(ledger, typeName):
    file = makeFile(typeName)
    quarantined(ledger, typeName, file, 1)
    ledger.recordAnnounced([makeEntry(file, 9)])
    assert states(ledger, typeName) == ["Retried"]


def test_an_announcement_of_a_registered_file_answers_nothing(ledger, typeName):
    file = makeFile(typeName)
    announced(ledger, file)
    ledger.recordRegistered([file.lfn])
    quarantined(ledger, typeName, file, 5)
    ledger.recordAnnounced([makeEntry(file, 9)])
    assert states(ledger, typeName) == ["Open"]
    other = makeFile(typeName, 2)
    quarantined(ledger, typeName, other, 6)
    ledger.recordAnnounced([makeEntry(file, 10), makeEntry(other, 11)])
    assert states(ledger, typeName) == ["Open", "Retried"]


def test_the_same_message_refused_again_after_its_retry_is_open_again(ledger, typeName):
    file = makeFile(typeName)
    quarantined(ledger, typeName, file, 1)
    ledger.recordAnnounced([makeEntry(file, 1)])
    assert states(ledger, typeName) == ["Retried"]
    quarantined(ledger, typeName, file, 1)
    (record,) = ledger.readQuarantineList(typeName=typeName)
    assert (record.state, record.closedTime, record.closedBy) == ("Open", None, "")
    assert stateOf(ledger, file) is FileState.QUARANTINED


def test_a_conflict_quarantines_a_waiting_file_which_its_own_message_takes_up_again(ledger, typeName):
    file = makeFile(typeName)
    ledger.recordWaiting([makeWaiting(file, 1)])
    quarantined(ledger, typeName, file, 2, reason=Reason.CONFLICT)
    assert stateOf(ledger, file) is FileState.QUARANTINED
    ledger.recordAnnounced([makeEntry(file, 1)])
    assert stateOf(ledger, file) is FileState.ANNOUNCED
    assert states(ledger, typeName) == ["Open"]


@pytest.mark.parametrize("decision", ["Waived", "Dropped"])
def test_a_decision_stands_against_bad_announcements_and_yields_to_a_good_one(ledger, typeName, decision):
    file = makeFile(typeName)
    ledger.closeQuarantined(quarantined(ledger, typeName, file, 1), decision, "prod")
    quarantined(ledger, typeName, file, 1)
    quarantined(ledger, typeName, file, 2)
    assert stateOf(ledger, file) is FileState(decision)
    assert states(ledger, typeName) == [decision, "Open"]
    ledger.recordAnnounced([makeEntry(file, 3)])
    assert stateOf(ledger, file) is FileState.ANNOUNCED
    assert states(ledger, typeName) == [decision, "Retried"]


# ---- names that differ in case alone


def test_a_name_that_differs_in_case_is_found_with_the_name_of_the_row(ledger, typeName):
    file = makeFile(typeName)
    twin = replace(file, fileName=file.fileName.upper())
    announced(ledger, file)
    found = ledger.findFiles([twin, file])
    assert found[twin.lfn].file.fileName == file.fileName
    assert found[file.lfn].file == file


def test_a_twin_in_case_never_changes_the_row_of_the_other(ledger, typeName):
    file = makeFile(typeName)
    twin = replace(file, fileName=file.fileName.upper())
    announced(ledger, file)
    before = ledger.findFiles([file])
    ledger.recordAnnounced([makeEntry(twin, 2, checksum="ffffffff")])
    ledger.recordSizes({twin.lfn: 3})
    quarantined(ledger, typeName, twin, 3)
    with pytest.raises(Exception, match="cannot go from nothing to Registered"):
        ledger.recordRegistered([twin.lfn])
    assert ledger.findFiles([file]) == before
    ledger.recordQuarantined([makeQuarantined(typeName, 4, file)])
    ledger.recordAnnounced([makeEntry(twin, 5)])
    assert stateOf(ledger, file) is FileState.QUARANTINED
    assert states(ledger, typeName) == ["Open", "Open"]


def test_waiving_the_record_of_a_twin_leaves_the_other_file_alone(ledger, typeName):
    file = makeFile(typeName)
    quarantined(ledger, typeName, file, 1)
    ids = quarantined(ledger, typeName, replace(file, fileName=file.fileName.upper()), 2)
    ledger.closeQuarantined(ids[1:], "Waived", "prod")
    assert stateOf(ledger, file) is FileState.QUARANTINED
    ledger.closeQuarantined(ids[:1], "Waived", "prod")
    assert stateOf(ledger, file) is FileState.WAIVED


# ---- what people do


def test_waiving_takes_the_file_and_every_open_record_of_it_along(ledger, typeName):
    file, other = makeFile(typeName, 1), makeFile(typeName, 2)
    ids = quarantined(ledger, typeName, file, 1, 2)
    quarantined(ledger, typeName, file, 3, reason=Reason.CONFLICT)
    quarantined(ledger, typeName, other, 4)
    assert ledger.closeQuarantined(ids[:1], "Waived", "prod", "lost with node 5") == 3
    assert states(ledger, typeName) == ["Waived", "Waived", "Waived", "Open"]
    assert (stateOf(ledger, file), stateOf(ledger, other)) == (FileState.WAIVED, FileState.QUARANTINED)
    (waived,) = ledger.readWaived(typeName, file.block)
    assert (waived.lfn, waived.closedBy, waived.why) == (file.lfn, "prod", "lost with node 5")
    assert waived.closedTime is not None
    (block,) = ledger.readBlocks(typeName=typeName)
    assert [each.lfn for each in block.waivedFiles] == [file.lfn]
    assert block.fileCounts == {FileState.WAIVED: 1, FileState.QUARANTINED: 1}


def test_a_file_is_dropped_with_its_last_open_record(ledger, typeName):
    file = makeFile(typeName)
    ids = quarantined(ledger, typeName, file, 1, 2)
    quarantined(ledger, typeName, file, 3, reason=Reason.CONFLICT)
    ledger.closeQuarantined(ids[:1], "Dropped", "prod")
    assert stateOf(ledger, file) is FileState.QUARANTINED
    ledger.closeQuarantined(ids[1:2], "Dropped", "prod")
    assert stateOf(ledger, file) is FileState.DROPPED
    assert states(ledger, typeName) == ["Dropped", "Dropped", "Open"]


def test_all_records_of_a_file_dropped_at_once_drop_the_file(ledger, typeName):
    file = makeFile(typeName)
    assert ledger.closeQuarantined(quarantined(ledger, typeName, file, 1, 2), "Dropped", "prod") == 2
    assert stateOf(ledger, file) is FileState.DROPPED


@pytest.mark.parametrize("newState", ["Retried", "Waived", "Dropped"])
def test_a_conflict_never_changes_the_file_that_it_contradicts(ledger, typeName, newState):
    announcedFile, registered, bad = (makeFile(typeName, number) for number in range(3))
    announced(ledger, announcedFile, registered)
    ledger.recordRegistered([registered.lfn])
    quarantined(ledger, typeName, bad, 4)
    files = [announcedFile, registered, bad]
    before = ledger.findFiles(files)
    ledger.recordQuarantined([makeQuarantined(typeName, 5 + n, file, reason=Reason.CONFLICT) for n, file in enumerate(files)])
    ledger.closeQuarantined(quarantineIDs(ledger, typeName)[1:], newState, "prod")
    assert ledger.findFiles(files) == before
    assert states(ledger, typeName) == ["Open", newState, newState, newState]


def test_a_row_that_a_conflict_made_itself_can_be_given_up(ledger, typeName):
    file = makeFile(typeName)
    ledger.closeQuarantined(quarantined(ledger, typeName, file, 1, reason=Reason.CONFLICT), "Waived", "prod")
    assert stateOf(ledger, file) is FileState.WAIVED


def test_a_retried_record_leaves_its_file_in_quarantine_until_it_is_announced(ledger, typeName):
    file = makeFile(typeName)
    ledger.closeQuarantined(quarantined(ledger, typeName, file, 1), "Retried", "prod")
    assert stateOf(ledger, file) is FileState.QUARANTINED
    assert states(ledger, typeName) == ["Retried"]


@pytest.mark.parametrize("bad", ["closed", "unknown", "nameless", "registered", "waiting"])
def test_one_record_that_cannot_be_waived_is_named_and_nothing_at_all_is_written(ledger, typeName, bad):
    good, other = makeFile(typeName, 1), makeFile(typeName, 2)
    quarantined(ledger, typeName, good, 1)
    if bad == "registered":
        announced(ledger, other)
        ledger.recordRegistered([other.lfn])
    ids = quarantined(ledger, typeName, None if bad == "nameless" else other, 2)
    if bad == "closed":
        ledger.closeQuarantined(ids[1:], "Dropped", "somebody")
    if bad == "waiting":
        ledger.recordAnnounced([makeEntry(other, 3)])
        ledger.execute("UPDATE Quarantine SET State = 'Open' WHERE QuarantineID = %s", (ids[1],))
    wrong = 2**40 if bad == "unknown" else ids[1]
    before = ledger.readQuarantined(ids), ledger.findFiles([good, other])
    with pytest.raises(CannotClose, match=str(wrong)) as raised:
        ledger.closeQuarantined([ids[0], wrong], "Waived", "prod")
    assert raised.value.quarantineID == wrong
    assert (ledger.readQuarantined(ids), ledger.findFiles([good, other])) == before


def test_a_record_without_a_file_can_be_dropped_or_retried(ledger, typeName):
    ids = quarantined(ledger, typeName, None, 1, 2)
    ledger.closeQuarantined(ids[:1], "Dropped", "prod")
    ledger.closeQuarantined(ids[1:], "Retried", "prod")
    assert states(ledger, typeName) == ["Dropped", "Retried"]


def test_the_bad_announcement_of_a_registered_file_can_be_dropped(ledger, typeName):
    file = makeFile(typeName)
    announced(ledger, file)
    ledger.recordRegistered([file.lfn])
    ledger.closeQuarantined(quarantined(ledger, typeName, file, 1), "Dropped", "prod")
    assert stateOf(ledger, file) is FileState.REGISTERED


def test_a_waiver_that_is_cut_off_leaves_nothing_of_it(ledger, typeName, monkeypatch):
    file = makeFile(typeName)
    ids = quarantined(ledger, typeName, file, 1)
    execute = ledger.execute

    def cut(sql, args=(), conn=None):
        if sql.startswith("UPDATE Quarantine"):
            execute("KILL CONNECTION_ID()", conn=conn)
        return execute(sql, args, conn)

    monkeypatch.setattr(ledger, "execute", cut)
    with pytest.raises(TemporaryFailure):
        ledger.closeQuarantined(ids, "Waived", "prod")
    monkeypatch.undo()
    assert stateOf(ledger, file) is FileState.QUARANTINED
    assert states(ledger, typeName) == ["Open"]


def test_a_file_that_is_waived_and_announced_at_the_same_time_ends_announced_or_waived_with_its_record_closed(ledger, typeName):
    files = [makeFile(typeName, number) for number in range(30)]
    ids = [quarantined(ledger, typeName, file, number)[-1] for number, file in enumerate(files)]
    refused = []

    def waive() -> None:
        for quarantineID in ids:
            try:
                ledger.closeQuarantined([quarantineID], "Waived", "prod")
            except CannotClose:
                refused.append(quarantineID)

    thread = threading.Thread(target=waive)
    thread.start()
    for number, file in enumerate(reversed(files)):
        ledger.recordAnnounced([makeEntry(file, 100 + number)])
    thread.join()
    found = ledger.findFiles(files)
    records = ledger.readQuarantined(ids)
    for file, record in zip(files, records, strict=True):
        # the announcement takes a waived file up again
        assert found[file.lfn].state is FileState.ANNOUNCED
        assert record.state == ("Retried" if record.quarantineID in refused else "Waived")
