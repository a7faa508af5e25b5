"""Invariants of grouping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.GroupPlan import WaitingFile, planGroups

pytestmark = pytest.mark.unit

WAITING = st.lists(st.builds(WaitingFile, st.integers(0, 60).map(str), st.integers(0, 100)), max_size=60)


@given(WAITING, st.integers(1, 20), st.integers(0, 120), st.booleans())
def test_groups_hold_each_file_at_most_once_oldest_first_and_are_never_too_large(waiting, groupSize, maxWait, flush) -> None:
    groups = planGroups(waiting, groupSize, maxWait, flush)
    planned = [lfn for group in groups for lfn in group]
    ages = {file.lfn: max(each.ageSeconds for each in waiting if each.lfn == file.lfn) for file in waiting}

    assert len(set(planned)) == len(planned)
    assert set(planned) <= set(ages)
    assert all(1 <= len(group) <= groupSize for group in groups)
    assert all(len(group) == groupSize for group in groups[:-1])
    assert [ages[lfn] for lfn in planned] == sorted((ages[lfn] for lfn in planned), reverse=True)
    left = [age for lfn, age in ages.items() if lfn not in set(planned)]
    assert len(left) < groupSize
    if flush:
        assert not left
    # whoever has waited long enough goes, and drags along what is younger
    assert all(age < maxWait for age in left)


@given(WAITING, st.integers(1, 20), st.randoms())
def test_the_order_of_the_input_does_not_matter(waiting, groupSize, random) -> None:
    shuffled = list(waiting)
    random.shuffle(shuffled)
    assert planGroups(waiting, groupSize, 50) == planGroups(shuffled, groupSize, 50)


def test_a_young_tail_waits_and_an_old_one_goes() -> None:
    files = [WaitingFile(name, age) for name, age in (("a", 5), ("b", 9), ("c", 7))]
    assert planGroups(files, 2, 60) == [("b", "c")]
    assert planGroups(files, 2, 5) == [("b", "c"), ("a",)]
    assert planGroups(files, 2, 60, flush=True) == [("b", "c"), ("a",)]
    assert planGroups([], 2, 0, flush=True) == []


def test_a_lone_file_goes_when_nobody_joined_it_and_a_stream_fills_its_groups() -> None:
    assert planGroups([WaitingFile("a", 4)], 50, 60, settleSeconds=3) == [("a",)]
    assert planGroups([WaitingFile("a", 2)], 50, 60, settleSeconds=3) == []
    # one more every two seconds
    stream = [WaitingFile(f"{age:02d}", age) for age in range(1, 40, 2)]
    assert planGroups(stream, 50, 60, settleSeconds=3) == []
    assert [len(group) for group in planGroups(stream, 10, 60, settleSeconds=3)] == [10, 10]
    # however many come, the oldest goes in time
    assert [len(group) for group in planGroups(stream, 50, 39, settleSeconds=3)] == [20]


@given(WAITING, st.integers(1, 20), st.integers(0, 120), st.integers(0, 120))
def test_what_settles_only_ever_sends_files_earlier(waiting, groupSize, maxWait, settle) -> None:
    without = planGroups(waiting, groupSize, maxWait)
    settled = planGroups(waiting, groupSize, maxWait, settleSeconds=settle)
    assert settled[: len(without)] == without
    ages = {file.lfn: max(each.ageSeconds for each in waiting if each.lfn == file.lfn) for file in waiting}
    left = [age for lfn, age in ages.items() if lfn not in {lfn for group in settled for lfn in group}]
    assert not left or min(left) < settle


def test_a_group_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        planGroups([], 0, 60)
