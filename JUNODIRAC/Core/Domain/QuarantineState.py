"""States of a refused announcement, and what it means for its file when a person closes it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from JUNODIRAC.Core.Domain.FileState import FileState, IllegalTransition, checkTransition
from JUNODIRAC.Core.Domain.Reason import Reason


class QuarantineState(StrEnum):
    """Open: somebody has to act. Retried: the message was replayed, or its file was announced again."""

    OPEN = "Open"
    RETRIED = "Retried"
    WAIVED = "Waived"
    DROPPED = "Dropped"


_FILE_STATES = {QuarantineState.WAIVED: FileState.WAIVED, QuarantineState.DROPPED: FileState.DROPPED}


class CannotClose(Exception):
    """A refused announcement cannot be closed in this way; nothing was written."""

    def __init__(self, quarantineID: int, why: str) -> None:
        self.quarantineID = quarantineID
        super().__init__(f"announcement {quarantineID} of the quarantine {why}")


@dataclass(frozen=True)
class ClosableRecord:
    """What decides whether a record can be closed.

    :param fileID: None if no LFN could be made of the announcement
    :param isOfName: whether the row has this very name, and not one that differs from it in case
    :param isOfRow: whether the file's row stands for this name and message, and not for another one that it contradicts
    """

    quarantineID: int
    state: QuarantineState
    reason: str
    fileID: int | None = None
    lfn: str = ""
    fileState: FileState | None = None
    isOfName: bool = True
    isOfRow: bool = True


def speaksForFile(reason: str, isSameName: bool, isSameMessage: bool) -> bool:
    """Whether a record is about the row that it is kept with.

    Not a contradiction of a row that another message made, and not a name that differs from the row's in case.
    """
    return isSameName and (reason != Reason.CONFLICT or isSameMessage)


def fileChange(record: ClosableRecord, newState: QuarantineState, openBeside: Collection[int]) -> FileState | None:
    """What the file's state becomes when this record is closed; None: it stays.

    :param openBeside: ids of the other records of the file that are about its row, and stay open
    :raises CannotClose: if the record is closed already, or cannot be closed in this way
    """
    if newState is QuarantineState.OPEN:
        raise CannotClose(record.quarantineID, "cannot be opened by hand: replay its message")
    if record.state is not QuarantineState.OPEN:
        raise CannotClose(record.quarantineID, f"is {record.state} already; only an Open one can become {newState}")
    if newState is QuarantineState.RETRIED:
        return None
    if newState is QuarantineState.WAIVED and record.fileID is None:
        raise CannotClose(record.quarantineID, "names no file that a block could go without; drop it, or replay it after a fix")
    if not record.isOfRow or record.fileState is None:
        return None
    fileState = _FILE_STATES[newState]
    if newState is QuarantineState.DROPPED and (record.fileState is not FileState.QUARANTINED or openBeside):
        return None
    if record.fileState is fileState:
        return None
    try:
        checkTransition(record.lfn, record.fileState, fileState)
    except IllegalTransition as error:
        raise CannotClose(record.quarantineID, f"cannot become {newState}: {error}") from error
    return fileState
