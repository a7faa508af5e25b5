"""Blocks, directories and runs, which files refer to: found, and made where they are missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Logic.Ports import DirectoryTaken
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.BlockLocks import BlockLocks

BLOCK_KNOWN = "Known"
BLOCK_OPEN = "Open"

_ACTIVE_GRAIN = timedelta(minutes=10)
# directories and runs that were written down lately; a receiver works on few at a time
_REMEMBERED = 10_000


class LedgerDirectories(BlockLocks):
    """What stands once for many files."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._knownRuns: set[tuple[int, int]] = set()
        self._activeTimes: dict[int, datetime] = {}
        super().__init__(*args, **kwargs)

    def _knownDirectories(self, directories: Collection[str]) -> dict[str, tuple[int, str, str]]:
        """Id, Type and block of those directories that have a row."""
        found = {}
        for chunk in rows.chunks(list(directories)):
            sql = (
                "SELECT d.Directory, d.DirectoryID, b.Type, b.Block FROM Directories d JOIN Blocks b ON b.BlockID = d.BlockID"
                f" WHERE d.Directory IN ({rows.placeholders(len(chunk))})"
            )
            for directory, *values in self.select(sql, chunk):
                found[directory] = tuple(values)
        return found

    def _knownBlocks(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Ids of those (Type, Block) that have a row."""
        found = {}
        for chunk in rows.chunks(keys):
            sql = f"SELECT Type, Block, BlockID FROM Blocks WHERE (Type, Block) IN ({', '.join(['(%s, %s)'] * len(chunk))})"
            for typeName, name, blockID in self.select(sql, [value for key in chunk for value in key]):
                found[typeName, name] = blockID
        return found

    def _knownNames(self, lfns: Collection[str]) -> list[tuple[str, int, list[str]]]:
        """See :func:`LedgerRows.groupNames`; files in directories without a row are left out."""
        known = self._knownDirectories({rows.splitLFN(lfn)[0] for lfn in lfns})
        return rows.groupNames(lfns, {directory: directoryID for directory, (directoryID, _, _) in known.items()})

    def _ensureDirectories(self, files: Iterable[RawFile], strict: bool = True) -> dict[str, int]:
        """Directory ids; a directory without a row gets one, and its block one in state Known.

        :param strict: whether a directory that the ledger has under another block is an error; otherwise it is left out
        :raises DirectoryTaken: nothing is written then
        """
        wanted: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for file in files:
            wanted[file.directory].add((file.typeName, file.block))
        found = self._knownDirectories(wanted)
        taken = _otherBlocks(wanted, found)
        if taken and strict:
            raise DirectoryTaken(taken)
        missing = sorted(directory for directory in wanted if directory not in found)
        if missing:
            self._makeDirectories({directory: min(wanted[directory]) for directory in missing})
            found = self._knownDirectories(wanted)
            taken = _otherBlocks(wanted, found)  # another receiver may have been quicker
            if taken and strict:
                raise DirectoryTaken(taken)
        return {directory: directoryID for directory, (directoryID, _, _) in found.items() if directory not in taken}

    def _makeDirectories(self, blocks: Mapping[str, tuple[str, str]]) -> None:
        """Rows for directories, each in its (Type, block)."""
        blockIDs = self._ensureBlocks(sorted(set(blocks.values())))
        now = datetime.now(UTC)
        values = [(blockIDs[block], directory, now, now) for directory, block in blocks.items()]
        columns = ("BlockID", "Directory", "CreatedTime", "ActiveTime")
        self.inTransaction(lambda conn: self.upsert("Directories", columns, values, ["DirectoryID = DirectoryID"], conn))

    def _ensureBlocks(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Block ids by (Type, Block); a block without a row gets one in state Known."""
        found = self._knownBlocks(keys)
        missing = [key for key in keys if key not in found]
        if missing:
            now = datetime.now(UTC)
            values = [(*key, BLOCK_KNOWN, now) for key in missing]
            columns = ("Type", "Block", "State", "CreatedTime")
            self.inTransaction(lambda conn: self.upsert("Blocks", columns, values, ["BlockID = BlockID"], conn))
            found = self._knownBlocks(keys)
        return found

    def _noteFiles(self, files: Iterable[RawFile], directoryIDs: Mapping[str, int], now: datetime) -> None:
        """Write down which runs these directories have files of, and that announcements come for them.

        Before the files themselves: a run or a time too many is found to be empty, one too few would never be found.
        """
        active = set()
        pairs = set()
        for file in files:
            directoryID = directoryIDs[file.directory]
            active.add(directoryID)
            run = rows.number(file.fields.get("RunNumber"))
            if run is not None:
                pairs.add((run, directoryID))
        newPairs = pairs - self._knownRuns
        if newPairs:
            columns = ("RunNumber", "DirectoryID")
            self.inTransaction(lambda conn: self.upsert("Runs", columns, newPairs, ["RunNumber = VALUES(RunNumber)"], conn))
            self._knownRuns = newPairs if len(self._knownRuns) > _REMEMBERED else self._knownRuns | newPairs
        stale = sorted(each for each in active if self._activeTimes.get(each, now - _ACTIVE_GRAIN) <= now - _ACTIVE_GRAIN)
        if stale:
            sql = f"UPDATE Directories SET ActiveTime = %s WHERE DirectoryID IN ({rows.placeholders(len(stale))})"
            self.execute(sql, (now, *stale))
            if len(self._activeTimes) > _REMEMBERED:
                self._activeTimes = {}
            self._activeTimes |= dict.fromkeys(stale, now)


def _otherBlocks(wanted: Mapping[str, set[tuple[str, str]]], found: Mapping[str, tuple[int, str, str]]) -> dict[str, str]:
    """Directories that are wanted for another block than they are in, with that one in words."""
    taken = {}
    for directory, blocks in wanted.items():
        typeName, block = found[directory][1:] if directory in found else min(blocks)
        if blocks != {(typeName, block)}:
            taken[directory] = f"block {block} of Type {typeName}"
    return taken
