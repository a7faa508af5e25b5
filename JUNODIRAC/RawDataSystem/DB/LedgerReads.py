"""What the service shows of blocks and files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from JUNODIRAC.Core.Domain.BlockStatus import LedgerBlock
from JUNODIRAC.Core.Domain.FileHistory import LedgerFile, QuarantineRecord
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerQuarantineDesk import LedgerQuarantineDesk

_FILE_COLUMNS = (
    "FileID", "State", "SizeBytes", "Checksum", "EventCount", *rows.FIELD_COLUMNS, "Extra", "Topic", "KafkaPartition",
    "KafkaOffset", "AnnouncedTime", "RegisteredTime", "QuarantinedTime", "WaitingTime",
)  # fmt: skip
_MAX_QUARANTINE_RECORDS = 100


class LedgerReads(LedgerQuarantineDesk):
    """Queries; nothing here changes the ledger."""

    def countBlocks(self, blockName: str = "", typeName: str = "") -> int:
        """How many blocks match; an empty name matches all."""
        where, args = _blockCondition(blockName, typeName)
        return int(self.select(f"SELECT COUNT(*) FROM Blocks b {where}", args)[0][0])

    def readBlocks(self, blockName: str = "", typeName: str = "", limit: int = 200) -> list[LedgerBlock]:
        """The blocks that match, the newest ``limit`` of them, oldest first, with their counts and transfers."""
        where, args = _blockCondition(blockName, typeName)
        sql = f"SELECT BlockID, Type, Block, Directory, State, OpenedTime FROM Blocks b {where} ORDER BY BlockID DESC LIMIT %s"
        found = self.select(sql, (*args, limit))
        blockIDs = [row[0] for row in found]
        counts = self._countFiles(blockIDs)
        transfers = self._readTransfers(blockIDs)
        waived = self._waivedFiles([blockID for blockID in blockIDs if FileState.WAIVED in counts[blockID]])
        late = self._lateFiles(blockIDs)
        lives = {life.blockID: life for life in self.readLivingBlocksByID(sorted(blockIDs))}
        return [
            LedgerBlock(
                typeName=typeName,
                name=name,
                directory=directory or "",
                state=state,
                openedTime=rows.utc(openedTime),
                fileCounts={fileState: count for fileState, (count, _) in counts[blockID].items()},
                sizeBytes={fileState: size for fileState, (_, size) in counts[blockID].items()},
                transfers=transfers[blockID],
                waivedFiles=waived[blockID],
                ownLateFiles=late[blockID].own,
                othersFiles=late[blockID].others,
                life=lives.get(blockID),
            )
            for blockID, typeName, name, directory, state, openedTime in reversed(found)
        ]

    def readDirectories(self, typeName: str, blockName: str) -> list[str]:
        """The directories in which the files of a block lie."""
        sql = (
            "SELECT d.Directory FROM Directories d JOIN Blocks b ON b.BlockID = d.BlockID WHERE b.Type = %s AND b.Block = %s"
            " UNION SELECT d.Directory FROM Blocks b JOIN LateFiles l ON l.BlockID = b.BlockID"
            " JOIN Files f ON f.FileID = l.FileID JOIN Directories d ON d.DirectoryID = f.DirectoryID"
            " WHERE b.Type = %s AND b.Block = %s ORDER BY Directory"
        )
        return [directory for (directory,) in self.select(sql, (typeName, blockName) * 2)]

    def readRegistered(self, typeName: str, blockName: str) -> list[str]:
        """LFNs of the registered files of a block."""
        found = self.select("SELECT BlockID FROM Blocks WHERE Type = %s AND Block = %s", (typeName, blockName))
        columns, condition = "d.Directory, f.FileName", "f.State = 'Registered'"
        files = self._filesOf([blockID for (blockID,) in found], columns, condition)
        return [f"{directory}/{name}" for _, directory, name in files]

    def readFile(self, lfn: str) -> LedgerFile | None:
        """One file with its refused announcements, or None if no announcement ever led to this LFN."""
        directory, fileName = rows.splitLFN(lfn)
        sql = (
            f"SELECT b.Type, b.Block, b.BlockID, {', '.join(f'f.{column}' for column in _FILE_COLUMNS)}"
            " FROM Directories d JOIN Files f ON f.DirectoryID = d.DirectoryID LEFT JOIN LateFiles l ON l.FileID = f.FileID"
            " JOIN Blocks b ON b.BlockID = COALESCE(l.BlockID, d.BlockID) WHERE d.Directory = %s AND f.FileName = %s"
        )
        found = self.select(sql, (directory, fileName))
        if not found:
            return None
        typeName, block, blockID, *values = found[0]
        row = dict(zip(_FILE_COLUMNS, values, strict=True))
        return LedgerFile(
            lfn=lfn,
            typeName=typeName,
            block=block,
            state=FileState(row["State"]),
            sizeBytes=row["SizeBytes"],
            checksum=row["Checksum"],
            eventCount=row["EventCount"],
            fields={column: str(row[column]) for column in rows.FIELD_COLUMNS if row[column] is not None},
            topic=row["Topic"],
            partition=row["KafkaPartition"],
            offset=row["KafkaOffset"],
            announcedTime=rows.utc(row["AnnouncedTime"]),
            registeredTime=rows.utc(row["RegisteredTime"]),
            transfers=self._readTransfers([blockID])[blockID],
            quarantine=self._lastQuarantined("q.FileID = %s", row["FileID"]),
            waitingTime=rows.utc(row["WaitingTime"]),
        )

    def readQuarantineByName(self, fileName: str) -> tuple[QuarantineRecord, ...]:
        """Refused announcements of a file name of which no LFN could be made."""
        return self._lastQuarantined("q.FileID IS NULL AND q.FileName = %s", rows.text(fileName, rows.MAX_NAME_CHARS))

    # ---- steps

    def _lastQuarantined(self, condition: str, value: Any) -> tuple[QuarantineRecord, ...]:
        found = self._quarantineRecords(
            f"WHERE {condition} ORDER BY q.QuarantineID DESC LIMIT %s", (value, _MAX_QUARANTINE_RECORDS)
        )
        return tuple(reversed(found))

    def _readTransfers(self, blockIDs: Sequence[int]) -> dict[int, dict[str, int]]:
        """Transformation id by block and SE."""
        transfers: dict[int, dict[str, int]] = defaultdict(dict)
        for chunk in rows.chunks(blockIDs):
            sql = f"SELECT BlockID, SE, TransformationID FROM BlockTransfers WHERE BlockID IN ({rows.placeholders(len(chunk))})"
            for blockID, se, transformationID in self.select(sql, chunk):
                transfers[blockID][se] = transformationID
        return transfers


def _blockCondition(blockName: str, typeName: str) -> tuple[str, tuple[str, ...]]:
    wanted = [(column, value) for column, value in (("b.Block", blockName), ("b.Type", typeName)) if value]
    if not wanted:
        return "", ()
    return "WHERE " + " AND ".join(f"{column} = %s" for column, _ in wanted), tuple(value for _, value in wanted)
