"""Invariants of the groups of a process step, and of the sites at which they run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.ProcessPlan import ProcessPlan, ProcessRule, SitesOfStreams, WaitingInput, planProcess

pytestmark = pytest.mark.unit

SITES = ("CNAF", "IN2P3", "JINR")
SOME_SITES = st.frozensets(st.sampled_from(SITES))


@st.composite
def inputs(draw: Any, least: int = 0) -> list[WaitingInput]:
    numbers = draw(st.lists(st.integers(0, 40), min_size=least, max_size=25, unique=True))
    return [
        WaitingInput(
            lfn=f"/juno/{number:03}",
            block=draw(st.integers(1, 2)),
            stream=draw(st.sampled_from(("ds.a", "ds.b"))),
            run=draw(st.integers(1, 2)),
            sequence=draw(st.integers(1, 40)),
            sizeBytes=draw(st.integers(0, 50)),
            ageSeconds=draw(st.integers(0, 100)),
            sites=draw(SOME_SITES),
            moves=draw(st.sampled_from((0, 0, 0, 1, 2))),
        )
        for number in numbers
    ]


@st.composite
def rules(draw: Any) -> ProcessRule:
    groupBytes = draw(st.none() | st.integers(1, 200))
    return ProcessRule(draw(st.integers(1, 6)), groupBytes, draw(st.integers(0, 120)), draw(st.integers(0, 120)), SITES)


@st.composite
def stands(draw: Any) -> SitesOfStreams:
    streams = st.tuples(st.integers(1, 2), st.sampled_from(("ds.a", "ds.b")))
    homes = draw(st.dictionaries(streams, st.sampled_from((*SITES, "closed"))))
    load = draw(st.dictionaries(st.sampled_from(SITES), st.integers(0, 100)))
    return SitesOfStreams(homes, load, draw(st.dictionaries(st.integers(1, 2), SOME_SITES)))


def waiting(number: int, sites: str = "CNAF", **changes: Any) -> WaitingInput:
    return replace(WaitingInput(f"/{number:03}", 1, "ds.a", 1, number, 10, 0, frozenset(sites.split())), **changes)


def planned(plan: ProcessPlan) -> list[tuple[str, list[int]]]:
    return [(site, [each.sequence for each in group]) for site, group in plan.groups]


@given(inputs(), rules(), stands(), st.frozensets(st.integers(1, 2)))
def test_each_input_is_in_one_group_at_most_in_order_with_its_stream_at_a_site_that_has_it(waits, rule, sites, closed) -> None:
    plan = planProcess(waits, rule, sites, closed)
    going = [each.lfn for _, group in plan.groups for each in group]
    assert len(going) == len(set(going))
    for site, group in plan.groups:
        assert all(site in each.sites for each in group)
        assert len({(each.block, each.stream) for each in group}) == 1
        assert [each.place for each in group] == sorted(each.place for each in group)
        assert 1 <= len(group) <= rule.groupFiles
        assert rule.groupBytes is None or len(group) == 1 or sum(each.sizeBytes for each in group) <= rule.groupBytes
        # what is missing may come yet, and its events would lie between those of one output
        assert all(one.run != other.run or other.sequence - one.sequence <= 1 for one, other in pairwise(group))


@given(inputs(), rules(), stands(), st.frozensets(st.integers(1, 2)))
def test_what_does_not_go_waits_for_a_copy_or_in_one_young_group_that_has_room(waits, rule, sites, closed) -> None:
    plan = planProcess(waits, rule, sites, closed)
    going = {each.lfn for _, group in plan.groups for each in group}
    homes = {**sites.homes, **plan.homes}
    left: Counter[object] = Counter()
    for each in waits:
        if each.lfn in going:
            continue
        if not each.sites:
            assert each in plan.awaited
            continue
        home = homes[each.block, each.stream]
        if home in each.sites or each.moves or each.ageSeconds >= rule.patienceSeconds:
            assert each.ageSeconds < rule.maxWaitSeconds
            assert each.block not in closed
            left[each.block, each.stream] += 1
        else:
            assert each in plan.awaited
    assert all(count < rule.groupFiles * len(SITES) for count in left.values())


@given(inputs(), rules(), stands(), st.randoms())
def test_the_same_facts_give_the_same_plan(waits, rule, sites, random) -> None:
    shuffled = random.sample(waits, len(waits))
    plan = planProcess(waits, rule, sites, ())
    assert planProcess([*shuffled, *waits], rule, sites, ()) == plan
    # restarted after the homes were kept, before any task was made
    kept = replace(sites, homes={**sites.homes, **plan.homes})
    assert planProcess(waits, rule, kept, ()).homes == {}


@given(st.data(), inputs(least=1), rules())
def test_whatever_order_inputs_come_copies_come_tasks_fail_and_the_agent_stops_each_is_processed_once(data, alls, rule) -> None:
    files = {each.lfn: replace(each, ageSeconds=0, sites=each.sites or frozenset({"JINR"}), moves=0) for each in alls}
    homes: dict[Any, str] = {}
    known: set[str] = set()
    done: Counter[str] = Counter()
    tasks: list[tuple[WaitingInput, ...]] = []
    taken: set[str] = set()

    def plan(closed: tuple[int, ...]) -> None:
        waits = [files[lfn] for lfn in known if not done[lfn] and lfn not in taken]
        found = planProcess(waits, rule, SitesOfStreams(homes), closed)
        assert not set(found.homes) & set(homes), "a stream stays at its site"
        homes.update(found.homes)
        for _, group in found.groups[: data.draw(st.integers(0, len(found.groups)))] if not closed else found.groups:
            assert not taken.intersection(each.lfn for each in group)
            taken.update(each.lfn for each in group)
            tasks.append(group)

    def endTask(isGood: bool) -> None:
        group = tasks.pop()
        taken.difference_update(each.lfn for each in group)
        done.update(each.lfn for each in group if isGood)

    for _ in range(data.draw(st.integers(0, 20))):
        what = data.draw(st.sampled_from(("comes", "plan", "time", "copy", "task")))
        lfn = data.draw(st.sampled_from(sorted(files)))
        if what == "comes":
            known.add(lfn)
        elif what == "plan":
            plan(())
        elif what == "time":
            files = {name: replace(each, ageSeconds=each.ageSeconds + 30 * (name in known)) for name, each in files.items()}
        elif what == "copy":
            files[lfn] = replace(files[lfn], sites=files[lfn].sites | {data.draw(st.sampled_from(SITES))})
        elif tasks:
            endTask(data.draw(st.booleans()))
    known.update(files)
    files = {name: replace(each, ageSeconds=1000) for name, each in files.items()}
    while tasks:
        endTask(False)
    plan((1, 2))
    while tasks:
        endTask(True)
    assert done == Counter(list(files))


def test_a_group_that_is_not_full_waits_for_its_oldest_input_or_for_the_end_of_the_block() -> None:
    rule = ProcessRule(3, None, 60, 600, SITES)
    young = [waiting(number, ageSeconds=50 - number) for number in range(1, 6)]
    assert planned(planProcess(young, rule, SitesOfStreams(), ())) == [("CNAF", [1, 2, 3])]
    assert planned(planProcess(young, rule, SitesOfStreams(), {2})) == [("CNAF", [1, 2, 3])]
    assert planned(planProcess(young, rule, SitesOfStreams(), {1})) == [("CNAF", [1, 2, 3]), ("CNAF", [4, 5])]
    old = [*young[:4], replace(young[4], ageSeconds=60)]
    assert planned(planProcess(old, rule, SitesOfStreams(), ())) == [("CNAF", [1, 2, 3]), ("CNAF", [4, 5])]


def test_a_group_by_bytes_goes_out_when_the_next_input_has_no_room_in_it() -> None:
    rule = ProcessRule(1000, 25, 60, 600, SITES)
    sizes = [waiting(1), waiting(2), waiting(3), waiting(4, sizeBytes=99), waiting(5)]
    assert planned(planProcess(sizes, rule, SitesOfStreams(), ())) == [("CNAF", [1, 2]), ("CNAF", [3]), ("CNAF", [4])]


def test_streams_are_spread_over_the_sites_by_what_these_have_to_do() -> None:
    rule = ProcessRule(1, None, 60, 600, SITES)
    streams = [waiting(number, "CNAF IN2P3 JINR", stream=f"ds.{number % 6}") for number in range(12)]
    plan = planProcess(streams, rule, SitesOfStreams(load={"JINR": 3}), ())
    # of six streams with two inputs each
    assert Counter(plan.homes.values()) == {"CNAF": 3, "IN2P3": 2, "JINR": 1}


def test_a_site_to_which_the_block_is_copied_is_as_good_as_one_that_has_it() -> None:
    rule = ProcessRule(1, None, 60, 600, SITES)
    sites = SitesOfStreams(load={"CNAF": 10}, expected={1: ("JINR",)})
    plan = planProcess([waiting(1), waiting(2, "CNAF JINR"), waiting(3, ageSeconds=600)], rule, sites, ())
    assert plan.homes == {(1, "ds.a"): "JINR"}
    assert planned(plan) == [("CNAF", [3]), ("JINR", [2])]
    assert [each.sequence for each in plan.awaited] == [1]


def test_after_attempts_that_ask_for_another_site_an_input_goes_round_those_that_have_it() -> None:
    rule = ProcessRule(1, None, 60, 600, SITES)
    sites = SitesOfStreams({(1, "ds.a"): "JINR"}, load={"CNAF": 5})
    went = [planned(planProcess([waiting(1, "CNAF IN2P3 JINR", moves=moves)], rule, sites, ()))[0][0] for moves in range(4)]
    assert went == ["JINR", "IN2P3", "CNAF", "JINR"]
    # where only one has it, there is no other
    assert planned(planProcess([waiting(1, "CNAF", moves=1)], rule, sites, ())) == [("CNAF", [1])]


def test_an_input_that_no_site_of_the_step_has_waits_for_a_copy() -> None:
    inputs = [waiting(1, ""), waiting(2, "elsewhere")]
    assert planProcess(inputs, ProcessRule(1, None, 0, 0, SITES), SitesOfStreams(), {1}) == ProcessPlan((), {}, tuple(inputs))


def test_a_group_of_nothing_is_refused() -> None:
    for wrong in ((0, None), (1, 0)):
        with pytest.raises(ValueError, match="at least one"):
            ProcessRule(*wrong, 0, 0, SITES)


def test_a_group_waits_on_both_sides_of_a_number_that_is_missing_and_is_whole_when_that_comes() -> None:
    rule = ProcessRule(3, None, 60, 0, ("CNAF",))
    around = [waiting(1), waiting(3), waiting(4)]
    assert planned(planProcess(around, rule, SitesOfStreams(), ())) == []
    assert planned(planProcess([*around, waiting(2)], rule, SitesOfStreams(), ())) == [("CNAF", [1, 2, 3])]
    old = [replace(each, ageSeconds=60) for each in around]
    assert planned(planProcess(old, rule, SitesOfStreams(), ())) == [("CNAF", [1]), ("CNAF", [3, 4])]
    assert planned(planProcess(around, rule, SitesOfStreams(), (1,))) == [("CNAF", [1]), ("CNAF", [3, 4])]
