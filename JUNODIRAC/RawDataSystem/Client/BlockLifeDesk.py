"""Blocks as people close, reopen and flush them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.BlockClosing import FileCounts
from JUNODIRAC.Core.Domain.BlockState import TRANSITIONS, BlockState
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock
from JUNODIRAC.RawDataSystem.Client.BlockOpener import UnknownBlock
from JUNODIRAC.RawDataSystem.Client.QuarantineDesk import Actor

CLOSE, REOPEN, FLUSH = "close", "reopen", "flush"
_MAX_EXPECTED = 1_000_000_000


class CannotChangeBlock(Exception):
    """What is wanted of a block is not possible as it is; nothing was changed."""


class LifeLedger(Protocol):
    """What is asked of the ledger; see :class:`JUNODIRAC.RawDataSystem.DB.RawDataDB.RawDataDB`."""

    def blockIDOf(self, typeName: str, name: str) -> int | None: ...

    def readLivingBlocksByID(self, blockIDs: Sequence[int]) -> list[LivingBlock]: ...

    def countBlockFiles(self, blockIDs: Sequence[int]) -> dict[int, FileCounts]: ...

    def holdBlocks(self, blocks: Sequence[tuple[str, str]], waitSeconds: float | None = None) -> AbstractContextManager[None]: ...

    def moveBlock(
        self, blockID: int, old: BlockState, new: BlockState, actor: str, reason: str, problem: str = "", closedBy: str = ""
    ) -> bool: ...

    def moveSite(
        self, blockID: int, se: str, old: BlockState, new: BlockState, actor: str, reason: str, problem: str = ""
    ) -> bool: ...

    def setExpected(self, blockID: int, fileCount: int, by: str, now: datetime) -> None: ...

    def recordJournal(self, actor: str, group: str, action: str, objectName: str, reason: str) -> None: ...


class LifeTransfers(Protocol):
    """What is asked of the transformations; see :class:`BlockTransformations`."""

    def statuses(self, transformationIDs: Collection[int]) -> dict[int, str]: ...

    def waitingFiles(self, transformationIDs: Collection[int]) -> dict[int, int]: ...

    def flush(self, transformationID: int) -> None: ...


class BlockLifeDesk:
    """Says what it would do, and does it. BlockAgent does what follows: the sites of a block go on in its next cycles."""

    def __init__(self, ledger: LifeLedger, transfers: LifeTransfers) -> None:
        self._ledger = ledger
        self._transfers = transfers

    def plan(self, verb: str, typeName: str, name: str, expected: int) -> dict[str, Any]:
        """What a verb would do.

        :param expected: how many files the block shall have; 0: as declared
        :returns: Block, Type, State, ExpectedFiles, counts, Sites and Steps, sentences
        :raises CannotChangeBlock: if it is not possible
        """
        block = self._find(typeName, name)
        counts = self._ledger.countBlockFiles([block.blockID])[block.blockID]
        steps = self._steps(verb, block, counts, expected)
        return {
            "Block": block.name,
            "Type": block.typeName,
            "State": block.state.value,
            "ExpectedFiles": block.expectedFiles,
            "Registered": counts.registered,
            "Waiting": counts.waiting,
            "Quarantined": counts.quarantined,
            "Waived": counts.waived,
            "Sites": {site.se: site.state.value for site in block.sites},
            "Steps": steps,
        }

    def close(self, typeName: str, name: str, expected: int, actor: Actor, now: datetime) -> dict[str, Any]:
        """Close an open block, or tell how many files a block shall have.

        :raises CannotChangeBlock: if there is nothing of that to do
        :raises TemporaryFailure: if a receiver is at work on it
        """
        block = self._find(typeName, name)
        with self._ledger.holdBlocks([(block.typeName, block.lockName)]):
            block = self._find(typeName, name)
            counts = self._ledger.countBlockFiles([block.blockID])[block.blockID]
            self._steps(CLOSE, block, counts, expected)
            self._journal("closeBlock", block, actor)
            if expected:
                self._ledger.setExpected(block.blockID, expected, actor.name, now)
            if block.state is BlockState.OPEN:
                self._ledger.moveBlock(
                    block.blockID, BlockState.OPEN, BlockState.CLOSED, actor.name, actor.reason, closedBy=actor.name
                )
        return self._outcome(block)

    def reopen(self, typeName: str, name: str, actor: Actor) -> dict[str, Any]:
        """Make a block take files on again, whatever became of it."""
        block = self._find(typeName, name)
        self._refuseOpen(block)
        self._journal("reopenBlock", block, actor)
        if not self._ledger.moveBlock(block.blockID, block.state, BlockState.OPEN, actor.name, actor.reason):
            raise CannotChangeBlock(f"{_nameOf(block)} changed its state just now; look at it and try again")
        for site in block.sites:
            if site.state is not BlockState.OPEN:
                self._ledger.moveSite(block.blockID, site.se, site.state, BlockState.OPEN, actor.name, actor.reason)
        return self._outcome(block)

    def flush(self, typeName: str, name: str, actor: Actor) -> dict[str, Any]:
        """Have all files of a block that wait for companions sent out now; its state stays as it is."""
        block = self._find(typeName, name)
        wanted = self._tails(block)
        self._journal("flushBlock", block, actor)
        for se, (transformationID, _) in wanted.items():
            if se:
                self._transfers.flush(transformationID)
        return self._outcome(block) | {"Flushed": {se: files for se, (_, files) in wanted.items()}}

    # ---- steps

    def _find(self, typeName: str, name: str) -> LivingBlock:
        blockID = self._ledger.blockIDOf(typeName, name)
        if blockID is None:
            raise UnknownBlock(typeName, name)
        found = self._ledger.readLivingBlocksByID([blockID])
        if not found:
            raise CannotChangeBlock(f"block {name} of Type {typeName} was never opened; see dirac-juno-block open")
        return found[0]

    def _steps(self, verb: str, block: LivingBlock, counts: FileCounts, expected: int) -> list[str]:
        if verb == CLOSE:
            return _closeSteps(block, counts, expected)
        if verb == REOPEN:
            self._refuseOpen(block)
            sites = ", ".join(f"{site.se} {site.state}" for site in block.sites if site.state is not BlockState.OPEN)
            return [f"it goes from {block.state} to Open, and with it {sites or 'no site'}", _howItCloses(block)]
        if verb == FLUSH:
            return [f"{files} files that wait for companions go out to {se}" for se, (_, files) in self._tails(block).items()]
        raise CannotChangeBlock(f"there is no verb {verb}")

    def _refuseOpen(self, block: LivingBlock) -> None:
        if BlockState.OPEN not in TRANSITIONS[block.state]:
            raise CannotChangeBlock(f"{_nameOf(block)} is {block.state} already")

    def _tails(self, block: LivingBlock) -> dict[str, tuple[int, int]]:
        """Transformation and number of files in no task, by SE, where there are such files.

        :raises CannotChangeBlock: if there are none
        """
        ids = {site.se: site.transformationID for site in block.sites}
        waiting, statuses = self._transfers.waitingFiles(list(ids.values())), self._transfers.statuses(list(ids.values()))
        found = {se: (number, waiting[number]) for se, number in ids.items() if waiting.get(number)}
        stopped = {se: statuses.get(number, "Deleted") for se, (number, _) in found.items() if statuses.get(number) != "Active"}
        if stopped:
            words = ", ".join(f"{se}: {status}" for se, status in stopped.items())
            raise CannotChangeBlock(f"{_nameOf(block)}: only an Active transformation can be flushed ({words})")
        if not found:
            raise CannotChangeBlock(f"{_nameOf(block)} has no files that wait for companions: there is nothing to flush")
        return found

    def _journal(self, action: str, block: LivingBlock, actor: Actor) -> None:
        """Before the change: one that was cut short must be in the journal too."""
        self._ledger.recordJournal(actor.name, actor.group, action, f"{block.typeName}/{block.name}", actor.reason)

    def _outcome(self, before: LivingBlock) -> dict[str, Any]:
        after = self._find(before.typeName, before.name)
        return {
            "Block": after.name,
            "Type": after.typeName,
            "OldState": before.state.value,
            "State": after.state.value,
            "ExpectedFiles": after.expectedFiles,
        }


def _closeSteps(block: LivingBlock, counts: FileCounts, expected: int) -> list[str]:
    if not 0 <= expected < _MAX_EXPECTED:
        raise CannotChangeBlock(f"a block cannot have {expected} files")
    if block.state is not BlockState.OPEN and not expected:
        by = f" by {block.closedBy}" if block.closedBy else ""
        raise CannotChangeBlock(f"{_nameOf(block)} is not open: it is {block.state}, closed{by}")
    steps = []
    if expected:
        steps.append(f"it shall have {expected} files, instead of {block.expectedFiles or 'any number'}")
    if block.state is BlockState.OPEN:
        steps.append("it is closed, its tail is sent out, and a file that comes later is late")
    if counts.waiting:
        steps.append(f"{counts.waiting} files are announced and not registered yet; they belong to it still")
    wanted = expected or block.expectedFiles
    if wanted and counts.announced != wanted:
        steps.append(f"{counts.announced} files were announced of {wanted}: it will be a Problem")
    return steps


def _howItCloses(block: LivingBlock) -> str:
    declared = f"; the {block.expectedFiles} files that were declared close it no more" if block.expectedFiles else ""
    return f"it is closed again as its Type says, counted from now on, or by dirac-juno-block close{declared}"


def _nameOf(block: LivingBlock) -> str:
    return f"block {block.name} of Type {block.typeName}"
