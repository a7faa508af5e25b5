"""Methods of Production/ChainManager by which people start chains, follow them, and decide what they cannot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.Core.Domain.ChainRecords import ChainRefused, StartedChain
from JUNODIRAC.ProductionSystem.Client.ChainConfiguration import knownConfiguration
from JUNODIRAC.ProductionSystem.Client.ChainDesk import ChainDesk
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.ProductionSystem.Client.ChainStarter import openStarter
from JUNODIRAC.ProductionSystem.Client.ChainStatus import ChainStatus, chainSummary
from JUNODIRAC.ProductionSystem.Service.ChainService import ChainService
from JUNODIRAC.RawDataSystem.Service.RawDataService import MANAGERS, READERS, answer

_MAX_FILES = 1000


class ChainMethods(ChainService):
    """Everyone may look, production managers may change."""

    auth_listChains = READERS
    types_listChains: list[Any] = []

    @answer
    def export_listChains(self) -> list[dict[str, Any]]:
        """Each start of a chain: Production, Name, Version, OutputVersion, State, ProductionID, Type, CreatedTime, CreatedBy,
        StateTime, StateBy, and Blocks, their number by state."""
        counts = self.chains.blockCounts()
        return [chainSummary(each) | {"Blocks": counts.get(each.chainID, {})} for each in self.chains.readChains()]

    auth_getChainStatus = READERS
    types_getChainStatus = [str, str]

    @answer
    def export_getChainStatus(self, production: str, blockName: str) -> dict[str, Any]:
        """Steps x blocks of a chain, see :meth:`ChainStatus.read`.

        :param blockName: only this one; empty for all
        """
        status = ChainStatus(self.chains, TransformationClient()).read(production, blockName, datetime.now(UTC))
        if blockName and not status["Blocks"]:
            raise ChainRefused(
                f"chain {production} has no block {blockName}; dirac-juno-chain status {production} shows those it has"
            )
        return status

    # ---- start and extend

    auth_getStartPlan = READERS
    types_getStartPlan = [str, str, dict]

    @answer
    def export_getStartPlan(self, text: str, fileName: str, blocks: dict[str, Any]) -> dict[str, Any]:
        """What startChain would do, see :meth:`ChainDesk.planStart`."""
        return self._chainDesk().planStart(text, fileName, blocks)

    auth_startChain = MANAGERS
    types_startChain = [str, str, dict, str]

    @answer
    def export_startChain(self, text: str, fileName: str, blocks: dict[str, Any], reason: str) -> dict[str, Any]:
        """Start a chain, or complete a start that was cut short, see :meth:`ChainDesk.start`.

        :param text: the YAML
        :param blocks: which blocks, see :func:`meantBlocks`
        :param reason: why, for the journal
        """
        actor = self._manager(reason)
        desk = self._chainDesk()
        plan = desk.planStart(text, fileName, blocks)
        # before the change: one that was cut short must be in the journal too
        self.chains.recordJournal(actor.name, actor.group, "startChain", f"chain {plan['Production']}", actor.reason)
        return desk.start(text, fileName, blocks, actor.name)

    auth_getExtendPlan = READERS
    types_getExtendPlan = [str, dict]

    @answer
    def export_getExtendPlan(self, production: str, blocks: dict[str, Any]) -> dict[str, Any]:
        """What extendChain would do, see :meth:`ChainDesk.planExtend`."""
        return self._chainDesk().planExtend(production, blocks)

    auth_extendChain = MANAGERS
    types_extendChain = [str, dict, str]

    @answer
    def export_extendChain(self, production: str, blocks: dict[str, Any], reason: str) -> dict[str, Any]:
        """Give a chain more blocks, see :meth:`ChainDesk.extend`.

        :param reason: why, for the journal
        """
        actor = self._manager(reason)
        desk = self._chainDesk()
        desk.planExtend(production, blocks)
        self.chains.recordJournal(actor.name, actor.group, "extendChain", f"chain {production}", actor.reason)
        return desk.extend(production, blocks, actor.name)

    # ---- stop and resume

    auth_getSwitchPlan = READERS
    types_getSwitchPlan = [str, str]

    @answer
    def export_getSwitchPlan(self, production: str, verb: str) -> dict[str, Any]:
        """What stopChain or resumeChain would do, see :meth:`ChainDesk.planSwitch`."""
        return self._chainDesk().planSwitch(production, verb)

    auth_stopChain = MANAGERS
    types_stopChain = [str, str]

    @answer
    def export_stopChain(self, production: str, reason: str) -> dict[str, Any]:
        """Begin nothing new in a chain. :returns: Production, State"""
        return self._switch(production, "stop", reason)

    auth_resumeChain = MANAGERS
    types_resumeChain = [str, str]

    @answer
    def export_resumeChain(self, production: str, reason: str) -> dict[str, Any]:
        """Let a stopped chain go on. :returns: Production, State"""
        return self._switch(production, "resume", reason)

    def _switch(self, production: str, verb: str, reason: str) -> dict[str, Any]:
        actor = self._manager(reason)
        desk = self._chainDesk()
        desk.planSwitch(production, verb)
        self.chains.recordJournal(actor.name, actor.group, f"{verb}Chain", f"chain {production}", actor.reason)
        return desk.switch(production, verb, actor.name)

    # ---- files that are not well

    auth_getWaivePlan = READERS
    types_getWaivePlan = [str, list]

    @answer
    def export_getWaivePlan(self, production: str, lfns: list[str]) -> list[dict[str, Any]]:
        """What is known of files that are recovered, given up or waived: LFN, Block, Step, SE, State, Attempts, Error, Detail.

        :raises: if one of them is none of these
        """
        return self._troubled(self.chains.readChain(production), lfns)

    auth_waiveInputs = MANAGERS
    types_waiveInputs = [str, list, bool, str]

    @answer
    def export_waiveInputs(self, production: str, lfns: list[str], undo: bool, reason: str) -> dict[str, Any]:
        """The chain goes on without these files; or, with ``undo``, they are tried again from the beginning.

        :returns: Changed, the number of inputs and copies
        """
        actor = self._manager(reason)
        chain = self.chains.readChain(production)
        self._troubled(chain, lfns)
        for lfn in lfns:
            action = "retryInput" if undo else "waiveInput"
            self.chains.recordJournal(actor.name, actor.group, action, f"{lfn} {production}", actor.reason)
        change = self.chains.retryInputs if undo else self.chains.waiveInputs
        return {"Changed": change(chain.chainID, lfns, datetime.now(UTC))}

    # ---- details

    def _chainDesk(self) -> ChainDesk:
        vo = self._vo()
        return ChainDesk(self.chains, openStarter(self.chains, vo), knownConfiguration(vo))

    def _troubled(self, chain: StartedChain, lfns: list[str]) -> list[dict[str, Any]]:
        if not 0 < len(lfns) <= _MAX_FILES:
            raise ChainRefused(f"name 1 to {_MAX_FILES} files, not {len(lfns)}")
        steps = readChain(chain.description).steps
        found = self.chains.troubledInputs(chain.chainID, lfns)
        unknown = sorted(set(lfns) - {each.lfn for each in found})
        if unknown:
            raise ChainRefused(
                f"{unknown[0]} is no input or copy of chain {chain.production} that is recovered, given up or waived;"
                f" dirac-juno-chain status {chain.production} names those that are"
            )
        return [
            {
                "LFN": each.lfn,
                "Block": each.block,
                "Step": steps[each.stepNumber - 1].name,
                "SE": each.se,
                "State": each.state,
                "Attempts": each.attempts,
                "Error": each.error,
                "Detail": each.detail,
            }
            for each in found
        ]
