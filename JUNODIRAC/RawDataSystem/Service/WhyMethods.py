"""The method of RawData/RawDataManager that explains why a file or block is where it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from DIRAC.Core.Utilities.ReturnValues import SErrorException

from JUNODIRAC.Core.Domain.Explanation import Chain, Explanation, worst
from JUNODIRAC.Core.Logic.Explain import explainFile
from JUNODIRAC.Core.Logic.ExplainBlock import explainBlock
from JUNODIRAC.Core.Logic.ExplainChain import ExplainedChain, explainBlockInChain, explainFileInChain
from JUNODIRAC.Core.Utilities.Moment import momentText
from JUNODIRAC.RawDataSystem.Client.TransferFactsReader import Clients
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import TransferMonitor
from JUNODIRAC.RawDataSystem.Client.TypePolicies import loadEachTypePolicy
from JUNODIRAC.RawDataSystem.Client.WhyBlock import SeveralTypes, WhyBlock
from JUNODIRAC.RawDataSystem.Client.WhyChain import WhyChain
from JUNODIRAC.RawDataSystem.Client.WhyFile import UnknownFile, WhyFile, WrongSite
from JUNODIRAC.RawDataSystem.Client.WhySources import WhySources
from JUNODIRAC.RawDataSystem.Service.IngestMethods import IngestMethods
from JUNODIRAC.RawDataSystem.Service.RawDataService import READERS, answer


class WhyMethods(IngestMethods):
    """Everyone may ask; nothing is changed."""

    auth_getFileExplanation = READERS
    types_getFileExplanation = [str, str]

    @answer
    def export_getFileExplanation(self, lfn: str, se: str) -> dict[str, Any]:
        """Why a file is where it is.

        :param se: at this site; empty for all
        :returns: Kind (File, or Output of a chain), LFN, Type, Block, Time, Verdict, Chain, Sites, Chains (the way in each one,
            unless a site is asked for) and Unavailable
        """
        sources, now = self._sources(), datetime.now(UTC)
        policies, bad = loadEachTypePolicy(self._vo())
        try:
            reader = WhyFile(sources, policies, now)
            origin = reader.origin(lfn)
            sites = reader.sites(origin, se)
        except UnknownFile as error:
            return self._output(lfn, sources, bad, now, error)
        except WrongSite as error:
            raise SErrorException(str(error)) from error
        chains = [] if se else [explainFileInChain(each) for each in WhyChain(sources).ofFile(lfn)]
        head = {"Kind": "File", "LFN": lfn, "Type": origin.typeName, "Block": origin.block}
        return head | _told(explainFile(origin, sites, now), chains, sources, bad, now)

    auth_getBlockExplanation = READERS
    types_getBlockExplanation = [str, str, str]

    @answer
    def export_getBlockExplanation(self, blockName: str, typeName: str, se: str) -> dict[str, Any]:
        """Why a block is where it is.

        :param typeName: may be empty if only one Type has a block of this name
        :param se: at this site; empty for all
        :returns: as getFileExplanation, without LFN; Chains has the block in each of its chains
        """
        sources, now = self._sources(), datetime.now(UTC)
        policies, bad = loadEachTypePolicy(self._vo())
        try:
            facts = WhyBlock(sources, policies, now).facts(blockName, typeName, se)
        except (SeveralTypes, WrongSite) as error:
            raise SErrorException(str(error)) from error
        head = {"Kind": "Block", "Block": facts.name, "Type": facts.typeName, "State": facts.state.value}
        known = WhyChain(sources).ofBlock(facts.block.blockID, facts.name) if facts.block and not se else []
        return head | _told(explainBlock(facts, now), [explainBlockInChain(each) for each in known], sources, bad, now)

    def _output(self, lfn: str, sources: WhySources, bad: dict[str, str], now: datetime, error: UnknownFile) -> dict[str, Any]:
        """A file that was never announced may be an output of a chain."""
        found = WhyChain(sources).ofOutput(lfn)
        if found is None:
            raise SErrorException(str(error)) from error
        typeName, facts = found
        chain = explainFileInChain(facts)
        head = {"Kind": "Output", "LFN": lfn, "Type": typeName, "Block": facts.block}
        explanation = Explanation(Chain("", (), chain.verdict), (), chain.verdict)
        return head | _told(explanation, [chain], sources, bad, now)

    def _sources(self) -> WhySources:
        vo = self._vo()
        return WhySources(
            self.ledger, TransferMonitor(), Clients.ofThisProcess(), lambda se: self._storageAt(se, vo), self._lagOf
        )


def _told(
    explanation: Explanation, chains: list[ExplainedChain], sources: WhySources, bad: dict[str, str], now: datetime
) -> dict[str, Any]:
    away = [f"{component} is not available: {why}" for component, why in sorted(sources.unavailable.items())]
    verdict = worst([explanation.verdict, *(each.verdict for each in chains)])
    return {
        "Time": momentText(now),
        **explanation.toDict(),
        "Verdict": verdict.toDict(),
        "Chains": [each.toDict() for each in chains],
        "Unavailable": away + sorted(bad.values()),
    }
