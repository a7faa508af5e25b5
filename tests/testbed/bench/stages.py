"""How far each copy of a block's files has come, by the databases of the ledger, of DIRAC and of the stand-in for FTS3."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# what a copy has become, in this order: the receiver has registered its file; its transformation has the file; a task; the
# task's request; a job of FTS3; the bytes are there; the catalogue knows them; the transformation's file is Processed
STAGES = ("registered", "attached", "task", "request", "fts_submitted", "fts_finished", "replica", "processed")

# LFN and destination
Copy = tuple[str, str]


class StageWatch:
    """Looks at the copies of the files of one directory.

    :param cursor: of the testbed's MariaDB
    :param standin: the database of the stand-in for FTS3
    :param transformations: id -> destination
    """

    def __init__(self, cursor: Any, standin: Path, directory: str, transformations: Mapping[int, str]) -> None:
        self._cursor = cursor
        self._standin = standin
        self._directory = directory
        self._transformations = transformations

    def look(self) -> dict[str, set[Copy]]:
        """For each stage the copies that have reached it."""
        found: dict[str, set[Copy]] = {stage: set() for stage in STAGES}
        found["registered"] = {(lfn, se) for lfn in self._registered() for se in self._transformations.values()}
        self._transformationSystem(found)
        self._transfers(found)
        found["replica"] = self._replicas()
        # the next look begins a new transaction, which sees what is new
        self._cursor.connection.commit()
        return found

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        self._cursor.execute(sql, values)
        # texts of binary collations come as bytes
        return [tuple(each.decode() if isinstance(each, bytes) else each for each in row) for row in self._cursor.fetchall()]

    def _registered(self) -> list[str]:
        rows = self._rows(
            "SELECT f.FileName FROM RawDataDB.Files f JOIN RawDataDB.Directories d ON d.DirectoryID = f.DirectoryID"
            " WHERE d.Directory = %s AND f.State = 'Registered'",
            self._directory,
        )
        return [f"{self._directory}/{name}" for (name,) in rows]

    def _transformationSystem(self, found: Mapping[str, set[Copy]]) -> None:
        rows = self._rows(
            "SELECT f.TransformationID, d.LFN, f.Status, t.TaskID, t.ExternalID FROM TransformationDB.TransformationFiles f"
            " JOIN TransformationDB.DataFiles d ON d.FileID = f.FileID"
            " LEFT JOIN TransformationDB.TransformationTasks t"
            " ON t.TransformationID = f.TransformationID AND t.TaskID = f.TaskID WHERE f.TransformationID IN %s",
            tuple(self._transformations),
        )
        for number, lfn, status, taskID, externalID in rows:
            copy = (lfn, self._transformations[number])
            reached = {
                "attached": True,
                "task": taskID is not None,
                "request": externalID not in (None, "", "0"),
                "processed": status == "Processed",
            }
            for stage, isReached in reached.items():
                if isReached:
                    found[stage].add(copy)

    def _transfers(self, found: Mapping[str, set[Copy]]) -> None:
        rows = self._rows(
            "SELECT lfn, targetSE, ftsGUID, status FROM FTS3DB.Files WHERE lfn LIKE %s AND ftsGUID IS NOT NULL",
            f"{self._directory}/%",
        )
        copies = {(guid, lfn.rpartition("/")[2]): (lfn, se) for lfn, se, guid, _ in rows}
        found["fts_submitted"].update(copies.values())
        for job, destination in self._finished({guid for guid, _ in copies}):
            copy = copies.get((job, destination.rpartition("/")[2]))
            if copy:
                found["fts_finished"].add(copy)

    def _finished(self, jobs: set[str]) -> Sequence[tuple[str, str]]:
        """Of FTS3 itself, which knows it before DIRAC asks."""
        connection = sqlite3.connect(f"file:{self._standin}?mode=ro", uri=True, timeout=10)
        try:
            marks = ",".join("?" * len(jobs))
            sql = f"SELECT job_id, destination FROM files WHERE state = 'FINISHED' AND job_id IN ({marks})"
            return connection.execute(sql, tuple(jobs)).fetchall()
        finally:
            connection.close()

    def retried(self) -> set[str]:
        """LFNs of files that were held up, because FTS3 had to try them or another file of their job again."""
        connection = sqlite3.connect(f"file:{self._standin}?mode=ro", uri=True, timeout=10)
        try:
            sql = (
                "SELECT DISTINCT source FROM files WHERE source LIKE ?"
                " AND job_id IN (SELECT job_id FROM attempts WHERE state = 'RETRY')"
            )
            return {
                f"{self._directory}/{url.rpartition('/')[2]}" for (url,) in connection.execute(sql, (f"%{self._directory}/%",))
            }
        finally:
            connection.close()

    def _replicas(self) -> set[Copy]:
        rows = self._rows(
            "SELECT f.FileName, s.SEName FROM FileCatalogDB.FC_DirectoryLevelTree d"
            " JOIN FileCatalogDB.FC_Files f ON f.DirID = d.DirID"
            " JOIN FileCatalogDB.FC_Replicas r ON r.FileID = f.FileID"
            " JOIN FileCatalogDB.FC_StorageElements s ON s.SEID = r.SEID WHERE d.DirName = %s",
            self._directory,
        )
        return {(f"{self._directory}/{name}", se) for name, se in rows}
