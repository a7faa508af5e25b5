"""Copying files of a block again because a person wants it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.RepairRecords import DeclaredCopy, RepairState
from JUNODIRAC.Core.Domain.TransferFacts import CopyState
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.Core.Logic.RepairPorts import RepairHands
from JUNODIRAC.RawDataSystem.Client.BlockOpener import UnknownBlock
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import CATALOGUE, TRANSFORMATIONS
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

_STUCK = ("Problematic", "MissingInFC", "ProbInFC", "MaxReset")
_BACK_TO_WORK = (BlockState.REPLICATED, BlockState.VALIDATED, BlockState.DONE)


class BadSelection(Exception):
    """What a person named is not there."""


@dataclass(frozen=True)
class SitePlan:
    """What would be copied again to one site.

    :param files: LFNs
    :param registered: those of them whose replica there is taken out of the catalogue first
    :param kept: files whose only replica it is: they stay as they are
    :param underWay: files that wait for a copy already, or, of those that failed only, are being copied: they stay as they are
    :param requestIDs: requests of files that are being copied: they are cancelled first
    """

    se: str
    blockID: int
    transformationID: int
    files: Sequence[str]
    registered: Sequence[str]
    sizeBytes: int
    kept: Sequence[str] = ()
    underWay: Sequence[str] = ()
    requestIDs: Collection[int] = field(default_factory=tuple)

    def toDict(self) -> dict[str, Any]:
        """For the service's answer."""
        return {
            "SE": self.se,
            "TransformationID": self.transformationID,
            "Files": len(self.files),
            "SizeBytes": self.sizeBytes,
            "Registered": len(self.registered),
            "Kept": list(self.kept),
            "UnderWay": len(self.underWay),
            "Requests": len(self.requestIDs),
        }


