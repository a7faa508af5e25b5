"""What people said of runs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from JUNODIRAC.Core.Domain.RunQuality import RunFlag, RunStep
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection


class RunQualities(LedgerConnection):
    """Every method may raise TemporaryFailure."""

    def runQualities(self, runs: Collection[int]) -> dict[int, str]:
        """The words for those of these runs that were flagged."""
        found: dict[int, str] = {}
        for chunk in rows.chunks(sorted(runs)):
            sql = f"SELECT RunNumber, Quality FROM RunQuality WHERE RunNumber IN ({rows.placeholders(len(chunk))})"
            found.update(self.select(sql, chunk))
        return found

    def qualityRevision(self) -> str:
        """Another text whenever a run was flagged since."""
        count, newest = self.select("SELECT COUNT(*), MAX(Time) FROM RunQuality")[0]
        return f"{count} {newest}"

    def flagRuns(self, runs: Collection[int], quality: str, actor: str, reason: str, now: datetime) -> None:
        """Say what runs are, whatever was said of them before."""
        columns = ("RunNumber", "Quality", "Time", "Actor", "Reason")
        values = [(run, quality, now, rows.text(actor, 128), rows.text(reason)) for run in sorted(runs)]
        updates = [f"{column} = VALUES({column})" for column in columns[1:]]
        self.inTransaction(lambda conn: self.upsert("RunQuality", columns, values, updates, conn))

    def readRunFlags(self, quality: str = "", runs: Collection[int] = (), limit: int = 10_000) -> list[RunFlag]:
        """What was said, the latest runs first.

        :param quality: only this word; empty: any
        :param runs: only these; none: all
        """
        sql = "SELECT RunNumber, Quality, Time, Actor, Reason FROM RunQuality WHERE %s IN ('', Quality)"
        if runs:
            sql += f" AND RunNumber IN ({rows.placeholders(len(runs))})"
        found = self.select(f"{sql} ORDER BY RunNumber DESC LIMIT %s", (quality, *sorted(runs), limit))
        return [RunFlag(run, word, rows.aware(time), actor, reason) for run, word, time, actor, reason in found]

    def knownRuns(self, runs: Collection[int]) -> set[int]:
        """Those of these runs of which a file was announced."""
        found: set[int] = set()
        for chunk in rows.chunks(sorted(runs)):
            sql = f"SELECT DISTINCT RunNumber FROM Runs WHERE RunNumber IN ({rows.placeholders(len(chunk))})"
            found |= {run for (run,) in self.select(sql, chunk)}
        return found

    def runSteps(self, runs: Collection[int]) -> list[RunStep]:
        """The files of these runs in blocks of chains that are under way, for each step that takes files of the ledger."""
        found = []
        for chunk in rows.chunks(sorted(runs), 100):
            sql = (
                "SELECT c.Production, s.StepNumber, f.RunNumber, COUNT(*), COUNT(i.FileID) FROM Runs r"
                " JOIN Files f FORCE INDEX (DirectoryFile) ON f.DirectoryID = r.DirectoryID AND f.RunNumber = r.RunNumber"
                " JOIN Directories d ON d.DirectoryID = f.DirectoryID LEFT JOIN LateFiles l ON l.FileID = f.FileID"
                " JOIN ChainBlocks k ON k.BlockID = COALESCE(l.BlockID, d.BlockID) JOIN Chains c ON c.ChainID = k.ChainID"
                " JOIN ChainSteps s ON s.ChainID = c.ChainID AND s.Kind = 'process'"
                " LEFT JOIN ChainInputs i ON i.ChainID = c.ChainID AND i.StepNumber = s.StepNumber AND i.FileID = f.FileID"
                f" WHERE r.RunNumber IN ({rows.placeholders(len(chunk))}) AND f.State = 'Registered'"
                " AND c.State IN ('Active', 'Stopped') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            )
            found += [RunStep(*row) for row in self.select(sql, chunk)]
        return found
