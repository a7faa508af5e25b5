"""Replicas against which a failed copy speaks: they are no source until their storage was asked whether they are right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from JUNODIRAC.Core.Domain.RepairRecords import DeclaredCopy
from JUNODIRAC.Core.Domain.TransferFacts import CopyState
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure
from JUNODIRAC.Core.Logic.RepairCycle import ACTOR
from JUNODIRAC.Core.Logic.RepairPorts import RepairBook, RepairFacts

_BAD = frozenset({CopyState.WRONG_SIZE, CopyState.WRONG_CHECKSUM, CopyState.MISSING})


class DoubtBook(RepairBook, Protocol):
    """The ledger."""

    def readDoubts(self) -> dict[str, dict[str, DeclaredCopy]]:
        """Replicas in doubt, by storage element and LFN."""


class DoubtCheck:
    """Asks the storages for size and checksum of what is in doubt."""

    def __init__(self, book: DoubtBook, facts: RepairFacts) -> None:
        self._book, self._facts = book, facts

    def check(self) -> dict[str, str]:
        """Call each replica bad, or a source again; of a storage that does not answer all stays in doubt.

        :returns: storages that did not answer, and why
        """
        mute = {}
        for se, declared in self._book.readDoubts().items():
            try:
                found = self._facts.copiesAt(se, {lfn: (each.sizeBytes, each.checksum) for lfn, each in declared.items()})
            except (TemporaryFailure, Refusal) as error:
                mute[se] = str(error)
                continue
            self._settle(se, declared, found)
        return mute

    def _settle(self, se: str, declared: Mapping[str, DeclaredCopy], found: Mapping[str, tuple[CopyState, str]]) -> None:
        bad = {lfn: detail for lfn, (state, detail) in found.items() if state in _BAD}
        good = [lfn for lfn, (state, _) in found.items() if state is CopyState.GOOD]
        if bad:
            reasons = {f"{lfn} {se}": f"a copy from there failed: {detail}" for lfn, detail in bad.items()}
            self._book.recordDecisions(ACTOR, "badReplica", reasons)
            self._book.markBad(se, {declared[lfn].fileID: detail for lfn, detail in bad.items()})
        if good:
            self._book.endBad(se, [declared[lfn].fileID for lfn in good])
