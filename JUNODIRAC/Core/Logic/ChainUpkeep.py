"""Finds files that the ledger gave to a step and the Transformation System does not have, and gives them again.

Numbers are compared, which is cheap; only where they differ all files of the step are given again: what is there stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.ChainDescription import ChainStep
from JUNODIRAC.Core.Logic.ChainFeeder import ChainContext, FeedFailure
from JUNODIRAC.Core.Logic.ChainPorts import FeedLedger, FeedTransformations

_RETRY_SECONDS = 30.0


def totals(counts: Mapping[int, Mapping[int, int]]) -> dict[int, int]:
    """Numbers by block and step, of all blocks, by step."""
    found: dict[int, int] = {}
    for steps in counts.values():
        for number, count in steps.items():
            found[number] = found.get(number, 0) + count
    return found


class ChainUpkeep:
    """Remembers when each chain was compared last. After a restart each is compared at once."""

    def __init__(self, ledger: FeedLedger, transformations: FeedTransformations) -> None:
        self._ledger, self._transformations = ledger, transformations
        self._nextTimes: dict[int, datetime] = {}

    def suspect(self, chainID: int) -> None:
        """Something may have got lost: compare in the next run."""
        self._nextTimes.pop(chainID, None)

    def run(self, chain: ChainContext, now: datetime, periodSeconds: float) -> list[str]:
        """Compare a chain, if it is time to.

        :returns: what was given again, in words
        """
        if now < self._nextTimes.get(chain.chainID, now):
            return []
        # until it is known to be right: what fails on the way is done again soon
        self._nextTimes[chain.chainID] = now + timedelta(seconds=min(periodSeconds, _RETRY_SECONDS))
        # first what is there, then what should be: what comes in between costs a repetition, and hides nothing
        found = self._transformations.fileCounts([row.transformationID for row in chain.steps])
        inputs = totals(self._ledger.inputCounts(chain.chainID))
        products = totals(self._ledger.productCounts(chain.chainID))
        news = []
        for step in chain.description.steps:
            source = chain.description.source(step)
            wanted = inputs.get(step.number, 0) if source is None else products.get(source.number, 0)
            short = [each for each in chain.transformationIDs(step.number) if sum(found.get(each, {}).values()) < wanted]
            added = self._repeat(chain, step, source, short) if short else 0
            if added:
                news.append(f"{chain.production} {step.name}: {added} file(s) were given again that had not arrived")
        self._nextTimes[chain.chainID] = now + timedelta(seconds=periodSeconds)
        return news

    def _repeat(self, chain: ChainContext, step: ChainStep, source: ChainStep | None, transformationIDs: Sequence[int]) -> int:
        number, failed = 0, {}  # type: int, dict[str, str]
        for lfns in self._lfns(chain, step, source):
            added, notTaken = self._transformations.attach(transformationIDs, lfns)
            number += added
            failed |= notTaken
        if failed:
            raise FeedFailure(step.name, failed)
        return number

    def _lfns(self, chain: ChainContext, step: ChainStep, source: ChainStep | None) -> Iterator[Sequence[str]]:
        if source is None:
            return self._ledger.inputLFNs(chain.chainID, step.number)
        return self._ledger.productLFNs(chain.chainID, source.number)
