"""What the cycle over the blocks reads from the ledger and notes there, beside the states themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from JUNODIRAC.Core.Domain.BlockClosing import FileCounts
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Validation import Verdict
from JUNODIRAC.Core.Logic.BlockCyclePorts import Progress, RepairSign
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

_ACTIVE, _GIVEN_UP = "Active", "GivenUp"
_PRUNED_AT_ONCE = 20_000


class LedgerBlockCycle(RawDataDB):
    """Implements :class:`JUNODIRAC.Core.Logic.BlockCyclePorts.CycleLedger`. Every method may raise TemporaryFailure."""

    # ---- files

    def saveCounts(self, counts: Mapping[int, FileCounts], now: datetime) -> None:
        """See :meth:`CycleLedger.saveCounts`."""
        columns = "RegisteredFiles = %s, RegisteredBytes = %s, UnsettledFiles = %s, GivenUpFiles = %s, CountedTime = %s"
        sql = f"UPDATE Blocks SET {columns} WHERE BlockID = %s"
        values = [
            (each.registered, each.registeredBytes, each.unsettled, each.waived, now, blockID)
            for blockID, each in sorted(counts.items())
        ]
        self.inTransaction(lambda conn: [self.execute(sql, row, conn) for row in values])

    def lastAnnounced(self, blockIDs: Sequence[int]) -> dict[int, datetime]:
        """See :meth:`CycleLedger.lastAnnounced`."""
        found: dict[int, datetime] = {}
        for chunk in rows.chunks(blockIDs):
            marks = rows.placeholders(len(chunk))
            # those that came late are of no account for the block of their directory: it was closed then
            sql = (
                "SELECT d.BlockID, MAX(f.AnnouncedTime) FROM Directories d JOIN Files f ON f.DirectoryID = d.DirectoryID"
                f" WHERE d.BlockID IN ({marks}) GROUP BY d.BlockID UNION ALL"
                " SELECT l.BlockID, MAX(f.AnnouncedTime) FROM LateFiles l JOIN Files f ON f.FileID = l.FileID"
                f" WHERE l.BlockID IN ({marks}) GROUP BY l.BlockID"
            )
            found |= {blockID: rows.aware(time) for blockID, time in self.select(sql, tuple(chunk) * 2)}
        return found

    def blockDirectories(self, blockIDs: Sequence[int]) -> dict[int, list[str]]:
        """See :meth:`CycleLedger.blockDirectories`."""
        found: dict[int, list[str]] = defaultdict(list)
        for chunk in rows.chunks(blockIDs):
            sql = (
                "SELECT b.BlockID, d.Directory FROM Blocks b JOIN Directories d ON d.BlockID = COALESCE(b.ParentID, b.BlockID)"
                f" WHERE b.BlockID IN ({rows.placeholders(len(chunk))})"
            )
            for blockID, directory in self.select(sql, chunk):
                found[blockID].append(directory)
        return found

    def lateSizes(self, blockIDs: Sequence[int]) -> dict[int, tuple[Mapping[str, int], Mapping[str, int]]]:
        """See :meth:`CycleLedger.lateSizes`."""
        return {blockID: (late.own, late.others) for blockID, late in self._lateFiles(blockIDs).items()}

    # ---- what repair and validation found

    def repairSigns(self, blockIDs: Sequence[int]) -> dict[tuple[int, str], RepairSign]:
        """See :meth:`CycleLedger.repairSigns`."""
        givenUp: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
        active: dict[tuple[int, str], int] = defaultdict(int)
        last: dict[tuple[int, str], datetime] = {}
        for chunk in rows.chunks(blockIDs):
            sql = (
                "SELECT BlockID, SE, State, ErrorClass, COUNT(*), MAX(LastTime) FROM Repairs"
                f" WHERE BlockID IN ({rows.placeholders(len(chunk))}) GROUP BY BlockID, SE, State, ErrorClass"
            )
            for blockID, se, state, errorClass, count, time in self.select(sql, chunk):
                key = (blockID, se)
                last[key] = max(rows.aware(time), last.get(key, rows.aware(time)))
                if state == _GIVEN_UP:
                    givenUp[key][errorClass] = count
                elif state == _ACTIVE:
                    active[key] += count
        return {key: RepairSign(givenUp[key], active[key], time) for key, time in last.items()}

    def badSince(self, validationID: int) -> tuple[int, set[int]]:
        """See :meth:`CycleLedger.badSince`."""
        newest = int(self.select("SELECT COALESCE(MAX(ValidationID), 0) FROM Validations")[0][0])
        sql = "SELECT DISTINCT BlockID FROM Validations WHERE ValidationID > %s AND ValidationID <= %s AND Verdict = %s"
        return newest, {blockID for (blockID,) in self.select(sql, (validationID, newest, Verdict.BAD.value))}

    # ---- notes

    def noteProblem(self, blockID: int, se: str, words: str) -> None:
        """See :meth:`CycleLedger.noteProblem`."""
        table, where, args = ("BlockTransfers", " AND SE = %s", (se,)) if se else ("Blocks", "", ())
        sql = f"UPDATE {table} SET Problem = %s WHERE BlockID = %s{where} AND State = %s"
        self.execute(sql, (rows.text(words), blockID, *args, BlockState.PROBLEM.value))

    def saveProgress(self, progress: Iterable[Progress], now: datetime) -> None:
        """See :meth:`CycleLedger.saveProgress`."""
        given = list(progress)
        samples = [(each.blockID, each.se, now, each.doneFiles, each.doneBytes) for each in given]

        def work(conn: Any) -> None:
            for each in given:
                grown = ", ProgressTime = %s" if each.isGrown else ""
                sql = f"UPDATE BlockTransfers SET DoneFiles = %s, DoneBytes = %s{grown} WHERE BlockID = %s AND SE = %s"
                times = (now,) if each.isGrown else ()
                self.execute(sql, (each.doneFiles, each.doneBytes, *times, each.blockID, each.se), conn)
            columns = ("BlockID", "SE", "Time", "DoneFiles", "DoneBytes")
            updates = ["DoneFiles = VALUES(DoneFiles)", "DoneBytes = VALUES(DoneBytes)"]
            self.upsert("BlockProgress", columns, samples, updates, conn)

        if given:
            self.inTransaction(work)

    def pruneProgress(self, before: datetime) -> int:
        """See :meth:`CycleLedger.pruneProgress`."""
        return self.execute(f"DELETE FROM BlockProgress WHERE Time < %s LIMIT {_PRUNED_AT_ONCE}", (before,))

    def doneTransfers(self, transformationIDs: Collection[int]) -> dict[int, tuple[int, str]]:
        """See :meth:`CycleLedger.doneTransfers`."""
        found: dict[int, tuple[int, str]] = {}
        for chunk in rows.chunks(sorted(transformationIDs)):
            sql = (
                "SELECT TransformationID, BlockID, SE FROM BlockTransfers"
                f" WHERE TransformationID IN ({rows.placeholders(len(chunk))}) AND State = %s"
            )
            for transformationID, blockID, se in self.select(sql, (*chunk, BlockState.DONE.value)):
                found[transformationID] = (blockID, se)
        return found
