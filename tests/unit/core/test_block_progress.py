"""Rates, times of arrival, and what is overdue."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fakes import raw_policy
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.BlockProgress import Sample, etaOf, filesPerSecond, outlookOf
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite

pytestmark = pytest.mark.unit

NOW = datetime(2030, 3, 4, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
OPTIONS = {
    "DirectoryDate": "{Year}{MonthDay}",
    "NameDate": "{FileTime}",
    "QuietSeconds": "3600",
    "OverdueSeconds": "7200",
    "SecondLookSeconds": "86400",
}
POLICY = raw_policy(**OPTIONS)


def siteIn(state: BlockState = BlockState.CLOSED, se: str = "A", **changes) -> LivingSite:
    values = {"closedTime": NOW - 10 * HOUR, "progressTime": NOW - 5 * MINUTE} | changes
    return LivingSite(se, 1, state, NOW - 20 * HOUR, **values)


def blockIn(state: BlockState, *sites: LivingSite, **changes) -> LivingBlock:
    values = {"openedTime": NOW - 20 * HOUR, "activeTime": NOW - 12 * HOUR} | changes
    return LivingBlock(1, "Raw", "20300303", "/juno/raw/2030/0303", state, NOW - 20 * HOUR, sites, **values)


def look(block: LivingBlock, done: int | None = 4, first: Sample | None = None, files: int = 10, policy=POLICY):
    samples = {site.se: first for site in block.sites if first}
    return outlookOf(block, files, {site.se: done for site in block.sites}, samples, policy, NOW)


def test_the_rate_is_that_since_the_first_sample_of_the_window_and_falls_while_nothing_comes():
    first = Sample(NOW - 10 * MINUTE, 100)
    assert filesPerSecond(siteIn(), 700, first, NOW) == 1.0
    assert filesPerSecond(siteIn(), 700, first, NOW + 10 * MINUTE) == 0.5


def test_a_young_transfer_has_a_rate_from_its_first_files_on():
    assert filesPerSecond(siteIn(se="A") and replace(siteIn(), createdTime=NOW - 10 * MINUTE), 60, None, NOW) == 0.1


@pytest.mark.parametrize(("done", "first"), [(700, None), (100, Sample(NOW - MINUTE, 100)), (90, Sample(NOW - MINUTE, 100))])
def test_without_progress_there_is_no_rate_and_no_eta(done, first):
    assert filesPerSecond(siteIn(), done, first, NOW) is None
    site = look(blockIn(BlockState.CLOSED, siteIn()), done, first, files=1000).sites["A"]
    assert (site.filesPerSecond, site.etaTime) == (None, None)


def test_a_site_arrives_when_what_is_missing_has_come_at_the_present_rate_and_the_block_with_its_last_site():
    block = blockIn(BlockState.CLOSED, siteIn(se="A"), siteIn(se="B"))
    samples = {"A": Sample(NOW - 10 * MINUTE, 0), "B": Sample(NOW - 10 * MINUTE, 0)}
    found = outlookOf(block, 1200, {"A": 600, "B": 300}, samples, POLICY, NOW)
    assert found.sites["A"].etaTime == NOW + 10 * MINUTE
    assert found.etaTime == found.sites["B"].etaTime == NOW + 30 * MINUTE
    stuck = outlookOf(block, 1200, {"A": 600, "B": 300}, {"A": samples["A"]}, POLICY, NOW)
    assert stuck.etaTime is None  # of one site nobody can say when


@given(st.integers(0, 10**6), st.none() | st.floats(0, 10**6), st.integers(0, 10**6))
def test_an_eta_is_never_in_the_past_and_there_is_none_for_what_is_there(missing, rate, more):
    eta = etaOf(missing, rate, NOW)
    if not missing or not rate:
        assert eta is None
    elif eta is not None:
        assert eta >= NOW
        later = etaOf(missing + more, rate, NOW)
        assert later is None or later >= eta


def test_a_site_without_an_answer_of_the_catalogue_promises_nothing():
    found = look(blockIn(BlockState.CLOSED, siteIn()), None, Sample(NOW - HOUR, 0))
    assert (found.sites["A"].filesPerSecond, found.sites["A"].etaTime) == (None, None)


def test_a_site_without_progress_for_longer_than_its_type_allows_is_overdue_since_then():
    block = blockIn(BlockState.CLOSED, siteIn(progressTime=NOW - 3 * HOUR))
    found = look(block)
    assert found.sites["A"].overdueSince == found.overdueSince == NOW - HOUR
    for policy in (raw_policy(**OPTIONS | {"OverdueSeconds": "0"}), raw_policy(**OPTIONS | {"OverdueSeconds": "20000"}), None):
        assert look(block, policy=policy).overdueSince is None
    assert look(blockIn(BlockState.CLOSED, siteIn())).overdueSince is None


def test_what_is_done_is_never_overdue():
    site = siteIn(BlockState.DONE, progressTime=NOW - 9 * HOUR)
    assert look(blockIn(BlockState.DONE, site), 10).overdueSince is None


def test_a_validated_site_may_wait_for_its_second_look():
    site = siteIn(BlockState.VALIDATED, progressTime=NOW - 30 * HOUR, validatedTime=NOW - 20 * HOUR)
    assert look(blockIn(BlockState.VALIDATED, site), 10).overdueSince is None
    late = replace(site, closedTime=NOW - 60 * HOUR, validatedTime=NOW - 40 * HOUR, progressTime=NOW - 50 * HOUR)
    late = replace(late, createdTime=NOW - 60 * HOUR)
    block = blockIn(BlockState.VALIDATED, late, openedTime=NOW - 60 * HOUR, activeTime=NOW - 60 * HOUR)
    assert look(block, 10).overdueSince == NOW - 40 * HOUR + 26 * HOUR


def test_an_open_block_that_has_all_its_copies_is_not_overdue_before_it_could_be_closed():
    site = siteIn(BlockState.OPEN, closedTime=None, progressTime=NOW - 11 * HOUR)
    # the day ended at midnight, the quiet time at one, so it is overdue from three on
    assert look(blockIn(BlockState.OPEN, site), 10).overdueSince == NOW.replace(hour=3)
    assert look(blockIn(BlockState.OPEN, site), 9).overdueSince == NOW - 9 * HOUR
    today = replace(blockIn(BlockState.OPEN, site), directory="/juno/raw/2030/0304")
    assert look(today, 10).overdueSince is None
    assert look(today, 9).overdueSince is not None


def test_a_block_whose_own_files_have_no_end_is_overdue_though_its_sites_are_done():
    site = siteIn(BlockState.DONE, progressTime=NOW - 9 * HOUR, doneTime=NOW - 4 * HOUR)
    block = blockIn(BlockState.PROBLEM, site, problemTime=NOW - 3 * HOUR)
    assert look(block, 10).overdueSince == NOW - HOUR
