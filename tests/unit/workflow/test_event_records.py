"""Event records: what was written is read, and nothing that was cut, damaged or put out of order is taken for whole."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Workflow.Programs.EventRecords import (
    MAGIC,
    BadRecord,
    EventKey,
    RecordReader,
    RecordWriter,
    countFile,
    makeRecord,
)

pytestmark = pytest.mark.unit

EVENTS = [(7, 1, b"one"), (7, 3, b""), (7, 2**63, b"x" * 1000), (2**32 - 2, 0, b"\0\xff")]


def written(path: Path, events=EVENTS) -> Path:
    with RecordWriter(path) as writer:
        for run, event, payload in events:
            writer.write(makeRecord(run, event, payload))
    return path


def test_what_was_written_is_read(tmp_path):
    path = written(tmp_path / "file")
    reader = RecordReader(path)
    assert [(record.run, record.event, record.payload) for record in reader] == EVENTS
    assert (reader.count.events, reader.count.first, reader.count.last) == (4, EventKey(7, 1), EventKey(2**32 - 2, 0))


def test_a_file_without_events_is_a_whole_file(tmp_path):
    count = countFile(written(tmp_path / "file", []))
    assert (count.events, count.first, count.last) == (0, None, None)


def test_the_format_is_the_documented_one(tmp_path):
    content = written(tmp_path / "file", [(5, 6, b"abc")]).read_bytes()
    record = struct.pack("<IQI", 5, 6, 3) + b"abc"
    end = struct.pack("<IQI", 2**32 - 1, 1, 0)
    parts = [record, struct.pack("<I", zlib.crc32(record)), end, struct.pack("<I", zlib.crc32(end))]
    assert content == b"JUNO-EVENTS 1\n" + b"".join(parts)


def test_a_file_that_was_cut_anywhere_is_not_whole(tmp_path):
    content = written(tmp_path / "file").read_bytes()
    for length in range(len(content)):
        cut = tmp_path / "cut"
        cut.write_bytes(content[:length])
        with pytest.raises(BadRecord):
            countFile(cut)


@given(st.data())
def test_a_file_with_any_bit_changed_is_not_whole(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "flipped"
    content = bytearray(written(path).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    with pytest.raises(BadRecord):
        countFile(path)


def test_a_bad_record_is_named_by_its_number_and_place(tmp_path):
    path = written(tmp_path / "file", [(1, 1, b"first"), (1, 2, b"second")])
    content = bytearray(path.read_bytes())
    second = len(MAGIC) + 16 + 5 + 4
    content[second + 16] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadRecord) as caught:
        countFile(path)
    assert (caught.value.number, caught.value.offsetBytes) == (2, second)
    assert str(caught.value) == f"{path}: record 2, which begins at byte {second}, has another CRC than it says"


@pytest.mark.parametrize("second", [(7, 1), (7, 0), (6, 9)])
def test_events_are_neither_read_nor_written_out_of_order(tmp_path, second):
    writer = RecordWriter(tmp_path / "file")
    writer.write(makeRecord(7, 1, b""))
    with pytest.raises(ValueError, match="cannot follow event 1 of run 7"):
        writer.write(makeRecord(*second, b""))
    path = tmp_path / "other"
    end = written(tmp_path / "empty", []).read_bytes()[len(MAGIC) :]
    path.write_bytes(MAGIC + makeRecord(7, 1, b"").content + makeRecord(*second, b"").content + end)
    with pytest.raises(BadRecord, match="follows event 1 of run 7"):
        countFile(path)


def test_bytes_behind_the_end_and_a_wrong_number_at_the_end_are_found(tmp_path):
    path = written(tmp_path / "file")
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    with pytest.raises(BadRecord, match="more bytes follow"):
        countFile(path)
    path.write_bytes(MAGIC + content[-20:])
    with pytest.raises(BadRecord, match="is the end record of 4 records"):
        countFile(path)


def test_a_file_that_is_given_up_is_not_whole(tmp_path):
    with pytest.raises(ValueError, match="cannot follow"):
        written(tmp_path / "file", [(1, 1, b""), (1, 1, b"")])
    with pytest.raises(BadRecord, match="cut before its end record"):
        countFile(tmp_path / "file")


@pytest.mark.parametrize(("run", "event"), [(-1, 0), (2**32 - 1, 0), (0, -1), (0, 2**64)])
def test_numbers_that_the_format_cannot_hold_are_refused(run, event):
    with pytest.raises(ValueError, match="does not fit"):
        makeRecord(run, event, b"")
