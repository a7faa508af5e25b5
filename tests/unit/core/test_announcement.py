"""Any bytes end as an announcement or as a reason that a person understands; the schema says the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.Announcement import MAX_EPOCH_SECONDS, MAX_INTEGER, Announcement, BadAnnouncement, decodeAnnouncement
from JUNODIRAC.Core.Domain.EndOfBlock import MAX_FILE_COUNT, EndOfBlock, decodeMessage
from JUNODIRAC.Core.Domain.Reason import Reason

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data" / "announcements"
GOOD = sorted(path for path in DATA.glob("good/*.json") if path.name != "end-of-block.json")
BAD = sorted(DATA.glob("bad/*.json"))
SCHEMA = json.loads((ROOT / "etc" / "announcement.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

MINIMAL = {"FileName": "Daq.1.dat", "FilePath": "/eos/juno/raw/2023/0302", "Checksum": "0a1b2c3d"}
# what a schema cannot see, because a parser has settled or refused it before
BEYOND_THE_SCHEMA = {"BadField.duplicate-key.json", "BadField.no-such-day.json", "Undecodable.lone-surrogate.json"}


def decode(**fields: object) -> Announcement:
    return decodeAnnouncement(json.dumps({**MINIMAL, **fields}).encode())


def is_taken(payload: bytes) -> bool:
    try:
        decodeMessage(payload)
    except BadAnnouncement:
        return False
    return True


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_good_announcements_are_read_and_fit_the_schema(path: Path) -> None:
    announcement = decodeAnnouncement(path.read_bytes())
    assert announcement.checksum == "0a1b2c3d"
    assert announcement.fileName == "Daq.1207.Physics.global.ds-1.20230302101530.42.dat"
    VALIDATOR.validate(json.loads(path.read_bytes()))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_bad_announcements_are_refused_with_the_reason_that_their_name_says(path: Path) -> None:
    with pytest.raises(BadAnnouncement) as caught:
        decodeMessage(path.read_bytes())
    assert caught.value.reason.value == path.name.split(".")[0]
    assert caught.value.detail


@pytest.mark.parametrize("path", [path for path in BAD if path.name not in BEYOND_THE_SCHEMA], ids=lambda path: path.name)
def test_bad_announcements_are_no_json_or_do_not_fit_the_schema(path: Path) -> None:
    try:
        content = json.loads(path.read_bytes().decode("utf-8"))
    except ValueError:
        return
    assert not VALIDATOR.is_valid(content) or content != content or "NaN" in path.read_text()


def test_there_are_fixtures() -> None:
    assert len(GOOD) >= 5
    assert len(BAD) >= 20


@settings(max_examples=500)
@given(st.binary(max_size=300))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"9" * 5000)
@example(b'{"FileSize": ' + b"9" * 5000 + b"}")
@example(b"\xef\xbb\xbf{}")
@example(b"\x00")
def test_any_bytes_are_an_announcement_or_a_bad_one(payload: bytes) -> None:
    try:
        assert isinstance(decodeMessage(payload), Announcement | EndOfBlock)
    except BadAnnouncement as error:
        assert error.detail
        (error.detail + error.fileName).encode("utf-8")


@settings(max_examples=300)
@given(st.sampled_from(GOOD + BAD), st.data())
def test_mutated_announcements_are_an_announcement_or_a_bad_one(path: Path, data: st.DataObject) -> None:
    payload = bytearray(path.read_bytes())
    assume(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    is_taken(bytes(payload[: data.draw(st.integers(0, len(payload)))]))


NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.integers(),
    st.sampled_from([MAX_INTEGER, MAX_INTEGER + 1, MAX_EPOCH_SECONDS, MAX_EPOCH_SECONDS + 1, 2**63, 1e18]),
    st.sampled_from([MAX_FILE_COUNT, MAX_FILE_COUNT + 1]),
    st.floats(allow_nan=False, allow_infinity=False),
)
TIMES = st.one_of(
    st.datetimes(datetime(1000, 1, 1), datetime(2999, 12, 31)).map(str),  # noqa: DTZ001
    st.datetimes().map(datetime.isoformat).map(lambda text: text + "Z"),
    st.from_regex(
        r"[0-3][0-9]{3}-[01][0-9]-[0-2][0-8][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]"
        r"(\.[0-9]{1,10})?(Z|[+-][0-2][0-9]:?[0-9]{2})?\n?"
    ),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.from_regex(r"(adler32:|ADLER32:|md5:)?[0-9a-fA-F]{7,9}\n?", fullmatch=True),
    st.from_regex(r"[0-9]{1,20}\n?", fullmatch=True),
    TIMES,
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=2),
)
FIELDS = ["FileName", "FilePath", "Checksum", "FileSize", "EventCount", "RunNumber", "Time", "Other"]
FIELDS_OF_ENDS = ["EndOfBlock", "FileCount", "Type"]


@settings(max_examples=1500)
@given(st.sampled_from(FIELDS), VALUES)
def test_schema_and_decoder_agree_on_every_value(field: str, value: object) -> None:
    content = {**MINIMAL, field: value}
    assert is_taken(json.dumps(content).encode()) == VALIDATOR.is_valid(content)


@settings(max_examples=1000)
@given(st.sampled_from(FIELDS_OF_ENDS), VALUES)
def test_schema_and_decoder_agree_on_every_value_of_the_end_of_a_block(field: str, value: object) -> None:
    content = {"EndOfBlock": "20230302", "FileCount": 3, field: value}
    assert is_taken(json.dumps(content).encode()) == VALIDATOR.is_valid(content)


@given(st.dictionaries(st.sampled_from(FIELDS + FIELDS_OF_ENDS), VALUES))
def test_schema_and_decoder_agree_on_every_object(content: dict[str, object]) -> None:
    assert is_taken(json.dumps(content).encode()) == VALIDATOR.is_valid(content)


def test_the_schema_is_a_schema_and_its_examples_are_taken() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for content in SCHEMA["examples"]:
        VALIDATOR.validate(content)
        assert is_taken(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2023-03-02T10:00:00Z", datetime(2023, 3, 2, 10, tzinfo=UTC)),
        ("2023-03-02T10:00:00", datetime(2023, 3, 2, 10, tzinfo=UTC)),
        ("2023-03-02 18:00:00+08:00", datetime(2023, 3, 2, 10, tzinfo=UTC)),
        ("2023-03-02T18:00:00+0800", datetime(2023, 3, 2, 10, tzinfo=UTC)),
        (1677751200, datetime(2023, 3, 2, 10, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (None, None),
    ],
)
def test_times_are_aware_and_utc(time: object, expected: datetime | None) -> None:
    read = decode(Time=time).time
    assert read == expected
    assert read is None or read.utcoffset() == timedelta(0)


def test_unknown_fields_are_kept() -> None:
    assert decode(Shifter="x", Nested={"a": [1]}).extra == {"Shifter": "x", "Nested": {"a": [1]}}


def test_a_bad_announcement_names_its_file_where_it_can() -> None:
    with pytest.raises(BadAnnouncement) as caught:
        decode(Checksum="12")
    assert (caught.value.reason, caught.value.fileName) == (Reason.BAD_CHECKSUM, "Daq.1.dat")
    assert "'12'" in caught.value.detail
