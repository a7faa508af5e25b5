"""The blocks of chains: which there are, and that none goes through one version of a chain twice unless somebody wants it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from JUNODIRAC.Core.Domain.ChainRecords import ChainBlock, ChainBlockState, ChainRefused, ChainScope
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection

_BLOCK_COLUMNS = (
    "c.ChainID", "c.BlockID", "b.Block", "b.State", "c.State", "c.StateTime", "c.AddedTime", "c.AddedBy", "c.EndedSteps",
    "c.Waits", "c.Problem", "c.WantedFiles", "c.AttachedFiles", "c.CountedTime",
)  # fmt: skip


class Taken(NamedTuple):
    """A block that a production of the same chain and version has."""

    blockID: int
    block: str
    production: str


class BlocksTaken(ChainRefused):
    """Blocks went through this version of a chain before."""

    def __init__(self, taken: Sequence[Taken]) -> None:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        super().__init__(
            f"block {taken[0].block} is in {taken[0].production} already{more}: a block goes through one version of a chain once;"
            " leave it out, or write --again for a new version of the output"
        )


class ChainBlockBook(LedgerConnection):
    """Reads and writes ChainBlocks. Every method may raise TemporaryFailure."""

    def chainBlocks(self, chainID: int, block: str = "") -> list[ChainBlock]:
        """The blocks of a chain by name.

        :param block: only this one
        """
        sql = (
            f"SELECT {', '.join(_BLOCK_COLUMNS)} FROM ChainBlocks c JOIN Blocks b ON b.BlockID = c.BlockID"
            " WHERE c.ChainID = %s AND %s IN ('', b.Block) ORDER BY b.Block"
        )
        return [_block(row) for row in self.select(sql, (chainID, block))]

    def blockCounts(self) -> dict[int, dict[str, int]]:
        """Number of blocks by ChainID and state."""
        found: dict[int, dict[str, int]] = {}
        for chainID, state, count in self.select("SELECT ChainID, State, COUNT(*) FROM ChainBlocks GROUP BY 1, 2"):
            found.setdefault(chainID, {})[state] = count
        return found

    def addChainBlocks(self, chainID: int, blockIDs: Sequence[int], actor: str, now: datetime) -> list[int]:
        """Give blocks to a chain that its scope means but does not name.

        Those that another output version of it has are left out, unless the chain was started to do them again. Late files go
        wherever the block goes that they are late for.

        :returns: those that it did not have
        """

        def work(conn: Any) -> list[int]:
            others = self._takenBlocks(chainID, blockIDs, conn)
            ((text,),) = self.select("SELECT Scope FROM Chains WHERE ChainID = %s FOR UPDATE", (chainID,), conn)
            taken = set() if readScope(text).again else {each.blockID for each in others}
            taken -= self._followUps(chainID, sorted(taken), conn)
            return self._insertBlocks(chainID, [each for each in blockIDs if each not in taken], actor, now, conn)

        return self.inTransaction(work)

    def _followUps(self, chainID: int, blockIDs: Sequence[int], conn: Any) -> set[int]:
        """Those of these blocks whose parent the chain has."""
        found: set[int] = set()
        for chunk in rows.chunks(blockIDs):
            sql = (
                "SELECT b.BlockID FROM Blocks b JOIN ChainBlocks c ON c.BlockID = b.ParentID"
                f" WHERE c.ChainID = %s AND b.BlockID IN ({rows.placeholders(len(chunk))}) LOCK IN SHARE MODE"
            )
            found |= {number for (number,) in self.select(sql, (chainID, *chunk), conn)}
        return found

    def takenBlocks(self, name: str, version: str, blockIDs: Sequence[int]) -> list[Taken]:
        """Which of these blocks went through this version of a chain already, and in which production."""
        return self._taken("c.Name = %s AND c.Version = %s", (name, version), blockIDs)

    def _takenBlocks(self, chainID: int, blockIDs: Sequence[int], conn: Any) -> list[Taken]:
        """Those that another output version of the chain has.

        Locks the chains of its name and version, all of them in one order, so that two who do so never wait for each other.
        """
        sql = (
            "SELECT o.ChainID FROM Chains c JOIN Chains o USING (Name, Version) WHERE c.ChainID = %s"
            " ORDER BY o.ChainID FOR UPDATE"
        )
        others = [number for (number,) in self.select(sql, (chainID,), conn) if number != chainID]
        if not others:
            return []
        return self._taken(f"c.ChainID IN ({rows.placeholders(len(others))})", others, blockIDs, conn)

    def _taken(self, condition: str, args: Sequence[Any], blockIDs: Sequence[int], conn: Any = None) -> list[Taken]:
        found: list[Taken] = []
        for chunk in rows.chunks(list(blockIDs)):
            sql = (
                "SELECT b.BlockID, n.Block, c.Production FROM Chains c JOIN ChainBlocks b USING (ChainID)"
                f" JOIN Blocks n ON n.BlockID = b.BlockID WHERE {condition} AND b.BlockID IN ({rows.placeholders(len(chunk))})"
                " ORDER BY c.OutputVersion, n.Block"
            )
            # within a transaction that waited for others: what is there now, not what was there when it began
            locking = " LOCK IN SHARE MODE" if conn is not None else ""
            found += [Taken(*row) for row in self.select(sql + locking, (*args, *chunk), conn)]
        return found

    def _insertBlocks(self, chainID: int, blockIDs: Sequence[int], actor: str, now: datetime, conn: Any) -> list[int]:
        known = self._ownBlocks(chainID, blockIDs, conn)
        new = [number for number in dict.fromkeys(blockIDs) if number not in known]
        columns = ("ChainID", "BlockID", "State", "StateTime", "AddedTime", "AddedBy")
        by = rows.text(actor, 128)
        values = [(chainID, number, ChainBlockState.WAITING.value, now, now, by) for number in new]
        self.upsert("ChainBlocks", columns, values, ["BlockID = VALUES(BlockID)"], conn)
        return new

    def _ownBlocks(self, chainID: int, blockIDs: Sequence[int], conn: Any) -> set[int]:
        """Those of these blocks that the chain has; they stay so until the end of the transaction."""
        found: set[int] = set()
        for chunk in rows.chunks(list(blockIDs)):
            marks = rows.placeholders(len(chunk))
            sql = f"SELECT BlockID FROM ChainBlocks WHERE ChainID = %s AND BlockID IN ({marks}) FOR UPDATE"
            found |= {number for (number,) in self.select(sql, (chainID, *chunk), conn)}
        return found

    def blockNumbers(self, typeName: str, names: Sequence[str]) -> dict[str, int]:
        """BlockIDs by name, of those that exist."""
        found: dict[str, int] = {}
        for chunk in rows.chunks(list(names)):
            sql = f"SELECT Block, BlockID FROM Blocks WHERE Type = %s AND Block IN ({rows.placeholders(len(chunk))})"
            found |= dict(self.select(sql, (typeName, *chunk)))
        return found

    def blockRange(self, typeName: str, first: str, last: str) -> dict[str, int]:
        """BlockIDs by name of the blocks from one to another, both included, as names are ordered; without follow-up blocks."""
        sql = (
            "SELECT Block, BlockID FROM Blocks WHERE Type = %s AND Block >= %s AND Block <= %s AND ParentID IS NULL"
            " AND State <> 'Known' ORDER BY Block"
        )
        return dict(self.select(sql, (typeName, first, last)))

    def registeredInBlocks(self, blockIDs: Sequence[int]) -> tuple[int, int]:
        """Number and bytes of the registered files of these blocks, counted now."""
        files = sizeBytes = 0
        for chunk in rows.chunks(list(blockIDs)):
            sql = (
                "SELECT COUNT(*), COALESCE(SUM(f.SizeBytes), 0) FROM Directories d JOIN Files f FORCE INDEX (DirectoryState)"
                " ON f.DirectoryID = d.DirectoryID"
                f" WHERE d.BlockID IN ({rows.placeholders(len(chunk))}) AND f.State = 'Registered'"
            )
            ((more, moreBytes),) = self.select(sql, chunk)
            files, sizeBytes = files + int(more), sizeBytes + int(moreBytes)
        return files, sizeBytes

    def extendScope(self, chainID: int, more: ChainScope, blockIDs: Sequence[int], actor: str, now: datetime) -> list[int]:
        """Give a chain more blocks, and widen its scope.

        :returns: the blocks that it did not have
        :raises ChainRefused: if another output version of the chain has one of them, and ``more`` does not say again
        """

        def work(conn: Any) -> list[int]:
            taken = self._takenBlocks(chainID, blockIDs, conn)
            own = self._ownBlocks(chainID, blockIDs, conn)
            others = [each for each in taken if each.blockID not in own]
            if others and not more.again:
                raise BlocksTaken(others)
            ((text,),) = self.select("SELECT Scope FROM Chains WHERE ChainID = %s FOR UPDATE", (chainID,), conn)
            scope = readScope(text).joined(more)
            self.execute("UPDATE Chains SET Scope = %s WHERE ChainID = %s", (scopeText(scope), chainID), conn)
            return self._insertBlocks(chainID, blockIDs, actor, now, conn)

        return self.inTransaction(work)


def scopeText(scope: ChainScope) -> str:
    """A scope as the table has it."""
    since = scope.newSince.isoformat() if scope.newSince else None
    values = {
        "Blocks": scope.blocks,
        "EachNewBlock": scope.eachNewBlock,
        "NewSince": since,
        "Datasets": scope.datasets,
        "Again": scope.again,
    }
    return json.dumps(values)


def readScope(text: str) -> ChainScope:
    """A scope from what the table has."""
    values: dict[str, Any] = json.loads(text)
    since = values.get("NewSince")
    return ChainScope(
        tuple(values.get("Blocks", ())),
        bool(values.get("EachNewBlock")),
        datetime.fromisoformat(since) if since else None,
        tuple(values.get("Datasets", ())),
        bool(values.get("Again")),
    )


def _block(row: Sequence[Any]) -> ChainBlock:
    chainID, blockID, block, blockState, state, changed, added, addedBy, ended, waits, problem, wanted, attached, counted = row
    return ChainBlock(
        chainID,
        blockID,
        block,
        blockState,
        ChainBlockState(state),
        rows.aware(changed),
        rows.aware(added),
        addedBy,
        ended,
        waits or "",
        problem or "",
        wanted,
        attached,
        rows.utc(counted),
    )
