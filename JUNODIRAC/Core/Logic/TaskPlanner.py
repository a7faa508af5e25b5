"""Which tasks a step of a chain makes of the inputs that are free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep
from JUNODIRAC.Core.Domain.MergePlan import MergeRule, planMerge, targetSite
from JUNODIRAC.Core.Domain.PlanFacts import Outstanding, PlanBlock, PlanInput, pieceOf
from JUNODIRAC.Core.Domain.ProcessPlan import ProcessRule, SitesOfStreams, Stream, WaitingInput, planProcess


class PlanLedger(Protocol):
    """What is read and kept for the planning. ``source``: number of the step that makes a step's inputs; None: the ledger."""

    def planInputs(self, chainID: int, step: int, source: int | None, lfns: Collection[str]) -> list[PlanInput]:
        """Those of these files that the step was given."""

    def inputsOfBlocks(self, chainID: int, step: int, source: int | None, blockIDs: Collection[int]) -> list[PlanInput]:
        """All inputs of the step that these blocks have by now; also those that are made and not given to it yet."""

    def blocksOfInputs(self, chainID: int, step: int, source: int | None, lfns: Collection[str]) -> set[int]:
        """The blocks in which these files are."""

    def planBlocks(self, blockIDs: Collection[int]) -> dict[int, PlanBlock]:
        """By id."""

    def notGiven(self, chainID: int, step: ChainStep, blocks: Collection[PlanBlock]) -> list[Outstanding]:
        """Files of the ledger that a step is still to be given, and, in open blocks, the numbers that are missing."""

    def notSettled(self, chainID: int, step: int, source: int | None, blockIDs: Collection[int]) -> list[Outstanding]:
        """Inputs of the step of which nothing was made and which were not given up."""

    def streamSites(self, chainID: int, step: int, blockIDs: Collection[int]) -> dict[Stream, str]:
        """The sites that were chosen for streams."""

    def siteLoads(self, chainID: int, step: int, source: int | None) -> dict[str, int]:
        """Inputs of the step that are not done yet, by the site that was chosen for their stream."""

    def keepStreamSites(self, chainID: int, step: int, sites: Mapping[Stream, str], now: datetime) -> None:
        """Write down what was chosen; a stream that has a site keeps it, unless the step does not have that site any more."""


@dataclass(frozen=True)
class StepSites:
    """Where the jobs of a step may run.

    :param storages: storage elements by site, in the order in which they are preferred
    """

    storages: Mapping[str, Sequence[str]]

    def at(self, replicas: Collection[str]) -> frozenset[str]:
        """The sites that have one of these storage elements."""
        return frozenset(site for site, storages in self.storages.items() if not set(storages).isdisjoint(replicas))

    def storageFor(self, site: str, files: Iterable[tuple[int, Collection[str]]]) -> str:
        """The site's storage element that has most of some files.

        :param files: size in bytes and storage elements of each
        """
        sizes = list(files)
        return max(self.storages[site], key=lambda se: sum(sizeBytes for sizeBytes, replicas in sizes if se in replicas))


