"""Agents that look only at what has something to do, and now and then at everything."""

from __future__ import annotations

import time

DEFAULT_FULL_CYCLE_SECONDS = 21600


class FullCycles:
    """To be inherited by an agent. Option: ``FullCycleSeconds``, the time between two looks at everything; 0: always.

    The look at everything, which is DIRAC's own, is the safety net for what a choice may miss. It takes minutes where there are
    thousands of transformations, and so it is not made at the start either.
    """

    _fullTime: float | None = None

    def isFullCycleDue(self) -> bool:
        """Whether it is time for everything; then it counts as done."""
        period = float(self.am_getOption("FullCycleSeconds", DEFAULT_FULL_CYCLE_SECONDS))  # type: ignore[attr-defined]
        now = time.monotonic()
        if self._fullTime is None:
            self._fullTime = now
        if now - self._fullTime < period:
            return False
        self._fullTime = now
        return True

    def repeatFullCycle(self) -> None:
        """The one that was due did not succeed."""
        self._fullTime = float("-inf")
