"""Sources of a copy: good before bad, rules before chance, nothing lost, and no wait without an end."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from fakes import lfn_of, raw_policy
from hypothesis import assume, given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.LFNPattern import LFNPattern
from JUNODIRAC.Core.Domain.PolicyError import PolicyError
from JUNODIRAC.Core.Domain.SourceRules import BadSourceRules, SourceRules
from JUNODIRAC.Core.Logic.SourceRanking import Source, chooseSource, rankSources, waitsForRelay
from JUNODIRAC.Core.Logic.TransferRecords import MAX_FAILURES_OF_A_FILE, MAX_JOBS_OF_A_LINK, Attempt, TransferRecords

pytestmark = pytest.mark.unit

STORAGES = ("IHEP-JUNOEOS", "CNAF-STORM", "IN2P3-DCACHE", "JINR-EOS")
TARGET = "JINR-EOS"
LFN = "/juno/raw/file"
CHECKSUM_ERROR = "TRANSFER [84] [gfal2_copy] User and destination CheckSum error"

storages = st.sampled_from(STORAGES)
otherStorages = st.sampled_from([se for se in STORAGES if se != TARGET])
sources = st.builds(
    Source,
    se=storages,
    banned=st.booleans(),
    bad=st.booleans(),
    failures=st.integers(0, 5),
    successShare=st.floats(0, 1),
)
sourceLists = st.lists(sources, max_size=6)
rules = st.builds(
    SourceRules,
    preferences=st.dictionaries(
        st.sampled_from([TARGET, "Default"]), st.lists(otherStorages, unique=True).map(tuple), max_size=2
    ),
    relaySE=st.just("CNAF-STORM"),
    relayFor=st.sampled_from([frozenset(), frozenset([TARGET]), frozenset(["IN2P3-DCACHE"])]),
    relayPatienceSeconds=st.integers(0, 10_000),
    recentSeconds=st.integers(0, 10_000),
)


def chances(seed: int = 1):
    return random.Random(seed).random


def usable(source: Source) -> bool:
    return not source.banned and not source.bad


# ---- the order


@given(sourceLists, rules)
def test_the_order_loses_no_candidate_and_invents_none(candidates, given_rules):
    assert Counter(rankSources(candidates, TARGET, given_rules, chances())) == Counter(candidates)


@given(sourceLists, rules, st.integers())
def test_a_banned_or_bad_replica_is_never_chosen_while_a_good_one_exists(candidates, given_rules, seed):
    assume(any(usable(source) for source in candidates))
    assert usable(chooseSource(candidates, TARGET, given_rules, chances(seed)))


@given(sourceLists, rules)
def test_banned_replicas_stand_at_the_end_and_bad_ones_before_them(candidates, given_rules):
    ranks = [(source.banned, source.bad) for source in rankSources(candidates, TARGET, given_rules, chances())]
    assert ranks == sorted(ranks)


@given(sourceLists, rules)
def test_a_banned_replica_is_never_chosen_at_all(candidates, given_rules):
    chosen = chooseSource(candidates, TARGET, given_rules, chances())
    assert (chosen is None) == all(source.banned for source in candidates)
    assert chosen is None or not chosen.banned


def test_the_only_bad_replica_is_tried_rather_than_waited_with_for_ever():
    chosen = chooseSource([Source("IHEP-JUNOEOS", bad=True)], TARGET, SourceRules(), chances())
    assert chosen is not None


@given(st.lists(otherStorages, min_size=2, max_size=3, unique=True), rules, st.floats(0, 1))
def test_with_equal_ranks_the_choice_spreads(names, given_rules, share):
    """Those that no rule tells apart get about as many copies each."""
    relay = given_rules.relaySE if given_rules.hasRelay(TARGET) else ""
    names = [se for se in names if se != relay and se not in given_rules.preferredFor(TARGET)]
    assume(len(names) >= 2)
    draw = chances()
    found = Counter(
        chooseSource([Source(se, successShare=share) for se in names], TARGET, given_rules, draw).se for _ in range(600)
    )
    assert set(found) == set(names)
    assert min(found.values()) > 600 / len(names) / 2


@given(st.permutations(STORAGES[:3]), st.lists(st.floats(0, 1), min_size=3, max_size=3), st.integers())
def test_the_configured_preference_comes_before_success_and_chance(order, shares, seed):
    given_rules = SourceRules(preferences={TARGET: tuple(order)})
    candidates = [Source(se, successShare=share) for se, share in zip(STORAGES[:3], shares, strict=True)]
    assert [source.se for source in rankSources(candidates, TARGET, given_rules, chances(seed))] == list(order)


def test_default_preferences_are_for_destinations_without_their_own_and_unnamed_sources_come_last():
    given_rules = SourceRules(preferences={"Default": ("CNAF-STORM",), "IN2P3-DCACHE": ("JINR-EOS",)})
    candidates = [Source(se) for se in STORAGES[:2]]
    for seed in range(20):
        assert chooseSource(candidates, TARGET, given_rules, chances(seed)).se == "CNAF-STORM"
    found = {chooseSource(candidates, "IN2P3-DCACHE", given_rules, chances(seed)).se for seed in range(20)}
    assert found == set(STORAGES[:2])


@pytest.mark.parametrize(("shares", "expected"), [((1.0, 0.5), {0}), ((0.98, 1.0), {0, 1}), ((0.2, 0.9), {1})])
def test_recent_success_decides_where_it_differs_by_more_than_a_tenth(shares, expected):
    candidates = [Source(se, successShare=share) for se, share in zip(STORAGES, shares, strict=False)]
    found = {chooseSource(candidates, TARGET, SourceRules(), chances(seed)).se for seed in range(50)}
    assert found == {STORAGES[number] for number in expected}


def test_a_failed_attempt_moves_the_file_to_the_next_source_even_from_the_preferred_one():
    given_rules = SourceRules(preferences={TARGET: ("CNAF-STORM",)}, relaySE="CNAF-STORM", relayFor=frozenset([TARGET]))
    candidates = [Source("CNAF-STORM", failures=1), Source("IHEP-JUNOEOS")]
    assert chooseSource(candidates, TARGET, given_rules, chances()).se == "IHEP-JUNOEOS"


# ---- the relay

RELAY = SourceRules(relaySE="CNAF-STORM", relayFor=frozenset([TARGET]), relayPatienceSeconds=100)


@given(sourceLists, storages, rules, st.floats(allow_nan=False), st.booleans())
def test_the_relay_never_makes_a_file_wait_longer_than_its_patience(candidates, target, given_rules, waited, isExpected):
    if waitsForRelay(candidates, target, given_rules, waited, isExpected):
        assert 0 <= waited < given_rules.relayPatienceSeconds
        assert isExpected
        assert target in given_rules.relayFor
        assert given_rules.relaySE not in {source.se for source in candidates}


@pytest.mark.parametrize(
    ("waited", "target", "at", "isExpected", "expected"),
    [
        (0, TARGET, "IHEP-JUNOEOS", True, True),
        (99, TARGET, "IHEP-JUNOEOS", True, True),
        (100, TARGET, "IHEP-JUNOEOS", True, False),
        (-1, TARGET, "IHEP-JUNOEOS", True, False),
        (0, TARGET, "IHEP-JUNOEOS", False, False),
        (0, TARGET, "CNAF-STORM", True, False),
        (0, "IN2P3-DCACHE", "IHEP-JUNOEOS", True, False),
        (0, "CNAF-STORM", "IHEP-JUNOEOS", True, False),
    ],
)
def test_a_file_waits_only_while_the_relay_will_have_it(waited, target, at, isExpected, expected):
    assert waitsForRelay([Source(at)], target, RELAY, waited, isExpected) is expected


def test_the_copy_at_the_relay_is_taken_before_all_preferences_for_its_destinations_alone():
    given_rules = SourceRules(
        preferences={"Default": ("IHEP-JUNOEOS",)}, relaySE="CNAF-STORM", relayFor=frozenset([TARGET]), relayPatienceSeconds=0
    )
    candidates = [Source("IHEP-JUNOEOS"), Source("CNAF-STORM")]
    assert chooseSource(candidates, TARGET, given_rules, chances()).se == "CNAF-STORM"
    assert chooseSource(candidates, "IN2P3-DCACHE", given_rules, chances()).se == "IHEP-JUNOEOS"


# ---- the rules


def test_rules_are_read_with_their_defaults():
    assert SourceRules.fromOptions({}, {}) == SourceRules()
    found = SourceRules.fromOptions(
        {"RelaySE": " CNAF-STORM ", "RelayFor": "JINR-EOS,IN2P3-DCACHE", "RelayPatienceSeconds": "60", "RecentSeconds": "0"},
        {"JINR-EOS": "CNAF-STORM, IHEP-JUNOEOS", "Default": ""},
    )
    assert found.preferredFor("JINR-EOS") == ("CNAF-STORM", "IHEP-JUNOEOS")
    assert found.preferredFor("elsewhere") == ()
    assert found.hasRelay("IN2P3-DCACHE")
    assert not found.hasRelay("CNAF-STORM")
    assert (found.relayPatienceSeconds, found.recentSeconds) == (60, 0)


@pytest.mark.parametrize(
    ("options", "preferences", "option"),
    [
        ({"RelayFor": "JINR-EOS"}, {}, "RelayFor"),
        ({"RelaySE": "JINR-EOS", "RelayFor": "JINR-EOS"}, {}, "RelayFor"),
        ({"RelaySE": "A, B"}, {}, "RelaySE"),
        ({"RelayPatienceSeconds": "soon"}, {}, "RelayPatienceSeconds"),
        ({"RelayPatienceSeconds": "-1"}, {}, "RelayPatienceSeconds"),
        ({"RecentSeconds": "999999999"}, {}, "RecentSeconds"),
        ({}, {"JINR-EOS": "CNAF-STORM, JINR-EOS"}, "Preferences/JINR-EOS"),
        ({}, {"JINR-EOS": "CNAF-STORM, CNAF-STORM"}, "Preferences/JINR-EOS"),
    ],
)
def test_rules_that_contradict_themselves_are_refused_by_option(options, preferences, option):
    with pytest.raises(BadSourceRules) as caught:
        SourceRules.fromOptions(options, preferences)
    assert caught.value.option == option
    assert caught.value.reason in str(caught.value)
    assert caught.value.remedy in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"), [("FTSPriority", "0"), ("FTSPriority", "6"), ("FTSActivity", "a/b"), ("FTSActivity", "x" * 65)]
)
def test_activity_and_priority_that_fts3_does_not_take_are_refused(option, value):
    with pytest.raises(PolicyError) as caught:
        raw_policy(**{option: value})
    assert caught.value.option == option


# ---- what is remembered


def records_after(error: str, hasFailed: bool = True, number: int = 1, fileID: int = 7) -> TransferRecords:
    """A file was to be copied from CNAF; then it is asked for again, with this outcome."""
    records = TransferRecords()
    records.addChoice(LFN, TARGET, "CNAF-STORM", Attempt(fileID=7, number=0))
    records.settle(LFN, TARGET, Attempt(fileID, number, hasFailed, error=error), now=10)
    return records


def test_a_failure_counts_once_against_its_source_on_its_link_and_for_a_while():
    records = records_after("TRANSFER [110] timeout")
    records.settle(LFN, TARGET, Attempt(7, 2, True, error="TRANSFER [110] timeout"), now=11)
    assert records.sourceAt("CNAF-STORM", LFN, TARGET, 100, now=12).failures == 1
    assert records.sourceAt("IHEP-JUNOEOS", LFN, TARGET, 100, now=12) == Source("IHEP-JUNOEOS")
    assert records.sourceAt("CNAF-STORM", LFN, "IN2P3-DCACHE", 100, now=12).failures == 0
    assert records.sourceAt("CNAF-STORM", "/other", TARGET, 100, now=12).failures == 0
    assert records.sourceAt("CNAF-STORM", LFN, TARGET, 100, now=110).failures == 0


def test_wrong_bytes_make_a_replica_bad_for_all_destinations_and_for_long():
    records = records_after(CHECKSUM_ERROR)
    assert records.sourceAt("CNAF-STORM", LFN, "IN2P3-DCACHE", 100, now=100_000).bad
    assert not records.sourceAt("CNAF-STORM", "/other", "IN2P3-DCACHE", 100, now=11).bad


@pytest.mark.parametrize(
    ("error", "hasFailed", "number"),
    [("", False, 0), ("old", True, 0), ("", False, 1), ("DESTINATION [28] full", True, 1), ("Job 1 not found", True, 1)],
)
def test_what_was_not_submitted_has_not_failed_or_is_others_fault_counts_against_nobody(error, hasFailed, number):
    records = records_after(error, hasFailed, number)
    assert records.sourceAt("CNAF-STORM", LFN, TARGET, 100, now=11) == Source("CNAF-STORM")


def test_a_copy_of_another_request_says_nothing_of_the_earlier_one():
    records = records_after("TRANSFER [5] x", fileID=8)
    assert records.sourceAt("CNAF-STORM", LFN, TARGET, 100, now=11) == Source("CNAF-STORM")


def test_a_copy_under_way_is_settled_when_it_ends():
    records = records_after("", hasFailed=False, number=1)
    records.settle(LFN, TARGET, Attempt(7, 1, True, error="TRANSFER [5] x"), now=11)
    assert records.sourceAt("CNAF-STORM", LFN, TARGET, 100, now=11).failures == 1


def test_a_copy_that_succeeded_speaks_for_nobody_else_and_is_settled():
    records = records_after("", hasFailed=False, number=0)
    records.settle(LFN, TARGET, Attempt(7, 1, hasSucceeded=True, error="old"), now=11)
    records.settle(LFN, TARGET, Attempt(7, 2, hasFailed=True, error="TRANSFER [5] x"), now=12)
    assert records.sourceAt("CNAF-STORM", LFN, TARGET, 100, now=12) == Source("CNAF-STORM")


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=20), st.integers(1, 30))
def test_the_share_of_a_link_is_that_of_its_recent_jobs(jobs, recent):
    records = TransferRecords()
    for now, (copied, failed) in enumerate(jobs):
        records.addJob("A", "B", copied, copied + failed, now)
    counted = jobs[max(len(jobs) - recent + 1, 0) :]  # those that ended less than so many seconds before now = len(jobs)
    copied, total = sum(job[0] for job in counted), sum(sum(job) for job in counted)
    assert records.successShare("A", "B", recent, now=len(jobs)) == (copied + 1) / (total + 1)
    assert records.successShare("B", "A", recent, now=len(jobs)) == 1


def test_what_is_remembered_has_a_limit():
    records = TransferRecords(maxFiles=10)
    for number in range(40):
        lfn = f"/file{number}"
        records.addChoice(lfn, TARGET, "CNAF-STORM", Attempt(number, 0))
        records.settle(lfn, TARGET, Attempt(number, 1, True, error=CHECKSUM_ERROR), now=number)
        records.addChoice(lfn, TARGET, "CNAF-STORM", Attempt(number, 1))
    assert (len(records._choices), len(records._failures)) == (10, 10)
    assert records.sourceAt("CNAF-STORM", "/file39", TARGET, 100, now=40).bad
    assert not records.sourceAt("CNAF-STORM", "/file29", TARGET, 100, now=40).bad
    for number in range(MAX_FAILURES_OF_A_FILE + 5):
        records.addChoice(LFN, TARGET, "CNAF-STORM", Attempt(1, number))
        records.settle(LFN, TARGET, Attempt(1, number + 1, True, error="TRANSFER [5] x"), now=50)
    assert records.sourceAt("CNAF-STORM", LFN, TARGET, 100, now=50).failures == MAX_FAILURES_OF_A_FILE
    for _ in range(MAX_JOBS_OF_A_LINK + 5):
        records.addJob("A", "B", 0, 1, now=60)
    assert records.successShare("A", "B", 100, now=60) == 1 / (MAX_JOBS_OF_A_LINK + 1)


# ---- whose file it is


@pytest.mark.parametrize(
    ("lfn", "expected"),
    [
        (lfn_of(1), True),
        (lfn_of(1).replace("Daq.", "RTRaw."), False),
        (lfn_of(1).replace("/juno/raw", "/juno/rtraw"), False),
        (lfn_of(1).replace("/2023/", "/23/"), False),
        (lfn_of(1) + ".tmp", False),
    ],
)
def test_a_file_is_recognized_by_name_and_directory(lfn, expected):
    assert LFNPattern(raw_policy()).matches(lfn) is expected


def test_every_file_of_a_type_is_recognized_whatever_its_lfn_rule():
    for rule in ("{Directory}/{FileName}", "/{Type}/{Campaign}/{Year}/{MonthDay}/{StreamName}/{FileName}"):
        policy = raw_policy(LFNRule=rule)
        file = policy.resolve(lfn_of(1).rpartition("/")[2], "/eos/juno/raw/2023/0302/")
        assert LFNPattern(policy).matches(file.lfn)
        assert not LFNPattern(policy).matches(f"/elsewhere{file.lfn}")
