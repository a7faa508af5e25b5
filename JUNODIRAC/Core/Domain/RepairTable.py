"""What is done about a file that did not get to a site: one table, from everything that is known of it to exactly one action.

The rules are read from above, the first that holds decides, and the last holds always. Nothing is deregistered or deleted where
no other good replica is known. Each action but Wait and Ask is counted, and the count is bounded: so every file ends well, or at
a person.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts


class RepairAction(StrEnum):
    """What is done."""

    SETTLED = "Settled"  #: nothing: the file is where it should be
    WAIT = "Wait"  #: nothing now: something else is at work, or somebody else has to act
    ASK = "Ask"  #: the storage has to be asked first, then the table again
    ASK_AGAIN = "AskAgain"  #: it gave no answer: later
    ATTACH = "Attach"  #: put the file into the transformation
    SET_PROCESSED = "SetProcessed"  #: the copy is there and registered
    ADOPT = "Adopt"  #: the copy is there: register it, set Processed
    DEREGISTER = "Deregister"  #: remove the replica's entry and what lies there, then the table again
    RETRY = "Retry"  #: set Unused, whatever the state machine says: a new task is made
    RESET_TASK = "ResetTask"  #: cancel the request if it is still kept, then as Retry
    GIVE_UP = "GiveUp"  #: to a person


#: after these the table is asked again at once, with what is known then
NOT_THE_LAST_STEP = frozenset({RepairAction.ASK, RepairAction.DEREGISTER})
#: they change nothing that could go round in circles
NOT_COUNTED = frozenset(
    {RepairAction.SETTLED, RepairAction.WAIT, RepairAction.ASK, RepairAction.GIVE_UP, RepairAction.DEREGISTER}
)
#: they start a copy
COPIES = frozenset({RepairAction.RETRY, RepairAction.RESET_TASK})


class FileAt(StrEnum):
    """The file in the transformation."""

    NOT_ATTACHED = "not attached"
    UNUSED = "Unused"
    ASSIGNED = "Assigned"
    PROCESSED = "Processed"
    STUCK = "Problematic"  #: Problematic, MissingInFC, ProbInFC or MaxReset
    OTHER = "other"  #: Removed, Moved ...: somebody's decision


class TaskAt(StrEnum):
    """Its task."""

    NONE = "no task"
    CREATED = "task not submitted"
    SUBMITTED = "task submitted"


class RequestAt(StrEnum):
    """The task's request."""

    NONE = "no request"
    OPEN = "request open"
    DONE = "request Done"
    FAILED = "request Failed"
    LOST = "request canceled or gone"


class TransferAt(StrEnum):
    """The file in FTS3, as DIRAC keeps it."""

    NONE = "not in FTS"
    WORKING = "FTS works"
    TRYING = "FTS3Agent tries"  #: waits for a job, the first one or another one
    FINISHED = "FTS finished"
    DEFUNCT = "FTS gave up"


class CopySeen(StrEnum):
    """What the destination's storage says."""

    NOT_ASKED = "copy not asked for"
    NO_ANSWER = "no answer on the copy"
    MISSING = "no copy"
    WRONG = "wrong copy"
    GOOD = "good copy"


class Patience(StrEnum):
    """How often something was done about the file."""

    FRESH = "attempts left"
    EXHAUSTED = "attempts used up"  #: no new copy is tried
    CIRCLING = "goes round"  #: and nothing else either


#: actions without a new copy that are still done when attempts are used up
ACTIONS_AFTER_ATTEMPTS = 5


@dataclass(frozen=True)
class Situation:
    """One row of the table's left side.

    :param replica: whether the catalogue has one at the destination; None: it did not tell
    :param isOld: nothing has changed for longer than it should take
    :param isSuspected: the newest validation named the file, and nothing was done about it since
    :param hasSource: the catalogue has another replica that is not known to be bad
    """

    file: FileAt
    task: TaskAt
    request: RequestAt
    transfer: TransferAt
    replica: bool | None
    copy: CopySeen
    isOld: bool
    isSuspected: bool
    hasSource: bool
    patience: Patience = Patience.FRESH

    def __str__(self) -> str:
        replica = {True: "replica registered", False: "no replica", None: "replica unknown"}[self.replica]
        texts = [self.file, self.task, self.request, self.transfer, replica, self.copy, "old" if self.isOld else "young"]
        texts += ["named by the validation"] * self.isSuspected + ["no good source"] * (not self.hasSource)
        return ", ".join([*texts, self.patience])


