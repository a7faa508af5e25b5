"""What the watch over ingest reads from the ledger, and the alerts that it keeps there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from JUNODIRAC.Core.Domain.Alert import Alert, Problem
from JUNODIRAC.Core.Domain.LedgerRecords import AlertRecord
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.RepairRecords import Pause
from JUNODIRAC.Core.Logic.ChainWatch import ChainSign
from JUNODIRAC.Core.Logic.IngestWatch import ConflictSign, LedgerSigns, RateSign
from JUNODIRAC.Core.Logic.RepairWatch import BadReplicaSign, GivenUpSign, RepairSigns
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

_NAMES = 5
# a sweep looks at the directories of the last days; what it found in older ones is not looked at again by itself
_SWEEP_AGE = timedelta(days=3)
_PAUSE_AGE = timedelta(days=1)
_KEY_CHARS = 190
_BETWEEN = ": "


class LedgerWatch(RawDataDB):
    """Implements :class:`JUNODIRAC.Core.Logic.AlertBook.AlertStore`. Every method may raise TemporaryFailure."""

    # ---- signs

    def readSigns(self, typeNames: Collection[str], since: datetime, now: datetime) -> LedgerSigns:
        """What the ledger tells of these Types.

        :param since: beginning of the window in which refused announcements are counted
        """
        return LedgerSigns(
            rates={name: self._rate(name, since) for name in typeNames},
            conflicts={name: sign for name in typeNames if (sign := self._conflicts(name))},
            lastAnnouncements=self.lastAnnouncements(),
            receivers=[receiver for receiver in self.readReceivers() if receiver.typeName in typeNames],
            sweeps=[sweep for sweep in self.readSweeps(since=now - _SWEEP_AGE) if sweep.typeName in typeNames],
            repairs=RepairSigns(self._givenUp(), self._badReplicas(), self._repairPauses(now)),
            chains=self._chainsGivenUp(),
        )

    def _rate(self, typeName: str, since: datetime) -> RateSign:
        sql = "SELECT SUM(Messages), SUM(Quarantined) FROM IngestRates WHERE Type = %s AND Minute >= %s"
        messages, quarantined = self.select(sql, (typeName, since))[0]
        sql = "SELECT Reason, COUNT(*) FROM Quarantine WHERE Type = %s AND State = 'Open' AND Time >= %s GROUP BY Reason"
        reasons = dict(self.select(sql, (typeName, since))) if quarantined else {}
        return RateSign(int(messages or 0), int(quarantined or 0), reasons)

    def _conflicts(self, typeName: str) -> ConflictSign | None:
        where = "FROM Quarantine WHERE Type = %s AND State = 'Open' AND Reason = %s"
        args = (typeName, str(Reason.CONFLICT))
        count, since = self.select(f"SELECT COUNT(*), MIN(Time) {where}", args)[0]
        if not count:
            return None
        names = self.select(f"SELECT FileName {where} ORDER BY Time DESC LIMIT {_NAMES}", args)
        return ConflictSign(count, rows.aware(since), [name for (name,) in names])

    def _givenUp(self) -> list[GivenUpSign]:
        sql = (
            "SELECT r.SE, b.Type, b.Block, r.ErrorClass, COUNT(*), MIN(r.LastTime), MAX(r.Error) FROM Repairs r"
            " JOIN Blocks b ON b.BlockID = r.BlockID WHERE r.State = 'GivenUp' GROUP BY r.SE, b.Type, b.Block, r.ErrorClass"
        )
        found: dict[tuple[str, str, str], GivenUpSign] = {}
        for se, typeName, block, errorClass, count, since, error in self.select(sql):
            key = (se, typeName, block)
            known = found.get(key) or GivenUpSign(*key, {}, rows.aware(since), error)
            classes = {**known.classes, errorClass: int(count)}
            found[key] = replace(known, classes=classes, since=min(known.since, rows.aware(since)))
        return list(found.values())

    def _chainsGivenUp(self) -> list[ChainSign]:
        sql = (
            "SELECT c.Production, s.Step, r.SE, r.Error, COUNT(*), MIN(r.LastTime), MIN(r.LFN), MAX(r.Detail) FROM Recoveries r"
            " JOIN Chains c ON c.ChainID = r.ChainID"
            " JOIN ChainSteps s ON s.ChainID = r.ChainID AND s.StepNumber = r.StepNumber AND s.SE = r.SE"
            " WHERE r.State = 'GivenUp' GROUP BY c.Production, s.Step, r.SE, r.Error ORDER BY c.Production, s.Step, r.SE"
        )
        found: dict[tuple[str, str, str], ChainSign] = {}
        for production, step, se, error, count, since, example, detail in self.select(sql):
            key = (production, step, se)
            known = found.get(key) or ChainSign(*key, {}, rows.aware(since), example, detail)
            since = min(known.since, rows.aware(since))
            found[key] = replace(known, errors={**known.errors, error: int(count)}, since=since)
        return list(found.values())

    def _badReplicas(self) -> list[BadReplicaSign]:
        # those in doubt are asked for within a minute
        sql = (
            "SELECT SE, COUNT(*), MIN(Time), MIN(FileID) FROM BadReplicas WHERE EndedTime IS NULL"
            " AND Detail NOT LIKE 'in doubt: %' GROUP BY SE ORDER BY SE"
        )
        found = []
        for se, count, since, fileID in self.select(sql):
            sql = (
                "SELECT d.Directory, f.FileName, r.Detail FROM BadReplicas r JOIN Files f ON f.FileID = r.FileID"
                " JOIN Directories d ON d.DirectoryID = f.DirectoryID WHERE r.SE = %s AND r.FileID = %s"
            )
            for directory, name, detail in self.select(sql, (se, fileID)):
                found.append(BadReplicaSign(se, int(count), rows.aware(since), f"{directory}/{name}", detail))
        return found

    def _repairPauses(self, now: datetime) -> list[Pause]:
        """The last pause of each site that the repair made, unless it is long over."""
        where = (
            "p.PauseID IN (SELECT MAX(PauseID) FROM Pauses WHERE ErrorClass <> ''"
            " AND (UntilTime IS NULL OR UntilTime > %s) GROUP BY SE)"
        )
        return self._pauses(f"{where} ORDER BY p.SE", (now - _PAUSE_AGE,))

    # ---- alerts

    def readOpenAlerts(self) -> list[Alert]:
        """See :meth:`AlertStore.readOpenAlerts`."""
        return [_alertOf(record) for record in self.readAlerts()]

    def saveAlert(self, alert: Alert) -> None:
        """See :meth:`AlertStore.saveAlert`."""
        problem = alert.problem
        key = rows.text(problem.key, _KEY_CHARS)
        said = problem.sentence + (f"{_BETWEEN}{problem.detail}" if problem.detail else "")
        values = {
            "Sentence": rows.text(said),
            "Remedy": rows.text(problem.remedy),
            "SinceTime": problem.since,
            "LastSeenTime": alert.lastSeenTime,
            "LastMailTime": alert.lastMailTime,
            "EndedTime": alert.endedTime,
            "Occurrences": alert.occurrences,
        }

        def work(conn: Any) -> None:
            sql = "SELECT AlertID FROM Alerts WHERE Problem = %s AND EndedTime IS NULL FOR UPDATE"
            found = self.select(sql, (key,), conn)
            if found:
                assignments = ", ".join(f"{column} = %s" for column in values)
                self.execute(f"UPDATE Alerts SET {assignments} WHERE AlertID = %s", (*values.values(), found[0][0]), conn)
                return
            columns = ("Problem", "Type", *values)
            sql = f"INSERT INTO Alerts ({', '.join(columns)}) VALUES ({rows.placeholders(len(columns))})"
            self.execute(sql, (key, rows.text(problem.typeName, 64), *values.values()), conn)

        self.inTransaction(work)


def _alertOf(record: AlertRecord) -> Alert:
    sentence, _, detail = record.sentence.partition(_BETWEEN)
    problem = Problem(record.problem, record.typeName, sentence, detail, record.remedy, record.sinceTime)
    return Alert(problem, record.lastSeenTime, record.lastMailTime, record.endedTime, record.occurrences)
