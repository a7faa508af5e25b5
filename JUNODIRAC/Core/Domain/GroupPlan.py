"""Which of a transfer's waiting files go out together as one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class WaitingFile:
    """A file that waits for its transfer.

    :param ageSeconds: how long it has waited
    """

    lfn: str
    ageSeconds: float


def planGroups(
    waiting: Sequence[WaitingFile],
    groupSize: int,
    maxWaitSeconds: float,
    flush: bool = False,
    settleSeconds: float | None = None,
) -> list[tuple[str, ...]]:
    """Cut the waiting files into groups, oldest first.

    Full groups always go. What remains goes when its youngest file has waited for ``settleSeconds``, so that nobody waits for
    companions that do not come; when its oldest has waited for ``maxWaitSeconds``, however many come; or on ``flush``: no tail
    is left behind. A file that is listed twice counts once, with its greater age.

    :param settleSeconds: None: only the oldest counts
    :raises ValueError: if ``groupSize`` is below 1
    """
    if groupSize < 1:
        raise ValueError(f"groupSize must be at least 1, not {groupSize}")
    ages: dict[str, float] = {}
    for file in waiting:
        ages[file.lfn] = max(file.ageSeconds, ages.get(file.lfn, file.ageSeconds))
    # the name settles ties, so that the same files always give the same groups
    ordered = sorted(ages, key=lambda lfn: (-ages[lfn], lfn))
    full = len(ordered) - len(ordered) % groupSize
    groups = [tuple(ordered[start : start + groupSize]) for start in range(0, full, groupSize)]
    rest = tuple(ordered[full:])
    isSettled = bool(rest) and settleSeconds is not None and ages[rest[-1]] >= settleSeconds
    if rest and (flush or isSettled or ages[rest[0]] >= maxWaitSeconds):
        groups.append(rest)
    return groups
