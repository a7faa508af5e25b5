"""When a site is paused because of its errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.RepairRecords import Pause, nextPauseSeconds
from JUNODIRAC.Core.Domain.TransferErrors import MAX_PAUSE_SECONDS, POLICIES, ErrorClass
from JUNODIRAC.Core.Logic.RepairCycle import Failure


@dataclass(frozen=True)
class NewPause:
    """A site is paused until then, and why."""

    errorClass: ErrorClass
    until: datetime
    reason: str


def pauseNeeded(failures: Iterable[Failure], before: Sequence[Pause], now: datetime, timeScale: float = 1.0) -> NewPause | None:
    """Whether failures of a site are reason enough to copy nothing there for a while.

    Failures from before the last pause began are none: the files wait for their next attempt.

    :param before: earlier pauses of the site for all blocks
    """
    if any(each.isOn(now) for each in before):
        return None
    since = max((each.since for each in before), default=None)
    byClass: dict[ErrorClass, list[Failure]] = defaultdict(list)
    for failure in failures:
        if POLICIES[failure.errorClass].pauseFiles and (since is None or failure.time > since):
            byClass[failure.errorClass].append(failure)
    for errorClass, found in sorted(byClass.items()):
        policy = POLICIES[errorClass]
        if len({each.lfn for each in found}) >= policy.pauseFiles:
            seconds = nextPauseSeconds(
                list(before), errorClass, policy.pauseSeconds * timeScale, MAX_PAUSE_SECONDS * timeScale, now
            )
            reason = f"{policy.meaning}: {len(found)} file(s), e.g. {found[-1].lfn.rpartition('/')[2]}: {found[-1].text}"
            return NewPause(errorClass, now + timedelta(seconds=seconds), reason)
    return None
