"""The slow comparison of the last days' directories with the ledger, beside the receiver's main work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from JUNODIRAC.Core.Logic.Sweep import SweepResult
from JUNODIRAC.RawDataSystem.Client.Sweeper import Sweeper

# the service that asks for details sweeps for itself
_MAX_NAMES = 100
_NAMES_IN_LOG = 3
_NOT_YET_SECONDS = 30.0
_SWEEPING_PARTITION = 0


class SweepLedger(Protocol):
    """Where results are kept."""

    def recordSweep(
        self,
        typeName: str,
        directory: str,
        time: datetime,
        onStorage: int,
        inLedger: int,
        neverAnnounced: int,
        notOnStorage: int,
        differences: Mapping[str, object],
    ) -> None: ...


class BackgroundSweep:
    """One sweep at a time, one directory at a time. Of several receivers of a Type only the one with partition 0 sweeps.

    :param days: how many days, today included
    :param partitions: the partitions that the receiver has now
    :param readUntil: until when announcements have been ingested, None: not known
    :param pause: waits between two directories
    """

    def __init__(
        self,
        typeName: str,
        sweeper: Sweeper,
        ledger: SweepLedger,
        log: Any,
        days: int,
        partitions: Callable[[], frozenset[int]],
        readUntil: Callable[[], datetime | None],
        pause: Callable[[], object],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._typeName = typeName
        self._sweeper = sweeper
        self._ledger = ledger
        self._log = log
        self._days = days
        self._partitions = partitions
        self._readUntil = readUntil
        self._pause = pause
        self._now = now

    def run(self) -> float | None:
        """One sweep, if it is this receiver's task and its backlog is read.

        :returns: seconds until the next try, or None if it was done
        """
        readUntil = self._readUntil()
        if _SWEEPING_PARTITION not in self._partitions() or readUntil is None:
            return _NOT_YET_SECONDS
        for directory in self._sweeper.directoriesOfDays(self._days):
            result = self._sweeper.sweepDirectory(directory, readUntil)
            if result.onStorage or result.inLedger:
                self._keep(result)
            self._pause()
        return None

    def _keep(self, result: SweepResult) -> None:
        self._ledger.recordSweep(
            self._typeName,
            result.directory,
            self._now(),
            result.onStorage,
            result.inLedger,
            len(result.neverAnnounced),
            len(result.notOnStorage),
            differencesOf(result),
        )
        if not result.hasDifferences:
            self._log.verbose("Sweep", f"{result.directory}: {result.onStorage} files, all known")
            return
        counts = (
            f"{result.directory}: {result.onStorage} files on the storage, {result.inLedger} in the ledger; "
            f"{len(result.neverAnnounced)} never announced, {len(result.notOnStorage)} not on the storage, "
            f"{len(result.wrongSize)} of another size, {len(result.foreign)} foreign"
        )
        if result.neverAnnounced:
            names = ", ".join(file.name for file in result.neverAnnounced[:_NAMES_IN_LOG])
            self._log.warn("Sweep: forgotten files", f"{counts}; e.g. {names}; see dirac-juno-gaps")
        else:
            self._log.notice("Sweep", counts)


def differencesOf(result: SweepResult) -> dict[str, object]:
    """The named differences for the ledger, the first ones of each kind."""
    return {
        "NeverAnnounced": [
            {"Name": file.name, "SizeBytes": file.sizeBytes, "ModifiedTime": file.modifiedTime.isoformat()}
            for file in result.neverAnnounced[:_MAX_NAMES]
        ],
        "NotOnStorage": list(result.notOnStorage[:_MAX_NAMES]),
        "WrongSize": [
            {"Name": file.name, "SizeBytes": file.sizeBytes, "LedgerSizeBytes": sizeBytes}
            for file, sizeBytes in result.wrongSize[:_MAX_NAMES]
        ],
        "Foreign": list(result.foreign[:_MAX_NAMES]),
    }
