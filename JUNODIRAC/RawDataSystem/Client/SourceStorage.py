"""The storage element where announced files arrive."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from DIRAC.Core.Utilities.List import breakListIntoChunks

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure

_FILES_PER_CALL = 20
# XRootD's client tries for two minutes a connection, five times over, before it says that a server does not answer. The
# receiver must be able to stop, and to stay in its consumer group, meanwhile. What the environment has already is kept.
_XROOTD_PATIENCE = {
    "XRD_CONNECTIONWINDOW": "15",  # seconds for a connection
    "XRD_CONNECTIONRETRY": "1",  # attempts
    "XRD_STREAMERRORWINDOW": "30",  # seconds until a server that failed is asked again
    "XRD_REQUESTTIMEOUT": "60",  # seconds for an answer
}


def _diracStorageElement(name: str, vo: str) -> Any:
    """DIRAC's storage element; it keeps one for each thread, as gfal2 needs it."""
    from DIRAC.Resources.Storage.StorageElement import StorageElement

    return StorageElement(name, vo=vo)


class SourceStorage:
    """Asks a storage element for the sizes of files, several at a time.

    :param seName: name of the storage element
    :param vo: the VO for which it is asked
    :param threads: how many calls run at the same time; each costs one round trip to the storage per file
    :param storageElement: makes DIRAC's StorageElement for a name and a VO
    """

    def __init__(
        self, seName: str, vo: str, threads: int = 8, storageElement: Callable[[str, str], Any] = _diracStorageElement
    ) -> None:
        for name, value in _XROOTD_PATIENCE.items():
            os.environ.setdefault(name, value)
        self._seName = seName
        self._vo = vo
        self._threads = max(1, threads)
        self._storageElement = storageElement

    def fileSizes(self, lfns: Sequence[str]) -> dict[str, int | None]:
        """Size in bytes of each file, None for one that is not there.

        :raises TemporaryFailure: if the storage does not answer for at least one of them
        """
        sizes: dict[str, int | None] = {}
        pieces = list(breakListIntoChunks(list(dict.fromkeys(lfns)), _FILES_PER_CALL))
        if not pieces:
            return sizes
        with ThreadPoolExecutor(min(self._threads, len(pieces)), thread_name_prefix="fileSizes") as pool:
            for found in pool.map(self._sizesOfChunk, pieces):
                sizes.update(found)
        return sizes

    def _sizesOfChunk(self, lfns: list[str]) -> dict[str, int | None]:
        storage = self._storageElement(self._seName, self._vo)
        answered, unknown = self._ask(storage.getFileSize, lfns)
        sizes: dict[str, int | None] = {lfn: int(size) for lfn, size in answered.items()}
        if unknown:
            # the plugins give the reason of a failed stat only as text; "exists" tells "not there" from "no answer"
            exists, failed = self._ask(storage.exists, list(unknown))
            if failed:
                raise self._noAnswer(failed)
            stillThere = [lfn for lfn, there in exists.items() if there]
            if stillThere:
                sizes.update(self._sizesOfPresent(storage, stillThere))
            sizes.update({lfn: None for lfn, there in exists.items() if not there})
        return sizes

    def _sizesOfPresent(self, storage: Any, lfns: list[str]) -> dict[str, int | None]:
        """Sizes of what exists but had no size: it has appeared a moment ago, or it is not a file."""
        isFile, failed = self._ask(storage.isFile, lfns)
        if failed:
            raise self._noAnswer(failed)
        files = [lfn for lfn, yes in isFile.items() if yes]
        sizes: dict[str, int | None] = {lfn: None for lfn, yes in isFile.items() if not yes}
        if files:
            answered, failed = self._ask(storage.getFileSize, files)
            if failed:
                raise self._noAnswer(failed)
            sizes.update({lfn: int(size) for lfn, size in answered.items()})
        return sizes

    def _ask(self, method: Callable[[list[str]], Any], lfns: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
        """What succeeded and what failed. No answer at all: the storage is banned or wrongly configured."""
        result = method(lfns)
        if not result["OK"]:
            raise TemporaryFailure(f"storage {self._seName}", result["Message"])
        return result["Value"]["Successful"], result["Value"]["Failed"]

    def _noAnswer(self, failed: dict[str, str]) -> TemporaryFailure:
        lfn, reason = next(iter(failed.items()))
        return TemporaryFailure(f"storage {self._seName}", f"{len(failed)} file(s) without an answer, e.g. {lfn}: {reason}")
