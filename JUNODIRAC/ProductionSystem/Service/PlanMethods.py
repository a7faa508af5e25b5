"""Methods of Production/ChainManager that TransformationAgent calls to make tasks of a step's inputs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations

from JUNODIRAC.ProductionSystem.Client.PlanDesk import DEFAULT_SITE_PATIENCE_SECONDS, PlanDesk
from JUNODIRAC.ProductionSystem.Client.ServiceProbes import storagesOfSites
from JUNODIRAC.ProductionSystem.Service.ChainService import ChainService
from JUNODIRAC.RawDataSystem.Service.RawDataService import AGENTS, answer

_PATIENCE = "RawData/Chains/SitePatienceSeconds"


class PlanMethods(ChainService):
    """Nothing is promised by a plan: it may be asked for again, and only what the agent makes tasks of is taken."""

    _planDesks: dict[str, PlanDesk] = {}
    _planLock = threading.Lock()

    auth_planTasks = AGENTS
    types_planTasks = [int, dict]

    @answer
    def export_planTasks(self, transformationID: int, files: dict[str, list[str]], askedTime: str = "") -> dict[str, Any]:
        """Which of a step's free inputs become tasks now.

        :param files: storage elements by LFN, of all that are Unused
        :param askedTime: UTC, when they were: what the step was given later is not taken for something that another task has
        :returns: Groups: pairs of a storage element and LFNs in order; Awaited: LFNs whose replicas should be looked up again
        """
        vo = self._vo()
        patienceSeconds = float(Operations(vo=vo or None).getValue(_PATIENCE, DEFAULT_SITE_PATIENCE_SECONDS))
        time = datetime.fromisoformat(askedTime) if askedTime else None
        return self._planDesk(vo).plan(transformationID, files, time, patienceSeconds)

    auth_getPlanTurns = AGENTS
    types_getPlanTurns = [[list, tuple]]

    @answer
    def export_getPlanTurns(self, transformationIDs: Sequence[int]) -> dict[str, dict[str, Any]]:
        """When to plan: by transformation (as text) Stamp, another one when something changed, and LookSeconds."""
        return self._planDesk(self._vo()).turns([int(each) for each in transformationIDs])

    def _planDesk(self, vo: str) -> PlanDesk:
        with self._planLock:
            if vo not in self._planDesks:
                self._planDesks[vo] = PlanDesk(self.chains, storagesOfSites(vo))
            return self._planDesks[vo]
