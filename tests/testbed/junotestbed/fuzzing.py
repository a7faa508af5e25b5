"""Announcements that nobody would think of: what hypothesis makes of good ones, for unit tests and for the real receiver."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

MAX_MESSAGE_BYTES = 900_000
_FIELDS = ("FileName", "FilePath", "Checksum", "FileSize", "EventCount", "RunNumber", "Time")

TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "",
            " ",
            ".",
            "..",
            "/",
            "//",
            "\0",
            "a\0b",
            "a\nb",
            "%s%d{0}",
            "'; DROP TABLE Files; --",
            "$(reboot)",
            "\u202e",
            "e\u0301",
            "\U0001f600",
            "x" * 127,
            "x" * 300,
            "NaN",
            "-0",
            "1e5",
            "0x10",
        ]
    ),
)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, 2**64, 10**18, 10**18 - 1, 10**400]),
    st.floats(),
    st.booleans(),
)
VALUES = st.recursive(
    st.one_of(st.none(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


def names(day: str) -> st.SearchStrategy[str]:
    """Names of a few files, so that they come again; some differ only in case."""
    return st.builds(
        lambda run, stream, sequence: f"Daq.{run}.{stream}.GLOBAL.FUZZ.{day}120000.{sequence:04d}.dat",
        st.integers(1, 3),
        st.sampled_from(["PHYSICS", "Physics", "CALIB"]),
        st.integers(1, 40),
    )


@st.composite
def nearlyNames(draw: st.DrawFn, day: str) -> str:
    """A good name with something put in, taken out or made longer."""
    name = draw(names(day))
    place = draw(st.integers(0, len(name)))
    return draw(
        st.one_of(
            TEXTS.map(lambda text: name[:place] + text + name[place:]),
            st.just(name[:place] + name[place + 1 :]),
            st.just(name.upper()),
            st.integers(100, 200).map(lambda length: name.replace("GLOBAL", "G" * length)),
            TEXTS,
        )
    )


def paths(directory: str) -> st.SearchStrategy[str]:
    spellings = [
        directory,
        f"{directory}/",
        f"{directory}//",
        f"root://host.example:1094/{directory}",
        f"{directory}/../x",
        directory.rpartition("/")[0],
        f"{directory}/deeper",
        directory.lstrip("/"),
        directory.upper(),
        f"//{directory}",
    ]
    return st.one_of(st.sampled_from(spellings), TEXTS, TEXTS.map(lambda text: f"{directory}/{text}"))


def announcements(day: str, content: Callable[[str], dict[str, object]]) -> st.SearchStrategy[dict[str, object]]:
    """Mostly good ones, with one or two fields changed, left out or added.

    :param content: gives a good announcement of a file name
    """
    directory = f"/eos/juno/raw/{day[:4]}/{day[4:]}"
    changes = st.one_of(
        st.just({}),
        st.dictionaries(st.sampled_from(_FIELDS), VALUES, min_size=1, max_size=2),
        st.fixed_dictionaries({"FileName": nearlyNames(day)}),
        st.fixed_dictionaries({"FilePath": paths(directory)}),
        st.fixed_dictionaries(
            {"Checksum": st.sampled_from(["00000000", "ffffffff", "adler32:0A1B2C3D", "md5:0a", "0" * 9, " 00000000"])}
        ),
        st.fixed_dictionaries(
            {"FileSize": st.sampled_from([None, 0, 1, -1, 10**10, 10**10 + 1, 10**17, "5", "5.0", 5.5, 1e400])}
        ),
        st.dictionaries(TEXTS, VALUES, max_size=3),
        st.sampled_from(_FIELDS).map(lambda field: {field: ...}),
    )
    return st.builds(
        lambda name, change: {key: value for key, value in {**content(name), **change}.items() if value is not ...},
        names(day),
        changes,
    )


def endsOfBlocks(day: str) -> st.SearchStrategy[dict[str, object]]:
    """Mostly usable ones, of a few numbers that contradict each other."""
    usable = {"EndOfBlock": day, "FileCount": 3}
    changes = st.one_of(
        st.just({}),
        st.fixed_dictionaries({"FileCount": st.sampled_from([0, 3, "3", 3.0, 4, -1, 10**9, 10**10, None, ...])}),
        st.fixed_dictionaries({"EndOfBlock": st.one_of(st.sampled_from([f"{day}-late1", f" {day}", int(day), ""]), TEXTS)}),
        st.fixed_dictionaries({"Type": st.one_of(st.sampled_from(["Raw", "RTRaw", None]), VALUES)}),
        st.dictionaries(st.sampled_from(["EndOfBlock", "FileCount", "Type", *_FIELDS]), VALUES, min_size=1, max_size=2),
    )
    return changes.map(lambda change: {key: value for key, value in {**usable, **change}.items() if value is not ...})


@st.composite
def mangled(draw: st.DrawFn, good: st.SearchStrategy[dict[str, object]]) -> bytes:
    """The bytes of an announcement, as they come out of a broken producer or line."""
    payload = json.dumps(draw(good)).encode()
    middle = draw(st.integers(0, len(payload)))
    kind = draw(
        st.sampled_from(["cut", "flip", "twice", "wrap", "key twice", "encoding", "bom", "deep", "huge", "insert", "blanks"])
    )
    if kind == "flip" and payload:
        flipped = bytearray(payload)
        flipped[middle % len(payload)] ^= 1 << draw(st.integers(0, 7))
        return bytes(flipped)
    return {
        "cut": payload[:middle],
        "flip": payload,
        "twice": payload + payload,
        "wrap": b"[" + payload + b"]",
        "key twice": payload[:-1] + b', "FileSize": 1, "FileSize": 2}',
        "encoding": payload.decode().encode(draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32", "utf-7", "cp500"]))),
        "bom": b"\xef\xbb\xbf" + payload,
        "deep": payload[:-1] + b', "Deep": ' + b"[" * draw(st.integers(10, 50_000)),
        "huge": payload[:-1] + b', "Huge": "' + b"x" * draw(st.integers(0, MAX_MESSAGE_BYTES)) + b'"}',
        "insert": payload[:middle] + draw(st.binary(max_size=8)) + payload[middle:],
        "blanks": b" \t\r\n" + payload + b" \n",
    }[kind]


def messages(day: str, content: Callable[[str], dict[str, object]]) -> st.SearchStrategy[bytes]:
    """Anything that may stand in a topic of RAW announcements of one day."""
    good = announcements(day, content)
    ends = endsOfBlocks(day)
    return st.one_of(
        ends.map(lambda fields: json.dumps(fields).encode()),
        good.map(lambda fields: json.dumps(fields).encode()),
        good.map(lambda fields: json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")),
        names(day).map(lambda name: json.dumps(content(name)).encode()),
        mangled(st.one_of(good, ends)),
        VALUES.map(lambda value: json.dumps(value).encode()),
        st.binary(max_size=200),
    )


def corpus(strategy: st.SearchStrategy[bytes], count: int, seedNumber: int) -> list[bytes]:
    """The same examples for the same seed."""
    found: list[bytes] = []

    @seed(seedNumber)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(payload: bytes) -> None:
        found.append(payload)

    collect()
    return found[:count]
