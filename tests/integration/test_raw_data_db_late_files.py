"""Late files and ends of blocks in the ledger: every file is in exactly one block, and every count says so."""

from __future__ import annotations

import threading

import pytest
from ledgertools import makeEntry, makeFile, makeQuarantined

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Logic.Ports import Expected

BLOCK, LATE1, LATE2 = "20230302", "20230302-late1", "20230302-late2"


def register(ledger, *files, followUp: str = "", offset: int = 1) -> None:
    ledger.recordAnnounced([makeEntry(file, offset, followUp=followUp) for file in files])
    ledger.recordRegistered([file.lfn for file in files])


@pytest.fixture
def blocks(ledger, typeName):
    """Files 0 to 3 in the block, 4 and 5 in its first follow-up block, 6 in the second one, all opened."""
    files = [makeFile(typeName, number) for number in range(7)]
    register(ledger, *files[:4])
    ledger.recordBlock(Block(typeName, BLOCK, files[0].directory, {"A-SE": 1, "B-SE": 2}))
    for first, last, name, transfers in ((4, 6, LATE1, {"A-SE": 3}), (6, 7, LATE2, {"A-SE": 4})):
        register(ledger, *files[first:last], followUp=name)
        ledger.recordBlock(Block(typeName, name, "", transfers, parent=BLOCK))
    return files


def namesOf(ledger, typeName: str) -> dict[str, list[str]]:
    return {name: sorted(ledger.readRegistered(typeName, name)) for name in (BLOCK, LATE1, LATE2)}


def lfns(files) -> list[str]:
    return [file.lfn for file in files]


# ---- which block a file is in


def test_each_file_is_listed_and_counted_in_exactly_one_block(ledger, typeName, blocks):
    assert namesOf(ledger, typeName) == {BLOCK: lfns(blocks[:4]), LATE1: lfns(blocks[4:6]), LATE2: lfns(blocks[6:])}
    shown = {block.name: block for block in ledger.readBlocks(typeName=typeName)}
    assert {name: dict(block.fileCounts) for name, block in shown.items()} == {
        BLOCK: {FileState.REGISTERED: 4}, LATE1: {FileState.REGISTERED: 2}, LATE2: {FileState.REGISTERED: 1},
    }  # fmt: skip
    assert {name: block.sizeBytes[FileState.REGISTERED] for name, block in shown.items()} == {
        BLOCK: 4000,
        LATE1: 2000,
        LATE2: 1000,
    }
    assert [ledger.readFile(file.lfn).block for file in blocks] == [BLOCK] * 4 + [LATE1] * 2 + [LATE2]
    assert dict(ledger.readFile(blocks[4].lfn).transfers) == {"A-SE": 3}


def test_a_block_tells_which_files_of_its_directory_others_have(ledger, typeName, blocks):
    shown = {block.name: block for block in ledger.readBlocks(typeName=typeName)}
    late = {file.lfn: 1000 for file in blocks[4:]}
    assert shown[BLOCK].othersFiles == late
    assert {**shown[LATE1].ownLateFiles, **shown[LATE2].ownLateFiles} == late
    assert (shown[BLOCK].ownLateFiles, shown[LATE1].othersFiles, shown[LATE1].directory) == ({}, {}, "")


def test_the_directory_stays_that_of_the_closed_block(ledger, typeName, blocks):
    directory = blocks[0].directory
    assert [ledger.readDirectories(typeName, name) for name in (BLOCK, LATE1, "other")] == [[directory], [directory], []]
    assert len(ledger.directoryFiles(directory)) == 7
    assert ledger.directoriesOf(typeName, LATE1) == [directory]


def test_sequence_numbers_know_the_block_of_each_file(ledger, typeName, blocks):
    for name in (BLOCK, LATE1):
        found = [file.block for file in ledger.sequences(typeName, name)]
        assert found == [BLOCK] * 4 + [LATE1] * 2 + [LATE2]


def test_refused_announcements_of_late_files_are_found_by_their_block(ledger, typeName, blocks):
    ledger.recordQuarantined([makeQuarantined(typeName, 50 + number, file) for number, file in enumerate(blocks)])
    found = {name: ledger.countQuarantineList(typeName=typeName, block=name) for name in (BLOCK, LATE1, LATE2)}
    assert found == {BLOCK: {"CatalogueRefused": 4}, LATE1: {"CatalogueRefused": 2}, LATE2: {"CatalogueRefused": 1}}
    assert {record.block for record in ledger.readQuarantineList(typeName=typeName, block=LATE1)} == {LATE1}


def test_waived_files_of_a_follow_up_block_are_its_own(ledger, typeName, blocks):
    bad = makeFile(typeName, 8)
    ledger.recordAnnounced([makeEntry(bad, 60, followUp=LATE1)])
    ledger.recordQuarantined([makeQuarantined(typeName, 60, bad)])
    (record,) = ledger.readQuarantineList(typeName=typeName)
    assert record.block == LATE1
    ledger.closeQuarantined([record.quarantineID], "Waived", "li", "lost")
    assert [file.lfn for file in ledger.readWaived(typeName, LATE1)] == [bad.lfn]
    assert [(file.code, file.closedBy, file.why) for file in ledger.readWaived(typeName, LATE1)] == [
        ("CatalogueRefused", "li", "lost")
    ]
    assert ledger.readWaived(typeName, BLOCK) == []


