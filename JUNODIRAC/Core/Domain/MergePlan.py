"""Which outputs of one stream of a block are merged into one file.

The pieces of a stream have an order: run, sequence, name. What is planned depends on the pieces alone, not on when or how often
it is asked, so that a restart between a plan and its tasks changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class PieceState(StrEnum):
    """What is known of one input of a merge."""

    #: it is in a merged file
    MERGED = "Merged"
    #: a task has it, or it waits for its next attempt
    TAKEN = "Taken"
    #: it may go into a task now
    READY = "Ready"
    #: it is still to be made, or a number is missing in a block that is still open
    PENDING = "Pending"
    #: it will not come: given up, or waived by a person
    LOST = "Lost"


@dataclass(frozen=True)
class MergePiece:
    """An input of a merge, or the place where one is to come.

    :param name: LFN; empty for one that does not exist
    :param sizeBytes: 0 as long as it is not known
    :param sites: of the step, at which it has a replica
    :param moves: attempts at it that failed in a way that asks for another site
    :param last: run and sequence of the last of the inputs that it was made of; None: it has one
    """

    run: int
    sequence: int
    name: str
    state: PieceState
    sizeBytes: int = 0
    sites: frozenset[str] = frozenset()
    moves: int = 0
    last: tuple[int, int] | None = None

    @property
    def place(self) -> tuple[int, int, str]:
        """By which pieces are in order."""
        return self.run, self.sequence, self.name

    @property
    def end(self) -> tuple[int, int]:
        """Run and sequence of what is last in it."""
        return self.last or (self.run, self.sequence)


@dataclass(frozen=True)
class MergeRule:
    """How large a merged file becomes.

    :param groupBytes: the target; a piece that is larger goes alone
    :param groupFiles: pieces of one file at most
    """

    groupBytes: int
    groupFiles: int

    def __post_init__(self) -> None:
        if self.groupBytes < 1 or self.groupFiles < 1:
            raise ValueError(f"a group has at least one byte and one file, not {self.groupBytes} and {self.groupFiles}")


@dataclass
class _Group:
    """Pieces that follow each other."""

    rule: MergeRule
    pieces: list[MergePiece] = field(default_factory=list)
    sizeBytes: int = 0

    def add(self, piece: MergePiece) -> None:
        self.pieces.append(piece)
        self.sizeBytes += piece.sizeBytes

    def takes(self, piece: MergePiece) -> bool:
        """Whether there is room for another piece behind those it has; an empty group takes any."""
        if not self.pieces:
            return True
        hasRoom = len(self.pieces) < self.rule.groupFiles and self.sizeBytes + piece.sizeBytes <= self.rule.groupBytes
        return hasRoom and (piece.run, piece.sequence) >= max(each.end for each in self.pieces)

    @property
    def isFull(self) -> bool:
        """Whether there is room for none."""
        return len(self.pieces) >= self.rule.groupFiles or self.sizeBytes >= self.rule.groupBytes


def planMerge(pieces: Iterable[MergePiece], rule: MergeRule, isClosed: bool) -> list[tuple[MergePiece, ...]]:
    """The groups of Ready pieces that go out now, in order.

    Nothing goes out that comes after a Pending piece. Pieces that follow each other are filled into a group until the next one
    has no room in it. Such a group goes out; one that still has room for what may come waits until the block is closed. A piece
    that is Merged or Taken ends the group before it, so that a piece that came late never draws together what lies on both sides
    of others; one that is Lost is passed over. So does one that came late and lies inside of the piece before it: the events of
    both in one file would not be in order.

    :param pieces: all of one stream of one block, in any order
    :param isClosed: no more files come into the block
    """
    out: list[tuple[MergePiece, ...]] = []
    group = _Group(rule)
    mayGrow = not isClosed
    for piece in sorted(pieces, key=lambda each: each.place):
        if piece.state is PieceState.LOST:
            continue
        if piece.state is PieceState.PENDING:
            # what comes there may have room in the group, which therefore waits for it though the block is closed
            mayGrow = group.takes(piece)
            break
        isReady = piece.state is PieceState.READY
        if not isReady or not group.takes(piece):
            # the room for the next one is asked even if that is in another task: a task that failed finds its group full again
            if group.pieces and (isClosed or group.isFull or not group.takes(piece)):
                out.append(tuple(group.pieces))
            group = _Group(rule)
        if isReady:
            group.add(piece)
    if group.pieces and (not mayGrow or group.isFull):
        out.append(tuple(group.pieces))
    return out


def targetSite(group: Sequence[MergePiece], sites: Sequence[str]) -> str:
    """The site at which most bytes of the group are, and the next one for each move; what is elsewhere is read from there.

    :param sites: of the step; of equal ones the first is taken
    :raises ValueError: if there is none
    """
    if not sites:
        raise ValueError("a merge needs a site")
    ordered = sorted(sites, key=lambda site: -sum(piece.sizeBytes for piece in group if site in piece.sites))
    return ordered[max(piece.moves for piece in group) % len(ordered)]
