"""Blocks as they are opened, and the journal of what people change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.JournalEntry import JournalEntry
from JUNODIRAC.Core.Logic.Ports import DirectoryTaken
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerDirectories import BLOCK_KNOWN, BLOCK_OPEN
from JUNODIRAC.RawDataSystem.DB.LedgerLateFiles import RECEIVER, LedgerLateFiles

_OPENED = "its directory and its transfers were made"


class LedgerMismatch(DirectoryTaken):
    """The ledger has a block with another directory, or its directory with another block: the rules of a Type changed."""

    def __init__(self, typeName: str, block: str, directory: str) -> None:
        super().__init__({directory: "another block"})
        self.args = (
            f"block {block} of Type {typeName} cannot have the directory {directory}: the ledger has this block with another"
            " directory or this directory with another block; correct BlockRule, LFNRule or DirectoryPattern of the Type",
        )


class LedgerBlocks(LedgerLateFiles):
    """Blocks and journal."""

    def findBlock(self, typeName: str, name: str) -> Block | None:
        """See :meth:`Ports.Ledger.findBlock`. A block of which only files are known, but that was never opened, is None."""
        sql = (
            "SELECT b.BlockID, b.Directory, b.State, p.Block, EXISTS (SELECT 1 FROM Blocks c WHERE c.ParentID = b.BlockID)"
            " FROM Blocks b LEFT JOIN Blocks p ON p.BlockID = b.ParentID WHERE b.Type = %s AND b.Block = %s AND b.State <> %s"
        )
        found = self.select(sql, (typeName, name, BLOCK_KNOWN))
        if not found:
            return None
        blockID, directory, state, parent, hasFollowUps = found[0]
        transfers = dict(self.select("SELECT SE, TransformationID FROM BlockTransfers WHERE BlockID = %s", (blockID,)))
        return Block(typeName, name, directory or "", transfers, BlockState(state), parent or "", bool(hasFollowUps))

    def recordBlock(self, block: Block) -> None:
        """See :meth:`Ports.Ledger.recordBlock`.

        :raises LedgerMismatch: when the ledger has this block with another directory, or the other way round
        """
        key = (block.typeName, block.name)
        blockID = self._ensureFollowUp(*key, block.parent) if block.parent else self._ensureBlocks([key])[key]
        directory = block.directory or None
        now = datetime.now(UTC)
        transfers = [(blockID, se, transformationID, now) for se, transformationID in block.transfers.items()]

        def work(conn: Any) -> None:
            found = self.select("SELECT BlockID, Directory FROM Blocks WHERE BlockID = %s OR Directory = %s FOR UPDATE",
                                (blockID, directory), conn)  # fmt: skip
            if any(row not in ((blockID, None), (blockID, directory)) for row in found):
                raise LedgerMismatch(block.typeName, block.name, block.directory)
            sql = "UPDATE Blocks SET State = %s, OpenedTime = %s, Directory = %s WHERE BlockID = %s AND State = %s"
            if self.execute(sql, (BLOCK_OPEN, now, directory, blockID, BLOCK_KNOWN), conn):
                why = f"its transfers were made, for late files of block {block.parent}" if block.parent else _OPENED
                self._writeEvent((blockID, "", BlockState.KNOWN, BlockState.OPEN, RECEIVER, why), now, conn)
            columns = ("BlockID", "SE", "TransformationID", "CreatedTime")
            self.upsert("BlockTransfers", columns, transfers, ["TransformationID = VALUES(TransformationID)"], conn)

        self.inTransaction(work)

    def recordJournal(self, actor: str, group: str, action: str, objectName: str, reason: str) -> None:
        """Write down who changed what, and why."""
        sql = "INSERT INTO Journal (Time, Actor, ActorGroup, Action, Object, Reason) VALUES (%s, %s, %s, %s, %s, %s)"
        texts = (rows.text(actor, 128), rows.text(group, 128), rows.text(action, 64), rows.text(objectName, 512))
        self.execute(sql, (datetime.now(UTC), *texts, rows.text(reason)))

    def readJournal(self, names: Sequence[str]) -> list[JournalEntry]:
        """What was done to these objects and to what belongs to them, called by their name, a blank and more; by time."""
        found: list[tuple[Any, ...]] = []
        for chunk in rows.chunks(names, 100):
            condition = " OR ".join(["Object = %s OR Object LIKE %s ESCAPE '|'"] * len(chunk))
            patterns = [value for name in chunk for value in (name, f"{_likeText(name)} %")]
            sql = f"SELECT JournalID, Time, Actor, ActorGroup, Action, Object, Reason FROM Journal WHERE {condition}"
            found += self.select(sql, patterns)
        return [JournalEntry(rows.utc(time) or time, *values) for _, time, *values in sorted(set(found))]


def _likeText(text: str) -> str:
    """A text that LIKE takes as it is."""
    for char in "|%_":
        text = text.replace(char, f"|{char}")
    return text
