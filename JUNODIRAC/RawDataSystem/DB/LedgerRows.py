"""How the ledger's records become SQL values and back; no database here."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import LedgerEntry, QuarantinedMessage, WaitingMessage

T = TypeVar("T")
M = TypeVar("M", QuarantinedMessage, WaitingMessage)
Position = tuple[str, int, int]

#: rows in one statement: long enough that the round trip does not count, short enough for any max_allowed_packet
ROWS_PER_STATEMENT = 1000
#: payload bytes in one statement; the server's default limit of a statement is 16 MiB
PAYLOAD_BYTES_PER_STATEMENT = 4 * 1024 * 1024

MAX_NAME_CHARS = 255
MAX_BLOCK_CHARS = 128
#: what the Detail of a bad replica begins with as long as nobody has asked for it
IN_DOUBT = "in doubt: "
_MAX_TEXT_CHARS = 16_000
_MAX_NUMBER = 2**63 - 1

FIELD_COLUMNS = ("RunNumber", "StreamType", "StreamName", "FileTag", "FileTime", "FileSequence")
_REASONS = {str(reason): reason for reason in Reason}
_NUMBER_FIELDS = frozenset({"RunNumber", "FileSequence"})

#: columns of an announcement, in the order of :func:`announcedRow`
ANNOUNCED_COLUMNS = (
    "DirectoryID", "FileName", "State", "SizeBytes", "Checksum", "EventCount", *FIELD_COLUMNS, "Extra",
    "Topic", "KafkaPartition", "KafkaOffset", "AnnouncedTime",
)  # fmt: skip

#: columns that :func:`entryOf` reads
ENTRY_COLUMNS = (
    "State", "Checksum", "SizeBytes", "EventCount", "Topic", "KafkaPartition", "KafkaOffset", "Extra",
    "AnnouncedTime", "RegisteredTime", "QuarantinedTime",
)  # fmt: skip

#: columns of a file without a good announcement, in the order of :func:`heldFileRow`; the time of its state comes last
HELD_COLUMNS = tuple(column for column in ANNOUNCED_COLUMNS if column not in ("EventCount", "Extra"))

#: columns of a refused announcement, in the order of :func:`quarantineRow`
QUARANTINE_COLUMNS = (
    "Topic", "KafkaPartition", "KafkaOffset", "Type", "FileID", "FileName", "Reason", "Detail", "Payload", "MessageKey",
    "Checksum", "SizeBytes", "Time",
)  # fmt: skip

#: columns of a waiting announcement, in the order of :func:`waitingRow`
WAITING_COLUMNS = (
    "Topic", "KafkaPartition", "KafkaOffset", "Type", "FileID", "Reason", "Detail", "Payload", "MessageKey", "Since",
    "NextTime", "Attempts",
)  # fmt: skip


def chunks(items: Sequence[T], size: int = ROWS_PER_STATEMENT) -> Iterator[Sequence[T]]:
    """The items in runs of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def payloadChunks(items: Sequence[M]) -> Iterator[list[M]]:
    """Runs of messages that fit into one statement each."""
    chunk: list[M] = []
    sizeBytes = 0
    for item in items:
        itemBytes = len(item.message.payload) + len(item.message.key or b"")
        if chunk and (len(chunk) == ROWS_PER_STATEMENT or sizeBytes + itemBytes > PAYLOAD_BYTES_PER_STATEMENT):
            yield chunk
            chunk, sizeBytes = [], 0
        chunk.append(item)
        sizeBytes += itemBytes
    if chunk:
        yield chunk


def placeholders(count: int) -> str:
    """``%s, %s, ...``"""
    return ", ".join(["%s"] * count)


def text(value: str, maxChars: int = _MAX_TEXT_CHARS) -> str:
    """A text that the database takes: cut, and lone surrogates (which JSON can carry) written out."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")[:maxChars]


def number(value: object) -> int | None:
    """A count or size if it is one that the column holds."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
    return value if isinstance(value, int) and 0 <= value <= _MAX_NUMBER else None


def utc(value: datetime | None) -> datetime | None:
    """The database's naive UTC time as an aware one, and the other way round an aware time in UTC."""
    return None if value is None else aware(value)


