"""What the recovery of chains reads and keeps. All times are UTC."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from JUNODIRAC.Core.Domain.JobError import JobError, NextTry


class RecoveryState(StrEnum):
    """State of an input of a step, or of a copy, that did not work by itself."""

    RECOVERING = "Recovering"
    GIVEN_UP = "GivenUp"  #: a person has to act
    WAIVED = "Waived"  #: by a person: the step goes on without it
    SOLVED = "Solved"


@dataclass(frozen=True)
class RecoveryRecord:
    """A row of Recoveries.

    :param se: of a copy; empty for an input of a job
    :param attempts: those that count
    :param nextTime: when it is given to a job again; None: it is not waited for
    """

    chainID: int
    stepNumber: int
    se: str
    parentID: int
    blockID: int
    lfn: str
    state: RecoveryState
    attempts: int
    error: str
    detail: str
    firstTime: datetime
    lastTime: datetime
    nextTime: datetime | None = None

    @property
    def key(self) -> tuple[int, int, str, int]:
        """As in the table."""
        return self.chainID, self.stepNumber, self.se, self.parentID


@dataclass(frozen=True)
class RecoveryPolicy:
    """How often and how soon.

    :param maxAttempts: counted failures of one input after which a person has to act
    :param firstSeconds: wait after the first one; it doubles with each
    :param maxSeconds: up to this
    """

    maxAttempts: int = 5
    firstSeconds: float = 60.0
    maxSeconds: float = 6 * 3600.0

    def afterFailure(self, known: RecoveryRecord, error: JobError, detail: str, now: datetime) -> RecoveryRecord:
        """The record after one more failure: another attempt at its time, or none.

        :param known: what was written down before, or a new record without attempts
        """
        # what was solved, or retried by a person, begins anew
        before = known.attempts if known.state is RecoveryState.RECOVERING else 0
        attempts = before + error.counts
        told = replace(known, attempts=attempts, error=error.value, detail=detail, lastTime=now)
        if error.nextTry is NextTry.GIVE_UP or attempts >= self.maxAttempts:
            return replace(told, state=RecoveryState.GIVEN_UP, nextTime=None)
        # what does not count comes to an end, too: the longer it goes on, the more seldom it is tried
        age = (now - known.firstTime).total_seconds()
        seconds = self.firstSeconds * 2.0 ** max(0, min(attempts, 30) - 1) if error.counts else max(self.firstSeconds, age / 4)
        wait = timedelta(seconds=min(seconds, self.maxSeconds))
        return replace(told, state=RecoveryState.RECOVERING, nextTime=now + wait)


def jobErrorOf(name: str) -> JobError:
    """The error of an attempt; a job that ended without a word is lost."""
    return next((each for each in JobError if each.value == name), JobError.LOST)
