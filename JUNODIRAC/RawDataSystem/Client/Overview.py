"""Blocks and files as people ask for them: the ledger's rows with what DIRAC's services say of them.

What a service does not tell is named under ``Unavailable``, and the rest is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from JUNODIRAC.Core.Domain.BlockStatus import BlockStatus, LedgerBlock, assembleBlockStatus
from JUNODIRAC.Core.Domain.FileHistory import (
    Event,
    LedgerFile,
    QuarantineRecord,
    catalogueEvents,
    inOrder,
    journalEvents,
    ledgerEvents,
    quarantineEvents,
    taskEvents,
    transferEvents,
)
from JUNODIRAC.Core.Domain.JournalEntry import JournalEntry
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import TransferMonitor

T = TypeVar("T")


class Overview:
    """One question; ``unavailable`` collects the services that did not answer it.

    :param monitor: reads DIRAC's services
    """

    def __init__(self, monitor: TransferMonitor) -> None:
        self._monitor = monitor
        self.unavailable: list[str] = []

    def blockStatus(self, blocks: list[LedgerBlock]) -> list[BlockStatus]:
        """The blocks with their sites: three calls to DIRAC's services, however many blocks, one more for late files."""
        transformationIDs = [transformationID for block in blocks for transformationID in block.transfers.values()]
        usages = self._ask(lambda: self._monitor.blockUsages(blocks))
        transfers = self._ask(lambda: self._monitor.transferStates(transformationIDs))
        return assembleBlockStatus(blocks, usages, transfers)

    def fileHistory(
        self,
        lfn: str,
        file: LedgerFile | None,
        byName: tuple[QuarantineRecord, ...],
        journal: Sequence[JournalEntry] = (),
    ) -> list[Event]:
        """All events of a file in time order.

        :param file: the ledger's row, if there is one
        :param byName: refused announcements of this file name of which no LFN could be made
        :param journal: what people did with it
        """
        events = quarantineEvents(byName) + journalEvents(journal, lfn)
        if file is not None:
            events += ledgerEvents(file)
        record = self._ask(lambda: self._monitor.catalogueRecord(lfn))
        if record is not None:
            events += catalogueEvents(record)
        if file is not None:
            events += self._transferHistory(file)
        return inOrder(events)

    def _transferHistory(self, file: LedgerFile) -> list[Event]:
        rows = self._ask(lambda: self._monitor.transferFiles(file.lfn, list(file.transfers.values())))
        if rows is None:
            return []
        events = transferEvents(file.transfers, rows, file.lfn)
        tasks = self._ask(lambda: self._monitor.tasks(rows)) or []
        events += taskEvents(tasks)
        for task in tasks:
            if str(task["ExternalID"] or "").isdigit() and int(task["ExternalID"]):
                events += self._requestHistory(task, file.lfn)
        return events

    def _requestHistory(self, task: dict[str, Any], lfn: str) -> list[Event]:
        requestID, targetSE = int(task["ExternalID"]), str(task["TargetSE"])
        found = self._ask(lambda: self._monitor.requestEvents(requestID, lfn, targetSE))
        if found is None:
            return []
        events, operationIDs = found
        for operationID in operationIDs:
            events += self._ask(partial(self._monitor.ftsEvents, operationID, lfn)) or []
        return events

    def _ask(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except (TemporaryFailure, ServiceRefusal) as error:
            if str(error) not in self.unavailable:
                self.unavailable.append(str(error))
            return None
