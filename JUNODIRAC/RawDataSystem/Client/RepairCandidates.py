"""Which files the repair has to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock
from JUNODIRAC.Core.Domain.RepairRecords import LossLimits
from JUNODIRAC.Core.Domain.TransferErrors import ErrorClass
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Domain.Validation import Difference, Validation, Verdict
from JUNODIRAC.Core.Logic.RepairPorts import BlockAtSite
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import TRANSFORMATIONS
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

#: by LFN, when a validation named it, or None
Named = dict[str, datetime | None]

_STUCK = ["Problematic", "MissingInFC", "ProbInFC", "MaxReset"]
_LOST = (Difference.MISSING, Difference.WRONG_SIZE, Difference.WRONG_CHECKSUM)
_TO_REPAIR = (*_LOST, Difference.UNCATALOGUED)
_TRANSFORMATIONS_PER_CALL = 1000
_BLOCKS_TO_ATTACH = 5
# this has to count the files of all unfinished transfers
_ATTACH_SECONDS = 600.0
# only names are read here: who waits in a long queue must not hide who is stuck
_SCANNED_FILES = 20_000
_TIME = "%Y-%m-%d %H:%M:%S"


class _Stuck(NamedTuple):
    """Which transformations have files in one of these statuses that did not change since a time, and how many."""

    statuses: list[str]
    older: str | None
    counts: dict[int, int]


class RepairCandidates:
    """Finds them in few calls for all blocks together.

    :param transformations: DIRAC's TransformationClient
    :param maxFiles: of one site, and of one kind
    :param timeScale: of the time between two searches for files that are in no transformation
    """

    def __init__(
        self,
        ledger: RawDataDB,
        transformations: Any,
        maxFiles: int,
        timeScale: float = 1.0,
        lossLimits: LossLimits | None = None,
    ) -> None:
        self._ledger, self._transformations, self._maxFiles = ledger, transformations, maxFiles
        self._lossLimits = lossLimits or LossLimits()
        #: by SE, in words: so much is missing or wrong there at once that nothing is done about it before a person says so
        self.massLosses: dict[str, str] = {}
        self._attachInterval = timedelta(seconds=_ATTACH_SECONDS * timeScale)
        self._nextAttach: datetime | None = None
        self._turns = 0

    def find(
        self, blocks: Sequence[LivingBlock], policies: Mapping[str, TypePolicy], now: datetime, stuckSeconds: float
    ) -> dict[str, list[tuple[BlockAtSite, Named]]]:
        """The files by SE, those that are due for longest first. What waits for its next attempt is left out.

        :raises TemporaryFailure: if ledger or TransformationManager do not answer
        """
        sites = _sitesOf(blocks, policies)
        found: dict[BlockAtSite, Named] = defaultdict(dict)
        stuck = self._transformationsWithStuck(now, stuckSeconds) if sites else []
        for se, there in sites.items():
            waiting = self._ledger.waitingRepairs(se, now)
            byID = {at.blockID: at for at in there}
            for blockID, lfns in self._ledger.dueRepairs(se, now, self._maxFiles).items():
                if blockID in byID:
                    found[byID[blockID]].update(dict.fromkeys(lfns))
            for at, lfn in self._stuckFiles(there, stuck):
                if lfn not in waiting:
                    found[at].setdefault(lfn, None)
        everywhere = [at for there in sites.values() for at in there]
        self._addNamed(everywhere, found, now)
        if self._nextAttach is None or now >= self._nextAttach:
            self._nextAttach = now + self._attachInterval
            self._addUnattached(_unfinished(blocks, everywhere), {block.blockID: block for block in blocks}, found)
        return {se: [(at, found[at]) for at in there if found.get(at)] for se, there in sites.items()}

    # ---- where they come from

    def _transformationsWithStuck(self, now: datetime, stuckSeconds: float) -> list[_Stuck]:
        """The transformations with files that were given up, and those with files that are on their way for too long.

        Asked for all at once: to name a thousand transformations takes the service longer than to count the files of all.
        """
        before = (now - timedelta(seconds=stuckSeconds)).strftime(_TIME)
        found = []
        for statuses, older in ((_STUCK, None), (["Assigned"], before)):
            counted = valueOrRaise(
                self._transformations.getCounters(
                    "TransformationFiles", ["TransformationID"], {"Status": statuses}, older=older, timeStamp="LastUpdate"
                ),
                TRANSFORMATIONS,
            )
            found.append(_Stuck(statuses, older, {int(row["TransformationID"]): int(count) for row, count in counted}))
        return found

    def _stuckFiles(self, there: Sequence[BlockAtSite], stuck: Sequence[_Stuck]) -> Iterable[tuple[BlockAtSite, str]]:
        """Files of a site that the transformation system gave up, or that are on their way for too long."""
        byID = {at.transformationID: at for at in there}
        for each in stuck:
            ids = self._turn({number: each.counts[number] for number in each.counts.keys() & byID.keys()})
            for start in range(0, len(ids), _TRANSFORMATIONS_PER_CALL):
                condition = {"TransformationID": ids[start : start + _TRANSFORMATIONS_PER_CALL], "Status": each.statuses}
                rows = valueOrRaise(
                    self._transformations.getTransformationFiles(
                        condDict=condition,
                        older=each.older,
                        timeStamp="LastUpdate",
                        orderAttribute="LastUpdate",
                        columns=["TransformationID", "LFN"],
                    ),
                    TRANSFORMATIONS,
                )
                for row in rows:
                    yield byID[int(row["TransformationID"])], row["LFN"]

    def _turn(self, counts: Mapping[int, int]) -> list[int]:
        """Transformations that have together about as many files as are read in one cycle; each time from another one on.

        DIRAC's client cannot read a part of the files.
        """
        ids = sorted(counts)
        if sum(counts.values()) > _SCANNED_FILES:
            self._turns += 1
            start = self._turns * 7919 % len(ids)
            ids = ids[start:] + ids[:start]
        chosen, left = [], _SCANNED_FILES
        for number in ids:
            if left <= 0:
                break
            chosen.append(number)
            left -= counts[number]
        return chosen

    def _addNamed(self, everywhere: Sequence[BlockAtSite], found: dict[BlockAtSite, Named], now: datetime) -> None:
        """Files that the newest validation found not to be right, and about which nothing was done since."""
        self.massLosses = {}
        newest = self._ledger.newestValidations(sorted({at.blockID for at in everywhere}), conclusiveOnly=True)
        bad = {key for key, validation in newest.items() if validation.verdict is Verdict.BAD}
        if not bad:
            return
        # an incomplete look says nothing of what an earlier one found
        named = self._ledger.newestValidations(sorted({number for number, _ in bad}), withNames=True, conclusiveOnly=True)
        bySE: dict[str, list[tuple[BlockAtSite, Validation, Named]]] = defaultdict(list)
        for at in everywhere:
            if (at.blockID, at.se) in bad:
                validation = named[at.blockID, at.se]
                bySE[at.se].append((at, validation, self._open(at, validation)))
        for se, looks in bySE.items():
            if not self._isMassLoss(se, looks, now):
                for at, _, files in looks:
                    found[at].update(files)

    def _open(self, at: BlockAtSite, validation: Validation) -> Named:
        """The files that a validation named, and about which nothing was done since."""
        records = self._ledger.listRepairs(at.blockID, at.se).get(at.se, {})
        names = (lfn for kind in _TO_REPAIR for lfn in validation.names.get(kind, ()))
        return {lfn: validation.endedTime for lfn in names if lfn not in records or records[lfn].lastTime < validation.endedTime}

    def _isMassLoss(self, se: str, looks: Sequence[tuple[BlockAtSite, Validation, Named]], now: datetime) -> bool:
        """Whether so much is missing or wrong that most likely the storage is, and nobody has said since that it is not."""
        pauses = self._ledger.lastPauses(se)
        decided = max((each.ended for each in pauses if each.errorClass == ErrorClass.MASS_LOSS and each.ended), default=None)
        lost = lookedAt = 0
        for _, validation, files in looks:
            if decided is None or validation.endedTime > decided:
                lost += sum(lfn in files for kind in _LOST for lfn in validation.names.get(kind, ()))
                lookedAt += validation.files
        if not lost:
            return False
        since = now - timedelta(seconds=self._lossLimits.windowSeconds)
        before = self._ledger.countLost(se, max(since, decided) if decided else since)
        if not self._lossLimits.isExceeded(lost + before, lookedAt + before):
            return False
        self.massLosses[se] = f"{lost + before} of {lookedAt + before} registered copies are missing or wrong at {se}"
        return True

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
