"""The truth table of the recovery of chains: one action for everything, no event lost or doubled, slow jobs left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from JUNODIRAC.Core.Domain.ChainRecoveryRecords import RecoveryPolicy, RecoveryRecord, RecoveryState, jobErrorOf
from JUNODIRAC.Core.Domain.ChainRecoveryTable import (
    OVER,
    RULES,
    AttemptAt,
    InputAt,
    InputSituation,
    JobAt,
    RecoveryAction,
    attemptAt,
    decideRecovery,
    fileAt,
    jobAt,
)
from JUNODIRAC.Core.Domain.JobError import JobError, NextTry

pytestmark = pytest.mark.unit

NOW = datetime(2030, 1, 1, tzinfo=UTC)
BOTH = (True, False)
ALL = [InputSituation(*values) for values in product(InputAt, AttemptAt, JobAt, BOTH, BOTH, BOTH)]
GIVES_AGAIN = {RecoveryAction.AGAIN, RecoveryAction.RELEASE}


def test_every_rule_decides_something_and_the_last_holds_always():
    decided = {decideRecovery(each).name for each in ALL}
    assert decided == {rule.name for rule in RULES}
    assert all(RULES[-1].holds(each) for each in ALL)


def test_an_input_that_is_in_an_output_is_never_given_to_a_job_again_and_never_given_up():
    for each in ALL:
        if each.isDerived:
            allowed = {RecoveryAction.SETTLED, RecoveryAction.SET_PROCESSED, RecoveryAction.WAIT}
            assert decideRecovery(each).action in allowed, each


def test_nothing_is_done_about_an_input_whose_job_is_at_work_or_merely_slow():
    for each in ALL:
        isSlow = each.job in (JobAt.RUNNING, JobAt.WAITING, JobAt.NOT_TOLD) or (each.job is JobAt.STALLED and not each.isOld)
        if each.attempt is AttemptAt.RUNNING and isSlow:
            action = decideRecovery(each).action
            assert action in {RecoveryAction.WAIT, RecoveryAction.SETTLED, RecoveryAction.SET_PROCESSED}, each


def test_an_input_is_given_again_only_when_no_attempt_may_commit_any_more():
    for each in ALL:
        if decideRecovery(each).action in GIVES_AGAIN:
            assert each.attempt in (AttemptAt.NONE, AttemptAt.OVER), each


def test_an_input_without_output_whose_job_is_over_never_waits_for_ever():
    """Either something is done, or a person or the planner has it."""
    for each in ALL:
        isStuck = not each.isDerived and each.file is InputAt.ASSIGNED and each.job in OVER
        if isStuck:
            assert decideRecovery(each).action is not RecoveryAction.WAIT, each


def test_every_status_of_dirac_has_a_place():
    from DIRAC.WorkloadManagementSystem.Client import JobStatus

    states = {value for name, value in vars(JobStatus).items() if name.isupper() and isinstance(value, str)}
    assert states
    placed = {state: jobAt(7, "Submitted", state) for state in states}
    assert {state for state, where in placed.items() if where is JobAt.FAILED} == {"Failed", "Killed", "Deleted"}
    assert placed["Stalled"] is JobAt.STALLED
    assert placed["Done"] is JobAt.DONE
    assert JobAt.NOT_TOLD not in placed.values()
    assert jobAt(7, "Submitted", None) is JobAt.GONE
    assert jobAt(7, "Submitted", "") is JobAt.NOT_TOLD
    assert jobAt(0, "Created", None) is JobAt.NOT_SUBMITTED
    assert jobAt(0, "Failed", None) is JobAt.FAILED


def test_files_and_attempts_have_a_place():
    assert [fileAt(each) for each in ("Unused", "Assigned", "Processed", "MaxReset", "Removed", None)] == [
        InputAt.UNUSED, InputAt.ASSIGNED, InputAt.PROCESSED, InputAt.STUCK, InputAt.OTHER, InputAt.OTHER,
    ]  # fmt: skip
    assert attemptAt([]) is AttemptAt.NONE
    assert attemptAt(["Failed", "Running", "Committed"]) is AttemptAt.RUNNING
    assert attemptAt(["Dead", "Committed"]) is AttemptAt.COMMITTED
    assert attemptAt(["Refused", "Dead"]) is AttemptAt.OVER


@pytest.mark.parametrize("error", list(JobError))
def test_whatever_fails_again_and_again_ends_at_a_person_or_is_tried_ever_more_seldom(error):
    policy = RecoveryPolicy(maxAttempts=4, firstSeconds=10, maxSeconds=1000)
    record = RecoveryRecord(1, 1, "", 7, 2, "/f", RecoveryState.SOLVED, 0, "", "", NOW, NOW)
    now, waits = NOW, []
    for _ in range(40):
        record = policy.afterFailure(record, error, "why", now)
        if record.state is RecoveryState.GIVEN_UP:
            break
        waits.append((record.nextTime - now).total_seconds())
        now = record.nextTime + timedelta(seconds=5)
    if error.nextTry is NextTry.GIVE_UP:
        assert not waits
    elif error.counts:
        assert len(waits) == 3
        assert record.state is RecoveryState.GIVEN_UP
    else:
        assert record.state is RecoveryState.RECOVERING
        assert waits[-1] == 1000
    assert waits == sorted(waits)


def test_an_attempt_that_ended_without_a_word_is_lost():
    assert jobErrorOf("") is JobError.LOST
    assert jobErrorOf("InputCorrupt") is JobError.INPUT_CORRUPT


def test_the_page_names_every_rule():
    text = (Path(__file__).parents[3] / "docs" / "chains.rst").read_text()
    assert [rule.name for rule in RULES if rule.name not in text] == []
