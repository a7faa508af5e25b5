"""Methods of Production/ChainManager that count every event."""

from __future__ import annotations

from typing import Any

from DIRAC.ConfigurationSystem.Client.Config import gConfig
from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations

from JUNODIRAC.Core.Domain.ChainRecords import ChainRefused
from JUNODIRAC.ProductionSystem.Client.AskedAudits import AskedAudits
from JUNODIRAC.ProductionSystem.Client.AuditCatalogue import AuditCatalogue
from JUNODIRAC.ProductionSystem.Client.ChainAuditor import AuditTask, ChainAuditor
from JUNODIRAC.ProductionSystem.Client.ChainPolicies import zombieSeconds
from JUNODIRAC.ProductionSystem.Service.ChainService import ChainService
from JUNODIRAC.RawDataSystem.Client.SiteStorage import CHECKSUMS_PER_SECOND, SiteStorage, filesPerSlice
from JUNODIRAC.RawDataSystem.Service.RawDataService import READERS, answer


class AuditMethods(ChainService):
    """Everyone may ask: an audit changes nothing but the list of audits."""

    _audits = AskedAudits()

    auth_findAudits = READERS
    types_findAudits = [str, str, str]

    @answer
    def export_findAudits(self, name: str, chain: str, typeName: str) -> list[dict[str, Any]]:
        """What there is to be audited under a name.

        :param name: of a block, of a production, or of a chain in all its versions
        :param chain: only in this production or chain; empty for all
        :param typeName: only blocks of this Type; empty for all
        :returns: Chain, Type, Block and Last (the last audit or None, see startAudit)
        """
        targets = self.chains.auditTargets(name, chain, typeName)
        if not targets:
            raise ChainRefused(
                f"{name} is no block in a chain{f' {chain}' if chain else ''}, and no chain with a block;"
                " dirac-juno-chain list shows the chains, dirac-juno-chain status CHAIN their blocks"
            )
        ids = {each: self._idsOf(*each) for each in targets}
        newest = self.chains.newestAudits(sorted({blockID for _, blockID in ids.values()}))
        found = []
        for each, key in ids.items():
            last = newest.get(key)
            found.append(
                {"Chain": each[0], "Type": each[1], "Block": each[2], "Last": last.toDict() if last else None},
            )
        return found

    auth_startAudit = READERS
    types_startAudit = [str, str, str]

    @answer
    def export_startAudit(self, production: str, typeName: str, blockName: str) -> str:
        """Begin to compare ledger, Transformation System, catalogue and storages for a block in a chain.

        :returns: a token for getAuditProgress
        """
        chainID, blockID = self._idsOf(production, typeName, blockName)
        ended = [each.endedSteps for each in self.chains.chainBlocks(chainID, blockName) if each.blockID == blockID]
        credentials = self.getRemoteCredentials()
        actor = str(credentials.get("username", "unknown"))
        chain = self.chains.readChain(production)
        task = AuditTask(chain, blockID, typeName, blockName, actor=actor, endedSteps=ended[0] if ended else 0)
        return self._audits.start(task, self._auditor().audit)

    auth_getAuditProgress = READERS
    types_getAuditProgress = [str]

    @answer
    def export_getAuditProgress(self, token: str) -> dict[str, Any]:
        """How far an audit is: Phase, Done and Total (checksums), Ended, Failure, and Audit.

        :returns: in Audit are Chain, Type, Block, Verdict, Sentence, Steps (counts of each), Counts (of each finding), Look,
            Actor, StartedTime, EndedTime, and Findings (Kind, Step, LFN, Detail; the first 200 of each kind)
        """
        return self._audits.progress(token)

    auth_getAudits = READERS
    types_getAudits = [str, str, str, int]

    @answer
    def export_getAudits(self, production: str, typeName: str, blockName: str, limit: int) -> list[dict[str, Any]]:
        """The last audits of a block in a chain, the newest first, as getAuditProgress gives one."""
        return [each.toDict() for each in self.chains.readAudits(*self._idsOf(production, typeName, blockName), max(1, limit))]

    # ---- details

    def _idsOf(self, production: str, typeName: str, blockName: str) -> tuple[int, int]:
        chain = self.chains.readChain(production)
        blockID = self.chains.blockIDOf(typeName, blockName)
        if blockID is None or chain.chainID not in {chainID for chainID, _ in self.chains.chainsOfBlock(blockID)}:
            raise ChainRefused(f"block {blockName} of Type {typeName} is not in chain {production}")
        return chain.chainID, blockID

    def _auditor(self) -> ChainAuditor:
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        vo = self._vo()
        rate = float(gConfig.getValue(f"{self.serviceInfoDict['serviceSectionPath']}/ChecksumsPerSecond", CHECKSUMS_PER_SECOND))
        storages = {}  # type: dict[str, SiteStorage]

        def storageOf(se: str) -> SiteStorage:
            if se not in storages:
                storages[se] = SiteStorage(self._storageAt(se, vo), rate)
            return storages[se]

        seconds = zombieSeconds(Operations(vo=vo or None))
        return ChainAuditor(self.chains, AuditCatalogue(), TransformationClient(), storageOf, seconds, filesPerSlice(rate))
