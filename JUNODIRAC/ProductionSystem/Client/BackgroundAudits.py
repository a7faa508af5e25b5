"""Audits that are due by themselves, one after the other in a thread of their own: a block may take minutes of its storages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.ChainAudit import AuditLook, AuditRecord, AuditVerdict
from JUNODIRAC.Core.Domain.ChainRecords import ChainBlock, ChainBlockState, StartedChain
from JUNODIRAC.ProductionSystem.Client.ChainAuditor import AuditTask, ChainAuditor

ACTOR = "ChainRecoveryAgent"
#: what the words of a problem begin with that an audit has found
AUDIT = "Audit: "


class AuditedLedger(Protocol):
    """See :class:`JUNODIRAC.ProductionSystem.DB.ChainLedger.ChainLedger`."""

    def readChains(self) -> list[StartedChain]: ...

    def chainBlocks(self, chainID: int, block: str = "") -> list[ChainBlock]: ...

    def endedBlocks(self) -> list[tuple[int, int, int, bool]]: ...

    def newestAudits(self, blockIDs: Sequence[int] = (), chainID: int = 0) -> dict[tuple[int, int], AuditRecord]: ...

    def setChainBlockState(
        self, chainID: int, blockID: int, old: ChainBlockState, new: ChainBlockState, now: datetime, problem: str = ""
    ) -> bool: ...

    def recordDecisions(self, actor: str, action: str, reasons: dict[str, str]) -> None: ...


def isDue(last: AuditRecord | None, endedSteps: int, isLast: bool, now: datetime, againSeconds: float) -> bool:
    """Whether a block that is not Done is to be audited: once when each step has ended, and again until it is exact.

    :param isLast: no step is left. Late files may have made a block that was Done and exact begin again
    """
    if last is None or last.endedSteps < endedSteps:
        return True
    isOpen = isLast or last.verdict is not AuditVerdict.EXACT
    return isOpen and (now - last.endedTime).total_seconds() >= againSeconds


def stateAfter(record: AuditRecord, isLast: bool, state: ChainBlockState, problem: str) -> tuple[ChainBlockState, str] | None:
    """The state of a block after an audit, and the words of a problem; None: it stays.

    :param isLast: no step of the chain is left
    :param problem: the words beside its state now
    """
    if record.verdict is AuditVerdict.OFF:
        return ChainBlockState.PROBLEM, f"{AUDIT}{record.sentence}"
    if record.verdict is AuditVerdict.EXACT and isLast:
        return ChainBlockState.DONE, ""
    if state is ChainBlockState.PROBLEM and problem.startswith(AUDIT):
        return ChainBlockState.RUNNING, ""
    return None


class BackgroundAudits:
    """Begins what is due, keeps what came of it.

    :param auditor: makes an auditor
    """

    def __init__(self, ledger: AuditedLedger, auditor: Callable[[], ChainAuditor], againSeconds: float, log: Any) -> None:
        self._ledger, self._auditor, self._againSeconds, self._log = ledger, auditor, againSeconds, log
        self._thread: threading.Thread | None = None

    def start(self, now: datetime) -> int:
        """Begin with all that is due, unless the last ones are still under way.

        :returns: how many are due
        """
        if self._thread is not None and self._thread.is_alive():
            return 0
        due = self._due(now)
        if due:
            self._thread = threading.Thread(target=self._work, args=(due,), name="chain audits", daemon=True)
            self._thread.start()
        return len(due)

    def join(self, seconds: float) -> None:
        """Wait for those that are under way."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _due(self, now: datetime) -> list[tuple[StartedChain, ChainBlock, bool]]:
        ended = self._ledger.endedBlocks()
        newest = self._ledger.newestAudits(sorted({blockID for _, blockID, _, _ in ended})) if ended else {}
        chains = {each.chainID: each for each in self._ledger.readChains()} if ended else {}
        blocks = {
            (each.chainID, each.blockID): each for key in {row[0] for row in ended} for each in self._ledger.chainBlocks(key)
        }
        return [
            (chains[chainID], blocks[chainID, blockID], isLast)
            for chainID, blockID, steps, isLast in ended
            if isDue(newest.get((chainID, blockID)), steps, isLast, now, self._againSeconds) and (chainID, blockID) in blocks
        ]

    def _work(self, due: Sequence[tuple[StartedChain, ChainBlock, bool]]) -> None:
        for chain, block, isLast in due:
            try:
                self._auditOne(chain, block, isLast)
            except Exception as error:  # noqa: BLE001 one block must not keep the others from being counted
                self._log.error(f"Audit of {chain.production} block {block.block}:", str(error))

    def _auditOne(self, chain: StartedChain, block: ChainBlock, isLast: bool) -> None:
        task = AuditTask(chain, block.blockID, chain.typeName, block.block, AuditLook.STEP, ACTOR, endedSteps=block.endedSteps)
        record = self._auditor().audit(task)
        self._log.notice(f"Audit of {chain.production} block {block.block}: {record.verdict}:", record.sentence)
        now = datetime.now(UTC)
        fresh = next(
            (each for each in self._ledger.chainBlocks(chain.chainID, block.block) if each.blockID == block.blockID), block
        )
        # what ended meanwhile is not counted yet
        after = stateAfter(record, isLast and fresh.endedSteps == block.endedSteps, fresh.state, fresh.problem)
        if after is None or after == (fresh.state, fresh.problem):
            return
        name = f"{chain.production} {block.block}"
        self._ledger.recordDecisions(ACTOR, "chainAudit", {name: f"{fresh.state} -> {after[0]}: {record.sentence}"})
        self._ledger.setChainBlockState(chain.chainID, block.blockID, fresh.state, after[0], now, after[1])
