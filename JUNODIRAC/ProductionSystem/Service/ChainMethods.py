"""Methods of Production/ChainManager by which people start chains and look at them."""

from __future__ import annotations

from typing import Any

from JUNODIRAC.ProductionSystem.Service.ChainService import ChainService
from JUNODIRAC.RawDataSystem.Service.RawDataService import READERS, answer


class ChainMethods(ChainService):
    """Everyone may look, production managers may change."""

    auth_listChains = READERS
    types_listChains: list[Any] = []

    @answer
    def export_listChains(self) -> list[dict[str, Any]]:
        """Each start of a chain: Production, Name, Version, OutputVersion, State, Type, CreatedTime, CreatedBy."""
        return [
            {
                "Production": chain.production,
                "Name": chain.name,
                "Version": chain.version,
                "OutputVersion": chain.outputVersion,
                "State": chain.state.value,
                "Type": chain.typeName,
                "CreatedTime": chain.createdTime.isoformat(),
                "CreatedBy": chain.createdBy,
            }
            for chain in self.chains.readChains()
        ]
