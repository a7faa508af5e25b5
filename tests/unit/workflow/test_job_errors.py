"""How jobs can fail: each way has a code of its own that nobody else uses, and stands in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure, NextTry

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
DIRAC_RESCHEDULES = 222


def test_exit_codes_are_told_apart_from_each_other_and_from_those_of_shells_signals_and_dirac():
    codes = [error.exitCode for error in JobError if error.exitCode]
    assert len(set(codes)) == len(codes)
    assert all(193 <= code <= 254 and code != DIRAC_RESCHEDULES for code in codes)


def test_what_has_no_exit_code_is_what_a_job_does_not_end_with():
    assert {error for error in JobError if not error.exitCode} == {JobError.LOST, JobError.REGISTRATION_LEFT}


def test_what_is_given_up_at_once_or_left_alone_says_who_has_to_do_what():
    assert all(error.remedy and error.sentence for error in JobError)
    assert {error for error in JobError if error.nextTry is NextTry.NOTHING and error.counts} == set()


def test_a_failure_says_name_sentence_and_detail():
    assert str(JobFailure(JobError.INPUT_GONE, "/a")) == "InputGone: the file catalogue has no replica of an input: /a"


def test_a_name_of_a_newer_service_is_no_error_of_its_own():
    assert JobError.named("InputGone") is JobError.INPUT_GONE
    assert JobError.named("Brandnew") is JobError.INTERNAL


def test_every_error_is_in_the_table_of_exit_codes():
    text = (ROOT / "docs/chains.rst").read_text().partition("\nExit codes\n----------\n")[2].partition("\nAudit\n-----\n")[0]
    rows = re.findall(r"   \* - (.*)\n     - ``(\w+)``\n     - (.+)\n     - (.+)\n     - (.+)\n     - (.+)\n", text)
    expected = [
        (
            str(error.exitCode) if error.exitCode else "none",
            str(error),
            error.sentence,
            error.remedy,
            str(error.actor),
            str(error.nextTry) + ("" if error.counts else ", not counted"),
        )
        for error in JobError
    ]
    assert rows == expected
