"""Compares directories of the source storage with the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.NamePattern import NameMismatch
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Sweep import DirectoryFinder, StoredName, SweepResult, compareDirectory


class StorageListing(Protocol):
    """What is asked of the storage; see :class:`JUNODIRAC.RawDataSystem.Client.SourceStorage.SourceStorage`."""

    def listDirectory(self, directory: str) -> dict[str, tuple[int, datetime]]: ...

    def listDirectories(self, parent: str) -> list[str]: ...


class LedgerListing(Protocol):
    """What is asked of the ledger."""

    def directoryFiles(self, directory: str) -> Mapping[str, tuple[FileState, int | None]]: ...


class Sweeper:
    """Sweeps directories of one Type. Reads only; every call may raise TemporaryFailure.

    :param now: the time, UTC
    """

    def __init__(
        self,
        policy: TypePolicy,
        storage: StorageListing,
        ledger: LedgerListing,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._policy = policy
        self._storage = storage
        self._ledger = ledger
        self._now = now

    def directoriesOfDays(self, days: int, today: date | None = None) -> list[str]:
        """The directories of the last ``days`` days, that is today (UTC) and those before it, oldest first.

        :raises PolicyError: if the Type's DirectoryDate does not say how the day of a directory is read
        """
        return DirectoryFinder(self._policy, self._storage.listDirectories).ofDays(days, today or self._now().date())

    def sweep(self, directories: Iterable[str]) -> list[SweepResult]:
        """Compare these directories, one after the other."""
        return [self.sweepDirectory(directory) for directory in directories]

    def sweepDirectory(self, directory: str, readUntil: datetime | None = None) -> SweepResult:
        """Compare one directory. One that the storage does not have is empty.

        :param readUntil: announcements after this time may not have been read yet; None: all have been
        """
        read = self._now() if readUntil is None else min(readUntil, self._now())
        youngerIsOnItsWay = read - timedelta(seconds=self._policy.sweepMinAgeSeconds)
        # the storage first: a file that comes in between is then in the ledger, and not taken for forgotten
        stored = self._list(directory)
        known = self._ledger.directoryFiles(directory)
        result = compareDirectory(directory, stored, known, self._isNameOfType, youngerIsOnItsWay)
        if result.notOnStorage:
            # written and announced after the first look
            appeared = self._list(directory).keys()
            result = replace(result, notOnStorage=tuple(name for name in result.notOnStorage if name not in appeared))
        return result

    def _list(self, directory: str) -> dict[str, StoredName]:
        found = self._storage.listDirectory(directory)
        return {name: StoredName(name, sizeBytes, modified) for name, (sizeBytes, modified) in found.items()}

    def _isNameOfType(self, name: str) -> bool:
        try:
            self._policy.namePattern.parse(name)
        except NameMismatch:
            return False
        return True
