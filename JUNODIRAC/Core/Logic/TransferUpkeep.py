"""Keeps the transformations as the states of blocks at sites want them: at work until the block is Done there, then completed.

Compared anew each time, so that what a crash or a refusal left undone is made up for, and nothing has to be remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.Core.Logic.BlockCyclePorts import CycleLedger, CycleTransfers
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure

_AT_LEAST = 5
_REOPENED = ("Completed", "Archived")
_GONE = ("Cleaning", "Cleaned", "RemovingFiles", "RemovedFiles", "TransformationCleaned", "Deleted")


class UpkeepReport(Protocol):
    """What is written down of the upkeep."""

    effects: int
    isCut: bool

    def note(self, what: str, failure: Exception) -> None: ...


class TransferUpkeep:
    """Completes and reopens transformations."""

    def __init__(self, ledger: CycleLedger, transfers: CycleTransfers) -> None:
        self._ledger = ledger
        self._transfers = transfers
        self._failed: set[str] = set()

    def run(
        self, blocks: Sequence[LivingBlock], active: Mapping[int, str], report: UpkeepReport, isTimeUp: Callable[[], bool]
    ) -> None:
        """Bring the transformations into the states that are wanted, the most important first.

        :param blocks: as they were before this cycle: what it changed is looked at in the next one
        :param active: the status of all transformations that are at work, or could be
        :param isTimeUp: whether to stop after the first few
        """
        wanted = [*self._toReopen(blocks, active, report), *self._toComplete(blocks, active)]
        # what failed last time comes last
        wanted.sort(key=lambda each: each[0] in self._failed)
        self._failed = set()
        for number, (what, effect) in enumerate(wanted):
            if number >= _AT_LEAST and isTimeUp():
                report.isCut = True
                return
            try:
                effect()
                report.effects += 1
            except (TemporaryFailure, Refusal) as failure:
                self._failed.add(what)
                report.note(what, failure)

    def _toReopen(
        self, blocks: Sequence[LivingBlock], active: Mapping[int, str], report: UpkeepReport
    ) -> list[tuple[str, Callable[[], None]]]:
        """Transformations that have to go on, though they were completed or archived already."""
        wanted: dict[int, tuple[LivingBlock, LivingSite]] = {
            site.transformationID: (block, site)
            for block in blocks
            for site in block.sites
            if site.state is not BlockState.DONE and site.transformationID not in active
        }
        if not wanted:
            return []
        try:
            found = self._transfers.statuses(list(wanted))
        except (TemporaryFailure, Refusal) as failure:
            report.note("transformations that are not active", failure)
            return []
        effects = []
        for transformationID, (block, site) in wanted.items():
            what = f"transformation {transformationID} of block {block.name} of Type {block.typeName} at {site.se}"
            status = found.get(transformationID, "Deleted")
            if status in _REOPENED:
                effects.append((what, self._reopening(transformationID, block)))
            elif status in _GONE:
                report.note(what, Refusal(f"it is {status} and the block is {site.state} there; see dirac-juno-block open"))
        return effects

    def _reopening(self, transformationID: int, block: LivingBlock) -> Callable[[], None]:
        return lambda: self._transfers.reopen(transformationID, block.query)

    def _toComplete(self, blocks: Sequence[LivingBlock], active: Mapping[int, str]) -> list[tuple[str, Callable[[], None]]]:
        """Transformations that are at work, though their block is Done at their site."""
        living = {site.transformationID for block in blocks for site in block.sites if site.state is not BlockState.DONE}
        others = set(active) - living
        done = self._ledger.doneTransfers(others) if others else {}
        return [
            (f"transformation {transformationID} of block {blockID} at {se}", self._completing(transformationID))
            for transformationID, (blockID, se) in sorted(done.items())
        ]

    def _completing(self, transformationID: int) -> Callable[[], None]:
        return lambda: self._transfers.complete(transformationID)
