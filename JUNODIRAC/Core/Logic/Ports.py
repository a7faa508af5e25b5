"""What the use cases need from the outside, as small protocols.

Adapters under ``RawDataSystem/Client`` and ``RawDataSystem/DB`` implement them with DIRAC, SQL and gfal2; unit tests
implement them in memory. Every method may raise :class:`TemporaryFailure` when the other side does not answer: nothing
of the call is then assumed done, and the caller repeats it later. All methods are idempotent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason


class TemporaryFailure(Exception):
    """The other side (Kafka, database, catalogue, storage) did not answer: try the same call again later.

    :param component: who failed, as a person would name it, for example ``DataManagement/FileCatalog``
    :param detail: what it said
    """

    def __init__(self, component: str, detail: str) -> None:
        self.component = component
        self.detail = detail
        super().__init__(f"{component} is not available: {detail}")


@dataclass(frozen=True)
class Message:
    """One Kafka message: where it stands and its bytes."""

    topic: str
    partition: int
    offset: int
    payload: bytes
    key: bytes | None = None


@dataclass(frozen=True)
class LedgerEntry:
    """What the ledger knows of one file.

    ``sizeBytes`` is None as long as nobody said it; times are UTC.
    """

    file: RawFile
    state: FileState
    checksum: str
    sizeBytes: int | None
    eventCount: int | None
    topic: str
    partition: int
    offset: int
    extra: Mapping[str, object] = field(default_factory=dict)
    announcedTime: datetime | None = None
    registeredTime: datetime | None = None
    quarantinedTime: datetime | None = None


@dataclass(frozen=True)
class QuarantinedMessage:
    """One announcement that was not registered, with its reason. ``file`` is None when no LFN could be made of it."""

    message: Message
    typeName: str
    reason: Reason
    detail: str
    file: RawFile | None = None
    fileName: str = ""
    checksum: str = ""
    sizeBytes: int | None = None


@dataclass(frozen=True)
class CatalogueFile:
    """What the DFC is told of one file. ``checksum``: adler32, 8 lower-case hex digits; ``guid``: a valid UUID."""

    lfn: str
    sizeBytes: int
    checksum: str
    guid: str


@dataclass(frozen=True)
class BulkResult:
    """Outcome of a bulk call, each LFN in exactly one of the two."""

    successful: tuple[str, ...]
    failed: Mapping[str, str]


class Ledger(Protocol):
    """The custody record: one row for each file that was ever announced."""

    def findFiles(self, files: Sequence[RawFile]) -> dict[str, LedgerEntry]:
        """The rows of those files that have one, by LFN."""

    def recordAnnounced(self, entries: Sequence[LedgerEntry]) -> None:
        """Insert rows in state Announced; a row in state Quarantined goes back to Announced with the new values.

        Rows in another state stay as they are.
        """

    def recordRegistered(self, lfns: Sequence[str]) -> None:
        """Announced -> Registered, with the time. Already Registered: no change."""

    def recordQuarantined(self, items: Sequence[QuarantinedMessage]) -> None:
        """Keep each message byte for byte with its reason; the row of its file, if it is not Registered, is Quarantined.

        The row is made where there is none, and takes the message's topic, partition and offset, by which a replay is known.
        A Conflict does not touch an Announced row: that one's own announcement is still on its way.
        The same (topic, partition, offset) twice: the message is kept as it was the first time, and the row, which the
        repetition may have brought back to Announced, is Quarantined again.
        """

    def recordSizes(self, sizesBytes: Mapping[str, int]) -> None:
        """Fill in sizes that the storage told, for rows (by LFN) that have none."""

    def findBlock(self, typeName: str, name: str) -> Block | None:
        """The block with its transfers, if it is known."""

    def recordBlock(self, block: Block) -> None:
        """Insert the block and its transfers, or add what is new of them."""


class Catalogue(Protocol):
    """The DIRAC File Catalog."""

    def openBlock(self, block: Block) -> None:
        """Make the block's directory and set its Block and Type metadata."""

    def registerFiles(self, files: Sequence[CatalogueFile], sourceSE: str) -> BulkResult:
        """Register files with their replica at the source. An identical file that is there already is a success."""


class Transformations(Protocol):
    """DIRAC's Transformation System."""

    def openTransfer(self, block: Block, targetSE: str, name: str) -> int:
        """Make sure that the block's transfer to this SE exists and is active.

        :returns: the transformation's id
        """

    def attachFiles(self, transformationID: int, lfns: Sequence[str]) -> None:
        """Attach files to a transformation; those that are attached already stay as they are."""


class Storage(Protocol):
    """The source storage element."""

    def fileSizes(self, lfns: Sequence[str]) -> dict[str, int | None]:
        """Size in bytes of each file, None for a file that is not there."""
