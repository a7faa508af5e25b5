"""One question to a storage through gfal2: a file's size, its checksum, a directory with sizes.

DIRAC's StorageElement says which URL a file has and whether the storage may be used; it asks for each file on its own, and a
listing costs it one round trip a file. gfal2 itself gets a whole directory with sizes in one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from resource import RLIMIT_NPROC, getrlimit, setrlimit
from stat import S_IFMT, S_IFREG, S_ISDIR, S_ISREG
from typing import Any

# XRootD's client tries for two minutes a connection, five times over, before it says that a server does not answer. The
# receiver must be able to stop, and to stay in its consumer group, meanwhile. What the environment has already is kept.
_XROOTD_PATIENCE = {
    "XRD_CONNECTIONWINDOW": "10",  # seconds for a connection
    "XRD_CONNECTIONRETRY": "1",  # attempts
    "XRD_STREAMERRORWINDOW": "15",  # seconds until a server that failed is asked again
    "XRD_REQUESTTIMEOUT": "30",  # seconds for an answer
    "XRD_STREAMTIMEOUT": "30",  # seconds of silence on a connection
}
_NAMESPACE_TIMEOUT_SECONDS = 20
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR})
_NO_SUCH_SERVICE = frozenset({errno.ENOTSUP, errno.ENOSYS, errno.EPROTONOSUPPORT})
_ONE_LISTING = threading.Lock()
_LARGE_LISTING = 20_000


class StorageError(Exception):
    """The storage gave no answer to one question.

    :param code: an errno
    """

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)

    @property
    def isNotThere(self) -> bool:
        """Whether it says that there is no such file or directory."""
        return self.code in _NOT_THERE

    @property
    def isNotSupported(self) -> bool:
        """Whether the storage cannot answer questions of this kind at all."""
        return self.code in _NO_SUCH_SERVICE


@dataclass(frozen=True)
class DirectoryEntry:
    """One line of a listing; ``modifiedTimestamp`` in seconds since 1970."""

    name: str
    isFile: bool
    isDirectory: bool
    sizeBytes: int
    modifiedTimestamp: float

    @property
    def modifiedTime(self) -> datetime:
        """When it was last changed, UTC."""
        return datetime.fromtimestamp(self.modifiedTimestamp, UTC)


class StorageAccess:
    """Asks gfal2, with one context for each thread, since a context may not be shared.

    :param makeContext: makes a gfal2 context
    """

    def __init__(self, makeContext: Callable[[], Any] | None = None) -> None:
        for name, value in _XROOTD_PATIENCE.items():
            os.environ.setdefault(name, value)
        self._makeContext = makeContext or _gfalContext
        self._ofThread = threading.local()

    def sizeBytes(self, url: str) -> int | None:
        """Size of a file; None if there is nothing, or no plain file.

        :raises StorageError: if there is no answer
        """
        try:
            found = self._ask("stat", url)
        except StorageError as error:
            if error.isNotThere:
                return None
            raise
        return int(found.st_size) if S_ISREG(found.st_mode) else None

    def exists(self, url: str) -> None:
        """:raises StorageError: if there is nothing, or no answer"""
        self._ask("stat", url)

    def checksum(self, url: str) -> str:
        """adler32 of a file as the storage knows it, 8 lower-case hex digits.

        :raises StorageError: if there is no answer
        """
        return str(self._ask("checksum", url, "ADLER32")).strip().lower().zfill(8)

    def list(self, url: str) -> Iterator[DirectoryEntry]:
        """What is in a directory, one by one.

        XRootD's client holds a whole listing, 100 MB for a hundred thousand files: so one listing at a time in a process.

        :raises StorageError: if there is no such directory, or no answer
        """
        with _ONE_LISTING:
            count = 0
            for count, entry in enumerate(self._entries(url), 1):  # noqa: B007 needed after the loop
                yield entry
        if count > _LARGE_LISTING:
            _giveMemoryBack()

    def _entries(self, url: str) -> Iterator[DirectoryEntry]:
        directory = self._ask("opendir", url)
        while True:
            entry, found = self._checked(directory.readpp)
            if entry is None or not entry.d_name:
                return
            if entry.d_name not in (".", ".."):
                yield DirectoryEntry(
                    name=entry.d_name,
                    # listings of XRootD give a file's mode without the bits that say "plain file"
                    isFile=S_IFMT(found.st_mode) in (0, S_IFREG),
                    isDirectory=S_ISDIR(found.st_mode),
                    sizeBytes=int(found.st_size),
                    modifiedTimestamp=found.st_mtime,
                )

    def _ask(self, question: str, *args: str) -> Any:
        if not hasattr(self._ofThread, "context"):
            self._ofThread.context = self._makeContext()
        return self._checked(getattr(self._ofThread.context, question), *args)

    @staticmethod
    def _checked(call: Callable[..., Any], *args: str) -> Any:
        try:
            return call(*args)
        except Exception as exc:  # gfal2.GError, which cannot be imported where gfal2 is not needed
            raise StorageError(int(getattr(exc, "code", 0) or errno.EIO), str(exc)) from exc


def _giveMemoryBack() -> None:
    """The C library keeps what was freed, for another use that never comes."""
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _gfalContext() -> Any:
    import gfal2

    # XRootD's client lowers the limit of processes when it starts, https://github.com/xrootd/xrootd/issues/2396
    before = getrlimit(RLIMIT_NPROC)
    context = gfal2.creat_context()
    if getrlimit(RLIMIT_NPROC) != before:
        setrlimit(RLIMIT_NPROC, before)
    context.set_opt_boolean("BDII", "ENABLE", False)
    context.set_opt_integer("CORE", "NAMESPACE_TIMEOUT", _NAMESPACE_TIMEOUT_SECONDS)
    context.set_opt_integer("HTTP PLUGIN", "OPERATION_TIMEOUT", _NAMESPACE_TIMEOUT_SECONDS)
    return context
