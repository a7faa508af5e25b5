"""What the feeder of chains reads of blocks and files, and writes down of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.ChainBlockFacts import BlockOutcome, FedBlock, SiteStand
from JUNODIRAC.Core.Domain.ChainInputs import ChainFile
from JUNODIRAC.Core.Domain.ChainRecords import ChainBlockState, ChainScope, StepTransformation
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerBlockFiles import LedgerBlockFiles

_CLOSED = ("Closed", "Replicated", "Validated", "Done")
#: of a block b; a Problem says nothing of whether files come in: the later of the two times does
IS_CLOSED = (
    f"(b.State IN ({', '.join(repr(state) for state in _CLOSED)})"
    " OR (b.State = 'Problem' AND b.ClosedTime IS NOT NULL AND b.ClosedTime >= COALESCE(b.OpenedTime, b.ClosedTime)))"
)
_FILES_AT_ONCE = 5000


class ChainFeeding(LedgerBlockFiles):
    """Implements the part of :class:`JUNODIRAC.Core.Logic.ChainPorts.FeedLedger` about blocks, files and steps."""

    # ---- blocks

    def missingBlocks(self, chainID: int, typeName: str, scope: ChainScope) -> dict[int, str]:
        """See :meth:`FeedLedger.missingBlocks`. What is missing is what has no row: no mark that a restart could lose."""
        # late files of a block that the chain has belong to it, too
        conditions = ["b.ParentID IN (SELECT BlockID FROM ChainBlocks WHERE ChainID = %s)"]
        args: list[Any] = [chainID]
        if scope.blocks:
            conditions.append(f"b.Block IN ({rows.placeholders(len(scope.blocks))})")
            args += scope.blocks
        if scope.eachNewBlock and scope.newSince is not None:
            conditions.append("b.CreatedTime >= %s")
            args.append(scope.newSince)
        if scope.datasets:
            conditions.append(
                f"EXISTS (SELECT 1 FROM Datasets s WHERE s.Name IN ({rows.placeholders(len(scope.datasets))})"
                " AND s.Type = b.Type AND COALESCE(p.Block, b.Block) BETWEEN s.FirstBlock AND s.LastBlock)"
            )
            args += scope.datasets
        sql = (
            "SELECT b.BlockID, b.Block FROM Blocks b LEFT JOIN Blocks p ON p.BlockID = b.ParentID"
            " LEFT JOIN ChainBlocks c ON c.ChainID = %s AND c.BlockID = b.BlockID"
            f" WHERE b.Type = %s AND b.State <> 'Known' AND c.BlockID IS NULL AND ({' OR '.join(conditions)})"
        )
        return dict(self.select(sql, (chainID, typeName, *args)))

    def fedBlocks(self, chainIDs: Sequence[int], withDone: bool) -> list[FedBlock]:
        """See :meth:`FeedLedger.fedBlocks`."""
        condition = "" if withDone else " AND NOT (c.State = 'Done' AND b.State = 'Done')"
        found: list[tuple[Any, ...]] = []
        for chunk in rows.chunks(chainIDs):
            sql = (
                f"SELECT c.ChainID, c.BlockID, b.Type, b.Block, b.State, {IS_CLOSED}, b.RegisteredFiles, c.State, c.EndedSteps,"
                " c.Waits, c.Problem, c.WantedFiles, c.AttachedFiles FROM ChainBlocks c JOIN Blocks b ON b.BlockID = c.BlockID"
                f" WHERE c.ChainID IN ({rows.placeholders(len(chunk))}){condition}"
            )
            found += self.select(sql, chunk)
        sites = self._siteStands(sorted({row[1] for row in found}))
        return [_fedBlock(row, sites.get(row[1], ())) for row in found]

    def _siteStands(self, blockIDs: Sequence[int]) -> dict[int, tuple[SiteStand, ...]]:
        found: dict[int, list[SiteStand]] = defaultdict(list)
        for chunk in rows.chunks(blockIDs):
            sql = (
                "SELECT BlockID, SE, State, DoneFiles FROM BlockTransfers"
                f" WHERE BlockID IN ({rows.placeholders(len(chunk))}) ORDER BY BlockID, SE"
            )
            for blockID, se, state, doneFiles in self.select(sql, chunk):
                found[blockID].append(SiteStand(se, BlockState(state), doneFiles))
        return {blockID: tuple(stands) for blockID, stands in found.items()}

    def saveBlockLook(self, chainID: int, blockID: int, wanted: int, attached: int, waits: str, now: datetime) -> None:
        """See :meth:`FeedLedger.saveBlockLook`."""
        sql = (
            "UPDATE ChainBlocks SET WantedFiles = %s, AttachedFiles = %s, Waits = %s, CountedTime = %s"
            " WHERE ChainID = %s AND BlockID = %s"
        )
        self.execute(sql, (wanted, attached, rows.text(waits) or None, now, chainID, blockID))

    def setChainBlockOutcome(self, block: FedBlock, outcome: BlockOutcome, now: datetime) -> bool:
        """See :meth:`FeedLedger.setChainBlockOutcome`."""
        return self._changeChainBlock(block.key, block.state, outcome.state, outcome.problem, now, outcome.endedSteps)

    def setChainBlockState(
        self, chainID: int, blockID: int, old: ChainBlockState, new: ChainBlockState, now: datetime, problem: str = ""
    ) -> bool:
        """Bring a block of a chain from one state to another.

        :param problem: kept beside a block that is a Problem
        :returns: False, with nothing written, if it is not in state ``old`` (any more)
        """
        return self._changeChainBlock((chainID, blockID), old, new, problem, now)

    def _changeChainBlock(
        self,
        key: tuple[int, int],
        old: ChainBlockState,
        new: ChainBlockState,
        problem: str,
        now: datetime,
        endedSteps: int | None = None,
    ) -> bool:
        words = rows.text(problem) if new is ChainBlockState.PROBLEM else None
        steps, args = ("", ()) if endedSteps is None else (", EndedSteps = %s", (endedSteps,))
        # the row counts as found also where only the words are new
        sql = (
            f"UPDATE ChainBlocks SET StateTime = IF(State = %s, StateTime, %s), State = %s, Problem = %s{steps}"
            " WHERE ChainID = %s AND BlockID = %s AND State = %s"
        )
        return self.execute(sql, (new.value, now, new.value, words, *args, *key, old.value)) > 0

    # ---- files

    def registeredCounts(self, blockIDs: Sequence[int]) -> dict[int, int]:
        """See :meth:`FeedLedger.registeredCounts`."""
        return {blockID: counts.registered for blockID, counts in self.countBlockFiles(blockIDs).items()}

    def unattachedFiles(self, chainID: int, stepNumber: int, blockID: int) -> list[ChainFile]:
        """See :meth:`FeedLedger.unattachedFiles`."""
        columns = "f.FileID, d.Directory, f.FileName, f.RunNumber, f.StreamType, f.StreamName"
        condition = (
            "f.State = 'Registered' AND NOT EXISTS (SELECT 1 FROM ChainInputs c"
            f" WHERE c.ChainID = {int(chainID)} AND c.StepNumber = {int(stepNumber)} AND c.FileID = f.FileID)"
        )
        return [
            ChainFile(fileID, f"{directory}/{name}", run, streamType or "", streamName or "")
            for _, fileID, directory, name, run, streamType, streamName in self._filesOf([blockID], columns, condition)
        ]

    def recordChainInputs(self, chainID: int, stepNumber: int, blockID: int, fileIDs: Sequence[int], now: datetime) -> None:
        """See :meth:`FeedLedger.recordChainInputs`."""
        columns = ("ChainID", "StepNumber", "FileID", "BlockID", "AttachedTime")
        values = [(chainID, stepNumber, fileID, blockID, now) for fileID in fileIDs]
        self.inTransaction(lambda conn: self.upsert("ChainInputs", columns, values, ["FileID = ChainInputs.FileID"], conn))

    def inputCounts(self, chainID: int, blockIDs: Sequence[int] | None = None) -> dict[int, dict[int, int]]:
        """See :meth:`FeedLedger.inputCounts`."""
        return self._countByStep("SELECT BlockID, StepNumber, COUNT(*) FROM ChainInputs WHERE ChainID = %s", chainID, blockIDs)

    def inputLFNs(self, chainID: int, stepNumber: int) -> Iterator[Sequence[str]]:
        """See :meth:`FeedLedger.inputLFNs`."""
        sql = (
            "SELECT c.FileID, d.Directory, f.FileName FROM ChainInputs c JOIN Files f ON f.FileID = c.FileID"
            " JOIN Directories d ON d.DirectoryID = f.DirectoryID"
            " WHERE c.ChainID = %s AND c.StepNumber = %s AND c.FileID > %s ORDER BY c.FileID LIMIT %s"
        )
        last = 0
        while found := self.select(sql, (chainID, stepNumber, last, _FILES_AT_ONCE)):
            yield [f"{directory}/{name}" for _, directory, name in found]
            last = found[-1][0]

    # ---- steps

    def holdStep(self, step: StepTransformation, why: str, now: datetime) -> None:
        """See :meth:`FeedLedger.holdStep`."""
        self._setHeld(step, rows.text(why), now)

    def releaseStep(self, step: StepTransformation) -> None:
        """See :meth:`FeedLedger.releaseStep`."""
        self._setHeld(step, None, None)

    def _setHeld(self, step: StepTransformation, why: str | None, now: datetime | None) -> None:
        sql = "UPDATE ChainSteps SET Held = %s, HeldTime = %s WHERE ChainID = %s AND StepNumber = %s AND SE = %s"
        self.execute(sql, (why, now, step.chainID, step.stepNumber, step.se))

    def _countByStep(
        self, sql: str, chainID: int, blockIDs: Sequence[int] | None, args: Collection[Any] = ()
    ) -> dict[int, dict[int, int]]:
        """Numbers by block and step.

        :param sql: which ends in a condition that takes the chain's id, and then ``args``
        """
        found: dict[int, dict[int, int]] = defaultdict(dict)
        for chunk in [None] if blockIDs is None else rows.chunks(blockIDs):
            where = "" if chunk is None else f" AND BlockID IN ({rows.placeholders(len(chunk))})"
            for blockID, step, count in self.select(
                f"{sql}{where} GROUP BY BlockID, StepNumber", (chainID, *args, *(chunk or ()))
            ):
                found[blockID][step] = int(count)
        return dict(found)


def _fedBlock(row: Sequence[Any], sites: tuple[SiteStand, ...]) -> FedBlock:
    chainID, blockID, typeName, name, blockState, isClosed, registered, state, ended, waits, problem, wanted, attached = row
    return FedBlock(
        chainID=chainID,
        blockID=blockID,
        typeName=typeName,
        name=name,
        blockState=BlockState(blockState),
        isClosed=bool(isClosed),
        registeredFiles=registered,
        state=ChainBlockState(state),
        endedSteps=ended,
        waits=waits or "",
        problem=problem or "",
        wantedFiles=wanted,
        attachedFiles=attached,
        sites=sites,
    )
