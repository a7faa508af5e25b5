from __future__ import annotations

import pytest

from JUNODIRAC.Core.Domain.Dataset import DatasetBlock
from JUNODIRAC.RawDataSystem.Client.DatasetDesk import DatasetDesk, DatasetRefused
from JUNODIRAC.RawDataSystem.Client.DFCDatasets import DFCDatasets
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal

pytestmark = pytest.mark.unit

DAY1, DAY2 = "/juno/raw/2023/0301", "/juno/raw/2023/0302"
PATH = "/juno/datasets/week"
FILES = {f"{DAY1}/1": (1, "0000000a"), f"{DAY1}/2": (2, "0000000b"), f"{DAY2}/1": (3, "0000000c")}


class Ledger:
    """One range of two blocks."""

    def __init__(self):
        self.datasets = {}
        self.content = dict(FILES)
        self.states = {"20230301": "Done", "20230302": "Closed"}
        self.stored = {}

    def addDataset(self, dataset):
        return self.datasets.setdefault(dataset.name, dataset) is dataset

    def readDatasets(self, name="", typeName=""):
        return [each for each in self.datasets.values() if name in ("", each.name)]

    def datasetBlocks(self, typeName, first, last):
        blocks = [DatasetBlock(name, state, "", 1, 10) for name, state in self.states.items() if first <= name <= last]
        return blocks if typeName == "Raw" else []

    def datasetDirectories(self, typeName, first, last):
        return [DAY2, DAY1]

    def registeredFiles(self, directories, conn=None):
        return {lfn: facts for lfn, facts in self.content.items() if lfn.rpartition("/")[0] in directories}

    def freezeDataset(self, datasetID, frozenBy, parts, summary):
        stored = dict(parts("connection"))
        (dataset,) = self.datasets.values()
        if dataset.isFrozen:
            return False
        self.stored = stored
        contentHash, files, sizeBytes = summary()
        from dataclasses import replace
        from datetime import UTC, datetime

        frozen = {"frozenTime": datetime(2030, 1, 1, tzinfo=UTC), "frozenBy": frozenBy, "contentHash": contentHash}
        self.datasets[dataset.name] = replace(dataset, **frozen, files=files, sizeBytes=sizeBytes)
        return True

    def partDirectories(self, datasetID):
        return list(self.stored)

    def readPart(self, datasetID, directory):
        return self.stored.get(directory)


class FileCatalog:
    """DIRAC's dataset manager as it is: it changes rows only by the bare name, whatever the path says."""

    def __init__(self, content):
        self.content = content
        self.rows = {}
        self.frozen = None
        self.calls = []
        self.directories = set()

    def createDirectory(self, directories):
        self.directories |= set(directories)
        return _ok(dict.fromkeys(directories, True))

    def getDatasets(self, names):
        return _ok({name: {name: self.rows[name]} if name in self.rows else {} for name in names})

    def getDatasetParameters(self, paths):
        found = {path: self.rows[path.rpartition("/")[2]] for path in paths if self._has(path)}
        return _ok(found, {path: "No such dataset" for path in paths if path not in found})

    def addDataset(self, datasets, timeout):
        for path, query in datasets.items():
            directory, _, name = path.rpartition("/")
            if directory not in self.directories:
                return {"OK": False, "Message": "makeDirectories() missing 1 required positional argument: 'credDict'"}
            if not directory:
                return _ok({}, {path: "Dataset name should be specified with full path"})
            self.rows[name] = {"MetaQuery": query, "Status": "Dynamic", "Directory": directory}
            self.calls.append(("add", path))
        return _ok(dict.fromkeys(datasets, True))

    def updateDataset(self, names, timeout):
        return _ok({}, {name: "Unknown MetaDataset" for name in names if name not in self.rows})

    def freezeDataset(self, names, timeout):
        for name in names:
            self.frozen = set(self.content)
            if name in self.rows:
                self.rows[name]["Status"] = "Frozen"
        return _ok(dict.fromkeys(names, True))

    def releaseDataset(self, names, timeout):
        for name in names:
            self.calls.append(("release", name))
            if name in self.rows:
                self.rows[name]["Status"] = "Dynamic"
        return _ok(dict.fromkeys(names, True))

    def getDatasetFiles(self, paths, timeout):
        (path,) = paths
        isFrozen = self.rows[path.rpartition("/")[2]]["Status"] == "Frozen"
        # a file that is removed from the catalogue vanishes from frozen lists, too
        return _ok({path: sorted(self.frozen & set(self.content) if isFrozen else self.content)})

    def listDirectory(self, directory, verbose, timeout):
        files = {
            lfn: {"MetaData": {"Size": size, "Checksum": checksum}}
            for lfn, (size, checksum) in self.content.items()
            if lfn.rpartition("/")[0] == directory
        }
        return _ok({directory: {"Files": files}})

    def _has(self, path):
        directory, _, name = path.rpartition("/")
        return name in self.rows and self.rows[name]["Directory"] == directory


