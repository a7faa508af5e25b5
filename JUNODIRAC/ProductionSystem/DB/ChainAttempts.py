"""Executions of tasks by jobs, and the promise that each input of a step is in exactly one output, for ever."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Domain.JobRecords import Attempt, AttemptState, MadeOutput, ProductState, TaskInput
from JUNODIRAC.ProductionSystem.DB.ChainProducts import ChainProducts
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import DatabaseError

_ATTEMPT_COLUMNS = "AttemptID, ChainID, StepNumber, TransformationID, TaskID, State, OutputLFN, OutputSEs"
_DUPLICATE_KEY = "(1062,"


class ChainAttempts(ChainProducts):
    """Writes Attempts, Products and Derivations. Every method may raise TemporaryFailure.

    What must not be done raises JobFailure and changes nothing.
    """

    # ---- begin

    def beginAttempt(
        self, place: tuple[int, int, int, int], job: tuple[int, str, str], state: AttemptState, nameOutput: Callable[[int], str]
    ) -> Attempt:
        """Write down that a job executes a task; the same execution gets the same attempt again.

        :param place: chain, number of the step, transformation, task
        :param job: id, site, and host with something that tells this execution from others
        :param state: Running, or Refused where there is nothing to do
        :param nameOutput: gives the LFN of the output of an attempt
        """
        jobID, site, host = job
        now = datetime.now(UTC)

        def work(conn: Any) -> Attempt:
            sql = (
                f"SELECT {_ATTEMPT_COLUMNS} FROM Attempts WHERE TransformationID = %s AND TaskID = %s AND JobID = %s"
                " AND Host = %s ORDER BY AttemptID"
            )
            for row in self.select(sql, (place[2], place[3], jobID, rows.text(host, 128)), conn):
                return _attempt(row)
            self.execute(
                "INSERT INTO Attempts (ChainID, StepNumber, TransformationID, TaskID, JobID, Site, Host, State, StartedTime,"
                " LastTime, EndedTime, OutputSEs, Detail) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '[]', '')",
                (
                    *place, jobID, rows.text(site, 128), rows.text(host, 128), state.value, now, now,
                    None if state is AttemptState.RUNNING else now,
                ),
                conn,
            )  # fmt: skip
            attemptID = int(conn.insert_id())
            lfn = nameOutput(attemptID) if state is AttemptState.RUNNING else ""
            self.execute("UPDATE Attempts SET OutputLFN = %s WHERE AttemptID = %s", (lfn, attemptID), conn)
            return Attempt(attemptID, *place, state, lfn)

        return self.inTransaction(work)

    def findAttempt(self, attemptID: int, conn: Any = None, lock: bool = False) -> Attempt:
        """An attempt.

        :raises JobFailure: if there is none
        """
        sql = f"SELECT {_ATTEMPT_COLUMNS} FROM Attempts WHERE AttemptID = %s{' FOR UPDATE' if lock else ''}"
        for row in self.select(sql, (attemptID,), conn):
            return _attempt(row)
        raise JobFailure(JobError.BAD_TASK, f"there is no attempt {attemptID}")

    # ---- upload

    def noteUpload(self, attemptID: int, se: str) -> None:
        """Write down that an attempt is about to write its output to a storage element.

        :raises JobFailure: if it may not any more
        """

        def work(conn: Any) -> None:
            attempt = self.findAttempt(attemptID, conn, lock=True)
            _raiseUnlessRunning(attempt)
            noted = [*attempt.outputSEs, *([] if se in attempt.outputSEs else [se])]
            sql = "UPDATE Attempts SET OutputSEs = %s, LastTime = %s WHERE AttemptID = %s"
            self.execute(sql, (json.dumps(noted), datetime.now(UTC), attemptID), conn)

        self.inTransaction(work)

    def commitAttempt(self, attemptID: int, made: MadeOutput, inputs: Sequence[TaskInput]) -> int:
        """Make an attempt's output the one that counts for these inputs, all of it or nothing.

        :param inputs: in the order in which they are in the output; of one block
        :returns: the id of the product; the same one if the attempt has committed it before
        :raises JobFailure: if the attempt may not, or another output has one of the inputs
        """
        try:
            return self.inTransaction(lambda conn: self._commit(conn, attemptID, made, inputs))
        except DatabaseError as error:
            if _DUPLICATE_KEY not in str(error):
                raise
            attempt = self.findAttempt(attemptID)
            derived = self.derivedInputs(attempt.chainID, attempt.stepNumber, [each.parentID for each in inputs])
            taken = next(
                (f"{each.lfn} is in {derived[each.parentID]}" for each in inputs if each.parentID in derived), str(error)
            )
            raise JobFailure(JobError.REFUSED, taken) from error

    def _commit(self, conn: Any, attemptID: int, made: MadeOutput, inputs: Sequence[TaskInput]) -> int:
        attempt = self.findAttempt(attemptID, conn, lock=True)
        if attempt.state is AttemptState.COMMITTED:
            return self._committedBefore(conn, attempt, made, inputs)
        _raiseUnlessRunning(attempt)
        if made.lfn != attempt.outputLFN or made.se not in attempt.outputSEs:
            noted = f"{attempt.outputLFN} at {', '.join(attempt.outputSEs) or 'no storage element'}"
            raise JobFailure(JobError.BAD_TASK, f"attempt {attemptID} said that it writes {noted}, not {made.lfn} at {made.se}")
        productID = self._insertProduct(conn, attempt, made, inputs)
        values = [
            (attempt.chainID, attempt.stepNumber, each.parentID, productID, position, events)
            for position, (each, events) in enumerate(zip(inputs, made.inputEvents, strict=True))
        ]
        # in the order of the key, so that two jobs with the same inputs wait for each other instead of locking each other out
        for chunk in rows.chunks(sorted(values)):
            sql = "INSERT INTO Derivations (ChainID, StepNumber, ParentID, ProductID, Position, Events) VALUES "
            marks = ", ".join([f"({rows.placeholders(6)})"] * len(chunk))
            self.execute(sql + marks, [value for row in chunk for value in row], conn)
        now = datetime.now(UTC)
        sql = "UPDATE Attempts SET State = %s, LastTime = %s, EndedTime = %s WHERE AttemptID = %s"
        self.execute(sql, (AttemptState.COMMITTED.value, now, now, attemptID), conn)
        return productID

    def _insertProduct(self, conn: Any, attempt: Attempt, made: MadeOutput, inputs: Sequence[TaskInput]) -> int:
        first, last = inputs[0], inputs[-1]
        self.execute(
            "INSERT INTO Products (ChainID, StepNumber, BlockID, AttemptID, LFN, GUID, SE, SizeBytes, Checksum, Events, Stream,"
            " FirstRun, LastRun, FirstSequence, LastSequence, State, CommittedTime)"
            f" VALUES ({rows.placeholders(17)})",
            (
                attempt.chainID, attempt.stepNumber, first.blockID, attempt.attemptID, made.lfn, made.guid, made.se,
                made.sizeBytes, made.checksum, made.events, first.stream, first.firstRun, last.lastRun, first.firstSequence,
                last.lastSequence, ProductState.COMMITTED.value, datetime.now(UTC),
            ),
            conn,
        )  # fmt: skip
        return int(conn.insert_id())

    def _committedBefore(self, conn: Any, attempt: Attempt, made: MadeOutput, inputs: Sequence[TaskInput]) -> int:
        sql = "SELECT ProductID, LFN, SizeBytes, Checksum, Events FROM Products WHERE AttemptID = %s"
        for productID, *values in self.select(sql, (attempt.attemptID,), conn):
            sql = "SELECT ParentID FROM Derivations WHERE ProductID = %s ORDER BY Position"
            parents = [parentID for (parentID,) in self.select(sql, (productID,), conn)]
            same = values == [made.lfn, made.sizeBytes, made.checksum, made.events]
            if same and parents == [each.parentID for each in inputs]:
                return int(productID)
        raise JobFailure(JobError.BAD_TASK, f"attempt {attempt.attemptID} has committed something else before")

    # ---- end

    def endAttempt(self, attemptID: int, state: AttemptState, exitCode: int, error: str, detail: str) -> AttemptState:
        """Write down how an attempt ended; one that is committed or dead stays so.

        :param state: Failed or Refused
        :returns: its state now
        """

        def work(conn: Any) -> AttemptState:
            attempt = self.findAttempt(attemptID, conn, lock=True)
            now = datetime.now(UTC)
            found = state if attempt.state is AttemptState.RUNNING else attempt.state
            sql = (
                "UPDATE Attempts SET State = %s, LastTime = %s, EndedTime = COALESCE(EndedTime, %s), ExitCode = %s, Error = %s,"
                " Detail = %s WHERE AttemptID = %s"
            )
            values = (found.value, now, now, exitCode, rows.text(error, 64), rows.text(detail), attemptID)
            self.execute(sql, values, conn)
            return found

        return self.inTransaction(work)

    def recordOutputsRegistered(self, productIDs: Collection[int]) -> int:
        """Write down that these products are in the catalogue and with the next steps.

        :returns: how many were not before
        """
        changed = 0
        for chunk in rows.chunks(sorted(productIDs)):
            sql = (
                "UPDATE Products SET State = %s, RegisteredTime = %s WHERE State = %s"
                f" AND ProductID IN ({rows.placeholders(len(chunk))})"
            )
            values = (ProductState.REGISTERED.value, datetime.now(UTC), ProductState.COMMITTED.value)
            changed += self.execute(sql, (*values, *chunk))
        return changed


def _attempt(row: Sequence[Any]) -> Attempt:
    attemptID, chainID, stepNumber, transformationID, taskID, state, lfn, storages = row
    noted = tuple(json.loads(storages))
    return Attempt(attemptID, chainID, stepNumber, transformationID, taskID, AttemptState(state), lfn, noted)


def _raiseUnlessRunning(attempt: Attempt) -> None:
    if attempt.state is AttemptState.DEAD:
        raise JobFailure(JobError.DECLARED_DEAD, f"attempt {attempt.attemptID}, which wanted to write {attempt.outputLFN}")
    if attempt.state is not AttemptState.RUNNING:
        raise JobFailure(JobError.REFUSED, f"attempt {attempt.attemptID} is {attempt.state} already")
