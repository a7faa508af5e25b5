"""What the planning of tasks reads of a step's inputs, and the sites that it chooses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from JUNODIRAC.Core.Domain.ChainDescription import ChainStep
from JUNODIRAC.Core.Domain.ChainInputs import ChainFile, WaitKind, isWanted, qualityWait
from JUNODIRAC.Core.Domain.ChainRecords import StartedChain, StepTransformation
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Gaps import findGaps
from JUNODIRAC.Core.Domain.PlanFacts import Outstanding, PlanBlock, PlanInput
from JUNODIRAC.Core.Domain.ProcessPlan import Stream
from JUNODIRAC.ProductionSystem.DB.ChainBook import ChainBook
from JUNODIRAC.ProductionSystem.DB.ChainFeeding import IS_CLOSED, ChainFeeding
from JUNODIRAC.ProductionSystem.DB.RunQualities import RunQualities
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerDirectories import LedgerDirectories
from JUNODIRAC.RawDataSystem.DB.LedgerGaps import LedgerGaps

# a chain, a step twice: for Derivations x and Recoveries r of inputs with this id
_FATE = (
    " LEFT JOIN Derivations x ON x.ChainID = {chain} AND x.StepNumber = {step} AND x.ParentID = {parent}"
    " LEFT JOIN Recoveries r ON r.ChainID = {chain} AND r.StepNumber = {step} AND r.SE = '' AND r.ParentID = {parent}"
)
_FATE_COLUMNS = "x.ParentID IS NOT NULL, r.State, r.Error, r.Attempts"
_UNSETTLED = "x.ParentID IS NULL AND COALESCE(r.State, '') NOT IN ('GivenUp', 'Waived')"
_STREAM = "CONCAT(COALESCE(f.StreamType, ''), '.', COALESCE(f.StreamName, ''))"
_GIVEN = "ChainInputs c JOIN Files f ON f.FileID = c.FileID"
_FILE_COLUMNS = f"c.BlockID, {_STREAM}, COALESCE(f.RunNumber, 0), COALESCE(f.FileSequence, 0)"
_PRODUCT_COLUMNS = "p.BlockID, p.Stream, p.FirstRun, p.FirstSequence"
# a file whose announcement is wrong may never come: only as long as the block is open is it expected
_EXPECTED = frozenset({FileState.REGISTERED, FileState.ANNOUNCED, FileState.WAITING})


class ChainPlans(RunQualities, ChainBook, LedgerGaps, LedgerDirectories, ChainFeeding):
    """Implements :class:`JUNODIRAC.Core.Logic.TaskPlanner.PlanLedger`. Every method may raise TemporaryFailure."""

    # ---- inputs

    def planInputs(self, chainID: int, step: int, source: int | None, lfns: Collection[str]) -> list[PlanInput]:
        """See :meth:`PlanLedger.planInputs`."""
        if source is not None:
            sql, args = _productsOf(chainID, step, source)
            chunks = rows.chunks(sorted(lfns))
            return [_input(row) for chunk in chunks for row in self.select(f"{sql} AND p.LFN IN %s", (*args, tuple(chunk)))]
        sql, args = _filesOf(chainID, step)
        sql += " AND f.DirectoryID = %s AND f.FileName IN %s"
        found = []
        for directory, directoryID, names in self._knownNames(lfns):
            for chunk in rows.chunks(names):
                for _, name, *values in self.select(sql, (*args, directoryID, tuple(chunk))):
                    found.append(_input((f"{directory}/{name}", *values)))
        return found

    def inputsOfBlocks(self, chainID: int, step: int, source: int | None, blockIDs: Collection[int]) -> list[PlanInput]:
        """See :meth:`PlanLedger.inputsOfBlocks`."""
        if not blockIDs:
            return []
        if source is not None:
            sql, args = _productsOf(chainID, step, source)
            return [_input(row) for row in self.select(f"{sql} AND p.BlockID IN %s", (*args, tuple(blockIDs)))]
        sql, args = _filesOf(chainID, step)
        directories = self._directoryNames(blockIDs)
        found = self.select(f"{sql} AND c.BlockID IN %s", (*args, tuple(blockIDs)))
        return [_input((f"{directories[row[0]]}/{row[1]}", *row[2:])) for row in found]

    def blocksOfInputs(self, chainID: int, step: int, source: int | None, lfns: Collection[str]) -> set[int]:
        """See :meth:`PlanLedger.blocksOfInputs`."""
        if source is None:
            return {each.blockID for each in self.planInputs(chainID, step, source, lfns)}
        sql = "SELECT DISTINCT BlockID FROM Products WHERE ChainID = %s AND StepNumber = %s AND LFN IN %s"
        chunks = rows.chunks(sorted(lfns))
        return {blockID for chunk in chunks for (blockID,) in self.select(sql, (chainID, source, tuple(chunk)))}

    def planBlocks(self, blockIDs: Collection[int]) -> dict[int, PlanBlock]:
        """See :meth:`PlanLedger.planBlocks`."""
        if not blockIDs:
            return {}
        sql = f"SELECT b.BlockID, b.Type, b.Block, {IS_CLOSED} FROM Blocks b WHERE b.BlockID IN %s"
        found = self.select(sql, (tuple(blockIDs),))
        sites = self._siteStands(sorted(blockIDs))
        return {
            blockID: PlanBlock(blockID, typeName, name, bool(isClosed), tuple(each.se for each in sites.get(blockID, ())))
            for blockID, typeName, name, isClosed in found
        }

    def _directoryNames(self, blockIDs: Collection[int]) -> dict[int, str]:
        """Directories in which files of these blocks may be, by id."""
        sql = (
            "SELECT DISTINCT d.DirectoryID, d.Directory FROM Directories d LEFT JOIN Blocks c ON c.ParentID = d.BlockID"
            " WHERE d.BlockID IN %s OR c.BlockID IN %s"
        )
        return dict(self.select(sql, (tuple(blockIDs), tuple(blockIDs))))

    # ---- what is to come

    def notGiven(self, chainID: int, step: ChainStep, blocks: Collection[PlanBlock]) -> list[Outstanding]:
        """See :meth:`PlanLedger.notGiven`.

        A file of which a person has said that its run is another than the step asks for is not expected.
        """
        found = list(self._gaps(blocks)) + list(self._notGiven(chainID, step, blocks))
        qualities = self.runQualities({file.run for _, _, file in found if file.run is not None})
        return [
            Outstanding(blockID, file.stream, file.run or 0, sequence, file.lfn)
            for blockID, sequence, file in found
            if _isExpected(step, file, qualities.get(file.run or 0, ""))
        ]

    def _gaps(self, blocks: Collection[PlanBlock]) -> Iterator[tuple[int, int, ChainFile]]:
        """The first of the numbers that are missing beside files of an open block."""
        for block in blocks:
            if block.isClosed:
                continue
            for gaps in findGaps(self.sequences(block.typeName, block.name), frozenset({block.name})):
                for first, _ in gaps.missing:
                    yield block.blockID, first, ChainFile(0, "", gaps.run, gaps.streamType, gaps.streamName)

    def _notGiven(self, chainID: int, step: ChainStep, blocks: Collection[PlanBlock]) -> Iterator[tuple[int, int, ChainFile]]:
        closed = {block.blockID: block.isClosed for block in blocks}
        columns = "f.State, f.FileSequence, f.FileID, f.FileName, f.RunNumber, f.StreamType, f.StreamName"
        condition = (
            "f.State NOT IN ('Waived', 'Dropped') AND NOT EXISTS (SELECT 1 FROM ChainInputs c"
            f" WHERE c.ChainID = {int(chainID)} AND c.StepNumber = {int(step.number)} AND c.FileID = f.FileID)"
        )
        for blockID, state, sequence, fileID, name, run, streamType, streamName in self._filesOf(
            list(closed), columns, condition
        ):
            if FileState(state) in _EXPECTED or not closed[blockID]:
                yield blockID, sequence or 0, ChainFile(fileID, name, run, streamType or "", streamName or "")

    def notSettled(self, chainID: int, step: int, source: int | None, blockIDs: Collection[int]) -> list[Outstanding]:
        """See :meth:`PlanLedger.notSettled`."""
        if not blockIDs:
            return []
        if source is None:
            columns, tables, place, parent = f"{_FILE_COLUMNS}, f.FileName", _GIVEN, "c", "c.FileID"
        else:
            columns, tables, place, parent = f"{_PRODUCT_COLUMNS}, p.LFN", "Products p", "p", "p.ProductID"
        sql = (
            f"SELECT {columns} FROM {tables}{_FATE.format(chain=int(chainID), step=int(step), parent=parent)}"
            f" WHERE {place}.ChainID = %s AND {place}.StepNumber = %s AND {place}.BlockID IN %s AND {_UNSETTLED}"
        )
        number = step if source is None else source
        return [Outstanding(*row) for row in self.select(sql, (chainID, number, tuple(blockIDs)))]

    # ---- sites

    def streamSites(self, chainID: int, step: int, blockIDs: Collection[int]) -> dict[Stream, str]:
        """See :meth:`PlanLedger.streamSites`."""
        if not blockIDs:
            return {}
        sql = "SELECT BlockID, Stream, Site FROM ChainStreams WHERE ChainID = %s AND StepNumber = %s AND BlockID IN %s"
        return {(blockID, stream): site for blockID, stream, site in self.select(sql, (chainID, step, tuple(blockIDs)))}

    def siteLoads(self, chainID: int, step: int, source: int | None) -> dict[str, int]:
        """See :meth:`PlanLedger.siteLoads`."""
        if source is None:
            tables = "ChainInputs i ON {key} AND i.StepNumber = s.StepNumber JOIN Files f ON f.FileID = i.FileID"
            stream, parent = _STREAM, "i.FileID"
        else:
            tables = f"Products i ON {{key}} AND i.StepNumber = {int(source)}"
            stream, parent = "i.Stream", "i.ProductID"
        sql = (
            "SELECT s.Site, COUNT(*) FROM ChainStreams s JOIN ChainBlocks k ON k.ChainID = s.ChainID AND k.BlockID = s.BlockID"
            f" JOIN {tables.format(key='i.ChainID = s.ChainID AND i.BlockID = s.BlockID')}"
            f"{_FATE.format(chain=int(chainID), step=int(step), parent=parent)} WHERE s.ChainID = %s AND s.StepNumber = %s"
            f" AND k.EndedSteps < s.StepNumber AND {stream} = s.Stream AND {_UNSETTLED} GROUP BY s.Site"
        )
        return dict(self.select(sql, (chainID, step)))

    def keepStreamSites(self, chainID: int, step: int, sites: Mapping[Stream, str], now: datetime) -> None:
        """See :meth:`PlanLedger.keepStreamSites`."""
        columns = ("ChainID", "StepNumber", "BlockID", "Stream", "Site", "ChosenTime")
        values = [(chainID, step, blockID, rows.text(stream, 260), site, now) for (blockID, stream), site in sites.items()]
        updates = [f"{column} = VALUES({column})" for column in columns[4:]]
        self.inTransaction(lambda conn: self.upsert("ChainStreams", columns, values, updates, conn))

    # ---- turns

    def planStamps(self, chainIDs: Collection[int]) -> dict[int, str]:
        """By chain a text that is another one after a block was opened or closed, an input given up, or a run flagged."""
        if not chainIDs:
            return {}
        quality = self.qualityRevision()
        blocks = (
            f"SELECT k.ChainID, COUNT(*), SUM({IS_CLOSED} * k.BlockID) FROM ChainBlocks k JOIN Blocks b ON b.BlockID = k.BlockID"
            " WHERE k.ChainID IN %s GROUP BY k.ChainID"
        )
        recoveries = "SELECT ChainID, COUNT(*), MAX(LastTime) FROM Recoveries WHERE ChainID IN %s GROUP BY ChainID"
        parts: dict[int, list[str]] = {chainID: [quality] for chainID in chainIDs}
        for sql in (blocks, recoveries):
            for chainID, count, other in self.select(sql, (tuple(chainIDs),)):
                parts[chainID].append(f"{count} {other}")
        return {chainID: ", ".join(texts) for chainID, texts in parts.items()}

    def stepsOfTransformations(self, transformationIDs: Collection[int]) -> list[tuple[StartedChain, StepTransformation]]:
        """The chains and steps of these transformations; those that belong to no chain are left out."""
        if not transformationIDs:
            return []
        sql = "SELECT TransformationID FROM ChainSteps WHERE TransformationID IN %s ORDER BY TransformationID"
        return [self.chainOfTransformation(each) for (each,) in self.select(sql, (tuple(transformationIDs),))]


def _filesOf(chainID: int, step: int) -> tuple[str, tuple[int, ...]]:
    """Query of the inputs of a step that takes files of the ledger."""
    fate = _FATE.format(chain=int(chainID), step=int(step), parent="c.FileID")
    columns = f"f.DirectoryID, f.FileName, {_FILE_COLUMNS}, COALESCE(f.SizeBytes, 0), c.AttachedTime, {_FATE_COLUMNS}, NULL, NULL"
    return f"SELECT {columns} FROM {_GIVEN}{fate} WHERE c.ChainID = %s AND c.StepNumber = %s", (chainID, step)


def _productsOf(chainID: int, step: int, source: int) -> tuple[str, tuple[int, ...]]:
    """Query of the inputs of a step that takes products."""
    fate = _FATE.format(chain=int(chainID), step=int(step), parent="p.ProductID")
    columns = f"p.LFN, {_PRODUCT_COLUMNS}, p.SizeBytes, p.RegisteredTime, {_FATE_COLUMNS}, p.LastRun, p.LastSequence"
    return f"SELECT {columns} FROM Products p{fate} WHERE p.ChainID = %s AND p.StepNumber = %s", (chainID, source)


def _input(row: Sequence[Any]) -> PlanInput:
    *place, sizeBytes, sinceTime, isDerived, recovery, error, attempts, lastRun, lastSequence = row
    lfn, blockID, stream, run, sequence = place
    last = None if lastRun is None else (lastRun, lastSequence)
    fate = (bool(isDerived), recovery or "", error or "", attempts or 0, last)
    return PlanInput(lfn, blockID, stream, run, sequence, sizeBytes, rows.utc(sinceTime), *fate)


def _isExpected(step: ChainStep, file: ChainFile, quality: str) -> bool:
    wait = qualityWait(step, file, quality)
    return isWanted(step.input, file, quality) and not (wait and wait.kind is WaitKind.FLAGGED_OTHERWISE)
