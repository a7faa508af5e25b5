"""What is done about an input of a step whose job is not simply at work: one table, from all that is known to one action.

The rules are read from above, the first that holds decides, and the last holds always. A job that is merely slow is left alone.
No action can lose or double an event: a dead attempt can never commit, and an input that is in an output is never given again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class RecoveryAction(StrEnum):
    """What is done."""

    SETTLED = "Settled"  #: nothing: its output counts
    WAIT = "Wait"  #: nothing now
    SET_PROCESSED = "SetProcessed"  #: its output counts, the transformation does not know
    BURY = "Bury"  #: declare its running attempts dead, then the table again
    AGAIN = "Again"  #: give it to another job, after a wait; a person if the attempts are used up
    RELEASE = "Release"  #: give it to another job; no job had it, so that no attempt is counted
    GIVE_UP = "GiveUp"  #: to a person


class InputAt(StrEnum):
    """The input in the step's transformation."""

    UNUSED = "Unused"
    ASSIGNED = "Assigned"
    PROCESSED = "Processed"
    STUCK = "Problematic"  #: Problematic, MaxReset ...
    OTHER = "other"  #: not there, Removed ...: somebody's decision


class AttemptAt(StrEnum):
    """What jobs said of its task."""

    NONE = "no attempt"
    RUNNING = "attempt running"
    COMMITTED = "attempt committed"
    OVER = "attempt over"  #: Failed, Refused or Dead


class JobAt(StrEnum):
    """Its task's job, as the WMS has it."""

    NOT_SUBMITTED = "no job yet"
    WAITING = "job waits"
    RUNNING = "job runs"
    STALLED = "job stalled"
    DONE = "job done"
    FAILED = "job failed"  #: Failed, Killed, Deleted
    GONE = "job unknown"
    NOT_TOLD = "the WMS does not tell"


#: no process of such a job is expected to be at work
OVER = frozenset({JobAt.DONE, JobAt.FAILED, JobAt.GONE})
_WAITING = frozenset({"Received", "Checking", "Staging", "Submitting", "Waiting", "Matched", "Rescheduled"})
_STATUSES = {
    **dict.fromkeys(_WAITING, JobAt.WAITING),
    **dict.fromkeys(("Running", "Completing"), JobAt.RUNNING),
    "Stalled": JobAt.STALLED,
    **dict.fromkeys(("Done", "Completed"), JobAt.DONE),
    **dict.fromkeys(("Failed", "Killed", "Deleted"), JobAt.FAILED),
}
_FILES = {each.value: each for each in (InputAt.UNUSED, InputAt.ASSIGNED, InputAt.PROCESSED)}
_FILES |= dict.fromkeys(("Problematic", "MaxReset", "MissingInFC", "ProbInFC"), InputAt.STUCK)


@dataclass(frozen=True)
class InputSituation:
    """One row of the table's left side.

    :param isDerived: it is in an output that counts
    :param isGivenUp: that is written down, so that a person has to act
    :param isOld: nothing was heard of it for longer than it should take
    """

    file: InputAt
    attempt: AttemptAt
    job: JobAt
    isDerived: bool
    isGivenUp: bool
    isOld: bool

    def __str__(self) -> str:
        texts = [self.file, self.attempt, self.job, "in an output" if self.isDerived else "in no output"]
        return ", ".join([*texts, *["given up"] * self.isGivenUp, "old" if self.isOld else "young"])


@dataclass(frozen=True)
class RecoveryRule:
    """One row: its name is what people read."""

    name: str
    holds: Callable[[InputSituation], bool]
    action: RecoveryAction


def _isJobOver(it: InputSituation) -> bool:
    return it.job in OVER or (it.job is JobAt.STALLED and it.isOld)


_A, _F = RecoveryAction, InputAt
RULES: tuple[RecoveryRule, ...] = (
    RecoveryRule("its output counts", lambda it: it.isDerived and it.file is _F.PROCESSED, _A.SETTLED),
    RecoveryRule("somebody took it out of the transformation", lambda it: it.file is _F.OTHER, _A.WAIT),
    RecoveryRule("its output counts, whatever the job says", lambda it: it.isDerived, _A.SET_PROCESSED),
    RecoveryRule("it waits for a task", lambda it: it.file is _F.UNUSED, _A.WAIT),
    RecoveryRule("a person has to act", lambda it: it.isGivenUp and it.file is _F.STUCK, _A.WAIT),
    RecoveryRule("the WMS does not tell", lambda it: it.job is JobAt.NOT_TOLD, _A.WAIT),
    RecoveryRule("its job is over and did not commit", lambda it: it.attempt is AttemptAt.RUNNING and _isJobOver(it), _A.BURY),
    RecoveryRule("its job is at work", lambda it: it.attempt is AttemptAt.RUNNING, _A.WAIT),
    RecoveryRule("it was given up", lambda it: it.isGivenUp, _A.GIVE_UP),
    RecoveryRule("its output is not kept any more", lambda it: it.attempt is AttemptAt.COMMITTED, _A.GIVE_UP),
    RecoveryRule("it is called Processed, and is in no output", lambda it: it.file is _F.PROCESSED, _A.AGAIN),
    RecoveryRule("it was set aside, and is in no output", lambda it: it.file is _F.STUCK, _A.AGAIN),
    RecoveryRule("its task was never submitted", lambda it: it.job is JobAt.NOT_SUBMITTED and it.isOld, _A.RELEASE),
    RecoveryRule("its job is over", _isJobOver, _A.AGAIN),
    RecoveryRule("its job has yet to end", lambda _it: True, _A.WAIT),
)  # fmt: skip


def decideRecovery(situation: InputSituation) -> RecoveryRule:
    """The first rule that holds."""
    return next(rule for rule in RULES if rule.holds(situation))


def fileAt(status: str | None) -> InputAt:
    """Where a file is by its status in the transformation; None: it is not there."""
    return _FILES.get(status or "", InputAt.OTHER)


def jobAt(externalID: int, taskStatus: str, jobStatus: str | None) -> JobAt:
    """Where a job is.

    :param externalID: its id; 0: the task was not submitted
    :param taskStatus: of the task in the Transformation System
    :param jobStatus: what the WMS says; None: it knows no such job; empty: it does not tell
    """
    if not externalID:
        return JobAt.FAILED if taskStatus == "Failed" else JobAt.NOT_SUBMITTED
    if jobStatus is None:
        return JobAt.GONE
    # a status that nobody has heard of is no reason to bury anybody
    return _STATUSES.get(jobStatus, JobAt.RUNNING) if jobStatus else JobAt.NOT_TOLD


def attemptAt(states: Iterable[str]) -> AttemptAt:
    """What the attempts at a task come to: one that runs is waited for, one that committed counts."""
    found = set(states)
    if "Running" in found:
        return AttemptAt.RUNNING
    if "Committed" in found:
        return AttemptAt.COMMITTED
    return AttemptAt.OVER if found else AttemptAt.NONE
