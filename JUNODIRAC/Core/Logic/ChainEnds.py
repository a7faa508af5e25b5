"""Finds which steps of a chain have ended for a block, and in which state the block is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.ChainBlockFacts import BlockView, FedBlock, StepCounts, endedSteps, outcomeOf
from JUNODIRAC.Core.Domain.ChainDescription import ChainStep, StepKind
from JUNODIRAC.Core.Domain.ChainRecords import ChainBlockState, StepTransformation
from JUNODIRAC.Core.Logic.ChainFeeder import BlockLook, ChainContext
from JUNODIRAC.Core.Logic.ChainPorts import FeedLedger, FeedTransformations
from JUNODIRAC.Core.Logic.ChainUpkeep import totals

_PROCESSED = "Processed"
Counts = dict[int, dict[int, StepCounts]]


class ChainEnds:
    """Remembers when each block was counted last, because that costs in proportion to its files."""

    def __init__(self, ledger: FeedLedger, transformations: FeedTransformations) -> None:
        self._ledger, self._transformations = ledger, transformations
        self._counted: dict[tuple[int, int], tuple[datetime, datetime]] = {}

    def run(
        self,
        chain: ChainContext,
        blocks: Sequence[tuple[FedBlock, BlockLook]],
        now: datetime,
        countSeconds: float,
        heldSeconds: float,
    ) -> list[str]:
        """Count the blocks that are due and keep what came out.

        :param blocks: with the look that is valid now
        :param countSeconds: a block is counted again after so many
        :param heldSeconds: a step that is held for longer is a problem
        :returns: what changed, in words
        """
        due = [(block, look) for block, look in blocks if self._isDue(chain, block, look, now, countSeconds)]
        if not due:
            return []
        counts = self._count(chain, [block.blockID for block, _ in due])
        held = _heldTooLong(chain.steps, now - timedelta(seconds=heldSeconds))
        views = {block.blockID: BlockView(block.isClosed, look.waiting, counts[block.blockID], held) for block, look in due}
        views = self._withCopies(chain, views)
        news = []
        for block, look in due:
            news += self._keep(chain, block, views[block.blockID], now)
            self._counted[block.key] = (look.time, now)
        return news

    def forget(self, keep: set[tuple[int, int]]) -> None:
        """Forget all other blocks."""
        self._counted = {key: times for key, times in self._counted.items() if key in keep}

    # ---- steps

    def _isDue(self, chain: ChainContext, block: FedBlock, look: BlockLook, now: datetime, countSeconds: float) -> bool:
        lookTime, counted = self._counted.get(block.key, (None, None))
        if lookTime != look.time or counted is None:
            return True
        isAtRest = block.state is ChainBlockState.DONE and block.endedSteps == len(chain.description.steps)
        return not isAtRest and now - counted >= timedelta(seconds=countSeconds)

    def _count(self, chain: ChainContext, blockIDs: Sequence[int]) -> Counts:
        # what is settled is read before the inputs: so what happens in between can delay an end, and never make one
        settled = self._ledger.stepCounts(chain.chainID, blockIDs)
        inputs = self._ledger.inputCounts(chain.chainID, blockIDs)
        products = self._ledger.productCounts(chain.chainID, blockIDs)
        counts: Counts = {}
        for blockID in blockIDs:
            counts[blockID] = {}
            for step in chain.description.steps:
                source = chain.description.source(step)
                given = inputs.get(blockID, {}) if source is None else products.get(blockID, {})
                number = given.get(source.number if source else step.number, 0)
                known = settled.get(blockID, {}).get(step.number, StepCounts())
                counts[blockID][step.number] = replace(known, inputs=number)
        return counts

    def _withCopies(self, chain: ChainContext, views: Mapping[int, BlockView]) -> dict[int, BlockView]:
        """Ask for the copies where all that comes before is ended: nowhere else do they matter for the end."""
        found = dict(views)
        for step in chain.description.steps:
            if step.kind is not StepKind.REPLICATE:
                continue
            ready = [
                blockID
                for blockID, view in found.items()
                if endedSteps(chain.description, view) == step.number - 1 and view.counts[step.number].inputs
            ]
            unfinished = self._unfinishedCopies(chain, step) if ready else None
            if unfinished is None:
                continue
            for blockID in ready:
                counts = dict(found[blockID].counts)
                counts[step.number] = replace(counts[step.number], unfinishedCopies=unfinished.get(blockID, 0))
                found[blockID] = replace(found[blockID], counts=counts)
        return found

    def _unfinishedCopies(self, chain: ChainContext, step: ChainStep) -> dict[int, int] | None:
        """Copies that are not there yet, by BlockID; None: files are not attached, or it is not known."""
        source = chain.description.source(step)
        if source is None:
            return None
        wanted = totals(self._ledger.productCounts(chain.chainID)).get(source.number, 0)
        rows = [row for row in chain.steps if row.stepNumber == step.number]
        files = self._transformations.fileCounts([row.transformationID for row in rows])
        found: dict[int, int] = {}
        for row in rows:
            statuses = files.get(row.transformationID, {})
            total = sum(statuses.values())
            if total < wanted:
                return None
            if total == statuses.get(_PROCESSED, 0):
                continue
            lfns = self._transformations.unfinished(row.transformationID)
            waiting = self._ledger.unfinishedOfBlocks(chain.chainID, step.number, source.number, row.se, lfns)
            for blockID, count in waiting.items():
                found[blockID] = found.get(blockID, 0) + count
        return found

    def _keep(self, chain: ChainContext, block: FedBlock, view: BlockView, now: datetime) -> list[str]:
        outcome = outcomeOf(chain.description, view, block)
        if (outcome.endedSteps, outcome.state, outcome.problem) == (block.endedSteps, block.state, block.problem):
            return []
        if not self._ledger.setChainBlockOutcome(block, outcome, now):
            return []
        what = f"{chain.production} block {block.name} of Type {block.typeName}"
        news = []
        if outcome.endedSteps > block.endedSteps:
            names = ", ".join(step.name for step in chain.description.steps[block.endedSteps : outcome.endedSteps])
            news.append(f"{what}: ended: {names}")
        elif outcome.endedSteps < block.endedSteps:
            news.append(f"{what}: at work again, {outcome.endedSteps} of {len(chain.description.steps)} steps have ended")
        if outcome.state is ChainBlockState.PROBLEM and outcome.problem != block.problem:
            news.append(f"{what}: Problem: {outcome.problem}")
        return news


def _heldTooLong(steps: Sequence[StepTransformation], before: datetime) -> str:
    held = [row for row in steps if row.held and row.heldTime is not None and row.heldTime <= before]
    return "; ".join(
        f"step {' '.join(filter(None, (row.step, row.se)))} since {row.heldTime:%Y-%m-%d %H:%M}: {row.held}" for row in held
    )
