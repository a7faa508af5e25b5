"""Reports of blocks: the ledger's files against the catalogue's replicas, name by name."""

from __future__ import annotations

from typing import Any

from JUNODIRAC.Core.Domain.BlockReport import BlockReport
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.BlockOpener import UnknownBlock
from JUNODIRAC.RawDataSystem.Client.SiteCatalogue import SiteCatalogue
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB


class BlockReporter:
    """Reads ledger and catalogue, one call to the catalogue for each directory of a block."""

    def __init__(self, ledger: RawDataDB, catalogue: SiteCatalogue) -> None:
        self._ledger = ledger
        self._catalogue = catalogue

    def report(self, typeName: str, name: str) -> dict[str, Any]:
        """See :meth:`BlockReport.toDict`. Without the catalogue the rest is reported.

        :raises UnknownBlock: if no file of it was ever announced
        """
        block = self._ledger.reportedBlock(typeName, name)
        if block is None:
            raise UnknownBlock(typeName, name)
        try:
            if block.directories:
                replicas = self._catalogue.replicas(block.directories)
            else:
                replicas = self._catalogue.replicasOf(list(block.registered))
        except (TemporaryFailure, Refusal) as error:
            return BlockReport(block, None, (str(error),)).toDict()
        return BlockReport(block, replicas).toDict()
