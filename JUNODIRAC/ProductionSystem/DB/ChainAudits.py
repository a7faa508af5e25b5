"""Audits of blocks in chains: which are due, and what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from JUNODIRAC.Core.Domain.ChainAudit import AuditLook, AuditRecord, AuditVerdict, Finding, FoundFile
from JUNODIRAC.Core.Domain.ChainRecords import ChainBlockState
from JUNODIRAC.ProductionSystem.DB.ChainAuditFacts import ChainAuditFacts
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows

_COLUMNS = ("ChainID", "BlockID", "Look", "Actor", "StartedTime", "EndedTime", "Verdict", "Steps", "Findings")
_READ = (
    "SELECT a.AuditID, a.ChainID, a.BlockID, a.Look, a.Actor, a.StartedTime, a.EndedTime, a.Verdict, a.Steps, a.Findings,"
    " c.Production, b.Type, b.Block FROM Audits a JOIN Chains c ON c.ChainID = a.ChainID JOIN Blocks b ON b.BlockID = a.BlockID"
)


class ChainAudits(ChainAuditFacts):
    """Every method may raise TemporaryFailure."""

    def recordAudit(self, found: AuditRecord) -> int:
        """Keep an audit.

        :returns: its id
        """
        findings = {
            "Counts": {kind.value: count for kind, count in found.counts.items()},
            "Files": [each.toDict() for each in found.findings],
        }
        steps = {"EndedSteps": found.endedSteps, "Steps": list(found.steps)}
        values = (
            found.chainID, found.blockID, found.look.value, rows.text(found.actor, 128), found.startedTime, found.endedTime,
            found.verdict.value, json.dumps(steps), json.dumps(findings),
        )  # fmt: skip
        sql = f"INSERT INTO Audits ({', '.join(_COLUMNS)}) VALUES ({rows.placeholders(len(_COLUMNS))})"

        def work(conn: Any) -> int:
            self.execute(sql, values, conn)
            return int(self.select("SELECT LAST_INSERT_ID()", (), conn)[0][0])

        return self.inTransaction(work)

    def newestAudits(self, blockIDs: Sequence[int] = (), chainID: int = 0) -> dict[tuple[int, int], AuditRecord]:
        """The audit that was begun last, by chain and block.

        :param blockIDs: of these blocks; none: of all of the chain
        :param chainID: 0: in each chain
        """
        conditions, args = [], []  # type: list[str], list[Any]
        if blockIDs:
            conditions, args = [f"BlockID IN ({rows.placeholders(len(blockIDs))})"], [*blockIDs]
        if chainID:
            conditions.append("ChainID = %s")
            args.append(chainID)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        sql = f"{_READ} JOIN (SELECT MAX(AuditID) AS AuditID FROM Audits{where} GROUP BY ChainID, BlockID) n USING (AuditID)"
        records = [_auditOf(row) for row in self.select(sql, args)]
        return {(each.chainID, each.blockID): each for each in records}

    def readAudits(self, chainID: int, blockID: int, limit: int = 20) -> list[AuditRecord]:
        """The last audits of a block in a chain, the newest first."""
        sql = f"{_READ} WHERE a.ChainID = %s AND a.BlockID = %s ORDER BY a.AuditID DESC LIMIT %s"
        return [_auditOf(row) for row in self.select(sql, (chainID, blockID, limit))]

    def namedByAudits(self, chainID: int, step: str) -> list[str]:
        """Inputs of a step that the newest audits of the chain's blocks found without daughter."""
        sql = (
            f"{_READ} JOIN (SELECT MAX(AuditID) AS AuditID FROM Audits WHERE ChainID = %s GROUP BY BlockID) n USING (AuditID)"
            " WHERE a.Verdict = %s"
        )
        records = [_auditOf(row) for row in self.select(sql, (chainID, AuditVerdict.OFF.value))]
        kind = Finding.WITHOUT_DAUGHTER
        return sorted({each.lfn for record in records for each in record.findings if each.kind is kind and each.step == step})

    def endedBlocks(self) -> list[tuple[int, int, int, bool]]:
        """ChainID, BlockID, EndedSteps and whether its chain has no step more, of blocks with an ended step that are not Done."""
        sql = (
            "SELECT b.ChainID, b.BlockID, b.EndedSteps, b.EndedSteps >= MAX(s.StepNumber) FROM ChainBlocks b"
            " JOIN ChainSteps s ON s.ChainID = b.ChainID WHERE b.EndedSteps > 0 AND b.State <> %s"
            " GROUP BY b.ChainID, b.BlockID, b.EndedSteps ORDER BY b.ChainID, b.BlockID"
        )
        found = self.select(sql, (ChainBlockState.DONE.value,))
        return [(chainID, blockID, ended, bool(isLast)) for chainID, blockID, ended, isLast in found]

    def auditTargets(self, name: str, chain: str = "", typeName: str = "") -> list[tuple[str, str, str]]:
        """Production, Type and block of each block in a chain that a name means.

        :param name: of a block, a production, or a chain in all its versions
        :param chain: only in this production, or chain
        :param typeName: only of this Type
        """
        sql = (
            "SELECT c.Production, b.Type, b.Block FROM ChainBlocks x JOIN Chains c ON c.ChainID = x.ChainID"
            " JOIN Blocks b ON b.BlockID = x.BlockID WHERE (b.Block = %s OR c.Production = %s OR c.Name = %s)"
            " AND (%s IN ('', c.Production) OR c.Name = %s) AND %s IN ('', b.Type) ORDER BY c.ChainID, b.Block"
        )
        return [(each[0], each[1], each[2]) for each in self.select(sql, (name, name, name, chain, chain, typeName))]

    def chainsOfBlock(self, blockID: int) -> list[tuple[int, str]]:
        """Id and production of each chain that a block is in."""
        sql = (
            "SELECT c.ChainID, c.Production FROM ChainBlocks b JOIN Chains c ON c.ChainID = b.ChainID WHERE b.BlockID = %s"
            " ORDER BY c.ChainID"
        )
        return [(int(chainID), production) for chainID, production in self.select(sql, (blockID,))]


def _auditOf(row: Sequence[Any]) -> AuditRecord:
    auditID, chainID, blockID, look, actor, started, ended, verdict, steps, findings, production, typeName, block = row
    told, found = json.loads(steps), json.loads(findings)
    return AuditRecord(
        chainID=chainID,
        blockID=blockID,
        look=AuditLook(look),
        actor=actor,
        startedTime=rows.aware(started),
        endedTime=rows.aware(ended),
        verdict=AuditVerdict(verdict),
        steps=told["Steps"],
        counts={Finding(kind): count for kind, count in found["Counts"].items()},
        findings=[FoundFile(Finding(f["Kind"]), f["Step"], f["LFN"], f["Detail"]) for f in found["Files"]],
        endedSteps=told["EndedSteps"],
        production=production,
        typeName=typeName,
        block=block,
        auditID=auditID,
    )