@dataclass(frozen=True)
class TaskPlan:
    """What is to be done with the files that were asked for.

    :param groups: storage element of the site, and LFNs in order
    :param awaited: which wait for a copy at another site than where they are
    :param unknown: which the step was never given
    """

    groups: list[tuple[str, list[str]]] = field(default_factory=list)
    awaited: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class TaskPlanner:
    """Plans one step.

    :param sites: of the step
    :param patienceSeconds: how long a file waits for its copy at the site of its stream
    """

    def __init__(
        self,
        ledger: PlanLedger,
        chainID: int,
        chain: ChainDescription,
        step: ChainStep,
        sites: StepSites,
        patienceSeconds: float,
    ) -> None:
        self._ledger, self._chainID, self._chain, self._step = ledger, chainID, chain, step
        self._sites, self._patienceSeconds = sites, patienceSeconds
        maker = chain.source(step)
        self._key = (chainID, step.number, maker.number if maker else None)

    def planProcess(self, asked: Mapping[str, Collection[str]], now: datetime) -> TaskPlan:
        """Groups of a process step.

        :param asked: storage elements by LFN, of files that no task has
        """
        inputs = self._ledger.planInputs(*self._key, asked)
        free = [each for each in inputs if not each.isDerived and not each.isLost and each.sinceTime is not None]
        blocks = self._ledger.planBlocks({each.blockID for each in free})
        step = self._step
        rule = ProcessRule(
            step.groupFiles, step.groupBytes, step.maxWaitSeconds, self._patienceSeconds, list(self._sites.storages)
        )
        waiting = [self._waiting(each, asked[each.lfn], now) for each in free]
        plan = planProcess(
            waiting, rule, self._stand(waiting, blocks), [each.blockID for each in blocks.values() if each.isClosed]
        )
        if plan.homes:
            self._ledger.keepStreamSites(self._chainID, step.number, plan.homes, now)
        return TaskPlan(
            [
                (self._storageFor(site, {each.lfn: each.sizeBytes for each in group}, asked), [each.lfn for each in group])
                for site, group in plan.groups
            ],
            [each.lfn for each in plan.awaited],
            _unknown(asked, inputs),
        )

    def _waiting(self, each: PlanInput, replicas: Collection[str], now: datetime) -> WaitingInput:
        ageSeconds = (now - each.sinceTime).total_seconds() if each.sinceTime else 0.0
        place = (each.lfn, each.blockID, each.stream, each.run, each.sequence)
        return WaitingInput(*place, each.sizeBytes, ageSeconds, self._sites.at(replicas), each.moves)

    def _stand(self, waiting: Sequence[WaitingInput], blocks: Mapping[int, PlanBlock]) -> SitesOfStreams:
        homes = self._ledger.streamSites(self._chainID, self._step.number, blocks)
        if all(homes.get((each.block, each.stream)) in self._sites.storages for each in waiting):
            return SitesOfStreams(homes)
        # only products of the chain itself are nowhere copied to
        isCopied = self._chain.source(self._step) is None
        expected = {block.blockID: self._sites.at(block.transferSEs) for block in blocks.values() if isCopied}
        return SitesOfStreams(homes, self._ledger.siteLoads(*self._key), expected)

    def planMerge(self, asked: Mapping[str, Collection[str]], askedTime: datetime) -> TaskPlan:
        """Groups of a merge step.

        What is upstream is read before what is downstream, so that what moves on meanwhile is seen twice, and never not at all.

        :param asked: storage elements by LFN, of all files that no task had at ``askedTime``
        """
        blocks = self._ledger.planBlocks(self._ledger.blocksOfInputs(*self._key, asked))
        outstanding = self._outstanding(list(blocks.values()))
        inputs = self._ledger.inputsOfBlocks(*self._key, blocks)
        sites = {lfn: self._sites.at(replicas) for lfn, replicas in asked.items()}
        streams = defaultdict(list)
        for each in inputs:
            streams[each.blockID, each.stream].append(pieceOf(each, sites, askedTime))
        for place in outstanding:
            if (place.blockID, place.stream) in streams:
                streams[place.blockID, place.stream].append(place.piece)
        rule = MergeRule(self._step.groupBytes or _NO_LIMIT, self._step.groupFiles)
        groups: list[tuple[str, list[str]]] = []
        for (blockID, _), pieces in sorted(streams.items(), key=lambda item: item[0]):
            for group in planMerge(pieces, rule, blocks[blockID].isClosed):
                site = targetSite(group, list(self._sites.storages))
                se = self._storageFor(site, {piece.name: piece.sizeBytes for piece in group}, asked)
                groups.append((se, [piece.name for piece in group]))
        return TaskPlan(groups, unknown=_unknown(asked, inputs))

    def _outstanding(self, blocks: Sequence[PlanBlock]) -> list[Outstanding]:
        """What is still to come, the files of the ledger first, then the outputs of one step after the other."""
        lineage = [self._step]
        while (maker := self._chain.source(lineage[0])) is not None:
            lineage.insert(0, maker)
        found = self._ledger.notGiven(self._chainID, lineage[0], blocks)
        blockIDs = [block.blockID for block in blocks]
        for number, step in enumerate(lineage[:-1]):
            source = lineage[number - 1].number if number else None
            found += self._ledger.notSettled(self._chainID, step.number, source, blockIDs)
        return found

    def _storageFor(self, site: str, sizes: Mapping[str, int], asked: Mapping[str, Collection[str]]) -> str:
        return self._sites.storageFor(site, ((sizeBytes, asked[lfn]) for lfn, sizeBytes in sizes.items()))


_NO_LIMIT = 2**63


def _unknown(asked: Mapping[str, Collection[str]], inputs: Iterable[PlanInput]) -> list[str]:
    return sorted(set(asked).difference(each.lfn for each in inputs))
