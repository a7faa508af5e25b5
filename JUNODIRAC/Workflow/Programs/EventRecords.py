"""Files of event records, as the stand-ins for reconstruction and merge read and write them. Needs the standard library alone.

A file is a header, records, and an end record; all numbers are little-endian::

    header   14 bytes  "JUNO-EVENTS 1\\n"
    record    4 bytes  run, 0 to 4294967294
              8 bytes  event number
              4 bytes  n, length of the payload, at most 67108864
              n bytes  payload
              4 bytes  CRC-32 (zlib) of all bytes of the record before it
    ...
    end       a record with the run 4294967295, as event number the number of records before it, and no payload

Records come in ascending order of run and event number. Without its end record a file was cut. Files of any size are read and
written in constant memory.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

MAGIC = b"JUNO-EVENTS 1\n"
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
_END_RUN = 0xFFFFFFFF
_HEAD = struct.Struct("<IQI")
_CRC = struct.Struct("<I")
_BUFFER_BYTES = 1 << 20


class EventKey(NamedTuple):
    """What tells events apart, in the order in which they are written."""

    run: int
    event: int


class BadRecord(Exception):
    """A file is not what its format says.

    :param path: the file
    :param number: of the record, from 1; 0 for the header
    :param offsetBytes: where the record begins
    """

    def __init__(self, path: Path, number: int, offsetBytes: int, problem: str) -> None:
        self.path, self.number, self.offsetBytes = path, number, offsetBytes
        place = f"record {number}, which begins at byte {offsetBytes}," if number else "the header"
        super().__init__(f"{path}: {place} {problem}")


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event.

    :param content: the whole record as it is in the file
    """

    run: int
    event: int
    content: bytes

    @property
    def key(self) -> EventKey:
        """Run and event number."""
        return EventKey(self.run, self.event)

    @property
    def payload(self) -> bytes:
        """The data of the event."""
        return self.content[_HEAD.size : -_CRC.size]


def makeRecord(run: int, event: int, payload: bytes) -> EventRecord:
    """A record of these values.

    :raises ValueError: if the format cannot hold one of them
    """
    if not 0 <= run < _END_RUN or not 0 <= event < 1 << 64 or len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"run {run}, event {event} with {len(payload)} bytes does not fit into a record")
    return EventRecord(run, event, _content(run, event, payload))


def _content(run: int, event: int, payload: bytes) -> bytes:
    body = _HEAD.pack(run, event, len(payload)) + payload
    return body + _CRC.pack(zlib.crc32(body))


@dataclass
class FileCount:
    """How many events a file has, the first and the last of them."""

    events: int = 0
    first: EventKey | None = None
    last: EventKey | None = None

    def add(self, key: EventKey) -> None:
        """Count one more."""
        self.events += 1
        self.first = self.first or key
        self.last = key


class RecordReader:
    """The records of a file, one by one; ``count`` has what was read so far.

    :raises OSError: if the file cannot be read
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = FileCount()
        self._offsetBytes = 0

    def __iter__(self) -> Iterator[EventRecord]:
        """:raises BadRecord: for the first record that is cut, damaged or out of order, or if the end record is not the end"""
        with self.path.open("rb", buffering=_BUFFER_BYTES) as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise BadRecord(self.path, 0, 0, "is not that of a file of event records of version 1")
            self._offsetBytes = len(MAGIC)
            while record := self._next(stream):
                if self.count.last and record.key <= self.count.last:
                    raise self._bad(f"is {_name(record.key)} and follows {_name(self.count.last)}")
                self.count.add(record.key)
                self._offsetBytes += len(record.content)
                yield record

    def _next(self, stream: BinaryIO) -> EventRecord | None:
        """The next record; None at the end record."""
        head = stream.read(_HEAD.size)
        if not head:
            raise self._bad("is missing: the file was cut before its end record")
        if len(head) < _HEAD.size:
            raise self._bad("is cut")
        run, event, length = _HEAD.unpack(head)
        if length > MAX_PAYLOAD_BYTES:
            raise self._bad(f"says that it has {length} bytes of payload, more than a record may have")
        rest = stream.read(length + _CRC.size)
        if len(rest) < length + _CRC.size:
            raise self._bad("is cut")
        content = head + rest
        if zlib.crc32(content[: -_CRC.size]) != _CRC.unpack_from(content, len(content) - _CRC.size)[0]:
            raise self._bad("has another CRC than it says")
        if run != _END_RUN:
            return EventRecord(run, event, content)
        if event != self.count.events or length:
            raise self._bad(f"is the end record of {event} records")
        if stream.read(1):
            raise self._bad("is the end record, and more bytes follow")
        return None

    def _bad(self, problem: str) -> BadRecord:
        return BadRecord(self.path, self.count.events + 1, self._offsetBytes, problem)


class RecordWriter:
    """Writes a file of records; without :meth:`close` it has no end record, and no reader takes it for whole.

    :raises OSError: if it cannot be written
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = FileCount()
        self._stream = path.open("wb", buffering=_BUFFER_BYTES)
        self._stream.write(MAGIC)

    def write(self, record: EventRecord) -> None:
        """:raises ValueError: if it does not belong after the one before it"""
        if self.count.last and record.key <= self.count.last:
            raise ValueError(f"{_name(record.key)} cannot follow {_name(self.count.last)} in {self.path}")
        self._stream.write(record.content)
        self.count.add(record.key)

    def close(self) -> None:
        """Write the end record."""
        self._stream.write(_content(_END_RUN, self.count.events, b""))
        self._stream.close()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._stream.close()


def countFile(path: Path) -> FileCount:
    """Read a whole file and check each record.

    :raises BadRecord: see :class:`RecordReader`
    :raises OSError: if the file cannot be read
    """
    reader = RecordReader(path)
    for _ in reader:
        pass
    return reader.count


def _name(key: EventKey) -> str:
    return f"event {key.event} of run {key.run}"
