from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Utilities.Moment import BadMoment, ageText, momentText, readMoment, shortText

NOW = datetime(2023, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2d", NOW - timedelta(days=2)),
        ("6h", NOW - timedelta(hours=6)),
        ("90m", NOW - timedelta(minutes=90)),
        ("0s", NOW),
        ("1w", NOW - timedelta(days=7)),
        ("2023-03-01", datetime(2023, 3, 1, tzinfo=UTC)),
        ("2023-03-01T14:30:00", datetime(2023, 3, 1, 14, 30, tzinfo=UTC)),
        ("2023-03-01 14:30", datetime(2023, 3, 1, 14, 30, tzinfo=UTC)),
        ("2023-03-01T14:30:00+02:00", datetime(2023, 3, 1, 12, 30, tzinfo=UTC)),
    ],
)
def test_times_and_ages_are_moments_in_utc(text, moment):
    assert readMoment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "2", "d2", "-3h", "yesterday", "2023-13-01", "999999w", "1.5h", "2 d"])
def test_anything_else_is_refused_with_an_example_of_what_can_be_written(text):
    with pytest.raises(BadMoment, match="UTC time"):
        readMoment(text, NOW)


@given(st.text())
def test_no_text_fails_in_another_way(text):
    with suppress(BadMoment):
        assert readMoment(text, NOW).tzinfo is not None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 m"), (3661, "1 h 1 m"), (90000, "1 d 1 h"), (86460, "1 d"), (-5, "0 s")],
)
def test_ages_have_two_units_at_most(seconds, text):
    assert ageText(seconds) == text


def test_a_moment_survives_its_text():
    assert momentText(NOW) == "2023-03-02T12:00:00.000+00:00"
    assert momentText(None) is None
    assert (shortText(momentText(NOW)), shortText(None)) == ("2023-03-02 12:00:00", "-")
