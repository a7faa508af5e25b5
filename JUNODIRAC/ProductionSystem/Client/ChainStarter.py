"""Makes a chain's production and transformations, and starts and stops them.

A start that was cut short anywhere is completed by another one: each piece is looked for by its name first, and nothing works
before all of it is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from DIRAC import gLogger
from DIRAC.ProductionSystem.Client.ProductionClient import ProductionClient
from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, StepKind
from JUNODIRAC.Core.Domain.ChainRecords import ChainState, StartedChain, StepTransformation
from JUNODIRAC.Core.Domain.ChainTransformations import copyBody, wantedTransformations
from JUNODIRAC.ProductionSystem.Client.ChainProductions import ACTIVE, NEW, STOPPED, ChainProductions
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.ProductionSystem.Client.JobBody import jobBody
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import COMPONENT as CATALOGUE
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import DFCCatalogue, registrationURLs
from JUNODIRAC.RawDataSystem.Client.Owner import productionManager

#: how long one start waits for another one of the same chain
_LOCK_SECONDS = 60.0
#: makes the workflow of the jobs of a step
Body = Callable[[ChainDescription, ChainStep], str]


class ChainStarter:
    """Each method may be repeated, and raises TemporaryFailure or ServiceRefusal.

    :param productions: acting for the production manager
    """

    def __init__(self, ledger: ChainLedger, productions: ChainProductions, body: Body) -> None:
        self._ledger = ledger
        self._productions = productions
        self._body = body
        self._log = gLogger.getSubLogger("ChainStarter")

    def complete(self, chain: StartedChain, actor: str) -> StartedChain:
        """Make what is missing of a chain in state Starting, and make it Active."""
        with self._alone(chain) as now:
            if now.state is not ChainState.STARTING:
                return now
            description = readChain(now.description)
            self._productions.defineFields()
            productionID = self._openProduction(now, description)
            numbers = self._openTransformations(now, description)
            self._join(productionID, description, now.production, numbers)
            self._activate(productionID, now)
            self._ledger.setChainState(now.chainID, [ChainState.STARTING], ChainState.ACTIVE, actor, datetime.now(UTC))
            self._log.notice("Started chain", f"{now.production} = production {productionID}")
            return self._ledger.chainByID(now.chainID)

    def stop(self, chain: StartedChain, actor: str) -> None:
        """Begin nothing new: no tasks are made, and no jobs or requests of tasks. What runs goes on."""
        with self._alone(chain) as now:
            # first the word of what is wanted: an agent that looks in between leaves the rest alone
            self._ledger.setChainState(now.chainID, [ChainState.ACTIVE], ChainState.STOPPED, actor, datetime.now(UTC))
            if now.productionID is not None:
                self._productions.setProductionStatus(now.productionID, STOPPED)
            self._switch(now, STOPPED, {ACTIVE, "Flush", "Idle"})

    def resume(self, chain: StartedChain, actor: str) -> None:
        """Undo a stop. What a gate holds stays held."""
        with self._alone(chain) as now:
            if now.productionID is not None:
                self._activate(now.productionID, now)
            self._ledger.setChainState(now.chainID, [ChainState.STOPPED], ChainState.ACTIVE, actor, datetime.now(UTC))

    # ---- steps

    @contextmanager
    def _alone(self, chain: StartedChain) -> Iterator[StartedChain]:
        """Holds the chain, and gives it as it is now."""
        with self._ledger.holdBlocks([("Chain", chain.production)], _LOCK_SECONDS):
            yield self._ledger.chainByID(chain.chainID)

    def _openProduction(self, chain: StartedChain, description: ChainDescription) -> int:
        steps = {
            wanted.name: {"step": wanted.step.name, "parentStep": list(wanted.parents)}
            for wanted in wantedTransformations(description, chain.production)
        }
        productionID = self._productions.openProduction(chain.production, json.dumps(steps))
        self._ledger.setProductionID(chain.chainID, productionID)
        return productionID

    def _openTransformations(self, chain: StartedChain, description: ChainDescription) -> dict[str, int]:
        """:returns: numbers by name"""
        numbers = {}
        for wanted in wantedTransformations(description, chain.production):
            step = wanted.step
            isCopy = step.kind is StepKind.REPLICATE
            body = copyBody(step.priority) if isCopy else self._body(description, step)
            number, _ = self._productions.openTransformation(wanted, body, chain.production)
            self._ledger.recordStep(StepTransformation(chain.chainID, step.number, wanted.se, step.name, step.kind, number))
            numbers[wanted.name] = number
        return numbers

    def _join(self, productionID: int, description: ChainDescription, production: str, numbers: dict[str, int]) -> None:
        members = self._productions.members(productionID)
        for wanted in wantedTransformations(description, production):
            number = numbers[wanted.name]
            if number not in members:
                self._productions.join(productionID, number, [numbers[parent] for parent in wanted.parents])

    def _activate(self, productionID: int, chain: StartedChain) -> None:
        self._productions.setProductionStatus(productionID, ACTIVE)
        self._switch(chain, ACTIVE, {NEW, STOPPED})

    def _switch(self, chain: StartedChain, status: str, old: set[str]) -> None:
        steps = self._ledger.chainSteps(chain.chainID)
        known = self._productions.statuses([step.transformationID for step in steps])
        for step in steps:
            # DIRAC has started them all with the production
            wanted = STOPPED if step.held else status
            isThere = known.get(step.transformationID)
            if isThere != wanted and isThere in old | {ACTIVE}:
                self._productions.setStatus(step.transformationID, wanted)


def openStarter(ledger: ChainLedger, vo: str) -> ChainStarter:
    """A starter that acts for the production manager of a VO.

    :raises ServiceRefusal: if the configuration does not name one
    """
    owner = productionManager(vo)
    who: dict[str, Any] = owner.clientArguments
    catalogue = DFCCatalogue(FileCatalogClient(url=CATALOGUE, **who), registrationURLs(owner.vo))
    productions = ChainProductions(ProductionClient(**who), TransformationClient(**who), catalogue)
    return ChainStarter(ledger, productions, jobBody)
