"""How commands call the service Production/ChainManager."""

from __future__ import annotations

from typing import Any

from JUNODIRAC.RawDataSystem.Client.CommandLine import failureOf

SERVICE = "Production/ChainManager"
_CALL_SECONDS = 300


def callChains(method: str, *args: Any) -> Any:
    """Call a method of the service.

    :raises CommandError: with what it answered instead
    """
    from JUNODIRAC.ProductionSystem.Client.ChainManagerClient import ChainManagerClient

    result = getattr(ChainManagerClient(timeout=_CALL_SECONDS), method)(*args)
    if result["OK"]:
        return result["Value"]
    raise failureOf(str(result["Message"]), int(result.get("Errno") or 0), SERVICE)
