"""Agents that look for work every few seconds.

DIRAC's AgentReactor starts no agent more often than every ten seconds (``minPeriod`` of its ThreadScheduler, a number in its
code), whatever ``PollingTime`` says. A file meets six cycles of four agents on its way: at ten seconds each that is half a
minute of waiting alone. An agent with this mixin repeats its work within a cycle instead.
"""

from __future__ import annotations

import time
from typing import Any

DEFAULT_PASS_SECONDS = 2
_LOOK_SECONDS = 0.5


class PromptPasses:
    """To be inherited before an agent's class: one cycle is several passes of that class's ``execute``.

    Options: ``PassSeconds``, the time between the starts of two passes (0: one pass a cycle, as in DIRAC), and DIRAC's
    ``PollingTime``, which is the length of a cycle then. A pass that takes longer is followed by the next one at once, but one
    that used much CPU by a rest of ``restPerCPUSecond`` times as much: where there is much to look through, it is DIRAC's rhythm
    again.
    """

    # an agent that looks for work uses a quarter of a core for it at most; where a pass needs seconds, that leaves one to a cycle
    restPerCPUSecond = 3.0

    def execute(self) -> dict[str, Any]:
        """Passes until the cycle's time is over, one of them fails, or the agent is asked to stop."""
        started = self._now()
        passSeconds = float(self.am_getOption("PassSeconds", DEFAULT_PASS_SECONDS))  # type: ignore[attr-defined]
        # the reactor starts the next cycle a second after the end of one that has used up its time
        endTime = started + float(self.am_getPollingTime()) - 1  # type: ignore[attr-defined]
        passStarted = started
        while True:
            cpuBefore = self._cpuSeconds()
            result = self.onePass(isFirst=passStarted == started)
            restSeconds = self.restPerCPUSecond * (self._cpuSeconds() - cpuBefore)
            nextTime = max(passStarted + passSeconds, self._now() + restSeconds)
            if not result["OK"] or passSeconds <= 0 or nextTime >= endTime or not self._restsUntil(nextTime):
                return result
            passStarted = self._now()

    def onePass(self, isFirst: bool) -> dict[str, Any]:
        """The agent's work: what DIRAC does once a cycle, unless an agent does less in later passes.

        :param isFirst: of its cycle
        """
        result: dict[str, Any] = super().execute()  # type: ignore[misc]
        return result

    def _restsUntil(self, nextTime: float) -> bool:
        """:returns: False, at once, if the agent is asked to stop"""
        while not self._isAskedToStop():
            left = nextTime - self._now()
            if left <= 0:
                return True
            self._sleep(min(left, _LOOK_SECONDS))
        return False

    def _isAskedToStop(self) -> bool:
        # the file is what DIRAC's commands make; the reactor looks at both between cycles only
        return not self.am_getModuleParam("alive") or self.am_checkStopAgentFile()  # type: ignore[attr-defined]

    def _now(self) -> float:
        return time.monotonic()

    def _cpuSeconds(self) -> float:
        # of all threads
        return time.process_time()

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)
