"""Client of the service Production/ChainManager."""

from __future__ import annotations

from typing import Any

from DIRAC.Core.Base.Client import Client, createClient


@createClient("Production/ChainManager")
class ChainManagerClient(Client):
    """Has the service's methods without ``export_``, for example listChains, planTasks and beginTask."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.setServer("Production/ChainManager")
