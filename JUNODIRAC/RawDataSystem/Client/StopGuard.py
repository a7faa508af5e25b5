"""A request to stop ends the process within a few seconds, whatever the main thread waits for.

The request is SIGTERM, or the file that DIRAC's ``runsvctrl t``, ``sv down`` and sysadmin CLI make instead of sending it.
Python runs a signal's handler in the main thread, between two of its own instructions: a call into a library that waits for
a database or for Kafka puts it off for as long. So a thread of its own gets to know of the signal, and ends the process when
the main thread does not do it in time. That is safe, because everything may be repeated: what is not committed comes again.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_LEAVE_SECONDS = 2.0
_LOOK_SECONDS = 0.5


class StopGuard:
    """Watches over the end of the process.

    :param stopSeconds: time that the main thread has to end by itself
    :param isAskedToStop: whether it is asked to stop in another way than by the signal
    :param onStop: called at once, in a thread of its own
    :param abandoned: says what the main thread was doing, for the log
    :param leave: tells others that we are gone; it gets two seconds
    :param exitProcess: ends the process at once
    """

    def __init__(
        self,
        log: Any,
        stopSeconds: float,
        isAskedToStop: Callable[[], bool],
        onStop: Callable[[], None],
        abandoned: Callable[[], str],
        leave: Callable[[], None],
        exitProcess: Callable[[int], Any] = os._exit,
    ) -> None:
        self._log = log
        self._stopSeconds = stopSeconds
        self._isAskedToStop = isAskedToStop
        self._onStop = onStop
        self._abandoned = abandoned
        self._leave = leave
        self._exitProcess = exitProcess
        self._ended = threading.Event()
        self._receiving, self._sending = socket.socketpair()

    def arm(self) -> None:
        """From now on SIGTERM is noticed. Call it in the main thread."""
        self._sending.setblocking(False)
        signal.set_wakeup_fd(self._sending.fileno(), warn_on_full_buffer=False)
        # a handler is needed, or else the signal has its default effect
        signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
        threading.Thread(target=self._watch, name="StopGuard", daemon=True).start()

    def disarm(self) -> None:
        """The process ends by itself, or lives on."""
        self._ended.set()

    def _watch(self) -> None:
        self._receiving.settimeout(_LOOK_SECONDS)
        while not self._isSignalled():
            if self._isAskedToStop():
                break
        self.stop()

    def _isSignalled(self) -> bool:
        try:
            return signal.SIGTERM in self._receiving.recv(64)
        except TimeoutError:
            return False

    def stop(self) -> None:
        """What happens on a request to stop."""
        self._onStop()
        if self._ended.wait(self._stopSeconds):
            return
        self._log.warn(f"Not at an end {self._stopSeconds:g} s after the request to stop, leaving:", self._abandoned())
        leaving = threading.Thread(target=self._leaveQuietly, name="leave", daemon=True)
        leaving.start()
        leaving.join(_LEAVE_SECONDS)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        self._exitProcess(0)

    def _leaveQuietly(self) -> None:
        try:
            self._leave()
        except Exception as exc:  # noqa: BLE001 the brokers notice our absence by themselves, later
            self._log.verbose("Leaving failed", repr(exc))
