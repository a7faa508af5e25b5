"""From the bytes of messages to candidates and ends of blocks."""

from __future__ import annotations

from collections.abc import Iterable

from JUNODIRAC.Core.Domain.Announcement import Announcement, BadAnnouncement
from JUNODIRAC.Core.Domain.EndOfBlock import EndOfBlock, decodeMessage
from JUNODIRAC.Core.Domain.MessageContent import shownValue
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.BatchState import BatchState
from JUNODIRAC.Core.Logic.Candidate import Candidate
from JUNODIRAC.Core.Logic.Delivery import BlockEnd, Delivery
from JUNODIRAC.Core.Logic.Ports import Message, QuarantinedMessage

_MAX_ERROR = 2000  # characters of an error's text that are kept


def readMessages(deliveries: Iterable[Delivery], policy: TypePolicy, state: BatchState) -> tuple[list[Candidate], list[BlockEnd]]:
    """The announcements that can be read, of files and of ends of blocks; the others are added to the quarantine of ``state``."""
    candidates: list[Candidate] = []
    ends: list[BlockEnd] = []
    for delivery in deliveries:
        announcement: Announcement | None = None
        try:
            content = decodeMessage(delivery.message.payload)
            if isinstance(content, EndOfBlock):
                _checkEnd(content, policy)
                ends.append(BlockEnd(delivery.message, content))
                continue
            announcement = content
            file = policy.resolve(announcement.fileName, announcement.filePath)
        except BadAnnouncement as error:
            item = _unreadable(delivery.message, policy.typeName, error, announcement)
            state.addQuarantined(item)
            if announcement is None:
                state.deadLetters.append(item)
        else:
            candidates.append(Candidate(delivery.message, announcement, file, delivery.since, delivery.attempts))
    return candidates, ends


def _checkEnd(end: EndOfBlock, policy: TypePolicy) -> None:
    """:raises BadAnnouncement: if it cannot be meant for a block of this Type"""
    if end.typeName not in ("", policy.typeName):
        detail = f"Type is {shownValue(end.typeName)}, and this is the topic of {policy.typeName}"
        raise BadAnnouncement(Reason.BAD_FIELD, detail)
    if not policy.isBlockName(end.block):
        detail = (
            f"EndOfBlock {shownValue(end.block)} is no block of {policy.typeName}, which are called {policy.blockRule.template}"
        )
        raise BadAnnouncement(Reason.BAD_FIELD, detail)


def _unreadable(message: Message, typeName: str, error: BadAnnouncement, announcement: Announcement | None) -> QuarantinedMessage:
    return QuarantinedMessage(
        message=message,
        typeName=typeName,
        reason=error.reason,
        detail=error.detail,
        fileName=error.fileName,
        checksum=announcement.checksum if announcement else "",
        sizeBytes=announcement.fileSize if announcement else None,
    )


def endOf(message: Message) -> EndOfBlock | None:
    """What the message says of the end of a block, if it does."""
    try:
        content = decodeMessage(message.payload)
    except Exception:  # noqa: BLE001 it made the program fail, perhaps here
        return None
    return content if isinstance(content, EndOfBlock) else None


def internalError(message: Message, error: Exception, policy: TypePolicy) -> QuarantinedMessage:
    """The message with the error that it caused. Its file is named if that can be found out."""
    detail = f"{type(error).__name__}: {error}"[:_MAX_ERROR]
    try:
        announcement = decodeMessage(message.payload)
        if isinstance(announcement, EndOfBlock):
            return QuarantinedMessage(message, policy.typeName, Reason.INTERNAL_ERROR, detail, fileName=announcement.title)
        file = policy.resolve(announcement.fileName, announcement.filePath)
    except Exception:  # noqa: BLE001 this may be the very error, and the message must be kept all the same
        return QuarantinedMessage(message, policy.typeName, Reason.INTERNAL_ERROR, detail)
    return Candidate(message, announcement, file).quarantined(Reason.INTERNAL_ERROR, detail)
