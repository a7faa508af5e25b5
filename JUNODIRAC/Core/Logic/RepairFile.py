"""One file in the course of a look of the repair."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.RepairRecords import DeclaredCopy, RepairRecord, RepairState
from JUNODIRAC.Core.Domain.RepairTable import NOT_COUNTED, RepairAction, RepairRule, decide, situationOf
from JUNODIRAC.Core.Domain.TransferErrors import POLICIES, ErrorClass, classify
from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts

LOOK_SECONDS = 60.0  # from a copy's start to the next look at it
GIVEN_UP_SECONDS = 3600.0  # between looks at one that a person has to see to: perhaps he has
FORGET_SECONDS = 86400.0  # after which a file that was repaired has all its attempts again

WRONG = (CopyState.WRONG_SIZE, CopyState.WRONG_CHECKSUM)


@dataclass(frozen=True)
class RepairOptions:
    """How patient the repair is.

    :param stuckSeconds: how long nothing may change at a file that is under way
    :param timeScale: all waiting times are multiplied by this
    """

    stuckSeconds: float = 3600.0
    timeScale: float = 1.0


@dataclass
class FileUnderRepair:
    """A file with what is known of it and what was decided.

    :param isSuspected: a validation named it, and nothing was done about it since
    :param attempts: counted actions so far
    :param badSEs: where its replica is known to be bad
    :param failure: why the action of now did not work, or what the sources said
    """

    lfn: str
    facts: TransferFacts
    declared: DeclaredCopy
    record: RepairRecord | None
    isSuspected: bool
    attempts: int
    maxAttempts: int
    badSEs: set[str] = field(default_factory=set)
    isDeregistered: bool = False
    isWaiting: bool = False
    rule: RepairRule | None = None
    failure: str = ""

    def decide(self, now: datetime, stuckSeconds: float, blockedTime: datetime | None = None) -> None:
        """Ask the truth table."""
        counted = (self.attempts, self.maxAttempts)
        situation = situationOf(self.facts, now, stuckSeconds, *counted, self.isSuspected, self.badSEs, blockedTime)
        self.rule = decide(situation)

    @property
    def action(self) -> RepairAction:
        """What the table says."""
        assert self.rule
        return self.rule.action

    @property
    def expected(self) -> tuple[int, str]:
        """Size in bytes and adler32."""
        return self.declared.sizeBytes, self.declared.checksum

    @property
    def isUnsourced(self) -> bool:
        """Whether all other replicas are known to be bad."""
        return bool(self.facts.otherSEs) and self.badSEs.issuperset(self.facts.otherSEs)

    @property
    def errorClass(self) -> ErrorClass:
        """What is wrong with it, as far as one knows."""
        told = classify(self.facts.error)
        if self.isUnsourced:
            return ErrorClass.SOURCE_MISSING if told is ErrorClass.SOURCE_MISSING else ErrorClass.SOURCE_CORRUPT
        if self.isDeregistered or self.facts.hasReplica or self.facts.fileStatus == "Processed":
            # what failed before it was copied, is over
            return ErrorClass.CHECKSUM_MISMATCH if self.facts.copy in WRONG else ErrorClass.COPY_LOST
        if not self.facts.error and self.facts.requestStatus in ("Canceled", "Gone"):
            return ErrorClass.LOST
        return told

    @property
    def errorText(self) -> str:
        """The reason in words."""
        copy = self.facts.copyDetail if self.facts.copy is not CopyState.GOOD else ""
        if self.isDeregistered or self.facts.fileStatus == "Processed":
            return self.failure or copy
        return self.failure or self.facts.error or copy

    @property
    def failedTime(self) -> datetime | None:
        """When the last copy failed; None: there was none, or it is not known."""
        if self.facts.fileStatus == "Processed":
            return None
        times = (self.facts.fileTime, self.facts.requestTime, self.facts.ftsTime)
        return max((time for time in times if time), default=None)

    def dueTime(self, now: datetime, timeScale: float) -> datetime:
        """When the next copy may be started. The back-off counts from the failure."""
        since = self.failedTime
        if since is None:
            if not self.attempts or self.record is None:
                return now
            since = self.record.lastTime
        return since + timedelta(seconds=POLICIES[self.errorClass].backOffSeconds(self.attempts + 1) * timeScale)

    # ---- what is written down

    def newRecord(self, blockID: int, now: datetime, nextTime: datetime) -> RepairRecord | None:
        """What is to be kept of this look; None: nothing has changed.

        :param nextTime: when it is looked at next, unless it is settled
        """
        before, action = self.record, RepairAction.WAIT if self.isWaiting else self.action
        isQuiet = action is RepairAction.WAIT or (
            action is RepairAction.GIVE_UP and before is not None and before.state is RepairState.GIVEN_UP
        )
        if action is RepairAction.SETTLED and not self.isSuspected and not self._isOpen:
            return None
        if action is RepairAction.WAIT and not self.isWaiting and not self._isOpen:
            return None
        return RepairRecord(
            blockID=blockID,
            se=self.facts.se,
            fileID=self.declared.fileID,
            state=self._newState(action),
            situation=self.rule.name if self.rule else "",
            action=before.action if before and action is RepairAction.WAIT and not self.isWaiting else action.value,
            errorClass=self._newClass(action),
            error=self.errorText or (before.error if before else ""),
            attempts=self.attempts + self.isCounted,
            firstTime=before.firstTime if before and self._isOpen else now,
            lastTime=before.lastTime if before and isQuiet else now,
            nextTime=None if action is RepairAction.SETTLED else nextTime,
        )

    @property
    def isCounted(self) -> bool:
        """Whether this look's action counts as an attempt."""
        if self.isWaiting:
            return False
        if self.action is RepairAction.SETTLED:
            return self.isSuspected  # the validation will see it the same way again
        return self.action not in NOT_COUNTED or self.action is RepairAction.DEREGISTER

    @property
    def _isOpen(self) -> bool:
        return self.record is not None and self.record.state is not RepairState.REPAIRED

    def _newState(self, action: RepairAction) -> RepairState:
        if action is RepairAction.SETTLED:
            return RepairState.REPAIRED
        isStubborn = action is RepairAction.DEREGISTER and self.attempts + 1 >= self.maxAttempts
        if action is RepairAction.GIVE_UP or isStubborn:
            return RepairState.GIVEN_UP
        if action is RepairAction.WAIT and self.record is not None and self._isOpen and not self.isWaiting:
            return self.record.state
        return RepairState.ACTIVE

    def _newClass(self, action: RepairAction) -> str:
        if action in (RepairAction.SETTLED, RepairAction.WAIT) and not self.isWaiting and self.record is not None:
            return self.record.errorClass
        return "" if action is RepairAction.SETTLED else self.errorClass.value
