"""How far blocks are in the steps of their chains, counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from JUNODIRAC.Core.Domain.ChainBlockFacts import StepCounts
from JUNODIRAC.ProductionSystem.DB.ChainFeeding import ChainFeeding
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows

_PRODUCTS_AT_ONCE = 5000
_REGISTERED = "('Registered', 'Retired')"
_SETTLED_WITHOUT = "('GivenUp', 'Waived')"


class ChainProgress(ChainFeeding):
    """Implements the part of :class:`JUNODIRAC.Core.Logic.ChainPorts.FeedLedger` about products and recoveries."""

    def stepCounts(self, chainID: int, blockIDs: Sequence[int]) -> dict[int, dict[int, StepCounts]]:
        """See :meth:`FeedLedger.stepCounts`."""
        found: dict[int, dict[int, StepCounts]] = defaultdict(lambda: defaultdict(StepCounts))
        for chunk in rows.chunks(blockIDs):
            marks, args = rows.placeholders(len(chunk)), (chainID, *chunk)
            derived = (
                "SELECT p.BlockID, p.StepNumber, p.State IN ('Registered', 'Retired'), COUNT(DISTINCT p.ProductID), COUNT(*)"
                " FROM Products p JOIN Derivations d ON d.ProductID = p.ProductID"
                f" WHERE p.ChainID = %s AND p.BlockID IN ({marks}) GROUP BY 1, 2, 3"
            )
            for blockID, step, isRegistered, products, parents in self.select(derived, args):
                known = found[blockID][step]
                found[blockID][step] = (
                    replace(known, settled=known.settled + parents)
                    if isRegistered
                    else replace(known, unregistered=known.unregistered + products)
                )
            lost = (
                "SELECT r.BlockID, r.StepNumber, r.SE = '', r.State = 'GivenUp', COUNT(*) FROM Recoveries r"
                f" WHERE r.ChainID = %s AND r.BlockID IN ({marks}) AND r.State IN {_SETTLED_WITHOUT} AND NOT (r.SE = ''"
                " AND EXISTS (SELECT 1 FROM Derivations d WHERE d.ChainID = r.ChainID AND d.StepNumber = r.StepNumber"
                " AND d.ParentID = r.ParentID)) GROUP BY 1, 2, 3, 4"
            )
            for blockID, step, isInput, isGivenUp, count in self.select(lost, args):
                known = found[blockID][step]
                found[blockID][step] = replace(
                    known,
                    settled=known.settled + (count if isInput else 0),
                    givenUp=known.givenUp + (count if isGivenUp else 0),
                )
        return {blockID: dict(steps) for blockID, steps in found.items()}

    def productCounts(self, chainID: int, blockIDs: Sequence[int] | None = None) -> dict[int, dict[int, int]]:
        """See :meth:`FeedLedger.productCounts`."""
        sql = f"SELECT BlockID, StepNumber, COUNT(*) FROM Products WHERE ChainID = %s AND State IN {_REGISTERED}"
        return self._countByStep(sql, chainID, blockIDs)

    def productLFNs(self, chainID: int, stepNumber: int) -> Iterator[Sequence[str]]:
        """See :meth:`FeedLedger.productLFNs`."""
        sql = (
            "SELECT ProductID, LFN FROM Products WHERE ChainID = %s AND StepNumber = %s AND State = 'Registered'"
            " AND ProductID > %s ORDER BY ProductID LIMIT %s"
        )
        last = 0
        while found := self.select(sql, (chainID, stepNumber, last, _PRODUCTS_AT_ONCE)):
            yield [lfn for _, lfn in found]
            last = found[-1][0]

    def unfinishedOfBlocks(
        self, chainID: int, stepNumber: int, sourceNumber: int, se: str, lfns: Collection[str]
    ) -> dict[int, int]:
        """See :meth:`FeedLedger.unfinishedOfBlocks`."""
        found: dict[int, int] = defaultdict(int)
        for chunk in rows.chunks(sorted(lfns)):
            sql = (
                "SELECT p.BlockID, COUNT(*) FROM Products p WHERE p.ChainID = %s AND p.StepNumber = %s"
                f" AND p.LFN IN ({rows.placeholders(len(chunk))}) AND NOT EXISTS"
                " (SELECT 1 FROM Recoveries r WHERE r.ChainID = p.ChainID AND r.StepNumber = %s AND r.SE = %s"
                f" AND r.ParentID = p.ProductID AND r.State IN {_SETTLED_WITHOUT}) GROUP BY p.BlockID"
            )
            for blockID, count in self.select(sql, (chainID, sourceNumber, *chunk, stepNumber, se)):
                found[blockID] += count
        return dict(found)
