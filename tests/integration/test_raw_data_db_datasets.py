from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ledgertools import announced, makeFile

from JUNODIRAC.Core.Domain.Dataset import Dataset, DatasetBlock, pack, unpack

pytestmark = pytest.mark.integration


@pytest.fixture
def dataset(ledger, typeName):
    """A dataset of the Type's blocks of two days."""
    wanted = Dataset(0, f"set-{typeName}", f"/juno/datasets/{typeName}", typeName, "20230302", "20230303", None, "prod")
    assert ledger.addDataset(wanted)
    (made,) = ledger.readDatasets(wanted.name)
    yield made
    for table in ("DatasetParts", "Datasets"):
        ledger.execute(f"DELETE FROM {table} WHERE DatasetID = %s", (made.datasetID,))


def register(ledger, *files):
    announced(ledger, *files)
    for file in files:
        sql = (
            "UPDATE Files f JOIN Directories d ON d.DirectoryID = f.DirectoryID SET f.State = 'Registered' WHERE d.Directory = %s"
        )
        ledger.execute(sql, (file.directory,))


def test_a_name_is_taken_once_and_what_was_written_first_stays(ledger, dataset):
    assert not ledger.addDataset(Dataset(0, dataset.name, "/other", "Other", "a", "b", None, "somebody"))
    assert ledger.readDatasets(dataset.name) == [dataset]
    assert (dataset.createdBy, dataset.frozenTime) == ("prod", None)


def test_a_range_takes_both_ends_and_follow_up_blocks_with_their_parents(ledger, typeName):
    days = [makeFile(typeName, 1, block) for block in ("20230301", "20230302", "20230303", "20230304")]
    register(ledger, *days)
    announced(ledger, makeFile(typeName, 2, "20230302"))  # not registered: it does not count
    for parent in ("20230301", "20230303"):
        sql = (
            "INSERT INTO Blocks (Type, Block, ParentID, State, CreatedTime)"
            " SELECT Type, CONCAT(Block, '-late1'), BlockID, 'Open', %s FROM Blocks WHERE Type = %s AND Block = %s"
        )
        ledger.execute(sql, (datetime.now(UTC), typeName, parent))
    found = ledger.datasetBlocks(typeName, "20230302", "20230303")
    assert found == [
        DatasetBlock("20230302", found[0].state, "", 1, 1000),
        DatasetBlock("20230303", found[1].state, "", 1, 1000),
        DatasetBlock("20230303-late1", "Open", "20230303", 0, 0),
    ]
    directories = ledger.datasetDirectories(typeName, "20230302", "20230303")
    assert sorted(directories) == [f"/juno/{typeName}/20230302", f"/juno/{typeName}/20230303"]
    content = ledger.registeredFiles(directories)
    assert content == {file.lfn: (1000, "0a1b2c3d") for file in days[1:3]}


def test_a_frozen_dataset_has_its_parts_and_its_summary(ledger, dataset):
    content = {"/d/1": (1, "0000000a")}
    lines = b"/d/1 1 0000000a\n"
    assert ledger.freezeDataset(dataset.datasetID, "prod", lambda conn: [("/d", pack(lines))], lambda: ("ab" * 32, 1, 1))
    (frozen,) = ledger.readDatasets(dataset.name)
    assert (frozen.isFrozen, frozen.frozenBy, frozen.contentHash, frozen.files, frozen.sizeBytes) == (
        True,
        "prod",
        "ab" * 32,
        1,
        1,
    )
    assert ledger.partDirectories(dataset.datasetID) == ["/d"]
    assert unpack(ledger.readPart(dataset.datasetID, "/d")) == content
    assert not ledger.freezeDataset(dataset.datasetID, "other", lambda conn: [], lambda: ("", 0, 0))
    assert ledger.readDatasets(dataset.name) == [frozen]


def test_a_freezing_that_fails_in_the_middle_leaves_nothing(ledger, dataset):
    def parts(conn):
        yield "/d", pack(b"")
        raise LookupError

    with pytest.raises(LookupError):
        ledger.freezeDataset(dataset.datasetID, "prod", parts, lambda: ("", 0, 0))
    assert ledger.readDatasets(dataset.name) == [dataset]
    assert ledger.partDirectories(dataset.datasetID) == []
