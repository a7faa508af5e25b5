"""Outputs that were merged and are retired: marked first, then removed. RetiredTime says that it is removed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime

from JUNODIRAC.Core.Domain.JobRecords import ProductState
from JUNODIRAC.Core.Logic.ChainRetirement import MergedFile, RetirableInput, RetiringStep
from JUNODIRAC.ProductionSystem.DB.ChainProducts import ChainProducts
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows


class ChainRetirements(ChainProducts):
    """Implements :class:`JUNODIRAC.Core.Logic.ChainRetirement.RetirementBook`. Every method may raise TemporaryFailure."""

    def mergedToRetire(self, step: RetiringStep, limit: int) -> list[MergedFile]:
        """See :meth:`RetirementBook.mergedToRetire`."""
        sql = (
            "SELECT m.ProductID, m.LFN, m.SizeBytes, m.Checksum, m.Events FROM Products m"
            " WHERE m.ChainID = %s AND m.StepNumber = %s AND m.State = %s"
            " AND EXISTS (SELECT 1 FROM Derivations d JOIN Products p ON p.ProductID = d.ParentID"
            " WHERE d.ProductID = m.ProductID AND p.State = %s) ORDER BY m.ProductID LIMIT %s"
        )
        registered = ProductState.REGISTERED.value
        found = self.select(sql, (step.chainID, step.stepNumber, registered, registered, limit))
        inputs: dict[int, list[RetirableInput]] = defaultdict(list)
        for chunk in rows.chunks([row[0] for row in found]):
            sql = (
                "SELECT d.ProductID, d.ParentID, COALESCE(p.LFN, ''), COALESCE(p.Events, -1), d.Events, COALESCE(p.State, '')"
                " FROM Derivations d LEFT JOIN Products p ON p.ProductID = d.ParentID"
                f" WHERE d.ProductID IN ({rows.placeholders(len(chunk))}) ORDER BY d.ProductID, d.Position"
            )
            for productID, parentID, lfn, events, eventsRead, state in self.select(sql, chunk):
                inputs[productID].append(RetirableInput(parentID, lfn, int(events), eventsRead, state))
        return [MergedFile(row[0], row[1], row[2], row[3], row[4], inputs[row[0]]) for row in found]

    def underived(self, chainID: int, stepNumber: int, productIDs: Collection[int]) -> set[int]:
        """See :meth:`RetirementBook.underived`."""
        return set(productIDs) - self.derivedInputs(chainID, stepNumber, productIDs).keys()

    def markRetired(self, productIDs: Collection[int]) -> int:
        """See :meth:`RetirementBook.markRetired`."""
        changed = 0
        for chunk in rows.chunks(sorted(productIDs)):
            sql = f"UPDATE Products SET State = %s WHERE State = %s AND ProductID IN ({rows.placeholders(len(chunk))})"
            changed += self.execute(sql, (ProductState.RETIRED.value, ProductState.REGISTERED.value, *chunk))
        return changed

    def retiring(self, limit: int) -> dict[str, list[str]]:
        """See :meth:`RetirementBook.retiring`."""
        sql = (
            "SELECT p.LFN, p.SE, COALESCE(a.OutputSEs, '[]') FROM Products p LEFT JOIN Attempts a ON a.AttemptID = p.AttemptID"
            " WHERE p.State = %s AND p.RetiredTime IS NULL ORDER BY p.ProductID LIMIT %s"
        )
        found = self.select(sql, (ProductState.RETIRED.value, limit))
        return {lfn: list(dict.fromkeys([se, *json.loads(tried or "[]")])) for lfn, se, tried in found}

    def noteRetired(self, lfns: Collection[str]) -> None:
        """See :meth:`RetirementBook.noteRetired`."""
        for chunk in rows.chunks(sorted(lfns)):
            sql = f"UPDATE Products SET RetiredTime = %s WHERE State = %s AND LFN IN ({rows.placeholders(len(chunk))})"
            self.execute(sql, (datetime.now(UTC), ProductState.RETIRED.value, *chunk))
