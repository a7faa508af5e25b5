"""Something small that is done again and again beside the main work, and that never disturbs it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class PeriodicTask:
    """Runs in a thread of its own until it is told to stop. A failure is said once; the next time is as always.

    :param name: for the log
    :param seconds: time between two runs
    :param work: one run; it may return the seconds until the next one
    :param say: writes one line to the log, for example ``log.warn``
    :param niceness: of the thread; more than 0 leaves the processor to others
    """

    def __init__(
        self,
        name: str,
        seconds: float,
        work: Callable[[], float | None],
        say: Callable[[str, str], Any],
        niceness: int = 0,
    ) -> None:
        self._name = name
        self._seconds = seconds
        self._work = work
        self._say = say
        self._niceness = niceness
        self._stop = threading.Event()
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, with a first run at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the run of now; does not wait for it."""
        self._stop.set()

    def runOnce(self) -> float:
        """One run.

        :returns: seconds until the next one
        """
        try:
            following = self._work()
        except Exception as exc:  # noqa: BLE001 whatever it is, the main work goes on
            failure = str(exc) or repr(exc)
            if failure != self._failure:
                self._say(f"{self._name} failed, tried again in {self._seconds:.0f} s:", failure)
            self._failure = failure
            return self._seconds
        if self._failure:
            self._say(f"{self._name} works again", "")
        self._failure = ""
        return self._seconds if following is None else following

    def _run(self) -> None:
        if self._niceness:
            with suppress(OSError):
                # on Linux each thread has a priority of its own
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        while not self._stop.is_set():
            self._stop.wait(self.runOnce())
