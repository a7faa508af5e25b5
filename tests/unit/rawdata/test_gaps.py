from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.Gaps import NumberedFile, findGaps, missingRanges, rangesText


def files(*sequences: int, run: int = 7, stream: str = "GLOBAL", block: str = "20230302", isKnown: bool = True):
    return [NumberedFile(run, "PHYSICS", stream, sequence, block, isKnown) for sequence in sequences]


@given(st.sets(st.integers(0, 300)))
def test_every_number_up_to_the_highest_is_either_there_or_in_exactly_one_range(numbers):
    missing = [number for first, last in missingRanges(numbers) for number in range(first, last + 1)]
    assert sorted([*missing, *(numbers - {0})]) == list(range(1, max(numbers, default=0) + 1))


@given(st.sets(st.integers(1, 60), min_size=1))
def test_ranges_never_touch_so_that_each_hole_is_told_once(numbers):
    ranges = missingRanges(numbers)
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(ranges))


@pytest.mark.parametrize(
    ("sequences", "text"),
    [((1, 2, 3), ""), ((1, 2, 5), "3-4"), ((2, 4), "1, 3"), ((0, 1, 2), ""), ((0, 3), "1-2"), ((1000,), "1-999")],
)
def test_a_series_starts_at_one_or_at_a_zero_that_is_there(sequences, text):
    assert rangesText(missingRanges(sequences)) == text


def test_a_number_that_a_mangled_name_makes_huge_costs_one_range_and_no_time():
    assert missingRanges([1, 2**62]) == [(2, 2**62 - 1)]


def test_runs_and_streams_are_series_of_their_own():
    found = findGaps([*files(1, 3), *files(1, 2, run=8), *files(2, stream="MUON")])
    assert [(gaps.run, gaps.streamName, rangesText(gaps.missing)) for gaps in found] == [(7, "GLOBAL", "2"), (7, "MUON", "1")]
    assert (found[0].files, found[0].first, found[0].last, found[0].missingFiles) == (2, 1, 3, 1)


def test_a_gap_at_midnight_is_found_from_both_days_and_not_from_a_third():
    run = [*files(1, 2, 3, block="20230302"), *files(5, 6, block="20230303"), *files(8, block="20230304")]
    of = {day: [gaps.missing for gaps in findGaps(run, frozenset({day}))] for day in ("20230302", "20230303", "20230304")}
    assert of == {"20230302": [((4, 4),)], "20230303": [((4, 4), (7, 7))], "20230304": [((7, 7),)]}


def test_a_dropped_file_is_missing_and_its_number_does_not_stretch_the_series():
    assert [gaps.missing for gaps in findGaps([*files(1, 3), *files(2, isKnown=False)])] == [((2, 2),)]
    assert findGaps([*files(1, 2), *files(99999, isKnown=False)]) == []