class RetransferDesk:
    """Plans, and does what was planned.

    :param catalogue: DIRAC's FileCatalogClient; with anybody's credentials, as the next one
    :param transformations: DIRAC's TransformationClient
    :param copiesAt: what a storage says of files, see :meth:`TransferFactsReader.copiesAt`
    """

    def __init__(
        self,
        ledger: RawDataDB,
        catalogue: Any,
        transformations: Any,
        policy: TypePolicy,
        copiesAt: Callable[[str, dict[str, tuple[int, str]]], dict[str, tuple[CopyState, str]]],
    ) -> None:
        self._ledger, self._catalogue, self._transformations, self._policy = ledger, catalogue, transformations, policy
        self._copiesAt = copiesAt

    def plan(self, blockName: str, sites: Sequence[str], names: Sequence[str], onlyFailed: bool) -> list[SitePlan]:
        """What would be done at each site.

        :param sites: empty for all
        :param names: LFNs or file names; empty for all files
        :param onlyFailed: only what was given up, what the transformation gave up, and what has no replica there
        :raises UnknownBlock: if there is no such block
        :raises BadSelection: for a site or a name that the block does not have
        """
        block = self._ledger.findBlock(self._policy.typeName, blockName)
        found = self._ledger.findSites(self._policy.typeName, blockName)
        if block is None or found is None:
            raise UnknownBlock(self._policy.typeName, blockName)
        wrong = sorted(set(sites) - set(block.transfers))
        if wrong:
            known = ", ".join(sorted(block.transfers)) or "none"
            raise BadSelection(f"block {blockName} is not copied to {', '.join(wrong)}; its sites are {known}")
        lfns = self._chosen(blockName, names)
        declared = self._ledger.declaredCopies(lfns)
        chosen = sorted(sites or block.transfers)
        return [self._sitePlan(found[0], se, block.transfers[se], declared, onlyFailed) for se in chosen]

    def _chosen(self, blockName: str, names: Sequence[str]) -> list[str]:
        lfns = self._ledger.readRegistered(self._policy.typeName, blockName)
        if not names:
            return lfns
        byName = {lfn.rpartition("/")[2]: lfn for lfn in lfns} | {lfn: lfn for lfn in lfns}
        unknown = [name for name in names if name not in byName]
        if unknown:
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise BadSelection(f"block {blockName} has no registered file {', '.join(unknown[:3])}{more}; nothing was changed")
        return [byName[name] for name in dict.fromkeys(names)]

    def _sitePlan(
        self, blockID: int, se: str, transformationID: int, declared: dict[str, DeclaredCopy], onlyFailed: bool
    ) -> SitePlan:
        lfns = sorted(declared)
        replicas = valueOrRaise(self._catalogue.getReplicas(lfns, allStatus=True), CATALOGUE)["Successful"] if lfns else {}
        rows = self._rows(transformationID, lfns)
        statuses = {lfn: row["Status"] for lfn, row in rows.items()}
        leftAlone = ("Unused", "Assigned") if onlyFailed else ("Unused",)
        givenUp = set(self._ledger.listRepairs(blockID, se, RepairState.GIVEN_UP).get(se, {}))

        def hasFailed(lfn: str) -> bool:
            return lfn in givenUp or statuses.get(lfn) in _STUCK or se not in replicas.get(lfn, {})

        wanted = [lfn for lfn in lfns if not onlyFailed or hasFailed(lfn)]
        underWay = [lfn for lfn in wanted if statuses.get(lfn) in leftAlone and lfn not in givenUp]
        wanted = sorted(set(wanted) - set(underWay))
        registered = [lfn for lfn in wanted if se in replicas.get(lfn, {})]
        kept = [lfn for lfn in registered if set(replicas[lfn]) == {se}]
        files = sorted(set(wanted) - set(kept))
        return SitePlan(
            se=se,
            blockID=blockID,
            transformationID=transformationID,
            files=files,
            registered=sorted(set(registered) - set(kept)),
            sizeBytes=sum(declared[lfn].sizeBytes for lfn in files),
            kept=kept,
            underWay=underWay,
            requestIDs=self._requests(transformationID, [rows[lfn] for lfn in files if statuses.get(lfn) == "Assigned"]),
        )

    def _rows(self, transformationID: int, lfns: Sequence[str]) -> dict[str, dict[str, Any]]:
        if not lfns:
            return {}
        condition = {"TransformationID": transformationID, "LFN": list(lfns)}
        rows = valueOrRaise(self._transformations.getTransformationFiles(condDict=condition), TRANSFORMATIONS)
        return {row["LFN"]: row for row in rows}

    def _requests(self, transformationID: int, rows: Sequence[dict[str, Any]]) -> list[int]:
        """The requests of files that are being copied."""
        taskIDs = sorted({int(row.get("TaskID") or 0) for row in rows} - {0})
        if not taskIDs:
            return []
        condition = {"TransformationID": transformationID, "TaskID": taskIDs}
        tasks = valueOrRaise(self._transformations.getTransformationTasks(condDict=condition), TRANSFORMATIONS)
        return sorted({int(task["ExternalID"] or 0) for task in tasks} - {0})

    def carryOut(self, plan: SitePlan, hands: RepairHands, journal: Callable[[str], None], actor: str, reason: str) -> int:
        """Do it: block back to Closed, replica entries out of the catalogue, repairs begun anew, files back to Unused.

        :param journal: is called with each file and site before anything is done
        :returns: number of files
        :raises ServiceRefusal: if nothing may be taken out of the source
        """
        if plan.se == self._policy.sourceSE:
            raise ServiceRefusal(CATALOGUE, f"{plan.se} is the source of Type {self._policy.typeName}: nothing is copied there")
        if not plan.files:
            return 0
        for lfn in plan.files:
            journal(f"{lfn} {plan.se}")
        self._backToWork(plan, actor, reason)
        hands.cancelRequests(plan.requestIDs)
        failed = hands.deregister(plan.se, plan.registered)
        files = [lfn for lfn in plan.files if lfn not in failed]
        self._ledger.forgetRepairs(plan.blockID, plan.se, files)
        self._askBadSources(plan.se, files)
        hands.attach(plan.transformationID, files)
        hands.setUnused(plan.transformationID, files)
        for lfn, why in failed.items():
            raise ServiceRefusal(CATALOGUE, f"{len(failed)} replica(s) could not be taken out, e.g. {lfn}: {why}")
        return len(files)

    def _backToWork(self, plan: SitePlan, actor: str, reason: str) -> None:
        """A block that was copied is so no longer. BlockAgent does not look at one that is Done."""
        (block,) = self._ledger.readLivingBlocksByID([plan.blockID])
        why = f"{len(plan.files)} file(s) are copied to {plan.se} once more: {reason}"
        for site in block.sites:
            if site.se == plan.se and site.state in _BACK_TO_WORK:
                self._ledger.moveSite(plan.blockID, plan.se, site.state, BlockState.CLOSED, actor, why)
        if block.state in _BACK_TO_WORK:
            self._ledger.moveBlock(plan.blockID, block.state, BlockState.CLOSED, actor, why)

    def _askBadSources(self, se: str, lfns: Sequence[str]) -> None:
        """Replicas that were bad may have been put right: that is why somebody wants the files copied again."""
        bySE: dict[str, list[str]] = defaultdict(list)
        for lfn, storages in self._ledger.readBadReplicas(lfns).items():
            for other in set(storages) - {se}:
                bySE[other].append(lfn)
        declared = self._ledger.declaredCopies(lfns) if bySE else {}
        for other, members in bySE.items():
            try:
                found = self._copiesAt(other, {lfn: (declared[lfn].sizeBytes, declared[lfn].checksum) for lfn in members})
            except TemporaryFailure:
                continue  # the repair asks again
            good = [declared[lfn].fileID for lfn, (state, _) in found.items() if state is CopyState.GOOD]
            self._ledger.endBad(other, good)
