"""Repairs what did not get to a site by itself, or is no longer there, or not right; and tells people of what it cannot repair.

It looks at files that the Transformation System gave up, at those that are on their way for too long, at those that a
validation found missing or wrong, and at registered files that are in no transformation. What it does about each says a truth
table (:mod:`JUNODIRAC.Core.Domain.RepairTable`); how long it waits, and which sites it pauses, says the table of errors
(:mod:`JUNODIRAC.Core.Domain.TransferErrors`). Each decision is in the journal. Each site has a thread and a budget of its own.
One instance is enough; a second one would do the same work twice.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN BlockRepairAgent
  :end-before: ##END
  :dedent: 2
  :caption: BlockRepairAgent options
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from DIRAC import S_OK
from DIRAC.ConfigurationSystem.Client.Helpers.CSGlobals import getVO
from DIRAC.Core.Base.AgentModule import AgentModule
from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue
from DIRAC.Resources.Storage.StorageElement import StorageElement
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.Core.Domain.RepairRecords import LossLimits
from JUNODIRAC.Core.Domain.TransferErrors import ErrorClass
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.DoubtCheck import DoubtCheck
from JUNODIRAC.Core.Logic.RepairCycle import ACTOR, RepairCycle
from JUNODIRAC.Core.Logic.RepairFile import RepairOptions
from JUNODIRAC.RawDataSystem.Client.BackgroundDoubts import BackgroundDoubts
from JUNODIRAC.RawDataSystem.Client.DiracHands import DiracHands
from JUNODIRAC.RawDataSystem.Client.Owner import productionManager
from JUNODIRAC.RawDataSystem.Client.RepairCandidates import RepairCandidates
from JUNODIRAC.RawDataSystem.Client.SiteRepairs import SiteLimits, SiteRepairs
from JUNODIRAC.RawDataSystem.Client.SourceStorage import SourceStorage
from JUNODIRAC.RawDataSystem.Client.TransferFactsReader import TransferFactsReader
from JUNODIRAC.RawDataSystem.Client.TypePolicies import loadEachTypePolicy
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

AGENT_NAME = "RawData/BlockRepairAgent"
_STOP_GRACE_SECONDS = 2.0


class BlockRepairAgent(AgentModule):
    """Composition root: finds the files, lets each site work on its own."""

    def initialize(self) -> dict[str, Any]:
        """Prepare. The database is connected in the first cycle that finds it."""
        self._ledger: RawDataDB | None = None
        self._policies: dict[str, TypePolicy] = {}
        self._candidates: RepairCandidates | None = None
        self._sites: dict[str, SiteRepairs] = {}
        self._storages: dict[str, SourceStorage] = {}
        self._doubts: BackgroundDoubts | None = None
        return S_OK()

    @convertToReturnValue
    def execute(self) -> None:
        """One bounded cycle."""
        now = datetime.now(UTC)
        until = now + timedelta(seconds=self._number("SecondsPerCycle", 50))
        ledger = self._openLedger()
        self._loadPolicies()
        self._doubts = self._doubts or BackgroundDoubts(lambda: DoubtCheck(ledger, self._facts()), self.log)
        self._doubts.start()
        maxFiles, scale = int(self._number("FilesPerSite", 1000)), self._number("TimeScale", 1.0)
        self._candidates = self._candidates or self._makeCandidates(ledger, maxFiles, scale)
        work = self._candidates.find(ledger.readLivingBlocks(), self._policies, now, self._number("StuckSeconds", 3600))
        self._pauseLosses(ledger, self._candidates.massLosses, now)
        pauses, stuck = ledger.readPauses(now), self._number("StuckSeconds", 3600)
        limits = SiteLimits(maxFiles, scale, stuck / 4)
        working = []
        for se, files in work.items():
            site = self._site(ledger, se)
            if files and site.start(files, [each for each in pauses if each.se == se], until, limits):
                working.append(site)
        for site in working:
            site.join((until - datetime.now(UTC)).total_seconds() + _STOP_GRACE_SECONDS)
        self.log.verbose("Looked at", f"{sum(len(named) for files in work.values() for _, named in files)} files")

    def _pauseLosses(self, ledger: RawDataDB, losses: Mapping[str, str], now: datetime) -> None:
        """Sites where very much is missing or wrong at once: nothing is taken out or copied there before a person resumes."""
        paused = {each.se for each in ledger.readPauses(now) if each.errorClass == ErrorClass.MASS_LOSS}
        for se in losses.keys() - paused:
            reason = losses[se]
            ledger.recordDecisions(ACTOR, "pauseSite", {se: f"until somebody resumes: {reason}"})
            ledger.addPause(se, 0, None, ACTOR, reason, ErrorClass.MASS_LOSS.value)
            self.log.error(f"{se} is paused until somebody resumes:", reason)

    # -------------------------------------------------------------- what is needed

    def _openLedger(self) -> RawDataDB:
        if self._ledger is None:
            self._ledger = RawDataDB(parentLogger=self.log)
        return self._ledger

    def _loadPolicies(self) -> None:
        """Read the Types; of one that is wrong the last good policy holds on."""
        good, bad = loadEachTypePolicy(self._vo())
        for reason in bad.values():
            self.log.error("A Type cannot be used:", reason)
        self._policies = {name: policy for name, policy in self._policies.items() if name in bad} | good

    def _makeCandidates(self, ledger: RawDataDB, maxFiles: int, scale: float) -> RepairCandidates:
        limits = LossLimits(int(self._number("MassLossFiles", 20)), self._number("MassLossShare", 0.1))
        return RepairCandidates(ledger, TransformationClient(), maxFiles, scale, limits)

    def _site(self, ledger: RawDataDB, se: str) -> SiteRepairs:
        if se not in self._sites:
            self._sites[se] = SiteRepairs(se, lambda: self._makeCycle(ledger), ledger, self._isBanned, self.log)
        return self._sites[se]

    def _makeCycle(self, ledger: RawDataDB) -> RepairCycle:
        options = RepairOptions(self._number("StuckSeconds", 3600), self._number("TimeScale", 1.0))
        return RepairCycle(ledger, self._facts(), DiracHands.of(productionManager(self._vo())), options)

    def _facts(self) -> TransferFactsReader:
        return TransferFactsReader(storageOf=self._storage)

    def _isBanned(self, se: str) -> bool:
        """Whether nothing may be written there now; a storage element without a status is no reason to wait."""
        status: dict[str, Any] = StorageElement(se, vo=self._vo() or getVO()).status()
        return status.get("Write") is False

    def _storage(self, se: str) -> SourceStorage:
        if se not in self._storages:
            self._storages[se] = SourceStorage(se, self._vo() or getVO(), timeoutSeconds=self._number("StorageSeconds", 60))
        return self._storages[se]

    # -------------------------------------------------------------- options

    def _vo(self) -> str:
        vo: str = self.am_getOption("VO", "")
        return vo

    def _number(self, option: str, default: float) -> float:
        return float(self.am_getOption(option, default))
