"""The two sides that a validation asks: a destination's storage at its pace, and the catalogue's entries."""

from __future__ import annotations

import errno

import pytest
from test_source_storage import FakeAccess, files, storage

from JUNODIRAC.Core.Logic.BlockComparison import CataloguedFile
from JUNODIRAC.Core.Logic.Ports import StoredFile, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal
from JUNODIRAC.RawDataSystem.Client.SiteCatalogue import SiteCatalogue
from JUNODIRAC.RawDataSystem.Client.SiteStorage import Pace, SiteStorage, filesPerSlice

pytestmark = pytest.mark.unit

NO_PACE = Pace(0)


def siteStorage(access, **options):
    return SiteStorage(storage(access, **options), pace=NO_PACE)


def test_a_listing_gives_sizes_by_lfn():
    assert siteStorage(FakeAccess(files(3))).listSizes("/juno/d") == files(3)
    assert siteStorage(FakeAccess(files(3))).listSizes("/juno/none") == {}


def test_checksums_come_without_asking_for_sizes():
    access = FakeAccess(files(3), failingChecksums={"/juno/d/f2": errno.ETIMEDOUT})
    found = siteStorage(access).checksums(list(files(3)))
    assert found["/juno/d/f1"] == StoredFile(None, "00000001")
    assert found["/juno/d/f2"].failure
    assert (access.asked, access.listed) == ([], [])


def test_a_storage_that_tells_no_checksums_is_no_reason_to_call_files_missing():
    access = FakeAccess(files(3), failingChecksums={"/juno/d/f1": errno.ENOTSUP})
    with pytest.raises(TemporaryFailure, match="make it compute adler32"):
        siteStorage(access).checksums(list(files(3)))


def test_a_check_tells_a_storage_that_is_away():
    siteStorage(FakeAccess(files(1))).check("/juno/d/f1")
    with pytest.raises(TemporaryFailure, match="base directory"):
        siteStorage(FakeAccess(files(1), failing={"": errno.ECONNREFUSED})).check("/juno/d/f1")


def test_no_more_checksums_go_out_than_the_rate_allows():
    clock, slept = [100.0], []

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += seconds

    pace = Pace(10, clock=lambda: clock[0], sleep=sleep)
    for _ in range(4):
        pace.wait(20)
        clock[0] += 0.5
    assert slept == [0.0, 1.5, 1.5, 1.5]


@pytest.mark.parametrize(("rate", "count"), [(0, 100), (50, 100), (2, 20), (0.01, 1)])
def test_a_slice_does_not_last_long_because_of_the_rate(rate, count):
    assert filesPerSlice(rate) == count


class FakeClient:
    """A catalogue of files: size, checksum and SEs by LFN."""

    def __init__(self, entries, failing=None):
        self.entries, self.failing, self.calls = entries, failing or {}, []

    def listDirectory(self, directories, verbose):
        self.calls.append(("listDirectory", *directories))
        (directory,) = directories
        if directory in self.failing:
            return {"OK": True, "Value": {"Successful": {}, "Failed": {directory: self.failing[directory]}}}
        found = {
            lfn: {"MetaData": {"Size": size, "Checksum": checksum}, "Replicas": {se: {} for se in ses}}
            for lfn, (size, checksum, ses) in self.entries.items()
            if lfn.rpartition("/")[0] == directory
        }
        return {"OK": True, "Value": {"Successful": {directory: {"Files": found, "SubDirs": {}}}, "Failed": {}}}

    def _each(self, lfns, value):
        successful, failed = {}, {}
        for lfn in lfns:
            if lfn in self.failing:
                failed[lfn] = self.failing[lfn]
            elif lfn in self.entries:
                successful[lfn] = value(self.entries[lfn])
            else:
                failed[lfn] = "No such file or directory"
        return {"OK": True, "Value": {"Successful": successful, "Failed": failed}}

    def getFileMetadata(self, lfns):
        self.calls.append(("getFileMetadata", *lfns))
        return self._each(lfns, lambda entry: {"Size": entry[0], "Checksum": entry[1]})

    def getReplicas(self, lfns):
        return self._each(lfns, lambda entry: dict.fromkeys(entry[2], "pfn"))

    def getDirectoryReplicas(self, directories):
        (directory,) = directories
        found = {lfn: dict.fromkeys(ses, "pfn") for lfn, (_, _, ses) in self.entries.items()}
        return {"OK": True, "Value": {"Successful": {directory: found}, "Failed": {}}}


ENTRIES = {"/d/a": (1, "1", ["SE"]), "/d/b": (2, "2", ["OTHER"]), "/e/c": (3, "3", ["SE"])}


def test_entries_of_a_directory_come_in_one_call_and_include_files_that_nobody_asked_for():
    client = FakeClient(ENTRIES)
    assert SiteCatalogue(client).entries(["/d"], ["/d/a"], "SE") == {
        "/d/a": CataloguedFile(1, "1", True),
        "/d/b": CataloguedFile(2, "2", False),
    }
    assert client.calls == [("listDirectory", "/d")]


def test_files_outside_of_the_directories_are_asked_for_by_name():
    assert SiteCatalogue(FakeClient(ENTRIES)).entries([], ["/e/c", "/e/none"], "SE") == {"/e/c": CataloguedFile(3, "3", True)}


def test_a_file_of_which_the_catalogue_does_not_tell_is_no_file_without_an_entry():
    found = SiteCatalogue(FakeClient(ENTRIES, {"/e/c": "Internal error"})).entries([], ["/e/c"], "SE")
    assert found["/e/c"].failure == "Internal error"


def test_a_directory_that_the_catalogue_does_not_have_is_empty_and_one_that_it_does_not_tell_of_is_not():
    assert SiteCatalogue(FakeClient(ENTRIES, {"/d": "Directory /d not found"})).entries(["/d"], [], "SE") == {}
    with pytest.raises(TemporaryFailure):
        SiteCatalogue(FakeClient(ENTRIES, {"/d": "MySQL Error ( 1105 : (2006, gone away))"})).entries(["/d"], [], "SE")
    with pytest.raises(ServiceRefusal):
        SiteCatalogue(FakeClient(ENTRIES, {"/d": "Permission denied"})).entries(["/d"], [], "SE")


def test_replicas_are_told_by_lfn():
    catalogue = SiteCatalogue(FakeClient(ENTRIES))
    assert catalogue.replicas(["/d"])["/d/b"] == {"OTHER"}
    assert catalogue.replicasOf(["/e/c", "/e/none"]) == {"/e/c": {"SE"}}
