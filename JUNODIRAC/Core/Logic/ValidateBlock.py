"""One look at a block at a site: ledger, storage and catalogue are asked in slices, and compared at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from JUNODIRAC.Core.Domain.Validation import Difference, Look, Validation
from JUNODIRAC.Core.Logic.BlockComparison import CataloguedFile, Comparison, DeclaredFile, compareBlock
from JUNODIRAC.Core.Logic.Ports import Refusal, StoredFile, TemporaryFailure

T = TypeVar("T")

#: names kept of each kind of difference that a repair can put right: it needs them all
MAX_NAMES = 20_000
#: names kept of the others
MAX_OTHER_NAMES = 1000
MAX_DETAILS = 1000
_SIZES_PER_SLICE = 1000
# slices of checksums without any answer, one after the other, before the storage is taken for out of order
_MAX_SILENT_SLICES = 3


@dataclass(frozen=True)
class BlockFiles:
    """A block as the ledger has it.

    :param declared: its registered files, by LFN
    :param known: other registered files in its directories, which belong to follow-up blocks
    :param directories: where files that are none of these are extra; none for a follow-up block, whose files lie in another's
    """

    declared: Mapping[str, DeclaredFile]
    known: frozenset[str] = frozenset()
    directories: tuple[str, ...] = ()


class LookLedger(Protocol):
    """The ledger, as a look needs it."""

    def blockFiles(self, blockID: int) -> BlockFiles: ...


class LookCatalogue(Protocol):
    """The catalogue, as a look needs it: its entries of these files, and of all others in these directories, by LFN."""

    def entries(self, directories: Sequence[str], lfns: Collection[str], se: str) -> Mapping[str, CataloguedFile]: ...


class LookStorage(Protocol):
    """The storage, as a look needs it; each method raises TemporaryFailure or Refusal where it does not answer at all."""

    def listSizes(self, directory: str) -> Mapping[str, int]:
        """Sizes in bytes of the files in a directory, by LFN."""

    def sizes(self, lfns: Sequence[str]) -> Mapping[str, StoredFile]:
        """What it says of each of these files."""

    def checksums(self, lfns: Sequence[str]) -> Mapping[str, StoredFile]:
        """The checksum of each of these files; takes as long as the rate that is allowed demands."""

    def check(self, lfn: str) -> None:
        """Make sure that it answers at all."""


class BlockLook:
    """A look in slices. :meth:`step` does the next one; it may be called again after a TemporaryFailure.

    :param filesPerSlice: checksums that are asked for in one slice
    :param startedTime: UTC
    """

    def __init__(
        self,
        blockID: int,
        se: str,
        look: Look,
        sides: tuple[LookLedger, LookCatalogue, LookStorage],
        startedTime: datetime,
        filesPerSlice: int = 100,
    ) -> None:
        self.blockID, self.se, self.look, self.startedTime = blockID, se, look, startedTime
        self._ledger, self._catalogue, self._storage = sides
        self._filesPerSlice = max(1, filesPerSlice)
        self._files = BlockFiles({})
        self._directories: deque[str] = deque()
        self._stored: dict[str, StoredFile] = {}
        self._unsized: deque[str] = deque()
        self._unsummed: deque[str] = deque()
        self._askedTwice: set[str] = set()
        self._silentSlices = 0
        self._failure = ""
        self._comparison: Comparison | None = None
        self._isChanged = False
        self._stage: Callable[[], None] | None = self._readLedger

    # ---- what is told of it

    @property
    def isDone(self) -> bool:
        """Whether there is nothing left to ask."""
        return self._stage is None

    @property
    def isDiscarded(self) -> bool:
        """Whether the block changed meanwhile, so that the look says nothing."""
        return self._isChanged

    @property
    def failure(self) -> str:
        """Why the storage could not be asked for all; empty if it could."""
        return self._failure

    @property
    def total(self) -> int:
        """How many files it has to look at; 0 before the first slice."""
        return len(self._files.declared)

    @property
    def doneFiles(self) -> int:
        """How many of them it has looked at."""
        if self._stage in (self._readLedger, self._listDirectory, self._askSizes):
            return 0
        return self.total - len(self._unsummed)

    def validation(self, actor: str, endedTime: datetime) -> Validation:
        """What was found, for the ledger."""
        found = self._comparison
        if found is None:
            raise ValueError(f"the look at block {self.blockID} at {self.se} has not come to its end")
        names = {kind: lfns[: _maxNames(kind)] for kind, lfns in found.differences.items()}
        shown = [lfn for lfns in names.values() for lfn in lfns][:MAX_DETAILS]
        return Validation(
            blockID=self.blockID,
            se=self.se,
            look=self.look,
            actor=actor,
            startedTime=self.startedTime,
            endedTime=endedTime,
            verdict=found.verdict,
            files=found.files,
            sizeBytes=found.sizeBytes,
            goodFiles=found.goodFiles,
            counts={kind: len(lfns) for kind, lfns in found.differences.items()},
            names=names,
            details={lfn: found.details[lfn] for lfn in shown},
            failure=found.failure,
        )

    # ---- slices

    def step(self) -> None:
        """Do the next slice.

        :raises TemporaryFailure: if ledger or catalogue do not answer; what was found so far is kept
        :raises Refusal: if the catalogue refuses
        """
        if self._stage:
            self._stage()

    def _readLedger(self) -> None:
        self._files = self._ledger.blockFiles(self.blockID)
        self._directories = deque(self._files.directories)
        self._stage = self._listDirectory

    def _listDirectory(self) -> None:
        if not self._directories:
            self._chooseSingles()
            return
        sizes = self._fromStorage(lambda: self._storage.listSizes(self._directories[0]))
        if sizes is not None:
            self._directories.popleft()
            self._stored.update((lfn, StoredFile(size)) for lfn, size in sizes.items())

    def _chooseSingles(self) -> None:
        """A listing may be old: what it does not show as declared is asked for once more, each file on its own."""
        self._unsized = deque(lfn for lfn in self._files.declared if not self._hasSize(lfn))
        for lfn in self._unsized:
            self._stored.pop(lfn, None)
        self._stage = self._askSizes

    def _askSizes(self) -> None:
        if not self._unsized:
            self._unsummed = deque(lfn for lfn in self._files.declared if self._hasSize(lfn))
            self._stage = self._askChecksums
            return
        part = _take(self._unsized, _SIZES_PER_SLICE)
        answer = self._fromStorage(lambda: self._storage.sizes(part))
        self._stored.update(answer or {})
        self._askAgain(part, answer or {}, self._unsized)

    def _askChecksums(self) -> None:
        if not self._unsummed:
            self._stage = self._readCatalogue
            return
        part = _take(self._unsummed, self._filesPerSlice)
        answer = self._fromStorage(lambda: self._storage.checksums(part))
        if answer is None:
            return
        for lfn in part:
            told = answer.get(lfn) or StoredFile(None, failure="the storage said nothing of its checksum")
            self._stored[lfn] = StoredFile(self._stored[lfn].sizeBytes, told.checksum, told.failure)
        self._askAgain(part, answer, self._unsummed)
        self._noteSilence(part, answer)

    def _noteSilence(self, part: Sequence[str], answer: Mapping[str, StoredFile]) -> None:
        """A storage that went away in the middle is not asked for all the rest."""
        if any(file.checksum for file in answer.values()):
            self._silentSlices = 0
            return
        self._silentSlices += 1
        self._fromStorage(lambda: self._storage.check(part[0]))
        if self._silentSlices >= _MAX_SILENT_SLICES and self._stage == self._askChecksums:
            self._giveUpStorage(f"{self.se} tells no checksums: {self._stored[part[0]].failure}")

    def _askAgain(self, part: Iterable[str], answer: Mapping[str, StoredFile], queue: deque[str]) -> None:
        """Files for which there was no time come again, and those that failed come once more, after the others."""
        isProgress = any(not file.failure for file in answer.values())
        for lfn in part:
            file = answer.get(lfn)
            if file is None or not file.failure:
                continue
            if isProgress and not file.isAsked:
                queue.append(lfn)
            elif lfn not in self._askedTwice:
                self._askedTwice.add(lfn)
                queue.append(lfn)

    def _readCatalogue(self) -> None:
        entries = self._catalogue.entries(self._files.directories, self._files.declared.keys(), self.se)
        now = self._ledger.blockFiles(self.blockID)
        self._isChanged = now.declared != self._files.declared
        # with the follow-up blocks' files of now: some may have come meanwhile
        self._comparison = compareBlock(self._files.declared, entries, self._stored, now.known, self._failure)
        self._stage = None

    # ---- details

    def _hasSize(self, lfn: str) -> bool:
        stored = self._stored.get(lfn)
        return stored is not None and stored.sizeBytes == self._files.declared[lfn].sizeBytes

    def _fromStorage(self, question: Callable[[], T]) -> T | None:
        """The storage's answer; None if there is none, and then the storage is not asked any more."""
        try:
            return question()
        except (TemporaryFailure, Refusal) as error:
            self._giveUpStorage(str(error))
            return None

    def _giveUpStorage(self, failure: str) -> None:
        self._failure = failure
        self._unsummed.clear()
        self._stage = self._readCatalogue


def _take(queue: deque[str], count: int) -> list[str]:
    """The first ones of a queue, which it then lacks."""
    return [queue.popleft() for _ in range(min(count, len(queue)))]


def _maxNames(kind: Difference) -> int:
    return MAX_OTHER_NAMES if kind in (Difference.UNANSWERED, Difference.EXTRA) else MAX_NAMES
