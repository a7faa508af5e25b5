"""Drives the life of blocks: Open, Closed, Replicated, Validated, Done, and Problem beside them.

Each cycle looks at the blocks for which something is left to be done, and makes the changes of state that what is known demands;
each is an event with its reason in the ledger. It closes blocks by what their Type says, has their tails sent out, completes the
transformations of blocks that are Done, which DIRAC's TransformationCleaningAgent then archives, and reopens them when a block
goes back to work. One instance is enough; a second one would find everything done.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN BlockAgent
  :end-before: ##END
  :dedent: 2
  :caption: BlockAgent options
"""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic
from typing import Any

from DIRAC import S_OK
from DIRAC.Core.Base.AgentModule import AgentModule
from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.BlockCycle import BlockCycle, CycleLimits, CycleReport
from JUNODIRAC.RawDataSystem.Client.BlockTransformations import BlockTransformations
from JUNODIRAC.RawDataSystem.Client.Owner import productionManager
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import TransferMonitor
from JUNODIRAC.RawDataSystem.Client.TypePolicies import loadEachTypePolicy
from JUNODIRAC.RawDataSystem.DB.LedgerBlockCycle import LedgerBlockCycle

AGENT_NAME = "RawData/BlockAgent"
_LIMITS = CycleLimits()


class BlockAgent(AgentModule):
    """Composition root: gives the cycle what it needs, and says what it did."""

    def initialize(self) -> dict[str, Any]:
        """Prepare. What is away at the start is found in a later cycle."""
        self._cycle: BlockCycle | None = None
        self._policies: dict[str, TypePolicy] = {}
        self._said: dict[str, str] = {}
        return S_OK()

    @convertToReturnValue
    def execute(self) -> None:
        """One bounded cycle."""
        started = monotonic()
        badTypes = self._loadPolicies()
        try:
            report = self._openCycle().run(self._policies, self._limits(), datetime.now(UTC))
        except Exception as exc:  # noqa: BLE001 the ledger is away, or the configuration is not complete: next time again
            self._say({"blocks": str(exc) or repr(exc)})
            return
        self._say(badTypes | report.troubles)
        self._sumUp(report, monotonic() - started)

    def _openCycle(self) -> BlockCycle:
        if self._cycle is None:
            owner = productionManager(self._vo())
            transformations = BlockTransformations(TransformationClient(), TransformationClient(**owner.clientArguments))
            self._cycle = BlockCycle(LedgerBlockCycle(parentLogger=self.log), TransferMonitor(), transformations, monotonic)
        return self._cycle

    def _loadPolicies(self) -> dict[str, str]:
        """Read the Types; of one that is wrong the last good policy holds on.

        :returns: what is wrong, by Type
        """
        good, bad = loadEachTypePolicy(self._vo())
        self._policies = {name: policy for name, policy in self._policies.items() if name in bad} | good
        return {f"configuration of Type {name}": why for name, why in bad.items()}

    def _say(self, troubles: dict[str, str]) -> None:
        """Say of each trouble once that it began, and once that it is over."""
        for what, why in sorted(troubles.items()):
            if what not in self._said:
                self.log.warn(f"Stands still, and is tried again: {what}:", why)
        for what in sorted(self._said.keys() - troubles.keys()):
            self.log.notice("Goes on:", what)
        self._said = troubles

    def _sumUp(self, report: CycleReport, seconds: float) -> None:
        say = self.log.info if report.moved or report.effects else self.log.verbose
        more = "; there is more to do" if report.isCut else ""
        say(
            "Cycle:",
            f"{report.blocks} blocks, {report.moved} changes of state, {report.effects} transformations switched,"
            f" {len(report.troubles)} troubles, {seconds:.2f} s{more}",
        )

    def _limits(self) -> CycleLimits:
        return CycleLimits(
            seconds=float(self.am_getOption("MaxSeconds", _LIMITS.seconds)),
            patienceSeconds=self._number("RepairPatienceSeconds", _LIMITS.patienceSeconds),
        )

    def _vo(self) -> str:
        vo: str = self.am_getOption("VO", "")
        return vo

    def _number(self, option: str, default: int) -> int:
        return int(self.am_getOption(option, default))
