"""What only an explanation asks of the ledger."""

from __future__ import annotations

from datetime import datetime

from JUNODIRAC.Core.Domain.WhyFacts import WaitingFacts
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection

_UNSETTLED = "f.State IN ('Announced', 'Waiting')"


class LedgerWhy(LedgerConnection):
    """Queries; nothing here changes the ledger. Every method may raise TemporaryFailure."""

    def readBlockID(self, typeName: str, name: str) -> int | None:
        """The id of a block, or None if no file of it was ever announced."""
        found = self.select("SELECT BlockID FROM Blocks WHERE Type = %s AND Block = %s", (typeName, name))
        return int(found[0][0]) if found else None

    def readWaitingOf(self, lfn: str) -> WaitingFacts | None:
        """How a file waits for its storage; of several announcements the one that waits longest."""
        directory, name = rows.splitLFN(lfn)
        sql = (
            "SELECT w.Reason, w.Detail, w.Since, w.NextTime, w.Attempts FROM Directories d"
            " JOIN Files f ON f.DirectoryID = d.DirectoryID JOIN Waiting w ON w.FileID = f.FileID"
            " WHERE d.Directory = %s AND f.FileName = %s ORDER BY w.Since LIMIT 1"
        )
        for reason, detail, since, nextTime, attempts in self.select(sql, (directory, name)):
            return WaitingFacts(reason, detail, rows.aware(since), rows.aware(nextTime), attempts)
        return None

    def announcedTimes(self, blockID: int) -> tuple[datetime | None, datetime | None]:
        """When the last file of a block was announced, and the oldest of those that are not settled."""
        # files of its directories that another block has, came late: they are of no account here
        sql = (
            f"SELECT MAX(f.AnnouncedTime), MIN(IF({_UNSETTLED}, f.AnnouncedTime, NULL)) FROM Directories d"
            " JOIN Files f ON f.DirectoryID = d.DirectoryID LEFT JOIN LateFiles l ON l.FileID = f.FileID"
            " WHERE d.BlockID = %s AND l.FileID IS NULL UNION ALL"
            f" SELECT MAX(f.AnnouncedTime), MIN(IF({_UNSETTLED}, f.AnnouncedTime, NULL)) FROM LateFiles l"
            " JOIN Files f ON f.FileID = l.FileID WHERE l.BlockID = %s"
        )
        found = self.select(sql, (blockID, blockID))
        last = max((row[0] for row in found if row[0]), default=None)
        oldest = min((row[1] for row in found if row[1]), default=None)
        return rows.utc(last), rows.utc(oldest)
