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
    waiting: Sequence[WaitingFile], groupSize: int, maxWaitSeconds: float, flush: bool = False
) -> list[tuple[str, ...]]:
    """Cut the waiting files into groups, oldest first.

    Full groups always go. What remains goes when its oldest file has waited for ``maxWaitSeconds``, or on ``flush``: no
    tail is left behind. A file that is listed twice counts once, with its greater age.

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
    if rest and (flush or ages[rest[0]] >= maxWaitSeconds):
        groups.append(rest)
    return groups
