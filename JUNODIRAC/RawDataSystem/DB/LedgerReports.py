"""What a report of a block needs of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from JUNODIRAC.Core.Domain.BlockReport import ReportedBlock, ReportedSite, UnregisteredFile
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerValidations import LedgerValidations

_BLOCK_SQL = "SELECT b.Type, b.Block FROM Blocks b LEFT JOIN Blocks p ON p.BlockID = b.ParentID WHERE ({condition})"


class LedgerReports(LedgerValidations):
    """Queries; nothing here changes the ledger."""

    def blocksByName(self, names: Sequence[str], typeName: str = "") -> list[tuple[str, str]]:
        """Type and name of these blocks and of their follow-up blocks, in order."""
        marks = rows.placeholders(len(names))
        return self._blocksWhere(f"b.Block IN ({marks}) OR p.Block IN ({marks})", (*names, *names), typeName)

    def blocksInRange(self, first: str, last: str, typeName: str = "") -> list[tuple[str, str]]:
        """Type and name of the blocks from the first to the last name, and of their follow-up blocks, in order."""
        condition = "(b.Block >= %s AND b.Block <= %s) OR (p.Block >= %s AND p.Block <= %s)"
        return self._blocksWhere(condition, (first, last) * 2, typeName)

    def reportedBlock(self, typeName: str, name: str) -> ReportedBlock | None:
        """A block with the names of all its files, or None if no file of it was ever announced."""
        sql = (
            "SELECT b.BlockID, b.State, b.ExpectedFiles, b.Problem, p.Block FROM Blocks b"
            " LEFT JOIN Blocks p ON p.BlockID = b.ParentID WHERE b.Type = %s AND b.Block = %s"
        )
        found = self.select(sql, (typeName, name))
        if not found:
            return None
        blockID, state, expectedFiles, problem, parent = found[0]
        files = self.blockFiles(blockID)
        return ReportedBlock(
            blockID=blockID,
            typeName=typeName,
            name=name,
            state=state,
            parent=parent or "",
            problem=problem or "",
            directories=files.directories,
            expectedFiles=expectedFiles,
            registered={lfn: file.sizeBytes for lfn, file in files.declared.items()},
            unregistered=self._unregistered(blockID),
            sites=self._reportedSites(blockID),
        )

    def _blocksWhere(self, condition: str, args: Sequence[str], typeName: str) -> list[tuple[str, str]]:
        sql = _BLOCK_SQL.format(condition=condition) + (" AND b.Type = %s" if typeName else "") + " ORDER BY b.Block, b.Type"
        return [(found, block) for found, block in self.select(sql, (*args, typeName) if typeName else args)]

    def _reportedSites(self, blockID: int) -> list[ReportedSite]:
        newest = self.newestValidations([blockID], withNames=True)
        sql = "SELECT SE, State, Problem FROM BlockTransfers WHERE BlockID = %s ORDER BY SE"
        return [
            ReportedSite(se, state, problem or "", newest.get((blockID, se)))
            for se, state, problem in self.select(sql, (blockID,))
        ]

    def _unregistered(self, blockID: int) -> list[UnregisteredFile]:
        columns = "f.FileID, d.Directory, f.FileName, f.State, f.SizeBytes"
        found = sorted(self._filesOf([blockID], columns, "f.State <> 'Registered'"), key=lambda row: row[2:4])
        reasons: dict[int, tuple[str, str]] = {}
        for chunk in rows.chunks([row[1] for row in found]):
            marks = rows.placeholders(len(chunk))
            sql = f"SELECT FileID, Reason, Detail FROM Quarantine WHERE FileID IN ({marks}) ORDER BY QuarantineID"
            reasons.update((fileID, (code, detail)) for fileID, code, detail in self.select(sql, chunk))
            sql = f"SELECT FileID, Reason, Detail FROM Waiting WHERE FileID IN ({marks})"
            reasons.update((fileID, (code, detail)) for fileID, code, detail in self.select(sql, chunk))
        return [
            UnregisteredFile(f"{directory}/{name}", FileState(state), sizeBytes, *reasons.get(fileID, ("", "")))
            for _, fileID, directory, name, state, sizeBytes in found
        ]
