"""What the modules of a job work with: DIRAC's clients, in the name of the job's owner."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from JUNODIRAC.ProductionSystem.Client.OutputRegistrar import OutputRegistrar
from JUNODIRAC.Workflow.Job.Patience import DEFAULT_PATIENCE_SECONDS, ChainCalls, Patience

_TELL_SECONDS = 30
_PATIENCE_OPTION = "RawData/Chains/Job/ServicePatienceSeconds"


@dataclass(frozen=True)
class JobTools:
    """All that a job needs of the world."""

    chains: ChainCalls
    #: for what has to be quick: a job that is told to stop has not much time
    hastyChains: ChainCalls
    patience: Patience
    catalogue: Any
    storageElement: Callable[[str], Any]
    registrar: OutputRegistrar
    #: tells the ledger of replicas whose bytes are wrong, by storage element and LFN
    doubt: Callable[[dict[str, dict[str, str]]], dict[str, Any]]
    sleep: Callable[[float], None]

    @classmethod
    def ofProxy(cls, say: Callable[[str], None]) -> JobTools:
        """With DIRAC's own clients and the proxy of the job."""
        from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations
        from DIRAC.Core.Security.ProxyInfo import getVOfromProxyGroup
        from DIRAC.Core.Utilities.ReturnValues import returnValueOrRaise
        from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
        from DIRAC.Resources.Storage.StorageElement import StorageElement

        from JUNODIRAC.ProductionSystem.Client.ChainManagerClient import ChainManagerClient
        from JUNODIRAC.RawDataSystem.Client.RawDataManagerClient import RawDataManagerClient

        vo = returnValueOrRaise(getVOfromProxyGroup())
        seconds = float(Operations(vo=vo).getValue(_PATIENCE_OPTION, DEFAULT_PATIENCE_SECONDS))
        client = ChainManagerClient()
        patience = Patience(time.sleep, say, seconds)
        return cls(
            chains=ChainCalls(client, patience),
            hastyChains=ChainCalls(client, Patience(time.sleep, say, min(seconds, 20.0))),
            patience=patience,
            catalogue=FileCatalogClient(url="DataManagement/FileCatalog"),
            storageElement=lambda se: StorageElement(se, vo=vo),
            registrar=OutputRegistrar.of(vo),
            doubt=lambda failures: RawDataManagerClient(timeout=_TELL_SECONDS).doubtReplicas(failures),
            sleep=time.sleep,
        )
