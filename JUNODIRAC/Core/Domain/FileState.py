"""States of a file in the ledger and the one table of transitions between them."""

from __future__ import annotations

from enum import StrEnum


class FileState(StrEnum):
    """Where a file stands between its announcement and the catalogue.

    Waiting: it is not visible on its source storage yet. Waived: a person declared that its block is complete without it.
    Dropped: a person declared that its announcement was none.
    """

    ANNOUNCED = "Announced"
    WAITING = "Waiting"
    REGISTERED = "Registered"
    QUARANTINED = "Quarantined"
    WAIVED = "Waived"
    DROPPED = "Dropped"


# a file that was put right is announced again, also one that a person had given up
_TAKEN_UP = frozenset({FileState.ANNOUNCED, FileState.WAITING})

TRANSITIONS: dict[FileState | None, frozenset[FileState]] = {
    None: frozenset({FileState.ANNOUNCED, FileState.WAITING, FileState.QUARANTINED}),
    FileState.ANNOUNCED: frozenset({FileState.REGISTERED, FileState.WAITING, FileState.QUARANTINED}),
    FileState.WAITING: frozenset({FileState.ANNOUNCED, FileState.QUARANTINED}),
    FileState.QUARANTINED: _TAKEN_UP | {FileState.WAIVED, FileState.DROPPED},
    FileState.WAIVED: _TAKEN_UP,
    FileState.DROPPED: _TAKEN_UP,
    FileState.REGISTERED: frozenset(),
}

#: states from which an announcement takes a file up (again)
OPEN_TO_ANNOUNCEMENTS: frozenset[FileState | None] = frozenset(
    state for state, following in TRANSITIONS.items() if FileState.ANNOUNCED in following
)


class IllegalTransition(Exception):
    """A change of state that the table does not allow; nothing was written."""

    def __init__(self, lfn: str, old: FileState | None, new: FileState) -> None:
        self.lfn, self.old, self.new = lfn, old, new
        super().__init__(f"{lfn} cannot go from {old or 'nothing'} to {new}")


def checkTransition(lfn: str, old: FileState | None, new: FileState) -> None:
    """:raises IllegalTransition: if a file in state ``old`` may not go to ``new``"""
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(lfn, old, new)
