"""Refused announcements as people read and close them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.BlockStatus import WaivedFile
from JUNODIRAC.Core.Domain.FileHistory import QuarantineRecord
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.QuarantineState import (
    CannotClose,
    ClosableRecord,
    QuarantineState,
    fileChange,
    speaksForFile,
)
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerBlockFiles import LedgerBlockFiles

_OPEN = (QuarantineState.OPEN.value,)
_TABLES = (
    "Quarantine q LEFT JOIN Files f ON f.FileID = q.FileID LEFT JOIN Directories d ON d.DirectoryID = f.DirectoryID"
    " LEFT JOIN LateFiles l ON l.FileID = f.FileID LEFT JOIN Blocks b ON b.BlockID = COALESCE(l.BlockID, d.BlockID)"
)
_MAX_CLOSED_BY_CHARS = 300


class LedgerQuarantineDesk(LedgerBlockFiles):
    """List, show, close."""

    def readQuarantineList(
        self, limit: int = 1000, newest: bool = False, afterID: int = 0, **chosen: Any
    ) -> list[QuarantineRecord]:
        """Refused announcements without their messages, in the order of their ids.

        :param newest: the last ones that match instead of the first
        :param afterID: only later ids: the next page is asked for with the last id of this one
        :param chosen: see :func:`quarantineCondition`
        """
        where, args = quarantineCondition(**chosen)
        order = f"AND q.QuarantineID > %s ORDER BY q.QuarantineID {'DESC' if newest else ''} LIMIT %s"
        found = self._quarantineRecords(f"WHERE {where} {order}", (*args, afterID, limit), withMessages=False)
        return found[::-1] if newest else found

    def countQuarantineList(self, **chosen: Any) -> dict[str, int]:
        """How many match, by reason.

        :param chosen: see :func:`quarantineCondition`
        """
        where, args = quarantineCondition(**chosen)
        tables = _TABLES if chosen.get("block") else "Quarantine q"
        return dict(self.select(f"SELECT q.Reason, COUNT(*) FROM {tables} WHERE {where} GROUP BY q.Reason", args))

    def readQuarantined(self, quarantineIDs: Sequence[int]) -> list[QuarantineRecord]:
        """These refused announcements with their messages, in the order of their ids; unknown ids are left out."""
        found: list[QuarantineRecord] = []
        for chunk in rows.chunks(sorted(set(quarantineIDs))):
            where = f"WHERE q.QuarantineID IN ({rows.placeholders(len(chunk))}) ORDER BY q.QuarantineID"
            found += self._quarantineRecords(where, chunk)
        return found

    def countQuarantine(self, states: Sequence[str] = _OPEN) -> dict[str, dict[str, int]]:
        """Number of refused announcements in these states by Type and reason."""
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        for typeName, byReason in self.countQuarantineStates().items():
            for reason, byState in byReason.items():
                count = sum(byState.get(state, 0) for state in states)
                if count:
                    counts[typeName][reason] = count
        return dict(counts)

    def countQuarantineStates(self) -> dict[str, dict[str, dict[str, int]]]:
        """Number of refused announcements by Type, reason and state."""
        counts: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
        sql = "SELECT Type, Reason, State, COUNT(*) FROM Quarantine FORCE INDEX (TypeReason) GROUP BY Type, State, Reason"
        for typeName, reason, state, count in self.select(sql):
            counts[typeName][reason][state] = count
        return {typeName: dict(byReason) for typeName, byReason in counts.items()}

    def closeQuarantined(self, quarantineIDs: Sequence[int], newState: str, closedBy: str, why: str = "") -> int:
        """Close refused announcements, and with them, where that is so decided, their files.

        Waived: the file too, and with it every open record of it. Dropped: the file too, if no other record that is about it
        stays open. Retried: the record alone.

        :param newState: Retried, Waived or Dropped
        :param closedBy: the user
        :param why: what the user gave as the reason
        :returns: number of records that were closed, those that went with them included
        :raises CannotClose: if one of them cannot be closed so; nothing is written then
        """
        state = QuarantineState(newState)
        wanted = sorted(set(quarantineIDs))
        now = datetime.now(UTC)
        words = (rows.text(closedBy, _MAX_CLOSED_BY_CHARS), rows.text(why))

        def work(conn: Any) -> int:
            records, others = self._lockRecords(wanted, conn)
            closing = list(wanted)
            for fileID, newFileState in _fileChanges(records, others, state).items():
                sql = "UPDATE Files SET State = %s, ClosedTime = %s WHERE FileID = %s"
                self.execute(sql, (newFileState.value, now, fileID), conn)
            if state is QuarantineState.WAIVED:
                waived = {record.fileID for record in records if record.isOfRow}
                closing += [other.quarantineID for other in others if other.isOfName and other.fileID in waived]
            for chunk in rows.chunks(closing):
                sql = (
                    "UPDATE Quarantine SET State = %s, ClosedTime = %s, ClosedBy = %s, ClosedReason = %s"
                    f" WHERE QuarantineID IN ({rows.placeholders(len(chunk))})"
                )
                self.execute(sql, (state.value, now, *words, *chunk), conn)
            return len(closing)

        return self.inTransaction(work)

    def readWaived(self, typeName: str, blockName: str) -> list[WaivedFile]:
        """The waived files of a block, by LFN, with the reason for which each was last refused."""
        found = self.select("SELECT BlockID FROM Blocks WHERE Type = %s AND Block = %s", (typeName, blockName))
        return [file for (blockID,) in found for file in self._waivedFiles([blockID])[blockID]]

    # ---- steps

    def _waivedFiles(self, blockIDs: Sequence[int]) -> dict[int, list[WaivedFile]]:
        """See :meth:`readWaived`; by block."""
        columns = "f.FileID, d.Directory, f.FileName, f.SizeBytes, f.ClosedTime"
        files = list(self._filesOf(blockIDs, columns, "f.State = 'Waived'"))
        words: dict[int, tuple[str, str, str, str]] = {}
        for chunk in rows.chunks([fileID for _, fileID, *_ in files]):
            sql = (
                "SELECT q.FileID, q.Reason, q.Detail, q.ClosedBy, q.ClosedReason FROM Quarantine q"
                " JOIN Files f ON f.FileID = q.FileID AND BINARY q.FileName = BINARY f.FileName"
                f" WHERE q.State = 'Waived' AND q.FileID IN ({rows.placeholders(len(chunk))}) ORDER BY q.QuarantineID"
            )
            for fileID, code, detail, closedBy, why in self.select(sql, chunk):
                words[fileID] = (code, detail, closedBy, why or "")
        found: dict[int, list[WaivedFile]] = defaultdict(list)
        for blockID, fileID, directory, name, sizeBytes, closedTime in sorted(files, key=lambda row: (row[0], *row[2:4])):
            said = words.get(fileID, ("", "", "", ""))
            found[blockID].append(WaivedFile(f"{directory}/{name}", sizeBytes, *said, rows.utc(closedTime)))
        return found

    def _lockRecords(self, wanted: Sequence[int], conn: Any) -> tuple[list[ClosableRecord], list[ClosableRecord]]:
        """These records, and the other open ones of their files that are about the files' rows."""
        records: list[ClosableRecord] = []
        for chunk in rows.chunks(wanted):
            records += self._closableRecords(f"q.QuarantineID IN ({rows.placeholders(len(chunk))})", chunk, conn)
        unknown = sorted(set(wanted) - {record.quarantineID for record in records})
        if unknown:
            raise CannotClose(unknown[0], "does not exist")
        others: list[ClosableRecord] = []
        for chunk in rows.chunks(sorted({record.fileID for record in records if record.fileID is not None})):
            condition = f"q.State = 'Open' AND q.FileID IN ({rows.placeholders(len(chunk))})"
            others += self._closableRecords(condition, chunk, conn)
        return records, [other for other in others if other.quarantineID not in set(wanted)]

    def _closableRecords(self, condition: str, args: Iterable[Any], conn: Any) -> list[ClosableRecord]:
        sql = (
            "SELECT q.QuarantineID, q.State, q.Reason, f.FileID, d.Directory, f.FileName, f.State,"
            " BINARY q.FileName = BINARY f.FileName,"
            " (q.Topic, q.KafkaPartition, q.KafkaOffset) = (f.Topic, f.KafkaPartition, f.KafkaOffset)"
            f" FROM {_TABLES} WHERE {condition} ORDER BY q.QuarantineID FOR UPDATE"
        )
        return [
            ClosableRecord(
                quarantineID=quarantineID,
                state=QuarantineState(state),
                reason=reason,
                fileID=fileID,
                lfn=f"{directory}/{name}" if fileID is not None else "",
                fileState=FileState(fileState) if fileState else None,
                isOfName=bool(isSameName),
                isOfRow=speaksForFile(reason, bool(isSameName), bool(isSameMessage)),
            )
            for quarantineID, state, reason, fileID, directory, name, fileState, isSameName, isSameMessage in self.select(
                sql, tuple(args), conn
            )
        ]

    def _quarantineRecords(self, condition: str, args: Sequence[Any], withMessages: bool = True) -> list[QuarantineRecord]:
        payload = "q.Payload" if withMessages else "''"
        sql = (
            f"SELECT q.Type, q.FileName, q.Reason, q.Detail, q.Topic, q.KafkaPartition, q.KafkaOffset, {payload}, q.Checksum,"
            " q.SizeBytes, q.Time, q.QuarantineID, q.State, q.MessageKey, d.Directory, f.FileName, b.Block, q.ClosedTime,"
            f" q.ClosedBy, q.ClosedReason FROM {_TABLES} {condition}"
        )
        found = []
        for row in self.select(sql, tuple(args)):
            *message, payload, checksum, sizeBytes, time, quarantineID, state, key, directory, name, block, closed, by, why = row
            lfn = f"{directory}/{name}" if directory else ""
            message += [payload or b"", checksum, sizeBytes, rows.utc(time), quarantineID, state, key, lfn, block or ""]
            values = (*message, rows.utc(closed), by, why or "")
            found.append(QuarantineRecord(*values))
        return found