@dataclass(frozen=True)
class RepairRule:
    """One row: its name is what people read."""

    name: str
    holds: Callable[[Situation], bool]
    action: RepairAction


def _isBad(it: Situation) -> bool:
    return it.copy in (CopySeen.MISSING, CopySeen.WRONG)


def _isToBeAsked(it: Situation) -> bool:
    return it.isSuspected or it.file is FileAt.STUCK or (it.file is FileAt.ASSIGNED and it.isOld)


_A = RepairAction
_F = FileAt
RULES: tuple[RepairRule, ...] = (
    RepairRule(
        "the last replica is missing or wrong", lambda it: it.replica is True and _isBad(it) and not it.hasSource, _A.GIVE_UP
    ),
    RepairRule(
        "FTS works on it", lambda it: it.transfer is TransferAt.WORKING and it.request is RequestAt.OPEN, _A.WAIT
    ),
    RepairRule("a registered copy is missing or wrong", lambda it: it.replica is True and _isBad(it), _A.DEREGISTER),
    RepairRule(
        "the validation names a good copy again and again",
        lambda it: (
            it.isSuspected
            and it.replica is True
            and it.file is _F.PROCESSED
            and it.copy is CopySeen.GOOD
            and it.patience is not Patience.FRESH
        ),
        _A.GIVE_UP,
    ),
    RepairRule("the catalogue does not tell", lambda it: it.replica is None, _A.WAIT),
    RepairRule("somebody took it out of the transformation", lambda it: it.file is _F.OTHER, _A.WAIT),
    RepairRule(
        "it is there",
        lambda it: (
            it.replica is True
            and it.file is _F.PROCESSED
            and (it.copy is CopySeen.GOOD or (it.copy is CopySeen.NOT_ASKED and not it.isSuspected))
        ),
        _A.SETTLED,
    ),
    RepairRule(
        "a registered copy is in doubt",
        lambda it: it.replica is True and it.copy is CopySeen.NOT_ASKED and _isToBeAsked(it),
        _A.ASK,
    ),
    RepairRule("it goes round in circles", lambda it: it.patience is Patience.CIRCLING, _A.GIVE_UP),
    RepairRule("it is not in the transformation", lambda it: it.file is _F.NOT_ATTACHED, _A.ATTACH),
    RepairRule(
        "the copy is there and registered",
        lambda it: it.replica is True and it.copy is CopySeen.GOOD,
        _A.SET_PROCESSED,
    ),
    RepairRule(
        "the storage never tells of a registered copy",
        lambda it: it.replica is True and it.copy is CopySeen.NO_ANSWER and it.patience is Patience.EXHAUSTED,
        _A.GIVE_UP,
    ),
    RepairRule(
        "the storage does not tell of a registered copy",
        lambda it: it.replica is True and it.copy is CopySeen.NO_ANSWER,
        _A.ASK_AGAIN,
    ),
    RepairRule("it is registered, and becomes Processed by itself", lambda it: it.replica is True, _A.WAIT),
    RepairRule("it waits for a task", lambda it: it.file is _F.UNUSED, _A.WAIT),
    RepairRule("its task waits for a request", lambda it: it.file is _F.ASSIGNED and it.task is TaskAt.CREATED, _A.WAIT),
    RepairRule(
        "it is on its way",
        lambda it: it.file is _F.ASSIGNED and not it.isOld and it.request is not RequestAt.LOST,
        _A.WAIT,
    ),
    RepairRule("perhaps the copy is there", lambda it: it.copy is CopySeen.NOT_ASKED, _A.ASK),
    RepairRule("a good copy is there, not registered", lambda it: it.copy is CopySeen.GOOD, _A.ADOPT),
    RepairRule("no good source is left", lambda it: not it.hasSource, _A.GIVE_UP),
    RepairRule("the attempts are used up", lambda it: it.patience is Patience.EXHAUSTED, _A.GIVE_UP),
    RepairRule("its request is stuck", lambda it: it.request is RequestAt.OPEN, _A.RESET_TASK),
    RepairRule("its request is lost", lambda it: it.request is RequestAt.LOST, _A.RESET_TASK),
    RepairRule("the copy failed", lambda _it: True, _A.RETRY),
)  # fmt: skip


