"""What the service answers to the agent that makes tasks of the inputs of a step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from DIRAC import gLogger

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, StepKind
from JUNODIRAC.Core.Domain.ChainRecords import StartedChain, StepTransformation
from JUNODIRAC.Core.Logic.TaskPlanner import StepSites, TaskPlan, TaskPlanner
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal

DEFAULT_SITE_PATIENCE_SECONDS = 1800
#: after which a step is looked at though nothing seems to have changed
LOOK_SECONDS = 60.0
_SHORTEST_LOOK_SECONDS = 2.0
# by which the clocks of two machines may differ
_CLOCKS_DIFFER = timedelta(seconds=5)
_NAMES_IN_LOG = 5


class PlanDesk:
    """One for the life of a service.

    :param ledger: :class:`JUNODIRAC.ProductionSystem.DB.ChainLedger.ChainLedger`
    :param storagesOf: the storage elements of a site
    """

    def __init__(self, ledger: Any, storagesOf: Callable[[str], Collection[str]]) -> None:
        self._ledger, self._storagesOf = ledger, storagesOf
        self._log: Any = gLogger.getSubLogger(self.__class__.__name__)
        self._unknown: dict[int, list[str]] = {}

    def plan(
        self, transformationID: int, asked: Mapping[str, Sequence[str]], askedTime: datetime | None, patienceSeconds: float
    ) -> dict[str, Any]:
        """Tasks of a step.

        :param asked: storage elements by LFN, of all files that were Unused at ``askedTime``
        :returns: Groups: pairs of a storage element and LFNs in order; Awaited: LFNs whose replicas should be looked up again
        :raises ChainRefused: if the transformation belongs to no chain
        """
        chain, row = self._ledger.chainOfTransformation(transformationID)
        description = _description(chain.description)
        step = description.steps[row.stepNumber - 1]
        if step.kind is StepKind.REPLICATE:
            raise ServiceRefusal("ChainManager", f"step {step.name} of {chain.production} copies files, and has no jobs to plan")
        sites = self._sites(chain, step.name, step.sites)
        planner = TaskPlanner(self._ledger, chain.chainID, description, step, sites, patienceSeconds)
        now = datetime.now(UTC)
        if step.kind is StepKind.PROCESS:
            plan = planner.planProcess(asked, now)
        else:
            plan = planner.planMerge(asked, (askedTime or now) - _CLOCKS_DIFFER)
        self._logUnknown(transformationID, chain, row, plan)
        return {"Groups": [[se, lfns] for se, lfns in plan.groups], "Awaited": plan.awaited}

    def turns(self, transformationIDs: Collection[int]) -> dict[str, dict[str, Any]]:
        """By transformation (as text) Stamp, which is another one when there may be something new to plan though no file came,
        and LookSeconds, after which to plan in any case. Those that belong to no chain are left out."""
        steps = self._ledger.stepsOfTransformations(transformationIDs)
        stamps = self._ledger.planStamps({chain.chainID for chain, _ in steps})
        found = {}
        for chain, row in steps:
            lookSeconds = _lookSeconds(_description(chain.description), row.stepNumber)
            found[str(row.transformationID)] = {"Stamp": stamps[chain.chainID], "LookSeconds": lookSeconds}
        return found

    def _sites(self, chain: StartedChain, step: str, sites: Sequence[str]) -> StepSites:
        storages: dict[str, list[str]] = {}
        for site in sites:
            try:
                storages[site] = list(self._storagesOf(site))
            except ServiceRefusal as error:
                self._log.warn("A site gets no tasks:", f"step {step} of {chain.production}: {error}")
        if not storages:
            reason = f"none of the sites of step {step} of {chain.production} has a storage element: {', '.join(sites)}"
            raise ServiceRefusal("Configuration", f"{reason}; set SE of one in /Resources/Sites")
        return StepSites(storages)

    def _logUnknown(self, transformationID: int, chain: StartedChain, row: StepTransformation, plan: TaskPlan) -> None:
        if plan.unknown and plan.unknown != self._unknown.get(transformationID):
            names = ", ".join(plan.unknown[:_NAMES_IN_LOG])
            self._log.warn(
                f"{len(plan.unknown)} files of transformation {transformationID} are no inputs of step {row.step} of"
                f" {chain.production} and stay Unused: somebody attached them by hand, or InputDataAgent found files that no job"
                " of this chain made",
                names,
            )
        self._unknown[transformationID] = plan.unknown


@lru_cache(maxsize=64)
def _description(text: str) -> ChainDescription:
    return readChain(text)


def _lookSeconds(description: ChainDescription, stepNumber: int) -> float:
    """Groups that wait for more go out in time."""
    step = description.steps[stepNumber - 1]
    if step.kind is StepKind.PROCESS and step.groupFiles > 1:
        return min(max(step.maxWaitSeconds / 4, _SHORTEST_LOOK_SECONDS), LOOK_SECONDS)
    return LOOK_SECONDS