def aware(value: datetime) -> datetime:
    """:func:`utc` for a time that is there."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def storable(file: RawFile) -> bool:
    """Whether the columns hold the names of this file. Not with blanks at the end, which the server ignores in comparisons."""
    name = file.fileName
    return (
        0 < len(name) < MAX_NAME_CHARS - len(file.directory)
        and name.isascii()
        and name[-1] != " "
        and _storableBlock(file.directory, file.block)
    )


@lru_cache(maxsize=1000)
def _storableBlock(directory: str, block: str) -> bool:
    """The part of :func:`storable` that many files share."""
    return 0 < len(block) <= MAX_BLOCK_CHARS and all(name[-1:] != " " and name == text(name) for name in (directory, block))


def checkStorable(files: Iterable[RawFile]) -> None:
    """:raises ValueError: for a file whose names the columns do not hold; the rules of its Type should have refused it"""
    for file in files:
        if not storable(file):
            raise ValueError(f"the ledger cannot hold the names of {file.lfn!r} in block {file.block!r}")


def splitLFN(lfn: str) -> tuple[str, str]:
    """Directory and file name."""
    directory, _, fileName = lfn.rpartition("/")
    return directory, fileName


def groupNames(lfns: Iterable[str], directoryIDs: Mapping[str, int]) -> list[tuple[str, int, list[str]]]:
    """Directory, its id and the distinct names of these files in it, for those directories that have an id.

    In the order of the key, so that all writers lock rows in the same order.
    """
    names: dict[str, list[str]] = defaultdict(list)
    for lfn in sorted(set(lfns)):
        directory, name = splitLFN(lfn)
        names[directory].append(name)
    known = [directory for directory in names if directory in directoryIDs]
    return [(directory, directoryIDs[directory], names[directory]) for directory in sorted(known, key=directoryIDs.__getitem__)]


def offsetsByPartition(positions: Iterable[Position]) -> dict[tuple[str, int], list[int]]:
    """Sorted offsets by topic and partition."""
    offsets: dict[tuple[str, int], list[int]] = defaultdict(list)
    for topic, partition, offset in sorted(set(positions)):
        offsets[topic, partition].append(offset)
    return offsets


def positionText(position: Position) -> str:
    """A message in one column: topic/partition/offset."""
    return "/".join(map(str, position))


def positionOf(written: str) -> Position | None:
    """The message that :func:`positionText` wrote; None for anything else, for example a user's name."""
    topic, *numbers = written.rsplit("/", 2)
    return (topic, int(numbers[0]), int(numbers[1])) if len(numbers) == 2 and all(map(str.isdigit, numbers)) else None


def announcedRow(directoryID: int, entry: LedgerEntry, now: datetime) -> tuple[Any, ...]:
    """Values of ANNOUNCED_COLUMNS for a file in state Announced."""
    extra = json.dumps(dict(entry.extra), ensure_ascii=True) if entry.extra else None
    return (
        directoryID,
        entry.file.fileName,
        FileState.ANNOUNCED.value,
        number(entry.sizeBytes),
        text(entry.checksum, 64),
        number(entry.eventCount),
        *_fieldValues(entry.file.fields),
        extra,
        entry.topic,
        entry.partition,
        entry.offset,
        utc(entry.announcedTime) or now,
    )


def heldFileRow(
    directoryID: int, item: QuarantinedMessage | WaitingMessage, file: RawFile, state: FileState, now: datetime
) -> tuple[Any, ...]:
    """Values of HELD_COLUMNS for a file that is Quarantined or Waiting, and the time of that."""
    return (
        directoryID,
        file.fileName,
        state.value,
        number(item.sizeBytes),
        text(item.checksum, 64),
        *_fieldValues(file.fields),
        *item.message.position,
        now,
        now,
    )


def quarantineRow(item: QuarantinedMessage, fileID: int | None, now: datetime) -> tuple[Any, ...]:
    """Values of QUARANTINE_COLUMNS."""
    return (
        *item.message.position,
        text(item.typeName, 64),
        fileID,
        text(item.file.fileName if item.file else item.fileName, MAX_NAME_CHARS),
        item.reason.value,
        text(item.detail),
        item.message.payload,
        item.message.key,
        text(item.checksum, 64),
        number(item.sizeBytes),
        now,
    )


def waitingRow(item: WaitingMessage, fileID: int) -> tuple[Any, ...]:
    """Values of WAITING_COLUMNS."""
    return (
        *item.message.position,
        item.typeName,
        fileID,
        item.reason.value,
        text(item.detail),
        item.message.payload,
        item.message.key,
        utc(item.since),
        utc(item.nextTime),
        item.attempts,
    )


def reasonOf(code: str, detail: str) -> tuple[Reason, str]:
    """A reason as it was kept, with its detail; one that another version wrote goes into the detail."""
    known = _REASONS.get(code)
    return (known, detail) if known is not None else (Reason.INTERNAL_ERROR, f"{code}: {detail}")


def fieldsOf(values: Sequence[Any]) -> dict[str, str]:
    """The parsed parts of a name from the values of FIELD_COLUMNS."""
    return {column: str(value) for column, value in zip(FIELD_COLUMNS, values, strict=True) if value is not None}


def entryOf(file: RawFile, row: Sequence[Any], followUp: str = "") -> LedgerEntry:
    """The entry of a file from the values of ENTRY_COLUMNS, and the follow-up block that has it."""
    state, checksum, sizeBytes, eventCount, topic, partition, offset, extra, announced, registered, quarantined = row
    return LedgerEntry(
        file=file,
        state=FileState(state),
        checksum=checksum,
        sizeBytes=sizeBytes,
        eventCount=eventCount,
        topic=topic,
        partition=partition,
        offset=offset,
        extra=json.loads(extra) if extra else {},
        followUp=followUp,
        announcedTime=utc(announced),
        registeredTime=utc(registered),
        quarantinedTime=utc(quarantined),
    )


def _fieldValues(fields: Mapping[str, str]) -> list[str | int | None]:
    values: list[str | int | None] = []
    for column in FIELD_COLUMNS:
        value = fields.get(column)
        if value is None:
            values.append(None)
        elif column in _NUMBER_FIELDS:
            values.append(number(value))
        else:
            values.append(text(value, 32 if column == "FileTime" else 128))
    return values
