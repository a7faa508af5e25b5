"""One announcement: the JSON message on Kafka that says a file arrived.

``etc/announcement.schema.json`` says the same as this module for machines; the decoder also refuses what a schema cannot
see: a name given twice in one object, NaN and Infinity, broken Unicode, days that no calendar has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from JUNODIRAC.Core.Domain.Reason import Reason

# 18 digits: the most that fits a signed 64-bit column for certain
MAX_INTEGER = 10**18 - 1
# the year 3000; a larger number is a time in milliseconds
MAX_EPOCH_SECONDS = 32503679999

_CHECKSUM = re.compile(r"(?:adler32:)?([0-9a-f]{8})", re.IGNORECASE | re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,18}")
_ISO_TIME = re.compile(
    r"[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?"
)
_KNOWN_FIELDS = frozenset({"FileName", "FilePath", "Checksum", "FileSize", "EventCount", "RunNumber", "Time"})


class BadAnnouncement(Exception):
    """An announcement that cannot be registered as it is.

    :param reason: the code, with sentence and remedy
    :param detail: what is wrong with this one, for a person
    :param fileName: the file it speaks of, where that could be read
    """

    def __init__(self, reason: Reason, detail: str, fileName: str = "") -> None:
        self.reason, self.detail, self.fileName = reason, detail, fileName
        super().__init__(f"{fileName or 'announcement'}: {detail}")


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
    content = _readObject(payload)
    name = content.get("FileName")
    try:
        return Announcement(
            fileName=_fileName(content),
            filePath=_text(content, "FilePath"),
            checksum=_checksum(content),
            fileSize=_integer(content, "FileSize"),
            eventCount=_integer(content, "EventCount"),
            runNumber=_integer(content, "RunNumber"),
            time=_time(content),
            extra={key: value for key, value in content.items() if key not in _KNOWN_FIELDS},
        )
    except BadAnnouncement as error:
        raise BadAnnouncement(error.reason, error.detail, name if isinstance(name, str) else "") from None


def _readObject(payload: bytes) -> dict[str, object]:
    if not payload.strip():
        raise BadAnnouncement(Reason.UNDECODABLE, "the message is empty")
    try:
        text = payload.decode("utf-8")
        if text.startswith("\ufeff"):
            raise BadAnnouncement(Reason.UNDECODABLE, "not JSON: it begins with a byte order mark")
        content = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:
            # a lone half of a surrogate pair is a str that no database and no log can write
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise BadAnnouncement(Reason.UNDECODABLE, f"byte {error.start + 1} is not UTF-8") from None
    except UnicodeEncodeError:
        raise BadAnnouncement(Reason.UNDECODABLE, "a \\ud... escape without its other half is not Unicode") from None
    except json.JSONDecodeError as error:
        raise BadAnnouncement(Reason.UNDECODABLE, f"not JSON: {error.msg} at character {error.pos + 1} of {len(text)}") from None
    except RecursionError:
        raise BadAnnouncement(Reason.UNDECODABLE, "the JSON is nested too deeply") from None
    except ValueError:
        # int() refuses numbers of thousands of digits
        raise BadAnnouncement(Reason.UNDECODABLE, "a number in the JSON is too long") from None
    if not isinstance(content, dict):
        raise BadAnnouncement(Reason.UNDECODABLE, f"the JSON is not an object but {_show(content)}")
    return content


def _uniqueKeys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadAnnouncement(Reason.BAD_FIELD, f"{_show(twice)} stands twice in one object")
    return result


def _noConstant(name: str) -> object:
    raise BadAnnouncement(Reason.BAD_FIELD, f"{name} is not a number in JSON")


def _finiteFloat(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise BadAnnouncement(Reason.BAD_FIELD, f"the number {digits[:40]} is too large")
    return value


# made once: it costs as much as reading an announcement
_DECODER = json.JSONDecoder(object_pairs_hook=_uniqueKeys, parse_constant=_noConstant, parse_float=_finiteFloat)


def _show(value: object) -> str:
    shown = (
        ascii(value)
        if isinstance(value, str | int | float | None)
        else f"a {'list' if isinstance(value, list) else 'JSON object'}"
    )
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _text(content: Mapping[str, object], name: str) -> str:
    if name not in content:
        raise BadAnnouncement(Reason.BAD_FIELD, f"{name} is missing")
    value = content[name]
    if not isinstance(value, str) or not value:
        raise BadAnnouncement(Reason.BAD_FIELD, f"{name} must be a text that is not empty, not {_show(value)}")
    return value


def _fileName(content: Mapping[str, object]) -> str:
    value = _text(content, "FileName")
    if "/" in value:
        raise BadAnnouncement(Reason.BAD_FIELD, f"FileName is the name alone, without a directory: {_show(value)}")
    return value


def _checksum(content: Mapping[str, object]) -> str:
    if "Checksum" not in content:
        raise BadAnnouncement(Reason.BAD_CHECKSUM, "Checksum is missing")
    value = content["Checksum"]
    match = _CHECKSUM.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadAnnouncement(Reason.BAD_CHECKSUM, f"Checksum must be the 8 hex digits of an adler32, not {_show(value)}")
    return match[1].lower()


def _integer(content: Mapping[str, object], name: str) -> int | None:
    """Numbers from 0, also as a string of digits; 15.0 is 15 because JSON does not tell them apart. null is not given."""
    value = content.get(name)
    if value is None:
        return None
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INTEGER:
        return value
    raise BadAnnouncement(Reason.BAD_FIELD, f"{name} must be a whole number from 0 to {MAX_INTEGER}, not {_show(value)}")


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
        raise BadAnnouncement(Reason.BAD_FIELD, f"Time {_show(value)}: {error}") from None
    raise BadAnnouncement(Reason.BAD_FIELD, f"Time must be as 2023-03-02T10:00:00Z, or seconds since 1970, not {_show(value)}")
