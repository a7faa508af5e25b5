"""Feeds the chains: takes new blocks in, gives files to first steps as their gates open, holds steps whose services are away, and
says which steps have ended.

Each cycle looks at the chains that are Active. Files are given once and never taken back: a row in the ledger first, then the
Transformation System. What got lost in between is found by the numbers of both and given again. One instance is enough; a second
one would find everything done.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN ChainAgent
  :end-before: ##END
  :dedent: 2
  :caption: ChainAgent options
"""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic
from typing import Any

from DIRAC import S_OK
from DIRAC.ConfigurationSystem.Client.Helpers.CSGlobals import getVO
from DIRAC.Core.Base.AgentModule import AgentModule
from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.Core.Logic.ChainCycle import ChainCycle, ChainLimits, ChainReport
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.ProductionSystem.Client.ChainStarter import openStarter
from JUNODIRAC.ProductionSystem.Client.FedTransformations import FedTransformations
from JUNODIRAC.ProductionSystem.Client.ServiceProbes import ServiceProbes, storagesOfSites
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger
from JUNODIRAC.RawDataSystem.Client.Owner import productionManager
from JUNODIRAC.RawDataSystem.Client.SiteCatalogue import SiteCatalogue

AGENT_NAME = "Production/ChainAgent"
_LIMITS = ChainLimits()
_DEFAULT_PROBE_SECONDS = 20.0


class ChainAgent(AgentModule):
    """Composition root: gives the cycle what it needs, and says what it did."""

    def initialize(self) -> dict[str, Any]:
        """Prepare. What is away at the start is found in a later cycle."""
        self._cycle: ChainCycle | None = None
        self._said: dict[str, str] = {}
        return S_OK()

    @convertToReturnValue
    def execute(self) -> None:
        """One bounded cycle."""
        started = monotonic()
        try:
            report = self._openCycle().run(self._limits(), datetime.now(UTC))
        except Exception as exc:  # noqa: BLE001 the ledger is away, or the configuration is not complete: next time again
            self._say({"chains": str(exc) or repr(exc)})
            return
        for news in report.news:
            self.log.notice(news)
        self._say(report.troubles)
        self._sumUp(report, monotonic() - started)

    def _openCycle(self) -> ChainCycle:
        if self._cycle is None:
            vo = self._vo()
            owner = productionManager(vo)
            transformations = FedTransformations(TransformationClient(), TransformationClient(**owner.clientArguments))
            prober = ServiceProbes(vo, self._number("ProbeSeconds", _DEFAULT_PROBE_SECONDS))
            ledger, storagesOf = ChainLedger(parentLogger=self.log), storagesOfSites(vo)
            complete = openStarter(ledger, vo).complete
            self._cycle = ChainCycle(ledger, SiteCatalogue(), transformations, readChain, prober, storagesOf, complete, monotonic)
        return self._cycle

    def _say(self, troubles: dict[str, str]) -> None:
        """Say of each trouble once that it began, and once that it is over."""
        for what, why in sorted(troubles.items()):
            if what not in self._said:
                self.log.warn(f"Stands still, and is tried again: {what}:", why)
        for what in sorted(self._said.keys() - troubles.keys()):
            self.log.notice("Goes on:", what)
        self._said = troubles

    def _sumUp(self, report: ChainReport, seconds: float) -> None:
        say = self.log.info if report.given or report.news else self.log.verbose
        more = "; there is more to do" if report.isCut else ""
        say(
            "Cycle:",
            f"{report.chains} chains, {report.blocks} blocks, looked at the files of {report.looked}, {report.given} files given,"
            f" {len(report.troubles)} troubles, {seconds:.2f} s{more}",
        )

    def _limits(self) -> ChainLimits:
        return ChainLimits(
            cycleSeconds=self._number("SecondsPerCycle", _LIMITS.cycleSeconds),
            probePeriodSeconds=self._number("ProbePeriodSeconds", _LIMITS.probePeriodSeconds),
            countSeconds=self._number("CountSeconds", _LIMITS.countSeconds),
            refreshSeconds=self._number("RefreshSeconds", _LIMITS.refreshSeconds),
            heldAlarmSeconds=self._number("HeldAlarmSeconds", _LIMITS.heldAlarmSeconds),
        )

    def _vo(self) -> str:
        vo: str = self.am_getOption("VO", "") or getVO()
        return vo

    def _number(self, option: str, default: float) -> float:
        return float(self.am_getOption(option, default))
