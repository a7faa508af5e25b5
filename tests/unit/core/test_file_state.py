"""The table of transitions is the only way from state to state."""

from __future__ import annotations

import pytest

from JUNODIRAC.Core.Domain.FileState import OPEN_TO_ANNOUNCEMENTS, TRANSITIONS, FileState, IllegalTransition, checkTransition
from JUNODIRAC.Core.Domain.Reason import Reason

pytestmark = pytest.mark.unit

ALLOWED = {
    (None, "Announced"),
    (None, "Waiting"),
    (None, "Quarantined"),
    ("Announced", "Registered"),
    ("Announced", "Waiting"),
    ("Announced", "Quarantined"),
    ("Waiting", "Announced"),
    ("Waiting", "Quarantined"),
    ("Quarantined", "Announced"),
    ("Quarantined", "Waiting"),
    ("Quarantined", "Waived"),
    ("Quarantined", "Dropped"),
    ("Waived", "Announced"),
    ("Waived", "Waiting"),
    ("Dropped", "Announced"),
    ("Dropped", "Waiting"),
}


@pytest.mark.parametrize("old", [None, *FileState])
@pytest.mark.parametrize("new", list(FileState))
def test_exactly_the_allowed_transitions_pass(old: FileState | None, new: FileState) -> None:
    if (old, new) in ALLOWED:
        checkTransition("/a/b", old, new)
    else:
        with pytest.raises(IllegalTransition, match=f"/a/b cannot go from {old or 'nothing'} to {new}"):
            checkTransition("/a/b", old, new)


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == {None, *FileState}


def test_everything_but_what_is_on_its_way_or_registered_is_taken_up_by_an_announcement() -> None:
    assert {None, *FileState} - OPEN_TO_ANNOUNCEMENTS == {FileState.ANNOUNCED, FileState.REGISTERED}


def test_every_reason_has_a_code_a_sentence_and_a_remedy() -> None:
    for reason in Reason:
        assert str(reason) == reason.value
        assert reason.sentence
        assert reason.remedy
    assert len({reason.value for reason in Reason}) == len(Reason)
