"""What the storage at a destination says, for validations: listings, sizes, and checksums at a rate that it bears."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from JUNODIRAC.Core.Logic.Ports import StoredFile, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal
from JUNODIRAC.RawDataSystem.Client.SourceStorage import SourceStorage

#: XRootD computes four checksums at a time and makes others wait
CHECKSUM_THREADS = 4
STORAGE_THREADS = 16
CHECKSUMS_PER_SECOND = 50.0
_SLICE_SECONDS = 10
_MAX_FILES_PER_SLICE = 100


class Pace:
    """Lets through so many a second.

    :param perSecond: 0: as many as come
    """

    def __init__(
        self,
        perSecond: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._perSecond, self._clock, self._sleep = perSecond, clock, sleep
        self._freeFrom = 0.0

    def wait(self, count: int) -> None:
        """Wait until so many more may go."""
        if self._perSecond <= 0:
            return
        now = self._clock()
        self._sleep(max(0.0, self._freeFrom - now))
        self._freeFrom = max(self._freeFrom, now) + count / self._perSecond


def filesPerSlice(checksumsPerSecond: float) -> int:
    """Checksums in one slice, so that none lasts long because of the rate."""
    if checksumsPerSecond <= 0:
        return _MAX_FILES_PER_SLICE
    return max(1, min(_MAX_FILES_PER_SLICE, int(checksumsPerSecond * _SLICE_SECONDS)))


class SiteStorage:
    """Implements :class:`JUNODIRAC.Core.Logic.ValidateBlock.LookStorage`. Every method raises TemporaryFailure where it is away.

    :param storage: asks
    :param checksumsPerSecond: 0: no limit
    """

    def __init__(
        self, storage: SourceStorage, checksumsPerSecond: float = CHECKSUMS_PER_SECOND, pace: Pace | None = None
    ) -> None:
        self._storage = storage
        self._pace = pace or Pace(checksumsPerSecond)

    def listSizes(self, directory: str) -> Mapping[str, int]:
        """Sizes in bytes of the files in a directory, by LFN; empty if it is not there."""
        return {f"{directory}/{name}": sizeBytes for name, (sizeBytes, _) in self._storage.listDirectory(directory).items()}

    def sizes(self, lfns: Sequence[str]) -> Mapping[str, StoredFile]:
        """What it says of each of these files."""
        return self._storage.look(lfns)

    def checksums(self, lfns: Sequence[str]) -> Mapping[str, StoredFile]:
        """The checksum of each of these files, as fast as the rate allows."""
        self._pace.wait(len(lfns))
        try:
            return self._storage.checksums(lfns)
        except ServiceRefusal as error:
            raise TemporaryFailure(
                error.component, "it cannot tell checksums, so that no copy is proved; make it compute adler32"
            ) from error

    def check(self, lfn: str) -> None:
        """Make sure that it answers at all."""
        self._storage.check(lfn)
