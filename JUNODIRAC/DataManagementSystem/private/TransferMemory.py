"""What this process remembers of the copies that it asked FTS3 for.

DIRAC's FTS3DB does not keep from which storage element a job copied, and the accounting need not be there; but the agent that
chooses sources sees each of its jobs end. So a link's record costs no query. It is forgotten when the agent is restarted, and
each of several agents has its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from JUNODIRAC.Core.Domain.SourceRules import SourceRules
from JUNODIRAC.Core.Logic.SourceRanking import Source
from JUNODIRAC.Core.Logic.TransferRecords import Attempt, TransferRecords


class TransferMemory:
    """The records of this process, for the agent's threads.

    :param clock: seconds that only grow
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records = TransferRecords()
        self._lock = threading.Lock()
        self._doubts: dict[str, dict[str, str]] = {}

    def jobEnded(self, accounting: Iterable[Mapping[str, Any]]) -> None:
        """Remember how a job went.

        :param accounting: DIRAC's records of a job that has ended, one for the files that were copied and one for the others
        """
        now = self._clock()
        with self._lock:
            for record in accounting:
                if record.get("Source") and record.get("Destination"):
                    self._records.addJob(
                        record["Source"], record["Destination"], record["TransferOK"], record["TransferTotal"], now
                    )

    def filesEnded(self, ftsFiles: Iterable[Any]) -> None:
        """Remember what became of those of these FTS3Files whose last attempt has ended.

        Real FTS3 calls a wrong checksum final, and DIRAC gives such a file up at once: no other attempt would tell of it.
        """
        now = self._clock()
        with self._lock:
            for ftsFile in ftsFiles:
                self._settle(ftsFile, now)

    def takeDoubts(self) -> dict[str, dict[str, str]]:
        """The replicas that failures spoke against since the last call: the failures by storage element and LFN."""
        with self._lock:
            doubts, self._doubts = self._doubts, {}
        return doubts

    def doubt(self, doubts: Mapping[str, Mapping[str, str]]) -> None:
        """Keep doubts for the next call that takes them."""
        with self._lock:
            for se, failures in doubts.items():
                self._doubts.setdefault(se, {}).update(failures)

    def sourcesOf(self, ftsFile: Any, storages: Iterable[str], rules: SourceRules) -> list[Source]:
        """The replicas of an FTS3File, with what is known of them and of their links to its target."""
        now, target = self._clock(), ftsFile.targetSE
        with self._lock:
            self._settle(ftsFile, now)
            return [self._records.sourceAt(se, ftsFile.lfn, target, rules.recentSeconds, now) for se in storages]

    def _settle(self, ftsFile: Any, now: float) -> None:
        source = self._records.settle(ftsFile.lfn, ftsFile.targetSE, _attempt(ftsFile), now)
        if source:
            self._doubts.setdefault(source, {})[ftsFile.lfn] = ftsFile.error or ""

    def chosen(self, ftsFile: Any, source: str) -> None:
        """Remember from where a file is copied now."""
        with self._lock:
            self._records.addChoice(ftsFile.lfn, ftsFile.targetSE, source, _attempt(ftsFile))


def _attempt(ftsFile: Any) -> Attempt:
    return Attempt(
        fileID=ftsFile.fileID,
        number=ftsFile.attempt or 0,
        hasFailed=ftsFile.status in (*ftsFile.FTS_FAILED_STATES, "Defunct"),
        hasSucceeded=ftsFile.status in ftsFile.FTS_SUCCESS_STATES,
        error=ftsFile.error or "",
    )


#: that of this process: DIRAC makes plugins anew whenever the configuration changes
transferMemory = TransferMemory()
