"""The repairs of one site, a block after the other, in a thread of their own, so that no site waits for another one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.RepairRecords import Pause
from JUNODIRAC.Core.Domain.TransferErrors import POLICIES
from JUNODIRAC.Core.Logic.AutoPause import pauseNeeded
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure
from JUNODIRAC.Core.Logic.RepairCycle import ACTOR, RepairCycle, RepairOutcome
from JUNODIRAC.Core.Logic.RepairPorts import BlockAtSite, RepairBook
from JUNODIRAC.RawDataSystem.Client.RepairCandidates import Named

_FILES_AT_ONCE = 200


class SiteRepairs:
    """Works on the files of one site until its time is over; the others come next time.

    :param makeCycle: makes the repair, with clients of its own
    :param log: DIRAC's logger
    """

    def __init__(
        self,
        se: str,
        makeCycle: Callable[[], RepairCycle],
        book: RepairBook,
        log: Any,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.se = se
        self._makeCycle, self._book, self._log, self._now = makeCycle, book, log, now
        self._cycle: RepairCycle | None = None
        self._thread: threading.Thread | None = None

    def start(
        self, work: Sequence[tuple[BlockAtSite, Named]], pauses: Sequence[Pause], until: datetime, maxFiles: int, timeScale: float
    ) -> bool:
        """Work in a thread until that time.

        :param pauses: that hold, of this site
        :returns: False if the last run has not ended
        """
        if self._thread and self._thread.is_alive():
            return False
        arguments = (work, pauses, until, maxFiles, timeScale)
        self._thread = threading.Thread(target=self.run, args=arguments, name=f"repair {self.se}", daemon=True)
        self._thread.start()
        return True

    def join(self, seconds: float) -> None:
        """Wait for the end of a run, but not longer."""
        if self._thread:
            self._thread.join(max(0.0, seconds))

    def run(
        self, work: Sequence[tuple[BlockAtSite, Named]], pauses: Sequence[Pause], until: datetime, maxFiles: int, timeScale: float
    ) -> RepairOutcome:
        """Look at the files; one line in the log for all of them."""
        outcome = RepairOutcome()
        try:
            self._cycle = self._cycle or self._makeCycle()
            for at, named in _pieces(work, maxFiles):
                if self._now() >= until:
                    break
                isPaused = any(pause.blockID in (0, at.blockID) for pause in pauses)
                outcome.add(self._cycle.repair(at, named, self._now(), isPaused))
            self._pauseSite(outcome, timeScale)
        except (TemporaryFailure, Refusal) as error:
            self._log.warn(f"Repairs at {self.se} go on later:", str(error))
        except Exception as error:  # noqa: BLE001 one site never stops the others
            self._log.exception(f"Repairs at {self.se} failed:", lException=error)
        if sum(outcome.actions.values()) > outcome.actions["Wait"]:
            self._log.notice(f"Repairs at {self.se}:", str(outcome))
        return outcome

    def _pauseSite(self, outcome: RepairOutcome, timeScale: float) -> None:
        if not outcome.failures:
            return
        found = pauseNeeded(outcome.failures, self._book.lastPauses(self.se), self._now(), timeScale)
        if found is None:
            return
        why = f"{found.reason}; {POLICIES[found.errorClass].remedy}"
        self._book.recordDecisions(ACTOR, "pauseSite", {self.se: f"until {found.until:%Y-%m-%d %H:%M:%S} UTC: {why}"})
        self._book.addPause(self.se, 0, found.until, ACTOR, found.reason, found.errorClass.value)
        self._log.warn(f"{self.se} is paused until {found.until:%H:%M:%S} UTC:", found.reason)


def _pieces(work: Sequence[tuple[BlockAtSite, Named]], maxFiles: int) -> list[tuple[BlockAtSite, Named]]:
    """Work in pieces, and no more than so many files."""
    pieces, left = [], maxFiles
    for at, named in work:
        names = list(named)[:left]
        left -= len(names)
        for start in range(0, len(names), _FILES_AT_ONCE):
            pieces.append((at, {lfn: named[lfn] for lfn in names[start : start + _FILES_AT_ONCE]}))
    return pieces
