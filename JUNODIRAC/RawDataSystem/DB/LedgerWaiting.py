"""Announcements whose files the source storage does not show yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.FileState import TRANSITIONS, FileState
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Logic.Ports import Message, WaitingMessage
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerFiles import LedgerFiles, takeUp

_FILE_COLUMNS = (*rows.HELD_COLUMNS, "WaitingTime")
_MAY_WAIT = [state for state, following in TRANSITIONS.items() if FileState.WAITING in following]
_TAKEN_OVER = ("Reason", "Detail", "NextTime", "Attempts")


class LedgerWaiting(LedgerFiles):
    """Kept, asked again, forgotten."""

    def recordWaiting(self, items: Sequence[WaitingMessage]) -> None:
        """See :meth:`Ports.Ledger.recordWaiting`.

        :raises ValueError: for a file whose names the columns do not hold
        """
        unique = {item.message.position: item for item in items}
        files = [item.file for item in unique.values()]
        rows.checkStorable(files)
        directoryIDs = self._ensureDirectories(files)
        now = datetime.now(UTC)
        self._noteFiles(files, directoryIDs, now)
        first: dict[str, WaitingMessage] = {}
        for item in unique.values():
            first.setdefault(item.file.lfn, item)
        fileRows = [
            rows.heldFileRow(directoryIDs[item.file.directory], item, item.file, FileState.WAITING, now)
            for item in first.values()
        ]
        updates = [f"{column} = VALUES({column})" for column in _TAKEN_OVER]

        def work(conn: Any) -> None:
            self.upsert("Files", _FILE_COLUMNS, fileRows, takeUp(_FILE_COLUMNS, _MAY_WAIT), conn)
            fileIDs = {lfn: fileID for lfn, (fileID, _) in self._filePositions(first, directoryIDs, conn).items()}
            for chunk in rows.payloadChunks(list(unique.values())):
                values = [rows.waitingRow(item, fileIDs[item.file.lfn]) for item in chunk]
                self.upsert("Waiting", rows.WAITING_COLUMNS, values, updates, conn)

        self.inTransaction(work)

    def dueWaiting(self, topic: str, partitions: Sequence[int], now: datetime, limit: int) -> list[WaitingMessage]:
        """See :meth:`Ports.Ledger.dueWaiting`."""
        if not partitions:
            return []
        # the messages in a second step, so that the server does not carry them through its sorting
        sql = (
            "SELECT KafkaPartition, KafkaOffset FROM Waiting FORCE INDEX (Due)"
            f" WHERE Topic = %s AND KafkaPartition IN ({rows.placeholders(len(partitions))}) AND NextTime <= %s"
            " ORDER BY Since, KafkaPartition, KafkaOffset LIMIT %s"
        )
        due = self.select(sql, (topic, *partitions, rows.utc(now), limit))
        found: dict[rows.Position, WaitingMessage] = {}
        positions = [(topic, int(partition), int(offset)) for partition, offset in due]
        for chunk in rows.chunks(positions):
            found |= {item.message.position: item for item in self._readWaiting(chunk)}
        return [found[position] for position in positions if position in found]

    def endWaiting(self, positions: Sequence[tuple[str, int, int]]) -> None:
        """See :meth:`Ports.Ledger.endWaiting`."""
        for (topic, partition), offsets in rows.offsetsByPartition(positions).items():
            for chunk in rows.chunks(offsets):
                marks = rows.placeholders(len(chunk))
                sql = f"DELETE FROM Waiting WHERE Topic = %s AND KafkaPartition = %s AND KafkaOffset IN ({marks})"
                self.execute(sql, (topic, partition, *chunk))

    def _readWaiting(self, positions: Sequence[rows.Position]) -> list[WaitingMessage]:
        """Checksum and size are those of the file's row, which the first of its waiting messages made."""
        columns = (
            "w.Type", "w.Reason", "w.Detail", "w.Since", "w.NextTime", "w.Attempts", "f.Checksum", "f.SizeBytes",
            "d.Directory", "f.FileName", "b.Block",
        )  # fmt: skip
        fields = [f"f.{column}" for column in rows.FIELD_COLUMNS]
        found = []
        for (topic, partition), offsets in rows.offsetsByPartition(positions).items():
            sql = (
                f"SELECT w.KafkaOffset, w.Payload, w.MessageKey, {', '.join([*columns, *fields])}"
                " FROM Waiting w JOIN Files f ON f.FileID = w.FileID"
                " JOIN Directories d ON d.DirectoryID = f.DirectoryID JOIN Blocks b ON b.BlockID = d.BlockID"
                f" WHERE w.Topic = %s AND w.KafkaPartition = %s AND w.KafkaOffset IN ({rows.placeholders(len(offsets))})"
            )
            for offset, payload, key, *values in self.select(sql, (topic, partition, *offsets)):
                found.append(_waitingMessage(Message(topic, partition, offset, payload, key), values))
        return found


def _waitingMessage(message: Message, values: Sequence[Any]) -> WaitingMessage:
    typeName, reason, detail, since, nextTime, attempts, checksum, sizeBytes, directory, fileName, block, *fields = values
    known, detail = rows.reasonOf(reason, detail)
    return WaitingMessage(
        message=message,
        typeName=typeName,
        file=RawFile(typeName, directory, fileName, block, rows.fieldsOf(fields)),
        reason=known,
        detail=detail,
        checksum=checksum,
        sizeBytes=sizeBytes,
        since=rows.aware(since),
        nextTime=rows.aware(nextTime),
        attempts=attempts,
    )
