"""The ledger of chains: tables of RawDataDB, and all that the ledger of raw data knows. Each concern has a module of its own."""

from __future__ import annotations

from JUNODIRAC.ProductionSystem.DB.ChainAttempts import ChainAttempts
from JUNODIRAC.ProductionSystem.DB.ChainAudits import ChainAudits
from JUNODIRAC.ProductionSystem.DB.ChainBook import ChainBook
from JUNODIRAC.ProductionSystem.DB.ChainFigures import ChainFigures
from JUNODIRAC.ProductionSystem.DB.ChainPlans import ChainPlans
from JUNODIRAC.ProductionSystem.DB.ChainProgress import ChainProgress
from JUNODIRAC.ProductionSystem.DB.ChainRecoveries import ChainRecoveries
from JUNODIRAC.ProductionSystem.DB.ChainRetirements import ChainRetirements
from JUNODIRAC.ProductionSystem.DB.ChainWaivers import ChainWaivers
from JUNODIRAC.ProductionSystem.DB.RunQualities import RunQualities
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

__all__ = ["ChainLedger"]


class ChainLedger(
    ChainAttempts,
    ChainAudits,
    ChainPlans,
    ChainProgress,
    ChainRecoveries,
    ChainRetirements,
    RunQualities,
    ChainFigures,
    ChainWaivers,
    ChainBook,
    RawDataDB,
):
    """What the service ChainManager and the agents of chains read and write."""
