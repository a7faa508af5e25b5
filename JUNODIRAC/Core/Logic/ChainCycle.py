"""One look at all chains: takes blocks in, asks the services, gives files to steps, and says which steps have ended.

Everything may be repeated. What cannot be asked stands still, the rest goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.ChainBlockFacts import FedBlock
from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription
from JUNODIRAC.Core.Domain.ChainRecords import ChainState, StartedChain
from JUNODIRAC.Core.Logic.ChainEnds import ChainEnds
from JUNODIRAC.Core.Logic.ChainFeeder import BlockLook, ChainContext, ChainFeeder
from JUNODIRAC.Core.Logic.ChainHolds import ACTOR, ChainHolds, ServiceAnswers
from JUNODIRAC.Core.Logic.ChainPorts import (
    ChainReader,
    Completer,
    FeedCatalogue,
    FeedLedger,
    FeedTransformations,
    Prober,
    SiteStorages,
)
from JUNODIRAC.Core.Logic.ChainUpkeep import ChainUpkeep

# their number of files is settled: what the ledger counted last is enough
_AT_REST = frozenset({BlockState.VALIDATED, BlockState.DONE})


@dataclass(frozen=True)
class ChainLimits:
    """What a cycle may do, in seconds.

    :param cycleSeconds: no further block is looked at after so many
    :param probePeriodSeconds: between two questions to the services
    :param countSeconds: between two counts of a block that is at work
    :param refreshSeconds: after which all is looked at again, changed or not, and lost attachments are searched for
    :param heldAlarmSeconds: after which a held step is a problem of its blocks
    :param startSeconds: after which a chain that is still being started was cut short, and is completed
    """

    cycleSeconds: float = 50.0
    probePeriodSeconds: float = 30.0
    countSeconds: float = 30.0
    refreshSeconds: float = 600.0
    heldAlarmSeconds: float = 3600.0
    startSeconds: float = 120.0


@dataclass
class ChainReport:
    """What a cycle did.

    :param news: to be logged, in words
    :param troubles: what stands still and why, by what it is about
    :param looked: blocks whose files were looked at
    :param given: files that were given to steps
    :param isCut: there was more to do than a cycle may
    """

    chains: int = 0
    blocks: int = 0
    looked: int = 0
    given: int = 0
    isCut: bool = False
    news: list[str] = field(default_factory=list)
    troubles: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, failure: Exception) -> None:
        """Something could not be asked or done."""
        self.troubles[what] = str(failure) or repr(failure)


class ChainCycle:
    """Holds what one cycle leaves for the next.

    :param reader: of descriptions
    :param prober: asks services whether they answer
    :param storagesOf: the storage elements of a DIRAC site
    :param completer: completes chains whose start was cut short
    :param clock: seconds that pass, for example ``time.monotonic``
    """

    def __init__(
        self,
        ledger: FeedLedger,
        catalogue: FeedCatalogue,
        transformations: FeedTransformations,
        reader: ChainReader,
        prober: Prober,
        storagesOf: SiteStorages,
        completer: Completer,
        clock: Callable[[], float],
    ) -> None:
        self._ledger, self._reader, self._completer, self._clock = ledger, reader, completer, clock
        self._answers = ServiceAnswers(prober)
        self._holds = ChainHolds(ledger, transformations, self._answers, storagesOf)
        self._feeder = ChainFeeder(ledger, catalogue, transformations, storagesOf)
        self._upkeep = ChainUpkeep(ledger, transformations)
        self._ends = ChainEnds(ledger, transformations)
        self._descriptions: dict[str, ChainDescription] = {}
        self._othersBlocks: dict[int, set[int]] = {}
        self._nextRefresh: datetime | None = None

    def run(self, limits: ChainLimits, now: datetime) -> ChainReport:
        """One cycle.

        :raises TemporaryFailure: if the ledger does not answer
        """
        report, end = ChainReport(), self._clock() + limits.cycleSeconds
        for each in self._ledger.readChains((ChainState.STARTING,)):
            if now - each.stateTime >= timedelta(seconds=limits.startSeconds):
                self._guarded(report, f"start of {each.production}", partial(self._complete, each))
        started = self._ledger.readChains((ChainState.ACTIVE,))
        chains = [context for each in started if (context := self._context(each, report)) is not None]
        report.chains = len(chains)
        self._askServices(chains, limits, report, now)
        self._feeder.noteQualities()
        for each in started:
            self._guarded(report, f"blocks of {each.production}", partial(self._takeBlocks, each, now))
        blocks, counts = self._blocks([chain.chainID for chain in chains], limits, now)
        report.blocks = len(blocks)
        self._feed(chains, blocks, counts, limits, report, end, now)
        for chain in chains:
            lost = partial(self._upkeep.run, chain, now, limits.refreshSeconds)
            self._guarded(report, f"files of {chain.production}", lost)
            looks = self._validLooks(chain, blocks, counts, limits, now)
            ended = partial(self._ends.run, chain, looks, now, limits.countSeconds, limits.heldAlarmSeconds)
            self._guarded(report, f"ends of {chain.production}", ended)
        return report

    # ---- steps

    def _complete(self, chain: StartedChain) -> list[str]:
        self._completer(chain, ACTOR)
        return [f"{chain.production}: its start was cut short, and is completed"]

    def _context(self, chain: StartedChain, report: ChainReport) -> ChainContext | None:
        try:
            if chain.description not in self._descriptions:
                self._descriptions[chain.description] = self._reader(chain.description)
            steps = self._ledger.chainSteps(chain.chainID)
            return ChainContext(chain.chainID, chain.production, self._descriptions[chain.description], steps, {})
        except Exception as failure:  # noqa: BLE001 one chain must not hold up the others
            report.note(f"chain {chain.production}", failure)
            return None

    def _askServices(self, chains: list[ChainContext], limits: ChainLimits, report: ChainReport, now: datetime) -> None:
        """Ask what the gates of steps name, and hold and release steps."""
        needs = {name for chain in chains for name in self._needs(chain, report)}
        isAsked = bool(needs) and self._answers.ask(needs, now, limits.probePeriodSeconds)
        down = self._answers.downStorages if needs else {}
        for number, chain in enumerate(chains):
            if isAsked:
                self._guarded(report, f"services for {chain.production}", partial(self._holds.run, chain, now))
            steps = self._ledger.chainSteps(chain.chainID) if isAsked else chain.steps
            chains[number] = replace(chain, steps=steps, down=down)

    def _needs(self, chain: ChainContext, report: ChainReport) -> set[str]:
        """None of a chain of which they cannot be told: it must not hold up the others."""
        try:
            return self._holds.needs(chain)
        except Exception as failure:  # noqa: BLE001 for example a site that is not configured well
            report.note(f"services for {chain.production}", failure)
            return set()

    def _takeBlocks(self, chain: StartedChain, now: datetime) -> list[str]:
        """Give a chain the blocks of its scope that it does not have. Those that it may not have are not tried in each cycle."""
        missing = self._ledger.missingBlocks(chain.chainID, chain.typeName, chain.scope)
        others = self._othersBlocks.setdefault(chain.chainID, set())
        wanted = sorted(missing.keys() - others)
        if not wanted:
            return []
        added = self._ledger.addChainBlocks(chain.chainID, wanted, ACTOR, now)
        others |= set(wanted) - set(added)
        names = [f"{chain.production} {chain.typeName}/{missing[blockID]}" for blockID in added]
        if names:
            self._ledger.recordDecisions(ACTOR, "addBlock", dict.fromkeys(names, "it belongs to the scope of the chain"))
        return [f"{chain.production} has a new block: {missing[blockID]} of Type {chain.typeName}" for blockID in added]

    def _blocks(self, chainIDs: Sequence[int], limits: ChainLimits, now: datetime) -> tuple[list[FedBlock], dict[int, int]]:
        """The blocks that may have something to do, and how many registered files they have."""
        isFull = self._nextRefresh is None or now >= self._nextRefresh
        blocks = self._ledger.fedBlocks(chainIDs, withDone=isFull) if chainIDs else []
        if isFull:
            self._nextRefresh = now + timedelta(seconds=limits.refreshSeconds)
            keep = {block.key for block in blocks}
            self._othersBlocks.clear()
            self._feeder.forget(keep)
            self._ends.forget(keep)
        counts = {block.blockID: block.registeredFiles for block in blocks}
        moving = sorted({block.blockID for block in blocks if block.blockState not in _AT_REST})
        return blocks, counts | (self._ledger.registeredCounts(moving) if moving else {})

    def _feed(
        self,
        chains: Sequence[ChainContext],
        blocks: Sequence[FedBlock],
        counts: dict[int, int],
        limits: ChainLimits,
        report: ChainReport,
        end: float,
        now: datetime,
    ) -> None:
        """First the blocks that waited longest for a look."""
        byID = {chain.chainID: chain for chain in chains}
        due = [
            block
            for block in blocks
            if self._feeder.isDue(byID[block.chainID], block, counts[block.blockID], now, limits.refreshSeconds)
        ]
        due.sort(key=lambda block: look.time.timestamp() if (look := self._feeder.lookOf(block)) else 0.0)
        for block in due:
            if report.looked and self._clock() >= end:
                report.isCut = True
                return
            chain = byID[block.chainID]
            report.looked += 1
            try:
                report.given += self._feeder.feed(chain, block, counts[block.blockID], now)
            except Exception as failure:  # noqa: BLE001 one block must not hold up the others
                self._upkeep.suspect(block.chainID)
                report.note(f"{chain.production} block {block.name}", failure)

    def _validLooks(
        self, chain: ChainContext, blocks: Sequence[FedBlock], counts: dict[int, int], limits: ChainLimits, now: datetime
    ) -> list[tuple[FedBlock, BlockLook]]:
        """Blocks whose last look is true now: only of them it is known what waits."""
        return [
            (block, look)
            for block in blocks
            if block.chainID == chain.chainID
            and (look := self._feeder.lookOf(block)) is not None
            and not self._feeder.isDue(chain, block, counts[block.blockID], now, limits.refreshSeconds)
        ]

    def _guarded(self, report: ChainReport, what: str, work: Callable[[], list[str]]) -> None:
        try:
            report.news += work()
        except Exception as failure:  # noqa: BLE001 one chain must not hold up the others
            report.note(what, failure)
