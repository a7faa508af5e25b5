"""Datasets over the blocks of a Type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.Dataset import Dataset, DatasetBlock, FileFacts
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection

_COLUMNS = (
    "DatasetID", "Name", "Path", "Type", "FirstBlock", "LastBlock", "CreatedTime", "CreatedBy", "FrozenTime", "FrozenBy",
    "ContentHash", "Files", "SizeBytes",
)  # fmt: skip
# a follow-up block has no place of its own in a range: its files lie in its parent's directory
_BLOCKS = (
    " FROM Blocks b LEFT JOIN Blocks p ON p.BlockID = b.ParentID"
    " WHERE b.Type = %s AND COALESCE(p.Block, b.Block) >= %s AND COALESCE(p.Block, b.Block) <= %s"
)
#: packed files of a directory, see Core.Domain.Dataset.pack
Part = tuple[str, bytes]


class LedgerDatasets(LedgerConnection):
    """Datasets, and the files of frozen ones. Every method may raise TemporaryFailure."""

    def addDataset(self, dataset: Dataset) -> bool:
        """:returns: False, with nothing written, if there is one of this name"""
        sql = (
            "INSERT IGNORE INTO Datasets (Name, Path, Type, FirstBlock, LastBlock, CreatedTime, CreatedBy)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)"
        )
        values = (dataset.name, dataset.path, dataset.typeName, dataset.firstBlock, dataset.lastBlock)
        return self.execute(sql, (*values, datetime.now(UTC), rows.text(dataset.createdBy, 128))) == 1

    def readDatasets(self, name: str = "", typeName: str = "") -> list[Dataset]:
        """By name; an empty name matches all."""
        sql = f"SELECT {', '.join(_COLUMNS)} FROM Datasets WHERE %s IN ('', Name) AND %s IN ('', Type) ORDER BY Name"
        return [_dataset(row) for row in self.select(sql, (name, typeName))]

    def datasetBlocks(self, typeName: str, first: str, last: str) -> list[DatasetBlock]:
        """The blocks of a range with their follow-up blocks, and the registered files in their directories."""
        args = (typeName, first, last)
        found = self.select(f"SELECT b.BlockID, b.Block, b.State, p.Block {_BLOCKS}", args)
        counts: dict[int, tuple[int, int]] = {}
        for chunk in rows.chunks([row[0] for row in found]):
            sql = (
                "SELECT d.BlockID, COUNT(*), COALESCE(SUM(f.SizeBytes), 0)"
                " FROM Directories d JOIN Files f FORCE INDEX (DirectoryState) ON f.DirectoryID = d.DirectoryID"
                f" WHERE d.BlockID IN ({rows.placeholders(len(chunk))}) AND f.State = 'Registered' GROUP BY d.BlockID"
            )
            counts |= {blockID: (files, int(sizeBytes)) for blockID, files, sizeBytes in self.select(sql, chunk)}
        blocks = [DatasetBlock(name, state, parent or "", *counts.get(blockID, (0, 0))) for blockID, name, state, parent in found]
        return sorted(blocks, key=lambda block: (block.parent or block.name, block.name))

    def datasetDirectories(self, typeName: str, first: str, last: str) -> list[str]:
        """The directories of the blocks of a range."""
        sql = (
            "SELECT d.Directory FROM Directories d JOIN Blocks b ON b.BlockID = d.BlockID"
            " WHERE b.Type = %s AND b.Block >= %s AND b.Block <= %s"
        )
        return [directory for (directory,) in self.select(sql, (typeName, first, last))]

    def registeredFiles(self, directories: Sequence[str], conn: Any = None) -> dict[str, FileFacts]:
        """Size and checksum of the registered files of some directories, by LFN."""
        content = {}
        sql = (
            "SELECT f.FileName, f.SizeBytes, f.Checksum FROM Directories d JOIN Files f ON f.DirectoryID = d.DirectoryID"
            " WHERE d.Directory = %s AND f.State = 'Registered'"
        )
        for directory in directories:
            for name, sizeBytes, checksum in self.select(sql, (directory,), conn):
                content[f"{directory}/{name}"] = (int(sizeBytes or 0), checksum)
        return content

    def freezeDataset(
        self, datasetID: int, frozenBy: str, parts: Callable[[Any], Iterable[Part]], summary: Callable[[], tuple[str, int, int]]
    ) -> bool:
        """Write down the content of a dataset, all of it or nothing.

        :param parts: gives the parts, reading over the connection that it gets; it may be called again
        :param summary: gives hash, files and bytes when all parts were taken
        :returns: False if it is frozen already
        """

        def work(conn: Any) -> bool:
            sql = "SELECT FrozenTime FROM Datasets WHERE DatasetID = %s FOR UPDATE"
            if self.select(sql, (datasetID,), conn) != ((None,),):
                return False
            self.execute("DELETE FROM DatasetParts WHERE DatasetID = %s", (datasetID,), conn)
            for directory, packed in parts(conn):
                sql = "INSERT INTO DatasetParts (DatasetID, Directory, Content) VALUES (%s, %s, %s)"
                self.execute(sql, (datasetID, directory, packed), conn)
            sql = (
                "UPDATE Datasets SET FrozenTime = %s, FrozenBy = %s, ContentHash = %s, Files = %s, SizeBytes = %s"
                " WHERE DatasetID = %s"
            )
            self.execute(sql, (datetime.now(UTC), rows.text(frozenBy, 128), *summary(), datasetID), conn)
            return True

        return self.inTransaction(work)

    def partDirectories(self, datasetID: int) -> list[str]:
        """Where the parts of a frozen dataset begin, see Core.Domain.Dataset.directoryGroups."""
        return [name for (name,) in self.select("SELECT Directory FROM DatasetParts WHERE DatasetID = %s", (datasetID,))]

    def readPart(self, datasetID: int, directory: str) -> bytes | None:
        """One part of a frozen dataset."""
        sql = "SELECT Content FROM DatasetParts WHERE DatasetID = %s AND Directory = %s"
        found = self.select(sql, (datasetID, directory))
        return found[0][0] if found else None


def _dataset(row: Sequence[Any]) -> Dataset:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Dataset(
        datasetID=values["DatasetID"],
        name=values["Name"],
        path=values["Path"],
        typeName=values["Type"],
        firstBlock=values["FirstBlock"],
        lastBlock=values["LastBlock"],
        createdTime=rows.utc(values["CreatedTime"]),
        createdBy=values["CreatedBy"],
        frozenTime=rows.utc(values["FrozenTime"]),
        frozenBy=values["FrozenBy"],
        contentHash=values["ContentHash"],
        files=values["Files"],
        sizeBytes=values["SizeBytes"],
    )
