"""What the recovery of chains reads of attempts and inputs, and what it writes down."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.ChainRecoveryRecords import RecoveryRecord, RecoveryState
from JUNODIRAC.Core.Domain.JobError import JobError
from JUNODIRAC.Core.Domain.JobRecords import AttemptState, ProductState
from JUNODIRAC.Core.Logic.ChainRecoveryPorts import AttemptFacts, KnownInput, StepUnderRecovery
from JUNODIRAC.ProductionSystem.DB.ChainProducts import ChainProducts
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows

_ATTEMPT = "AttemptID, TaskID, JobID, State, Error, Detail, LastTime, OutputLFN, OutputSEs, Site"
_RECOVERY_COLUMNS = (
    "ChainID", "StepNumber", "SE", "ParentID", "BlockID", "LFN", "State", "Attempts", "Error", "Detail", "FirstTime", "LastTime",
    "NextTime",
)  # fmt: skip
_KEPT = frozenset({"ChainID", "StepNumber", "SE", "ParentID", "FirstTime"})
# seconds before an attempt that is over is looked at the second time; then after twice the time each
_SECOND_LOOK_SECONDS = 60
_OVER = "('Failed', 'Refused', 'Dead', 'Committed')"


class ChainRecoveries(ChainProducts):
    """Implements most of :class:`JUNODIRAC.Core.Logic.ChainCleaning.CleaningBook`. Every method may raise TemporaryFailure."""

    # ---- inputs

    def knownInputs(self, step: StepUnderRecovery, lfns: Collection[str]) -> dict[str, KnownInput]:
        """See :meth:`RecoveryBook.knownInputs`."""
        ids = self._inputIDs(step, lfns)
        parents = [parentID for parentID, _ in ids.values()]
        recoveries = self.readRecoveries(step.chainID, step.stepNumber, "", parents)
        derived = self.derivedInputs(step.chainID, step.stepNumber, parents)
        return {
            lfn: KnownInput(lfn, parentID, blockID, parentID in derived, recoveries.get(parentID))
            for lfn, (parentID, blockID) in ids.items()
        }

    def _inputIDs(self, step: StepUnderRecovery, lfns: Collection[str]) -> dict[str, tuple[int, int]]:
        """Id and block of each; retired products, too."""
        if step.sourceNumber is None:
            given = self.ledgerInputs(step.chainID, step.stepNumber, lfns)
            return {lfn: (each.parentID, each.blockID) for lfn, each in given.items()}
        found: dict[str, tuple[int, int]] = {}
        for chunk in rows.chunks(sorted(lfns)):
            sql = (
                "SELECT LFN, ProductID, BlockID FROM Products WHERE ChainID = %s AND StepNumber = %s"
                f" AND LFN IN ({rows.placeholders(len(chunk))})"
            )
            for lfn, productID, blockID in self.select(sql, (step.chainID, step.sourceNumber, *chunk)):
                found[lfn] = (int(productID), int(blockID))
        return found

    # ---- recoveries

    def readRecoveries(self, chainID: int, stepNumber: int, se: str, parentIDs: Collection[int]) -> dict[int, RecoveryRecord]:
        """What was written down of these inputs, or of their copies at an SE, by the id of the input."""
        found = {}
        for chunk in rows.chunks(sorted(parentIDs)):
            sql = (
                f"SELECT {', '.join(_RECOVERY_COLUMNS)} FROM Recoveries WHERE ChainID = %s AND StepNumber = %s AND SE = %s"
                f" AND ParentID IN ({rows.placeholders(len(chunk))})"
            )
            for row in self.select(sql, (chainID, stepNumber, se, *chunk)):
                record = _recoveryOf(row)
                found[record.parentID] = record
        return found

    def recordRecoveries(self, records: Sequence[RecoveryRecord]) -> None:
        """See :meth:`RecoveryBook.recordRecoveries`; what a person waived meanwhile stays so."""
        values = [
            (
                each.chainID, each.stepNumber, each.se, each.parentID, each.blockID, each.lfn, each.state.value, each.attempts,
                rows.text(each.error, 64), rows.text(each.detail), each.firstTime, each.lastTime, each.nextTime,
            )
            for each in records
        ]  # fmt: skip
        isWaived = f"State = '{RecoveryState.WAIVED}' AND VALUES(State) <> '{RecoveryState.SOLVED}'"
        changed = [column for column in _RECOVERY_COLUMNS if column not in _KEPT and column != "State"]
        # State last: the others are assigned by what it was
        updates = [f"{column} = IF({isWaived}, {column}, VALUES({column}))" for column in (*changed, "State")]
        if values:
            self.inTransaction(lambda conn: self.upsert("Recoveries", _RECOVERY_COLUMNS, values, updates, conn))

    def solveDerived(self) -> int:
        """What waited or was given up and is in an output all the same, is solved: a killed job may have lived on.

        :returns: how many inputs
        """
        sql = (
            "UPDATE Recoveries r JOIN Derivations d ON d.ChainID = r.ChainID AND d.StepNumber = r.StepNumber"
            " AND d.ParentID = r.ParentID SET r.State = %s, r.NextTime = NULL WHERE r.State IN (%s, %s) AND r.SE = ''"
        )
        states = (RecoveryState.SOLVED, RecoveryState.RECOVERING, RecoveryState.GIVEN_UP)
        return self.execute(sql, [state.value for state in states])

    def openCopies(self, chainID: int, stepNumber: int, se: str) -> dict[str, RecoveryRecord]:
        """Copies that are recovered or given up, by LFN."""
        sql = (
            f"SELECT {', '.join(_RECOVERY_COLUMNS)} FROM Recoveries WHERE ChainID = %s AND StepNumber = %s AND SE = %s"
            " AND State IN (%s, %s)"
        )
        states = (RecoveryState.RECOVERING.value, RecoveryState.GIVEN_UP.value)
        records = [_recoveryOf(row) for row in self.select(sql, (chainID, stepNumber, se, *states))]
        return {each.lfn: each for each in records}

    # ---- attempts

    def attemptsOfTasks(self, transformationID: int, taskIDs: Collection[int]) -> dict[int, list[AttemptFacts]]:
        """See :meth:`RecoveryBook.attemptsOfTasks`."""
        found: dict[int, list[AttemptFacts]] = defaultdict(list)
        for chunk in rows.chunks(sorted(taskIDs)):
            sql = (
                f"SELECT {_ATTEMPT} FROM Attempts WHERE TransformationID = %s AND TaskID IN ({rows.placeholders(len(chunk))})"
                " ORDER BY AttemptID"
            )
            for row in self.select(sql, (transformationID, *chunk)):
                found[int(row[1])].append(_attemptOf(row))
        return found

    def silentAttempts(self, before: datetime, limit: int) -> list[AttemptFacts]:
        """See :meth:`RecoveryBook.silentAttempts`."""
        sql = f"SELECT {_ATTEMPT} FROM Attempts WHERE State = %s AND LastTime < %s ORDER BY LastTime LIMIT %s"
        return [_attemptOf(row) for row in self.select(sql, (AttemptState.RUNNING.value, before, limit))]

    def declareDead(self, attemptIDs: Collection[int], detail: str) -> set[int]:
        """See :meth:`RecoveryBook.declareDead`. Whoever changes the row first wins: the commit of a job, or this."""
        now, dead = datetime.now(UTC), set()
        for attemptID in sorted(attemptIDs):
            sql = "UPDATE Attempts SET State = %s, EndedTime = %s, Error = %s, Detail = %s WHERE AttemptID = %s AND State = %s"
            values = (AttemptState.DEAD.value, now, JobError.LOST.value, rows.text(detail), attemptID, AttemptState.RUNNING.value)
            if self.execute(sql, values):
                dead.add(attemptID)
        return dead

    # ---- what they left behind

    def attemptsToClean(self, now: datetime, zombieSeconds: float, limit: int) -> list[AttemptFacts]:
        """See :meth:`CleaningBook.attemptsToClean`. Looks become rarer, the last one is when no zombie can be alive."""
        zombie = int(zombieSeconds)
        # committed ones that wrote to one storage have left nothing behind: the index then finds the others
        sql = (
            "UPDATE Attempts SET CleanedTime = EndedTime + INTERVAL %s SECOND WHERE State = 'Committed' AND CleanedTime IS NULL"
            " AND OutputSEs NOT LIKE '%%,%%' LIMIT %s"
        )
        self.execute(sql, (zombie, 10 * limit))
        sql = (
            f"SELECT {_ATTEMPT} FROM Attempts WHERE State IN {_OVER} AND OutputLFN <> ''"
            " AND OutputSEs NOT IN ('', '[]') AND EndedTime IS NOT NULL AND (CleanedTime IS NULL OR ("
            " CleanedTime < EndedTime + INTERVAL %s SECOND AND (%s >= EndedTime + INTERVAL %s SECOND OR"
            " TIMESTAMPDIFF(SECOND, EndedTime, %s) >= 2 * TIMESTAMPDIFF(SECOND, EndedTime, CleanedTime) + %s)))"
            " ORDER BY CleanedTime, AttemptID LIMIT %s"
        )
        return [_attemptOf(row) for row in self.select(sql, (zombie, now, zombie, now, _SECOND_LOOK_SECONDS, limit))]

    def productsOf(self, lfns: Collection[str]) -> dict[str, str]:
        """See :meth:`CleaningBook.productsOf`; what was retired counts no longer."""
        found: dict[str, str] = {}
        for chunk in rows.chunks(sorted(set(lfns))):
            sql = f"SELECT LFN, SE FROM Products WHERE State <> %s AND LFN IN ({rows.placeholders(len(chunk))})"
            found.update(self.select(sql, (ProductState.RETIRED.value, *chunk)))
        return found

    def noteCleaned(self, attemptIDs: Collection[int], now: datetime) -> None:
        """See :meth:`CleaningBook.noteCleaned`."""
        for chunk in rows.chunks(sorted(attemptIDs)):
            sql = f"UPDATE Attempts SET CleanedTime = %s WHERE AttemptID IN ({rows.placeholders(len(chunk))})"
            self.execute(sql, (now, *chunk))

    def wantedCopies(self, chainID: int, sourceNumber: int, lfns: Collection[str]) -> dict[str, tuple[int, int, int, str]]:
        """Id, block, size and checksum of these outputs of a step."""
        found = {}
        for chunk in rows.chunks(sorted(lfns)):
            sql = (
                "SELECT LFN, ProductID, BlockID, SizeBytes, Checksum FROM Products WHERE ChainID = %s AND StepNumber = %s"
                f" AND State = %s AND LFN IN ({rows.placeholders(len(chunk))})"
            )
            for lfn, *values in self.select(sql, (chainID, sourceNumber, ProductState.REGISTERED.value, *chunk)):
                found[lfn] = (int(values[0]), int(values[1]), int(values[2]), str(values[3]))
        return found


def _attemptOf(row: Sequence[Any]) -> AttemptFacts:
    attemptID, taskID, jobID, state, error, detail, lastTime, lfn, storages, site = row
    tried: Iterable[str] = json.loads(storages or "[]")
    return AttemptFacts(attemptID, taskID, jobID, state, error, detail, rows.aware(lastTime), lfn, tuple(tried), site)


def _recoveryOf(row: Sequence[Any]) -> RecoveryRecord:
    values = dict(zip(_RECOVERY_COLUMNS, row, strict=True))
    return RecoveryRecord(
        chainID=values["ChainID"],
        stepNumber=values["StepNumber"],
        se=values["SE"],
        parentID=values["ParentID"],
        blockID=values["BlockID"],
        lfn=values["LFN"],
        state=RecoveryState(values["State"]),
        attempts=values["Attempts"],
        error=values["Error"],
        detail=values["Detail"],
        firstTime=rows.aware(values["FirstTime"]),
        lastTime=rows.aware(values["LastTime"]),
        nextTime=rows.utc(values["NextTime"]),
    )
