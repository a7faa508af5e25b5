"""Tasks of transformations by the hundred: made, given away and submitted in a few statements; DIRAC needs several for each."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from DIRAC.Core.Utilities.MySQL import MAXCONNECTRETRY

from JUNODIRAC.RawDataSystem.DB.LedgerConnection import DatabaseError, LedgerConnection
from JUNODIRAC.RawDataSystem.DB.LedgerRows import chunks, placeholders

#: why a task is not made, in DIRAC's words
NOT_AVAILABLE = "Not all supplied files available in the transformation database"


class TaskBulks(LedgerConnection):
    """To be inherited before DIRAC's TransformationDB. Each method is one transaction: all of it is written or nothing."""

    lock: threading.Lock
    allowedStatusForTasks: tuple[str, ...]

    def _getConnection(self, retries: int = MAXCONNECTRETRY) -> dict[str, Any]:
        # DIRAC's own methods, which are inherited too, keep DIRAC's patience
        return super()._getConnection(retries)

    def insertTasks(self, transformationID: int, tasks: Sequence[tuple[Sequence[int | None], str, str]]) -> list[int]:
        """Make tasks: the same rows as those of addTaskForTransformation for one after the other.

        That method looks up the files, inserts the task, its list of files, and marks the files, with a commit for each and
        without a lock between look and mark. Here the files' rows are locked first, so that no file gets into two tasks that
        are alive, whoever else makes tasks at the same moment. As there, a task is refused if one of its files is not free.

        :param tasks: for each FileIDs (None: a file that the transformation cannot know), LFNs as TaskInputs lists them, and
            storage element
        :returns: for each task its number, 0 if it was refused
        """
        # DIRAC holds it while the trigger finds the next number
        with self.lock:
            numbers: list[int] = self.inTransaction(lambda conn: self._insertTasks(conn, transformationID, tasks))
        return numbers

    def _insertTasks(self, conn: Any, transformationID: int, tasks: Sequence[tuple[Sequence[int | None], str, str]]) -> list[int]:
        # the row that each insert of a task refers to, so that another process's has to wait
        self.select("SELECT 1 FROM Transformations WHERE TransformationID = %s FOR UPDATE", (transformationID,), conn)
        free = self._lockFree(conn, transformationID, {each for files, _, _ in tasks for each in files if each is not None})
        made: list[int] = []
        for place, (fileIDs, _, _) in enumerate(tasks):
            # a file is in the first task that wants it
            if free.issuperset(fileIDs):
                free.difference_update(fileIDs)
                made.append(place)
        first = self._insertNumbers(conn, transformationID, [tasks[place][2] for place in made])
        numbers = [0] * len(tasks)
        for number, place in enumerate(made, first):
            numbers[place] = number
        self._insertInputs(conn, transformationID, {numbers[place]: tasks[place] for place in made})
        return numbers

    def _lockFree(self, conn: Any, transformationID: int, fileIDs: set[int]) -> set[int | None]:
        """Those of the files that may go into a task; all of them stay as they are until the transaction ends."""
        free: set[int | None] = set()
        for chunk in chunks(sorted(fileIDs)):
            sql = (
                "SELECT FileID, Status FROM TransformationFiles"
                f" WHERE TransformationID = %s AND FileID IN ({placeholders(len(chunk))}) FOR UPDATE"
            )
            rows = self.select(sql, (transformationID, *chunk), conn)
            free.update(fileID for fileID, status in rows if status in self.allowedStatusForTasks)
        return free

    def _insertNumbers(self, conn: Any, transformationID: int, storages: Sequence[str]) -> int:
        """The tasks' own rows. A trigger numbers them, in the order of the rows.

        :returns: the first number
        """
        sql = "SELECT COALESCE(MAX(TaskID), 0) FROM TransformationTasks WHERE TransformationID = %s"
        ((last,),) = self.select(sql, (transformationID,), conn)
        row = "(%s, 'Created', 0, %s, UTC_TIMESTAMP(), UTC_TIMESTAMP())"
        for chunk in chunks(storages):
            self.execute(
                "INSERT INTO TransformationTasks"
                " (TransformationID, ExternalStatus, ExternalID, TargetSE, CreationTime, LastUpdateTime)"
                f" VALUES {', '.join([row] * len(chunk))}",
                [value for se in chunk for value in (transformationID, se)],
                conn,
            )
        ((newest,),) = self.select(sql, (transformationID,), conn)
        if newest != last + len(storages):
            raise DatabaseError(
                f"{len(storages)} tasks were numbered from {last + 1} to {newest}: is the trigger TaskID_Generator there?"
            )
        return int(last) + 1

    def _insertInputs(self, conn: Any, transformationID: int, tasks: Mapping[int, tuple[Sequence[int | None], str, str]]) -> None:
        lists = [(transformationID, taskID, lfns) for taskID, (fileIDs, lfns, _) in tasks.items() if fileIDs]
        files = [
            (transformationID, fileID, "Assigned", taskID, se)
            for taskID, (fileIDs, _, se) in tasks.items()
            for fileID in dict.fromkeys(fileIDs)
        ]
        self._insertRows(conn, "TaskInputs (TransformationID, TaskID, InputVector)", lists)
        # each of them exists and is locked: the statement changes what is different from row to row
        changes = (
            "Status = VALUES(Status)",
            "TaskID = VALUES(TaskID)",
            "UsedSE = VALUES(UsedSE)",
            "LastUpdate = UTC_TIMESTAMP()",
        )
        self.upsert("TransformationFiles", ("TransformationID", "FileID", "Status", "TaskID", "UsedSE"), files, changes, conn)
        pairs = [(transformationID, fileID, taskID) for _, fileID, _, taskID, _ in files]
        self._insertRows(conn, "TransformationFileTasks (TransformationID, FileID, TaskID)", pairs)

    def _insertRows(self, conn: Any, into: str, values: Sequence[tuple[Any, ...]]) -> None:
        for chunk in chunks(values):
            row = f"({placeholders(len(chunk[0]))})"
            self.execute(
                f"INSERT INTO {into} VALUES {', '.join([row] * len(chunk))}", [value for each in chunk for value in each], conn
            )

    def reserveTasks(self, transformationID: int, taskIDs: Sequence[int]) -> list[int]:
        """Those of the tasks that are Created become Reserved, as by reserveTask for one after the other.

        reserveTask stops at the first that somebody else has reserved, and then those before it are reserved for nobody.

        :returns: the tasks that are the caller's now
        """

        def reserve(conn: Any) -> list[int]:
            place = placeholders(len(taskIDs))
            free = self.select(
                f"SELECT TaskID FROM TransformationTasks WHERE TransformationID = %s AND TaskID IN ({place})"
                " AND ExternalStatus = 'Created' ORDER BY TaskID FOR UPDATE",
                (transformationID, *taskIDs),
                conn,
            )
            found = [int(taskID) for (taskID,) in free]
            if found:
                self.execute(
                    "UPDATE TransformationTasks SET ExternalStatus = 'Reserved', LastUpdateTime = UTC_TIMESTAMP()"
                    f" WHERE TransformationID = %s AND TaskID IN ({placeholders(len(found))})",
                    (transformationID, *found),
                    conn,
                )
            return found

        return self.inTransaction(reserve) if taskIDs else []

    def setExternalIDs(self, transformationID: int, status: str, externalIDs: Mapping[int, str]) -> None:
        """The tasks got these jobs or requests, as by setTaskStatusAndWmsID for one after the other."""
        if not externalIDs:
            return
        cases = " ".join(["WHEN %s THEN %s"] * len(externalIDs))
        # a statement is a transaction
        self.execute(
            f"UPDATE TransformationTasks SET ExternalID = CASE TaskID {cases} END, ExternalStatus = %s,"
            " LastUpdateTime = UTC_TIMESTAMP()"
            f" WHERE TransformationID = %s AND TaskID IN ({placeholders(len(externalIDs))})",
            [*(value for pair in externalIDs.items() for value in pair), status, transformationID, *externalIDs],
        )

    def setStatuses(self, transformationID: int, taskIDs: Sequence[int], status: str) -> None:
        """The tasks have this status, as by setTaskStatus, which has a statement and a commit for each of them."""
        for chunk in chunks(sorted(taskIDs)):
            self.execute(
                "UPDATE TransformationTasks SET ExternalStatus = %s, LastUpdateTime = UTC_TIMESTAMP()"
                f" WHERE TransformationID = %s AND TaskID IN ({placeholders(len(chunk))})",
                (status, transformationID, *chunk),
            )
