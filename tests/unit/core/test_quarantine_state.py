from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from JUNODIRAC.Core.Domain.FileState import TRANSITIONS, FileState
from JUNODIRAC.Core.Domain.QuarantineState import CannotClose, ClosableRecord, QuarantineState, fileChange, speaksForFile

RECORD = ClosableRecord(7, QuarantineState.OPEN, "ZeroSize", 1, "/juno/a.dat", FileState.QUARANTINED)
CLOSED = [state for state in QuarantineState if state is not QuarantineState.OPEN]


@pytest.mark.parametrize(("state", "newState"), list(product(CLOSED, CLOSED)))
def test_a_closed_record_is_never_closed_again(state, newState):
    with pytest.raises(CannotClose, match=f"announcement 7 .* is {state} already"):
        fileChange(replace(RECORD, state=state), newState, ())


def test_no_record_is_opened_by_hand():
    with pytest.raises(CannotClose, match="replay"):
        fileChange(RECORD, QuarantineState.OPEN, ())


@pytest.mark.parametrize(("newState", "fileState"), list(product(CLOSED, FileState)))
def test_a_file_changes_only_as_the_table_of_transitions_allows(newState, fileState):
    try:
        changed = fileChange(replace(RECORD, fileState=fileState), newState, ())
    except CannotClose as error:
        assert newState is QuarantineState.WAIVED
        assert "/juno/a.dat cannot go" in str(error)
    else:
        assert changed is None or changed in TRANSITIONS[fileState]


def test_waiving_and_dropping_a_quarantined_file_give_it_up_and_a_retry_leaves_it():
    assert fileChange(RECORD, QuarantineState.WAIVED, ()) is FileState.WAIVED
    assert fileChange(RECORD, QuarantineState.WAIVED, [8]) is FileState.WAIVED
    assert fileChange(RECORD, QuarantineState.DROPPED, ()) is FileState.DROPPED
    assert fileChange(RECORD, QuarantineState.DROPPED, [8]) is None
    assert fileChange(RECORD, QuarantineState.RETRIED, ()) is None


@pytest.mark.parametrize("newState", CLOSED)
def test_a_record_that_is_not_about_the_row_never_changes_it(newState):
    for fileState in FileState:
        assert fileChange(replace(RECORD, isOfRow=False, fileState=fileState), newState, ()) is None


def test_a_record_without_a_file_cannot_be_waived():
    nameless = ClosableRecord(7, QuarantineState.OPEN, "BadName")
    with pytest.raises(CannotClose, match="names no file"):
        fileChange(nameless, QuarantineState.WAIVED, ())
    assert fileChange(nameless, QuarantineState.DROPPED, ()) is None


def test_a_conflict_is_about_the_row_only_if_it_made_it():
    assert speaksForFile("ZeroSize", isSameName=True, isSameMessage=False)
    assert speaksForFile("Conflict", isSameName=True, isSameMessage=True)
    assert not speaksForFile("Conflict", isSameName=True, isSameMessage=False)
    assert not speaksForFile("ZeroSize", isSameName=False, isSameMessage=True)
