"""Repairs of single files, replicas that are bad, and pauses of sites."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.RepairRecords import DeclaredCopy, Pause, RepairRecord, RepairState
from JUNODIRAC.Core.Domain.TransferErrors import ErrorClass
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerDirectories import LedgerDirectories

_REPAIR_COLUMNS = (
    "BlockID", "SE", "FileID", "State", "Situation", "Action", "ErrorClass", "Error", "Attempts", "FirstTime", "LastTime",
    "NextTime",
)  # fmt: skip
_REPAIR_KEY = frozenset({"BlockID", "SE", "FileID", "FirstTime"})
_PAUSE_COLUMNS = (
    "p.PauseID, p.SE, p.BlockID, p.SinceTime, p.UntilTime, p.Actor, p.Reason, p.ErrorClass, COALESCE(b.Block, ''),"
    " COALESCE(b.Type, ''), p.EndedTime, p.EndedBy"
)
_MAX_SITUATION_CHARS = 255
_MAX_DOUBTS = 200
_MAX_BAD_REPLICAS = 100_000


class LedgerRepairs(LedgerDirectories):
    """Every method may raise TemporaryFailure."""

    # ---- repairs

    def readRepairs(self, blockID: int, se: str, lfns: Collection[str]) -> dict[str, RepairRecord]:
        """What was done about these files at one site, by LFN."""
        files = {declared.fileID: lfn for lfn, declared in self.declaredCopies(lfns).items()}
        found = {}
        for chunk in rows.chunks(sorted(files)):
            sql = (
                f"SELECT {', '.join(_REPAIR_COLUMNS)} FROM Repairs WHERE BlockID = %s AND SE = %s"
                f" AND FileID IN ({rows.placeholders(len(chunk))})"
            )
            for row in self.select(sql, (blockID, se, *chunk)):
                record = _repairOf(row)
                found[files[record.fileID]] = record
        return found

    def dueRepairs(self, se: str, now: datetime, limit: int) -> dict[int, list[str]]:
        """Files of one site that are to be looked at again, those that are due for longest, by block id."""
        sql = (
            "SELECT r.BlockID, d.Directory, f.FileName FROM Repairs r JOIN Files f ON f.FileID = r.FileID"
            " JOIN Directories d ON d.DirectoryID = f.DirectoryID"
            " WHERE r.SE = %s AND r.State IN (%s, %s) AND r.NextTime <= %s ORDER BY r.State, r.NextTime LIMIT %s"
        )
        found: dict[int, list[str]] = defaultdict(list)
        states = (RepairState.ACTIVE.value, RepairState.GIVEN_UP.value)
        for blockID, directory, name in self.select(sql, (se, *states, now, limit)):
            found[blockID].append(f"{directory}/{name}")
        return found

    def countLost(self, se: str, since: datetime) -> int:
        """Registered copies of one site that were found missing or wrong since this time."""
        classes = (ErrorClass.COPY_LOST.value, ErrorClass.CHECKSUM_MISMATCH.value)
        sql = "SELECT COUNT(*) FROM Repairs WHERE SE = %s AND ErrorClass IN (%s, %s) AND FirstTime >= %s"
        return int(self.select(sql, (se, *classes, since))[0][0])

    def waitingRepairs(self, se: str, now: datetime) -> set[str]:
        """Files of one site that are not to be looked at before their time."""
        sql = (
            "SELECT d.Directory, f.FileName FROM Repairs r JOIN Files f ON f.FileID = r.FileID"
            " JOIN Directories d ON d.DirectoryID = f.DirectoryID WHERE r.SE = %s AND r.State IN (%s, %s) AND r.NextTime > %s"
        )
        states = (RepairState.ACTIVE.value, RepairState.GIVEN_UP.value)
        return {f"{directory}/{name}" for directory, name in self.select(sql, (se, *states, now))}

    def listRepairs(self, blockID: int, se: str = "", state: RepairState | None = None) -> dict[str, dict[str, RepairRecord]]:
        """The repairs of a block by SE and LFN; with an SE, or in a state, only those."""
        where, args = "r.BlockID = %s", [blockID]  # type: str, list[Any]
        for column, value in (("r.SE", se), ("r.State", state and state.value)):
            if value:
                where += f" AND {column} = %s"
                args.append(value)
        columns = ", ".join(f"r.{column}" for column in _REPAIR_COLUMNS)
        sql = (
            f"SELECT {columns}, d.Directory, f.FileName FROM Repairs r JOIN Files f ON f.FileID = r.FileID"
            f" JOIN Directories d ON d.DirectoryID = f.DirectoryID WHERE {where}"
        )
        found: dict[str, dict[str, RepairRecord]] = defaultdict(dict)
        for *values, directory, name in self.select(sql, args):
            record = _repairOf(values)
            found[record.se][f"{directory}/{name}"] = record
        return found

    def recordRepairs(self, records: Sequence[RepairRecord]) -> None:
        """Write down what was done; rows that exist are replaced."""
        values = [
            (
                each.blockID, each.se, each.fileID, each.state.value, rows.text(each.situation, _MAX_SITUATION_CHARS),
                rows.text(each.action, 32), rows.text(each.errorClass, 32), rows.text(each.error), each.attempts,
                each.firstTime, each.lastTime, each.nextTime,
            )
            for each in records
        ]  # fmt: skip
        updates = [f"{column} = VALUES({column})" for column in _REPAIR_COLUMNS if column not in _REPAIR_KEY]
        if values:
            self.inTransaction(lambda conn: self.upsert("Repairs", _REPAIR_COLUMNS, values, updates, conn))

    def forgetRepairs(self, blockID: int, se: str, lfns: Collection[str]) -> int:
        """Begin anew with these files.

        :returns: how many had a repair
        """
        fileIDs = sorted(declared.fileID for declared in self.declaredCopies(lfns).values())
        deleted = 0
        for chunk in rows.chunks(fileIDs):
            sql = f"DELETE FROM Repairs WHERE BlockID = %s AND SE = %s AND FileID IN ({rows.placeholders(len(chunk))})"
            deleted += self.execute(sql, (blockID, se, *chunk))
        return deleted

    def recordDecisions(self, actor: str, action: str, reasons: Mapping[str, str]) -> None:
        """A row in the journal for each object, for example ``<LFN> <SE>``, with the reason."""
        now = datetime.now(UTC)
        texts = (rows.text(actor, 128), "", rows.text(action, 64))
        values = [(now, *texts, rows.text(name, 512), rows.text(reason)) for name, reason in reasons.items()]
        for chunk in rows.chunks(values):
            sql = "INSERT INTO Journal (Time, Actor, ActorGroup, Action, Object, Reason) VALUES "
            self.execute(sql + ", ".join([f"({rows.placeholders(6)})"] * len(chunk)), [value for row in chunk for value in row])

    def declaredCopies(self, lfns: Collection[str]) -> dict[str, DeclaredCopy]:
        """Id, size and checksum of those of these files that are registered."""
        found = {}
        for directory, directoryID, names in self._knownNames(lfns):
            for chunk in rows.chunks(names):
                sql = (
                    "SELECT FileName, FileID, SizeBytes, Checksum FROM Files WHERE DirectoryID = %s AND State = 'Registered'"
                    f" AND FileName IN ({rows.placeholders(len(chunk))})"
                )
                for name, fileID, sizeBytes, checksum in self.select(sql, (directoryID, *chunk)):
                    found[f"{directory}/{name}"] = DeclaredCopy(fileID, int(sizeBytes or 0), checksum)
        return found

    # ---- bad replicas

    def markBad(self, se: str, details: Mapping[int, str]) -> None:
        """The replicas of these files (by id) at a storage element are never a source from now on, and why."""
        now = datetime.now(UTC)
        values = [(fileID, se, now, rows.text(detail)) for fileID, detail in details.items()]
        updates = [
            "Time = IF(EndedTime IS NULL, Time, VALUES(Time))", "Detail = VALUES(Detail)", "EndedTime = NULL",
        ]  # fmt: skip
        columns = ("FileID", "SE", "Time", "Detail")
        if values:
            self.inTransaction(lambda conn: self.upsert("BadReplicas", columns, values, updates, conn))

    def doubtReplicas(self, se: str, failures: Mapping[str, str]) -> int:
        """The replicas of these files are no source until somebody has asked for them; what is known to be bad stays so.

        :param failures: what spoke against each, by LFN
        :returns: how many of the files are registered
        """
        now, declared = datetime.now(UTC), self.declaredCopies(list(failures))
        values = [(each.fileID, se, now, rows.text(f"{rows.IN_DOUBT}{failures[lfn]}")) for lfn, each in declared.items()]
        kept = [f"{column} = IF(EndedTime IS NULL, {column}, VALUES({column}))" for column in ("Time", "Detail")]
        if values:
            columns = ("FileID", "SE", "Time", "Detail")
            self.inTransaction(lambda conn: self.upsert("BadReplicas", columns, values, [*kept, "EndedTime = NULL"], conn))
        return len(values)

    def readDoubts(self) -> dict[str, dict[str, DeclaredCopy]]:
        """Replicas in doubt by storage element and LFN, the oldest first and not too many."""
        sql = (
            "SELECT r.SE, d.Directory, f.FileName, f.FileID, f.SizeBytes, f.Checksum FROM BadReplicas r"
            " JOIN Files f ON f.FileID = r.FileID JOIN Directories d ON d.DirectoryID = f.DirectoryID"
            " WHERE r.EndedTime IS NULL AND r.Detail LIKE %s ORDER BY r.Time LIMIT %s"
        )
        found: dict[str, dict[str, DeclaredCopy]] = defaultdict(dict)
        for se, directory, name, fileID, sizeBytes, checksum in self.select(sql, (f"{rows.IN_DOUBT}%", _MAX_DOUBTS)):
            found[se][f"{directory}/{name}"] = DeclaredCopy(fileID, int(sizeBytes or 0), checksum)
        return dict(found)

    def endBad(self, se: str, fileIDs: Iterable[int]) -> int:
        """Good copies of these files are at the storage element.

        :returns: how many were called bad
        """
        ended = 0
        for chunk in rows.chunks(sorted(fileIDs)):
            sql = (
                f"UPDATE BadReplicas SET EndedTime = %s WHERE SE = %s AND EndedTime IS NULL"
                f" AND FileID IN ({rows.placeholders(len(chunk))})"
            )
            ended += self.execute(sql, (datetime.now(UTC), se, *chunk))
        return ended

    def readBadReplicas(self, lfns: Collection[str] | None = None) -> dict[str, list[str]]:
        """Storage elements with a bad replica, by LFN.

        :param lfns: of these files; None: of all
        """
        sql = (
            "SELECT d.Directory, f.FileName, r.SE FROM BadReplicas r JOIN Files f ON f.FileID = r.FileID"
            " JOIN Directories d ON d.DirectoryID = f.DirectoryID WHERE r.EndedTime IS NULL"
        )
        if lfns is None:
            pieces: list[tuple[str, Sequence[Any]]] = [(f"{sql} LIMIT {_MAX_BAD_REPLICAS}", ())]
        else:
            fileIDs = sorted(declared.fileID for declared in self.declaredCopies(lfns).values())
            pieces = [(f"{sql} AND r.FileID IN ({rows.placeholders(len(chunk))})", chunk) for chunk in rows.chunks(fileIDs)]
        found: dict[str, list[str]] = defaultdict(list)
        for statement, args in pieces:
            for directory, name, se in self.select(statement, args):
                found[f"{directory}/{name}"].append(se)
        return dict(found)

    # ---- pauses

    def addPause(self, se: str, blockID: int, until: datetime | None, actor: str, reason: str, errorClass: str = "") -> None:
        """From now on nothing is copied to a storage element, or to it for one block."""
        columns = ("SE", "BlockID", "SinceTime", "UntilTime", "Actor", "ErrorClass", "Reason")
        texts = (rows.text(actor, 128), rows.text(errorClass, 32), rows.text(reason))
        sql = f"INSERT INTO Pauses ({', '.join(columns)}) VALUES ({rows.placeholders(len(columns))})"
        self.execute(sql, (se, blockID, datetime.now(UTC), until, *texts))

    def endPauses(self, se: str, blockID: int, actor: str) -> int:
        """End the pauses of a storage element, or of one block at it.

        :returns: how many there were
        """
        now = datetime.now(UTC)
        sql = (
            "UPDATE Pauses SET EndedTime = %s, EndedBy = %s WHERE SE = %s AND BlockID = %s AND EndedTime IS NULL"
            " AND (UntilTime IS NULL OR UntilTime > %s)"
        )
        return self.execute(sql, (now, rows.text(actor, 128), se, blockID, now))

    def readPauses(self, now: datetime) -> list[Pause]:
        """The pauses that hold, oldest first."""
        where = "p.EndedTime IS NULL AND (p.UntilTime IS NULL OR p.UntilTime > %s) ORDER BY p.PauseID"
        return self._pauses(where, (now,))

    def lastPauses(self, se: str, limit: int = 50) -> list[Pause]:
        """The newest pauses of a storage element for all blocks, whether they hold or not."""
        return self._pauses("p.SE = %s AND p.BlockID = 0 ORDER BY p.PauseID DESC LIMIT %s", (se, limit))

    def _pauses(self, where: str, args: Sequence[Any]) -> list[Pause]:
        sql = f"SELECT {_PAUSE_COLUMNS} FROM Pauses p LEFT JOIN Blocks b ON b.BlockID = p.BlockID WHERE {where}"
        return [_pauseOf(row) for row in self.select(sql, args)]


def _repairOf(row: Sequence[Any]) -> RepairRecord:
    blockID, se, fileID, state, situation, action, errorClass, error, attempts, first, last, following = row
    return RepairRecord(
        blockID, se, fileID, RepairState(state), situation, action, errorClass, error, attempts, rows.aware(first),
        rows.aware(last), rows.utc(following),
    )  # fmt: skip


def _pauseOf(row: Sequence[Any]) -> Pause:
    pauseID, se, blockID, since, until, actor, reason, errorClass, block, typeName, ended, endedBy = row
    return Pause(
        pauseID=pauseID,
        se=se,
        blockID=blockID,
        since=rows.aware(since),
        until=rows.utc(until),
        actor=actor,
        reason=reason,
        errorClass=errorClass,
        block=block,
        typeName=typeName,
        ended=rows.utc(ended),
        endedBy=endedBy,
    )
