"""What the planning of a step's tasks knows of its inputs, of those that are still to come, and of their blocks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from JUNODIRAC.Core.Domain.JobError import JobError, NextTry
from JUNODIRAC.Core.Domain.MergePlan import MergePiece, PieceState

_LOST = frozenset({"GivenUp", "Waived"})
_ELSEWHERE = frozenset(error.value for error in JobError if error.nextTry is NextTry.ELSEWHERE)


@dataclass(frozen=True)
class PlanBlock:
    """A block.

    :param isClosed: no more files come in
    :param transferSEs: storage elements to which it is copied
    """

    blockID: int
    typeName: str
    name: str
    isClosed: bool
    transferSEs: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlanInput:
    """An input of a step: a file of the ledger that was given to it, or a product of an earlier step.

    :param sinceTime: when it was given to the step; None: it is still to be
    :param isDerived: an output of the step has it
    :param recovery: state of its recovery in this step, empty if there was none
    :param error: of the last attempt at it
    :param last: run and sequence of the last input of a product that was made of several; None: those of the first
    """

    lfn: str
    blockID: int
    stream: str
    run: int
    sequence: int
    sizeBytes: int
    sinceTime: datetime | None
    isDerived: bool = False
    recovery: str = ""
    error: str = ""
    attempts: int = 0
    last: tuple[int, int] | None = None

    @property
    def isLost(self) -> bool:
        """Whether the step goes on without it: it was given up, or waived by a person."""
        return self.recovery in _LOST

    @property
    def moves(self) -> int:
        """Attempts at it, if the last one failed in a way that asks for another site."""
        return self.attempts if self.error in _ELSEWHERE else 0


@dataclass(frozen=True)
class Outstanding:
    """The place of something that is still to come into a stream of a block.

    :param lfn: empty if it is not known
    """

    blockID: int
    stream: str
    run: int
    sequence: int
    lfn: str = ""

    @property
    def piece(self) -> MergePiece:
        """As an input of a merge."""
        return MergePiece(self.run, self.sequence, self.lfn, PieceState.PENDING)


def pieceOf(each: PlanInput, asked: Mapping[str, Collection[str]], askedTime: datetime) -> MergePiece:
    """An input of a merge as its planning sees it.

    :param asked: sites by LFN, of all that were free to be planned at ``askedTime``
    """
    if each.isDerived:
        state = PieceState.MERGED
    elif each.isLost:
        state = PieceState.LOST
    elif each.lfn in asked:
        state = PieceState.READY
    elif each.sinceTime is None or each.sinceTime >= askedTime:
        # who asked may not have seen it yet
        state = PieceState.PENDING
    else:
        state = PieceState.TAKEN
    sites = frozenset(asked.get(each.lfn, ()))
    return MergePiece(each.run, each.sequence, each.lfn, state, each.sizeBytes, sites, each.moves, each.last)