def _ok(successful, failed=None):
    return {"OK": True, "Value": {"Successful": successful, "Failed": failed or {}}}


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def catalogue():
    return FileCatalog(dict(FILES))


@pytest.fixture
def desk(ledger, catalogue):
    return DatasetDesk(ledger, DFCDatasets(catalogue), "/juno/datasets/")


def create(desk):
    return desk.create("week", "Raw", "20230301", "20230302", "prod")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("a/b", "Raw", "20230301", "20230302"), "cannot be the name"),
        (("week", "Raw", "20230302", "20230301"), "exchange them"),
        (("week", "ESD", "20230301", "20230302"), "knows no block"),
        (("week", "Raw", "20240301", "20240302"), "knows no block"),
    ],
)
def test_a_dataset_that_makes_no_sense_is_refused_and_nothing_is_made(desk, ledger, catalogue, values, message):
    with pytest.raises(DatasetRefused, match=message):
        desk.create(*values, "prod")
    assert (ledger.datasets, catalogue.rows) == ({}, {})


def test_a_name_is_given_once(desk):
    create(desk)
    with pytest.raises(DatasetRefused, match="already"):
        desk.plan("week", "Raw", "20230301", "20230302")


def test_a_name_that_the_catalogue_has_elsewhere_is_refused(desk, ledger, catalogue):
    catalogue.rows["week"] = {"MetaQuery": {}, "Status": "Dynamic", "Directory": "/user/p"}
    with pytest.raises(ServiceRefusal, match="another directory"):
        create(desk)
    assert ledger.datasets == {}


def test_a_dataset_whose_making_was_cut_short_is_completed_by_the_same_command(desk, ledger, catalogue):
    create(desk)
    ledger.datasets.clear()
    assert create(desk)["Path"] == PATH
    assert catalogue.calls == [("add", PATH)]
    ledger.datasets.clear()
    with pytest.raises(ServiceRefusal, match="choose another name"):
        desk.create("week", "Raw", "20230301", "20230301", "prod")


def test_blocks_that_are_not_done_are_told(desk):
    assert create(desk)["NotDone"] == ["20230302"]


def test_freezing_makes_the_catalogues_list_static_and_keeps_hash_files_and_bytes(desk, catalogue):
    create(desk)
    frozen = desk.freeze("week", "prod")
    assert catalogue.rows["week"]["Status"] == "Frozen"
    assert (frozen["State"], frozen["Files"], frozen["SizeBytes"], len(frozen["ContentHash"])) == ("Frozen", 3, 6, 64)
    assert desk.check("week")["Matches"]
    with pytest.raises(DatasetRefused, match="is frozen since"):
        desk.freeze("week", "prod")


@pytest.mark.parametrize("side", ["ledger", "catalogue"])
def test_nothing_is_frozen_while_ledger_and_catalogue_have_different_files(desk, ledger, catalogue, side):
    create(desk)
    more = ledger.content if side == "ledger" else catalogue.content
    more[f"{DAY1}/3"] = (9, "00000009")
    with pytest.raises(DatasetRefused, match=f"1 file.*{side}.*{DAY1}/3"):
        desk.freeze("week", "prod")
    assert catalogue.rows["week"]["Status"] == "Dynamic"
    assert not desk.show("week")["Frozen"]


