"""Announcements that were refused, as the receiver records them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import QuarantinedMessage
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerFiles import takeUp
from JUNODIRAC.RawDataSystem.DB.LedgerWaiting import LedgerWaiting

_FILE_COLUMNS = (*rows.HELD_COLUMNS, "QuarantinedTime")
# what a row takes over that stood for a good announcement: not its content, which the refused message may contradict
_DEMOTED_COLUMNS = ("Topic", "KafkaPartition", "KafkaOffset", "QuarantinedTime")


class LedgerQuarantine(LedgerWaiting):
    """Each message byte for byte, with its reason."""

    def findQuarantined(self, positions: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int, int], tuple[Reason, str]]:
        """See :meth:`Ports.Ledger.findQuarantined`."""
        found = self._quarantined(positions, "Reason, Detail")
        return {position: rows.reasonOf(code, detail) for position, (code, detail) in found.items()}

    def recordQuarantined(self, items: Sequence[QuarantinedMessage]) -> None:
        """See :meth:`Ports.Ledger.recordQuarantined`."""
        unique: dict[rows.Position, QuarantinedMessage] = {}
        for item in items:
            unique.setdefault(item.message.position, item)
        files = [item.file for item in unique.values() if item.file is not None and rows.storable(item.file)]
        directoryIDs = self._ensureDirectories(files, strict=False)
        now = datetime.now(UTC)
        self._noteFiles([file for file in files if file.directory in directoryIDs], directoryIDs, now)

        def work(conn: Any) -> None:
            known = self._quarantined(unique, "QuarantineID", conn)
            # also of messages that are in quarantine: their repetition may have brought the row back to Announced
            fileIDs = self._quarantineFiles(list(unique.values()), directoryIDs, now, conn)
            new = [item for position, item in unique.items() if position not in known]
            for chunk in rows.payloadChunks(new):
                values = [rows.quarantineRow(item, fileIDs.get(item.file.lfn if item.file else ""), now) for item in chunk]
                self.upsert("Quarantine", rows.QUARANTINE_COLUMNS, values, ["QuarantineID = QuarantineID"], conn)
            self._openAgain(known, conn)

        self.inTransaction(work)

    # ---- steps

    def _quarantined(
        self, positions: Iterable[rows.Position], columns: str, conn: Any = None
    ) -> dict[rows.Position, tuple[Any, ...]]:
        """These columns of those messages that are in quarantine."""
        found: dict[rows.Position, tuple[Any, ...]] = {}
        for (topic, partition), offsets in rows.offsetsByPartition(positions).items():
            for chunk in rows.chunks(offsets):
                sql = (
                    f"SELECT KafkaOffset, {columns} FROM Quarantine FORCE INDEX (Message) WHERE Topic = %s"
                    f" AND KafkaPartition = %s AND KafkaOffset IN ({rows.placeholders(len(chunk))})"
                )
                for offset, *values in self.select(sql, (topic, partition, *chunk), conn):
                    found[topic, partition, offset] = tuple(values)
        return found

    def _openAgain(self, positions: Iterable[rows.Position], conn: Any) -> None:
        for (topic, partition), offsets in rows.offsetsByPartition(positions).items():
            for chunk in rows.chunks(offsets):
                sql = (
                    "UPDATE Quarantine SET State = 'Open', ClosedTime = NULL, ClosedBy = '', ClosedReason = NULL"
                    " WHERE State = 'Retried'"
                    f" AND Topic = %s AND KafkaPartition = %s AND KafkaOffset IN ({rows.placeholders(len(chunk))})"
                )
                self.execute(sql, (topic, partition, *chunk), conn)

    def _quarantineFiles(
        self, items: Sequence[QuarantinedMessage], directoryIDs: Mapping[str, int], now: datetime, conn: Any
    ) -> dict[str, int]:
        """Put the files of these announcements into quarantine, unless they are registered or a person decided on them.

        :returns: file id by LFN
        """
        named: dict[str, RawFile] = {}
        # a Conflict contradicts a row whose own announcement is on its way: an Announced one is left alone
        for isConflict, demoted in ((False, (FileState.ANNOUNCED, FileState.WAITING)), (True, (FileState.WAITING,))):
            chosen: dict[str, tuple[Any, ...]] = {}
            for item in items:
                file = item.file
                if file is None or file.directory not in directoryIDs or not rows.storable(file):
                    continue
                if (item.reason is Reason.CONFLICT) == isConflict and file.lfn not in chosen:
                    directoryID = directoryIDs[file.directory]
                    chosen[file.lfn] = rows.heldFileRow(directoryID, item, file, FileState.QUARANTINED, now)
                    named[file.lfn] = file
            self.upsert("Files", _FILE_COLUMNS, chosen.values(), takeUp((*_DEMOTED_COLUMNS, "State"), demoted), conn)
        return {lfn: fileID for lfn, (fileID, _) in self._filePositions(named, directoryIDs, conn).items()}
