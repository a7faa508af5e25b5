"""Finds files that are missing: in the sequence numbers of runs, on the storage, among the announcements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Gaps import NumberedFile, findGaps
from JUNODIRAC.Core.Domain.NamePattern import NameMismatch
from JUNODIRAC.Core.Domain.PolicyError import PolicyError
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.Core.Logic.Sweep import SweepResult
from JUNODIRAC.Core.Utilities.Moment import momentText


class GapLedger(Protocol):
    """What is asked of the ledger; see :class:`JUNODIRAC.RawDataSystem.DB.LedgerGaps.LedgerGaps`."""

    def sequences(
        self, typeName: str, block: str = "", run: int | None = None, days: int | None = None
    ) -> Iterator[NumberedFile]: ...

    def directoriesOf(self, typeName: str, block: str = "", run: int | None = None, days: int | None = None) -> list[str]: ...

    def directoryFiles(self, directory: str) -> Mapping[str, tuple[FileState, int | None]]: ...


class DirectorySweeper(Protocol):
    """What is asked of the storage; see :class:`JUNODIRAC.RawDataSystem.Client.Sweeper.Sweeper`."""

    def directoriesOfDays(self, days: int, today: date | None = None) -> list[str]: ...

    def sweepDirectory(self, directory: str) -> SweepResult: ...


class WrongDirectory(Exception):
    """A directory in which no files of the Type lie."""

    def __init__(self, typeName: str, directory: str) -> None:
        super().__init__(f"{directory} is no directory of Type {typeName}; see DirectoryPattern of the Type")


class GapFinder:
    """Looks for missing files of one Type.

    :param policy: of the Type
    """

    def __init__(self, policy: TypePolicy, ledger: GapLedger, sweeper: DirectorySweeper) -> None:
        self._policy = policy
        self._ledger = ledger
        self._sweeper = sweeper
        self.unavailable: list[str] = []

    def find(self, block: str = "", run: int | None = None, days: int | None = None) -> dict[str, Any]:
        """Missing numbers, and the directories that can be compared with the storage.

        :param block: gaps beside the files of this block
        :param run: all gaps of this run
        :param days: all gaps of runs that had files in so many days, and the directories of these days
        :returns: Gaps, Series (how many there are, with gaps or without), Directories
        """
        series: set[tuple[int, str, str]] = set()
        files = _noting(self._ledger.sequences(self._policy.typeName, block, run, days), series)
        gaps = findGaps(files, frozenset({block}) if block else None)
        typeName = self._policy.typeName
        directories = set(self._ledger.directoriesOf(typeName, block, run, days)) | set(self._expected(block, days))
        return {
            "Gaps": [{"Type": typeName, **gap.toDict()} for gap in gaps],
            "Series": len(series),
            "Directories": [{"Type": typeName, "Directory": directory} for directory in sorted(directories)],
        }

    def compare(self, directory: str) -> dict[str, Any]:
        """A directory of the storage against the ledger.

        :raises WrongDirectory: if no files of the Type can lie there
        :raises TemporaryFailure: if storage or ledger do not answer
        """
        if not self._isOfType(directory):
            raise WrongDirectory(self._policy.typeName, directory)
        result = self._sweeper.sweepDirectory(directory)
        states = {name: state for name, (state, _) in self._ledger.directoryFiles(directory).items()}

        def told(name: str, **more: Any) -> dict[str, Any]:
            return {"FileName": name, "LFN": f"{directory}/{name}", **more}

        return {
            "Type": self._policy.typeName,
            "Directory": directory,
            "OnStorage": result.onStorage,
            "InLedger": result.inLedger,
            "NeverAnnounced": [
                told(file.name, StoredBytes=file.sizeBytes, ModifiedTime=momentText(file.modifiedTime))
                for file in result.neverAnnounced
            ],
            "NotOnStorage": [told(name, State=states.get(name)) for name in result.notOnStorage],
            "WrongSize": [told(file.name, SizeBytes=known, StoredBytes=file.sizeBytes) for file, known in result.wrongSize],
            "BadNames": [told(name) for name in result.foreign],
        }

    def _expected(self, block: str, days: int | None) -> list[str]:
        """Directories that follow from the dates: the ledger may know none of their files."""
        try:
            if days is not None:
                return self._sweeper.directoriesOfDays(days)
            day = _dayOf(block)
            return self._sweeper.directoriesOfDays(1, day) if day else []
        except (PolicyError, TemporaryFailure) as error:
            if days is not None:
                self.unavailable.append(f"directories of Type {self._policy.typeName}: {error}")
            return []

    def _isOfType(self, directory: str) -> bool:
        if ".." in directory.split("/"):
            return False
        try:
            self._policy.directoryPattern.parse(directory)
        except NameMismatch:
            return directory in self._ledger.directoriesOf(self._policy.typeName)  # where LFNRule moves the files
        return True


def _noting(files: Iterable[NumberedFile], series: set[tuple[int, str, str]]) -> Iterator[NumberedFile]:
    for file in files:
        series.add((file.run, file.streamType, file.streamName))
        yield file


def _dayOf(block: str) -> date | None:
    """The day of a block that is called by it."""
    try:
        return datetime.strptime(block, "%Y%m%d").date() if len(block) == 8 else None  # noqa: DTZ007
    except ValueError:
        return None
