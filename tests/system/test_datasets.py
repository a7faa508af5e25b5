"""A dataset over the demo's blocks: frozen in ledger and catalogue, and it says which file is no longer what it was."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.system


@pytest.fixture
def name(database) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    ids = "SELECT DatasetID FROM {} WHERE {} = %s"
    for base, tables, table, column in (
        ("RawDataDB", ["DatasetParts", "Datasets"], "Datasets", "Name"),
        ("FileCatalogDB", ["FC_MetaDatasetFiles", "FC_MetaDatasets"], "FC_MetaDatasets", "DatasetName"),
    ):
        for (datasetID,) in database.rows(base, ids.format(table, column), name):
            for each in tables:
                database.rows(base, f"DELETE FROM {each} WHERE DatasetID = %s", datasetID)


def test_a_frozen_dataset_is_static_in_the_catalogue_and_names_a_file_that_changed(demo, testbed, command, database, name):
    block = database.rows("RawDataDB", "SELECT MAX(Block) FROM Blocks WHERE Type = 'Raw' AND ParentID IS NULL")[0][0]
    why = ("--reason", "test", "--yes")
    made = command("exec", "dirac-juno-dataset", "create", name, "--type", "Raw", "--from", block, "--to", block, *why)
    assert made.returncode == 0, made.output
    again = command("exec", "dirac-juno-dataset", "create", name, "--type", "Raw", "--from", block, "--to", block, *why)
    assert again.returncode == 1
    assert "already" in again.output
    frozen = command("exec", "dirac-juno-dataset", "freeze", name, *why)
    assert frozen.returncode == 0, frozen.output

    sql = (
        "SELECT d.Directory, f.FileName, f.SizeBytes, f.Checksum FROM Blocks b JOIN Directories d ON d.BlockID = b.BlockID"
        " JOIN Files f ON f.DirectoryID = d.DirectoryID WHERE b.Type = 'Raw' AND b.Block = %s AND f.State = 'Registered'"
    )
    files = database.rows("RawDataDB", sql, block)
    lines = sorted(f"{directory}/{file} {size} {checksum}\n".encode() for directory, file, size, checksum in files)
    kept = database.rows("RawDataDB", "SELECT ContentHash, Files FROM Datasets WHERE Name = %s", name)
    assert kept == [(hashlib.sha256(b"".join(lines)).hexdigest(), len(files))]
    static = (
        "SELECT COUNT(*) FROM FC_MetaDatasets m JOIN FC_Statuses s ON s.StatusID = m.Status"
        " JOIN FC_MetaDatasetFiles f ON f.DatasetID = m.DatasetID WHERE m.DatasetName = %s AND s.Status = 'Frozen'"
    )
    assert database.rows("FileCatalogDB", static, name) == [(len(files),)]
    journal = database.rows("RawDataDB", "SELECT Action FROM Journal WHERE Object = %s ORDER BY JournalID", f"dataset {name}")
    assert journal == [("createDataset",), ("freezeDataset",)]

    assert command("exec", "dirac-juno-dataset", "check", name).returncode == 0
    _, file, _, checksum = files[0]
    change = "UPDATE FC_FileInfo i JOIN FC_Files f ON f.FileID = i.FileID SET i.Checksum = %s WHERE f.FileName = %s"
    database.rows("FileCatalogDB", change, "deadbeef", file)
    try:
        checked = command("exec", "dirac-juno-dataset", "check", name, "--json")
    finally:
        database.rows("FileCatalogDB", change, checksum, file)
    assert checked.returncode == 1
    document = json.loads(checked.output[checked.output.index("{") :])
    told = [(each["LFN"].rpartition("/")[2], each["Where"], each["Kind"]) for each in document["Differences"]]
    assert told == [(file, "Catalogue", "Changed")]
