"""States of a block, and of a block at one of its sites, and the one table of transitions between them."""

from __future__ import annotations

from enum import StrEnum


class BlockState(StrEnum):
    """Where a block stands, or its copy at one site.

    Known: files were announced, nothing was opened yet (blocks only). Open: files come in. Closed: no more are expected, copies
    are outstanding. Replicated: every file has a replica. Validated: ledger, catalogue and storage were compared file by file
    and are the same. Done: so they were at the second look, too. Problem: nothing goes on without a person.

    A block is as far as the least of its sites. It is a Problem while one of its sites is, or while its own files have no end.
    """

    KNOWN = "Known"
    OPEN = "Open"
    CLOSED = "Closed"
    REPLICATED = "Replicated"
    VALIDATED = "Validated"
    DONE = "Done"
    PROBLEM = "Problem"


# back to work: a late file was appended, a copy was lost or is made again
_REWORK = frozenset({BlockState.OPEN, BlockState.CLOSED, BlockState.PROBLEM})

TRANSITIONS: dict[BlockState, frozenset[BlockState]] = {
    BlockState.KNOWN: frozenset({BlockState.OPEN}),
    BlockState.OPEN: frozenset({BlockState.CLOSED, BlockState.PROBLEM}),
    BlockState.CLOSED: frozenset({BlockState.REPLICATED, BlockState.OPEN, BlockState.PROBLEM}),
    BlockState.REPLICATED: _REWORK | {BlockState.VALIDATED},
    BlockState.VALIDATED: _REWORK | {BlockState.DONE},
    BlockState.DONE: _REWORK,
    # what was put right starts again from where files come in, or from where copies are outstanding
    BlockState.PROBLEM: frozenset({BlockState.OPEN, BlockState.CLOSED}),
}

#: no file is expected any more: one that comes is late
CLOSED_TO_FILES = frozenset({BlockState.CLOSED, BlockState.REPLICATED, BlockState.VALIDATED, BlockState.DONE, BlockState.PROBLEM})


class IllegalBlockTransition(Exception):
    """A change of state that the table does not allow; nothing was written."""

    def __init__(self, what: str, old: BlockState, new: BlockState) -> None:
        self.old, self.new = old, new
        super().__init__(f"{what} cannot go from {old} to {new}")


def checkBlockTransition(what: str, old: BlockState, new: BlockState) -> None:
    """:raises IllegalBlockTransition: if a block or site in state ``old`` may not go to ``new``"""
    if new not in TRANSITIONS[old]:
        raise IllegalBlockTransition(what, old, new)
