"""Reports of blocks: the ledger's files against the catalogue's replicas, name by name."""

from __future__ import annotations

from typing import Any

from JUNODIRAC.Core.Domain.BlockReport import BlockReport
from JUNODIRAC.Core.Domain.ChainWhyFacts import AuditLine
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
        """See :meth:`BlockReport.toDict`, and Chains. Without the catalogue the rest is reported.

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
            return BlockReport(block, None, (str(error),)).toDict() | self._chains(block.blockID)
        return BlockReport(block, replicas).toDict() | self._chains(block.blockID)

    def _chains(self, blockID: int) -> dict[str, Any]:
        """The block in each of its chains, with the last audit: what the ledger has of it."""
        chains = self._ledger.blockChains([blockID]).get(blockID, [])
        audits = self._ledger.lastAudits(blockID) if chains else {}
        return {"Chains": [each.toDict() | {"Audit": _auditOf(audits.get(each.production))} for each in chains]}


def _auditOf(audit: AuditLine | None) -> dict[str, Any] | None:
    if audit is None:
        return None
    return {"Verdict": audit.verdict, "Sentence": audit.sentence, "Time": audit.time.isoformat(timespec="seconds")}
