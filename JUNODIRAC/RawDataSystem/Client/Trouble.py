"""What is out of order: when to try again, and what to say of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import uniform
from time import monotonic
from typing import Any

from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.TypePolicies import BadTypeConfiguration

FIRST_DELAY_SECONDS = 1.0
# Errors that say what is wrong and what to do; a traceback would only hide it.
_SPEAKING = (Refusal, BadTypeConfiguration)


class Trouble:
    """Something that holds the receiver up.

    :param maxDelaySeconds: longest time between two attempts
    """

    def __init__(self, log: Any, maxDelaySeconds: float, now: Callable[[], float] = monotonic) -> None:
        self._log = log
        self._maxDelaySeconds = maxDelaySeconds
        self._now = now
        self._kind = ""
        self._last: Exception | None = None
        self._attempts = 0
        self._since = 0.0
        self._sinceTime: datetime | None = None
        self._nextAttempt = 0.0

    def add(self, exc: Exception) -> None:
        """Note a failure; says so if it is the first, or of another kind than the one before."""
        kind = exc.component if isinstance(exc, TemporaryFailure) else repr(exc)
        if not self._attempts:
            self._since = self._now()
            self._sinceTime = datetime.now(UTC)
        if kind != self._kind:
            if isinstance(exc, TemporaryFailure):
                self._log.warn("Waiting, nothing is lost or committed meanwhile:", str(exc))
            elif isinstance(exc, _SPEAKING):
                self._log.error("Stopped until it is put right, nothing is lost:", str(exc))
            else:
                self._log.exception("Stopped by an error, nothing is lost; tried again until it is put right:", lException=exc)
        self._kind, self._last = kind, exc
        self._attempts += 1
        delaySeconds = min(self._maxDelaySeconds, FIRST_DELAY_SECONDS * 2 ** min(self._attempts - 1, 30))
        # jitter, so that receivers that were stopped by the same thing do not come back at the same moment
        self._nextAttempt = self._now() + delaySeconds * uniform(0.5, 1.0)

    def end(self) -> None:
        """All is well; says so if it was not."""
        if self._attempts:
            self._log.notice("Going on", f"after {self._now() - self._since:.0f} s and {self._attempts} failed attempts")
        self._kind, self._last, self._attempts, self._nextAttempt = "", None, 0, 0.0
        self._sinceTime = None

    def raiseIfLasting(self) -> None:
        """Raise the last failure, if all is not well."""
        if self._last is not None:
            raise self._last

    def current(self) -> tuple[str, datetime | None]:
        """What is wrong, empty if nothing, and since when, UTC. May be asked from any thread."""
        last, since = self._last, self._sinceTime
        return (str(last) or repr(last), since) if last is not None else ("", None)

    def remainingSeconds(self) -> float:
        """Time until the next attempt."""
        return max(0.0, self._nextAttempt - self._now()) if self._attempts else 0.0
