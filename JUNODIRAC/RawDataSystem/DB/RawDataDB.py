"""The ledger of raw data: one row for each file that was ever announced, and all that belongs to it.

Bulk calls work in statements of a thousand rows. Each concern has a module of its own, beside this one.
"""

from __future__ import annotations

from typing import Any

from JUNODIRAC.RawDataSystem.DB.LedgerBlocks import LedgerBlocks, LedgerMismatch
from JUNODIRAC.RawDataSystem.DB.LedgerGaps import LedgerGaps
from JUNODIRAC.RawDataSystem.DB.LedgerIngest import LedgerIngest
from JUNODIRAC.RawDataSystem.DB.LedgerQuarantine import LedgerQuarantine
from JUNODIRAC.RawDataSystem.DB.LedgerReads import LedgerReads

__all__ = ["LedgerMismatch", "RawDataDB"]


class RawDataDB(LedgerQuarantine, LedgerBlocks, LedgerReads, LedgerIngest, LedgerGaps):
    """Implements :class:`JUNODIRAC.Core.Logic.Ports.Ledger`, and what service and agents read and write beside it."""

    def __init__(self, parentLogger: Any = None) -> None:
        super().__init__("RawDataDB", "RawData/RawDataDB", parentLogger=parentLogger)
