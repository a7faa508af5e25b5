"""The file catalogue's own code on the testbed's real database: what dies in the middle leaves nothing."""

from __future__ import annotations

import uuid

import pytest

MANAGERS = {
    "UserGroupManager": "UserAndGroupManagerDB",
    "SEManager": "SEManagerDB",
    "SecurityManager": "NoSecurityManager",
    "DirectoryManager": "DirectoryLevelTree",
    "FileManager": "FileManager",
    "DirectoryMetadata": "DirectoryMetadata",
    "FileMetadata": "FileMetadata",
    "DatasetManager": "DatasetManager",
    "UniqueGUID": False,
    "GlobalReadAccess": True,
    "LFNPFNConvention": "Strong",
    "ResolvePFN": True,
    "DefaultUmask": 0o775,
    "ValidFileStatus": ["AprioriGood"],
    "ValidReplicaStatus": ["AprioriGood"],
    "VisibleFileStatus": ["AprioriGood"],
    "VisibleReplicaStatus": ["AprioriGood"],
}
PROD = {"username": "prod", "group": "juno_prod"}


@pytest.fixture(scope="module")
def catalogue(testbed):
    from DIRAC.DataManagementSystem.DB.FileCatalogDB import FileCatalogDB

    found = FileCatalogDB()
    assert found.setConfig(MANAGERS)["OK"]
    return found


@pytest.fixture
def files() -> dict[str, dict]:
    directory = f"/juno/whole/{uuid.uuid4().hex[:12]}"
    names = [f"{directory}/{number}.dat" for number in range(5)]
    return {lfn: entry(lfn) for lfn in names}


def entry(lfn: str) -> dict:
    info = {"PFN": f"root://nowhere/{lfn}", "SE": "IHEP-JUNOEOS", "Size": 7, "Checksum": "0a1b2c3d", "ChecksumType": "Adler32"}
    return {**info, "GUID": str(uuid.uuid5(uuid.NAMESPACE_URL, lfn))}


def add(catalogue, files: dict[str, dict]) -> dict:
    result = catalogue.fileManager.addFile({lfn: dict(info) for lfn, info in files.items()}, PROD)
    assert result["OK"], result
    return result["Value"]


def rowsOf(database, files: dict[str, dict]) -> dict[str, int]:
    """How many rows the catalogue's tables have of the files' directory, and how many files its sums say."""
    directory = next(iter(files)).rpartition("/")[0]
    joined = "FC_Files f JOIN FC_DirectoryLevelTree d ON d.DirID = f.DirID"
    tables = {
        "files": f"SELECT COUNT(*) FROM {joined} WHERE d.DirName = %s",
        "infos": f"SELECT COUNT(*) FROM {joined} JOIN FC_FileInfo i ON i.FileID = f.FileID WHERE d.DirName = %s",
        "replicas": f"SELECT COUNT(*) FROM {joined} JOIN FC_Replicas r ON r.FileID = f.FileID WHERE d.DirName = %s",
        "sum": "SELECT COALESCE(SUM(SEFiles), 0) FROM FC_DirectoryUsage u JOIN FC_DirectoryLevelTree d ON d.DirID = u.DirID"
        " WHERE u.SEID = 0 AND d.DirName = %s",
    }
    return {name: int(database.rows("FileCatalogDB", sql, directory)[0][0]) for name, sql in tables.items()}


def whole(count: int) -> dict[str, int]:
    return dict.fromkeys(("files", "infos", "replicas", "sum"), count)


def test_files_are_added_with_checksums_replicas_and_sums(catalogue, database, files):
    assert set(add(catalogue, files)["Successful"]) == set(files)
    assert rowsOf(database, files) == whole(5)
    assert set(add(catalogue, files)["Successful"]) == set(files)
    assert rowsOf(database, files) == whole(5)


@pytest.mark.parametrize("step", ["_getRepIDsForReplica", "_populateFileAncestors", "_updateDirectoryUsage"])
@pytest.mark.parametrize("isFatal", [False, True], ids=["an error", "an exception"])
def test_what_fails_at_any_step_leaves_no_row_and_succeeds_when_repeated(catalogue, database, files, monkeypatch, step, isFatal):
    def fails(*_args, **_options):
        if isFatal:
            raise RuntimeError("died")
        return {"OK": False, "Message": "refused", "CallStack": []}

    base = type(catalogue.fileManager).__mro__[2]
    with monkeypatch.context() as patch:
        owner = next(each for each in base.__mro__ if step in vars(each))
        patch.setattr(owner, step, fails)
        if isFatal:
            with pytest.raises(RuntimeError, match="died"):
                add(catalogue, files)
        else:
            assert set(add(catalogue, files)["Failed"]) == set(files)
        assert rowsOf(database, files) == whole(0)
    assert set(add(catalogue, files)["Successful"]) == set(files)
    assert rowsOf(database, files) == whole(5)


def test_a_connection_that_is_lost_in_the_middle_leaves_no_row(catalogue, database, files, monkeypatch):
    base = type(catalogue.fileManager).__mro__[2]
    insertReplicas = base._insertReplicas

    def loses(self, lfns, master=False, connection=False):
        (number,) = self.db._query("SELECT CONNECTION_ID()", conn=connection)["Value"][0]
        database.rows("FileCatalogDB", f"KILL {number}")
        return insertReplicas(self, lfns, master=master, connection=connection)

    with monkeypatch.context() as patch:
        patch.setattr(base, "_insertReplicas", loses)
        assert set(add(catalogue, files)["Failed"]) == set(files)
    assert rowsOf(database, files) == whole(0)
    assert set(add(catalogue, files)["Successful"]) == set(files)
    assert rowsOf(database, files) == whole(5)


def test_a_rest_without_checksum_is_cleared_away_and_the_file_added(catalogue, database, files):
    *others, rest = files
    add(catalogue, {lfn: files[lfn] for lfn in others})
    directory, _, name = rest.rpartition("/")
    there = "FC_Files f JOIN FC_DirectoryLevelTree d ON d.DirID = f.DirID WHERE d.DirName = %s LIMIT 1"
    columns = "DirID, Size, UID, GID, Status, FileName"
    copied = f"INSERT INTO FC_Files ({columns}) SELECT f.DirID, 7, f.UID, f.GID, f.Status, %s FROM {there}"
    database.rows("FileCatalogDB", copied, name, directory)
    assert rowsOf(database, files) == {"files": 5, "infos": 4, "replicas": 4, "sum": 4}
    assert set(add(catalogue, files)["Successful"]) == set(files)
    assert rowsOf(database, files) == whole(5)
