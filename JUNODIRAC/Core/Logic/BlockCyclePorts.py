"""What :class:`JUNODIRAC.Core.Logic.BlockCycle.BlockCycle` needs of the ledger, the catalogue and the transformations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from JUNODIRAC.Core.Domain.BlockClosing import FileCounts
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.BlockStatus import DirectoryUsage
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock
from JUNODIRAC.Core.Domain.Validation import Validation


@dataclass(frozen=True)
class Progress:
    """How far a block is at a site now.

    :param isGrown: further than at the last look
    """

    blockID: int
    se: str
    doneFiles: int
    doneBytes: int
    isGrown: bool


@dataclass(frozen=True)
class RepairSign:
    """What the repair says of a block at a site: files given up by class of error, files in its hands, its last action."""

    givenUp: Mapping[str, int] = field(default_factory=dict)
    active: int = 0
    lastTime: datetime | None = None


class CycleLedger(Protocol):
    """The ledger. Every method may raise TemporaryFailure."""

    def readLivingBlocks(self, alsoBlockIDs: Collection[int] = ()) -> list[LivingBlock]:
        """Blocks for which something is left to be done, and these."""

    def readLivingBlocksByID(self, blockIDs: Sequence[int]) -> list[LivingBlock]:
        """These blocks."""

    def holdBlocks(self, blocks: Sequence[tuple[str, str]], waitSeconds: float | None = None) -> AbstractContextManager[None]:
        """As long as the context lasts no receiver registers files of these blocks, given by Type and name."""

    def countBlockFiles(self, blockIDs: Sequence[int]) -> dict[int, FileCounts]:
        """Files of these blocks by what became of them."""

    def saveCounts(self, counts: Mapping[int, FileCounts], now: datetime) -> None:
        """Keep what was counted."""

    def lastAnnounced(self, blockIDs: Sequence[int]) -> dict[int, datetime]:
        """When the last file of each block was announced."""

    def blockDirectories(self, blockIDs: Sequence[int]) -> dict[int, list[str]]:
        """In which directories the files of each block lie."""

    def lateSizes(self, blockIDs: Sequence[int]) -> dict[int, tuple[Mapping[str, int], Mapping[str, int]]]:
        """Of follow-up blocks and their parents: sizes of their own late files, and of those in their directories that other
        blocks have, by LFN. The other blocks are left out."""

    def repairSigns(self, blockIDs: Sequence[int]) -> dict[tuple[int, str], RepairSign]:
        """What the repair says, by block and SE."""

    def newestValidations(
        self, blockIDs: Sequence[int], withNames: bool = False, conclusiveOnly: bool = False
    ) -> dict[tuple[int, str], Validation]:
        """The newest validations, by block and SE."""

    def badSince(self, validationID: int) -> tuple[int, set[int]]:
        """The id of the newest validation, and the blocks of bad ones after the given id."""

    def moveBlock(
        self, blockID: int, old: BlockState, new: BlockState, actor: str, reason: str, problem: str = "", closedBy: str = ""
    ) -> bool:
        """Change the state of a block, if it is still ``old``."""

    def moveSite(
        self, blockID: int, se: str, old: BlockState, new: BlockState, actor: str, reason: str, problem: str = ""
    ) -> bool:
        """Change the state of a block at a site, if it is still ``old``."""

    def noteProblem(self, blockID: int, se: str, words: str) -> None:
        """Other words for what is and stays a Problem; ``se`` is empty for the block."""

    def saveProgress(self, progress: Iterable[Progress], now: datetime) -> None:
        """Keep how far blocks are at sites, with a sample each for the rates."""

    def pruneProgress(self, before: datetime) -> int:
        """Delete old samples."""

    def doneTransfers(self, transformationIDs: Collection[int]) -> dict[int, tuple[int, str]]:
        """Those of the transformations whose block is Done at their site, with both."""


class CycleCatalogue(Protocol):
    """The catalogue. Every method may raise TemporaryFailure or Refusal."""

    def directoryUsages(self, directories: Sequence[str]) -> dict[str, DirectoryUsage]:
        """Files and replicas below each directory; those that the catalogue does not have are left out."""

    def replicaSites(self, lfns: Sequence[str]) -> dict[str, set[str]]:
        """Where each file has replicas."""


class CycleTransfers(Protocol):
    """The transformations. Every method may raise TemporaryFailure or Refusal."""

    def activeOnes(self) -> dict[int, str]:
        """The status of all transformations of block transfers that are neither completed nor archived nor removed."""

    def statuses(self, transformationIDs: Collection[int]) -> dict[int, str]:
        """The status of these; those that are not kept any more are left out."""

    def unfinishedFiles(self, transformationIDs: Collection[int]) -> dict[int, int]:
        """Number of files that are not Processed, for each of them."""

    def waitingFiles(self, transformationIDs: Collection[int]) -> dict[int, int]:
        """Number of files that are in no task yet, for those of them that have such files."""

    def flush(self, transformationID: int) -> None:
        """Have all waiting files sent out, also in groups that are not full."""

    def complete(self, transformationID: int) -> None:
        """There is nothing left to do; DIRAC archives it some time later."""

    def reopen(self, transformationID: int, metadata: Mapping[str, str]) -> None:
        """Make a completed or archived one active again.

        :param metadata: of the block's directory, for the query that archiving took away; empty: it has none
        """
