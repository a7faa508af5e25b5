"""DIRAC's TransformationDB, which can attach many files to several transformations, and make many tasks, at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from DIRAC import S_ERROR, S_OK
from DIRAC.Core.Utilities.List import breakListIntoChunks
from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue, returnValueOrRaise
from DIRAC.Core.Utilities.TimeUtilities import DiracTime
from DIRAC.TransformationSystem.DB.TransformationDB import TransformationDB as DiracTransformationDB

from JUNODIRAC.DataManagementSystem.DB.MultiRowInsert import MultiRowInsert
from JUNODIRAC.TransformationSystem.DB.TaskBulks import NOT_AVAILABLE, TaskBulks

MAX_LFN = 255  # characters of the column DataFiles.LFN
_ROWS_PER_STATEMENT = 5000
_DEADLOCK_ATTEMPTS = 5
# MySQL's numbers for "lock wait timeout" and "deadlock", as DIRAC writes them into the text of an error
_DEADLOCK_ERRORS = ("(1205,", "(1213,")


class TransformationDB(TaskBulks, MultiRowInsert, DiracTransformationDB):
    """Adds :meth:`addFilesToTransformations`, tasks in bulk, joins the rows of DIRAC's inserts, and gives tasks away sooner.

    All else is DIRAC's.
    """

    #: seconds that a task must be old, see :meth:`getTasksForSubmission`
    taskAgeSeconds = 1.0

    def getTasksForSubmission(
        self,
        transName: int | str,
        numTasks: int = 1,
        site: str = "",
        statusList: list[str] | None = None,
        older: datetime | None = None,
        newer: datetime | None = None,
        connection: Any = False,
    ) -> dict[str, Any]:
        """Tasks that are complete and older than ``taskAgeSeconds``, where the service asks for those older than 30 s.

        Those 30 s are to keep away from tasks that are being made: DIRAC's addTaskForTransformation inserts the task, then its
        list of files, then marks the files, each with a commit of its own. So what matters is asked instead: a task without its
        list is left until it is as old as DIRAC wants it. (If marking the files fails, the task is taken back. Should it have
        been given away by then, its files are copied by a request that no task has; as they stay Unused, the next task finds
        them at the target.)
        """

        def ask(before: datetime | None) -> dict[str, Any]:
            answer: dict[str, Any] = super(TransformationDB, self).getTasksForSubmission(
                transName, numTasks, site=site, statusList=statusList, older=before, newer=newer, connection=connection
            )
            return answer

        sooner = older and max(older, DiracTime.utcnow() - timedelta(seconds=self.taskAgeSeconds))
        result = ask(sooner)
        if not result["OK"] or sooner == older or all(task["InputData"] for task in result["Value"].values()):
            return result
        old = ask(older)
        if not old["OK"]:
            return old
        return S_OK({taskID: task for taskID, task in result["Value"].items() if task["InputData"] or taskID in old["Value"]})

    def getTransformationTasks(
        self, condDict: dict[str, Any] | None = None, *args: Any, inputVector: bool = False, **options: Any
    ) -> dict[str, Any]:
        """As DIRAC's, which reads the list of files of each task by a query of its own.

        :param condDict: may have one more key, Type: types of transformations
        """
        if condDict and "Type" in condDict:
            transformations = self.getTransformations({"Type": condDict["Type"]}, columns=["TransformationID"])
            if not transformations["OK"]:
                return dict(transformations)
            numbers = [each["TransformationID"] for each in transformations["Value"]]
            # 0: none, where DIRAC would take an empty list for no condition
            condDict = {key: value for key, value in condDict.items() if key != "Type"} | {"TransformationID": numbers or [0]}
        result: dict[str, Any] = super().getTransformationTasks(condDict, *args, **options)
        if not result["OK"] or not inputVector:
            return result
        taskIDs: dict[int, list[int]] = defaultdict(list)
        for task in result["Value"]:
            taskIDs[task["TransformationID"]].append(task["TaskID"])
        vectors: dict[tuple[int, int], str] = {}
        for transformationID, numbers in taskIDs.items():
            for chunk in breakListIntoChunks(numbers, _ROWS_PER_STATEMENT):
                found = self.getTaskInputVector(transformationID, chunk)
                if not found["OK"]:
                    return dict(found)
                vectors |= {(transformationID, taskID): vector for taskID, vector in found["Value"].items()}
        for task in result["Value"]:
            task["InputVector"] = vectors.get((task["TransformationID"], task["TaskID"]), "")
        return result

    @convertToReturnValue
    def reserveTasksForSubmission(
        self, transName: int | str, count: int, site: str, older: datetime
    ) -> dict[int, dict[str, Any]]:
        """Tasks of :meth:`getTasksForSubmission` that are the caller's to submit now, and nobody else's."""
        transformationID = returnValueOrRaise(self._getTransformationID(transName))
        tasks: dict[int, dict[str, Any]] = returnValueOrRaise(
            self.getTasksForSubmission(transformationID, numTasks=count, site=site, statusList=["Created"], older=older)
        )
        return {taskID: tasks[taskID] for taskID in self.reserveTasks(transformationID, list(tasks))}

    @convertToReturnValue
    def addTasksForTransformation(self, transName: int | str, tasks: Sequence[tuple[Sequence[str], str]]) -> list[dict[str, Any]]:
        """Make tasks, all those of a call in one transaction, see :meth:`TaskBulks.insertTasks`.

        :param tasks: for each its LFNs and its storage element
        :returns: for each what addTaskForTransformation would have answered: its number, or why it was not made
        """
        transformationID = returnValueOrRaise(self._getTransformationID(transName))
        known = self._fileIDs(list(dict.fromkeys(lfn for lfns, _ in tasks for lfn in lfns)))
        rows = [([known.get(lfn) for lfn in lfns], ";".join(lfns), se) for lfns, se in tasks]
        numbers = self.insertTasks(transformationID, rows)
        return [S_OK(number) if number else S_ERROR(NOT_AVAILABLE) for number in numbers]

    def addTaskForTransformation(
        self, transID: int | str, lfns: Sequence[str] | None = None, se: str = "Unknown", connection: Any = False
    ) -> dict[str, Any]:
        """As DIRAC's, which looks whether the files are free and then takes them, so that another maker can come in between."""
        result: dict[str, Any] = self.addTasksForTransformation(transID, [(lfns or [], se)])
        answer: dict[str, Any] = result["Value"][0] if result["OK"] else result
        return answer

    @convertToReturnValue
    def setTasksSubmitted(self, transName: int | str, externalIDs: Mapping[int, str]) -> None:
        """Tasks were submitted and got these jobs or requests."""
        self.setExternalIDs(returnValueOrRaise(self._getTransformationID(transName)), "Submitted", externalIDs)

    @convertToReturnValue
    def setTaskStatus(self, transName: int | str, taskID: int | Sequence[int], status: str, connection: Any = False) -> None:
        """As DIRAC's, many tasks in one statement."""
        taskIDs = [taskID] if isinstance(taskID, int) else taskID
        self.setStatuses(returnValueOrRaise(self._getTransformationID(transName)), taskIDs, status)

    @convertToReturnValue
    def addFilesToTransformations(self, transformationIDs: Sequence[int], lfns: Sequence[str]) -> dict[str, dict[str, str]]:
        """Attach files to each of the transformations; what is attached already stays as it is.

        The same rows as those of ``addFilesToTransformation`` for one transformation after the other. That method inserts each
        new file by a statement of its own, looks the LFNs up again for each transformation through temporary tables, and says
        nothing of a file that it could not attach.

        :returns: ``Successful``: LFN -> "Added" if it was new to at least one of the transformations, else "Present";
            ``Failed``: LFN -> reason. Each LFN is in one of them
        """
        if not transformationIDs or not lfns:
            raise ValueError("no transformation or no LFN was given")
        self._checkTransformations(transformationIDs)
        failed = {lfn: f"an LFN has at most {MAX_LFN} characters" for lfn in lfns if len(lfn) > MAX_LFN}
        wanted = [lfn for lfn in dict.fromkeys(lfns) if lfn not in failed]
        known = self._fileIDs(wanted)
        new = self._addMissing([lfn for lfn in wanted if lfn not in known], failed)
        attached = self._attachedEverywhere(transformationIDs, known.values())
        missing = [fileID for fileID in (*known.values(), *new.values()) if fileID not in attached]
        self._attach(transformationIDs, missing)
        successful = {lfn: "Present" if fileID in attached else "Added" for lfn, fileID in (known | new).items()}
        return {"Successful": successful, "Failed": failed}

    # ---- steps

    def _checkTransformations(self, transformationIDs: Sequence[int]) -> None:
        for transformationID in transformationIDs:
            returnValueOrRaise(self._getTransformationID(transformationID))

    def _fileIDs(self, lfns: Sequence[str]) -> dict[str, int]:
        """Ids of those files that the table has under exactly this name."""
        wanted = set(lfns)
        found: dict[str, int] = {}
        for chunk in breakListIntoChunks(list(lfns), _ROWS_PER_STATEMENT):
            sql = f"SELECT LFN, FileID FROM DataFiles WHERE LFN IN ({_placeholders(chunk)})"
            # the column takes "A" for "a", so that other names come back too
            found.update((lfn, fileID) for lfn, fileID in self._select(sql, chunk) if lfn in wanted)
        return found

    def _addMissing(self, lfns: Sequence[str], failed: dict[str, str]) -> dict[str, int]:
        """Insert files. Somebody else may do the same now: then theirs is the row.

        :param failed: gets the files that the table cannot hold beside another one
        :returns: the ids of all others
        """
        # in the order of the key, so that two writers wait for each other instead of locking each other out
        for chunk in breakListIntoChunks(sorted(lfns), _ROWS_PER_STATEMENT):
            rows = ", ".join(["(%s, 'New')"] * len(chunk))
            # not INSERT IGNORE, which would hide more than the duplicate
            self._change(f"INSERT INTO DataFiles (LFN, Status) VALUES {rows} ON DUPLICATE KEY UPDATE FileID = FileID", chunk)
        added = self._fileIDs(lfns)
        for lfn in lfns:
            if lfn not in added:
                twin = self._select("SELECT LFN FROM DataFiles WHERE LFN = %s", [lfn])
                failed[lfn] = (
                    f"the Transformation System has {twin[0][0]} and cannot tell the two apart: it ignores case"
                    if twin
                    else "it was removed from the Transformation System at the same moment"
                )
        return added

    def _attachedEverywhere(self, transformationIDs: Sequence[int], fileIDs: Iterable[int]) -> set[int]:
        """Those files that all of the transformations have."""
        ids = ", ".join(str(int(number)) for number in set(transformationIDs))
        found: set[int] = set()
        for chunk in breakListIntoChunks(list(fileIDs), _ROWS_PER_STATEMENT):
            sql = (
                f"SELECT FileID FROM TransformationFiles WHERE TransformationID IN ({ids})"
                f" AND FileID IN ({', '.join(map(str, chunk))}) GROUP BY FileID HAVING COUNT(*) = {len(set(transformationIDs))}"
            )
            found.update(fileID for (fileID,) in self._select(sql))
        return found

    def _attach(self, transformationIDs: Sequence[int], fileIDs: Sequence[int]) -> None:
        """One row for each file and transformation, all in DIRAC's default status; rows that exist are not touched."""
        pairs = [(transformationID, fileID) for transformationID in sorted(set(transformationIDs)) for fileID in sorted(fileIDs)]
        for chunk in breakListIntoChunks(pairs, _ROWS_PER_STATEMENT):
            rows = ", ".join(f"({int(one)}, {int(other)}, UTC_TIMESTAMP(), UTC_TIMESTAMP())" for one, other in chunk)
            self._change(
                f"INSERT INTO TransformationFiles (TransformationID, FileID, LastUpdate, InsertedTime) VALUES {rows}"
                " ON DUPLICATE KEY UPDATE TransformationFiles.FileID = TransformationFiles.FileID"
            )

    # ---- statements

    def _select(self, sql: str, args: Sequence[Any] = ()) -> tuple[tuple[Any, ...], ...]:
        # not to the log, where DIRAC would write each value
        rows: tuple[tuple[Any, ...], ...] = returnValueOrRaise(self._query(sql, args=args or None, logArgs=()))
        return rows

    def _change(self, sql: str, args: Sequence[Any] = ()) -> None:
        """Run one statement, which is written whole or not at all; as the victim of a deadlock, again."""
        _withoutDeadlock(lambda: self._update(sql, args=args or None, logArgs=(), debug=False))


def _withoutDeadlock(statement: Callable[[], dict[str, Any]]) -> None:
    for _ in range(_DEADLOCK_ATTEMPTS - 1):
        result = statement()
        if result["OK"] or not any(number in result["Message"] for number in _DEADLOCK_ERRORS):
            break
    else:
        result = statement()
    returnValueOrRaise(result)


def _placeholders(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))
