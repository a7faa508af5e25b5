"""What the methods of the service Production/ChainManager share: the ledger of chains; the rest is RawDataService's."""

from __future__ import annotations

from typing import Any

from DIRAC import S_ERROR, S_OK

from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger
from JUNODIRAC.RawDataSystem.Service.RawDataService import RawDataService


class ChainService(RawDataService):
    """Base of the classes that hold the service's methods."""

    chains: ChainLedger

    @classmethod
    def initializeHandler(cls, serviceInfoDict: dict[str, Any]) -> Any:
        """Connect to the ledger."""
        try:
            cls.chains = cls.ledger = ChainLedger(parentLogger=cls.log)
        except RuntimeError as error:
            return S_ERROR(str(error))
        return S_OK()
