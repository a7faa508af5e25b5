"""Announcements whose files are not visible yet, and the rows of the ledger that they make."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from ledgertools import NOW, announced, makeEntry, makeFile, makeQuarantined, makeWaiting, stateOf

from JUNODIRAC.Core.Domain.FileState import FileState, IllegalTransition
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import DirectoryTaken

LATER = NOW + timedelta(hours=1)


def due(ledger, typeName, now=LATER, partitions=(0,), limit=1000):
    return ledger.dueWaiting(f"juno.{typeName}", partitions, now, limit)


def test_a_waiting_message_comes_back_as_it_was_when_its_time_has_come_and_not_before(ledger, typeName):
    item = makeWaiting(makeFile(typeName))
    ledger.recordWaiting([item])
    assert due(ledger, typeName, item.nextTime - timedelta(milliseconds=1)) == []
    (found,) = due(ledger, typeName, item.nextTime)
    assert found == item
    assert found.file.fields == {"RunNumber": "123", "StreamType": "Physics", "FileTag": "tag", "FileSequence": "1"}
    assert stateOf(ledger, item.file) is FileState.WAITING


def test_a_message_that_waits_again_keeps_since_when_and_takes_over_the_rest(ledger, typeName):
    item = makeWaiting(makeFile(typeName))
    again = replace(item, since=LATER, nextTime=LATER, attempts=7, reason=Reason.NO_ANSWER, detail="timeout")
    ledger.recordWaiting([item])
    ledger.recordWaiting([again, again])
    assert due(ledger, typeName) == [replace(again, since=item.since)]


def test_the_oldest_come_first_and_only_those_of_the_partitions_asked_for(ledger, typeName):
    items = [
        makeWaiting(makeFile(typeName, number), number, since=NOW - timedelta(minutes=number % 3, seconds=number))
        for number in range(10)
    ]
    foreign = makeWaiting(makeFile(typeName, 11), 11)
    foreign = replace(foreign, message=replace(foreign.message, partition=1))
    ledger.recordWaiting([*items, foreign])
    oldest = sorted(items, key=lambda item: item.since)
    assert due(ledger, typeName) == oldest
    assert due(ledger, typeName, limit=3) == oldest[:3]
    assert due(ledger, typeName, partitions=(1, 2)) == [foreign]
    assert due(ledger, typeName, partitions=()) == []


def test_what_has_ended_does_not_wait_and_the_others_do(ledger, typeName):
    items = [makeWaiting(makeFile(typeName, number), number) for number in range(3)]
    ledger.recordWaiting(items)
    ledger.endWaiting([items[0].message.position, items[2].message.position, ("unknown", 0, 0)])
    assert due(ledger, typeName) == [items[1]]
    ledger.endWaiting([])


def test_a_registered_file_stays_registered_whatever_waits(ledger, typeName):
    file = makeFile(typeName)
    announced(ledger, file)
    ledger.recordRegistered([file.lfn])
    before = ledger.findFiles([file])
    ledger.recordWaiting([makeWaiting(file, 2)])
    assert ledger.findFiles([file]) == before


@pytest.mark.parametrize("state", [FileState.ANNOUNCED, FileState.QUARANTINED, FileState.WAIVED, FileState.DROPPED])
def test_a_file_that_is_not_registered_waits_with_the_new_message_and_its_values(ledger, typeName, state):
    file = makeFile(typeName)
    announced(ledger, file, offset=1)
    if state is not FileState.ANNOUNCED:
        ledger.recordQuarantined([makeQuarantined(typeName, 2, file)])
    if state in (FileState.WAIVED, FileState.DROPPED):
        ledger.closeQuarantined([ledger.readQuarantineList(typeName=typeName)[0].quarantineID], state.value, "prod")
    assert stateOf(ledger, file) is state
    ledger.recordWaiting([makeWaiting(file, 7, checksum="bbbbbbbb", sizeBytes=77)])
    entry = ledger.findFiles([file])[file.lfn]
    assert (entry.state, entry.offset, entry.checksum, entry.sizeBytes) == (FileState.WAITING, 7, "bbbbbbbb", 77)


def test_a_waiting_file_is_announced_and_registered_or_quarantined_but_never_registered_at_once(ledger, typeName):
    good, bad = makeFile(typeName, 1), makeFile(typeName, 2)
    ledger.recordWaiting([makeWaiting(good, 1), makeWaiting(bad, 2)])
    with pytest.raises(IllegalTransition):
        ledger.recordRegistered([good.lfn])
    ledger.recordAnnounced([makeEntry(good, 1, sizeBytes=5, eventCount=8)])
    ledger.recordRegistered([good.lfn])
    ledger.recordQuarantined([makeQuarantined(typeName, 2, bad)])
    assert ledger.findFiles([good])[good.lfn].eventCount == 8
    assert (stateOf(ledger, good), stateOf(ledger, bad)) == (FileState.REGISTERED, FileState.QUARANTINED)


def test_a_file_waits_with_its_first_message_when_a_call_has_two(ledger, typeName):
    file = makeFile(typeName)
    first, second = makeWaiting(file, 1, checksum="1"), makeWaiting(file, 2, checksum="2")
    ledger.recordWaiting([first, second])
    assert ledger.findFiles([file])[file.lfn].checksum == "1"
    assert [item.message for item in due(ledger, typeName)] == [first.message, second.message]


def test_large_waiting_messages_are_kept_in_one_call(ledger, typeName):
    items = [makeWaiting(makeFile(typeName, number), number) for number in range(12)]
    items = [replace(item, message=replace(item.message, payload=bytes([n]) * 1_000_000)) for n, item in enumerate(items)]
    ledger.recordWaiting(items)
    assert [item.message for item in due(ledger, typeName)] == [item.message for item in items]


def test_nothing_waits_if_one_directory_is_that_of_another_block(ledger, typeName):
    taken = makeFile(typeName)
    announced(ledger, taken)
    items = [
        makeWaiting(makeFile(typeName, 2, subdirectory="/fresh"), 2),
        makeWaiting(replace(makeFile(typeName, 3), block="other"), 3),
    ]
    with pytest.raises(DirectoryTaken, match=f"block 20230302 of Type {typeName}") as raised:
        ledger.recordWaiting(items)
    assert set(raised.value.blocks) == {taken.directory}
    assert due(ledger, typeName) == []
    assert ledger.directoriesOf(typeName) == [taken.directory]


@pytest.mark.parametrize("name", ["a.dat ", "ä.dat", "x" * 256])
def test_a_name_that_no_column_takes_is_refused_and_nothing_is_written(ledger, typeName, name):
    file = RawFile(typeName, f"/juno/{typeName}", name, "b")
    for record in (
        lambda: ledger.recordWaiting([makeWaiting(file)]),
        lambda: ledger.recordAnnounced([makeEntry(makeFile(typeName)), makeEntry(file)]),
    ):
        with pytest.raises(ValueError, match="cannot hold the names"):
            record()
    assert ledger.findFiles([file, makeFile(typeName)]) == {}
    assert due(ledger, typeName) == []
