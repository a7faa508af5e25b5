"""States of a file in the ledger and the one table of transitions between them."""

from __future__ import annotations

from enum import StrEnum


class FileState(StrEnum):
    """Where a file stands between its announcement and the catalogue."""

    ANNOUNCED = "Announced"
    REGISTERED = "Registered"
    QUARANTINED = "Quarantined"


TRANSITIONS: dict[FileState | None, frozenset[FileState]] = {
    None: frozenset({FileState.ANNOUNCED, FileState.QUARANTINED}),
    FileState.ANNOUNCED: frozenset({FileState.REGISTERED, FileState.QUARANTINED}),
    # a file that was put right is announced again
    FileState.QUARANTINED: frozenset({FileState.ANNOUNCED}),
    FileState.REGISTERED: frozenset(),
}


class IllegalTransition(Exception):
    """A change of state that the table does not allow; nothing was written."""

    def __init__(self, lfn: str, old: FileState | None, new: FileState) -> None:
        self.lfn, self.old, self.new = lfn, old, new
        super().__init__(f"{lfn} cannot go from {old or 'nothing'} to {new}")


def checkTransition(lfn: str, old: FileState | None, new: FileState) -> None:
    """:raises IllegalTransition: if a file in state ``old`` may not go to ``new``"""
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(lfn, old, new)
