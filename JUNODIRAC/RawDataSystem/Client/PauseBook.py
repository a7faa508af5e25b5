"""What the plugins of DIRAC's agents know of pauses and of bad replicas: what the service says, at most ten seconds old."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from DIRAC import gLogger
from DIRAC.Core.Utilities.ReturnValues import returnValueOrRaise

from JUNODIRAC.RawDataSystem.Client.CachedAnswer import CachedAnswer
from JUNODIRAC.RawDataSystem.Client.RawDataManagerClient import RawDataManagerClient

_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class SitePause:
    """Nothing is copied to a storage element for a while.

    :param directories: of the one block that it is about, whose transformation that is; all blocks, if it has none
    :param until: when it ends by itself
    """

    se: str
    reason: str
    transformationID: int | None = None
    directories: tuple[str, ...] = ()
    until: datetime | None = None

    def __str__(self) -> str:
        until = f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
        return f"{self.se} is paused{until}: {self.reason}"

    def isOn(self, se: str, now: datetime) -> bool:
        """Whether it is about this storage element, and holds."""
        return se == self.se and (self.until is None or now < self.until)

    def isAbout(self, lfn: str) -> bool:
        """Whether it is about this file."""
        return self.transformationID is None or any(lfn.startswith(f"{directory}/") for directory in self.directories)


def _askPauses() -> list[SitePause]:
    answer = returnValueOrRaise(RawDataManagerClient(timeout=_TIMEOUT_SECONDS).getPauses())
    return [
        SitePause(
            se=each["SE"],
            reason=each["Reason"],
            transformationID=each["TransformationID"],
            directories=tuple(each["Directories"]),
            until=datetime.fromisoformat(each["Until"]) if each["Until"] else None,
        )
        for each in answer
    ]


def _askBadReplicas() -> dict[str, list[str]]:
    answer: dict[str, list[str]] = returnValueOrRaise(RawDataManagerClient(timeout=_TIMEOUT_SECONDS).getBadReplicas())
    return answer


class PauseBook:
    """While the service is away the last answer holds; without any, nothing is paused and no replica is bad."""

    def __init__(
        self,
        askPauses: Callable[[], Sequence[SitePause]] = _askPauses,
        askBadReplicas: Callable[[], Mapping[str, Sequence[str]]] = _askBadReplicas,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        log: Any = gLogger.getSubLogger(self.__class__.__name__)
        self._now = now
        self._pauses = CachedAnswer[Sequence[SitePause]](
            askPauses, (), lambda why: log.warn("Pauses of sites are those that were known before:", why)
        )
        self._bad = CachedAnswer[Mapping[str, Sequence[str]]](
            askBadReplicas, {}, lambda why: log.warn("Bad replicas are those that were known before:", why)
        )

    def ofFile(self, se: str, lfn: str) -> SitePause | None:
        """The pause because of which this file is not copied there now."""
        now = self._now()
        return next((each for each in self._pauses.get() if each.isOn(se, now) and each.isAbout(lfn)), None)

    def ofTransformation(self, se: str, transformationID: int) -> SitePause | None:
        """The pause because of which no file of this transformation is copied there now."""
        now, numbers = self._now(), (None, transformationID)
        return next((each for each in self._pauses.get() if each.isOn(se, now) and each.transformationID in numbers), None)

    def badSEs(self, lfn: str) -> frozenset[str]:
        """Storage elements whose replica of a file must not be a source."""
        return frozenset(self._bad.get().get(lfn, ()))


#: that of this process
pauseBook = PauseBook()