def quarantineCondition(
    typeName: str = "",
    code: str = "",
    block: str = "",
    fileName: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    states: Sequence[str] = _OPEN,
) -> tuple[str, tuple[Any, ...]]:
    """SQL over the Quarantine q, and Blocks b if a block is given; what is empty or None matches all.

    :param code: of the reason
    :param fileName: may have the wildcards ``*`` and ``?``
    :param since: the earliest time at which it was refused
    :param until: the time from which on it is left out
    """
    wanted: list[tuple[str, Any]] = [
        ("q.Type = %s", typeName),
        ("q.Reason = %s", code),
        ("b.Block = %s", block),
        ("q.FileName LIKE %s ESCAPE '|'", _likePattern(fileName)),
        ("q.Time >= %s", rows.utc(since)),
        ("q.Time < %s", rows.utc(until)),
    ]
    chosen = [(condition, value) for condition, value in wanted if value]
    conditions, args = ["TRUE", *(condition for condition, _ in chosen)], [value for _, value in chosen]
    if states:
        conditions.append(f"q.State IN ({rows.placeholders(len(states))})")
        args += states
    return " AND ".join(conditions), tuple(args)


def _fileChanges(
    records: Sequence[ClosableRecord], others: Iterable[ClosableRecord], newState: QuarantineState
) -> dict[int, FileState]:
    """New states of files by id.

    :raises CannotClose: if one of the records cannot be closed so
    """
    openBeside: dict[int | None, list[int]] = defaultdict(list)
    for other in others:
        if other.isOfRow:
            openBeside[other.fileID].append(other.quarantineID)
    changes: dict[int, FileState] = {}
    for record in records:
        changed = fileChange(record, newState, openBeside[record.fileID])
        if changed is not None and record.fileID is not None:
            changes[record.fileID] = changed
    return changes


def _likePattern(wildcards: str) -> str:
    """SQL's form of a pattern with ``*`` and ``?``."""
    for old, new in (("|", "||"), ("%", "|%"), ("_", "|_"), ("*", "%"), ("?", "_")):
        wildcards = wildcards.replace(old, new)
    return wildcards
