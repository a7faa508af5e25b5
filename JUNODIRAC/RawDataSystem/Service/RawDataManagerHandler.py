"""The service that tells how raw data are, and through which people change something.

Everyone in the Registry may read, and only groups with the property ProductionManagement may change: both stand here as well
as in the configuration, so that a forgotten Authorization section opens nothing.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN RawDataManager
  :end-before: ##END
  :dedent: 2
  :caption: RawDataManager options
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from DIRAC.Core.Utilities.ReturnValues import SErrorException

from JUNODIRAC.RawDataSystem.Client.BlockOpener import BlockOpener, UnknownBlock, knownBlock, transferPlan
from JUNODIRAC.RawDataSystem.Client.BlockOutlooks import statusDocuments
from JUNODIRAC.RawDataSystem.Client.Overview import Overview
from JUNODIRAC.RawDataSystem.Client.Owner import productionManager
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import TransferMonitor
from JUNODIRAC.RawDataSystem.Client.TypePolicies import loadEachTypePolicy
from JUNODIRAC.RawDataSystem.Service.BlockLifeMethods import BlockLifeMethods
from JUNODIRAC.RawDataSystem.Service.DatasetMethods import DatasetMethods
from JUNODIRAC.RawDataSystem.Service.IngestMethods import IngestMethods
from JUNODIRAC.RawDataSystem.Service.QuarantineMethods import QuarantineMethods
from JUNODIRAC.RawDataSystem.Service.RawDataService import MANAGERS, READERS, answer
from JUNODIRAC.RawDataSystem.Service.RepairMethods import RepairMethods
from JUNODIRAC.RawDataSystem.Service.TailMethods import TailMethods
from JUNODIRAC.RawDataSystem.Service.ValidationMethods import ValidationMethods
from JUNODIRAC.RawDataSystem.Service.WhyMethods import WhyMethods

_DEFAULT_LIMIT = 200
_MAX_LIMIT = 5000


class RawDataManagerHandler(
    BlockLifeMethods, QuarantineMethods, WhyMethods, IngestMethods, DatasetMethods, TailMethods, ValidationMethods, RepairMethods
):
    """RawData/RawDataManager: blocks and files here, the rest in its bases."""

    auth_getBlockStatus = READERS
    types_getBlockStatus = [str, str]

    @answer
    def export_getBlockStatus(self, blockName: str, typeName: str, limit: int = _DEFAULT_LIMIT) -> dict[str, Any]:
        """Blocks x sites.

        :param blockName: empty for all
        :param typeName: empty for all
        :param limit: number of blocks at most, the newest are given
        :returns: Blocks (see BlockOutlooks.statusDocuments), Total number of blocks that match, Quarantine (announcements by Type
            and reason) and Unavailable (what could not be asked, in words)
        """
        total = self.ledger.countBlocks(blockName, typeName)
        if blockName and not total:
            raise UnknownBlock(typeName, blockName)
        blocks = self.ledger.readBlocks(blockName, typeName, min(max(int(limit), 1), _MAX_LIMIT))
        overview = Overview(TransferMonitor())
        policies, _ = loadEachTypePolicy(self._vo())
        return {
            "Blocks": statusDocuments(overview.blockStatus(blocks), self.ledger, policies, datetime.now(UTC)),
            "Total": total,
            "Quarantine": self.ledger.countQuarantine(),
            "Unavailable": overview.unavailable,
        }

    auth_getFileHistory = READERS
    types_getFileHistory = [str]

    @answer
    def export_getFileHistory(self, lfn: str) -> dict[str, Any]:
        """Everything known of one file.

        :returns: LFN, Type, Block, State, Fields, Transfers, Events in time order and Unavailable
        """
        file = self.ledger.readFile(lfn)
        byName = self.ledger.readQuarantineByName(lfn.rpartition("/")[2])
        overview = Overview(TransferMonitor())
        events = overview.fileHistory(lfn, file, byName, self.ledger.readJournal([lfn]))
        if not events and not overview.unavailable:
            raise SErrorException(f"{lfn} is not known: never announced under this name, and not in the file catalogue")
        return {
            "LFN": lfn,
            "Type": file.typeName if file else None,
            "Block": file.block if file else None,
            "State": file.state.value if file else None,
            "Fields": dict(file.fields) if file else {},
            "Transfers": dict(file.transfers) if file else {},
            "Events": [event.toDict() for event in events],
            "Unavailable": overview.unavailable,
        }

    auth_getTransferPlan = READERS
    types_getTransferPlan = [str, str]

    @answer
    def export_getTransferPlan(self, blockName: str, typeName: str) -> dict[str, Any]:
        """What openTransfers would make sure of: Block, Type, Directory, Parent, Transfers (name and known id by SE)."""
        policy = self._policy(typeName)
        return transferPlan(policy, knownBlock(self.ledger, policy, blockName))

    auth_openTransfers = MANAGERS
    types_openTransfers = [str, str, str]

    @answer
    def export_openTransfers(self, blockName: str, typeName: str, reason: str) -> dict[str, Any]:
        """Open or repair a block: directory metadata, a transfer to each configured destination, its files in them.

        :param reason: why, for the journal
        :returns: Directory, Transfers, Files
        """
        actor = self._manager(reason)
        policy = self._policy(typeName)
        block = knownBlock(self.ledger, policy, blockName)
        # before the change: one that was cut short must be in the journal too
        self.ledger.recordJournal(actor.name, actor.group, "openTransfers", f"{typeName}/{blockName}", actor.reason)
        return BlockOpener(policy, self.ledger, productionManager(self._vo())).open(block)
