"""Copies of a replicate step that failed: judged by the truth table of repair, tried again a bounded number of times."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from JUNODIRAC.Core.Domain.ChainRecoveryRecords import RecoveryRecord, RecoveryState
from JUNODIRAC.Core.Domain.RepairTable import COPIES, RepairAction, RepairRule, decide, situationOf
from JUNODIRAC.Core.Domain.TransferErrors import POLICIES, classify
from JUNODIRAC.Core.Domain.TransferFacts import TransferFacts
from JUNODIRAC.Core.Logic.ChainRecovery import ACTOR
from JUNODIRAC.Core.Logic.ChainRecoveryPorts import StepOutcome
from JUNODIRAC.Core.Logic.RepairPorts import RepairFacts, RepairHands

#: these change something
_DOES = frozenset(
    {RepairAction.SET_PROCESSED, RepairAction.ADOPT, RepairAction.RETRY, RepairAction.RESET_TASK, RepairAction.DEREGISTER}
)


@dataclass(frozen=True)
class CopiesUnderRecovery:
    """A step of kind replicate at one destination."""

    chainID: int
    production: str
    stepNumber: int
    step: str
    sourceNumber: int | None
    se: str
    transformationID: int


@dataclass(frozen=True)
class WantedCopy:
    """An output of which a copy is wanted."""

    lfn: str
    productID: int
    blockID: int
    sizeBytes: int
    checksum: str
    recovery: RecoveryRecord | None = None


class CopyBook(Protocol):
    """The ledger."""

    def recordRecoveries(self, records: Sequence[RecoveryRecord]) -> None:
        """Write down; rows that exist are replaced."""

    def recordDecisions(self, actor: str, action: str, reasons: Mapping[str, str]) -> None:
        """A row in the journal for each object."""


@dataclass
class _Copy:
    wanted: WantedCopy
    rule: RepairRule
    facts: TransferFacts
    record: RecoveryRecord | None = None
    isWaiting: bool = False

    @property
    def action(self) -> RepairAction:
        if self.isWaiting:
            return RepairAction.WAIT
        if self.record is not None and self.record.state is RecoveryState.GIVEN_UP:
            return RepairAction.GIVE_UP
        return self.rule.action


class CopyRecovery:
    """One destination at a time.

    :param maxAttempts: new copies of one file, after which a person has to act
    :param stuckSeconds: how long nothing may change
    :param timeScale: the waits of the table of errors are multiplied by this
    """

    def __init__(
        self,
        book: CopyBook,
        facts: RepairFacts,
        hands: RepairHands,
        setAside: Callable[[int, Sequence[str]], object],
        maxAttempts: int,
        stuckSeconds: float,
        timeScale: float = 1.0,
        isDry: bool = False,
    ) -> None:
        self._book, self._facts, self._hands, self._setAside = book, facts, hands, setAside
        self._maxAttempts, self._stuckSeconds, self._timeScale, self._isDry = maxAttempts, stuckSeconds, timeScale, isDry

    def recover(self, step: CopiesUnderRecovery, wanted: Sequence[WantedCopy], now: datetime) -> StepOutcome:
        """Look at these copies, and do what is to be done about each."""
        byLFN = {each.lfn: each for each in wanted}
        facts = self._facts.read(step.transformationID, step.se, list(byLFN))
        asked = {lfn: each for lfn, each in facts.items() if self._judge(byLFN[lfn], each, now).action is RepairAction.ASK}
        declared = {lfn: (byLFN[lfn].sizeBytes, byLFN[lfn].checksum) for lfn in asked}
        facts |= self._facts.withCopies(asked.values(), declared) if asked else {}
        copies = [_Copy(byLFN[lfn], self._judge(byLFN[lfn], each, now), each) for lfn, each in facts.items()]
        for copy in copies:
            self._account(step, copy, now)
        failures = self._act(step, copies)
        return StepOutcome(Counter(copy.action.value for copy in copies), failures)

    def _judge(self, wanted: WantedCopy, facts: TransferFacts, now: datetime) -> RepairRule:
        attempts = wanted.recovery.attempts if wanted.recovery else 0
        return decide(situationOf(facts, now, self._stuckSeconds, attempts, self._maxAttempts))

    def _account(self, step: CopiesUnderRecovery, copy: _Copy, now: datetime) -> None:
        known, action = copy.wanted.recovery, copy.rule.action
        isOpen = known is not None and known.state in (RecoveryState.RECOVERING, RecoveryState.GIVEN_UP)
        if known is not None and action is RepairAction.SETTLED and isOpen:
            copy.record = replace(known, state=RecoveryState.SOLVED, nextTime=None)
        if known is not None and known.state in (RecoveryState.GIVEN_UP, RecoveryState.WAIVED) and action in COPIES:
            copy.record, copy.isWaiting = known, True
            return
        if action not in (*COPIES, RepairAction.GIVE_UP):
            return
        error = classify(copy.facts.error)
        before = known or RecoveryRecord(
            step.chainID, step.stepNumber, step.se, copy.wanted.productID, copy.wanted.blockID, copy.wanted.lfn,
            RecoveryState.RECOVERING, 0, "", "", now, now,
        )  # fmt: skip
        told = replace(before, error=error.value, detail=f"{copy.rule.name}: {copy.facts.error}"[:2000])
        if action is RepairAction.GIVE_UP:
            isNews = known is None or known.state is not RecoveryState.GIVEN_UP
            copy.record = replace(told, state=RecoveryState.GIVEN_UP, lastTime=now, nextTime=None) if isNews else known
            return
        if known is None or known.state is not RecoveryState.RECOVERING or known.nextTime is None:
            wait = POLICIES[error].backOffSeconds(before.attempts + 1) * self._timeScale
            attempts = before.attempts if before.state is RecoveryState.RECOVERING else 0
            told = replace(told, state=RecoveryState.RECOVERING, attempts=attempts, lastTime=now)
            copy.record, copy.isWaiting = replace(told, nextTime=now + timedelta(seconds=wait)), True
        elif now < known.nextTime:
            copy.record, copy.isWaiting = known, True
        else:
            copy.record = replace(told, attempts=known.attempts + 1, lastTime=now, nextTime=None)

    def _act(self, step: CopiesUnderRecovery, copies: Sequence[_Copy]) -> list[str]:
        news = [copy for copy in copies if copy.record is not None and copy.record is not copy.wanted.recovery]
        byAction: dict[RepairAction, list[_Copy]] = defaultdict(list)
        for copy in copies:
            isDone = copy.action in _DOES or (copy.action is RepairAction.GIVE_UP and copy in news)
            if isDone and not copy.isWaiting:
                byAction[copy.action].append(copy)
        reasons = {
            action: {f"{copy.wanted.lfn} {step.se}": self._reason(step, copy) for copy in found}
            for action, found in byAction.items()
        }
        if self._isDry:
            return [f"would {action.value} {name}" for action, texts in reasons.items() for name in texts]
        for action, texts in reasons.items():
            self._book.recordDecisions(ACTOR, f"chainCopy{action.value}", texts)
        self._book.recordRecoveries([copy.record for copy in news if copy.record is not None])
        failed: dict[str, str] = {}
        for action, found in byAction.items():
            failed |= self._carryOut(step, action, found)
        return [f"{lfn} at {step.se}: {why}" for lfn, why in failed.items()]

    def _carryOut(self, step: CopiesUnderRecovery, action: RepairAction, copies: Sequence[_Copy]) -> dict[str, str]:
        lfns = [copy.wanted.lfn for copy in copies]
        if action is RepairAction.SET_PROCESSED:
            return dict(self._hands.setProcessed(step.transformationID, lfns))
        if action is RepairAction.ADOPT:
            failed = dict(self._hands.register(step.se, lfns))
            return failed | dict(self._hands.setProcessed(step.transformationID, [lfn for lfn in lfns if lfn not in failed]))
        if action is RepairAction.DEREGISTER:
            failed = dict(self._hands.deregister(step.se, lfns))
            self._hands.delete(step.se, [lfn for lfn in lfns if lfn not in failed])
            return failed
        if action is RepairAction.GIVE_UP:
            self._setAside(step.transformationID, lfns)
            return {}
        if action is RepairAction.RESET_TASK:
            kept = {copy.facts.requestID for copy in copies if copy.facts.requestStatus not in ("Canceled", "Gone")}
            self._hands.cancelRequests({requestID for requestID in kept if requestID})
        return dict(self._hands.setUnused(step.transformationID, lfns))

    def _reason(self, step: CopiesUnderRecovery, copy: _Copy) -> str:
        count = copy.record.attempts if copy.record else 0
        said = f"; {classify(copy.facts.error).value}: {copy.facts.error}" if copy.facts.error else ""
        return f"step {step.step} of {step.production}: {copy.rule.name}{said}; attempt {count} of {self._maxAttempts}"
