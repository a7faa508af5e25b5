"""The recovery of the inputs of one step: judged by the truth table, acted on, written down. No clock is read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from JUNODIRAC.Core.Domain.ChainRecoveryRecords import RecoveryPolicy, RecoveryRecord, RecoveryState, jobErrorOf
from JUNODIRAC.Core.Domain.ChainRecoveryTable import (
    InputSituation,
    JobAt,
    RecoveryAction,
    RecoveryRule,
    attemptAt,
    decideRecovery,
    fileAt,
    jobAt,
)
from JUNODIRAC.Core.Domain.JobError import JobError, NextTry
from JUNODIRAC.Core.Logic.ChainRecoveryPorts import (
    AttemptFacts,
    KnownInput,
    RecoveryBook,
    RecoveryFacts,
    RecoveryHands,
    StepOutcome,
    StepUnderRecovery,
    TaskFile,
    TaskJob,
)

ACTOR = "ChainRecoveryAgent"
_A = RecoveryAction
# the attempt has all of it
_DETAIL_CHARS = 300
#: these have a new status in the transformation
_STATUS = {
    _A.SET_PROCESSED: "Processed",
    _A.AGAIN: "Unused",
    _A.RELEASE: "Unused",
    _A.GIVE_UP: "Problematic",
}


@dataclass(frozen=True)
class RecoveryOptions:
    """How it is done.

    :param stuckSeconds: how long nothing may be heard of a job that is stalled
    :param unsubmittedSeconds: how long a task may be without a job
    :param isDry: only say what would be done
    """

    stuckSeconds: float = 1800.0
    unsubmittedSeconds: float = 6 * 3600.0
    policy: RecoveryPolicy = RecoveryPolicy()  # noqa: RUF009 frozen
    isDry: bool = False


@dataclass
class _Case:
    """One input."""

    file: TaskFile
    known: KnownInput
    attempts: Sequence[AttemptFacts]
    job: TaskJob | None
    rule: RecoveryRule
    record: RecoveryRecord | None = None

    @property
    def action(self) -> RecoveryAction:
        """What is done now; a new attempt that is not due yet is waited for, one too many is none."""
        if self.rule.action is _A.AGAIN and self.record is not None:
            if self.record.state is RecoveryState.GIVEN_UP:
                return _A.GIVE_UP
            return _A.WAIT if self.isWaiting else _A.AGAIN
        return self.rule.action

    isWaiting: bool = False


class ChainRecovery:
    """Each decision that changes something is in the journal before it is done."""

    def __init__(self, book: RecoveryBook, facts: RecoveryFacts, hands: RecoveryHands, options: RecoveryOptions) -> None:
        self._book, self._facts, self._hands, self._options = book, facts, hands, options

    def recover(self, step: StepUnderRecovery, files: Sequence[TaskFile], now: datetime) -> StepOutcome:
        """Look at these inputs of a step, and do what is to be done about each."""
        lfns = [each.lfn for each in files]
        taskIDs = {each.taskID for each in files if each.taskID}
        # attempts before jobs and outputs: what ends meanwhile is seen to run, and of what commits meanwhile the output is known
        attempts = self._book.attemptsOfTasks(step.transformationID, taskIDs)
        jobs = self._facts.jobs(step.transformationID, taskIDs)
        known = self._book.knownInputs(step, lfns)
        files = [each for each in files if each.lfn in known]
        actions: Counter[str] = Counter()
        if self._bury(step, [self._judge(step, each, known[each.lfn], attempts, jobs, now) for each in files], actions):
            attempts = self._book.attemptsOfTasks(step.transformationID, taskIDs)
            known = self._book.knownInputs(step, lfns)
        cases = [self._judge(step, each, known[each.lfn], attempts, jobs, now) for each in files if each.lfn in known]
        blamed = _blamed(cases)
        for case in cases:
            if case.rule.action in (_A.AGAIN, _A.GIVE_UP):
                self._account(step, case, now, isBlamed=case.known.lfn in blamed.get(case.file.taskID, {case.known.lfn}))
        failures = self._act(step, cases, actions)
        actions.update(case.action.value for case in cases)
        return StepOutcome(dict(actions), failures)

    # ---- judging

    def _judge(
        self,
        step: StepUnderRecovery,
        file: TaskFile,
        known: KnownInput,
        attempts: Mapping[int, Sequence[AttemptFacts]],
        jobs: Mapping[int, TaskJob],
        now: datetime,
    ) -> _Case:
        own = attempts.get(file.taskID, ())
        job = jobs.get(file.taskID)
        isGivenUp = known.recovery is not None and known.recovery.state in (RecoveryState.GIVEN_UP, RecoveryState.WAIVED)
        times = [time for time in (file.changedTime, *(each.lastTime for each in own)) if time]
        where = jobAt(job.externalID, job.taskStatus, job.jobStatus) if job else JobAt.NOT_SUBMITTED
        isUnsubmitted = where is JobAt.NOT_SUBMITTED
        allowed = self._options.unsubmittedSeconds if isUnsubmitted else self._options.stuckSeconds
        isOld = not times or (now - max(times)).total_seconds() > allowed
        situation = InputSituation(
            fileAt(file.status),
            attemptAt(each.state for each in own),
            where,
            known.isDerived,
            isGivenUp,
            isOld and not (isUnsubmitted and step.isHeld),
        )
        return _Case(file, known, own, job, decideRecovery(situation))

    def _bury(self, step: StepUnderRecovery, cases: Sequence[_Case], actions: Counter[str]) -> bool:
        """Declare the running attempts of jobs dead that are over.

        :returns: whether something may be different now: one that has committed in the last moment is not dead
        """
        dead = {case.file.taskID: case for case in cases if case.rule.action is _A.BURY}
        running = {
            f"attempt {each.attemptID}": f"{each.outputLFN} in step {step.step} of {step.production}: {_jobText(case)}"
            for case in dead.values()
            for each in case.attempts
            if each.state == "Running"
        }
        if not running or self._options.isDry:
            actions[_A.BURY.value] += len(running)
            return False
        self._book.recordDecisions(ACTOR, "chainBury", running)
        for case in dead.values():
            own = [each.attemptID for each in case.attempts if each.state == "Running"]
            actions[_A.BURY.value] += len(self._book.declareDead(own, _jobText(case)))
        return True

    # ---- accounting

    def _account(self, step: StepUnderRecovery, case: _Case, now: datetime, isBlamed: bool) -> None:
        """Say when the next attempt is, or that there is none. A failure is counted once, and waited for after that.

        :param isBlamed: False if the job named other inputs of its task
        """
        known = case.known.recovery
        if known is not None and known.state in (RecoveryState.GIVEN_UP, RecoveryState.WAIVED):
            case.record = known
            return
        noted = known is not None and known.state is RecoveryState.RECOVERING and known.detail.startswith(f"{_taskText(case)}: ")
        if noted and known is not None and known.nextTime is not None:
            case.record, case.isWaiting = known, now < known.nextTime
            return
        error, text = _errorOf(case)
        fresh = RecoveryRecord(
            step.chainID, step.stepNumber, "", case.known.parentID, case.known.blockID, case.known.lfn,
            RecoveryState.SOLVED, 0, "", "", now, now,
        )  # fmt: skip
        before = known if known is not None and known.state is RecoveryState.RECOVERING else fresh
        detail = f"{_taskText(case)}: {text}"[:_DETAIL_CHARS]
        if case.rule.action is _A.GIVE_UP:
            case.record = replace(
                before, state=RecoveryState.GIVEN_UP, error=error.value, detail=detail, lastTime=now, nextTime=None
            )
            return
        # others had some of the inputs and this one is left, or another one is at fault: no failure of its own
        if error.nextTry is NextTry.NOTHING or not isBlamed:
            error = JobError.STOPPED
        case.record = self._options.policy.afterFailure(before, error, detail, now)
        case.isWaiting = case.record.nextTime is not None and now < case.record.nextTime

    # ---- acting

    def _act(self, step: StepUnderRecovery, cases: Sequence[_Case], actions: Counter[str]) -> list[str]:
        records = [case.record for case in cases if case.record is not None and case.record is not case.known.recovery]
        open_ = [case.known.recovery for case in cases if case.known.isDerived and case.known.recovery is not None]
        records += [_solved(each) for each in open_ if each.state is not RecoveryState.SOLVED]
        changed = [case for case in cases if case.action in _STATUS]
        reasons = {case.known.lfn: self._reason(step, case) for case in cases if self._isNews(case)}
        if self._options.isDry:
            return [f"would {text}" for text in reasons.values()]
        byAction: dict[RecoveryAction, dict[str, str]] = defaultdict(dict)
        for case in cases:
            if case.known.lfn in reasons:
                byAction[case.action][case.known.lfn] = reasons[case.known.lfn]
        for action, texts in byAction.items():
            self._book.recordDecisions(ACTOR, f"chain{action.value}", texts)
        self._book.recordRecoveries(records)
        failures: list[str] = []
        byStatus: dict[str, list[str]] = defaultdict(list)
        for case in changed:
            if case.file.status != _STATUS[case.action]:
                byStatus[_STATUS[case.action]].append(case.known.lfn)
        for status, lfns in byStatus.items():
            failed = self._hands.setStatus(step.transformationID, status, lfns)
            failures += [f"{lfn} is not {status}: {why}" for lfn, why in failed.items()]
        return failures

    @staticmethod
    def _isNews(case: _Case) -> bool:
        """Whether something is done, or was decided, that was not said before."""
        isNoted = case.record is not None and case.record is not case.known.recovery
        return isNoted or (case.action in _STATUS and case.file.status != _STATUS[case.action])

    def _reason(self, step: StepUnderRecovery, case: _Case) -> str:
        text = f"{case.action.value} in step {step.step} of {step.production}: {case.rule.name}"
        if case.record is not None:
            count = f"attempt {case.record.attempts} of {self._options.policy.maxAttempts}"
            text += f"; {case.record.error}: {case.record.detail}; {count}"
            if case.record.nextTime is not None:
                text += f", the next one at {case.record.nextTime:%Y-%m-%d %H:%M:%S} UTC"
        return text


def _taskText(case: _Case) -> str:
    return f"task {case.file.taskID}"


def _jobText(case: _Case) -> str:
    if case.job is None or not case.job.externalID:
        return "its task has no job"
    status = "unknown to the WMS" if case.job.jobStatus is None else case.job.jobStatus
    minor = f" ({case.job.minorStatus})" if case.job.minorStatus else ""
    return f"job {case.job.externalID} is {status}{minor}"


def _errorOf(case: _Case) -> tuple[JobError, str]:
    """Why its last job failed."""
    last = case.attempts[-1] if case.attempts else None
    error = jobErrorOf(last.error) if last else JobError.LOST
    where = f" at {last.site}" if last and last.site else ""
    said = last.detail if last and last.detail else _jobText(case)
    return error, f"{said}{where}"


def _blamed(cases: Sequence[_Case]) -> dict[int, set[str]]:
    """By task the inputs that its last job named as those that are at fault; tasks whose job named none are left out."""
    found: dict[int, set[str]] = defaultdict(set)
    for case in cases:
        words = case.attempts[-1].detail.split() if case.attempts else []
        if case.known.lfn in {word.strip(";,:()") for word in words}:
            found[case.file.taskID].add(case.known.lfn)
    return found


def _solved(record: RecoveryRecord) -> RecoveryRecord:
    return replace(record, state=RecoveryState.SOLVED, nextTime=None)
