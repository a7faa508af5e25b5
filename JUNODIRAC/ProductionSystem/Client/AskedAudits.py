"""Audits that people asked for: each in a thread of the service, which is asked for its progress meanwhile."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from JUNODIRAC.Core.Domain.ChainAudit import AuditRecord
from JUNODIRAC.Core.Domain.ChainRecords import ChainRefused
from JUNODIRAC.ProductionSystem.Client.ChainAuditor import AuditTask

_MAX_RUNNING = 6
_KEPT_SECONDS = 3600


class _RunningAudit:
    """One block in one chain, in a thread."""

    def __init__(self, task: AuditTask, work: Callable[[AuditTask], AuditRecord]) -> None:
        self.task, self._work = task, work
        self.token = uuid.uuid4().hex
        self.endedAt: float | None = None
        self._record: AuditRecord | None = None
        self._failure = ""
        threading.Thread(target=self._run, name=f"audit {task.chain.production} {task.block}", daemon=True).start()

    def _run(self) -> None:
        try:
            self._record = self._work(self.task)
        except Exception as error:  # noqa: BLE001 whoever asked is told of it
            self._failure = str(error) or type(error).__name__
        self.endedAt = time.monotonic()

    def toDict(self) -> dict[str, Any]:
        """How far it is, for JSON."""
        audit = self._record.toDict() if self._record else None
        ended = self.endedAt is not None
        return {**self.task.progress.toDict(), "Ended": ended, "Failure": self._failure, "Audit": audit}


class AskedAudits:
    """Starts audits, and tells how far they are. Who asks for a block that is looked at already, waits for that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._audits: dict[str, _RunningAudit] = {}

    def start(self, task: AuditTask, work: Callable[[AuditTask], AuditRecord]) -> str:
        """Start one.

        :param work: makes the audit
        :returns: a token to ask with
        :raises ChainRefused: if too many run already
        """
        with self._lock:
            now = time.monotonic()
            old = [token for token, each in self._audits.items() if each.endedAt and now - each.endedAt > _KEPT_SECONDS]
            for token in old:
                del self._audits[token]
            running = [each for each in self._audits.values() if each.endedAt is None]
            for each in running:
                if (each.task.chain.chainID, each.task.blockID) == (task.chain.chainID, task.blockID):
                    return each.token
            if len(running) >= _MAX_RUNNING:
                raise ChainRefused(
                    f"{len(running)} audits that people asked for are running already; wait for one to end, or look at the last"
                    " one with --last"
                )
            audit = _RunningAudit(task, work)
            self._audits[audit.token] = audit
            return audit.token

    def progress(self, token: str) -> dict[str, Any]:
        """How far it is.

        :raises ChainRefused: if it is not known (any more)
        """
        with self._lock:
            found = self._audits.get(token)
        if found is None:
            raise ChainRefused(
                "this audit is not known: the service was started anew meanwhile, or it ended more than an hour ago; type the"
                " command again, or look with --last"
            )
        return found.toDict()
