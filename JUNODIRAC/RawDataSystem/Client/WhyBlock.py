"""Gathers what explains where a block is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from JUNODIRAC.Core.Domain.BlockClosing import dayOf
from JUNODIRAC.Core.Domain.BlockProgress import RATE_WINDOW, SiteOutlook, outlookOf
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.BlockStatus import PROCESSED, BlockStatus, LedgerBlock, SiteStatus, assembleBlockStatus
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.RepairRecords import Pause, RepairRecord, RepairState
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Domain.Validation import Validation
from JUNODIRAC.Core.Domain.WhyFacts import (
    CATALOGUE,
    TRANSFORMATIONS,
    BlockFacts,
    BlockSiteFacts,
    GivenUp,
    RefusedFiles,
    SiteFacts,
)
from JUNODIRAC.RawDataSystem.Client.BlockOpener import UnknownBlock
from JUNODIRAC.RawDataSystem.Client.WhyFile import chosenSites, pauseOf
from JUNODIRAC.RawDataSystem.Client.WhySources import WhySources

#: files of one site that are looked at, of each status
_FILES_OF_A_STATUS = 50
_REFUSED = 1000


class SeveralTypes(Exception):
    """Blocks of several Types have this name."""

    def __init__(self, name: str, types: Sequence[str]) -> None:
        super().__init__(f"several Types have a block {name}: {', '.join(sorted(types))}; choose one with --type")


class WhyBlock:
    """Facts of one block.

    :param policies: of the Types that are configured well
    """

    def __init__(self, sources: WhySources, policies: Mapping[str, TypePolicy], now: datetime) -> None:
        self._sources = sources
        self._ledger = sources.ledger
        self._policies = policies
        self._now = now

    def facts(self, name: str, typeName: str, se: str) -> BlockFacts:
        """All of a block, or of it at one site.

        :raises UnknownBlock: if no file of it was ever announced
        :raises SeveralTypes: if its Type has to be named
        :raises WrongSite: if the site is none of the block's
        :raises TemporaryFailure: if the ledger does not answer
        """
        shown = self._known(name, typeName)
        blockID = self._ledger.readBlockID(shown.typeName, name)
        living = self._ledger.readLivingBlocksByID([blockID])
        block = living[0] if living else None
        policy = self._policies.get(shown.typeName)
        last, oldest = self._ledger.announcedTimes(blockID)
        found = BlockFacts(
            shown.typeName,
            name,
            BlockState(shown.state),
            block,
            policy,
            shown.fileCounts,
            self._refused(name, shown.typeName) if shown.fileCounts.get(FileState.QUARANTINED) else (),
            oldest,
            self._day(shown, policy),
            last,
            self._ledger.readReceivers(shown.typeName),
            unavailable=self._sources.unavailable,
        )
        return replace(found, sites=self._sites(found, shown, blockID, chosenSites(block, policy, se)))

    # ---- the block

    def _known(self, name: str, typeName: str) -> LedgerBlock:
        found = self._ledger.readBlocks(name, typeName)
        if not found:
            raise UnknownBlock(typeName, name)
        if len(found) > 1:
            raise SeveralTypes(name, [each.typeName for each in found])
        shown: LedgerBlock = found[0]
        return shown

    def _refused(self, name: str, typeName: str) -> list[RefusedFiles]:
        """Open records by reason, and the newest of each."""
        records = self._ledger.readQuarantineList(_REFUSED, newest=True, block=name, typeName=typeName)
        counts = self._ledger.countQuarantineList(block=name, typeName=typeName)
        newest = {record.reason: record for record in records}
        return [RefusedFiles(reason, counts.get(reason, 1), record) for reason, record in sorted(newest.items())]

    def _day(self, shown: LedgerBlock, policy: TypePolicy | None) -> date | None:
        if policy is None:
            return None
        days = [dayOf(policy, each) for each in self._ledger.readDirectories(shown.typeName, shown.name)]
        return max((day for day in days if day), default=None)

    # ---- its sites

    def _sites(self, facts: BlockFacts, shown: LedgerBlock, blockID: int, wanted: Sequence[str]) -> list[BlockSiteFacts]:
        monitor, numbers = self._sources.monitor, list(shown.transfers.values())
        usages = self._sources.ask(CATALOGUE, lambda: monitor.blockUsages([shown]))
        states = self._sources.ask(TRANSFORMATIONS, lambda: monitor.transferStates(numbers))
        status = assembleBlockStatus([shown], usages, states)[0]
        validations = self._ledger.newestValidations([blockID], withNames=True)
        pauses = self._ledger.readPauses(self._now)
        repairs = self._ledger.listRepairs(blockID)
        outlooks = self._outlooks(facts, status)
        return [
            self._site(
                facts,
                status,
                outlooks.get(se),
                se,
                validations.get((blockID, se)),
                pauseOf(pauses, se, blockID),
                repairs.get(se, {}),
            )
            for se in wanted
        ]

    def _outlooks(self, facts: BlockFacts, status: BlockStatus) -> Mapping[str, SiteOutlook]:
        """When it will be there, and since when it is overdue, by SE."""
        block = facts.block
        if block is None:
            return {}
        samples = self._ledger.firstSamples([block.blockID], self._now - RATE_WINDOW)
        mine = {se: sample for (_, se), sample in samples.items()}
        done = {site.se: site.done for site in status.sites}
        files = facts.fileCounts.get(FileState.REGISTERED, 0)
        return outlookOf(block, files, done, mine, facts.policy, self._now).sites

    def _site(
        self,
        facts: BlockFacts,
        status: BlockStatus,
        outlook: SiteOutlook | None,
        se: str,
        validation: Validation | None,
        pause: Pause | None,
        repairs: Mapping[str, RepairRecord],
    ) -> BlockSiteFacts:
        at = next((site for site in facts.block.sites if site.se == se), None) if facts.block else None
        shown = next((site for site in status.sites if site.se == se), None)
        if at is None or shown is None:
            return BlockSiteFacts(se, at, unavailable=self._sources.unavailable)
        transfer = shown.transfer
        counts = dict(transfer.fileCounts) if transfer else None
        found = BlockSiteFacts(
            se,
            at,
            shown.done,
            transfer.status if transfer else None,
            counts,
            (outlook.etaTime - self._now).total_seconds() if outlook and outlook.etaTime else None,
            outlook.overdueSince if outlook else None,
            pause=pause,
            givenUp=_givenUp(repairs),
            validation=validation,
            unfinished=_unfinished(status, shown, counts),
            unavailable=self._sources.unavailable,
        )
        around = SiteFacts(
            se, facts.typeName, facts.name, policy=facts.policy, site=at, blockState=facts.state,
            transformationStatus=found.transformationStatus, pause=pause, validation=validation,
            unavailable=self._sources.unavailable,
        )  # fmt: skip
        lfns = self._behind(facts, found)
        known = self._sources.transferFacts(at.transformationID, se, lfns) if lfns else {}
        files = [
            replace(around, lfn=lfn, transfer=known[lfn], repair=repairs.get(lfn), registeredTime=facts.lastAnnounced)
            for lfn in lfns
            if lfn in known
        ]
        return replace(found, files=files)

    def _behind(self, facts: BlockFacts, site: BlockSiteFacts) -> list[str]:
        """Files that are not finished at a site, some of each kind; given up ones first."""
        registered = facts.fileCounts.get(FileState.REGISTERED, 0)
        if site.site is None or site.fileCounts is None or (site.done == registered and not site.unfinished):
            return []
        number = site.site.transformationID
        statuses = [status for status in site.fileCounts if status != PROCESSED]
        byStatus: dict[str, list[str]] = defaultdict(list)
        for row in self._sources.filesOf(number, statuses) if statuses else []:
            byStatus[row["Status"]].append(row["LFN"])
        found = [lfn for lfns in byStatus.values() for lfn in lfns[:_FILES_OF_A_STATUS]]
        if sum(site.fileCounts.values()) < registered:
            found += self._notAttached(facts, number)[:_FILES_OF_A_STATUS]
        elif not statuses and site.done is not None and site.done < registered:
            found += self._withoutReplica(facts, site.se)[:_FILES_OF_A_STATUS]
        return found

    def _notAttached(self, facts: BlockFacts, transformationID: int) -> list[str]:
        attached = {row["LFN"] for row in self._sources.filesOf(transformationID)}
        return sorted(set(self._ledger.readRegistered(facts.typeName, facts.name)) - attached)

    def _withoutReplica(self, facts: BlockFacts, se: str) -> list[str]:
        lfns = self._ledger.readRegistered(facts.typeName, facts.name)
        there = self._sources.replicasAt(se, lfns)
        return [] if there is None else sorted(set(lfns) - there)


def _givenUp(repairs: Mapping[str, RepairRecord]) -> list[GivenUp]:
    byClass: dict[str, list[RepairRecord]] = defaultdict(list)
    for record in repairs.values():
        if record.state is RepairState.GIVEN_UP:
            byClass[record.errorClass].append(record)
    return [
        GivenUp(errorClass, len(records), next((each.error for each in records if each.error), records[0].situation),
                min(each.lastTime for each in records))
        for errorClass, records in sorted(byClass.items())
    ]  # fmt: skip


def _unfinished(status: BlockStatus, site: SiteStatus, counts: Mapping[str, int] | None) -> int | None:
    """Registered files that the transformation has not finished with, attached or not."""
    if counts is None:
        return None
    return max(0, site.files - counts.get(PROCESSED, 0))
