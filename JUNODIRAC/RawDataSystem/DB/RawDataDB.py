"""The ledger of raw data: one row for each file that was ever announced, and all that belongs to it.

Bulk calls work in statements of a thousand rows. Each concern has a module of its own, beside this one.
"""

from __future__ import annotations

from typing import Any

from JUNODIRAC.RawDataSystem.DB.LedgerBlockChains import LedgerBlockChains
from JUNODIRAC.RawDataSystem.DB.LedgerBlockLife import LedgerBlockLife
from JUNODIRAC.RawDataSystem.DB.LedgerBlocks import LedgerBlocks, LedgerMismatch
from JUNODIRAC.RawDataSystem.DB.LedgerChainWhy import LedgerChainWhy
from JUNODIRAC.RawDataSystem.DB.LedgerDatasets import LedgerDatasets
from JUNODIRAC.RawDataSystem.DB.LedgerGaps import LedgerGaps
from JUNODIRAC.RawDataSystem.DB.LedgerIngest import LedgerIngest
from JUNODIRAC.RawDataSystem.DB.LedgerQuarantine import LedgerQuarantine
from JUNODIRAC.RawDataSystem.DB.LedgerReads import LedgerReads
from JUNODIRAC.RawDataSystem.DB.LedgerRepairs import LedgerRepairs
from JUNODIRAC.RawDataSystem.DB.LedgerReports import LedgerReports
from JUNODIRAC.RawDataSystem.DB.LedgerSchema import OldSchema, missingFrom, schemaText, wantedColumns
from JUNODIRAC.RawDataSystem.DB.LedgerTails import LedgerTails
from JUNODIRAC.RawDataSystem.DB.LedgerWhy import LedgerWhy

__all__ = ["LedgerMismatch", "OldSchema", "RawDataDB"]


class RawDataDB(
    LedgerQuarantine,
    LedgerBlocks,
    LedgerReads,
    LedgerIngest,
    LedgerGaps,
    LedgerRepairs,
    LedgerBlockLife,
    LedgerDatasets,
    LedgerReports,
    LedgerTails,
    LedgerBlockChains,
    LedgerWhy,
    LedgerChainWhy,
):
    """Implements :class:`JUNODIRAC.Core.Logic.Ports.Ledger`, and what service and agents read and write beside it."""

    def __init__(self, parentLogger: Any = None) -> None:
        """Connect.

        :raises RuntimeError: if the configuration does not name the database, or it does not answer
        :raises OldSchema: if another version made it
        """
        super().__init__("RawDataDB", "RawData/RawDataDB", parentLogger=parentLogger)
        self._checkSchema()

    def _checkSchema(self) -> None:
        sql = "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s"
        missing = missingFrom(self.select(sql, (self.dbName,)), wantedColumns(schemaText()))
        if missing:
            raise OldSchema(self.dbName, missing)
