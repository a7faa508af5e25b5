"""Client of the service RawData/RawDataManager."""

from __future__ import annotations

from typing import Any

from DIRAC.Core.Base.Client import Client, createClient


@createClient("RawData/RawDataManager")
class RawDataManagerClient(Client):
    """Has the service's methods without ``export_``, for example getBlockStatus, listQuarantine and getIngestStatus."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.setServer("RawData/RawDataManager")
