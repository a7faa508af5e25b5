"""How ingest goes: signs of life of the receivers, counts by minute and by state, and the problems people are told of."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from JUNODIRAC.Core.Domain.BlockStatus import Usage
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LedgerRecords import AlertRecord, OldestFile, RateRecord, ReceiverRecord
from JUNODIRAC.Core.Logic.Ports import IngestCounts
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection

_COUNTS = ("Messages", "Registered", "Duplicates", "Quarantined", "Waiting", "RegisteredBytes")
# in the order of AlertRecord
_ALERT_COLUMNS = "AlertID, Problem, Type, Sentence, Remedy, SinceTime, LastSeenTime, LastMailTime, EndedTime, Occurrences"
_ENDED_ALERTS = 200


class LedgerIngest(LedgerConnection):
    """Written by the receivers, read by the service."""

    def recordHeartbeat(
        self,
        typeName: str,
        instance: str,
        host: str,
        pid: int,
        startedTime: datetime,
        trouble: str = "",
        troubleSince: datetime | None = None,
    ) -> None:
        """A receiver lives; ``trouble`` says what it waits for."""
        columns = ("Type", "Instance", "Host", "PID", "StartedTime", "HeartbeatTime", "Trouble", "TroubleSince")
        names = (typeName, rows.text(instance, 128), rows.text(host, 128))
        values = (*names, pid, rows.utc(startedTime), datetime.now(UTC), rows.text(trouble), rows.utc(troubleSince))
        updates = [f"{column} = VALUES({column})" for column in columns[3:]]
        self.inTransaction(lambda conn: self.upsert("Receivers", columns, [values], updates, conn))

    def readReceivers(self, typeName: str = "") -> list[ReceiverRecord]:
        """Receivers with their last sign of life; an empty name means all Types."""
        sql = (
            "SELECT Type, Instance, Host, PID, StartedTime, HeartbeatTime, Trouble, TroubleSince FROM Receivers"
            " WHERE %s IN ('', Type) ORDER BY Type, Instance, Host"
        )
        return [
            ReceiverRecord(name, instance, host, pid, rows.aware(started), rows.aware(beat), trouble or "", rows.utc(since))
            for name, instance, host, pid, started, beat, trouble, since in self.select(sql, (typeName,))
        ]

    def recordCounts(self, typeName: str, counts: IngestCounts) -> None:
        """See :meth:`Ports.Ledger.recordCounts`."""
        now = datetime.now(UTC)
        added = (
            counts.messages, counts.registered, counts.duplicates, counts.quarantined, counts.waiting, counts.registeredBytes
        )  # fmt: skip
        values = (typeName, now.replace(second=0, microsecond=0), *added, now)
        updates = [f"{column} = {column} + VALUES({column})" for column in _COUNTS]
        updates.append("LastTime = GREATEST(LastTime, VALUES(LastTime))")
        columns = ("Type", "Minute", *_COUNTS, "LastTime")
        self.inTransaction(lambda conn: self.upsert("IngestRates", columns, [values], updates, conn))

    def readRates(self, typeName: str, minutes: int) -> list[RateRecord]:
        """The last minutes that brought anything, oldest first."""
        since = datetime.now(UTC) - timedelta(minutes=minutes)
        columns = ", ".join(("Type", "Minute", *_COUNTS, "LastTime"))
        sql = f"SELECT {columns} FROM IngestRates WHERE Type = %s AND Minute > %s ORDER BY Minute"
        return [
            RateRecord(*(name, rows.aware(minute), *map(int, counts), rows.aware(last)))
            for name, minute, *counts, last in self.select(sql, (typeName, since))
        ]

    def lastAnnouncements(self) -> dict[str, datetime]:
        """When each Type's receiver last had announcements."""
        sql = (
            "SELECT r.Type, r.LastTime FROM IngestRates r"
            " JOIN (SELECT Type, MAX(Minute) AS Minute FROM IngestRates GROUP BY Type) last USING (Type, Minute)"
        )
        return {typeName: rows.aware(time) for typeName, time in self.select(sql)}

    def countStates(self, days: int) -> dict[str, dict[FileState, Usage]]:
        """Files and bytes by Type and state, in directories for which announcements came in the last ``days`` days."""
        sql = (
            "SELECT b.Type, f.State, COUNT(*), COALESCE(SUM(f.SizeBytes), 0) FROM Directories d FORCE INDEX (ActiveTime)"
            " JOIN Blocks b ON b.BlockID = d.BlockID"
            " JOIN Files f FORCE INDEX (DirectoryState) ON f.DirectoryID = d.DirectoryID"
            " WHERE d.ActiveTime >= %s GROUP BY b.Type, f.State"
        )
        counts: dict[str, dict[FileState, Usage]] = defaultdict(dict)
        for typeName, state, files, sizeBytes in self.select(sql, (_daysAgo(days),)):
            counts[typeName][FileState(state)] = Usage(files, int(sizeBytes))
        return dict(counts)

    def oldestWaiting(self) -> dict[str, OldestFile]:
        """The file of each Type that waits longest to be seen on its storage."""
        sql = (
            "SELECT w.Type, d.Directory, f.FileName, w.Since FROM Waiting w"
            " JOIN (SELECT Type, MIN(Since) AS Since FROM Waiting GROUP BY Type) first USING (Type, Since)"
            " JOIN Files f ON f.FileID = w.FileID JOIN Directories d ON d.DirectoryID = f.DirectoryID"
        )
        return _firstOfType(self.select(sql))

    def oldestAnnounced(self, days: int) -> dict[str, OldestFile]:
        """The file of each Type that is announced and not registered for longest.

        Looked for in directories for which announcements came in the last ``days`` days.
        """
        sql = (
            "SELECT b.Type, d.Directory, f.FileName, f.AnnouncedTime FROM Directories d FORCE INDEX (ActiveTime)"
            " JOIN Blocks b ON b.BlockID = d.BlockID"
            " JOIN Files f FORCE INDEX (DirectoryState) ON f.DirectoryID = d.DirectoryID AND f.State = 'Announced'"
            " WHERE d.ActiveTime >= %s ORDER BY f.AnnouncedTime"
        )
        return _firstOfType(self.select(sql, (_daysAgo(days),)))

    def readAlerts(self, openOnly: bool = True) -> list[AlertRecord]:
        """Problems that stand, oldest first; with the others, then the last two hundred that ended, newest first."""
        found = self.select(f"SELECT {_ALERT_COLUMNS} FROM Alerts WHERE EndedTime IS NULL ORDER BY AlertID")
        if not openOnly:
            ended = f"SELECT {_ALERT_COLUMNS} FROM Alerts WHERE EndedTime IS NOT NULL ORDER BY EndedTime DESC LIMIT %s"
            found += self.select(ended, (_ENDED_ALERTS,))
        return [_alert(row) for row in found]


def _alert(row: tuple[Any, ...]) -> AlertRecord:
    *names, since, lastSeen, lastMail, ended, occurrences = row
    values = (*names, rows.aware(since), rows.aware(lastSeen), rows.utc(lastMail), rows.utc(ended), occurrences)
    return AlertRecord(*values)


def _firstOfType(found: tuple[tuple[Any, ...], ...]) -> dict[str, OldestFile]:
    oldest: dict[str, OldestFile] = {}
    for typeName, directory, name, since in found:
        oldest.setdefault(typeName, OldestFile(f"{directory}/{name}", rows.aware(since)))
    return oldest


def _daysAgo(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
