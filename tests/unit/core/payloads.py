"""Messages as they may come: good, mutated, truncated, huge, of wrong types, no UTF-8, nested, with names twice."""

from __future__ import annotations

import json

from fakes import announcement, end_of_block, raw_name
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["FileName", "FilePath", "Checksum", "FileSize", "EventCount", "RunNumber", "Time", "Other"]
NAMES = st.one_of(
    st.builds(raw_name, st.integers(0, 3), st.sampled_from(["global", "GLOBAL", "x" * 90, "a b", "ü", "a/b", ""])),
    st.text(max_size=200),
)
PATHS = st.one_of(
    st.sampled_from(["/eos/juno/raw/2023/0302", "/eos/juno/raw/2023/0302/", "root://h//eos/juno/raw/2023/0303", "/eos/juno/raw"]),
    st.sampled_from(["/eos/juno/raw/2023/../0302", "/eos//juno/raw/2023/0302", "/eos/" + "x" * 300, "/", "\0"]),
    st.sampled_from(["/eos/juno/raw/9999/9999", "/eos/juno/raw/2023/0229"]),
    st.text(max_size=40),
)


@st.composite
def contents(draw: st.DrawFn) -> dict[str, object]:
    """An announcement with some fields replaced or left out."""
    content = announcement(draw(st.integers(0, 3)), draw(st.sampled_from(["0302", "0303"])))
    content |= draw(st.fixed_dictionaries({}, optional={"FileName": NAMES, "FilePath": PATHS}))
    content |= draw(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=2))
    for name in draw(st.sets(st.sampled_from(FIELDS), max_size=1)):
        content.pop(name, None)
    return content


@st.composite
def endings(draw: st.DrawFn) -> dict[str, object]:
    """The end of a block with some fields replaced or left out."""
    content = end_of_block(draw(st.integers(0, 3)), draw(st.sampled_from(["20230302", "20230303"])))
    content |= draw(st.dictionaries(st.sampled_from(["EndOfBlock", "FileCount", "Type", *FIELDS]), JSON, max_size=2))
    for name in draw(st.sets(st.sampled_from(["EndOfBlock", "FileCount"]), max_size=1)):
        content.pop(name, None)
    return content


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An announcement with bytes changed, cut off or put in between."""
    data = bytearray(
        json.dumps(draw(st.one_of(contents(), endings())), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    )
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
        if not data:
            break
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


def _twice(content: dict[str, object]) -> bytes:
    text = json.dumps(content)
    return (text[:-1] + ', "FileName": "x"}').encode()


PAYLOADS = st.one_of(
    endings().map(lambda content: json.dumps(content).encode("utf-8", "surrogatepass")),
    contents().map(lambda content: json.dumps(content).encode("utf-8", "surrogatepass")),
    damaged(),
    contents().map(_twice),
    st.binary(max_size=60),
    st.integers(1, 5).map(lambda power: b"[" * 10**power),
    st.integers(1, 5).map(lambda power: b'{"FileSize":' * 10**power),
    st.integers(1, 6).map(lambda power: json.dumps(announcement(1, Other="x" * 10**power)).encode()),
    st.integers(1, 4).map(lambda power: b'{"FileSize": ' + b"9" * 10**power + b"}"),
    contents().map(lambda content: json.dumps(content).encode("utf-16")),
)
