"""Gathers what the decisions about blocks depend on, for all blocks in few calls, and only where it can have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from JUNODIRAC.Core.Domain.BlockClosing import FileCounts, LifePolicy, dayOf, mayBeQuiet
from JUNODIRAC.Core.Domain.BlockLife import BlockFacts
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.BlockStatus import DirectoryUsage, Usage
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.Core.Domain.SiteLife import SiteFacts
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.BlockCyclePorts import CycleCatalogue, CycleLedger, CycleTransfers, Progress
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure

T = TypeVar("T")
SiteKey = tuple[int, str]
Note = Callable[[str, Exception], None]

# a receiver writes the time of an announcement down only if the last one is ten minutes old
_ACTIVE_GRAIN = timedelta(minutes=11)
_COPYING = frozenset({BlockState.OPEN, BlockState.CLOSED, BlockState.PROBLEM})


class BlockFactsReader:
    """Reads, and notes counts and progress in the ledger, where they changed."""

    def __init__(self, ledger: CycleLedger, catalogue: CycleCatalogue, transfers: CycleTransfers) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._transfers = transfers

    def read(
        self,
        blocks: Sequence[LivingBlock],
        policies: Mapping[str, TypePolicy],
        lives: Mapping[str, LifePolicy],
        now: datetime,
        note: Note,
    ) -> dict[int, BlockFacts]:
        """The facts of each block.

        :param note: is told what could not be asked
        """
        counts = self._count(blocks, now)
        usages = self._usages(blocks, counts, note)
        self._saveProgress(blocks, usages, now)
        unfinished = self._unfinished(blocks, counts, usages, note)
        quiet = [block for block in blocks if mayBeQuiet(block, lives[block.typeName], now)]
        last = self._ledger.lastAnnounced([block.blockID for block in quiet]) if quiet else {}
        passed = self._passedDays(quiet, policies, now)
        sites = self._siteFacts(blocks, usages, unfinished)
        return {
            block.blockID: BlockFacts(
                counts=counts[block.blockID],
                isDayPassed=block.blockID in passed,
                lastAnnounced=last.get(block.blockID),
                sites={site.se: sites[block.blockID, site.se] for site in block.sites},
            )
            for block in blocks
        }

    # ---- files in the ledger

    def _count(self, blocks: Sequence[LivingBlock], now: datetime) -> dict[int, FileCounts]:
        """The counts of all blocks; counted are only those whose files may be others than at the last count."""
        moving = [block.blockID for block in blocks if _mayHaveChanged(block)]
        counted = self._ledger.countBlockFiles(moving) if moving else {}
        if counted:
            self._ledger.saveCounts(counted, now)
        return {block.blockID: counted.get(block.blockID) or _lastCounts(block) for block in blocks}

    # ---- replicas in the catalogue

    def _usages(self, blocks: Sequence[LivingBlock], counts: Mapping[int, FileCounts], note: Note) -> dict[SiteKey, Usage]:
        """Replicas of those blocks of which copies are outstanding, or may be, at each of their sites."""
        wanted = [block for block in blocks if any(_isOutstanding(site, counts[block.blockID]) for site in block.sites)]
        late = self._ledger.lateSizes([block.blockID for block in wanted]) if wanted else {}
        directories = _asked(
            "replicas in the catalogue",
            lambda: self._catalogue.directoryUsages([block.directory for block in wanted if block.directory]) if wanted else {},
            note,
        )
        lfns = sorted({lfn for own, others in late.values() for lfn in (*own, *others)})
        replicas = _asked("late files in the catalogue", lambda: self._catalogue.replicaSites(lfns) if lfns else {}, note)
        if directories is None or replicas is None:
            return {}
        found = {}
        for block in wanted:
            own, others = late.get(block.blockID, ({}, {}))
            usage = directories.get(block.directory)
            for site in block.sites:
                found[block.blockID, site.se] = _usageOf(usage, own, others, replicas, site.se)
        return found

    def _saveProgress(self, blocks: Iterable[LivingBlock], usages: Mapping[SiteKey, Usage], now: datetime) -> None:
        changed = []
        for block in blocks:
            for site in block.sites:
                usage = usages.get((block.blockID, site.se))
                if usage is not None and (usage.files, usage.sizeBytes) != (site.doneFiles, site.doneBytes):
                    isGrown = usage.files > site.doneFiles
                    changed.append(Progress(block.blockID, site.se, usage.files, usage.sizeBytes, isGrown))
        self._ledger.saveProgress(changed, now)

    # ---- files in the transformations

    def _unfinished(
        self,
        blocks: Iterable[LivingBlock],
        counts: Mapping[int, FileCounts],
        usages: Mapping[SiteKey, Usage],
        note: Note,
    ) -> dict[int, int]:
        """Unfinished files of those transformations that have all replicas at their site."""
        wanted = [
            site.transformationID
            for block in blocks
            if block.state is not BlockState.OPEN or block.expectedFiles is not None
            for site in block.sites
            if site.state in _COPYING
            and (usage := usages.get((block.blockID, site.se))) is not None
            and usage.files >= counts[block.blockID].registered
        ]
        asked = _asked("files of the transformations", lambda: self._transfers.unfinishedFiles(wanted) if wanted else {}, note)
        return asked or {}

    # ---- the rest

    def _passedDays(self, blocks: Sequence[LivingBlock], policies: Mapping[str, TypePolicy], now: datetime) -> set[int]:
        """Those blocks of whose directories none belongs to a day that goes on or comes yet."""
        if not blocks:
            return set()
        today = now.astimezone(UTC).date()
        directories = self._ledger.blockDirectories([block.blockID for block in blocks])
        passed = set()
        for block in blocks:
            days = [dayOf(policies[block.typeName], directory) for directory in directories.get(block.blockID, ())]
            if all(day is None or day < today for day in days):
                passed.add(block.blockID)
        return passed

    def _siteFacts(
        self, blocks: Sequence[LivingBlock], usages: Mapping[SiteKey, Usage], unfinished: Mapping[int, int]
    ) -> dict[SiteKey, SiteFacts]:
        repairable = [block.blockID for block in blocks if any(site.state in _COPYING for site in block.sites)]
        replicated = [block.blockID for block in blocks if any(site.replicatedTime for site in block.sites)]
        signs = self._ledger.repairSigns(repairable) if repairable else {}
        validations = self._ledger.newestValidations(replicated, conclusiveOnly=True) if replicated else {}
        found = {}
        for block in blocks:
            for site in block.sites:
                key = (block.blockID, site.se)
                usage, sign = usages.get(key), signs.get(key)
                facts = SiteFacts(
                    doneFiles=usage.files if usage and site.state in _COPYING else None,
                    doneBytes=usage.sizeBytes if usage else None,
                    unfinishedFiles=unfinished.get(site.transformationID),
                    validation=validations.get(key),
                )
                if sign is not None:
                    facts = replace(facts, givenUp=sign.givenUp, activeRepairs=sign.active, lastRepair=sign.lastTime)
                found[key] = facts
        return found


def _mayHaveChanged(block: LivingBlock) -> bool:
    """Whether files came, or got another state, since the last count, or may have."""
    if block.countedTime is None or block.activeTime is None or block.unsettledFiles:
        return True
    return block.countedTime < block.activeTime + _ACTIVE_GRAIN


def _lastCounts(block: LivingBlock) -> FileCounts:
    """What was counted last, of a block that had no unsettled files then."""
    return FileCounts(block.registeredFiles, block.registeredBytes, waived=block.givenUpFiles)


def _isOutstanding(site: LivingSite, counts: FileCounts) -> bool:
    if site.state is BlockState.OPEN:
        return site.doneFiles != counts.registered
    return site.state in _COPYING


def _usageOf(
    directory: DirectoryUsage | None,
    own: Mapping[str, int],
    others: Mapping[str, int],
    replicas: Mapping[str, set[str]],
    se: str,
) -> Usage:
    """A block's replicas at a site: those below its directory without those of other blocks, and its late files."""
    usage = directory.replicas.get(se, Usage(0, 0)) if directory else Usage(0, 0)
    mine = [sizeBytes for lfn, sizeBytes in own.items() if se in replicas.get(lfn, ())]
    foreign = [sizeBytes for lfn, sizeBytes in others.items() if se in replicas.get(lfn, ())]
    return Usage(usage.files + len(mine) - len(foreign), usage.sizeBytes + sum(mine) - sum(foreign))


def _asked(what: str, call: Callable[[], T], note: Note) -> T | None:
    try:
        return call()
    except (TemporaryFailure, Refusal) as failure:
        note(what, failure)
        return None
