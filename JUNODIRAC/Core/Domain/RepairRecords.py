"""What is kept of repairs, bad replicas and pauses. All times are UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RepairState(StrEnum):
    """How the repair of a file at a site stands."""

    ACTIVE = "Active"
    REPAIRED = "Repaired"
    GIVEN_UP = "GivenUp"  #: a person has to act


@dataclass(frozen=True)
class RepairRecord:
    """What was done about one file at one site.

    :param situation: the rule of :mod:`RepairTable` that decided last
    :param action: and its action
    :param errorClass: of the failure, see :class:`TransferErrors.ErrorClass`
    :param attempts: actions that were counted
    :param lastTime: when something was done or decided anew
    :param nextTime: when it is looked at again; None: not by itself
    """

    blockID: int
    se: str
    fileID: int
    state: RepairState
    situation: str
    action: str
    errorClass: str
    error: str
    attempts: int
    firstTime: datetime
    lastTime: datetime
    nextTime: datetime | None = None


@dataclass(frozen=True)
class DeclaredCopy:
    """A file as the ledger declares it."""

    fileID: int
    sizeBytes: int
    checksum: str


@dataclass(frozen=True)
class Pause:
    """Nothing is copied to a storage element for a while.

    :param blockID: of this block only; 0: of all
    :param block: its name; empty for all
    :param until: when it ends by itself; None: when somebody ends it
    :param errorClass: of the failures because of which the repair made it; empty: a person did
    :param ended: when it was ended before; None: it was not
    """

    pauseID: int
    se: str
    blockID: int
    since: datetime
    until: datetime | None
    actor: str
    reason: str
    errorClass: str = ""
    block: str = ""
    typeName: str = ""
    ended: datetime | None = None
    endedBy: str = ""

    def isOn(self, now: datetime) -> bool:
        """Whether it holds."""
        return self.ended is None and (self.until is None or now < self.until)

    @property
    def isAutomatic(self) -> bool:
        """Whether the repair made it."""
        return bool(self.errorClass)


def nextPauseSeconds(before: list[Pause], errorClass: str, firstSeconds: float, maxSeconds: float, now: datetime) -> float:
    """How long a site is paused because of an error: twice as long as the last time, if that was not long ago.

    :param before: earlier pauses of the site
    """
    seconds = firstSeconds
    last = max((each for each in before if each.errorClass == errorClass), key=lambda each: each.since, default=None)
    if last is not None and last.until is not None:
        lasted = (last.until - last.since).total_seconds()
        over = last.ended or last.until
        if last.ended is None and (now - over).total_seconds() < max(2 * lasted, firstSeconds):
            seconds = 2 * lasted
    return min(seconds, maxSeconds)


@dataclass(frozen=True)
class LossLimits:
    """From when on missing or wrong copies are not single accidents: a storage that is not mounted has none of its files.

    :param files: more than so many at a site; 0: never
    :param share: and more than this share (0 to 1) of the files that were looked at
    :param windowSeconds: what was found before within this time counts, too
    """

    files: int = 20
    share: float = 0.1
    windowSeconds: float = 3600.0

    def isExceeded(self, lost: int, lookedAt: int) -> bool:
        """Whether so many of so many are too many."""
        return 0 < self.files < lost and lost > self.share * lookedAt
