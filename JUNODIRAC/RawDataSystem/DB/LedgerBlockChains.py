"""How far blocks are in the chains that run on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from JUNODIRAC.Core.Domain.BlockInChain import BlockInChain
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection


class LedgerBlockChains(LedgerConnection):
    """Reads what ChainAgent wrote down at its last look: one statement, whatever the number of files."""

    def blockChains(self, blockIDs: Sequence[int]) -> dict[int, list[BlockInChain]]:
        """The chains of each of these blocks, by BlockID, in the order of their starts; blocks without any are left out."""
        found: dict[int, list[BlockInChain]] = defaultdict(list)
        for chunk in rows.chunks(blockIDs):
            sql = (
                "SELECT k.BlockID, c.Production, c.State, k.State, k.EndedSteps, COALESCE(s.Steps, 0), k.WantedFiles,"
                " k.AttachedFiles, COALESCE(k.Waits, ''), COALESCE(k.Problem, ''), COALESCE(s.Held, '')"
                " FROM ChainBlocks k JOIN Chains c ON c.ChainID = k.ChainID"
                " LEFT JOIN (SELECT ChainID, MAX(StepNumber) AS Steps, GROUP_CONCAT(DISTINCT IF(Held IS NULL, NULL,"
                " CONCAT('step ', Step, ' is held: ', Held)) SEPARATOR '\\n') AS Held FROM ChainSteps GROUP BY ChainID) s"
                f" ON s.ChainID = k.ChainID WHERE k.BlockID IN ({rows.placeholders(len(chunk))}) ORDER BY k.BlockID, k.ChainID"
            )
            for blockID, production, chainState, state, ended, steps, *values in self.select(sql, chunk):
                # the largest of small numbers comes as a decimal one, which no answer can carry
                found[blockID].append(BlockInChain(production, chainState, state, ended, int(steps), *values))
        return dict(found)
