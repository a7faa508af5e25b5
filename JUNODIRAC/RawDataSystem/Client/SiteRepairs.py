"""The repairs of one site, a block after the other, in a thread of their own, so that no site waits for another one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from JUNODIRAC.Core.Domain.RepairRecords import Pause
from JUNODIRAC.Core.Domain.TransferErrors import POLICIES
from JUNODIRAC.Core.Logic.AutoPause import pauseNeeded
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure
from JUNODIRAC.Core.Logic.RepairCycle import ACTOR, RepairCycle, RepairOutcome
from JUNODIRAC.Core.Logic.RepairPorts import BlockAtSite, RepairBook
from JUNODIRAC.RawDataSystem.Client.RepairCandidates import Named

_FILES_AT_ONCE = 200


@dataclass(frozen=True)
class SiteLimits:
    """How much is done in one cycle, and how patiently.

    :param timeScale: of all waiting times
    :param quietSeconds: how long a file that something else works on is not looked at again
    """

    maxFiles: int
    timeScale: float
    quietSeconds: float


class SiteRepairs:
    """Works on the files of one site until its time is over; the others come next time.

    :param makeCycle: makes the repair, with clients of its own
    :param isBanned: whether DIRAC lets nobody write there
    :param log: DIRAC's logger
    """

    def __init__(
        self,
        se: str,
        makeCycle: Callable[[], RepairCycle],
        book: RepairBook,
        isBanned: Callable[[str], bool],
        log: Any,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.se = se
        self._makeCycle, self._book, self._isBanned, self._log, self._now = makeCycle, book, isBanned, log, now
        self._cycle: RepairCycle | None = None
        self._thread: threading.Thread | None = None
        self._blockedTimes: dict[int, datetime] = {}
        self._quietUntil: dict[str, datetime] = {}

    def start(
        self, work: Sequence[tuple[BlockAtSite, Named]], pauses: Sequence[Pause], until: datetime, limits: SiteLimits
    ) -> bool:
        """Work in a thread until that time.

        :param pauses: that hold, of this site
        :returns: False if the last run has not ended
        """
        if self._thread and self._thread.is_alive():
            return False
        arguments = (work, pauses, until, limits)
        self._thread = threading.Thread(target=self.run, args=arguments, name=f"repair {self.se}", daemon=True)
        self._thread.start()
        return True

    def join(self, seconds: float) -> None:
        """Wait for the end of a run, but not longer."""
        if self._thread:
            self._thread.join(max(0.0, seconds))

    def run(
        self, work: Sequence[tuple[BlockAtSite, Named]], pauses: Sequence[Pause], until: datetime, limits: SiteLimits
    ) -> RepairOutcome:
        """Look at the files; one line in the log for all of them."""
        outcome = RepairOutcome()
        try:
            self._cycle = self._cycle or self._makeCycle()
            blocked = {pause.blockID for pause in pauses} | ({0} if self._isBanned(self.se) else set())
            self._blockedTimes |= dict.fromkeys(blocked, self._now())
            for at, named in _pieces(self._withoutQuiet(work), limits.maxFiles):
                if self._now() >= until:
                    break
                times = (self._blockedTimes.get(0), self._blockedTimes.get(at.blockID))
                blockedTime = max((time for time in times if time), default=None)
                isPaused = not blocked.isdisjoint((0, at.blockID))
                outcome.add(self._cycle.repair(at, named, self._now(), isPaused, blockedTime))
            self._rememberQuiet(outcome, limits)
            self._pauseSite(outcome, limits.timeScale)
        except (TemporaryFailure, Refusal) as error:
            self._log.warn(f"Repairs at {self.se} go on later:", str(error))
        except Exception as error:  # noqa: BLE001 one site never stops the others
            self._log.exception(f"Repairs at {self.se} failed:", lException=error)
        if sum(outcome.actions.values()) > outcome.actions["Wait"]:
            self._log.notice(f"Repairs at {self.se}:", str(outcome))
        return outcome

    # ---- files that something else works on: in a long queue of FTS3 there may be thousands of them

    def _withoutQuiet(self, work: Sequence[tuple[BlockAtSite, Named]]) -> list[tuple[BlockAtSite, Named]]:
        now = self._now()
        self._quietUntil = {lfn: time for lfn, time in self._quietUntil.items() if time > now}
        return [(at, {lfn: named[lfn] for lfn in named if named[lfn] or lfn not in self._quietUntil}) for at, named in work]

    def _rememberQuiet(self, outcome: RepairOutcome, limits: SiteLimits) -> None:
        self._quietUntil |= dict.fromkeys(outcome.quiet, self._now() + timedelta(seconds=limits.quietSeconds))

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
