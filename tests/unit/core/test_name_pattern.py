"""Reading and writing names are inverses, and a bad template says where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.NamePattern import NameMismatch, NamePattern, PatternError
from JUNODIRAC.Core.Domain.Rule import Rule

pytestmark = pytest.mark.unit

RAW = NamePattern("Daq.{RunNumber:d}.{StreamType}.{StreamName}.{FileTag}.{FileTime:d}.{FileSequence:d}.dat")
DAY = NamePattern("/juno/raw/{Year:4}/{MonthDay:4}", directory=True)

DIGITS = st.text("0123456789", min_size=1, max_size=12)
WORD = st.from_regex(r"[^./\s{}]+", fullmatch=True)
RAW_FIELDS = st.fixed_dictionaries(
    {"RunNumber": DIGITS, "StreamType": WORD, "StreamName": WORD, "FileTag": WORD, "FileTime": DIGITS, "FileSequence": DIGITS}
)


@given(RAW_FIELDS)
def test_parsing_what_was_formatted_gives_the_fields_back(fields: dict[str, str]) -> None:
    assert RAW.parse(RAW.format(fields)) == fields


@given(RAW_FIELDS)
def test_formatting_what_was_parsed_gives_the_name_back(fields: dict[str, str]) -> None:
    name = RAW.format(fields)
    assert RAW.format(RAW.parse(name)) == name


@given(st.from_regex(r"/juno/raw/[0-9]{4}/[0-9]{4}", fullmatch=True))
def test_directories_too(path: str) -> None:
    assert DAY.format(DAY.parse(path)) == path


PIECES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["A", "B", "C", "D"]), st.sampled_from(["", ":d", ":3"])), st.text("._-ab[(*+", min_size=1)
    ),
    min_size=1,
    max_size=6,
)


@given(PIECES, st.dictionaries(st.sampled_from("ABCD"), st.text("0123ab_-.", min_size=1, max_size=4)))
def test_any_template_never_writes_a_name_that_it_reads_differently(pieces, values) -> None:
    template = "".join(piece if isinstance(piece, str) else f"{{{piece[0]}{piece[1]}}}" for piece in pieces)
    try:
        pattern = NamePattern(template)
        name = pattern.format(values)
    except (PatternError, NameMismatch):
        return
    assert pattern.parse(name) == {field: values[field] for field in pattern.fields}


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused_with_text_and_pattern(text: str) -> None:
    try:
        fields = RAW.parse(text)
    except NameMismatch as error:
        assert text in str(error)
        assert RAW.template in str(error)
    else:
        assert RAW.format(fields) == text


def test_values_are_kept_as_written() -> None:
    assert DAY.parse("/juno/raw/2023/0302") == {"Year": "2023", "MonthDay": "0302"}
    assert RAW.fields == ("RunNumber", "StreamType", "StreamName", "FileTag", "FileTime", "FileSequence")


@pytest.mark.parametrize(
    "name",
    [
        "Daq.1.a.b.c.2.3.dat\n",
        "Daq.1.a.b.c.2.3.datx",
        "xDaq.1.a.b.c.2.3.dat",
        "Daq.1x.a.b.c.2.3.dat",
        "Daq.1.a b.b.c.2.3.dat",
        "Daq.1.a/b.b.c.2.3.dat",
        "Daq.1..b.c.2.3.dat",
        "Daq.١.a.b.c.2.3.dat",
        "Daq.1.a.b.c.2.dat",
        "",
    ],
)
def test_names_that_do_not_follow_the_pattern_are_refused(name: str) -> None:
    with pytest.raises(NameMismatch):
        RAW.parse(name)


@pytest.mark.parametrize("path", ["/juno/raw/23/0302", "/juno/raw/2023/302", "/juno/raw/2023/0302/", "/juno/raw/2023/0302/x"])
def test_fixed_numbers_have_exactly_their_digits(path: str) -> None:
    with pytest.raises(NameMismatch):
        DAY.parse(path)


def test_a_field_that_does_not_fit_is_named() -> None:
    with pytest.raises(NameMismatch, match="'99' is not a number of 4 digits for {Year}"):
        DAY.format({"Year": "99", "MonthDay": "0302"})
    with pytest.raises(NameMismatch, match="no value for {MonthDay}"):
        DAY.format({"Year": "2023"})


@pytest.mark.parametrize(
    ("template", "position"),
    [
        ("Daq.{Run", 4),
        ("Daq}", 3),
        ("{}", 0),
        ("{1a}", 0),
        ("a{A:x}", 1),
        ("{A:0}", 0),
        ("{A}{B}", 3),
        ("{A:d}{B}", 5),
        ("{A}.{A}", 4),
        ("", 0),
    ],
)
def test_a_bad_template_is_refused_with_its_position(template: str, position: int) -> None:
    with pytest.raises(PatternError) as caught:
        NamePattern(template)
    assert caught.value.position == position
    assert template in str(caught.value)


def test_adjacent_fields_of_fixed_width_are_fine() -> None:
    assert NamePattern("{Year:4}{MonthDay:4}").parse("20230302") == {"Year": "2023", "MonthDay": "0302"}


def test_a_rule_only_writes() -> None:
    rule = Rule("{Campaign}-{Block}-{SE}")
    assert rule.fields == {"Campaign", "Block", "SE"}
    assert rule.format({"Campaign": "C", "Block": "20230302", "SE": "X", "Other": "y"}) == "C-20230302-X"


@pytest.mark.parametrize("template", ["", "{A:d}", "{A", "{A!r}", "{A.b}", "{A[0]}"])
def test_a_bad_rule_is_refused(template: str) -> None:
    with pytest.raises(PatternError):
        Rule(template)
