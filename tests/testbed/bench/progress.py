"""How many copies of many blocks have come how far, in few queries."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing

from junotestbed.observe import Database
from junotestbed.testbed import Testbed

#: as in bench.stages; a registered file counts as often as it has destinations
STAGES = ("registered", "task", "request", "fts_finished", "replica", "processed")


class Progress:
    """Counts of the copies of these days' blocks, with the time when each stage began and ended.

    :param wanted: number of copies
    """

    def __init__(self, testbed: Testbed, days: Sequence[str], wanted: int) -> None:
        self._database = Database(testbed)
        self._standin = testbed.settings.run / "fts3/fts3_standin.sqlite"
        self._directories = tuple(f"/juno/rtraw/{day[:4]}/{day[4:]}" for day in days)
        self.wanted = wanted
        self.counts = dict.fromkeys(STAGES, 0)
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        # what earlier benchmarks have copied
        self._copiedBefore = self._copied()

    @property
    def isComplete(self) -> bool:
        return self.counts["processed"] >= self.wanted and self.counts["replica"] >= self.wanted

    def look(self) -> bool:
        """Count again.

        :returns: whether anything has changed
        """
        found = {
            "registered": self._registered(),
            **self._transformationFiles(),
            "request": self._requested(),
            "fts_finished": self._copied() - self._copiedBefore,
            "replica": self._replicas(),
        }
        now = time.time()
        for stage, count in found.items():
            if count:
                self.began.setdefault(stage, now)
            if count >= self.wanted:
                self.ended.setdefault(stage, now)
        changed = found != self.counts
        self.counts = {stage: found[stage] for stage in STAGES}
        return changed

    def shown(self) -> str:
        return f"of {self.wanted} copies: " + ", ".join(f"{stage} {count}" for stage, count in self.counts.items())

    def stage(self, stage: str, started: float) -> dict[str, float]:
        """From the start to the first and the last copy, and the rate between these two."""
        began, ended = self.began[stage], self.ended[stage]
        seconds = max(ended - began, 1.0)
        return {
            "first_after_seconds": round(began - started, 1),
            "last_after_seconds": round(ended - started, 1),
            "copies_per_second": round(self.wanted / seconds, 1),
        }

    def table(self) -> dict[str, tuple[int, float]]:
        """Name of each transfer, its files, and how many per cent of them are Processed."""
        rows = self._database.rows(
            "TransformationDB",
            "SELECT t.TransformationName, COUNT(*), SUM(f.Status = 'Processed') FROM Transformations t"
            " JOIN TransformationFiles f ON f.TransformationID = t.TransformationID"
            " WHERE t.TransformationID IN %s GROUP BY t.TransformationID ORDER BY t.TransformationName",
            self._transformations() or (0,),
        )
        return {str(name): (int(files), 100.0 * float(done) / files) for name, files, done in rows}

    # ---- counts

    def _transformations(self) -> tuple[int, ...]:
        rows = self._database.rows(
            "RawDataDB",
            "SELECT t.TransformationID FROM BlockTransfers t JOIN Blocks b ON b.BlockID = t.BlockID WHERE b.Directory IN %s",
            self._directories,
        )
        return tuple(number for (number,) in rows)

    def _registered(self) -> int:
        rows = self._database.rows(
            "RawDataDB",
            "SELECT COUNT(*), (SELECT COUNT(*) FROM BlockTransfers t WHERE t.BlockID = d.BlockID) FROM Directories d"
            " JOIN Files f ON f.DirectoryID = d.DirectoryID"
            " WHERE d.Directory IN %s AND f.State = 'Registered' GROUP BY d.DirectoryID",
            self._directories,
        )
        return sum(files * sites for files, sites in rows)

    def _transformationFiles(self) -> dict[str, int]:
        rows = self._database.rows(
            "TransformationDB",
            "SELECT Status, COUNT(*) FROM TransformationFiles WHERE TransformationID IN %s GROUP BY Status",
            self._transformations() or (0,),
        )
        counts = {str(status): int(count) for status, count in rows}
        return {"task": sum(counts.values()) - counts.get("Unused", 0), "processed": counts.get("Processed", 0)}

    def _requested(self) -> int:
        rows = self._database.rows(
            "TransformationDB",
            "SELECT COUNT(*) FROM TransformationTasks t JOIN TransformationFiles f"
            " ON f.TransformationID = t.TransformationID AND f.TaskID = t.TaskID"
            " WHERE t.TransformationID IN %s AND t.ExternalID NOT IN ('', '0')",
            self._transformations() or (0,),
        )
        return int(rows[0][0])

    def _copied(self) -> int:
        with closing(sqlite3.connect(f"file:{self._standin}?mode=ro", uri=True, timeout=30)) as db:
            return int(db.execute("SELECT COUNT(*) FROM files WHERE state = 'FINISHED'").fetchone()[0])

    def _replicas(self) -> int:
        rows = self._database.rows(
            "FileCatalogDB",
            "SELECT SUM(u.SEFiles) FROM FC_DirectoryUsage u JOIN FC_DirectoryLevelTree d ON d.DirID = u.DirID"
            " JOIN FC_StorageElements s ON s.SEID = u.SEID WHERE d.DirName IN %s AND s.SEName <> 'IHEP-JUNOEOS'",
            self._directories,
        )
        return int(rows[0][0] or 0)
