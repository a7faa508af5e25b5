"""Which files the repair has to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Domain.Validation import Difference, Verdict
from JUNODIRAC.Core.Logic.RepairPorts import BlockAtSite
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import TRANSFORMATIONS
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

#: by LFN, when a validation named it, or None
Named = dict[str, datetime | None]

_STUCK = ["Problematic", "MissingInFC", "ProbInFC", "MaxReset"]
_TO_REPAIR = (Difference.MISSING, Difference.WRONG_SIZE, Difference.WRONG_CHECKSUM, Difference.UNCATALOGUED)
_TRANSFORMATIONS_PER_CALL = 1000
_BLOCKS_TO_ATTACH = 5
# this has to count the files of all unfinished transfers
_ATTACH_SECONDS = 600.0
# only names are read here: who waits in a long queue must not hide who is stuck
_SCANNED_FILES = 20_000
_TIME = "%Y-%m-%d %H:%M:%S"


class RepairCandidates:
    """Finds them in few calls for all blocks together.

    :param transformations: DIRAC's TransformationClient
    :param maxFiles: of one site, and of one kind
    :param timeScale: of the time between two searches for files that are in no transformation
    """

    def __init__(self, ledger: RawDataDB, transformations: Any, maxFiles: int, timeScale: float = 1.0) -> None:
        self._ledger, self._transformations, self._maxFiles = ledger, transformations, maxFiles
        self._attachInterval = timedelta(seconds=_ATTACH_SECONDS * timeScale)
        self._nextAttach: datetime | None = None

    def find(
        self, blocks: Sequence[LivingBlock], policies: Mapping[str, TypePolicy], now: datetime, stuckSeconds: float
    ) -> dict[str, list[tuple[BlockAtSite, Named]]]:
        """The files by SE, those that are due for longest first. What waits for its next attempt is left out.

        :raises TemporaryFailure: if ledger or TransformationManager do not answer
        """
        sites = _sitesOf(blocks, policies)
        found: dict[BlockAtSite, Named] = defaultdict(dict)
        for se, there in sites.items():
            waiting = self._ledger.waitingRepairs(se, now)
            byID = {at.blockID: at for at in there}
            for blockID, lfns in self._ledger.dueRepairs(se, now, self._maxFiles).items():
                if blockID in byID:
                    found[byID[blockID]].update(dict.fromkeys(lfns))
            for at, lfn in self._stuckFiles(there, now, stuckSeconds):
                if lfn not in waiting:
                    found[at].setdefault(lfn, None)
        everywhere = [at for there in sites.values() for at in there]
        self._addNamed(everywhere, found)
        if self._nextAttach is None or now >= self._nextAttach:
            self._nextAttach = now + self._attachInterval
            self._addUnattached(_unfinished(blocks, everywhere), {block.blockID: block for block in blocks}, found)
        return {se: [(at, found[at]) for at in there if found.get(at)] for se, there in sites.items()}

    # ---- where they come from

    def _stuckFiles(self, there: Sequence[BlockAtSite], now: datetime, stuckSeconds: float) -> Iterable[tuple[BlockAtSite, str]]:
        """Files of a site that the transformation system gave up, or that are on their way for too long."""
        byID = {at.transformationID: at for at in there}
        ids = sorted(byID, reverse=True)
        before = (now - timedelta(seconds=stuckSeconds)).strftime(_TIME)
        for start in range(0, len(ids), _TRANSFORMATIONS_PER_CALL):
            chunk = ids[start : start + _TRANSFORMATIONS_PER_CALL]
            for status, older in ((_STUCK, None), (["Assigned"], before)):
                condition = {"TransformationID": chunk, "Status": status}
                rows = valueOrRaise(
                    self._transformations.getTransformationFiles(
                        condDict=condition,
                        older=older,
                        timeStamp="LastUpdate",
                        orderAttribute="LastUpdate",
                        maxfiles=_SCANNED_FILES,
                        columns=["TransformationID", "LFN"],
                    ),
                    TRANSFORMATIONS,
                )
                for row in rows:
                    yield byID[int(row["TransformationID"])], row["LFN"]

    def _addNamed(self, everywhere: Sequence[BlockAtSite], found: dict[BlockAtSite, Named]) -> None:
        """Files that the newest validation found not to be right, and about which nothing was done since."""
        newest = self._ledger.newestValidations(sorted({at.blockID for at in everywhere}))
        bad = {key for key, validation in newest.items() if validation.verdict is Verdict.BAD}
        if not bad:
            return
        named = self._ledger.newestValidations(sorted({blockID for blockID, _ in bad}), withNames=True)
        for at in everywhere:
            if (at.blockID, at.se) not in bad:
                continue
            validation = named[at.blockID, at.se]
            records = self._ledger.listRepairs(at.blockID, at.se).get(at.se, {})
            for kind in _TO_REPAIR:
                for lfn in validation.names.get(kind, ()):
                    record = records.get(lfn)
                    if record is None or record.lastTime < validation.endedTime:
                        found[at][lfn] = validation.endedTime

    def _addUnattached(
        self, everywhere: Sequence[BlockAtSite], blocks: Mapping[int, LivingBlock], found: dict[BlockAtSite, Named]
    ) -> None:
        """Registered files that a transformation lacks. They are looked for where the numbers differ."""
        if not everywhere:
            return
        condition = {"TransformationID": [at.transformationID for at in everywhere]}
        counted = valueOrRaise(
            self._transformations.getCounters("TransformationFiles", ["TransformationID"], condition), TRANSFORMATIONS
        )
        attached = {int(row["TransformationID"]): int(count) for row, count in counted}
        lacking = [at for at in everywhere if attached.get(at.transformationID, 0) < blocks[at.blockID].registeredFiles]
        for at in lacking[:_BLOCKS_TO_ATTACH]:
            ofOne = {"TransformationID": at.transformationID}
            rows = valueOrRaise(self._transformations.getTransformationFiles(condDict=ofOne, columns=["LFN"]), TRANSFORMATIONS)
            missing = set(self._ledger.readRegistered(at.typeName, at.block)) - {row["LFN"] for row in rows}
            for lfn in sorted(missing)[: self._maxFiles]:
                found[at].setdefault(lfn, None)


def _sitesOf(blocks: Sequence[LivingBlock], policies: Mapping[str, TypePolicy]) -> dict[str, list[BlockAtSite]]:
    """The blocks at each SE, but not those whose Type is not configured (well)."""
    found: dict[str, list[BlockAtSite]] = defaultdict(list)
    for block in blocks:
        policy = policies.get(block.typeName)
        for site in block.sites if policy else ():
            assert policy
            found[site.se].append(
                BlockAtSite(
                    blockID=block.blockID,
                    typeName=block.typeName,
                    block=block.name,
                    se=site.se,
                    transformationID=site.transformationID,
                    sourceSE=policy.sourceSE,
                    maxAttempts=policy.repairAttempts,
                )
            )
    return dict(found)


def _unfinished(blocks: Sequence[LivingBlock], everywhere: Sequence[BlockAtSite]) -> list[BlockAtSite]:
    """Where replicas were missing at the last look."""
    lacking = {(block.blockID, site.se) for block in blocks for site in block.sites if site.doneFiles < block.registeredFiles}
    return [at for at in everywhere if (at.blockID, at.se) in lacking]
