"""The ledger of raw data: one row for each file that was ever announced.

Bulk calls work in statements of a thousand rows. Every change of a file's state has the old state in its condition, so
that several receivers may write at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.FileState import FileState, IllegalTransition, checkTransition
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import LedgerEntry, QuarantinedMessage
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerReads import LedgerReads

BLOCK_KNOWN = "Known"
BLOCK_OPEN = "Open"


class LedgerMismatch(Exception):
    """The ledger has a directory under another block, or a block with another directory: the rules of a Type changed."""

    def __init__(self, typeName: str, block: str, directory: str) -> None:
        self.typeName, self.block, self.directory = typeName, block, directory
        super().__init__(
            f"block {block} of Type {typeName} cannot have the directory {directory}: the ledger has this block with another"
            " directory or this directory with another block; correct BlockRule, LFNRule or DirectoryPattern of the Type"
        )


class RawDataDB(LedgerReads):
    """Implements :class:`JUNODIRAC.Core.Logic.Ports.Ledger`, and what the service reads and journals."""

    def __init__(self, parentLogger: Any = None) -> None:
        super().__init__("RawDataDB", "RawData/RawDataDB", parentLogger=parentLogger)

    # ---- files

    def findFiles(self, files: Sequence[RawFile]) -> dict[str, LedgerEntry]:
        """See :meth:`Ports.Ledger.findFiles`."""
        byLFN = {file.lfn: file for file in files}
        found: dict[str, LedgerEntry] = {}
        for directory, directoryID, names in self._knownNames(byLFN):
            for chunk in rows.chunks(names):
                sql = (
                    f"SELECT FileName, {', '.join(rows.ENTRY_COLUMNS)} FROM Files FORCE INDEX (DirectoryFile)"
                    f" WHERE DirectoryID = %s AND FileName IN ({rows.placeholders(len(chunk))})"
                )
                for fileName, *values in self.select(sql, (directoryID, *chunk)):
                    lfn = f"{directory}/{fileName}"
                    found[lfn] = rows.entryOf(byLFN[lfn], values)
        return found

    def recordAnnounced(self, entries: Sequence[LedgerEntry]) -> None:
        """See :meth:`Ports.Ledger.recordAnnounced`.

        :raises LedgerMismatch: when a file's block and directory contradict the ledger; nothing is written
        :raises ValueError: for an entry that is not in state Announced
        """
        for entry in entries:
            if entry.state is not FileState.ANNOUNCED:
                raise ValueError(f"{entry.file.lfn} is recorded as announced but comes in state {entry.state}")
        directoryIDs = self._ensureDirectories([entry.file for entry in entries])
        now = datetime.now(UTC)
        values = [rows.announcedRow(directoryIDs[entry.file.directory], entry, now) for entry in entries]
        again = [column for column in rows.ANNOUNCED_COLUMNS if column not in ("DirectoryID", "FileName", "State")]
        # MySQL assigns from left to right: the state comes last, so that each IF still sees the old one
        updates = [f"{column} = IF(State = 'Quarantined', VALUES({column}), {column})" for column in (*again, "State")]
        self.inTransaction(lambda conn: self._upsert("Files", rows.ANNOUNCED_COLUMNS, values, updates, conn))

    def recordRegistered(self, lfns: Sequence[str]) -> None:
        """See :meth:`Ports.Ledger.recordRegistered`.

        :raises IllegalTransition: when one of the files is not announced or is quarantined; nothing is written
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

    def recordQuarantined(self, items: Sequence[QuarantinedMessage]) -> None:
        """See :meth:`Ports.Ledger.recordQuarantined`."""
        unique = {rows.positionOf(item): item for item in items}
        files = [item.file for item in unique.values() if item.file is not None and rows.storable(item.file)]
        directoryIDs = self._ensureDirectories(files, strict=False)
        now = datetime.now(UTC)

        def work(conn: Any) -> None:
            known = self._quarantinedPositions(unique, conn)
            new = [item for position, item in unique.items() if position not in known]
            # also of messages that are in quarantine: their repetition may have brought the row back to Announced
            fileIDs = self._quarantineFiles(list(unique.values()), directoryIDs, now, conn)
            for chunk in rows.payloadChunks(new):
                values = [rows.quarantineRow(item, fileIDs.get(item.file.lfn if item.file else ""), now) for item in chunk]
                self._upsert("Quarantine", rows.QUARANTINE_COLUMNS, values, ["QuarantineID = QuarantineID"], conn)

        self.inTransaction(work)

    def recordSizes(self, sizesBytes: Mapping[str, int]) -> None:
        """See :meth:`Ports.Ledger.recordSizes`. Files without a row are left out."""
        for directory, directoryID, names in self._knownNames(sizesBytes):
            # few rows in a statement, because the server walks through the CASE for each of them
            for chunk in rows.chunks(names, 200):
                cases = " ".join(["WHEN %s THEN %s"] * len(chunk))
                sql = (
                    f"UPDATE Files FORCE INDEX (DirectoryFile) SET SizeBytes = CASE FileName {cases} END"
                    f" WHERE DirectoryID = %s AND SizeBytes IS NULL AND FileName IN ({rows.placeholders(len(chunk))})"
                )
                pairs = [value for name in chunk for value in (name, sizesBytes[f"{directory}/{name}"])]
                self.execute(sql, (*pairs, directoryID, *chunk))

    # ---- blocks and journal

    def findBlock(self, typeName: str, name: str) -> Block | None:
        """See :meth:`Ports.Ledger.findBlock`. A block of which only files are known, but that was never opened, is None."""
        sql = "SELECT BlockID, Directory FROM Blocks WHERE Type = %s AND Block = %s AND State <> %s"
        found = self.select(sql, (typeName, name, BLOCK_KNOWN))
        if not found:
            return None
        blockID, directory = found[0]
        transfers = dict(self.select("SELECT SE, TransformationID FROM BlockTransfers WHERE BlockID = %s", (blockID,)))
        return Block(typeName, name, directory, transfers)

    def recordBlock(self, block: Block) -> None:
        """See :meth:`Ports.Ledger.recordBlock`.

        :raises LedgerMismatch: when the ledger has this block with another directory, or the other way round
        """
        key = (block.typeName, block.name)
        blockID = self._ensureBlocks([key])[key]
        now = datetime.now(UTC)
        transfers = [(blockID, se, transformationID, now) for se, transformationID in block.transfers.items()]

        def work(conn: Any) -> None:
            found = self.select("SELECT BlockID, Directory FROM Blocks WHERE BlockID = %s OR Directory = %s FOR UPDATE",
                                (blockID, block.directory), conn)  # fmt: skip
            if any(row not in ((blockID, None), (blockID, block.directory)) for row in found):
                raise LedgerMismatch(block.typeName, block.name, block.directory)
            sql = "UPDATE Blocks SET State = %s, OpenedTime = %s, Directory = %s WHERE BlockID = %s AND State = %s"
            self.execute(sql, (BLOCK_OPEN, now, block.directory, blockID, BLOCK_KNOWN), conn)
            columns = ("BlockID", "SE", "TransformationID", "CreatedTime")
            self._upsert("BlockTransfers", columns, transfers, ["TransformationID = VALUES(TransformationID)"], conn)

        self.inTransaction(work)

    def recordJournal(self, actor: str, group: str, action: str, objectName: str, reason: str) -> None:
        """Write down who changed what, and why."""
        sql = "INSERT INTO Journal (Time, Actor, ActorGroup, Action, Object, Reason) VALUES (%s, %s, %s, %s, %s, %s)"
        texts = (rows.text(actor, 128), rows.text(group, 128), rows.text(action, 64), rows.text(objectName, 512))
        self.execute(sql, (datetime.now(UTC), *texts, rows.text(reason)))

    # ---- steps

    def _upsert(
        self, table: str, columns: Sequence[str], values: Iterable[tuple[Any, ...]], updates: Sequence[str], conn: Any
    ) -> None:
        """Insert rows; where the key exists, apply the assignments instead.

        Not INSERT IGNORE, which would also cut what is too long without a word. In the order of the key, so that two
        writers of the same rows wait for each other instead of locking each other out.
        """
        rowSQL = f"({rows.placeholders(len(columns))})"
        for chunk in rows.chunks(sorted(values, key=lambda row: row[:3])):
            sql = (
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([rowSQL] * len(chunk))}"
                f" ON DUPLICATE KEY UPDATE {', '.join(updates)}"
            )
            self.execute(sql, [value for row in chunk for value in row], conn)

    def _registerChunk(self, directory: str, directoryID: int, names: Sequence[str], now: datetime, conn: Any) -> None:
        condition = f"DirectoryID = %s AND FileName IN ({rows.placeholders(len(names))})"
        sql = (
            "UPDATE Files FORCE INDEX (DirectoryFile) SET State = 'Registered', RegisteredTime = %s"
            f" WHERE State = 'Announced' AND {condition}"
        )
        if self.execute(sql, (now, directoryID, *names), conn) == len(names):
            return
        sql = f"SELECT FileName, State FROM Files FORCE INDEX (DirectoryFile) WHERE {condition} FOR UPDATE"
        states = {name: FileState(state) for name, state in self.select(sql, (directoryID, *names), conn)}
        for name in names:
            if states.get(name) is not FileState.REGISTERED:
                checkTransition(f"{directory}/{name}", states.get(name), FileState.REGISTERED)

    def _ensureDirectories(self, files: Iterable[RawFile], strict: bool = True) -> dict[str, int]:
        """Directory ids; a directory without a row gets one, and its block one in state Known.

        :param strict: whether a directory that the ledger has under another block is an error; otherwise it is left out
        """
        wanted: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for file in files:
            wanted[file.directory].add((file.typeName, file.block))
        found = self._knownDirectories(wanted)
        missing = sorted(directory for directory in wanted if directory not in found)
        if missing:
            blockIDs = self._ensureBlocks(sorted({min(wanted[directory]) for directory in missing}))
            now = datetime.now(UTC)
            values = [(blockIDs[min(wanted[directory])], directory, now) for directory in missing]
            columns = ("BlockID", "Directory", "CreatedTime")
            self.inTransaction(lambda conn: self._upsert("Directories", columns, values, ["DirectoryID = DirectoryID"], conn))
            found = self._knownDirectories(wanted)
        for directory, blocks in wanted.items():
            others = blocks - {found[directory][1:]}
            if others and strict:
                raise LedgerMismatch(*min(others), directory)
            if others:
                del found[directory]
        return {directory: directoryID for directory, (directoryID, _, _) in found.items()}

    def _ensureBlocks(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Block ids by (Type, Block); a block without a row gets one in state Known."""
        found = self._knownBlocks(keys)
        missing = [key for key in keys if key not in found]
        if missing:
            now = datetime.now(UTC)
            values = [(*key, BLOCK_KNOWN, now) for key in missing]
            columns = ("Type", "Block", "State", "CreatedTime")
            self.inTransaction(lambda conn: self._upsert("Blocks", columns, values, ["BlockID = BlockID"], conn))
            found = self._knownBlocks(keys)
        return found

    def _quarantinedPositions(self, positions: Iterable[tuple[str, int, int]], conn: Any) -> set[tuple[str, int, int]]:
        """Those of the Kafka positions that are in quarantine already."""
        offsets: dict[tuple[str, int], list[int]] = defaultdict(list)
        for topic, partition, offset in positions:
            offsets[topic, partition].append(offset)
        found: set[tuple[str, int, int]] = set()
        for (topic, partition), wanted in offsets.items():
            for chunk in rows.chunks(wanted):
                sql = (
                    "SELECT KafkaOffset FROM Quarantine WHERE Topic = %s AND KafkaPartition = %s"
                    f" AND KafkaOffset IN ({rows.placeholders(len(chunk))})"
                )
                found.update((topic, partition, offset) for (offset,) in self.select(sql, (topic, partition, *chunk), conn))
        return found

    def _quarantineFiles(
        self, items: Sequence[QuarantinedMessage], directoryIDs: Mapping[str, int], now: datetime, conn: Any
    ) -> dict[str, int]:
        """Put the files of these announcements into quarantine, unless they are registered.

        :returns: file id by LFN
        """
        # a Conflict contradicts a row that is there, whose own announcement may still be on its way: it is left alone
        demote = [
            "QuarantinedTime = IF(State = 'Announced', VALUES(QuarantinedTime), QuarantinedTime)",
            "State = IF(State = 'Announced', 'Quarantined', State)",
        ]
        columns = (*rows.ANNOUNCED_COLUMNS, "QuarantinedTime")
        named: dict[str, QuarantinedMessage] = {}
        for isConflict, updates in ((False, demote), (True, ["FileID = FileID"])):
            chosen: dict[str, QuarantinedMessage] = {}
            for item in items:
                file = item.file
                if file is None or file.directory not in directoryIDs or not rows.storable(file):
                    continue
                if (item.reason is Reason.CONFLICT) == isConflict:
                    chosen.setdefault(file.lfn, item)
            values = [rows.quarantinedFileRow(directoryIDs[rows.splitLFN(lfn)[0]], item, now) for lfn, item in chosen.items()]
            self._upsert("Files", columns, values, updates, conn)
            named |= chosen
        return self._fileIDs(named, directoryIDs, conn)

    def _fileIDs(self, lfns: Iterable[str], directoryIDs: Mapping[str, int], conn: Any) -> dict[str, int]:
        """Ids of these files, which have rows."""
        fileIDs: dict[str, int] = {}
        for directory, directoryID, names in rows.groupNames(lfns, directoryIDs):
            for chunk in rows.chunks(names):
                # a locking read, because a plain one would not see what another receiver wrote since our first one
                sql = (
                    "SELECT FileName, FileID FROM Files FORCE INDEX (DirectoryFile)"
                    f" WHERE DirectoryID = %s AND FileName IN ({rows.placeholders(len(chunk))}) FOR UPDATE"
                )
                for name, fileID in self.select(sql, (directoryID, *chunk), conn):
                    fileIDs[f"{directory}/{name}"] = fileID
        return fileIDs