def test_a_list_that_a_freezing_that_was_cut_short_left_is_made_anew(desk, ledger, catalogue):
    create(desk)
    catalogue.freezeDataset({"week": True}, 1)
    for content in (ledger.content, catalogue.content):
        content[f"{DAY1}/3"] = (9, "00000009")
    assert desk.freeze("week", "prod")["Files"] == 4
    assert catalogue.frozen == set(catalogue.content)


def test_somebody_elses_freezing_is_not_undone(desk, ledger, catalogue):
    create(desk)
    ledger.freezeDataset = lambda *_args: False
    with pytest.raises(DatasetRefused, match="somebody else"):
        desk.freeze("week", "prod")
    assert catalogue.rows["week"]["Status"] == "Frozen"


def changes(answer):
    return {(each["LFN"], each["Where"], each["Kind"]) for each in answer["Differences"]}


def test_a_frozen_dataset_says_exactly_what_differs(desk, ledger, catalogue):
    create(desk)
    before = desk.freeze("week", "prod")
    del catalogue.content[f"{DAY1}/1"]
    catalogue.content[f"{DAY1}/2"] = (2, "deadbeef")
    ledger.content[f"{DAY2}/1"] = (4, "0000000c")
    for content in (ledger.content, catalogue.content):
        content[f"{DAY2}/late"] = (9, "00000009")
    answer = desk.check("week")
    assert not answer["Matches"]
    assert changes(answer) == {
        (f"{DAY1}/1", "Catalogue", "Missing"),
        (f"{DAY1}/1", "DatasetList", "Missing"),
        (f"{DAY1}/2", "Catalogue", "Changed"),
        (f"{DAY2}/1", "Ledger", "Changed"),
        (f"{DAY2}/late", "Ledger", "Added"),
        (f"{DAY2}/late", "Catalogue", "Added"),
    }
    assert answer["ContentHash"] == before["ContentHash"] != answer["HashNow"]
    assert (answer["Files"], answer["FilesNow"]) == (3, 4)
    assert answer["Counts"]["Ledger"] == {"Added": 1, "Changed": 1}


def test_a_dynamic_dataset_is_the_ledgers_files_and_is_compared_with_the_catalogue(desk, ledger, catalogue):
    create(desk)
    assert desk.check("week")["Matches"]
    catalogue.content[f"{DAY2}/unknown"] = (9, "00000009")
    del catalogue.content[f"{DAY1}/1"]
    assert changes(desk.check("week")) == {
        (f"{DAY1}/1", "Catalogue", "Missing"),
        (f"{DAY2}/unknown", "Catalogue", "Added"),
    }


def test_a_file_in_a_directory_that_the_ledger_does_not_know_is_told_too(desk, catalogue):
    create(desk)
    catalogue.content["/juno/raw/elsewhere/1"] = (9, "00000009")
    assert changes(desk.check("week")) == {("/juno/raw/elsewhere/1", "DatasetList", "Added")}


def test_a_long_list_is_cut_and_its_counts_are_whole(desk, ledger, monkeypatch):
    monkeypatch.setattr("JUNODIRAC.RawDataSystem.Client.DatasetDesk._MAX_DIFFERENCES", 2)
    create(desk)
    desk.freeze("week", "prod")
    ledger.content.clear()
    answer = desk.check("week")
    assert len(answer["Differences"]) == 2
    assert answer["Counts"] == {"Ledger": {"Missing": 3}}


def test_a_dataset_that_nobody_made_is_refused_by_name(desk):
    with pytest.raises(DatasetRefused, match="no dataset nothing"):
        desk.check("nothing")


def test_the_list_has_every_dataset_with_its_numbers(desk):
    create(desk)
    (only,) = desk.listAll()
    assert (only["Name"], only["Blocks"], only["Files"], only["State"]) == ("week", 2, 2, "Dynamic")
