"""The other message of a Type's topic: a block has all its files, so many of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from JUNODIRAC.Core.Domain.Announcement import Announcement, announcementOf
from JUNODIRAC.Core.Domain.MessageContent import BadAnnouncement, integerOf, readObject, shownValue, textOf
from JUNODIRAC.Core.Domain.Reason import Reason

#: far above what a block can have, and below what the ledger's column holds
MAX_FILE_COUNT = 1_000_000_000

_FIELD = "EndOfBlock"
_OF_FILES = ("FileName", "FilePath", "Checksum")


@dataclass(frozen=True)
class EndOfBlock:
    """A decoded end-of-block announcement.

    :param block: name of the block
    :param fileCount: how many files it has, announced before this message or after it
    :param typeName: the Type as the producer names it; empty if it does not
    """

    block: str
    fileCount: int
    typeName: str = ""

    @property
    def title(self) -> str:
        """What stands in a list of announcements where others have the name of their file."""
        return f"end of block {self.block}"


def decodeMessage(payload: bytes) -> Announcement | EndOfBlock:
    """Read one message of a Type's topic.

    :raises BadAnnouncement: and nothing else, whatever the bytes are
    """
    content = readObject(payload)
    return endOfBlockOf(content) if _FIELD in content else announcementOf(content)


def endOfBlockOf(content: Mapping[str, object]) -> EndOfBlock:
    """The end-of-block announcement that a JSON object is.

    :raises BadAnnouncement: BadField
    """
    for field in _OF_FILES:
        if field in content:
            raise BadAnnouncement(Reason.BAD_FIELD, f"{_FIELD} and {field} in one message: it is about a block or about a file")
    count = integerOf(content, "FileCount")
    if count is None:
        raise BadAnnouncement(Reason.BAD_FIELD, "FileCount is missing")
    if count > MAX_FILE_COUNT:
        raise BadAnnouncement(Reason.BAD_FIELD, f"FileCount must be a whole number from 0 to {MAX_FILE_COUNT}, not {count}")
    typeName = content.get("Type")
    if typeName is not None and not isinstance(typeName, str):
        raise BadAnnouncement(Reason.BAD_FIELD, f"Type must be a text, not {shownValue(typeName)}")
    return EndOfBlock(textOf(content, _FIELD), count, typeName or "")
