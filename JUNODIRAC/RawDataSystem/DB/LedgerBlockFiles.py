"""Which files a block has: those of its directories without the late ones that follow-up blocks have, or, of a follow-up block,
just those. Every file is in exactly one block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from JUNODIRAC.Core.Domain.BlockClosing import FileCounts
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection

# files of directories, late files of follow-up blocks, and late files in the directories of their parents
_IN_DIRECTORIES = (
    "FROM Directories d JOIN Files f FORCE INDEX (DirectoryState) ON f.DirectoryID = d.DirectoryID WHERE d.BlockID IN ({marks})"
)
_LATE = (
    "FROM LateFiles l JOIN Files f ON f.FileID = l.FileID JOIN Directories d ON d.DirectoryID = f.DirectoryID"
    " WHERE l.BlockID IN ({marks})"
)
_LATE_OF_OTHERS = (
    "FROM Blocks c JOIN LateFiles l ON l.BlockID = c.BlockID JOIN Files f ON f.FileID = l.FileID"
    " JOIN Directories d ON d.DirectoryID = f.DirectoryID WHERE c.ParentID IN ({marks})"
)


class LateSizes(NamedTuple):
    """Registered late files, size in bytes by LFN: those that a block has, and those in its directory that others have."""

    own: dict[str, int]
    others: dict[str, int]


class LedgerBlockFiles(LedgerConnection):
    """Queries; nothing here changes the ledger."""

    def _countFiles(self, blockIDs: Sequence[int]) -> dict[int, dict[FileState, tuple[int, int]]]:
        """Number of files and sum of bytes by block and state."""
        counts: dict[int, dict[FileState, tuple[int, int]]] = defaultdict(dict)
        for chunk in rows.chunks(blockIDs):
            parts = [
                f"SELECT {block} AS BlockID, f.State AS State, {sign}COUNT(*) AS Files,"
                f" {sign}COALESCE(SUM(f.SizeBytes), 0) AS SizeBytes {where.format(marks=rows.placeholders(len(chunk)))}"
                f" GROUP BY {block}, f.State"
                for block, sign, where in (
                    ("d.BlockID", "", _IN_DIRECTORIES),
                    ("l.BlockID", "", _LATE),
                    ("c.ParentID", "-", _LATE_OF_OTHERS),
                )
            ]
            # one statement, so that a file that is moved meanwhile is not counted twice
            sql = (
                f"SELECT BlockID, State, SUM(Files), SUM(SizeBytes) FROM ({' UNION ALL '.join(parts)}) u GROUP BY BlockID, State"
            )
            for blockID, state, count, sizeBytes in self.select(sql, tuple(chunk) * 3):
                if count:
                    counts[blockID][FileState(state)] = (int(count), int(sizeBytes))
        return counts

    def countBlockFiles(self, blockIDs: Sequence[int]) -> dict[int, FileCounts]:
        """The files of each of these blocks by what became of them."""
        counts = self._countFiles(blockIDs)
        return {blockID: _countsOf(counts.get(blockID, {})) for blockID in blockIDs}

    def _filesOf(self, blockIDs: Sequence[int], columns: str, condition: str = "TRUE") -> Iterator[tuple[Any, ...]]:
        """The id of its block and these columns, for each file of these blocks.

        :param columns: SQL over the files f and their directories d
        :param condition: the same, without values
        """
        for chunk in rows.chunks(blockIDs):
            marks = rows.placeholders(len(chunk))
            sql = (
                f"SELECT d.BlockID, {columns} {_IN_DIRECTORIES.format(marks=marks)} AND {condition}"
                " AND NOT EXISTS (SELECT 1 FROM LateFiles o WHERE o.FileID = f.FileID)"
                f" UNION ALL SELECT l.BlockID, {columns} {_LATE.format(marks=marks)} AND {condition}"
            )
            yield from self.select(sql, tuple(chunk) * 2)

    def _lateFiles(self, blockIDs: Sequence[int]) -> dict[int, LateSizes]:
        """The registered late files that have to be counted one by one, by block."""
        found: dict[int, LateSizes] = defaultdict(lambda: LateSizes({}, {}))
        for chunk in rows.chunks(blockIDs):
            marks = rows.placeholders(len(chunk))
            for index, block, where in ((0, "l.BlockID", _LATE), (1, "c.ParentID", _LATE_OF_OTHERS)):
                sql = (
                    f"SELECT {block}, d.Directory, f.FileName, f.SizeBytes {where.format(marks=marks)} AND f.State = 'Registered'"
                )
                for blockID, directory, name, sizeBytes in self.select(sql, chunk):
                    found[blockID][index][f"{directory}/{name}"] = sizeBytes or 0
        return found


def _countsOf(states: Mapping[FileState, tuple[int, int]]) -> FileCounts:
    def files(*wanted: FileState) -> int:
        return sum(states.get(state, (0, 0))[0] for state in wanted)

    return FileCounts(
        registered=files(FileState.REGISTERED),
        registeredBytes=states.get(FileState.REGISTERED, (0, 0))[1],
        waiting=files(FileState.ANNOUNCED, FileState.WAITING),
        quarantined=files(FileState.QUARANTINED),
        waived=files(FileState.WAIVED),
    )
