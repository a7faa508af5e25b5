"""What the repair needs: facts to judge by, hands to act with, a book to write down. Each may raise TemporaryFailure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from JUNODIRAC.Core.Domain.RepairRecords import DeclaredCopy, Pause, RepairRecord
from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts


@dataclass(frozen=True)
class BlockAtSite:
    """A block at one destination, with what its Type says of repairs.

    :param sourceSE: where nothing is ever deregistered or deleted
    """

    blockID: int
    typeName: str
    block: str
    se: str
    transformationID: int
    sourceSE: str
    maxAttempts: int

    def __str__(self) -> str:
        return f"{self.typeName} block {self.block} at {self.se}"


class RepairFacts(Protocol):
    """What is known of files."""

    def read(self, transformationID: int, se: str, lfns: Sequence[str]) -> dict[str, TransferFacts]:
        """The facts without the copy; files that there was no time for are left out."""

    def withCopies(self, facts: Iterable[TransferFacts], declared: Mapping[str, tuple[int, str]]) -> dict[str, TransferFacts]:
        """The same facts with what the destination's storage says."""

    def copiesAt(self, se: str, declared: Mapping[str, tuple[int, str]]) -> dict[str, tuple[CopyState, str]]:
        """What any storage says of files, and that in words."""


class RepairHands(Protocol):
    """What is done, with the rights of the production manager. Each returns the files that it did not work for, and why."""

    def attach(self, transformationID: int, lfns: Sequence[str]) -> Mapping[str, str]:
        """Put files into a transformation."""

    def setProcessed(self, transformationID: int, lfns: Sequence[str]) -> Mapping[str, str]:
        """They are where they should be."""

    def setUnused(self, transformationID: int, lfns: Sequence[str]) -> Mapping[str, str]:
        """A new task is made for them, whatever happened before."""

    def register(self, se: str, lfns: Sequence[str]) -> Mapping[str, str]:
        """Add the replicas to the catalogue."""

    def deregister(self, se: str, lfns: Sequence[str]) -> Mapping[str, str]:
        """Remove the replicas from the catalogue."""

    def delete(self, se: str, lfns: Sequence[str]) -> Mapping[str, str]:
        """Remove what lies on the storage."""

    def cancelRequests(self, requestIDs: Collection[int]) -> Mapping[int, str]:
        """Cancel requests."""


class RepairBook(Protocol):
    """The ledger."""

    def readRepairs(self, blockID: int, se: str, lfns: Collection[str]) -> dict[str, RepairRecord]:
        """What was done about these files so far."""

    def recordRepairs(self, records: Sequence[RepairRecord]) -> None:
        """Write down what was done."""

    def recordDecisions(self, actor: str, action: str, reasons: Mapping[str, str]) -> None:
        """A row in the journal for each object."""

    def declaredCopies(self, lfns: Collection[str]) -> dict[str, DeclaredCopy]:
        """Id, size and checksum of the registered ones among these files."""

    def readBadReplicas(self, lfns: Collection[str] | None = None) -> dict[str, list[str]]:
        """Storage elements with a bad replica."""

    def markBad(self, se: str, details: Mapping[int, str]) -> None:
        """These replicas are never a source from now on."""

    def endBad(self, se: str, fileIDs: Iterable[int]) -> int:
        """Good ones took their place."""

    def lastPauses(self, se: str, limit: int = 50) -> list[Pause]:
        """The newest pauses of a storage element."""

    def addPause(self, se: str, blockID: int, until: datetime | None, actor: str, reason: str, errorClass: str = "") -> None:
        """Copy nothing to a storage element for a while."""
