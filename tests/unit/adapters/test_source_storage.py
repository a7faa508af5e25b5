"""Sizes at the source: a missing file is an answer, silence is not."""

import threading

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.SourceStorage import SourceStorage


class FakeSE:
    def __init__(self, sizes, directories=(), silent=(), banned=False):
        self.sizes, self.directories, self.silent, self.banned = sizes, set(directories), set(silent), banned
        self.threads = set()

    def _answer(self, lfns, known, value):
        self.threads.add(threading.get_ident())
        if self.banned:
            return S_ERROR("SE.isValid: Check access not currently permitted.")
        successful = {lfn: value(lfn) for lfn in lfns if lfn not in self.silent and known(lfn)}
        return S_OK({"Successful": successful, "Failed": {lfn: "GError('...', 2)" for lfn in lfns if lfn not in successful}})

    def getFileSize(self, lfns):
        return self._answer(lfns, self.sizes.__contains__, self.sizes.get)

    def exists(self, lfns):
        return self._answer(lfns, lambda _lfn: True, lambda lfn: lfn in self.sizes or lfn in self.directories)

    def isFile(self, lfns):
        return self._answer(lfns, lambda _lfn: True, self.sizes.__contains__)


def storage(fake, threads=4):
    return SourceStorage("IHEP-JUNOEOS", "juno", threads, storageElement=lambda _name, _vo: fake)


def test_each_file_has_its_size_and_a_missing_one_has_none():
    sizes = {f"/f{number}": number for number in range(1, 50)}
    found = storage(FakeSE(sizes)).fileSizes([*sizes, "/missing"])
    assert found == {**sizes, "/missing": None}


def test_a_directory_is_not_a_file():
    assert storage(FakeSE({}, directories=["/d"])).fileSizes(["/d"]) == {"/d": None}


def test_a_file_without_an_answer_is_not_called_missing():
    with pytest.raises(TemporaryFailure, match="/b"):
        storage(FakeSE({"/a": 1, "/b": 2}, silent=["/b"])).fileSizes(["/a", "/b"])


def test_a_banned_storage_is_a_temporary_failure():
    with pytest.raises(TemporaryFailure, match="not currently permitted"):
        storage(FakeSE({"/a": 1}, banned=True)).fileSizes(["/a"])


def test_no_more_threads_than_configured():
    fake = FakeSE({f"/f{number}": number for number in range(1000)})
    storage(fake, threads=3).fileSizes(list(fake.sizes))
    assert 1 <= len(fake.threads) <= 3


def test_nothing_to_ask_asks_nothing():
    assert storage(None).fileSizes([]) == {}