def decide(situation: Situation) -> RepairRule:
    """The first rule that holds."""
    return next(rule for rule in RULES if rule.holds(situation))


_STUCK = frozenset({"Problematic", "MissingInFC", "ProbInFC", "MaxReset"})
_FILES = {each.value: each for each in (_F.UNUSED, _F.ASSIGNED, _F.PROCESSED)} | dict.fromkeys(_STUCK, _F.STUCK)
_REQUESTS = {
    "Done": RequestAt.DONE,
    "Failed": RequestAt.FAILED,
    "Canceled": RequestAt.LOST,
    "Gone": RequestAt.LOST,
}
_TRANSFERS = {
    "New": TransferAt.TRYING,
    "Failed": TransferAt.TRYING,
    "Canceled": TransferAt.TRYING,
    "Finished": TransferAt.FINISHED,
    "Defunct": TransferAt.DEFUNCT,
}
_COPIES = {
    CopyState.GOOD: CopySeen.GOOD,
    CopyState.MISSING: CopySeen.MISSING,
    CopyState.WRONG_SIZE: CopySeen.WRONG,
    CopyState.WRONG_CHECKSUM: CopySeen.WRONG,
}


def isWorking(ftsStatus: str | None) -> bool:
    """Whether FTS3 itself has the file in hand."""
    return ftsStatus is not None and ftsStatus not in _TRANSFERS


def situationOf(
    facts: TransferFacts,
    now: datetime,
    stuckSeconds: float,
    attempts: int = 0,
    maxAttempts: int = 10,
    isSuspected: bool = False,
    badSEs: Collection[str] = (),
    blockedTime: datetime | None = None,
) -> Situation:
    """The left side of the table for one file.

    :param stuckSeconds: how long nothing may change
    :param attempts: what was done about it so far
    :param badSEs: storage elements whose replica of it is known to be bad
    :param blockedTime: until then nothing could be copied there, so that nothing could change
    """
    times = (facts.fileTime, facts.taskTime, facts.requestTime, facts.ftsTime, facts.requestActiveTime, blockedTime)
    changes = [time for time in times if time]
    left = maxAttempts - attempts
    return Situation(
        file=_FILES.get(facts.fileStatus, _F.OTHER) if facts.fileStatus else _F.NOT_ATTACHED,
        task=_taskOf(facts),
        request=_REQUESTS.get(facts.requestStatus, RequestAt.OPEN) if facts.requestStatus else RequestAt.NONE,
        transfer=_transferOf(facts),
        replica=facts.hasReplica,
        copy=_COPIES.get(facts.copy) or (CopySeen.NO_ANSWER if facts.copyDetail else CopySeen.NOT_ASKED),
        isOld=not changes or (now - max(changes)).total_seconds() > stuckSeconds,
        isSuspected=isSuspected,
        hasSource=any(se not in badSEs for se in facts.otherSEs),
        patience=(Patience.FRESH if left > 0 else Patience.EXHAUSTED if left > -ACTIONS_AFTER_ATTEMPTS else Patience.CIRCLING),
    )


def _taskOf(facts: TransferFacts) -> TaskAt:
    if facts.taskStatus is None:
        return TaskAt.NONE
    return TaskAt.SUBMITTED if facts.requestID else TaskAt.CREATED


def _transferOf(facts: TransferFacts) -> TransferAt:
    if facts.isRequestWorked or isWorking(facts.ftsStatus):
        return TransferAt.WORKING
    return _TRANSFERS[facts.ftsStatus] if facts.ftsStatus else TransferAt.NONE
