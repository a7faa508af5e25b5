"""What only an explanation asks of the tables of chains."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from JUNODIRAC.Core.Domain.ChainAudit import Finding, sentenceOf
from JUNODIRAC.Core.Domain.ChainWhyFacts import AuditLine, ChainAttemptFacts, ChainProductFacts, ChainRecoveryFacts
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection

_PRODUCT = (
    "SELECT p.ProductID, p.LFN, p.StepNumber, p.State, p.SE, p.Events, p.CommittedTime, p.RegisteredTime, COALESCE(a.JobID, 0),"
    " COALESCE(a.Site, '') FROM Products p LEFT JOIN Attempts a ON a.AttemptID = p.AttemptID"
)


class ChainStepRow(NamedTuple):
    """A transformation of a chain."""

    number: int
    name: str
    kind: str
    se: str
    transformationID: int
    held: str


class LedgerChainWhy(LedgerConnection):
    """Queries; nothing here changes the ledger. Every method may raise TemporaryFailure."""

    def chainIDs(self, blockID: int) -> dict[str, int]:
        """Id by production of the chains that a block is in."""
        sql = (
            "SELECT c.Production, c.ChainID FROM ChainBlocks b JOIN Chains c ON c.ChainID = b.ChainID WHERE b.BlockID = %s"
            " ORDER BY c.ChainID"
        )
        return {production: int(chainID) for production, chainID in self.select(sql, (blockID,))}

    def lastAudits(self, blockID: int) -> dict[str, AuditLine]:
        """The last audit of a block in each of its chains, by production."""
        sql = (
            "SELECT c.Production, a.Verdict, a.Findings, a.EndedTime FROM Audits a JOIN Chains c ON c.ChainID = a.ChainID"
            " WHERE a.AuditID IN (SELECT MAX(AuditID) FROM Audits WHERE BlockID = %s GROUP BY ChainID)"
        )
        found = {}
        for production, verdict, findings, time in self.select(sql, (blockID,)):
            counts = {Finding(kind): count for kind, count in json.loads(findings)["Counts"].items()}
            found[production] = AuditLine(verdict, sentenceOf(counts), rows.aware(time))
        return found

    def chainStepRows(self, chainID: int) -> list[ChainStepRow]:
        """The transformations of a chain."""
        sql = (
            "SELECT StepNumber, Step, Kind, SE, TransformationID, COALESCE(Held, '') FROM ChainSteps WHERE ChainID = %s"
            " ORDER BY StepNumber, SE"
        )
        return [ChainStepRow(*row) for row in self.select(sql, (chainID,))]

    def chainFile(self, lfn: str) -> tuple[int, int, str, str] | None:
        """FileID, BlockID, Type and block of a registered file of the ledger."""
        directory, name = rows.splitLFN(lfn)
        sql = (
            "SELECT f.FileID, b.BlockID, b.Type, b.Block FROM Directories d JOIN Files f ON f.DirectoryID = d.DirectoryID"
            " LEFT JOIN LateFiles l ON l.FileID = f.FileID JOIN Blocks b ON b.BlockID = COALESCE(l.BlockID, d.BlockID)"
            " WHERE d.Directory = %s AND f.FileName = %s AND f.State = 'Registered'"
        )
        return next(((row[0], row[1], row[2], row[3]) for row in self.select(sql, (directory, name))), None)

    def chainOutput(self, lfn: str) -> tuple[int, int, str, str, ChainProductFacts] | None:
        """ChainID, BlockID, Type and block of an output of a chain, and the output."""
        sql = (
            "SELECT p.ChainID, p.BlockID, b.Type, b.Block FROM Products p JOIN Blocks b ON b.BlockID = p.BlockID WHERE p.LFN = %s"
        )
        for chainID, blockID, typeName, block in self.select(sql, (lfn,)):
            (row,) = self.select(f"{_PRODUCT} WHERE p.LFN = %s", (lfn,))
            return chainID, blockID, typeName, block, _productOf(row)
        return None

    def chainAttachedTimes(self, chainID: int, fileID: int) -> dict[int, Any]:
        """When a file of the ledger was given to each step, by its number."""
        sql = "SELECT StepNumber, AttachedTime FROM ChainInputs WHERE ChainID = %s AND FileID = %s"
        return {int(number): rows.aware(time) for number, time in self.select(sql, (chainID, fileID))}

    def chainDaughter(self, chainID: int, stepNumber: int, parentID: int) -> ChainProductFacts | None:
        """The output of a step that has an input."""
        sql = (
            f"{_PRODUCT} JOIN Derivations d ON d.ProductID = p.ProductID"
            " WHERE d.ChainID = %s AND d.StepNumber = %s AND d.ParentID = %s"
        )
        return next((_productOf(row) for row in self.select(sql, (chainID, stepNumber, parentID))), None)

    def chainAttempt(self, transformationID: int, taskID: int) -> ChainAttemptFacts | None:
        """The last execution of a task."""
        sql = (
            "SELECT State, JobID, Site, LastTime, Error, Detail FROM Attempts WHERE TransformationID = %s AND TaskID = %s"
            " ORDER BY AttemptID DESC"
        )
        found = self.select(sql, (transformationID, taskID))
        for state, jobID, site, time, error, detail in found:
            return ChainAttemptFacts(state, jobID, site, rows.aware(time), error, detail, len(found))
        return None

    def chainRecovery(self, chainID: int, stepNumber: int, se: str, parentID: int) -> ChainRecoveryFacts | None:
        """What the recovery wrote down of an input, or of a copy."""
        sql = (
            "SELECT State, Attempts, Error, Detail, LastTime, NextTime FROM Recoveries WHERE ChainID = %s AND StepNumber = %s"
            " AND SE = %s AND ParentID = %s AND State <> 'Solved'"
        )
        for *told, last, following in self.select(sql, (chainID, stepNumber, se, parentID)):
            return ChainRecoveryFacts(told[0], told[1], told[2], told[3], rows.aware(last), rows.utc(following))
        return None


def _productOf(row: Any) -> ChainProductFacts:
    productID, lfn, number, state, se, events, committed, registered, jobID, site = row
    times = (rows.aware(committed), rows.utc(registered))
    # MariaDB makes a decimal number of COALESCE over an unsigned one, which DIRAC cannot send
    return ChainProductFacts(productID, lfn, number, state, se, events, *times, int(jobID), site)
