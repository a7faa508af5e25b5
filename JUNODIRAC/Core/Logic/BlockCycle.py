"""One look at all blocks for which something is left to be done: what is known of them is gathered, and each goes on by it.

Everything may be repeated: a change of state is made only from the state that was seen, and what belongs to it outside of the
ledger is compared again in each cycle. What cannot be asked stands still, the rest goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from JUNODIRAC.Core.Domain.BlockClosing import LifePolicy, closeReason
from JUNODIRAC.Core.Domain.BlockLife import BlockFacts, Decision, Step, decideBlock
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.BlockCyclePorts import CycleCatalogue, CycleLedger, CycleTransfers
from JUNODIRAC.Core.Logic.BlockFactsReader import BlockFactsReader
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure
from JUNODIRAC.Core.Logic.TransferUpkeep import TransferUpkeep

T = TypeVar("T")

ACTOR = "BlockAgent"
_SAMPLES_KEPT = timedelta(days=1)
_PRUNE_SECONDS = 600.0


@dataclass
class CycleReport:
    """What a cycle did.

    :param moved: changes of state
    :param troubles: what stands still and why, by what it is about
    :param isCut: there was more to do than a cycle may
    """

    blocks: int = 0
    moved: int = 0
    effects: int = 0
    isCut: bool = False
    troubles: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, failure: Exception) -> None:
        """Something could not be asked or done."""
        self.troubles[what] = str(failure) or repr(failure)


@dataclass(frozen=True)
class CycleLimits:
    """What a cycle may do at most.

    :param seconds: after so many no block is changed any more, but for the first one, nor transformations, but for a few
    :param patienceSeconds: see :class:`LifePolicy`
    """

    seconds: float = 4.0
    patienceSeconds: int = 3600


class BlockCycle:
    """Holds what one cycle leaves for the next: where it was cut, and which validations it has seen."""

    def __init__(
        self, ledger: CycleLedger, catalogue: CycleCatalogue, transfers: CycleTransfers, clock: Callable[[], float]
    ) -> None:
        """:param clock: seconds that pass, for example ``time.monotonic``"""
        self._clock = clock
        self._ledger = ledger
        self._transfers = transfers
        self._reader = BlockFactsReader(ledger, catalogue, transfers)
        self._upkeep = TransferUpkeep(ledger, transfers)
        self._seenValidation = 0
        self._leftOver: list[int] = []
        self._failed: set[int] = set()
        self._nextPrune: datetime | None = None

    def run(self, policies: Mapping[str, TypePolicy], limits: CycleLimits, now: datetime) -> CycleReport:
        """One cycle.

        :param policies: of the Types that are configured well; blocks of others stand still
        :raises TemporaryFailure: if the ledger does not answer
        """
        report, end = CycleReport(), self._clock() + limits.seconds
        newestValidation, found = self._ledger.badSince(self._seenValidation)
        found |= {*self._leftOver, *self._failed}
        blocks = self._known(self._ledger.readLivingBlocks(found), policies, report)
        report.blocks = len(blocks)
        lives = {name: LifePolicy.ofType(policy, limits.patienceSeconds) for name, policy in policies.items()}
        facts = self._reader.read(blocks, policies, lives, now, report.note)
        active = _asked("active transformations", self._transfers.activeOnes, report)
        due = self._due(blocks, facts, lives, report, now)
        tails = self._tails(due, active, report)
        self._failed, self._leftOver = set(), []
        for number, (block, decision) in enumerate(due):
            if number and self._clock() >= end:
                self._leftOver.append(block.blockID)
            else:
                self._apply(block, decision, tails, lives[block.typeName], report, now)
        report.isCut = bool(self._leftOver)
        self._seenValidation = newestValidation
        if active is not None:
            self._upkeep.run(blocks, active, report, lambda: self._clock() >= end)
        self._prune(now)
        return report

    # ---- steps

    def _due(
        self,
        blocks: Iterable[LivingBlock],
        facts: Mapping[int, BlockFacts],
        lives: Mapping[str, LifePolicy],
        report: CycleReport,
        now: datetime,
    ) -> list[tuple[LivingBlock, Decision]]:
        """What is to be done; first what was left over, and last what failed, so that a few blocks never hold up the others."""
        due = []
        for block in blocks:
            try:
                decision = decideBlock(block, facts[block.blockID], lives[block.typeName], now)
            except Exception as failure:  # noqa: BLE001 one odd block must not hold up the others
                report.note(_nameOf(block), failure)
                continue
            if decision != Decision():
                due.append((block, decision))
        rank = {blockID: number for number, blockID in enumerate(self._leftOver)}
        due.sort(key=lambda each: (each[0].blockID in self._failed, rank.get(each[0].blockID, len(rank))))
        return due

    def _tails(
        self, due: Iterable[tuple[LivingBlock, Decision]], active: Mapping[int, str] | None, report: CycleReport
    ) -> set[int] | None:
        """Those transformations of sites that are to be closed that have a tail. One that somebody stopped stays stopped."""
        if active is None:
            return None
        closing = [
            site.transformationID
            for block, decision in due
            for site in block.sites
            if any(_isClosing(step, site.se) for step in decision.steps) and active.get(site.transformationID) == "Active"
        ]
        return _asked("tails of blocks", lambda: set(self._transfers.waitingFiles(closing)) if closing else set(), report)

    def _known(self, blocks: Iterable[LivingBlock], policies: Mapping[str, TypePolicy], report: CycleReport) -> list[LivingBlock]:
        """Those whose Type is configured; the others are told of once for each Type."""
        known = []
        for block in blocks:
            if block.typeName in policies:
                known.append(block)
            else:
                report.troubles[f"Type {block.typeName}"] = "its blocks stand still, it is not configured, or not well"
        return known

    def _apply(
        self,
        block: LivingBlock,
        decision: Decision,
        tails: set[int] | None,
        policy: LifePolicy,
        report: CycleReport,
        now: datetime,
    ) -> None:
        """Take the steps of one block until one fails: those that follow it wait for the next cycle."""
        try:
            for step in decision.steps:
                if not self._take(block, step, tails, policy, now):
                    return
                report.moved += 1
            for se, words in decision.problems.items():
                self._ledger.noteProblem(block.blockID, se, words)
        except Exception as failure:  # noqa: BLE001 one odd block must not hold up the others
            self._failed.add(block.blockID)
            report.note(_nameOf(block), failure)

    def _take(self, block: LivingBlock, step: Step, tails: set[int] | None, policy: LifePolicy, now: datetime) -> bool:
        """One step, with what has to be done before it. False: not now."""
        if step.se:
            if _isClosing(step, step.se) and not self._flushed(block, step.se, tails):
                return False
            return self._ledger.moveSite(block.blockID, step.se, step.old, step.new, ACTOR, step.reason, step.problem)
        if step.closedBy:
            return self._close(block, step, policy, now)
        return self._ledger.moveBlock(block.blockID, step.old, step.new, ACTOR, step.reason, step.problem)

    def _flushed(self, block: LivingBlock, se: str, tails: set[int] | None) -> bool:
        """Have the tail of the block sent to this site, if there is one: the state Closed says that this was done."""
        if tails is None:
            return False
        (transformationID,) = (site.transformationID for site in block.sites if site.se == se)
        if transformationID in tails:
            self._transfers.flush(transformationID)
        return True

    def _close(self, block: LivingBlock, step: Step, policy: LifePolicy, now: datetime) -> bool:
        """Close a block while no receiver has it in hand, if the reason still holds then."""
        with ExitStack() as held:
            try:
                held.enter_context(self._ledger.holdBlocks([(block.typeName, block.lockName)], waitSeconds=0))
            except TemporaryFailure:
                return False  # a receiver is at work on it
            counts = self._ledger.countBlockFiles([block.blockID])[block.blockID]
            last = self._ledger.lastAnnounced([block.blockID]).get(block.blockID)
            if closeReason(block, counts, policy, True, last, now) is None:
                return False
            return self._ledger.moveBlock(
                block.blockID, step.old, step.new, ACTOR, step.reason, step.problem, closedBy=step.closedBy
            )

    def _prune(self, now: datetime) -> None:
        if self._nextPrune is None or now >= self._nextPrune:
            self._ledger.pruneProgress(now - _SAMPLES_KEPT)
            self._nextPrune = now + timedelta(seconds=_PRUNE_SECONDS)


def _nameOf(block: LivingBlock) -> str:
    return f"block {block.name} of Type {block.typeName}"


def _isClosing(step: Step, se: str) -> bool:
    return step.se == se and step.old is BlockState.OPEN and step.new is BlockState.CLOSED


def _asked(what: str, call: Callable[[], T], report: CycleReport) -> T | None:
    try:
        return call()
    except (TemporaryFailure, Refusal) as failure:
        report.note(what, failure)
        return None
