"""What is read to find files that are missing: sequence numbers, directories and their comparisons with the storage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import MySQLdb
from MySQLdb.cursors import SSCursor

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Gaps import NumberedFile
from JUNODIRAC.Core.Domain.LedgerRecords import SweepRecord
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection

_ROWS_AT_ONCE = 1000
# the directories of a block; for a follow-up block those in which its files lie
_OF_BLOCK = (
    "(b.Block = %s OR d.DirectoryID IN (SELECT lf.DirectoryID FROM Blocks lb JOIN LateFiles ll ON ll.BlockID = lb.BlockID"
    " JOIN Files lf ON lf.FileID = ll.FileID WHERE lb.Block = %s))"
)


class LedgerGaps(LedgerConnection):
    """Reads, and the record of the last sweep of each directory."""

    def sequences(
        self, typeName: str, block: str = "", run: int | None = None, days: int | None = None
    ) -> Iterator[NumberedFile]:
        """The numbered files of each run that has files in the block, or in directories in which files came lately.

        All files of such a run, also those in other blocks: a run goes on after midnight. In the order of run, stream and
        number. They come in a thousand at a time over a connection of their own, so that a run may have millions.

        :param run: only this run
        :param days: only runs in directories for which announcements came in so many days
        """
        condition, args = _directoryCondition(typeName, block, run, days)
        runs = (
            "SELECT DISTINCT r.RunNumber FROM Directories d JOIN Blocks b ON b.BlockID = d.BlockID"
            f" JOIN Runs r ON r.DirectoryID = d.DirectoryID WHERE {condition}"
        )
        sql = (
            "SELECT STRAIGHT_JOIN f.RunNumber, f.StreamType, f.StreamName, f.FileSequence, b.Block, f.State"
            f" FROM ({runs}) wanted JOIN Runs r ON r.RunNumber = wanted.RunNumber"
            " JOIN Directories d ON d.DirectoryID = r.DirectoryID"
            " JOIN Files f FORCE INDEX (DirectoryFile) ON f.DirectoryID = d.DirectoryID"
            " LEFT JOIN LateFiles l ON l.FileID = f.FileID JOIN Blocks b ON b.BlockID = COALESCE(l.BlockID, d.BlockID)"
            " WHERE b.Type = %s AND f.RunNumber = wanted.RunNumber AND f.FileSequence IS NOT NULL"
            " ORDER BY f.RunNumber, f.StreamType, f.StreamName, f.FileSequence"
        )
        for number, streamType, streamName, sequence, blockName, state in self._stream(sql, (*args, typeName)):
            isKnown = state != FileState.DROPPED
            yield NumberedFile(number, streamType or "", streamName or "", sequence, blockName, isKnown)

    def directoryFiles(self, directory: str) -> dict[str, tuple[FileState, int | None]]:
        """State and size in bytes of the files of a directory, by name."""
        sql = (
            "SELECT f.FileName, f.State, f.SizeBytes FROM Directories d JOIN Files f ON f.DirectoryID = d.DirectoryID"
            " WHERE d.Directory = %s"
        )
        return {name: (FileState(state), sizeBytes) for name, state, sizeBytes in self.select(sql, (directory,))}

    def directoriesOf(self, typeName: str, block: str = "", run: int | None = None, days: int | None = None) -> list[str]:
        """Directories of a Type that the ledger knows, all conditions at once; see :meth:`sequences` for ``days``."""
        condition, args = _directoryCondition(typeName, block, run, days)
        sql = (
            "SELECT DISTINCT d.Directory FROM Directories d JOIN Blocks b ON b.BlockID = d.BlockID"
            f" LEFT JOIN Runs r ON r.DirectoryID = d.DirectoryID WHERE {condition} ORDER BY d.Directory"
        )
        return [directory for (directory,) in self.select(sql, args)]

    def recordSweep(
        self,
        typeName: str,
        directory: str,
        time: datetime,
        onStorage: int,
        inLedger: int,
        neverAnnounced: int,
        notOnStorage: int,
        differences: Mapping[str, object],
    ) -> None:
        """What the comparison of a directory with its storage found; the one before is forgotten.

        :param differences: for JSON; the caller cuts its lists
        """
        columns = ("Type", "Directory", "Time", "OnStorage", "InLedger", "NeverAnnounced", "NotOnStorage", "Differences")
        numbers = (onStorage, inLedger, neverAnnounced, notOnStorage)
        values = (typeName, rows.text(directory, rows.MAX_NAME_CHARS), rows.utc(time), *numbers, json.dumps(differences))
        updates = [f"{column} = VALUES({column})" for column in columns[2:]]
        self.inTransaction(lambda conn: self.upsert("Sweeps", columns, [values], updates, conn))

    def readSweeps(self, typeName: str = "", since: datetime | None = None) -> list[SweepRecord]:
        """The last comparison of each directory, oldest first; an empty name means all Types."""
        sql = (
            "SELECT Type, Directory, Time, OnStorage, InLedger, NeverAnnounced, NotOnStorage, Differences FROM Sweeps"
            " WHERE %s IN ('', Type) AND Time >= %s ORDER BY Time, Type, Directory"
        )
        earliest = since or datetime(1970, 1, 1, tzinfo=UTC)
        return [
            SweepRecord(*(name, directory, rows.aware(time), *numbers, json.loads(differences)))
            for name, directory, time, *numbers, differences in self.select(sql, (typeName, rows.utc(earliest)))
        ]

    def _stream(self, sql: str, args: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        """Rows as the server sends them: neither side holds all of them for the other."""
        conn = self.ownConnection()
        try:
            with conn.cursor(SSCursor) as cursor:
                cursor.execute(sql, args)
                while found := cursor.fetchmany(_ROWS_AT_ONCE):
                    yield from found
        except MySQLdb.OperationalError as error:
            raise TemporaryFailure(self.fullname, str(error)) from error
        finally:
            conn.close()


def _directoryCondition(typeName: str, block: str, run: int | None, days: int | None) -> tuple[str, tuple[Any, ...]]:
    """Over Blocks b, Directories d and Runs r."""
    conditions, args = ["b.Type = %s"], [typeName]
    wanted: list[tuple[str, Any]] = [(_OF_BLOCK, block or None), ("r.RunNumber = %s", run)]
    wanted.append(("d.ActiveTime >= %s", None if days is None else datetime.now(UTC) - timedelta(days=days)))
    for condition, value in wanted:
        if value is not None:
            conditions.append(condition)
            args += [value] * condition.count("%s")
    return " AND ".join(conditions), tuple(args)
