"""One announcement: the JSON message on Kafka that says a file arrived.

``etc/announcement.schema.json`` says the same as this module for machines; the decoder also refuses what a schema cannot
see: a name given twice in one object, NaN and Infinity, broken Unicode, days that no calendar has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from JUNODIRAC.Core.Domain.MessageContent import MAX_INTEGER, BadAnnouncement, integerOf, readObject, shownValue, textOf
from JUNODIRAC.Core.Domain.Reason import Reason

__all__ = ["MAX_EPOCH_SECONDS", "MAX_INTEGER", "Announcement", "BadAnnouncement", "announcementOf", "decodeAnnouncement"]

# the year 3000; a larger number is a time in milliseconds
MAX_EPOCH_SECONDS = 32503679999

_CHECKSUM = re.compile(r"(?:adler32:)?([0-9a-f]{8})", re.IGNORECASE | re.ASCII)
_ISO_TIME = re.compile(
    r"[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?"
)
_KNOWN_FIELDS = frozenset({"FileName", "FilePath", "Checksum", "FileSize", "EventCount", "RunNumber", "Time"})


@dataclass(frozen=True)
class Announcement:
    """A decoded announcement.

    :param filePath: directory of the file, or the file, as the producer sees it
    :param checksum: adler32, 8 lower-case hex digits
    :param time: aware; what was given without a zone is UTC
    :param extra: the fields that we do not know, as they came
    """

    fileName: str
    filePath: str
    checksum: str
    fileSize: int | None = None
    eventCount: int | None = None
    runNumber: int | None = None
    time: datetime | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


def decodeAnnouncement(payload: bytes) -> Announcement:
    """Read one message.

    :raises BadAnnouncement: and nothing else, whatever the bytes are
    """
    return announcementOf(readObject(payload))


def announcementOf(content: Mapping[str, object]) -> Announcement:
    """The announcement of a file that a JSON object is.

    :raises BadAnnouncement: as :func:`decodeAnnouncement`
    """
    name = content.get("FileName")
    try:
        return Announcement(
            fileName=_fileName(content),
            filePath=textOf(content, "FilePath"),
            checksum=_checksum(content),
            fileSize=integerOf(content, "FileSize"),
            eventCount=integerOf(content, "EventCount"),
            runNumber=integerOf(content, "RunNumber"),
            time=_time(content),
            extra={key: value for key, value in content.items() if key not in _KNOWN_FIELDS},
        )
    except BadAnnouncement as error:
        raise BadAnnouncement(error.reason, error.detail, name if isinstance(name, str) else "") from None


def _fileName(content: Mapping[str, object]) -> str:
    value = textOf(content, "FileName")
    if "/" in value:
        raise BadAnnouncement(Reason.BAD_FIELD, f"FileName is the name alone, without a directory: {shownValue(value)}")
    return value


def _checksum(content: Mapping[str, object]) -> str:
    if "Checksum" not in content:
        raise BadAnnouncement(Reason.BAD_CHECKSUM, "Checksum is missing")
    value = content["Checksum"]
    match = _CHECKSUM.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadAnnouncement(Reason.BAD_CHECKSUM, f"Checksum must be the 8 hex digits of an adler32, not {shownValue(value)}")
    return match[1].lower()


def _time(content: Mapping[str, object]) -> datetime | None:
    value = content.get("Time")
    if value is None:
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_EPOCH_SECONDS:
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str) and _ISO_TIME.fullmatch(value):
            time = datetime.fromisoformat(value)
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except ValueError as error:  # the 30th of February
        raise BadAnnouncement(Reason.BAD_FIELD, f"Time {shownValue(value)}: {error}") from None
    raise BadAnnouncement(
        Reason.BAD_FIELD, f"Time must be as 2023-03-02T10:00:00Z, or seconds since 1970, not {shownValue(value)}"
    )
