"""The storage element where announced files arrive: what it has, asked quickly and with patience that ends."""

from __future__ import annotations

import errno
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any, TypeVar

from JUNODIRAC.Core.Logic.Ports import StoredFile, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal
from JUNODIRAC.RawDataSystem.Client.StorageAccess import DirectoryEntry, StorageAccess, StorageError

T = TypeVar("T")

# A listing costs per entry of the directory, a question per file. Measured on XRootD: 3 microseconds against 500.
_LIST_FROM_FILES = 50
_ENTRIES_PER_QUESTION = 50
_REMEMBERED_DIRECTORIES = 100
_NO_ANSWER = "no answer within {seconds:.3g} s"


def _diracStorageElement(name: str, vo: str) -> Any:
    """DIRAC's storage element; it keeps one for each thread."""
    from DIRAC.Resources.Storage.StorageElement import StorageElement

    return StorageElement(name, vo=vo)


class SourceStorage:
    """Asks a storage element about files and directories, several questions at a time.

    Where many files of one directory are asked for, the directory is listed instead.

    :param seName: name of the storage element
    :param vo: the VO for which it is asked
    :param threads: questions at the same time
    :param checksumThreads: checksums at the same time; XRootD computes four at once and makes the others wait for seconds
    :param timeoutSeconds: how long one call of :meth:`look` waits; what is not answered then is no answer
    :param checkSeconds: how long it then takes to see whether the storage is there at all
    """

    def __init__(
        self,
        seName: str,
        vo: str,
        threads: int = 16,
        checksumThreads: int = 4,
        timeoutSeconds: float = 60.0,
        checkSeconds: float = 10.0,
        storageElement: Callable[[str, str], Any] = _diracStorageElement,
        access: StorageAccess | None = None,
    ) -> None:
        self._seName = seName
        self._component = f"storage {seName}"
        self._vo = vo
        self._timeoutSeconds = timeoutSeconds
        self._checkSeconds = checkSeconds
        self._storageElement = storageElement
        self._access = access or StorageAccess()
        self._questions = ThreadPoolExecutor(max(1, threads), thread_name_prefix="storage")
        self._checksums = ThreadPoolExecutor(max(1, checksumThreads), thread_name_prefix="checksum")
        self._entryCounts: dict[str, int] = {}

    # ---- what the receiver asks

    def look(self, lfns: Sequence[str], withChecksum: Collection[str] = ()) -> dict[str, StoredFile]:
        """See :meth:`Ports.Storage.look`.

        :raises TemporaryFailure: if it answers for none of them
        :raises ServiceRefusal: if the storage cannot tell checksums at all
        """
        wanted = list(dict.fromkeys(lfns))
        if not wanted:
            return {}
        deadline = monotonic() + self._timeoutSeconds
        base = self._base(wanted[0])
        found: dict[str, StoredFile] = {}
        single: list[str] = []
        for directory, members in _byDirectory(wanted).items():
            listed = self._sizesByListing(base, directory, members, deadline)
            found.update(listed)
            single += [lfn for lfn in members if lfn not in listed]
        found.update(self._askEach(self._questions, single, lambda lfn: self._sizeOf(base, lfn), deadline))
        self._checkThatItAnswers(base, found)
        present = [lfn for lfn in wanted if lfn in withChecksum and found[lfn].sizeBytes is not None]
        summed = self._askEach(self._checksums, present, lambda lfn: self._checksumOf(base, lfn), deadline)
        for lfn, answer in summed.items():
            found[lfn] = replace(found[lfn], checksum=answer.checksum, failure=answer.failure, isAsked=answer.isAsked)
        return found

    # ---- what a validation asks

    def checksums(self, lfns: Sequence[str]) -> dict[str, StoredFile]:
        """Checksums alone, of files that are there; ``sizeBytes`` is not told.

        :raises TemporaryFailure: if it may not be used
        :raises ServiceRefusal: if the storage cannot tell checksums at all
        """
        if not lfns:
            return {}
        base = self._base(lfns[0])
        return self._askEach(self._checksums, lfns, lambda lfn: self._checksumOf(base, lfn), monotonic() + self._timeoutSeconds)

    def check(self, lfn: str) -> None:
        """:raises TemporaryFailure: if the storage, of which any LFN is given, does not show its own base directory"""
        self._checkBase(self._base(lfn))

    # ---- what a sweep asks

    def listDirectory(self, directory: str) -> dict[str, tuple[int, datetime]]:
        """Size in bytes and time of the last change, UTC, of each file in a directory (an LFN), by name.

        Directories in it are left out. A directory that is not there is empty.

        :raises TemporaryFailure: if the storage does not answer
        """
        return self._listed(
            directory, lambda found: {entry.name: (entry.sizeBytes, entry.modifiedTime) for entry in found if entry.isFile}, {}
        )

    def listDirectories(self, parent: str) -> list[str]:
        """Names of the directories in a directory, in order; none if it is not there.

        :raises TemporaryFailure: if the storage does not answer
        """
        return self._listed(parent, lambda found: sorted(entry.name for entry in found if entry.isDirectory), [])

    def _listed(self, directory: str, read: Callable[[Iterable[DirectoryEntry]], T], nothing: T) -> T:
        """What a function reads from the listing of a directory; ``nothing`` where there is no such directory."""
        base = self._base(directory)
        question = self._questions.submit(lambda: read(self._access.list(base + directory)))
        try:
            return self._inTime(question, self._timeoutSeconds)
        except StorageError as error:
            if not error.isNotThere:
                raise TemporaryFailure(self._component, f"{directory}: {error}") from error
            self._checkBase(base)
            return nothing

    # ---- sizes

    def _sizesByListing(self, base: str, directory: str, lfns: list[str], deadline: float) -> dict[str, StoredFile]:
        """Sizes of those of the files that a listing shows, if a listing is worth it."""
        count = len(lfns)
        if count < _LIST_FROM_FILES or self._entryCounts.get(directory, 0) > count * _ENTRIES_PER_QUESTION:
            return {}
        question = self._questions.submit(self._readSizes, base, directory, frozenset(lfns))
        try:
            entryCount, found = self._inTime(question, deadline - monotonic())
        except StorageError:
            return {}  # what is wrong with it, each file will tell
        if len(self._entryCounts) >= _REMEMBERED_DIRECTORIES:
            self._entryCounts.clear()
        self._entryCounts[directory] = entryCount
        return found

    def _readSizes(self, base: str, directory: str, wanted: Collection[str]) -> tuple[int, dict[str, StoredFile]]:
        """How much there is in a directory, and the sizes of the wanted files."""
        entryCount, found = 0, {}
        for entry in self._access.list(base + directory):
            entryCount += 1
            lfn = f"{directory}/{entry.name}"
            if entry.isFile and lfn in wanted:
                found[lfn] = StoredFile(entry.sizeBytes)
        return entryCount, found

    def _sizeOf(self, base: str, lfn: str) -> StoredFile:
        try:
            return StoredFile(self._access.sizeBytes(base + lfn))
        except StorageError as error:
            return StoredFile(None, failure=str(error))

    def _checksumOf(self, base: str, lfn: str) -> StoredFile:
        try:
            return StoredFile(None, self._checksumOfSettled(base + lfn))
        except StorageError as error:
            if error.isNotSupported:
                raise ServiceRefusal(
                    self._component,
                    f"it cannot tell checksums ({error}); make it, or set ChecksumCheck of the Type to Trust",
                ) from error
            return StoredFile(None, failure=f"its checksum could not be asked for: {error}")

    def _checksumOfSettled(self, url: str) -> str:
        """XRootD says ESTALE of one in a hundred new files, and answers when it is asked again."""
        try:
            return self._access.checksum(url)
        except StorageError as error:
            if error.code != errno.ESTALE:
                raise
            return self._access.checksum(url)

    # ---- is it the file or the storage?

    def _checkThatItAnswers(self, base: str, found: dict[str, StoredFile]) -> None:
        """A storage that has none of the files, or that fails for each of them, must show that it is there at all."""
        if any(file.sizeBytes is not None for file in found.values()):
            return
        self._checkBase(base)
        failed = [lfn for lfn, file in found.items() if file.failure]
        if len(failed) < len(found):
            return
        # the files alone are to blame only where their own directory can be read
        for directory in list(_byDirectory(failed))[:3]:
            try:
                self._inTime(self._questions.submit(self._readSizes, base, directory, ()), self._checkSeconds)
            except StorageError:
                continue
            return
        example = failed[0]
        raise TemporaryFailure(
            self._component, f"{len(failed)} file(s) without an answer, e.g. {example}: {found[example].failure}"
        )

    def _checkBase(self, base: str) -> None:
        """A storage whose own base directory is gone is not mounted; then nothing that it says of files counts."""
        try:
            self._inTime(self._questions.submit(self._access.exists, base), self._checkSeconds)
        except StorageError as error:
            raise TemporaryFailure(self._component, f"its base directory {base}: {error}") from error

    # ---- details

    def _base(self, lfn: str) -> str:
        """URL of the directory under which LFNs begin; asks DIRAC whether the storage may be used."""
        storage = self._storageElement(self._seName, self._vo)
        allowed = storage.isValid("exists")  # a URL is given for a banned storage, too
        result = storage.getURL([lfn], protocol=storage.localAccessProtocolList) if allowed["OK"] else allowed
        if not result["OK"]:
            raise TemporaryFailure(self._component, result["Message"])
        url = result["Value"]["Successful"].get(lfn)
        if url is None or not url.endswith(lfn):
            raise TemporaryFailure(self._component, str(result["Value"]["Failed"].get(lfn, f"{url} is no URL of {lfn}")))
        return str(url).removesuffix(lfn)

    def _askEach(
        self,
        pool: ThreadPoolExecutor,
        lfns: Sequence[str],
        question: Callable[[str], StoredFile],
        deadline: float,
    ) -> dict[str, StoredFile]:
        """The answer for each file; those that do not come in time are failures of their file, if it was asked for."""
        answers: dict[str, StoredFile] = {}
        asked: set[str] = set()
        stop = threading.Event()

        def ask(members: list[str]) -> None:
            for lfn in members:
                if stop.is_set():
                    return
                asked.add(lfn)
                answers[lfn] = question(lfn)

        # a piece for each thread and more, so that one slow answer holds up few others
        futures = [pool.submit(ask, list(piece)) for piece in _pieces(lfns, 8)]
        done, _ = wait(futures, max(0.0, deadline - monotonic()))
        stop.set()
        for future in futures:
            future.cancel()
        for future in done:
            future.result()
        failure = _NO_ANSWER.format(seconds=self._timeoutSeconds)
        return {lfn: answers.get(lfn) or StoredFile(None, failure=failure, isAsked=lfn in asked) for lfn in lfns}

    def _inTime(self, future: Future[T], seconds: float) -> T:
        try:
            return future.result(max(0.0, seconds))
        except TimeoutError:
            future.cancel()
            raise TemporaryFailure(self._component, _NO_ANSWER.format(seconds=seconds)) from None


def _byDirectory(lfns: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for lfn in lfns:
        groups[lfn.rpartition("/")[0]].append(lfn)
    return groups


def _pieces(lfns: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (lfns[start : start + size] for start in range(0, len(lfns), size))
