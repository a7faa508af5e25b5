"""gfal2's answers: what is not there, what is a file, and what is no answer."""

import errno
import stat
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from JUNODIRAC.RawDataSystem.Client.StorageAccess import StorageAccess, StorageError


class GError(Exception):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


def found(mode, size=7):
    return SimpleNamespace(st_mode=mode, st_size=size, st_mtime=1677715200)


class Context:
    def __init__(self, stats=None, entries=(), checksum=""):
        self.stats, self.entries, self._checksum = stats or {}, list(entries), checksum

    def stat(self, url):
        answer = self.stats.get(url, GError("no such file", errno.ENOENT))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def checksum(self, url, kind):
        assert kind == "ADLER32"
        return self._checksum

    def opendir(self, url):
        return self

    def readpp(self):
        name, mode = self.entries.pop(0) if self.entries else (None, 0)
        return (SimpleNamespace(d_name=name) if name else None), found(mode)


def test_a_file_has_a_size_and_what_is_not_there_or_no_file_has_none():
    access = StorageAccess(lambda: Context({"u": found(stat.S_IFREG | 0o644), "d": found(stat.S_IFDIR | 0o755)}))
    assert (access.sizeBytes("u"), access.sizeBytes("d"), access.sizeBytes("missing")) == (7, None, None)


@pytest.mark.parametrize("code", [errno.EACCES, errno.ETIMEDOUT, errno.ECONNREFUSED, 0])
def test_any_other_error_is_no_answer(code):
    with pytest.raises(StorageError, match="broken"):
        StorageAccess(lambda: Context({"u": GError("broken", code)})).sizeBytes("u")


@pytest.mark.parametrize("text", ["1A2B3C\n", "001a2b3c"])
def test_checksums_have_one_form(text):
    assert StorageAccess(lambda: Context(checksum=text)).checksum("u") == "001a2b3c"


def test_a_listing_knows_files_even_where_the_storage_leaves_out_that_they_are_files():
    entries = [(".", stat.S_IFDIR), ("a", 0o644), ("b", stat.S_IFREG | 0o644), ("c", stat.S_IFDIR | 0o755), ("l", stat.S_IFLNK)]
    listed = list(StorageAccess(lambda: Context(entries=entries)).list("d"))
    assert [(each.name, each.isFile, each.isDirectory) for each in listed] == [
        ("a", True, False),
        ("b", True, False),
        ("c", False, True),
        ("l", False, False),
    ]
    assert listed[0].modifiedTime == datetime(2023, 3, 2, tzinfo=UTC)
