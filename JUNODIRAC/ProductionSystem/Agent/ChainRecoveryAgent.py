"""Recovers what chains do not bring to an end by themselves, retires what was merged, and counts what has ended.

Inputs whose job failed, vanished or ended without a word are given to another one, a bounded number of times; what such a job
may have written is removed, and looked for again until no process of it can be alive. Outputs that a job could not register are
registered. Copies that failed are tried again. What cannot be recovered is a person's: dirac-juno-chain status and
dirac-juno-audit name it. What is done about each input says a truth table (:mod:`JUNODIRAC.Core.Domain.ChainRecoveryTable`),
and each decision is in the journal before it is carried out. One instance is enough; a second one would do the same work twice,
and no harm.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN ChainRecoveryAgent
  :end-before: ##END
  :dedent: 2
  :caption: ChainRecoveryAgent options
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from DIRAC import S_OK
from DIRAC.ConfigurationSystem.Client.Helpers.CSGlobals import getVO
from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations
from DIRAC.Core.Base.AgentModule import AgentModule
from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue
from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient
from DIRAC.WorkloadManagementSystem.Client.JobMonitoringClient import JobMonitoringClient

from JUNODIRAC.Core.Domain.ChainRecoveryRecords import RecoveryPolicy
from JUNODIRAC.Core.Logic.ChainCleaning import CleaningOptions
from JUNODIRAC.Core.Logic.ChainRecovery import RecoveryOptions
from JUNODIRAC.ProductionSystem.Client.AuditCatalogue import AuditCatalogue
from JUNODIRAC.ProductionSystem.Client.BackgroundAudits import BackgroundAudits
from JUNODIRAC.ProductionSystem.Client.ChainAuditor import ChainAuditor
from JUNODIRAC.ProductionSystem.Client.ChainHands import ChainHands
from JUNODIRAC.ProductionSystem.Client.ChainManagerClient import ChainManagerClient
from JUNODIRAC.ProductionSystem.Client.ChainPolicies import zombieSeconds
from JUNODIRAC.ProductionSystem.Client.ChainRecoveryFacts import ChainRecoveryFacts
from JUNODIRAC.ProductionSystem.Client.ChainRecoveryRound import ChainRecoveryRound, RoundOptions, RoundTools
from JUNODIRAC.ProductionSystem.Client.OutputRegistrar import OutputRegistrar
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger
from JUNODIRAC.RawDataSystem.Client.DiracHands import DiracHands
from JUNODIRAC.RawDataSystem.Client.Owner import productionManager
from JUNODIRAC.RawDataSystem.Client.SiteStorage import SiteStorage, filesPerSlice
from JUNODIRAC.RawDataSystem.Client.SourceStorage import SourceStorage
from JUNODIRAC.RawDataSystem.Client.TransferFactsReader import TransferFactsReader
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import CATALOGUE

AGENT_NAME = "Production/ChainRecoveryAgent"


class ChainRecoveryAgent(AgentModule):
    """Composition root."""

    def initialize(self) -> dict[str, Any]:
        """Prepare. The database is connected in the first cycle that finds it."""
        self._ledger: ChainLedger | None = None
        self._audits: BackgroundAudits | None = None
        self._next = ""
        self._storages: dict[str, SourceStorage] = {}
        return S_OK()

    @convertToReturnValue
    def execute(self) -> None:
        """One bounded cycle."""
        started, now = monotonic(), datetime.now(UTC)
        ledger, options = self._openLedger(), self._options()
        until = started + self._number("SecondsPerCycle", 50)
        round_ = ChainRecoveryRound(ledger, self._tools(), options, self.log)
        self._next = round_.run(now, lambda: monotonic() < until, self._next)
        due = 0
        if not options.recovery.isDry:
            self._audits = self._audits or BackgroundAudits(
                ledger, self._auditor(ledger), self._number("AuditAgainSeconds", 600), self.log
            )
            due = self._audits.start(now)
        told = ", ".join(f"{name} {count}" for name, count in sorted(round_.counts.items()) if count)
        self.log.info("Cycle:", f"{told or 'nothing to do'}; {due} audits begun; {monotonic() - started:.2f} s")

    # -------------------------------------------------------------- what is needed

    def _openLedger(self) -> ChainLedger:
        if self._ledger is None:
            self._ledger = ChainLedger(parentLogger=self.log)
        return self._ledger

    def _tools(self) -> RoundTools:
        owner = productionManager(self._vo())
        catalogue = FileCatalogClient(url=CATALOGUE)
        facts = ChainRecoveryFacts(TransformationClient(), JobMonitoringClient(), catalogue, self._storage)
        return RoundTools(
            facts,
            ChainHands.of(owner),
            TransferFactsReader(storageOf=self._storage),
            DiracHands.of(owner),
            OutputRegistrar.of(self._vo() or getVO(), owner.clientArguments),
            ChainManagerClient(),
        )

    def _auditor(self, ledger: ChainLedger) -> Callable[[], ChainAuditor]:
        rate = self._number("ChecksumsPerSecond", 50)

        def make() -> ChainAuditor:
            return ChainAuditor(
                ledger,
                AuditCatalogue(),
                TransformationClient(),
                lambda se: SiteStorage(self._storage(se), rate),
                self._zombieSeconds(),
                filesPerSlice(rate),
            )

        return make

    def _storage(self, se: str) -> SourceStorage:
        if se not in self._storages:
            self._storages[se] = SourceStorage(se, self._vo() or getVO(), timeoutSeconds=self._number("StorageSeconds", 60))
        return self._storages[se]

    # -------------------------------------------------------------- options

    def _options(self) -> RoundOptions:
        scale, stuck = self._number("TimeScale", 1.0), self._number("StuckSeconds", 1800)
        isDry = bool(self.am_getOption("DryRun", False))
        policy = RecoveryPolicy(
            int(self._number("MaxAttempts", 5)),
            self._number("FirstWaitSeconds", 60) * scale,
            self._number("MaxWaitSeconds", 21600) * scale,
        )
        return RoundOptions(
            RecoveryOptions(stuck, self._number("UnsubmittedSeconds", 21600), policy, isDry),
            CleaningOptions(stuck, self._zombieSeconds(), int(self._number("AttemptsPerCycle", 500)), isDry),
            filesPerStep=int(self._number("FilesPerStep", 20000)),
            outputsPerRound=int(self._number("OutputsPerCycle", 500)),
            registerAfterSeconds=self._number("RegisterAfterSeconds", 300),
            copyAttempts=int(self._number("CopyAttempts", 5)),
            copyStuckSeconds=self._number("CopyStuckSeconds", 3600),
            timeScale=scale,
        )

    def _zombieSeconds(self) -> float:
        return zombieSeconds(Operations(vo=self._vo() or None))

    def _vo(self) -> str:
        vo: str = self.am_getOption("VO", "")
        return vo

    def _number(self, option: str, default: float) -> float:
        return float(self.am_getOption(option, default))
