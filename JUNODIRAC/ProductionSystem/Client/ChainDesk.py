"""Where people start chains, give them blocks, stop them and let them go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, productionName
from JUNODIRAC.Core.Domain.ChainItem import BadChain
from JUNODIRAC.Core.Domain.ChainRecords import ChainRefused, ChainScope, ChainState, StartedChain
from JUNODIRAC.Core.Domain.ChainRules import Known
from JUNODIRAC.Core.Domain.ChainTransformations import wantedTransformations
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.ProductionSystem.Client.ChainScopes import MeantBlocks, meantBlocks
from JUNODIRAC.ProductionSystem.Client.ChainStarter import ChainStarter
from JUNODIRAC.ProductionSystem.DB.ChainBlockBook import BlocksTaken, Taken
from JUNODIRAC.ProductionSystem.DB.ChainBook import AlreadyStarted, NewChain
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger

#: states in which a chain takes blocks
_LIVING = (ChainState.STARTING, ChainState.ACTIVE, ChainState.STOPPED)


class ChainDesk:
    """Plans are made for people to confirm; what then happens is looked at again.

    :param known: what the configuration knows
    """

    def __init__(self, ledger: ChainLedger, starter: ChainStarter, known: Known) -> None:
        self._ledger = ledger
        self._starter = starter
        self._known = known

    # ---- start

    def planStart(self, text: str, fileName: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What :meth:`start` would do: Production, Chain, Version, OutputVersion, Type, Completes, Differs, Earlier, Steps,
        Blocks, Datasets, EachNewBlock, Files, SizeBytes.

        :raises ChainRefused: if it would refuse
        """
        description = self._read(text, fileName)
        meant = meantBlocks(self._ledger, description.inputType, asked, datetime.now(UTC))
        others = self._others(description)
        unfinished = _unfinished(others, description, meant.scope)
        outputVersion = unfinished.outputVersion if unfinished else max((each.outputVersion for each in others), default=0) + 1
        if others and not unfinished:
            self._refuseSecond(description, meant, others[-1])
        return {
            "Production": productionName(description.name, description.version, outputVersion),
            "Chain": description.name,
            "Version": description.version,
            "OutputVersion": outputVersion,
            "Type": description.inputType,
            "Completes": unfinished is not None,
            "Differs": others[-1].production if others and others[-1].description != text else "",
            "Earlier": [] if unfinished else self._earlier(description, meant),
            "Steps": _stepPlans(description, outputVersion),
            **self._blockPlan(meant),
        }

    def start(self, text: str, fileName: str, asked: Mapping[str, Any], actor: str) -> dict[str, Any]:
        """Start a chain, or complete a start that was cut short.

        :returns: Production, ProductionID, State, Blocks (number), Transformations (numbers by name)
        :raises ChainRefused: if this version was started before, and Again is not asked for
        """
        description = self._read(text, fileName)
        now = datetime.now(UTC)
        meant = meantBlocks(self._ledger, description.inputType, asked, now)
        chain = _unfinished(self._others(description), description, meant.scope)
        if chain is None:
            new = NewChain(description.name, description.version, description.inputType, text, meant.scope, actor)
            chain = self._ledger.addChain(new, list(meant.named.values()), now)
        started = self._starter.complete(chain, actor)
        return self._answer(started)

    def _read(self, text: str, fileName: str) -> ChainDescription:
        try:
            return readChain(text, fileName, self._known)
        except BadChain as error:
            raise ChainRefused(str(error)) from error

    def _others(self, description: ChainDescription) -> list[StartedChain]:
        """The chains of its name and version."""
        return [each for each in self._ledger.readChains(name=description.name) if each.version == description.version]

    def _refuseSecond(self, description: ChainDescription, meant: MeantBlocks, last: StartedChain) -> None:
        if meant.scope.again:
            return
        taken = self._earlierBlocks(description, meant)
        raise BlocksTaken(taken) if taken else AlreadyStarted(last.production)

    def _earlierBlocks(self, description: ChainDescription, meant: MeantBlocks) -> list[Taken]:
        numbers = [*meant.named.values(), *meant.others.values()]
        return self._ledger.takenBlocks(description.name, description.version, numbers)

    def _earlier(self, description: ChainDescription, meant: MeantBlocks) -> list[dict[str, str]]:
        return [{"Block": each.block, "Production": each.production} for each in self._earlierBlocks(description, meant)]

    def _blockPlan(self, meant: MeantBlocks) -> dict[str, Any]:
        blocks = {**meant.named, **meant.others}
        files, sizeBytes = self._ledger.registeredInBlocks(list(blocks.values()))
        return {
            "Blocks": sorted(blocks),
            "Datasets": list(meant.scope.datasets),
            "EachNewBlock": meant.scope.eachNewBlock,
            "Files": files,
            "SizeBytes": sizeBytes,
        }

    # ---- extend

    def planExtend(self, production: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What :meth:`extend` would do: Production, State, New (blocks that the chain does not have), and as planStart Blocks,
        Datasets, EachNewBlock, Files, SizeBytes, Earlier."""
        chain = self._living(production)
        meant = meantBlocks(self._ledger, chain.typeName, asked, datetime.now(UTC))
        own = {block.blockID for block in self._ledger.chainBlocks(chain.chainID)}
        numbers = [number for number in (*meant.named.values(), *meant.others.values()) if number not in own]
        taken = self._ledger.takenBlocks(chain.name, chain.version, numbers)
        if taken and not meant.scope.again:
            raise BlocksTaken(taken)
        return {
            "Production": chain.production,
            "State": chain.state.value,
            "New": sorted(name for name, number in {**meant.named, **meant.others}.items() if number not in own),
            "Earlier": [{"Block": each.block, "Production": each.production} for each in taken],
            **self._blockPlan(meant),
        }

    def extend(self, production: str, asked: Mapping[str, Any], actor: str) -> dict[str, Any]:
        """Give a chain more blocks.

        :returns: Production, State, Added (number of blocks)
        """
        chain, now = self._living(production), datetime.now(UTC)
        meant = meantBlocks(self._ledger, chain.typeName, asked, now)
        added = self._ledger.extendScope(chain.chainID, meant.scope, list(meant.named.values()), actor, now)
        return {"Production": production, "State": chain.state.value, "Added": len(added)}

    # ---- stop and resume

    def planSwitch(self, production: str, verb: str) -> dict[str, Any]:
        """What :meth:`switch` would do: Production, State, NewState, Transformations.

        :param verb: stop or resume
        :raises ChainRefused: if the chain is neither Active nor Stopped
        """
        chain = self._ledger.readChain(production)
        new = _SWITCHES[verb]
        # one that is there already may have been cut short on its way, or switched by other means
        if chain.state not in _SWITCHES.values():
            raise ChainRefused(f"chain {production} is {chain.state} and cannot be made {new}{_hint(chain)}")
        steps = self._ledger.chainSteps(chain.chainID)
        return {
            "Production": production,
            "State": chain.state.value,
            "NewState": new.value,
            "Transformations": [
                {"Step": step.step, "SE": step.se, "TransformationID": step.transformationID, "Held": step.held} for step in steps
            ],
        }

    def switch(self, production: str, verb: str, actor: str) -> dict[str, Any]:
        """Stop a chain or let it go on.

        :returns: Production, State
        """
        self.planSwitch(production, verb)
        chain = self._ledger.readChain(production)
        (self._starter.stop if verb == "stop" else self._starter.resume)(chain, actor)
        return {"Production": production, "State": self._ledger.chainByID(chain.chainID).state.value}

    # ---- details

    def _living(self, production: str) -> StartedChain:
        chain = self._ledger.readChain(production)
        if chain.state not in _LIVING:
            raise ChainRefused(f"chain {production} is {chain.state} and takes no more blocks; start another version")
        return chain

    def _answer(self, chain: StartedChain) -> dict[str, Any]:
        steps = self._ledger.chainSteps(chain.chainID)
        return {
            "Production": chain.production,
            "ProductionID": chain.productionID,
            "State": chain.state.value,
            "Blocks": len(self._ledger.chainBlocks(chain.chainID)),
            "Transformations": {f"{step.step}{f' to {step.se}' if step.se else ''}": step.transformationID for step in steps},
        }


_SWITCHES = {"stop": ChainState.STOPPED, "resume": ChainState.ACTIVE}


def _hint(chain: StartedChain) -> str:
    return "; a start that was cut short is completed by the same command" if chain.state is ChainState.STARTING else ""


def _unfinished(others: Sequence[StartedChain], description: ChainDescription, scope: ChainScope) -> StartedChain | None:
    """The start of the same chain over the same blocks that was cut short."""
    for chain in others:
        isSame = chain.description == description.text and (
            chain.scope.blocks,
            chain.scope.datasets,
            chain.scope.eachNewBlock,
        ) == (
            scope.blocks,
            scope.datasets,
            scope.eachNewBlock,
        )
        if chain.state is ChainState.STARTING and isSame:
            return chain
    return None


def _stepPlans(description: ChainDescription, outputVersion: int) -> list[dict[str, Any]]:
    production = productionName(description.name, description.version, outputVersion)
    wanted = wantedTransformations(description, production)
    return [
        {
            "Step": step.name,
            "Kind": step.kind.value,
            "Input": step.input.typeName,
            "Output": step.output.typeName if step.output else "",
            "Directory": _directory(description, step, outputVersion),
            "Sites": list(step.sites),
            "Destinations": list(step.destinations),
            "Gates": sorted(gate.value for gate in step.gates),
            "Transformations": [each.name for each in wanted if each.step is step],
        }
        for step in description.steps
    ]


def _directory(description: ChainDescription, step: ChainStep, outputVersion: int) -> str:
    """Where its output goes, ``<Block>`` for the block."""
    if step.output is None:
        return ""
    values = {
        "Chain": description.name,
        "Version": description.version,
        "OutputVersion": outputVersion,
        "Step": step.name,
        "Type": step.output.typeName,
        "Block": "<Block>",
    }
    return step.output.directoryRule.format_map(values)
