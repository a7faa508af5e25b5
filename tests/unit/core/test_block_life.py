"""The life of a block: each set of facts leads to one decision, allowed steps, and rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from fakes import raw_policy
from hypothesis import given, settings
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.BlockClosing import BY_END_OF_BLOCK, BY_QUIET, FileCounts, LifePolicy, dayOf, mayBeQuiet
from JUNODIRAC.Core.Domain.BlockLife import BlockFacts, Decision, decideBlock, wayTo
from JUNODIRAC.Core.Domain.BlockState import TRANSITIONS, BlockState
from JUNODIRAC.Core.Domain.LateFiles import CloseBy
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.Core.Domain.SiteLife import SiteFacts
from JUNODIRAC.Core.Domain.Validation import Difference, Look, Validation, Verdict

pytestmark = pytest.mark.unit

KNOWN, OPEN, CLOSED, REPLICATED, VALIDATED, DONE, PROBLEM = BlockState
ORDER = [OPEN, CLOSED, REPLICATED, VALIDATED, DONE]
NOW = datetime(2030, 3, 4, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLICY = LifePolicy(CloseBy.QUIET, quietSeconds=3600, secondLookSeconds=7200, patienceSeconds=1800)
ALL_THERE = SiteFacts(doneFiles=10, unfinishedFiles=0)
TIME_COLUMNS = {
    OPEN: None,
    CLOSED: "closedTime",
    REPLICATED: "replicatedTime",
    VALIDATED: "validatedTime",
    DONE: "doneTime",
    PROBLEM: "problemTime",
}


def makeSite(state: BlockState, se: str = "A", **changes) -> LivingSite:
    times = {"replicatedTime": NOW - 10 * HOUR, "validatedTime": NOW - 8 * HOUR, "doneFiles": 10}
    return LivingSite(se=se, transformationID=1, state=state, createdTime=NOW - 20 * HOUR, **(times | changes))


def makeBlock(state: BlockState, *sites: LivingSite, **changes) -> LivingBlock:
    return LivingBlock(
        **{
            "blockID": 1,
            "typeName": "Raw",
            "name": "20300303",
            "directory": "/d",
            "state": state,
            "createdTime": NOW - 20 * HOUR,
            "sites": sites,
        }
        | changes
    )


def makeFacts(counts: FileCounts | None = None, **changes) -> BlockFacts:
    return BlockFacts(counts if counts is not None else FileCounts(registered=10), **changes)


def validation(isGood: bool, started: datetime, kind: Difference = Difference.MISSING) -> Validation:
    verdict, counts = (Verdict.GOOD, {}) if isGood else (Verdict.BAD, {kind: 1})
    return Validation(1, "A", Look.ASKED, "a", started, started + timedelta(minutes=1), verdict, 10, 10, 9, counts)


def applied(block: LivingBlock, decision: Decision, now: datetime = NOW) -> LivingBlock:
    """The block as the ledger has it afterwards; fails on a step that the table of transitions does not allow."""
    for step in decision.steps:
        changes = {"state": step.new, "problem": step.problem}
        if TIME_COLUMNS[step.new]:
            changes[TIME_COLUMNS[step.new]] = now
        if step.se:
            (site,) = (each for each in block.sites if each.se == step.se)
            assert site.state is step.old
            changed = replace(site, **changes)
            block = replace(block, sites=tuple(changed if each.se == step.se else each for each in block.sites))
        else:
            assert block.state is step.old
            block = replace(block, **changes)
        assert step.new in TRANSITIONS[step.old]
        assert step.reason
    for se, words in decision.problems.items():
        if se:
            block = replace(block, sites=tuple(replace(s, problem=words) if s.se == se else s for s in block.sites))
        else:
            block = replace(block, problem=words)
    return block


# ---- every combination

moments = st.integers(-30, 0).map(lambda hours: NOW + hours * HOUR)
maybeMoments = st.none() | moments
smallNumbers = st.sampled_from([0, 1, 10])
validations = st.none() | st.builds(validation, st.booleans(), moments)
siteFacts = st.builds(
    SiteFacts,
    doneFiles=st.none() | smallNumbers,
    unfinishedFiles=st.none() | st.sampled_from([0, 2]),
    givenUp=st.sampled_from([{}, {"Permission": 2}]),
    activeRepairs=st.sampled_from([0, 1]),
    lastRepair=maybeMoments,
    validation=validations,
)
states = st.sampled_from([OPEN, CLOSED, REPLICATED, VALIDATED, DONE, PROBLEM])
livingSites = st.builds(
    makeSite, states, replicatedTime=maybeMoments, validatedTime=maybeMoments, doneFiles=smallNumbers,
    problem=st.sampled_from(["", "Old: words"]),
)  # fmt: skip
counts = st.builds(
    FileCounts, registered=smallNumbers, waiting=st.sampled_from([0, 1]), quarantined=st.sampled_from([0, 3]), waived=smallNumbers
)
blocks = st.builds(
    lambda state, sites, expected, active: makeBlock(
        state,
        *(replace(site, se=f"SE{number}") for number, site in enumerate(sites)),
        expectedFiles=expected,
        activeTime=active,
    ),
    states,
    st.lists(livingSites, max_size=3),
    st.none() | st.sampled_from([1, 10, 11, 23]),
    maybeMoments,
)
facts = st.builds(
    lambda counts, day, last, sites: BlockFacts(counts, day, last, {f"SE{number}": each for number, each in enumerate(sites)}),
    counts, st.booleans(), maybeMoments, st.lists(siteFacts, max_size=3),
)  # fmt: skip
policies = st.builds(
    LifePolicy, st.sampled_from(CloseBy), st.sampled_from([0, 3600]), st.sampled_from([0, 7200]), st.sampled_from([0, 3600])
)


@settings(max_examples=300, deadline=None)
@given(blocks, facts, policies)
def test_whatever_the_facts_all_steps_are_allowed_and_asked_again_there_is_nothing_left_to_do(block, facts, policy):
    after = applied(block, decideBlock(block, facts, policy, NOW))
    assert decideBlock(after, facts, policy, NOW) == Decision()


@settings(max_examples=300, deadline=None)
@given(blocks, facts, policies)
def test_a_block_is_never_further_than_its_least_site_nor_its_sites_closed_while_it_is_open(block, facts, policy):
    after = applied(block, decideBlock(block, facts, policy, NOW))
    if after.state is PROBLEM:
        assert after.problem
        return
    for site in after.sites:
        if after.state is OPEN:
            assert site.state in (OPEN, PROBLEM)
        else:
            assert site.state is not PROBLEM
            assert ORDER.index(after.state) <= ORDER.index(site.state)


def isNoFurther(block: LivingBlock) -> bool:
    """Whether the block is not further than its least site; a site with a problem is as far as a closed one."""
    if block.state not in ORDER:
        return True
    return all(ORDER.index(block.state) <= (ORDER.index(s.state) if s.state in ORDER else 1) for s in block.sites)


@settings(max_examples=300, deadline=None)
@given(blocks, facts, policies)
def test_whichever_step_is_the_last_before_a_crash_the_block_is_not_further_than_its_least_site(block, facts, policy):
    decision = decideBlock(block, facts, policy, NOW)
    for number in range(len(decision.steps)):
        before = applied(block, Decision(decision.steps[:number]))
        after = applied(block, Decision(decision.steps[: number + 1]))
        step = decision.steps[number]
        # closing comes first, whatever the sites are
        assert not isNoFurther(before) or isNoFurther(after) or step.closedBy


@settings(max_examples=300, deadline=None)
@given(blocks, facts, policies)
def test_more_than_closed_is_a_block_only_with_all_its_files_settled_and_as_many_as_were_declared(block, facts, policy):
    after = applied(block, decideBlock(block, facts, policy, NOW))
    if after.state in (REPLICATED, VALIDATED, DONE):
        assert not facts.counts.unsettled
        assert block.expectedFiles in (None, facts.counts.announced)
        assert after.sites


@settings(max_examples=300, deadline=None)
@given(blocks, facts, policies)
def test_a_site_is_replicated_anew_only_with_all_replicas_and_validated_or_done_only_by_a_good_verdict(block, facts, policy):
    for step in decideBlock(block, facts, policy, NOW).steps:
        known = facts.sites.get(step.se, SiteFacts())
        if step.se and step.new is REPLICATED:
            assert known.doneFiles is not None
            assert known.doneFiles >= facts.counts.registered
            assert known.unfinishedFiles == 0
        if step.se and step.new in (VALIDATED, DONE):
            assert known.validation is not None
            assert known.validation.verdict is Verdict.GOOD


@settings(max_examples=300, deadline=None)
@given(blocks, facts, policies)
def test_every_step_away_from_validated_or_done_says_what_happened(block, facts, policy):
    decision = decideBlock(block, facts, policy, NOW)
    before = {"": block} | {site.se: site for site in block.sites}
    after = applied(block, decision)
    for name, each in ({"": after} | {site.se: site for site in after.sites}).items():
        if each.state is not before[name].state:
            assert [step for step in decision.steps if step.se == name and step.reason]


@pytest.mark.parametrize("old", [CLOSED, REPLICATED, VALIDATED, DONE, PROBLEM])
@pytest.mark.parametrize("new", [CLOSED, REPLICATED, VALIDATED, DONE, PROBLEM])
def test_a_way_leads_from_each_state_of_a_closed_block_to_each_other_without_passing_open_or_problem(old, new):
    way = wayTo(old, new)
    assert not way if old is new else way[-1] is new
    for before, after in zip([old, *way], way, strict=False):
        assert after in TRANSITIONS[before]
    assert not {OPEN, PROBLEM}.intersection(way[:-1])


def test_nothing_becomes_known_again():
    with pytest.raises(ValueError, match="no way"):
        wayTo(OPEN, KNOWN)


# ---- closing


def closing(block: LivingBlock, policy: LifePolicy = POLICY, **changes) -> str | None:
    changes = {"isDayPassed": True, "lastAnnounced": NOW - 2 * HOUR} | changes
    for step in decideBlock(block, makeFacts(changes.pop("counts", None), **changes), policy, NOW).steps:
        if not step.se and step.old is OPEN:
            assert step.new is CLOSED
            return step.closedBy
    return None


def test_a_block_is_closed_when_its_day_has_passed_and_nothing_came_for_the_quiet_time():
    block = makeBlock(OPEN, makeSite(OPEN))
    assert closing(block) == BY_QUIET
    assert closing(block, isDayPassed=False) is None
    assert closing(block, lastAnnounced=NOW - HOUR / 2) is None
    assert closing(block, lastAnnounced=None) is None
    assert closing(block, counts=FileCounts(registered=9, waiting=1)) is None
    assert closing(block, counts=FileCounts(registered=9, quarantined=1)) == BY_QUIET


def test_a_block_is_closed_by_its_announced_end_when_as_many_files_were_announced_whatever_the_day():
    for closeBy in (CloseBy.QUIET, CloseBy.END_OF_BLOCK):
        policy = replace(POLICY, closeBy=closeBy)
        block = makeBlock(OPEN, makeSite(OPEN), expectedFiles=10)
        recent = {"isDayPassed": False, "lastAnnounced": None}
        assert closing(block, policy, **recent) == BY_END_OF_BLOCK
        assert closing(block, policy, counts=FileCounts(registered=7, quarantined=2, waived=1), **recent) == BY_END_OF_BLOCK
        assert closing(block, policy, counts=FileCounts(registered=9, waiting=1), **recent) is None
        assert closing(block, policy, counts=FileCounts(registered=9), **recent) is None
        assert closing(block, policy, counts=FileCounts(registered=11), **recent) == BY_END_OF_BLOCK


def test_a_quiet_time_closes_no_block_whose_type_wants_an_announcement_or_an_operator():
    block = makeBlock(OPEN, makeSite(OPEN))
    assert closing(block, replace(POLICY, closeBy=CloseBy.END_OF_BLOCK)) is None
    assert closing(replace(block, expectedFiles=10), replace(POLICY, closeBy=CloseBy.OPERATOR)) is None


def test_a_quiet_block_with_fewer_files_than_declared_is_closed_and_then_a_problem_that_says_how_many_are_missing():
    block = makeBlock(OPEN, makeSite(OPEN), expectedFiles=12)
    known = makeFacts(isDayPassed=True, lastAnnounced=NOW - 2 * HOUR, sites={"A": ALL_THERE})
    after = applied(block, decideBlock(block, known, POLICY, NOW))
    assert (after.state, after.sites[0].state) == (PROBLEM, REPLICATED)
    assert after.problem.startswith("MissingFiles: 12 files were declared and 10 announced")


def test_more_files_than_declared_are_a_problem():
    block = makeBlock(CLOSED, makeSite(CLOSED), expectedFiles=9)
    after = applied(block, decideBlock(block, makeFacts(sites={"A": ALL_THERE}), POLICY, NOW))
    assert after.state is PROBLEM
    assert after.problem.startswith("SurplusFiles: 9 files were declared and 10 announced")


def test_only_a_block_that_may_be_quiet_is_asked_for_its_last_announcement():
    assert mayBeQuiet(makeBlock(OPEN, activeTime=NOW - 2 * HOUR), POLICY, NOW)
    assert mayBeQuiet(makeBlock(OPEN), POLICY, NOW)
    assert not mayBeQuiet(makeBlock(OPEN, activeTime=NOW - HOUR / 2), POLICY, NOW)
    assert not mayBeQuiet(makeBlock(CLOSED, activeTime=NOW - 2 * HOUR), POLICY, NOW)
    assert not mayBeQuiet(makeBlock(OPEN, activeTime=NOW - 2 * HOUR), replace(POLICY, closeBy=CloseBy.OPERATOR), NOW)


# ---- a site


def test_an_undisturbed_block_goes_from_open_to_done_and_each_stage_has_its_time():
    block = makeBlock(OPEN, makeSite(OPEN, replicatedTime=None, validatedTime=None))
    known = makeFacts(isDayPassed=True, lastAnnounced=NOW - 2 * HOUR, sites={"A": SiteFacts(doneFiles=9, unfinishedFiles=1)})
    block = applied(block, decideBlock(block, known, POLICY, NOW))
    assert (block.state, block.sites[0].state) == (CLOSED, CLOSED)
    known = makeFacts(sites={"A": ALL_THERE})
    block = applied(block, decideBlock(block, known, POLICY, NOW + HOUR), NOW + HOUR)
    assert (block.state, block.sites[0].state) == (REPLICATED, REPLICATED)
    first = replace(ALL_THERE, validation=validation(True, NOW + HOUR))
    decision = decideBlock(block, makeFacts(sites={"A": first}), POLICY, NOW + 2 * HOUR)
    assert [step.se for step in decision.steps] == ["A", ""]  # the site first: a block is never further than its sites
    block = applied(block, decision, NOW + 2 * HOUR)
    assert (block.state, block.sites[0].state) == (VALIDATED, VALIDATED)
    early = makeFacts(sites={"A": replace(ALL_THERE, validation=validation(True, NOW + 3 * HOUR))})
    assert decideBlock(block, early, POLICY, NOW + 3 * HOUR) == Decision()
    second = makeFacts(sites={"A": replace(ALL_THERE, validation=validation(True, NOW + 4 * HOUR))})
    block = applied(block, decideBlock(block, second, POLICY, NOW + 5 * HOUR), NOW + 5 * HOUR)
    assert (block.state, block.sites[0].state) == (DONE, DONE)
    assert (block.closedTime, block.replicatedTime, block.validatedTime, block.doneTime) == (
        NOW, NOW + HOUR, NOW + 2 * HOUR, NOW + 5 * HOUR,
    )  # fmt: skip


def test_a_block_waits_for_its_slowest_site_and_the_others_go_on():
    block = makeBlock(CLOSED, makeSite(CLOSED, "A"), makeSite(CLOSED, "B"))
    known = {"A": replace(ALL_THERE, validation=None), "B": SiteFacts(doneFiles=3, unfinishedFiles=7)}
    after = applied(block, decideBlock(block, makeFacts(sites=known), POLICY, NOW))
    assert (after.state, [site.state for site in after.sites]) == (CLOSED, [REPLICATED, CLOSED])


@pytest.mark.parametrize("state", [REPLICATED, VALIDATED, DONE])
def test_a_bad_validation_takes_a_site_back_and_the_block_goes_first(state):
    block = makeBlock(state, makeSite(state))
    known = makeFacts(sites={"A": replace(ALL_THERE, validation=validation(False, NOW - HOUR))})
    steps = decideBlock(block, known, POLICY, NOW - HOUR).steps
    assert [(step.se, step.new) for step in steps][:2] == [("", CLOSED), ("A", CLOSED)]
    assert "1 missing" in steps[1].reason


def test_after_a_bad_validation_a_site_is_not_replicated_before_something_was_repaired():
    bad = validation(False, NOW - HOUR / 4, Difference.WRONG_CHECKSUM)
    block = makeBlock(CLOSED, makeSite(CLOSED))
    repaired = NOW - timedelta(minutes=5)

    def state(**changes) -> BlockState:
        known = makeFacts(sites={"A": replace(ALL_THERE, validation=bad, **changes)})
        return applied(block, decideBlock(block, known, POLICY, NOW)).sites[0].state

    assert state() is CLOSED
    assert state(activeRepairs=1, lastRepair=repaired) is CLOSED
    assert state(lastRepair=bad.startedTime - HOUR) is CLOSED
    assert state(lastRepair=repaired) is REPLICATED


def test_what_a_validation_found_and_nothing_repairs_is_a_problem_until_it_is_repaired_or_found_good():
    bad = validation(False, NOW - 2 * HOUR, Difference.EXTRA)
    block = makeBlock(CLOSED, makeSite(CLOSED))
    known = makeFacts(sites={"A": replace(ALL_THERE, validation=bad)})
    after = applied(block, decideBlock(block, known, POLICY, NOW))
    assert (after.state, after.sites[0].state) == (PROBLEM, PROBLEM)
    assert after.sites[0].problem.startswith("ValidationBad: ")
    assert "A: ValidationBad: " in after.problem
    for cure in ({"lastRepair": NOW}, {"validation": validation(True, NOW)}):
        known = makeFacts(sites={"A": replace(ALL_THERE, **({"validation": bad} | cure))})
        cured = applied(after, decideBlock(after, known, POLICY, NOW))
        assert cured.state in (REPLICATED, VALIDATED)


def test_files_that_were_given_up_make_a_problem_with_their_classes_and_it_ends_with_them():
    block = makeBlock(CLOSED, makeSite(CLOSED, "A"), makeSite(CLOSED, "B"))
    stuck = SiteFacts(doneFiles=8, unfinishedFiles=2, givenUp={"Permission": 2})
    after = applied(block, decideBlock(block, makeFacts(sites={"A": stuck, "B": ALL_THERE}), POLICY, NOW))
    assert (after.state, [site.state for site in after.sites]) == (PROBLEM, [PROBLEM, REPLICATED])
    assert "A: GivenUpFiles: 2 file(s)" in after.problem
    assert "Permission 2" in after.problem
    more = makeFacts(sites={"A": replace(stuck, givenUp={"Permission": 3}), "B": ALL_THERE})
    decision = decideBlock(after, more, POLICY, NOW)
    assert not decision.steps
    assert "Permission 3" in decision.problems["A"]
    assert "Permission 3" in decision.problems[""]
    cured = applied(after, decideBlock(after, makeFacts(sites={"A": ALL_THERE, "B": ALL_THERE}), POLICY, NOW))
    assert (cured.state, [site.state for site in cured.sites]) == (REPLICATED, [REPLICATED, REPLICATED])


def test_an_open_block_takes_files_on_while_one_of_its_sites_has_a_problem():
    block = makeBlock(OPEN, makeSite(OPEN))
    known = makeFacts(sites={"A": SiteFacts(doneFiles=8, unfinishedFiles=2, givenUp={"Permission": 2})})
    after = applied(block, decideBlock(block, known, POLICY, NOW))
    assert (after.state, after.sites[0].state) == (OPEN, PROBLEM)
    cured = applied(after, decideBlock(after, makeFacts(), POLICY, NOW))
    assert (cured.state, cured.sites[0].state) == (OPEN, OPEN)


def test_quarantined_files_make_a_problem_only_when_nothing_else_is_under_way():
    counts = FileCounts(registered=10, quarantined=3)
    copying = makeFacts(counts, sites={"A": SiteFacts(doneFiles=3, unfinishedFiles=7)})
    block = makeBlock(CLOSED, makeSite(CLOSED))
    assert decideBlock(block, copying, POLICY, NOW) == Decision()
    after = applied(block, decideBlock(block, makeFacts(counts, sites={"A": ALL_THERE}), POLICY, NOW))
    assert (after.state, after.sites[0].state) == (PROBLEM, REPLICATED)
    assert after.problem.startswith("QuarantinedFiles: 3 files")
    settled = FileCounts(registered=10, waived=3)
    cured = applied(after, decideBlock(after, makeFacts(settled, sites={"A": ALL_THERE}), POLICY, NOW))
    assert cured.state is REPLICATED


def test_a_closed_block_goes_no_further_while_one_of_its_files_waits_and_that_is_no_problem():
    block = makeBlock(CLOSED, makeSite(CLOSED))
    counts = FileCounts(registered=10, waiting=1)
    after = applied(block, decideBlock(block, makeFacts(counts, sites={"A": ALL_THERE}), POLICY, NOW))
    assert (after.state, after.sites[0].state) == (CLOSED, REPLICATED)


def test_a_file_that_was_registered_while_a_site_became_replicated_takes_it_back():
    block = makeBlock(VALIDATED, makeSite(VALIDATED))
    steps = decideBlock(block, makeFacts(FileCounts(registered=11)), POLICY, NOW).steps
    assert [(step.se, step.new) for step in steps] == [("", CLOSED), ("A", CLOSED)]


def test_a_new_destination_of_a_done_block_is_closed_at_once_and_takes_the_block_back():
    block = makeBlock(DONE, makeSite(DONE, "A"), makeSite(OPEN, "B", doneFiles=0))
    after = applied(block, decideBlock(block, makeFacts(), POLICY, NOW))
    assert (after.state, [site.state for site in after.sites]) == (CLOSED, [DONE, CLOSED])


def test_a_block_that_was_reopened_takes_its_sites_with_it():
    block = makeBlock(OPEN, makeSite(DONE, "A"), makeSite(CLOSED, "B"), makeSite(REPLICATED, "C"))
    after = applied(block, decideBlock(block, makeFacts(), POLICY, NOW))
    assert {site.state for site in after.sites} == {OPEN}


def test_without_an_answer_of_the_services_nothing_moves():
    for state in (CLOSED, REPLICATED, VALIDATED, DONE):
        block = makeBlock(state, makeSite(state))
        assert decideBlock(block, makeFacts(), POLICY, NOW) == Decision()


# ---- the day


@pytest.mark.parametrize(
    ("directory", "expected"),
    [("/juno/raw/2023/0302", date(2023, 3, 2)), ("/juno/raw/2023/1399", None), ("/elsewhere", None), ("", None)],
)
def test_the_day_of_a_directory_is_that_of_the_types_rule_or_none(directory, expected):
    assert dayOf(raw_policy(DirectoryDate="{Year}{MonthDay}", NameDate="{FileTime}"), directory) == expected
    assert dayOf(raw_policy(), directory) is None
