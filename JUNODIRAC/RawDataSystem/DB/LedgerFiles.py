"""The files of the ledger: found, announced, registered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.FileState import OPEN_TO_ANNOUNCEMENTS, FileState, IllegalTransition, checkTransition
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Logic.Ports import LedgerEntry
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerLateFiles import LedgerLateFiles

# A row of which the name differs in case is another file's: it is never taken for the one that is written.
_SAME_NAME = "BINARY FileName = BINARY VALUES(FileName)"


def takeUp(columns: Iterable[str], states: Iterable[FileState | None]) -> list[str]:
    """Assignments of an upsert by which a row in one of these states gets all the new values.

    MySQL assigns from left to right: the state comes last, so that each IF still sees the old one.
    """
    old = ", ".join(f"'{state.value}'" for state in sorted(filter(None, states)))
    values = [column for column in columns if column not in ("DirectoryID", "FileName", "State")]
    return [f"{column} = IF(State IN ({old}) AND {_SAME_NAME}, VALUES({column}), {column})" for column in (*values, "State")]


class LedgerFiles(LedgerLateFiles):
    """Every change of a file's state has the old state in its condition, so that several receivers may write at once."""

    def findFiles(self, files: Sequence[RawFile]) -> dict[str, LedgerEntry]:
        """See :meth:`Ports.Ledger.findFiles`."""
        byLFN = {file.lfn: file for file in files if rows.storable(file)}
        found: dict[str, LedgerEntry] = {}
        for directory, directoryID, names in self._knownNames(byLFN):
            asked: dict[str, list[str]] = defaultdict(list)
            for name in names:
                asked[name.lower()].append(name)
            for chunk in rows.chunks(names):
                sql = (
                    f"SELECT f.FileName, b.Block, {', '.join(f'f.{column}' for column in rows.ENTRY_COLUMNS)}"
                    " FROM Files f FORCE INDEX (DirectoryFile) LEFT JOIN LateFiles l ON l.FileID = f.FileID"
                    " LEFT JOIN Blocks b ON b.BlockID = l.BlockID"
                    f" WHERE f.DirectoryID = %s AND f.FileName IN ({rows.placeholders(len(chunk))})"
                )
                for fileName, followUp, *values in self.select(sql, (directoryID, *chunk)):
                    for name in asked[fileName.lower()]:
                        file = byLFN[f"{directory}/{name}"]
                        own = file if name == fileName else replace(file, fileName=fileName)
                        found[file.lfn] = rows.entryOf(own, values, followUp or "")
        return found

    def recordAnnounced(self, entries: Sequence[LedgerEntry]) -> None:
        """See :meth:`Ports.Ledger.recordAnnounced`.

        :raises ValueError: for an entry that is not in state Announced, or whose names the columns do not hold
        """
        for entry in entries:
            if entry.state is not FileState.ANNOUNCED:
                raise ValueError(f"{entry.file.lfn} is recorded as announced but comes in state {entry.state}")
        files = [entry.file for entry in entries]
        rows.checkStorable(files)
        directoryIDs = self._ensureDirectories(files)
        now = datetime.now(UTC)
        self._noteFiles(files, directoryIDs, now)
        values = [rows.announcedRow(directoryIDs[entry.file.directory], entry, now) for entry in entries]
        updates = takeUp(rows.ANNOUNCED_COLUMNS, OPEN_TO_ANNOUNCEMENTS)
        followUpIDs = self._ensureFollowUps(entries)

        def work(conn: Any) -> None:
            isTakenUp = bool(self.upsert("Files", rows.ANNOUNCED_COLUMNS, values, updates, conn))
            if isTakenUp or followUpIDs:
                fileIDs = self._writtenRows(entries, directoryIDs, conn)
                if isTakenUp:
                    self._closeAnswered(list(fileIDs), now, conn)
                self._assignBlocks(fileIDs, followUpIDs, conn)

        self.inTransaction(work)

    def recordRegistered(self, lfns: Sequence[str]) -> None:
        """See :meth:`Ports.Ledger.recordRegistered`.

        :raises IllegalTransition: when one of the files is neither announced nor registered; nothing is written
        """
        known = self._knownNames(lfns)
        directories = {directory for directory, _, _ in known}
        for lfn in lfns:
            if rows.splitLFN(lfn)[0] not in directories:
                raise IllegalTransition(lfn, None, FileState.REGISTERED)
        now = datetime.now(UTC)

        def work(conn: Any) -> None:
            for directory, directoryID, names in known:
                for chunk in rows.chunks(names):
                    self._registerChunk(directory, directoryID, chunk, now, conn)

        self.inTransaction(work)

    def recordSizes(self, sizesBytes: Mapping[str, int]) -> None:
        """See :meth:`Ports.Ledger.recordSizes`. Files without a row are left out."""
        for directory, directoryID, names in self._knownNames(sizesBytes):
            # few rows in a statement, because the server walks through the CASE for each of them
            for chunk in rows.chunks(names, 200):
                cases = " ".join(["WHEN %s THEN %s"] * len(chunk))
                sql = (
                    f"UPDATE Files FORCE INDEX (DirectoryFile) SET SizeBytes = CASE BINARY FileName {cases} ELSE SizeBytes END"
                    f" WHERE DirectoryID = %s AND SizeBytes IS NULL AND FileName IN ({rows.placeholders(len(chunk))})"
                )
                pairs = [value for name in chunk for value in (name, sizesBytes[f"{directory}/{name}"])]
                self.execute(sql, (*pairs, directoryID, *chunk))

    # ---- steps

    def _registerChunk(self, directory: str, directoryID: int, names: Sequence[str], now: datetime, conn: Any) -> None:
        marks = rows.placeholders(len(names))
        condition = f"DirectoryID = %s AND FileName IN ({marks})"
        sql = (
            "UPDATE Files FORCE INDEX (DirectoryFile) SET State = 'Registered', RegisteredTime = %s"
            f" WHERE State = 'Announced' AND {condition} AND BINARY FileName IN ({marks})"
        )
        if self.execute(sql, (now, directoryID, *names, *names), conn) == len(names):
            return
        sql = f"SELECT FileName, State FROM Files FORCE INDEX (DirectoryFile) WHERE {condition} FOR UPDATE"
        states = {name: FileState(state) for name, state in self.select(sql, (directoryID, *names), conn)}
        for name in names:
            if states.get(name) is not FileState.REGISTERED:
                checkTransition(f"{directory}/{name}", states.get(name), FileState.REGISTERED)

    def _writtenRows(self, entries: Sequence[LedgerEntry], directoryIDs: Mapping[str, int], conn: Any) -> dict[int, LedgerEntry]:
        """The rows, by id, that stand for these announcements now."""
        byLFN = {entry.file.lfn: entry for entry in entries}
        positions = self._filePositions(byLFN, directoryIDs, conn)
        return {fileID: byLFN[lfn] for lfn, (fileID, position) in positions.items() if position == byLFN[lfn].position}

    def _closeAnswered(self, fileIDs: Sequence[int], now: datetime, conn: Any) -> None:
        """Open quarantine records of files that were announced again become Retried.

        A Conflict asks a person which of two contents is right; that the file is announced again does not answer it.
        """
        for chunk in rows.chunks(fileIDs):
            sql = (
                "UPDATE Quarantine q JOIN Files f ON f.FileID = q.FileID SET q.State = 'Retried', q.ClosedTime = %s,"
                " q.ClosedBy = CONCAT(f.Topic, '/', f.KafkaPartition, '/', f.KafkaOffset)"
                " WHERE q.State = 'Open' AND q.Reason <> 'Conflict' AND BINARY f.FileName = BINARY q.FileName"
                f" AND q.FileID IN ({rows.placeholders(len(chunk))})"
            )
            self.execute(sql, (now, *chunk), conn)

    def _filePositions(
        self, lfns: Iterable[str], directoryIDs: Mapping[str, int], conn: Any
    ) -> dict[str, tuple[int, rows.Position]]:
        """Ids of the rows that these files have, also under a name that differs in case, and the messages they stand for."""
        found: dict[str, tuple[int, rows.Position]] = {}
        for directory, directoryID, names in rows.groupNames(lfns, directoryIDs):
            asked: dict[str, list[str]] = defaultdict(list)
            for name in names:
                asked[name.lower()].append(name)
            for chunk in rows.chunks(names):
                # a locking read, because a plain one would not see what another receiver wrote since our first one
                sql = (
                    "SELECT FileName, FileID, Topic, KafkaPartition, KafkaOffset FROM Files FORCE INDEX (DirectoryFile)"
                    f" WHERE DirectoryID = %s AND FileName IN ({rows.placeholders(len(chunk))}) FOR UPDATE"
                )
                for fileName, fileID, *position in self.select(sql, (directoryID, *chunk), conn):
                    for name in asked[fileName.lower()]:
                        found[f"{directory}/{name}"] = (fileID, tuple(position))
        return found
