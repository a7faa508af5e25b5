"""Invariants of merging, whatever comes in whatever order, fails, is lost or comes back, and whenever it is planned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.MergePlan import MergePiece, MergeRule, PieceState, planMerge, targetSite

pytestmark = pytest.mark.unit

MERGED, TAKEN, READY, PENDING, LOST = PieceState
TARGET = 1_000_000_000
SIZES = st.integers(5_000_000, TARGET) | st.integers(1, 2 * TARGET)
RULES = st.builds(MergeRule, st.integers(1, 40).map(lambda n: n * 100_000_000), st.integers(1, 6) | st.just(1000))


def piece(number: int, state: PieceState = READY, sizeBytes: int = 10, run: int = 7) -> MergePiece:
    name = "" if state is PENDING else f"/juno/esd/{run}-{number:03}.esd"
    return MergePiece(run, number, name, state, sizeBytes)


def numbers(groups: list[tuple[MergePiece, ...]]) -> list[list[int]]:
    return [[each.sequence for each in group] for group in groups]


@dataclass
class Stream:
    """A stream of a block: pieces become known, are made, lost, found again, taken by tasks, merged, put back.

    Pieces are numbered in their order, two runs one after the other.
    """

    rule: MergeRule
    sizes: list[int]
    firstRun: int
    states: dict[int, PieceState] = field(default_factory=dict)
    isClosed: bool = False
    tasks: list[list[int]] = field(default_factory=list)
    merged: list[list[int]] = field(default_factory=list)
    late: set[int] = field(default_factory=set)
    sent: int = -1

    def place(self, number: int) -> tuple[int, int]:
        return (1, number) if number < self.firstRun else (2, number - self.firstRun)

    def pieces(self) -> list[MergePiece]:
        return [
            MergePiece(*self.place(number), f"/juno/{number:04}", state, self.sizes[number])
            for number, state in self.states.items()
        ]

    def comes(self, number: int, state: PieceState) -> None:
        """A piece is announced, made or given up, in any order of these; one that others were sent before is late."""
        old = self.states.get(number)
        if old in (MERGED, TAKEN):
            return
        if old in (None, LOST) and number < self.sent:
            self.late.add(number)
        self.states[number] = state

    def plan(self, data: Any) -> list[list[int]]:
        """Check what is planned: it is the same in any order of the facts, and nothing passes what is outstanding."""
        pieces = self.pieces()
        groups = planMerge(pieces, self.rule, self.isClosed)
        assert groups == planMerge(data.draw(st.permutations(pieces)), self.rule, self.isClosed)
        byName = {each.name: number for number, each in zip(self.states, pieces, strict=True)}
        planned = [[byName[each.name] for each in group] for group in groups]
        pending = [number for number, state in self.states.items() if state is PENDING]
        for group in planned:
            assert all(self.states[number] is READY for number in group)
            assert group == sorted(group)
            assert not pending or group[-1] < min(pending)
            self.checkSize(group)
        return planned

    def checkSize(self, group: list[int]) -> None:
        sizeBytes = sum(self.sizes[number] for number in group)
        assert len(group) <= self.rule.groupFiles
        assert sizeBytes <= self.rule.groupBytes or len(group) == 1
        if not self.isClosed:
            following = [number for number, state in self.states.items() if number > group[-1] and state is not LOST]
            nextBytes = self.sizes[min(following)] if following else 0
            hasRoom = sizeBytes < self.rule.groupBytes and len(group) < self.rule.groupFiles
            assert not hasRoom or sizeBytes + nextBytes > self.rule.groupBytes

    def send(self, groups: list[list[int]]) -> None:
        for group in groups:
            self.tasks.append(group)
            self.states.update(dict.fromkeys(group, TAKEN))
            self.sent = max(self.sent, group[-1])

    def endTask(self, index: int, isGood: bool) -> None:
        if self.tasks:
            group = self.tasks.pop(index % len(self.tasks))
            self.states.update(dict.fromkeys(group, MERGED if isGood else READY))
            if isGood:
                self.merged.append(group)


def happens(stream: Stream, data: Any) -> None:
    """One thing, any."""
    what = data.draw(st.sampled_from(["comes", "comes", "plan", "plan", "task", "block"]))
    if what == "comes":
        number = data.draw(st.integers(0, len(stream.sizes) - 1))
        stream.comes(number, data.draw(st.sampled_from([READY, READY, PENDING, LOST])))
    elif what == "plan":
        groups = stream.plan(data)
        # the agent may be stopped between its plan and any of the tasks
        stream.send(groups[: data.draw(st.integers(0, len(groups)))])
    elif what == "task":
        stream.endTask(data.draw(st.integers(0, 9)), data.draw(st.booleans()))
    else:
        stream.isClosed = data.draw(st.booleans())


def end(stream: Stream, data: Any) -> None:
    """Whatever is outstanding settles, the block is closed, and all tasks end well at last."""
    for number in range(len(stream.sizes)):
        if stream.states.get(number) in (None, PENDING):
            stream.comes(number, data.draw(st.sampled_from([READY, READY, READY, LOST])))
    stream.isClosed = True
    for isGood in (False, True):
        stream.send(stream.plan(data))
        assert READY not in stream.states.values(), "the remainder is flushed when the block is closed"
        while stream.tasks:
            stream.endTask(0, isGood)


@given(st.data(), RULES, st.lists(SIZES, min_size=1, max_size=12))
def test_each_piece_is_in_one_merged_file_in_order_and_only_what_was_late_lies_between_others(data, rule, sizes) -> None:
    stream = Stream(rule, sizes, data.draw(st.integers(0, len(sizes))))
    for _ in range(data.draw(st.integers(0, 25))):
        happens(stream, data)
    end(stream, data)

    merged = [number for group in stream.merged for number in group]
    assert len(merged) == len(set(merged))
    assert {number for number in range(len(sizes)) if stream.states[number] is not LOST} == set(merged)
    inTime = [[number for number in group if number not in stream.late] for group in stream.merged]
    spans = sorted((min(group), max(group)) for group in inTime if group)
    assert all(one[1] < other[0] for one, other in pairwise(spans))


@given(RULES, st.lists(SIZES, min_size=1, max_size=30), st.randoms())
def test_what_comes_in_any_order_but_is_known_to_come_is_merged_as_if_it_came_in_order(rule, sizes, random) -> None:
    """The numbers that are missing hold back what comes after them, so that the order of arrival does not show."""
    alls = [MergePiece(1, number, f"/{number:03}", READY, size) for number, size in enumerate(sizes)]
    states, merged = dict.fromkeys(range(len(sizes)), PENDING), []
    for number in random.sample(range(len(sizes)), len(sizes)):
        states[number] = READY
        for group in planMerge([MergePiece(1, n, f"/{n:03}", s, sizes[n]) for n, s in states.items()], rule, isClosed=False):
            merged.append([each.sequence for each in group])
            states.update(dict.fromkeys(merged[-1], MERGED))
    rest = planMerge([MergePiece(1, n, f"/{n:03}", s, sizes[n]) for n, s in states.items()], rule, isClosed=True)
    assert sorted(merged + numbers(rest)) == numbers(planMerge(alls, rule, isClosed=True))


def test_a_group_goes_out_when_the_next_piece_has_no_room_in_it_and_the_rest_when_the_block_is_closed() -> None:
    rule = MergeRule(groupBytes=35, groupFiles=1000)
    pieces = [piece(number) for number in range(1, 9)]
    assert numbers(planMerge(pieces, rule, isClosed=False)) == [[1, 2, 3], [4, 5, 6]]
    assert numbers(planMerge(pieces, rule, isClosed=True)) == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert numbers(planMerge(pieces[:3], rule, isClosed=False)) == []
    assert numbers(planMerge(pieces[:3], MergeRule(30, 1000), isClosed=False)) == [[1, 2, 3]]
    assert numbers(planMerge(pieces[:3], MergeRule(35, 2), isClosed=False)) == [[1, 2]]


def test_a_piece_larger_than_the_target_goes_alone() -> None:
    pieces = [piece(1), piece(2, sizeBytes=99), piece(3)]
    assert numbers(planMerge(pieces, MergeRule(35, 1000), isClosed=False)) == [[1], [2]]
    assert numbers(planMerge(pieces, MergeRule(35, 1000), isClosed=True)) == [[1], [2], [3]]


def test_what_is_outstanding_holds_back_what_comes_after_it_also_in_a_closed_block() -> None:
    rule = MergeRule(35, 1000)
    pieces = [piece(1), piece(2), piece(3, PENDING), *(piece(number) for number in range(4, 12))]
    assert numbers(planMerge(pieces, rule, isClosed=False)) == []
    assert numbers(planMerge(pieces, rule, isClosed=True)) == []
    pieces[2] = piece(3, LOST)
    assert numbers(planMerge(pieces, rule, isClosed=False)) == [[1, 2, 4], [5, 6, 7], [8, 9, 10]]


def test_the_next_run_comes_after_the_whole_of_the_one_before() -> None:
    pieces = [piece(1, run=8), piece(2, PENDING, run=7), piece(1, run=7)]
    assert planMerge(pieces, MergeRule(10, 1000), isClosed=False) == [(pieces[2],)]


def test_a_late_piece_is_merged_by_itself_when_the_block_is_closed() -> None:
    pieces = [piece(1, MERGED), piece(2), piece(3, TAKEN), piece(4)]
    assert numbers(planMerge(pieces, MergeRule(35, 1000), isClosed=False)) == []
    assert numbers(planMerge(pieces, MergeRule(35, 1000), isClosed=True)) == [[2], [4]]


def test_the_pieces_of_a_task_that_failed_go_out_again_while_their_neighbours_are_in_other_tasks() -> None:
    states = [TAKEN, TAKEN, READY, READY, READY, TAKEN, TAKEN]
    pieces = [piece(number, state) for number, state in enumerate(states)]
    assert numbers(planMerge(pieces, MergeRule(35, 1000), isClosed=False)) == [[2, 3, 4]]


def test_a_merge_runs_where_most_of_its_bytes_are() -> None:
    pieces = [
        MergePiece(1, number, "", READY, size, frozenset(sites.split()))
        for number, size, sites in ((1, 5, "A"), (2, 4, "B C"), (3, 2, "B"), (4, 100, "elsewhere"))
    ]
    assert targetSite(pieces, ["A", "B", "C"]) == "B"
    assert targetSite(pieces[:2], ["C", "A", "B"]) == "A"
    assert targetSite(pieces[3:], ["C", "A"]) == "C"
    moved = [replace(each, moves=each.sequence - 1) for each in pieces[:3]]
    assert [targetSite(moved[:count], ["A", "B", "C"]) for count in (1, 2, 3)] == ["A", "B", "C"]
    with pytest.raises(ValueError, match="needs a site"):
        targetSite(pieces, [])


def test_a_group_of_nothing_is_refused() -> None:
    for wrong in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="at least one"):
            MergeRule(*wrong)


def test_what_came_late_and_lies_inside_another_piece_is_not_in_one_file_with_it() -> None:
    wide = MergePiece(1, 1, "/a", READY, 10, last=(1, 3))
    late, after = MergePiece(1, 2, "/b", READY, 10), MergePiece(1, 4, "/c", READY, 10)
    rule = MergeRule(1000, 1000)
    assert planMerge([wide, late, after], rule, isClosed=True) == [(wide,), (late, after)]
    assert planMerge([wide, after], rule, isClosed=True) == [(wide, after)]
