"""What the use cases need from the outside, as small protocols.

Adapters under ``RawDataSystem/Client`` and ``RawDataSystem/DB`` implement them with DIRAC, SQL and gfal2; unit tests
implement them in memory. Every method may raise :class:`TemporaryFailure` when the other side does not answer: nothing
of the call is then assumed done, and the caller repeats it later. All methods are idempotent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.EndOfBlock import EndOfBlock
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


class Refusal(Exception):
    """A whole service answered, and the answer is no: nothing goes on until somebody changes something.

    It is no single message's fault, so the batch is held and tried again, as after a :class:`TemporaryFailure`.
    """


@dataclass(frozen=True)
class Message:
    """One Kafka message: where it stands and its bytes."""

    topic: str
    partition: int
    offset: int
    payload: bytes
    key: bytes | None = None

    @property
    def position(self) -> tuple[str, int, int]:
        """Where it stands: topic, partition and offset."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True)
class LedgerEntry:
    """What the ledger knows of one file.

    ``sizeBytes`` is None as long as nobody said it; times are UTC. ``followUp``: the follow-up block that has the file; empty
    if the block of its directory has it.
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
    followUp: str = ""
    announcedTime: datetime | None = None
    registeredTime: datetime | None = None
    quarantinedTime: datetime | None = None

    @property
    def position(self) -> tuple[str, int, int]:
        """The message that the row stands for: topic, partition and offset."""
        return self.topic, self.partition, self.offset


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
class WaitingMessage:
    """An announcement whose file the source storage does not show yet.

    :param reason: NotOnStorage or NoAnswer: what it becomes when the Type's grace time is over
    :param since: when it was first found waiting, UTC
    :param attempts: how many times the storage was asked
    """

    message: Message
    typeName: str
    file: RawFile
    reason: Reason
    detail: str
    checksum: str
    sizeBytes: int | None
    since: datetime
    nextTime: datetime
    attempts: int = 1


@dataclass(frozen=True)
class StoredFile:
    """What the source storage says of one file.

    ``sizeBytes`` None: it is not there. ``checksum``: adler32, 8 lower-case hex digits; empty if it was not asked for.
    ``failure``: not empty if the storage gave no answer for this file while it answered for others.
    ``isAsked``: False if there was no time to ask for it, so that the failure says nothing of the file.
    """

    sizeBytes: int | None
    checksum: str = ""
    failure: str = ""
    isAsked: bool = True


@dataclass(frozen=True)
class IngestCounts:
    """What became of some messages of a Type, for rates."""

    messages: int = 0
    registered: int = 0
    duplicates: int = 0
    quarantined: int = 0
    waiting: int = 0
    registeredBytes: int = 0


@dataclass(frozen=True)
class StatusMessage:
    """What became of one announcement, for those who follow the Type's status topic.

    :param status: ``Registered``, ``Quarantined`` or ``Duplicate``
    :param message: the announcement
    :param file: None if no LFN could be made of it
    :param end: what it says, if it is about the end of a block
    """

    status: str
    message: Message
    typeName: str
    fileName: str = ""
    file: RawFile | None = None
    reason: Reason | None = None
    detail: str = ""
    end: EndOfBlock | None = None


@dataclass(frozen=True)
class Expected:
    """How many files a block shall have, and the end-of-block announcement (topic, partition, offset) that said so.

    ``position`` is None if a person said so.
    """

    fileCount: int
    position: tuple[str, int, int] | None


class DirectoryTaken(Exception):
    """The ledger has a directory under another block than the Type's rules say: the rules were changed.

    :param blocks: for each such directory, the block that has it, in words
    """

    def __init__(self, blocks: Mapping[str, str]) -> None:
        self.blocks = dict(blocks)
        super().__init__("; ".join(f"{directory} belongs to {block}" for directory, block in sorted(blocks.items())))


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

    def holdBlocks(self, blocks: Sequence[tuple[str, str]]) -> AbstractContextManager[None]:
        """Hold these blocks, (Type, name) each, against every other receiver, until the context is left or the process dies.

        The catalogue has no unique key on directory and name: two receivers that register the same file at once would make
        it twice.

        :raises TemporaryFailure: if another receiver holds one of them for long
        """

    def findFiles(self, files: Sequence[RawFile]) -> dict[str, LedgerEntry]:
        """The rows of those files that have one, by the LFN that was asked for.

        A row whose name differs only in case is found too, with its own name in ``file``: DIRAC's tables take both for the same.
        """

    def findQuarantined(self, positions: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int, int], tuple[Reason, str]]:
        """Reason and detail of those messages that were quarantined before, by position."""

    def recordAnnounced(self, entries: Sequence[LedgerEntry]) -> None:
        """Insert rows in state Announced; a Waiting, Quarantined, Waived or Dropped row goes back to it with the new values.

        Open quarantine records of such a file, which a good announcement answers, become Retried; not so a Conflict.
        Rows in another state stay as they are. A file is in its ``followUp`` from the same moment on, whatever it was in before;
        a follow-up block that is not known is made, in state Known.

        :raises DirectoryTaken: nothing is written then
        """

    def recordRegistered(self, lfns: Sequence[str]) -> None:
        """Announced -> Registered, with the time. Already Registered: no change."""

    def recordWaiting(self, items: Sequence[WaitingMessage]) -> None:
        """Keep each message, and put its file's row into state Waiting, unless it is Registered.

        A message that waits already keeps its ``since``; attempts, next time, reason and detail are taken over.

        :raises DirectoryTaken: nothing is written then
        """

    def dueWaiting(self, topic: str, partitions: Sequence[int], now: datetime, limit: int) -> list[WaitingMessage]:
        """Waiting messages of these partitions whose next time has come, oldest first."""

    def endWaiting(self, positions: Sequence[tuple[str, int, int]]) -> None:
        """Forget messages that wait no longer, because their outcome is recorded and told."""

    def recordQuarantined(self, items: Sequence[QuarantinedMessage]) -> None:
        """Keep each message byte for byte with its reason; the row of its file is Quarantined if it was Announced or Waiting.

        The row is made where there is none, and takes the message's topic, partition and offset, by which a replay is known.
        A Conflict does not touch an Announced row: that one's own announcement is still on its way. A Quarantined, Waived or
        Dropped row stays as it is.
        The same (topic, partition, offset) twice: the message is kept as it was the first time (its record is Open again if it
        was Retried), and the row, which the repetition may have brought back to Announced, is Quarantined again.
        """

    def recordSizes(self, sizesBytes: Mapping[str, int]) -> None:
        """Fill in sizes that the storage told, for rows (by LFN) that have none."""

    def recordCounts(self, typeName: str, counts: IngestCounts) -> None:
        """Add to the Type's counts of this minute, and note that its receiver had announcements."""

    def findBlock(self, typeName: str, name: str) -> Block | None:
        """The block with its transfers, if it was opened; see :class:`Block` for what is filled in."""

    def findFollowUp(self, typeName: str, parent: str) -> Block | None:
        """The newest follow-up block of a block, without its transfers, also if it was not opened yet."""

    def takeBack(self, typeName: str, name: str, reason: str) -> None:
        """A file was added to a closed block: the block, and each of its sites, goes from Replicated, Validated or Done back to
        Closed, with an event each. What is in another state has work to do anyway and stays as it is."""

    def recordExpected(self, typeName: str, name: str, fileCount: int, position: tuple[str, int, int]) -> Expected:
        """Note how many files a block shall have, unless that was said before; a block that is not known is made, in state Known.

        :returns: what holds now
        """

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

        It selects files by the block's metadata only if :attr:`Block.isWholeDirectory`.

        :returns: the transformation's id
        """

    def forgetQueries(self, transformationIDs: Sequence[int]) -> None:
        """From here on these transfers get no files but those that are attached."""

    def attachFiles(self, transformationIDs: Sequence[int], lfns: Sequence[str]) -> BulkResult:
        """Attach files to each of the transformations; those that are attached already stay as they are.

        :returns: a file is successful if it is attached to all of them
        """


class Storage(Protocol):
    """The source storage element."""

    def look(self, lfns: Sequence[str], withChecksum: Collection[str] = ()) -> dict[str, StoredFile]:
        """What the storage says of each file.

        :param withChecksum: those of the LFNs whose checksum is asked for too
        :raises TemporaryFailure: if it answers for none of them
        """


class Announcer(Protocol):
    """Tells others what became of announcements. Idempotent where the receivers of the messages are: a crash repeats them."""

    def send(self, statuses: Sequence[StatusMessage], deadLetters: Sequence[QuarantinedMessage]) -> None:
        """Send status messages and undecodable messages, and wait until they are durable.

        :raises TemporaryFailure: if that could not be made sure of
        """
