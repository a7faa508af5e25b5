"""What the configuration knows that a chain names: Types, sites, storage elements, the conditions service."""

from __future__ import annotations

from collections.abc import Collection

from DIRAC.ConfigurationSystem.Client.Config import gConfig
from DIRAC.ConfigurationSystem.Client.Helpers.Resources import getSites

from JUNODIRAC.Core.Domain.ChainRules import Known
from JUNODIRAC.ProductionSystem.Client.ServiceProbes import conditionsEndpoint
from JUNODIRAC.RawDataSystem.Client.TypePolicies import loadEachTypePolicy


def knownConfiguration(vo: str) -> Known:
    """What is known; what the configuration has nothing of, because it was not reached, is not asked."""
    good, bad = loadEachTypePolicy(vo)
    storages: list[str] = gConfig.getSections("/Resources/StorageElements").get("Value") or []
    isReached = bool(storages)
    return Known(
        types=_asked({*good, *bad}),
        sites=_asked(getSites().get("Value") or []),
        storageElements=_asked(storages),
        conditions=conditionsEndpoint(vo) if isReached else None,
    )


def _asked(names: Collection[str]) -> Collection[str] | None:
    return frozenset(name for name in names if name) or None
