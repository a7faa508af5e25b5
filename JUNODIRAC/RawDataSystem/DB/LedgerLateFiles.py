"""What comes for blocks beside their files: the number that they shall have, files after their closing, follow-up blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Logic.Ports import DirectoryTaken, Expected, LedgerEntry
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerBlockLife import LedgerBlockLife
from JUNODIRAC.RawDataSystem.DB.LedgerDirectories import BLOCK_KNOWN, LedgerDirectories

#: who changes states when a late file comes
RECEIVER = "DataReceiverAgent"

_BEYOND_CLOSED = tuple(str(state) for state in (BlockState.REPLICATED, BlockState.VALIDATED, BlockState.DONE))

BlockKey = tuple[str, str]


class LedgerLateFiles(LedgerDirectories, LedgerBlockLife):
    """Written by the receivers."""

    # ---- how many files a block shall have

    def recordExpected(self, typeName: str, name: str, fileCount: int, position: rows.Position) -> Expected:
        """See :meth:`Ports.Ledger.recordExpected`."""
        blockID = self._ensureBlocks([(typeName, name)])[typeName, name]
        values = "ExpectedFiles = %s, ExpectedTime = %s, ExpectedBy = %s"
        sql = f"UPDATE Blocks SET {values} WHERE BlockID = %s AND ExpectedFiles IS NULL"
        self.execute(sql, (fileCount, datetime.now(UTC), rows.positionText(position), blockID))
        found = self.select("SELECT ExpectedFiles, ExpectedBy FROM Blocks WHERE BlockID = %s", (blockID,))
        return Expected(int(found[0][0]), rows.positionOf(found[0][1]))

    # ---- files after the closing

    def takeBack(self, typeName: str, name: str, reason: str) -> None:
        """See :meth:`Ports.Ledger.takeBack`."""
        sql = (
            "SELECT b.BlockID, b.State, t.SE, t.State FROM Blocks b LEFT JOIN BlockTransfers t ON t.BlockID = b.BlockID"
            " WHERE b.Type = %s AND b.Block = %s"
        )
        found = self.select(sql, (typeName, name))
        for blockID, state in {(row[0], row[1]) for row in found}:
            if state in _BEYOND_CLOSED:
                self.moveBlock(blockID, BlockState(state), BlockState.CLOSED, RECEIVER, reason)
        for blockID, _, se, state in found:
            if state in _BEYOND_CLOSED:
                self.moveSite(blockID, se, BlockState(state), BlockState.CLOSED, RECEIVER, reason)

    # ---- follow-up blocks

    def findFollowUp(self, typeName: str, parent: str) -> Block | None:
        """See :meth:`Ports.Ledger.findFollowUp`."""
        sql = (
            "SELECT c.Block, c.State FROM Blocks c JOIN Blocks p ON p.BlockID = c.ParentID"
            " WHERE p.Type = %s AND p.Block = %s ORDER BY c.BlockID DESC LIMIT 1"
        )
        found = self.select(sql, (typeName, parent))
        return Block(typeName, found[0][0], "", state=BlockState(found[0][1]), parent=parent) if found else None

    def findParent(self, typeName: str, name: str) -> str:
        """The block whose late files this one has; empty if it is no follow-up block."""
        sql = "SELECT p.Block FROM Blocks c JOIN Blocks p ON p.BlockID = c.ParentID WHERE c.Type = %s AND c.Block = %s"
        found = self.select(sql, (typeName, name))
        return str(found[0][0]) if found else ""

    def _ensureFollowUp(self, typeName: str, name: str, parent: str) -> int:
        """Id of a follow-up block, which gets a row in state Known if it has none.

        :raises DirectoryTaken: if the name belongs to something else
        """
        keys = [(typeName, parent), (typeName, name)]
        found = self._knownBlocks(keys)
        if keys[1] not in found:
            parentID = self._ensureBlocks(keys[:1])[keys[0]]
            columns = ("Type", "Block", "ParentID", "State", "CreatedTime")
            values = [(typeName, name, parentID, BLOCK_KNOWN, datetime.now(UTC))]
            self.inTransaction(lambda conn: self.upsert("Blocks", columns, values, ["BlockID = BlockID"], conn))
        sql = (
            "SELECT c.BlockID FROM Blocks c JOIN Blocks p ON p.BlockID = c.ParentID"
            " WHERE c.Type = %s AND c.Block = %s AND p.Block = %s"
        )
        rowsFound = self.select(sql, (typeName, name, parent))
        if not rowsFound:
            raise DirectoryTaken({name: f"a block that is no follow-up of {parent}"})
        return int(rowsFound[0][0])

    def _ensureFollowUps(self, entries: Sequence[LedgerEntry]) -> dict[BlockKey, int]:
        """Ids of the follow-up blocks that get some of these files."""
        wanted = {(each.file.typeName, each.followUp, each.file.block) for each in entries if each.followUp}
        return {(typeName, name): self._ensureFollowUp(typeName, name, parent) for typeName, name, parent in sorted(wanted)}

    def _assignBlocks(self, entries: Mapping[int, LedgerEntry], followUpIDs: Mapping[BlockKey, int], conn: Any) -> None:
        """Each of these files (by row id) belongs to its follow-up block from here on, or to the block of its directory."""
        late = [(fileID, followUpIDs[entry.file.typeName, entry.followUp]) for fileID, entry in entries.items() if entry.followUp]
        self.upsert("LateFiles", ("FileID", "BlockID"), late, ["BlockID = VALUES(BlockID)"], conn)
        for chunk in rows.chunks([fileID for fileID, entry in entries.items() if not entry.followUp]):
            self.execute(f"DELETE FROM LateFiles WHERE FileID IN ({rows.placeholders(len(chunk))})", chunk, conn)
