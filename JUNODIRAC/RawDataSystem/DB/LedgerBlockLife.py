"""Blocks and their sites as they go from state to state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.BlockProgress import Sample
from JUNODIRAC.Core.Domain.BlockState import BlockState, checkBlockTransition
from JUNODIRAC.Core.Domain.LivingBlock import BlockEvent, LivingBlock, LivingSite
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection

#: states of blocks for which something is left to be done
LIVING = tuple(state for state in BlockState if state not in (BlockState.KNOWN, BlockState.DONE))

_BLOCK_COLUMNS = (
    "BlockID", "Type", "Block", "Directory", "State", "CreatedTime", "ParentID", "ExpectedFiles", "ExpectedTime", "OpenedTime",
    "ClosedTime", "ClosedBy", "ReplicatedTime", "ValidatedTime", "DoneTime", "ProblemTime", "Problem", "RegisteredFiles",
    "RegisteredBytes", "UnsettledFiles", "GivenUpFiles", "CountedTime",
)  # fmt: skip
_SITE_COLUMNS = (
    "BlockID", "SE", "TransformationID", "State", "CreatedTime", "ClosedTime", "ReplicatedTime", "ValidatedTime", "DoneTime",
    "ProblemTime", "Problem", "DoneFiles", "DoneBytes", "ProgressTime",
)  # fmt: skip
_TIME_COLUMNS = {
    BlockState.OPEN: "OpenedTime",
    BlockState.CLOSED: "ClosedTime",
    BlockState.REPLICATED: "ReplicatedTime",
    BlockState.VALIDATED: "ValidatedTime",
    BlockState.DONE: "DoneTime",
    BlockState.PROBLEM: "ProblemTime",
}
_MAX_ACTOR_CHARS = 128


class LedgerBlockLife(LedgerConnection):
    """The only writer of the states. Every method may raise TemporaryFailure."""

    def moveBlock(
        self,
        blockID: int,
        old: BlockState,
        new: BlockState,
        actor: str,
        reason: str,
        problem: str = "",
        closedBy: str = "",
    ) -> bool:
        """Bring a block from one state to another, with the time and an event that says who and why.

        :param problem: kept beside the block as long as it is a Problem; the reason, if this is empty
        :param closedBy: for a block that is closed: by what, EndOfBlock, Quiet, or a user
        :returns: False, with nothing written, if the block is not in state ``old`` (any more)
        :raises IllegalBlockTransition: nothing is written then
        """
        extra = {"ClosedBy": rows.text(closedBy, _MAX_ACTOR_CHARS)} if closedBy else {}
        event = (blockID, "", old, new, actor, reason)
        return self._move("Blocks", {"BlockID": blockID}, event, problem, extra)

    def moveSite(
        self,
        blockID: int,
        se: str,
        old: BlockState,
        new: BlockState,
        actor: str,
        reason: str,
        problem: str = "",
    ) -> bool:
        """Bring a block at one site from one state to another; as :meth:`moveBlock`."""
        event = (blockID, se, old, new, actor, reason)
        return self._move("BlockTransfers", {"BlockID": blockID, "SE": se}, event, problem, {})

    def _move(
        self,
        table: str,
        key: Mapping[str, Any],
        event: tuple[int, str, BlockState, BlockState, str, str],
        problem: str,
        extra: Mapping[str, Any],
    ) -> bool:
        blockID, se, old, new, actor, reason = event
        checkBlockTransition(f"block {blockID}{f' at {se}' if se else ''}", old, new)
        now = datetime.now(UTC)
        isProblem = new is BlockState.PROBLEM
        values = {"State": new.value, "Problem": rows.text(problem or reason) if isProblem else None, **extra}
        if se == "" or new is not BlockState.OPEN:  # a site has no time of its opening: that is its CreatedTime
            values[_TIME_COLUMNS[new]] = now
        where = {**key, "State": old.value}

        def work(conn: Any) -> bool:
            sql = f"UPDATE {table} SET {_assignments(values, ', ')} WHERE {_assignments(where, ' AND ')}"
            if not self.execute(sql, (*values.values(), *where.values()), conn):
                return False
            self._writeEvent(event, now, conn)
            return True

        isMoved = self.inTransaction(work)
        if isMoved:
            what = f"block {blockID}{f' at {se}' if se else ''}: {old} -> {new}"
            self.log.notice(what, f"by {actor}: {reason}")
        return isMoved

    def _writeEvent(self, event: tuple[int, str, BlockState, BlockState, str, str], now: datetime, conn: Any) -> None:
        blockID, se, old, new, actor, reason = event
        columns = ("BlockID", "SE", "Time", "FromState", "ToState", "Actor", "Reason")
        texts = (rows.text(actor, _MAX_ACTOR_CHARS), rows.text(reason))
        sql = f"INSERT INTO BlockEvents ({', '.join(columns)}) VALUES ({rows.placeholders(len(columns))})"
        self.execute(sql, (blockID, se, now, old.value, new.value, *texts), conn)

    def blockIDOf(self, typeName: str, name: str) -> int | None:
        """The id of a block, or None if the ledger does not know it."""
        found = self.select("SELECT BlockID FROM Blocks WHERE Type = %s AND Block = %s", (typeName, name))
        return int(found[0][0]) if found else None

    def setExpected(self, blockID: int, fileCount: int, by: str, now: datetime) -> None:
        """Write down how many files a block shall have, whatever was declared before.

        The message that declared it keeps its place beside the number: it is no contradiction when it is read again.

        :param by: the user who says so
        """
        sql = (
            "UPDATE Blocks SET ExpectedFiles = %s, ExpectedTime = %s, ExpectedBy = IF(ExpectedBy = '', %s, ExpectedBy)"
            " WHERE BlockID = %s"
        )
        self.execute(sql, (fileCount, now, rows.text(by, _MAX_ACTOR_CHARS), blockID))

    def readLivingBlocks(self, alsoBlockIDs: Collection[int] = ()) -> list[LivingBlock]:
        """All blocks that were opened and for which something is left to be done, at themselves or at one of their sites.

        :param alsoBlockIDs: blocks that are wanted even if all is Done
        """
        states = rows.placeholders(len(LIVING))
        sql = (
            f"SELECT BlockID FROM Blocks WHERE State IN ({states})"
            f" UNION SELECT BlockID FROM BlockTransfers WHERE State IN ({states})"
        )
        found = {blockID for (blockID,) in self.select(sql, LIVING * 2)}
        return self.readLivingBlocksByID(sorted(found | set(alsoBlockIDs)))

    def readLivingBlocksByID(self, blockIDs: Sequence[int]) -> list[LivingBlock]:
        """These blocks, by their id; those that were never opened are left out."""
        found: list[LivingBlock] = []
        for chunk in rows.chunks(blockIDs):
            marks = rows.placeholders(len(chunk))
            sites: dict[int, list[LivingSite]] = defaultdict(list)
            sql = f"SELECT {', '.join(_SITE_COLUMNS)} FROM BlockTransfers WHERE BlockID IN ({marks}) ORDER BY BlockID, SE"
            for row in self.select(sql, chunk):
                sites[row[0]].append(_siteOf(dict(zip(_SITE_COLUMNS, row, strict=True))))
            sql = f"SELECT BlockID, MAX(ActiveTime) FROM Directories WHERE BlockID IN ({marks}) GROUP BY BlockID"
            activeTimes = dict(self.select(sql, chunk))
            sql = (
                f"SELECT {', '.join(f'b.{column}' for column in _BLOCK_COLUMNS)}, p.Block,"
                " EXISTS (SELECT 1 FROM Blocks c WHERE c.ParentID = b.BlockID) FROM Blocks b"
                f" LEFT JOIN Blocks p ON p.BlockID = b.ParentID WHERE b.BlockID IN ({marks}) AND b.State <> %s ORDER BY b.BlockID"
            )
            for row in self.select(sql, (*chunk, BlockState.KNOWN.value)):
                values = dict(zip((*_BLOCK_COLUMNS, "Parent", "HasFollowUps"), row, strict=True))
                found.append(_blockOf(values, tuple(sites[row[0]]), activeTimes.get(row[0])))
        return found

    def readBlockEvents(self, blockID: int, se: str | None = None, limit: int = 1000) -> list[BlockEvent]:
        """The newest changes of state of a block and of it at its sites, in the order in which they were made.

        :param se: of this site only; empty: of the block itself only
        """
        where, args = ("", ()) if se is None else (" AND SE = %s", (se,))
        sql = (
            "SELECT BlockID, SE, Time, FromState, ToState, Actor, Reason FROM BlockEvents"
            f" WHERE BlockID = %s{where} ORDER BY EventID DESC LIMIT %s"
        )
        found = self.select(sql, (blockID, *args, limit))
        return [BlockEvent(row[0], row[1], rows.aware(row[2]), *row[3:]) for row in reversed(found)]

    def firstSamples(self, blockIDs: Sequence[int], since: datetime) -> dict[tuple[int, str], Sample]:
        """The first note of how far these blocks were after a time, by block id and SE."""
        found: dict[tuple[int, str], Sample] = {}
        for chunk in rows.chunks(blockIDs):
            sql = (
                "SELECT p.BlockID, p.SE, p.Time, p.DoneFiles FROM (SELECT BlockID, SE, MIN(Time) AS Time FROM BlockProgress"
                f" WHERE BlockID IN ({rows.placeholders(len(chunk))}) AND Time >= %s GROUP BY BlockID, SE) AS first"
                " JOIN BlockProgress p ON p.BlockID = first.BlockID AND p.SE = first.SE AND p.Time = first.Time"
            )
            for blockID, se, time, files in self.select(sql, (*chunk, since)):
                found[blockID, se] = Sample(rows.aware(time), files)
        return found


def _assignments(values: Mapping[str, Any], between: str) -> str:
    return between.join(f"{column} = %s" for column in values)


def _blockOf(values: Mapping[str, Any], sites: tuple[LivingSite, ...], activeTime: datetime | None) -> LivingBlock:
    return LivingBlock(
        blockID=values["BlockID"],
        typeName=values["Type"],
        name=values["Block"],
        directory=values["Directory"] or "",
        state=BlockState(values["State"]),
        createdTime=rows.aware(values["CreatedTime"]),
        sites=sites,
        parentID=values["ParentID"],
        parent=values["Parent"] or "",
        hasFollowUps=bool(values["HasFollowUps"]),
        expectedFiles=values["ExpectedFiles"],
        expectedTime=rows.utc(values["ExpectedTime"]),
        openedTime=rows.utc(values["OpenedTime"]),
        closedTime=rows.utc(values["ClosedTime"]),
        closedBy=values["ClosedBy"],
        replicatedTime=rows.utc(values["ReplicatedTime"]),
        validatedTime=rows.utc(values["ValidatedTime"]),
        doneTime=rows.utc(values["DoneTime"]),
        problemTime=rows.utc(values["ProblemTime"]),
        problem=values["Problem"] or "",
        registeredFiles=values["RegisteredFiles"],
        registeredBytes=values["RegisteredBytes"],
        unsettledFiles=values["UnsettledFiles"],
        givenUpFiles=values["GivenUpFiles"],
        countedTime=rows.utc(values["CountedTime"]),
        activeTime=rows.utc(activeTime),
    )


def _siteOf(values: Mapping[str, Any]) -> LivingSite:
    return LivingSite(
        se=values["SE"],
        transformationID=values["TransformationID"],
        state=BlockState(values["State"]),
        createdTime=rows.aware(values["CreatedTime"]),
        closedTime=rows.utc(values["ClosedTime"]),
        replicatedTime=rows.utc(values["ReplicatedTime"]),
        validatedTime=rows.utc(values["ValidatedTime"]),
        doneTime=rows.utc(values["DoneTime"]),
        problemTime=rows.utc(values["ProblemTime"]),
        problem=values["Problem"] or "",
        doneFiles=values["DoneFiles"],
        doneBytes=values["DoneBytes"],
        progressTime=rows.utc(values["ProgressTime"]),
    )
