"""The method of RawData/RawDataManager that explains why a file or block is where it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from DIRAC.Core.Utilities.ReturnValues import SErrorException

from JUNODIRAC.Core.Domain.Explanation import Explanation
from JUNODIRAC.Core.Logic.Explain import explainFile
from JUNODIRAC.Core.Logic.ExplainBlock import explainBlock
from JUNODIRAC.Core.Utilities.Moment import momentText
from JUNODIRAC.RawDataSystem.Client.TransferFactsReader import Clients
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import TransferMonitor
from JUNODIRAC.RawDataSystem.Client.TypePolicies import loadEachTypePolicy
from JUNODIRAC.RawDataSystem.Client.WhyBlock import SeveralTypes, WhyBlock
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
        :returns: Kind, LFN, Type, Block, Time, Verdict, Chain, Sites and Unavailable
        """
        sources, now = self._sources(), datetime.now(UTC)
        policies, bad = loadEachTypePolicy(self._vo())
        try:
            reader = WhyFile(sources, policies, now)
            origin = reader.origin(lfn)
            sites = reader.sites(origin, se)
        except (UnknownFile, WrongSite) as error:
            raise SErrorException(str(error)) from error
        head = {"Kind": "File", "LFN": lfn, "Type": origin.typeName, "Block": origin.block}
        return head | _told(explainFile(origin, sites, now), sources, bad, now)

    auth_getBlockExplanation = READERS
    types_getBlockExplanation = [str, str, str]

    @answer
    def export_getBlockExplanation(self, blockName: str, typeName: str, se: str) -> dict[str, Any]:
        """Why a block is where it is.

        :param typeName: may be empty if only one Type has a block of this name
        :param se: at this site; empty for all
        :returns: as getFileExplanation, without LFN
        """
        sources, now = self._sources(), datetime.now(UTC)
        policies, bad = loadEachTypePolicy(self._vo())
        try:
            facts = WhyBlock(sources, policies, now).facts(blockName, typeName, se)
        except (SeveralTypes, WrongSite) as error:
            raise SErrorException(str(error)) from error
        head = {"Kind": "Block", "Block": facts.name, "Type": facts.typeName, "State": facts.state.value}
        return head | _told(explainBlock(facts, now), sources, bad, now)

    def _sources(self) -> WhySources:
        vo = self._vo()
        return WhySources(
            self.ledger, TransferMonitor(), Clients.ofThisProcess(), lambda se: self._storageAt(se, vo), self._lagOf
        )


def _told(explanation: Explanation, sources: WhySources, bad: dict[str, str], now: datetime) -> dict[str, Any]:
    away = [f"{component} is not available: {why}" for component, why in sorted(sources.unavailable.items())]
    return {"Time": momentText(now), **explanation.toDict(), "Unavailable": away + sorted(bad.values())}