def test_a_file_that_is_taken_up_again_changes_its_block_and_is_never_in_two(ledger, typeName, blocks):
    file = makeFile(typeName, 9)
    for offset, followUp in ((70, LATE1), (71, LATE2), (72, ""), (73, LATE1)):
        ledger.recordAnnounced([makeEntry(file, offset, followUp=followUp)])
        assert ledger.findFiles([file])[file.lfn].followUp == followUp
        assert ledger.readFile(file.lfn).block == (followUp or BLOCK)
        ledger.recordQuarantined([makeQuarantined(typeName, offset, file)])


def test_a_row_that_is_on_its_way_is_not_moved_by_another_announcement(ledger, typeName, blocks):
    file = blocks[4]
    ledger.recordAnnounced([makeEntry(file, 99)])
    assert ledger.findFiles([file])[file.lfn].followUp == LATE1


# ---- blocks


def test_a_block_tells_its_state_its_parent_and_whether_it_has_follow_ups(ledger, typeName, blocks):
    found = ledger.findBlock(typeName, BLOCK)
    assert (found.state, found.parent, found.hasFollowUps, found.directory) == (BlockState.OPEN, "", True, blocks[0].directory)
    found = ledger.findBlock(typeName, LATE1)
    assert (found.state, found.parent, found.hasFollowUps, found.directory) == (BlockState.OPEN, BLOCK, False, "")
    assert dict(found.transfers) == {"A-SE": 3}
    assert (ledger.findParent(typeName, LATE1), ledger.findParent(typeName, BLOCK)) == (BLOCK, "")


def test_the_newest_follow_up_block_is_found_before_it_is_opened(ledger, typeName):
    file = makeFile(typeName, 1)
    assert ledger.findFollowUp(typeName, BLOCK) is None
    ledger.recordAnnounced([makeEntry(file, 1, followUp=LATE1)])
    found = ledger.findFollowUp(typeName, BLOCK)
    assert (found.name, found.state, found.parent) == (LATE1, BlockState.KNOWN, BLOCK)
    assert ledger.findBlock(typeName, LATE1) is None


def test_several_receivers_make_a_follow_up_block_once(ledger, typeName):
    files = [makeFile(typeName, number) for number in range(8)]
    threads = [threading.Thread(target=register, args=(ledger, file), kwargs={"followUp": LATE1}) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ledger.readRegistered(typeName, LATE1)) == lfns(files)
    assert ledger.readRegistered(typeName, BLOCK) == []


def test_a_block_and_its_sites_go_back_with_an_event_each_and_only_from_what_was_proved(ledger, typeName, blocks):
    blockID = ledger.select("SELECT BlockID FROM Blocks WHERE Type = %s AND Block = %s", (typeName, BLOCK))[0][0]
    ledger.execute("UPDATE Blocks SET State = 'Validated' WHERE BlockID = %s", (blockID,))
    ledger.execute("UPDATE BlockTransfers SET State = IF(SE = 'A-SE', 'Done', 'Problem') WHERE BlockID = %s", (blockID,))
    for _ in range(2):
        ledger.takeBack(typeName, BLOCK, "late files: x")
    assert ledger.findBlock(typeName, BLOCK).state == BlockState.CLOSED
    sites = dict(ledger.select("SELECT SE, State FROM BlockTransfers WHERE BlockID = %s", (blockID,)))
    assert sites == {"A-SE": "Closed", "B-SE": "Problem"}
    late = [event for event in ledger.readBlockEvents(blockID) if event.reason == "late files: x"]
    assert [(event.se, event.fromState, event.toState, event.actor) for event in late] == [
        ("", "Validated", "Closed", "DataReceiverAgent"),
        ("A-SE", "Done", "Closed", "DataReceiverAgent"),
    ]


# ---- how many files a block shall have


def test_the_first_number_holds_and_says_whose_it_is(ledger, typeName):
    first, second = (f"juno.{typeName}/x", 3, 17), (f"juno.{typeName}/x", 3, 18)
    assert ledger.recordExpected(typeName, BLOCK, 0, first) == Expected(0, first)
    assert ledger.recordExpected(typeName, BLOCK, 5, second) == Expected(0, first)
    assert ledger.findBlock(typeName, BLOCK) is None, "it is known, and not opened"
    register(ledger, makeFile(typeName))
    ledger.recordBlock(Block(typeName, BLOCK, makeFile(typeName).directory, {"A-SE": 1}))
    assert ledger.recordExpected(typeName, BLOCK, 5, second) == Expected(0, first)


def test_a_number_that_a_person_set_belongs_to_no_message(ledger, typeName):
    ledger.recordExpected(typeName, BLOCK, 7, ("t", 0, 1))
    ledger.execute("UPDATE Blocks SET ExpectedFiles = 8, ExpectedBy = 'li' WHERE Type = %s", (typeName,))
    assert ledger.recordExpected(typeName, BLOCK, 7, ("t", 0, 1)) == Expected(8, None)
