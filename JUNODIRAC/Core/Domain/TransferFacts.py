"""Everything that is known of one file's copy to one destination, from the ledger to the storage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CopyState(StrEnum):
    """What the destination's storage says of a file, against what the ledger declares."""

    UNKNOWN = "Unknown"  #: not asked, or no answer
    MISSING = "Missing"
    GOOD = "Good"  #: size and checksum are right
    WRONG_SIZE = "WrongSize"
    WRONG_CHECKSUM = "WrongChecksum"


@dataclass(frozen=True)
class TransferFacts:
    """One file and one destination. None stands for "there is none", times are UTC.

    :param fileStatus: of the file in the transformation; None: it is not attached
    :param fileTime: when that last changed
    :param taskStatus: DIRAC's status of the task in which the file is, for example Created, Submitted, Waiting, Done, Failed
    :param requestStatus: of the task's request; ``Gone`` if the request is no longer kept
    :param requestFileStatus: Failed if the file has failed in any operation of the request, else its status in the last one
    :param requestError: what the request says went wrong with the file
    :param operationID: the request's operation that copies the file
    :param ftsStatus: of the file in FTS3 as DIRAC keeps it: New, Submitted, Active, Finished, Failed, Canceled, Defunct ...
    :param ftsAttempts: how many times it was submitted
    :param isRequestWorked: whether FTS3 works on any file of the request: it ends for all of them together
    :param requestActiveTime: when the request or any of its files in FTS3 last changed
    :param hasReplica: whether the catalogue has a replica at the destination; None: it could not be asked
    :param otherSEs: where else the catalogue has replicas
    :param copy: what lies at the destination
    :param copyDetail: what the storage said, in words; empty if it was not asked
    """

    lfn: str
    se: str
    transformationID: int
    fileStatus: str | None = None
    fileTime: datetime | None = None
    errorCount: int = 0
    taskID: int | None = None
    taskStatus: str | None = None
    taskTime: datetime | None = None
    requestID: int | None = None
    requestStatus: str | None = None
    requestFileStatus: str | None = None
    requestTime: datetime | None = None
    requestError: str = ""
    operationID: int | None = None
    ftsStatus: str | None = None
    ftsJobID: str | None = None
    ftsServer: str | None = None
    ftsAttempts: int = 0
    ftsTime: datetime | None = None
    ftsError: str = ""
    isRequestWorked: bool = False
    requestActiveTime: datetime | None = None
    hasReplica: bool | None = None
    otherSEs: tuple[str, ...] = ()
    copy: CopyState = CopyState.UNKNOWN
    copyDetail: str = ""

    @property
    def error(self) -> str:
        """The reason of the last failure, from where it is told best."""
        return self.ftsError or self.requestError
