"""An announcement that could be read, on its way through a batch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from JUNODIRAC.Core.Domain.Announcement import Announcement
from JUNODIRAC.Core.Domain.FileState import OPEN_TO_ANNOUNCEMENTS, FileState
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import CatalogueFile, LedgerEntry, Message, QuarantinedMessage, WaitingMessage


@dataclass(slots=True, eq=False)
class Candidate:
    """Message, announcement and file, with what was found out since.

    :param since: when its file was first found missing on the source storage, if it waited
    :param attempts: how many times the storage was asked before
    :param sizeBytes: announced, else from the ledger, else from the storage
    :param known: the file's row in the ledger, if it has one
    :param followUp: the follow-up block that gets the file, or has it, if it is late
    """

    message: Message
    announcement: Announcement
    file: RawFile
    since: datetime | None = None
    attempts: int = 0
    sizeBytes: int | None = None
    known: LedgerEntry | None = None
    followUp: str = ""
    #: the same for all that DIRAC's tables take for one file: they ignore case in its name
    key: str = field(init=False)

    def __post_init__(self) -> None:
        self.key = f"{self.file.directory}/{self.file.fileName.lower()}"

    @property
    def lfn(self) -> str:
        """Logical name of the file."""
        return self.file.lfn

    @property
    def fileInBlock(self) -> RawFile:
        """The file with the block that it is in, which may be a follow-up block."""
        return replace(self.file, block=self.followUp) if self.followUp else self.file

    def meet(self, entry: LedgerEntry | None) -> None:
        """Take over what the ledger knows of the file."""
        self.known = entry
        # a file that a crash left behind is finished where it was begun; one that is announced again may go elsewhere
        self.followUp = entry.followUp if entry is not None and not self.isNew else ""
        self.sizeBytes = self.announcement.fileSize
        if self.sizeBytes is None and entry is not None and entry.state not in OPEN_TO_ANNOUNCEMENTS:
            self.sizeBytes = entry.sizeBytes

    @property
    def isNew(self) -> bool:
        """Whether the ledger needs a row for it, or its row taken up again."""
        return self.known is None or self.known.state in OPEN_TO_ANNOUNCEMENTS

    @property
    def isUnfinished(self) -> bool:
        """Whether a crash left the file behind between its row and its registration."""
        return self.known is not None and self.known.state == FileState.ANNOUNCED

    @property
    def isLeftOver(self) -> bool:
        """Whether a crash left the file behind after all its checks: the ledger has its row and its size."""
        return self.isUnfinished and self.sizeBytes is not None

    @property
    def isOwnRow(self) -> bool:
        """Whether the ledger's row stands for this very message."""
        return self.known is not None and self.known.position == self.message.position

    def saysTheSameAs(self, other: Candidate) -> bool:
        """Whether the catalogue and the storage would have to answer alike for both."""
        mine, others = self.announcement, other.announcement
        return (self.lfn, mine.checksum, mine.fileSize) == (other.lfn, others.checksum, others.fileSize)

    def conflictWith(self, lfn: str, checksum: str, sizeBytes: int | None) -> str:
        """How the announcement contradicts what is known of its file; empty if it does not.

        A size that one side does not say is no contradiction: the checksum decides then.
        """
        if lfn != self.lfn:
            return f"{lfn} is known, and {self.lfn} was announced: DIRAC's tables ignore case and would take both for one file"
        announced = self.announcement
        sameSize = None in (announced.fileSize, sizeBytes) or announced.fileSize == sizeBytes
        if announced.checksum == checksum and sameSize:
            return ""
        return (
            f"{self.lfn} is known with adler32 {checksum} and {_bytes(sizeBytes)}, "
            f"and was announced with {announced.checksum} and {_bytes(announced.fileSize)}"
        )

    def announcedEntry(self) -> LedgerEntry:
        """The row that the ledger shall have for it."""
        announcement, message = self.announcement, self.message
        extra = dict(announcement.extra)
        # fields without a column of their own, in the form that JSON takes
        if announcement.runNumber is not None:
            extra["RunNumber"] = announcement.runNumber
        if announcement.time is not None:
            extra["Time"] = announcement.time.isoformat()
        return LedgerEntry(
            file=self.file,
            state=FileState.ANNOUNCED,
            checksum=announcement.checksum,
            sizeBytes=self.sizeBytes,
            eventCount=announcement.eventCount,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            extra=extra,
            followUp=self.followUp,
        )

    def catalogueFile(self) -> CatalogueFile:
        """What the catalogue is told of it."""
        if self.sizeBytes is None:
            raise ValueError(f"the size of {self.lfn} is not known: it cannot be registered")
        return CatalogueFile(self.lfn, self.sizeBytes, self.announcement.checksum, self.file.guid)

    def quarantined(self, reason: Reason, detail: str) -> QuarantinedMessage:
        """The message as it goes into quarantine."""
        return QuarantinedMessage(
            message=self.message,
            typeName=self.file.typeName,
            reason=reason,
            detail=detail,
            file=self.file,
            fileName=self.announcement.fileName,
            checksum=self.announcement.checksum,
            sizeBytes=self.announcement.fileSize,
        )

    def waiting(self, reason: Reason, detail: str, since: datetime, nextTime: datetime) -> WaitingMessage:
        """The message as it waits for its file."""
        return WaitingMessage(
            message=self.message,
            typeName=self.file.typeName,
            file=self.file,
            reason=reason,
            detail=detail,
            checksum=self.announcement.checksum,
            sizeBytes=self.announcement.fileSize,
            since=since,
            nextTime=nextTime,
            attempts=self.attempts + 1,
        )


def _bytes(sizeBytes: int | None) -> str:
    return "no size" if sizeBytes is None else f"{sizeBytes} bytes"
