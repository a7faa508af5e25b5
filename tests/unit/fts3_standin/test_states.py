import errno

import pytest
from fts3_standin.states import (
    FILE_TRANSITIONS,
    TERMINAL_FILE_STATES,
    FileState,
    IllegalTransition,
    JobState,
    check_transition,
    is_recoverable,
    job_state,
    reason_text,
    retry_after_seconds,
)
from hypothesis import given
from hypothesis import strategies as st

F = FileState


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([F.SUBMITTED, F.SUBMITTED], JobState.SUBMITTED),
        ([F.SUBMITTED, F.READY], JobState.ACTIVE),
        ([F.SUBMITTED, F.FINISHED], JobState.ACTIVE),
        ([F.FINISHED, F.FINISHED], JobState.FINISHED),
        ([F.FAILED, F.FAILED], JobState.FAILED),
        ([F.FINISHED, F.FAILED], JobState.FINISHEDDIRTY),
        ([F.FINISHED, F.CANCELED], JobState.CANCELED),
        ([F.CANCELED, F.CANCELED], JobState.CANCELED),
    ],
)
def test_job_state_follows_from_its_files(states, expected):
    assert job_state(enumerate(states)) == expected


def test_a_job_whose_file_waits_for_a_retry_is_under_way():
    assert job_state([(0, F.SUBMITTED)], touched=True) == JobState.ACTIVE


def test_a_file_with_one_good_source_is_finished_whatever_became_of_the_others():
    assert job_state([(0, F.FAILED), (0, F.FINISHED), (0, F.NOT_USED)]) == JobState.FINISHED
    assert job_state([(0, F.FAILED), (0, F.SUBMITTED)]) in (JobState.SUBMITTED, JobState.ACTIVE)


@given(st.lists(st.sampled_from([state for state in FileState if state != F.NOT_USED]), min_size=1))
def test_a_job_is_final_exactly_when_all_its_files_are(states):
    final = job_state(enumerate(states)) not in (JobState.SUBMITTED, JobState.ACTIVE)
    assert final == all(state in TERMINAL_FILE_STATES for state in states)


def test_nothing_follows_a_final_state():
    for state in TERMINAL_FILE_STATES:
        assert not FILE_TRANSITIONS[state]
        with pytest.raises(IllegalTransition):
            check_transition(state, F.SUBMITTED)


@pytest.mark.parametrize(
    ("scope", "code", "message", "expected"),
    [
        ("SOURCE", errno.ENOENT, "Failed to stat file (No such file or directory)", False),
        ("DESTINATION", errno.EEXIST, "Destination file exists and overwrite is not enabled", False),
        ("TRANSFER", errno.ELIBBAD + 4, "CheckSum error", True),
        ("TRANSFER", errno.EINVAL, "Checksum value required if mode is not end to end", True),
        ("TRANSFER", errno.ENOSPC, "No space left on device", False),
        ("SOURCE", errno.ETIMEDOUT, "Connection timed out", True),
        ("TRANSFER", errno.ECANCELED, "Canceled", False),
        ("DESTINATION", errno.EIO, "User-defined and destination ADLER32 checksum do not match (1 != 2)", False),
    ],
)
def test_errors_are_recoverable_as_in_fts3(scope, code, message, expected):
    assert is_recoverable(scope, code, message) is expected


def test_a_retry_waits_for_the_servers_delay_unless_the_job_names_one_and_only_while_retries_are_left():
    assert retry_after_seconds(3, 0, True, 0, 120.0) == 120.0
    assert retry_after_seconds(3, 2, True, 7, 120.0) == 7.0
    assert retry_after_seconds(3, 3, True, 0, 120.0) is None
    assert retry_after_seconds(3, 0, False, 0, 120.0) is None
    assert retry_after_seconds(-1, 0, True, 0, 120.0) is None
    assert retry_after_seconds(0, 0, True, 0, 120.0) is None


def test_reasons_have_one_line_and_no_control_characters():
    assert reason_text("TRANSFER", 14, "Program failed\x00 Got\nan error\\x00") == "TRANSFER [14] Program failed Got an error"
