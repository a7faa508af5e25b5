"""What the recovery of chains needs: facts to judge by, hands to act with, a book to write down. Each raises TemporaryFailure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from JUNODIRAC.Core.Domain.ChainRecoveryRecords import RecoveryRecord


@dataclass(frozen=True)
class StepUnderRecovery:
    """A step of kind process or merge.

    :param sourceNumber: of the step that makes its input; None: its input is files of the ledger
    :param isHeld: a gate or a person keeps it back, so that its tasks wait rightly
    """

    chainID: int
    production: str
    stepNumber: int
    step: str
    transformationID: int
    sourceNumber: int | None = None
    isHeld: bool = False


@dataclass(frozen=True)
class TaskFile:
    """A file in a transformation.

    :param changedTime: of its status
    """

    lfn: str
    status: str
    taskID: int
    changedTime: datetime | None


@dataclass(frozen=True)
class TaskJob:
    """A task with its job.

    :param externalID: id of the job; 0: none
    :param jobStatus: None: the WMS has no such job; empty: it did not tell
    """

    taskID: int
    taskStatus: str
    externalID: int
    jobStatus: str | None
    minorStatus: str = ""


@dataclass(frozen=True)
class AttemptFacts:
    """A row of Attempts."""

    attemptID: int
    taskID: int
    jobID: int
    state: str
    error: str
    detail: str
    lastTime: datetime
    outputLFN: str = ""
    outputSEs: tuple[str, ...] = ()
    site: str = ""


@dataclass(frozen=True)
class KnownInput:
    """What the ledger knows of an input of a step."""

    lfn: str
    parentID: int
    blockID: int
    isDerived: bool
    recovery: RecoveryRecord | None = None


class RecoveryFacts(Protocol):
    """The Transformation System and the WMS."""

    def unsettledFiles(self, transformationID: int, limit: int) -> Sequence[TaskFile]:
        """Files that are Assigned, or set aside, those that did not change for longest first."""

    def filesNamed(self, transformationID: int, lfns: Collection[str]) -> Sequence[TaskFile]:
        """These files."""

    def jobStatuses(self, jobIDs: Collection[int]) -> Mapping[int, tuple[str, str]] | None:
        """Status and minor status of those that the WMS knows; None: it does not tell."""

    def jobs(self, transformationID: int, taskIDs: Collection[int]) -> Mapping[int, TaskJob]:
        """By task."""


class RecoveryHands(Protocol):
    """What is done, with the rights of the production manager. Each returns the files that it did not work for, and why."""

    def setStatus(self, transformationID: int, status: str, lfns: Sequence[str]) -> Mapping[str, str]:
        """In the transformation, whatever it was before."""

    def delete(self, se: str, lfns: Sequence[str]) -> Mapping[str, str]:
        """Remove what lies on a storage; what is not there is no failure."""

    def forget(self, lfns: Sequence[str]) -> Mapping[str, str]:
        """Remove the records from the catalogue; what is not there is no failure."""


class RecoveryBook(Protocol):
    """The ledger."""

    def knownInputs(self, step: StepUnderRecovery, lfns: Collection[str]) -> Mapping[str, KnownInput]:
        """Those of these files that are inputs of the step."""

    def attemptsOfTasks(self, transformationID: int, taskIDs: Collection[int]) -> Mapping[int, Sequence[AttemptFacts]]:
        """By task, in the order of their beginnings."""

    def silentAttempts(self, before: datetime, limit: int) -> Sequence[AttemptFacts]:
        """Attempts that are said to run, and of which nothing was heard since this time, the oldest first."""

    def declareDead(self, attemptIDs: Collection[int], detail: str) -> set[int]:
        """Those of these that were running: they can never commit from now on."""

    def recordRecoveries(self, records: Sequence[RecoveryRecord]) -> None:
        """Write down; rows that exist are replaced."""

    def recordDecisions(self, actor: str, action: str, reasons: Mapping[str, str]) -> None:
        """A row in the journal for each object."""


@dataclass(frozen=True)
class StepOutcome:
    """What a look at a step came to.

    :param actions: how often each was done
    :param failures: what did not work, in words
    """

    actions: Mapping[str, int] = field(default_factory=dict)
    failures: Sequence[str] = ()
