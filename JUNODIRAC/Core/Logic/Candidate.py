"""An announcement that could be read, on its way through a batch."""

from __future__ import annotations

from dataclasses import dataclass

from JUNODIRAC.Core.Domain.Announcement import Announcement
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import CatalogueFile, LedgerEntry, Message, QuarantinedMessage


@dataclass(frozen=True)
class Candidate:
    """Message, announcement and file, with what was found out since.

    :param sizeBytes: announced, else from the ledger, else from the storage
    :param known: the file's row in the ledger, if it has one
    """

    message: Message
    announcement: Announcement
    file: RawFile
    sizeBytes: int | None = None
    known: LedgerEntry | None = None

    @property
    def lfn(self) -> str:
        """Logical name of the file."""
        return self.file.lfn

    @property
    def isNew(self) -> bool:
        """Whether the ledger needs a row for it, or its quarantined row taken up again."""
        return self.known is None or self.known.state == FileState.QUARANTINED

    @property
    def isReplayOfQuarantined(self) -> bool:
        """Whether this very message is the one that was quarantined."""
        entry, message = self.known, self.message
        return (
            entry is not None
            and entry.state == FileState.QUARANTINED
            and (entry.topic, entry.partition, entry.offset) == (message.topic, message.partition, message.offset)
        )

    def saysTheSameAs(self, other: Candidate) -> bool:
        """Whether the catalogue and the storage would have to answer alike for both."""
        mine, others = self.announcement, other.announcement
        return (self.lfn, mine.checksum, mine.fileSize) == (other.lfn, others.checksum, others.fileSize)

    def conflictWith(self, checksum: str, sizeBytes: int | None) -> str:
        """How the announcement contradicts what is known of its file; empty if it does not.

        A size that one side does not say is no contradiction: the checksum decides then.
        """
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
        extra = dict(self.announcement.extra)
        # fields without a column of their own, in the form that JSON takes
        if self.announcement.runNumber is not None:
            extra["RunNumber"] = self.announcement.runNumber
        if self.announcement.time is not None:
            extra["Time"] = self.announcement.time.isoformat()
        return LedgerEntry(
            file=self.file,
            state=FileState.ANNOUNCED,
            checksum=self.announcement.checksum,
            sizeBytes=self.sizeBytes,
            eventCount=self.announcement.eventCount,
            topic=self.message.topic,
            partition=self.message.partition,
            offset=self.message.offset,
            extra=extra,
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


def _bytes(sizeBytes: int | None) -> str:
    return "no size" if sizeBytes is None else f"{sizeBytes} bytes"
