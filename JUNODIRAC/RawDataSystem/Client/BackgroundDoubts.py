"""Asks the storages for replicas in doubt in a thread of its own: one that does not answer holds up no repair."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from JUNODIRAC.Core.Logic.DoubtCheck import DoubtCheck


class BackgroundDoubts:
    """:param makeCheck: with clients of its own
    :param log: DIRAC's logger
    """

    def __init__(self, makeCheck: Callable[[], DoubtCheck], log: Any) -> None:
        self._makeCheck, self._log = makeCheck, log
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin a search, unless the last one is still under way."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="doubts", daemon=True)
            self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the search at most so long."""
        if self._thread:
            self._thread.join(max(seconds, 0))

    def _run(self) -> None:
        try:
            for se, why in self._makeCheck().check().items():
                self._log.warn(f"Replicas at {se} stay in doubt:", why)
        except Exception as error:  # noqa: BLE001 the next search begins anew
            self._log.error("Replicas in doubt were not asked for:", str(error))
