"""Methods of Production/ChainManager about the quality of runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations

from JUNODIRAC.Core.Domain.RunQuality import runsText
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.ProductionSystem.Client.RunDesk import RunDesk
from JUNODIRAC.ProductionSystem.Service.ChainService import ChainService
from JUNODIRAC.RawDataSystem.Service.RawDataService import MANAGERS, READERS, answer


class RunMethods(ChainService):
    """Everyone may look, production managers may flag."""

    auth_listRunFlags = READERS
    types_listRunFlags = [str, list]

    @answer
    def export_listRunFlags(self, quality: str, runs: list[str]) -> list[dict[str, Any]]:
        """What was said of runs, the latest first, see :meth:`RunDesk.listAll`.

        :param quality: only runs that were flagged with this word; empty for all
        :param runs: only these runs and ranges of runs; empty for all
        """
        return self._runs().listAll(quality, runs)

    auth_getRunFlagPlan = READERS
    types_getRunFlagPlan = [list, str]

    @answer
    def export_getRunFlagPlan(self, runs: list[str], quality: str) -> dict[str, Any]:
        """What flagRuns would change, see :meth:`RunDesk.plan`."""
        return self._runs().plan(runs, quality)

    auth_flagRuns = MANAGERS
    types_flagRuns = [list, str, str]

    @answer
    def export_flagRuns(self, runs: list[str], quality: str, reason: str) -> dict[str, Any]:
        """Say what runs are, whatever was said of them before, see :meth:`RunDesk.plan`.

        :param reason: why, for the journal and for whoever asks
        """
        actor = self._manager(reason)
        desk = self._runs()
        plan = desk.plan(runs, quality)
        # before the change: one that was cut short must be in the journal too
        self.ledger.recordJournal(actor.name, actor.group, "flagRuns", f"runs {runsText(plan['Runs'])} {quality}", actor.reason)
        return desk.flag(runs, quality, actor.name, actor.reason, datetime.now(UTC))

    def _runs(self) -> RunDesk:
        others = Operations(vo=self._vo() or None).getValue("RawData/Chains/RunQualities", [])
        return RunDesk(self.chains, list(others), readChain)
