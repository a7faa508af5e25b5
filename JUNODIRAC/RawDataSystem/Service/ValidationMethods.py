"""Methods of RawData/RawDataManager for looks at blocks that people ask for, and for reports."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from DIRAC.Core.Utilities.ReturnValues import SErrorException

from JUNODIRAC.Core.Domain.Validation import Look
from JUNODIRAC.Core.Logic.ValidateBlock import BlockLook
from JUNODIRAC.RawDataSystem.Client import SiteStorage as storages
from JUNODIRAC.RawDataSystem.Client.AskedLooks import AskedLooks, TooManyLooks, UnknownLook
from JUNODIRAC.RawDataSystem.Client.BlockOpener import UnknownBlock
from JUNODIRAC.RawDataSystem.Client.BlockReporter import BlockReporter
from JUNODIRAC.RawDataSystem.Client.SiteCatalogue import SiteCatalogue
from JUNODIRAC.RawDataSystem.Client.SiteStorage import SiteStorage
from JUNODIRAC.RawDataSystem.Service.RawDataService import MANAGERS, READERS, RawDataService, answer


class ValidationMethods(RawDataService):
    """Everyone may read, production managers may have a block looked at, since the outcome is kept."""

    _askedLooks = AskedLooks()
    _siteStorages: dict[tuple[str, str], SiteStorage] = {}
    _siteStoragesLock = threading.Lock()

    auth_getValidationPlan = READERS
    types_getValidationPlan = [str, str, list]

    @answer
    def export_getValidationPlan(self, typeName: str, blockName: str, sites: list[str]) -> dict[str, Any]:
        """What startValidation would look at: Block, Type, Sites and Files.

        :param sites: empty for all to which the block is copied
        """
        blockID, chosen = self._chooseSites(typeName, blockName, sites)
        return {
            "Block": blockName,
            "Type": typeName,
            "Sites": chosen,
            "Files": len(self.ledger.blockFiles(blockID).declared),
        }

    auth_startValidation = MANAGERS
    types_startValidation = [str, str, list, str]

    @answer
    def export_startValidation(self, typeName: str, blockName: str, sites: list[str], reason: str) -> str:
        """Look at a block at some sites now, in the background.

        :param sites: empty for all to which the block is copied
        :param reason: why, for the journal
        :returns: what to ask getValidationProgress with
        """
        actor = self._manager(reason)
        blockID, chosen = self._chooseSites(typeName, blockName, sites)
        for se in chosen:
            self.ledger.recordJournal(actor.name, actor.group, "validate", f"{typeName}/{blockName} {se}", actor.reason)
        makers = [partial(self._makeLook, blockID, se, self._siteStorage(se)) for se in chosen]
        try:
            return self._askedLooks.start(makers, blockID, self.ledger, actor.name)
        except TooManyLooks as error:
            raise SErrorException(str(error)) from error

    auth_getValidationProgress = READERS
    types_getValidationProgress = [str]

    @answer
    def export_getValidationProgress(self, token: str) -> list[dict[str, Any]]:
        """How far it is: for each site SE, Done and Total files, Ended, Failure and Validation, what was found."""
        try:
            return self._askedLooks.progress(token)
        except UnknownLook as error:
            raise SErrorException(str(error)) from error

    auth_listReportBlocks = READERS
    types_listReportBlocks = [str, list, str, str]

    @answer
    def export_listReportBlocks(self, typeName: str, names: list[str], first: str, last: str) -> list[list[str]]:
        """Type and name of blocks and of their follow-up blocks.

        :param typeName: empty for all
        :param names: of the blocks; empty: those from ``first`` to ``last``
        """
        if not names:
            found = self.ledger.blocksInRange(first, last, typeName)
            if not found:
                raise SErrorException(f"the ledger knows no block from {first} to {last}; see dirac-juno-block-status")
        else:
            found = self.ledger.blocksByName(names, typeName)
            for name in set(names) - {block for _, block in found}:
                raise UnknownBlock(typeName, name)
        return [list(each) for each in found]

    auth_getBlockReport = READERS
    types_getBlockReport = [str, str]

    @answer
    def export_getBlockReport(self, typeName: str, blockName: str) -> dict[str, Any]:
        """What became of each file of a block, see :meth:`BlockReport.toDict`."""
        return BlockReporter(self.ledger, SiteCatalogue()).report(typeName, blockName)

    # ---- details

    def _chooseSites(self, typeName: str, blockName: str, sites: Sequence[str]) -> tuple[int, list[str]]:
        policy = self._policy(typeName)
        found = self.ledger.findSites(typeName, blockName)
        if found is None:
            raise UnknownBlock(typeName, blockName)
        blockID, copied = found
        for se in sites:
            if se not in (*copied, policy.sourceSE):
                known = ", ".join((*copied, policy.sourceSE))
                raise SErrorException(f"block {blockName} of Type {typeName} has no site {se}; its sites are {known}")
        if not (sites or copied):
            raise SErrorException(f"block {blockName} of Type {typeName} is copied to no site yet; name one with --site")
        return blockID, list(dict.fromkeys(sites or copied))

    def _makeLook(self, blockID: int, se: str, storage: SiteStorage) -> BlockLook:
        sides = (self.ledger, SiteCatalogue(), storage)
        inSlice = storages.filesPerSlice(self._checksumsPerSecond())
        return BlockLook(blockID, se, Look.ASKED, sides, datetime.now(UTC), inSlice)

    def _siteStorage(self, se: str) -> SiteStorage:
        """A site's storage; made once, since it keeps the pace, too."""
        key = (se, self._vo())
        asked = self._storageAt(*key)
        with self._siteStoragesLock:
            if key not in self._siteStorages:
                self._siteStorages[key] = SiteStorage(asked, self._checksumsPerSecond())
            return self._siteStorages[key]

    def _checksumsPerSecond(self) -> float:
        return float(self.srv_getCSOption("ChecksumsPerSecond", storages.CHECKSUMS_PER_SECOND))
