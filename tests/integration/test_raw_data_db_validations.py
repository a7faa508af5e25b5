"""Validations and reports on a real database: what a look needs is read, what it found is kept whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from ledgertools import NOW, announced, makeEntry, makeFile, makeQuarantined, makeWaiting

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Validation import Difference, Look, Validation, Verdict
from JUNODIRAC.Core.Logic.BlockComparison import DeclaredFile

pytestmark = pytest.mark.integration

SE = "JINR-EOS"


@pytest.fixture
def makeBlock(ledger, typeName):
    """A block with so many registered files and two sites; gives its id and files."""
    made = []

    def make(count=3, name="20230302"):
        files = [makeFile(typeName, number, name) for number in range(1, count + 1)]
        announced(ledger, *files)
        ledger.recordRegistered([file.lfn for file in files])
        ledger.recordBlock(Block(typeName, name, files[0].directory, {SE: 1, "CNAF-STORM": 2}))
        blockID, sites = ledger.findSites(typeName, name)
        assert sites == ["CNAF-STORM", SE]
        made.append(blockID)
        return blockID, files

    yield make
    for blockID in made:
        ledger.execute("DELETE FROM Validations WHERE BlockID = %s", (blockID,))


def validation(blockID, minutes=0, **changes):
    started = NOW + timedelta(minutes=minutes)
    base = Validation(
        blockID=blockID,
        se=SE,
        look=Look.FIRST,
        actor="agent",
        startedTime=started,
        endedTime=started + timedelta(seconds=90),
        verdict=Verdict.BAD,
        files=3,
        sizeBytes=3000,
        goodFiles=1,
        counts={Difference.MISSING: 2, Difference.EXTRA: 1},
        names={Difference.MISSING: ("/a", "/b"), Difference.EXTRA: ("/ünïcode ☂",)},
        details={"/a": "it is not on the storage"},
        failure="",
    )
    return replace(base, **changes)


def setState(ledger, blockID, state, **times):
    columns = "".join(f", {column} = %s" for column in times)
    sql = f"UPDATE BlockTransfers SET State = %s{columns} WHERE BlockID = %s AND SE = %s"
    ledger.execute(sql, (state, *times.values(), blockID, SE))


def test_a_validation_comes_back_as_it_was_written(ledger, makeBlock):
    blockID, _ = makeBlock()
    found = validation(blockID)
    validationID = ledger.recordValidation(found)
    expected = replace(found, validationID=validationID)
    assert ledger.readValidations(blockID) == [expected]
    assert ledger.newestValidations([blockID], withNames=True) == {(blockID, SE): expected}
    withoutNames = replace(expected, names={}, details={})
    assert ledger.newestValidations([blockID]) == {(blockID, SE): withoutNames}


def test_the_newest_validation_of_a_site_is_the_one_that_began_last_whichever_was_written_last(ledger, makeBlock):
    blockID, _ = makeBlock()
    ledger.recordValidation(validation(blockID, 5, verdict=Verdict.GOOD))
    ledger.recordValidation(validation(blockID, 1))
    ledger.recordValidation(validation(blockID, 9, verdict=Verdict.INCOMPLETE))
    ledger.recordValidation(validation(blockID, 2, se="CNAF-STORM"))
    newest = ledger.newestValidations([blockID])
    assert {key: found.verdict for key, found in newest.items()} == {
        (blockID, SE): Verdict.INCOMPLETE,
        (blockID, "CNAF-STORM"): Verdict.BAD,
    }
    assert ledger.newestValidations([blockID], conclusiveOnly=True)[blockID, SE].verdict is Verdict.GOOD
    assert ledger.newestValidations([]) == {}


def test_a_block_s_files_are_its_registered_ones_with_size_and_checksum(ledger, typeName, makeBlock):
    blockID, files = makeBlock()
    other = makeFile(typeName, 9)
    announced(ledger, other)
    ledger.recordQuarantined([makeQuarantined(typeName, 50, makeFile(typeName, 10))])
    found = ledger.blockFiles(blockID)
    assert found.declared == {file.lfn: DeclaredFile(1000, "0a1b2c3d") for file in files}
    assert found.directories == (files[0].directory,)
    assert found.known == frozenset()


def test_late_files_of_a_follow_up_block_are_its_own_and_not_extra_at_its_parent(ledger, typeName, makeBlock):
    blockID, files = makeBlock()
    late = makeFile(typeName, 7)
    announced(ledger, late)
    ledger.recordRegistered([late.lfn])
    sql = "INSERT INTO Blocks (Type, Block, ParentID, State, CreatedTime) VALUES (%s, %s, %s, 'Open', %s)"
    ledger.execute(sql, (typeName, "20230302-late1", blockID, NOW))
    followUp, _ = ledger.findSites(typeName, "20230302-late1")
    fileID = ledger.select("SELECT MAX(FileID) FROM Files WHERE FileName = %s", (late.fileName,))[0][0]
    ledger.execute("INSERT INTO LateFiles (FileID, BlockID) VALUES (%s, %s)", (fileID, followUp))
    try:
        parent, child = ledger.blockFiles(blockID), ledger.blockFiles(followUp)
        assert set(parent.declared) == {file.lfn for file in files}
        assert parent.known == {late.lfn}
        assert set(child.declared) == {late.lfn}
        assert child.directories == ()
        assert ledger.blocksByName(["20230302"], typeName) == [(typeName, "20230302"), (typeName, "20230302-late1")]
        assert ledger.blocksInRange("20230302", "20230302", typeName) == ledger.blocksByName(["20230302"], typeName)
        report = ledger.reportedBlock(typeName, "20230302-late1")
        assert (report.parent, set(report.registered)) == ("20230302", {late.lfn})
    finally:
        ledger.execute("DELETE FROM LateFiles WHERE FileID = %s", (fileID,))


def test_sites_are_looked_at_in_the_states_that_wait_for_it(ledger, makeBlock):
    blockID, _ = makeBlock()

    def waiting():
        return [site for site in ledger.sitesToValidate() if site.blockID == blockID]

    assert waiting() == []
    setState(ledger, blockID, "Replicated", ReplicatedTime=NOW)
    (site,) = waiting()
    assert (site.se, site.block, site.state, site.replicatedTime) == (SE, "20230302", "Replicated", NOW)
    setState(ledger, blockID, "Validated", ValidatedTime=NOW)
    assert [site.validatedTime for site in waiting()] == [NOW]
    setState(ledger, blockID, "Done")
    assert waiting() == []


def test_a_block_that_is_done_is_due_when_neither_its_end_nor_a_clear_look_is_recent(ledger, typeName, makeBlock):
    blockID, _ = makeBlock()
    setState(ledger, blockID, "Done", DoneTime=NOW)

    def due(minutes):
        return [site.blockID for site in ledger.doneSitesToValidate(typeName, NOW + timedelta(minutes=minutes))]

    assert due(-1) == []
    assert due(10) == [blockID]
    ledger.recordValidation(validation(blockID, 20, verdict=Verdict.INCOMPLETE, look=Look.AGAIN))
    assert due(10) == [blockID]
    ledger.recordValidation(validation(blockID, 15, verdict=Verdict.GOOD, look=Look.AGAIN))
    assert due(10) == []
    assert due(16) == [blockID]


def test_a_block_that_is_done_is_due_where_a_replica_was_found_wrong_until_a_clear_look(ledger, makeBlock):
    blockID, files = makeBlock()
    setState(ledger, blockID, "Done", DoneTime=NOW)
    fileID = ledger.declaredCopies([files[0].lfn])[files[0].lfn].fileID

    def due():
        return [(site.se, site.state) for site in ledger.doneSitesWithBadReplicas() if site.blockID == blockID]

    try:
        ledger.doubtReplicas(SE, {files[0].lfn: "CheckSum error"})
        assert due() == []  # nobody knows yet
        ledger.markBad(SE, {fileID: "adler32 1, declared is 2"})
        assert due() == [(SE, "Done")]
        ledger.recordValidation(validation(blockID, 10**7, verdict=Verdict.INCOMPLETE, look=Look.AGAIN))
        assert due() == [(SE, "Done")]
        ledger.recordValidation(validation(blockID, 10**7, look=Look.AGAIN))
        assert due() == []
    finally:
        ledger.execute("DELETE FROM BadReplicas WHERE FileID = %s", (fileID,))


def test_a_report_has_every_file_that_is_not_registered_with_its_reason(ledger, typeName, makeBlock):
    blockID, files = makeBlock()
    refused, waiting, plain = makeFile(typeName, 21), makeFile(typeName, 22), makeFile(typeName, 23)
    ledger.recordQuarantined([makeQuarantined(typeName, 50, refused)])
    ledger.recordWaiting([makeWaiting(waiting, 51)])
    ledger.recordAnnounced([makeEntry(plain, 52)])
    ledger.execute("UPDATE Blocks SET ExpectedFiles = 7 WHERE BlockID = %s", (blockID,))
    ledger.recordValidation(validation(blockID))
    block = ledger.reportedBlock(typeName, "20230302")
    assert block.registered == {file.lfn: 1000 for file in files}
    assert [(file.lfn, file.state, file.code) for file in block.unregistered] == [
        (refused.lfn, FileState.QUARANTINED, "CatalogueRefused"),
        (waiting.lfn, FileState.WAITING, "NotOnStorage"),
        (plain.lfn, FileState.ANNOUNCED, ""),
    ]
    assert (block.expectedFiles, block.announcedFiles) == (7, 6)
    assert [(site.se, bool(site.validation)) for site in block.sites] == [("CNAF-STORM", False), (SE, True)]
    assert block.sites[1].validation.names[Difference.MISSING] == ("/a", "/b")
    assert ledger.reportedBlock(typeName, "unknown") is None


def test_a_range_of_blocks_goes_by_their_names_and_leaves_other_types_out(ledger, typeName, makeBlock):
    for name in ("20230301", "20230302", "20230303"):
        makeBlock(1, name)
    assert ledger.blocksInRange("20230302", "20230309", typeName) == [(typeName, "20230302"), (typeName, "20230303")]
    assert (typeName, "20230301") in ledger.blocksInRange("20230301", "20230301")
    assert ledger.blocksByName(["20230303", "nothing"], typeName) == [(typeName, "20230303")]
