"""Gathers what explains where a file is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from JUNODIRAC.Core.Domain.Announcement import BadAnnouncement
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.FileHistory import LedgerFile
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LFNPattern import LFNPattern
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock
from JUNODIRAC.Core.Domain.RepairRecords import Pause
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Domain.Validation import Validation
from JUNODIRAC.Core.Domain.WhyFacts import CATALOGUE, TRANSFORMATIONS, OriginFacts, SiteFacts, SourceCopy, storageName
from JUNODIRAC.RawDataSystem.Client.WhySources import WhySources


class UnknownFile(Exception):
    """No file of any Type can have this name."""

    def __init__(self, lfn: str) -> None:
        super().__init__(
            f"{lfn} is not in the ledger, and no Type's files are called so; compare it with NamePattern and DirectoryPattern"
            " of the Types, or look with dirac-juno-quarantine list --file NAME --all-states"
        )


class WrongSite(Exception):
    """The block is not to be copied there."""

    def __init__(self, se: str, known: list[str]) -> None:
        super().__init__(f"nothing of this block is to be copied to {se}; its sites are {', '.join(known) or 'none yet'}")


class WhyFile:
    """Facts of one file.

    :param policies: of the Types that are configured well
    """

    def __init__(self, sources: WhySources, policies: Mapping[str, TypePolicy], now: datetime) -> None:
        self._sources = sources
        self._ledger = sources.ledger
        self._policies = policies
        self._now = now

    def origin(self, lfn: str) -> OriginFacts:
        """From the announcement to the catalogue.

        :raises UnknownFile: if the ledger does not know it, and it cannot be a file of any Type
        :raises TemporaryFailure: if the ledger does not answer
        """
        file = self._ledger.readFile(lfn)
        if file is None:
            return self._unknown(lfn)
        found = OriginFacts(
            lfn,
            file,
            policy=self._policies.get(file.typeName),
            typeName=file.typeName,
            block=file.block,
            receivers=self._ledger.readReceivers(file.typeName),
            unavailable=self._sources.unavailable,
        )
        if file.state is FileState.WAITING:
            return replace(found, waiting=self._ledger.readWaitingOf(lfn))
        if file.state is not FileState.REGISTERED:
            return found
        record = self._sources.ask(CATALOGUE, lambda: self._sources.monitor.catalogueRecord(lfn))
        return replace(found, record=record)

    def sites(self, origin: OriginFacts, se: str) -> list[SiteFacts]:
        """From the transformation to the storage, for each site of the file's block, or for one.

        :raises WrongSite: if it is none of the block's
        """
        file = origin.file
        if file is None or file.state is not FileState.REGISTERED:
            return []
        blockID = self._ledger.readBlockID(file.typeName, file.block)
        living = self._ledger.readLivingBlocksByID([blockID])
        block = living[0] if living else None
        wanted = chosenSites(block, origin.policy, se)
        validations = self._ledger.newestValidations([blockID], withNames=True)
        pauses = self._ledger.readPauses(self._now)
        return [self._site(origin, file, block, name, validations.get((blockID, name)), pauses) for name in wanted]

    # ---- steps

    def _unknown(self, lfn: str) -> OriginFacts:
        """The ledger does not know it: was it refused under its name, is it on the storage, are messages unread?"""
        refused = self._ledger.readQuarantineByName(lfn.rpartition("/")[2])
        policy = next((each for each in self._policies.values() if LFNPattern(each).matches(lfn)), None)
        if policy is None:
            if not refused:
                raise UnknownFile(lfn)
            return OriginFacts(lfn, refused=refused, typeName=refused[-1].typeName, unavailable=self._sources.unavailable)
        return OriginFacts(
            lfn,
            refused=refused,
            policy=policy,
            typeName=policy.typeName,
            block=blockOf(policy, lfn),
            source=self._source(policy.sourceSE, lfn),
            lag=self._sources.lag(policy),
            receivers=self._ledger.readReceivers(policy.typeName),
            unavailable=self._sources.unavailable,
        )

    def _source(self, se: str, lfn: str) -> SourceCopy:
        found = self._sources.ask(storageName(se), lambda: self._sources.storageOf(se).look([lfn]))
        if found is None:
            return SourceCopy(None, detail=self._sources.unavailable[storageName(se)])
        stored = found[lfn]
        if stored.failure:
            return SourceCopy(None, detail=stored.failure)
        return SourceCopy(stored.sizeBytes is not None, stored.sizeBytes)

    def _site(
        self,
        origin: OriginFacts,
        file: LedgerFile,
        block: LivingBlock | None,
        se: str,
        validation: Validation | None,
        pauses: list[Pause],
    ) -> SiteFacts:
        facts = SiteFacts(
            se,
            file.typeName,
            file.block,
            file.lfn,
            file.registeredTime,
            origin.policy,
            site=next((site for site in block.sites if site.se == se), None) if block else None,
            blockState=block.state if block else BlockState.KNOWN,
            validation=validation,
            pause=pauseOf(pauses, se, block.blockID if block else 0),
            unavailable=self._sources.unavailable,
        )
        if facts.site is None or block is None:
            return facts
        number = facts.site.transformationID
        states = self._sources.ask(TRANSFORMATIONS, lambda: self._sources.monitor.transferStates([number])) or {}
        transfer = self._sources.transferFacts(number, se, [file.lfn]).get(file.lfn)
        if transfer is not None:
            transfer = self._sources.withCopy(transfer, file.sizeBytes, file.checksum)
        return replace(
            facts,
            transformationStatus=states[number].status if number in states else None,
            transfer=transfer,
            repair=self._ledger.readRepairs(block.blockID, se, [file.lfn]).get(file.lfn),
        )


def chosenSites(block: LivingBlock | None, policy: TypePolicy | None, se: str) -> list[str]:
    """The sites of a block: those to which it has a transfer, and those of its Type; with an SE only that.

    :raises WrongSite: if it is none of them
    """
    known = sorted({site.se for site in block.sites} if block else set())
    known += [name for name in (policy.destinations if policy else ()) if name not in known]
    if se and se not in known:
        raise WrongSite(se, known)
    return [se] if se else known


def pauseOf(pauses: list[Pause], se: str, blockID: int) -> Pause | None:
    """The pause that holds a block up at a site; one of the whole site before one of the block."""
    found = [each for each in pauses if each.se == se and each.blockID in (0, blockID)]
    return min(found, key=lambda each: each.blockID, default=None)


def blockOf(policy: TypePolicy, lfn: str) -> str:
    """The block that a file of this name would belong to; empty where its name says it not."""
    try:
        return policy.resolve(lfn.rpartition("/")[2], f"{policy.eosRoot}{lfn}").block
    except BadAnnouncement:
        return ""
