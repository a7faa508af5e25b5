"""A question to a service that is asked often and answered from memory in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

DEFAULT_VALID_SECONDS = 10.0
_AFTER_FAILURE_SECONDS = 30.0


class CachedAnswer(Generic[T]):
    """The last answer; while the service is away that is the one of before.

    :param ask: asks; may raise any exception
    :param nothing: the answer as long as there was none
    :param say: is told, once, when the service does not answer
    :param validSeconds: an answer is kept for so long
    :param clock: seconds that only grow
    """

    def __init__(
        self,
        ask: Callable[[], T],
        nothing: T,
        say: Callable[[str], Any],
        validSeconds: float = DEFAULT_VALID_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._answer, self._say = ask, nothing, say
        self._validSeconds, self._clock = validSeconds, clock
        self._askAgainAt: float | None = None
        self._isAway = False
        self._lock = threading.Lock()

    def get(self) -> T:
        """The answer, which is at most ``validSeconds`` old unless the service is away. One thread asks, others wait for it."""
        with self._lock:
            if self._askAgainAt is None or self._clock() >= self._askAgainAt:
                self._refresh()
            return self._answer

    def _refresh(self) -> None:
        try:
            self._answer = self._ask()
        except Exception as error:  # noqa: BLE001 whatever it is, the work goes on with what was known
            if not self._isAway:
                self._say(str(error))
            self._isAway = True
            # a service that does not answer takes its time to do so
            self._askAgainAt = self._clock() + max(self._validSeconds, _AFTER_FAILURE_SECONDS)
        else:
            self._isAway = False
            self._askAgainAt = self._clock() + self._validSeconds
