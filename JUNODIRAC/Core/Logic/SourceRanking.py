"""From which replica a file is copied, and whether it waits for the copy at the relay first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from JUNODIRAC.Core.Domain.SourceRules import SourceRules

# shares of success that differ by less are the same: else one failure in a hundred would move all copies to another link
_STEPS = 10


@dataclass(frozen=True)
class Source:
    """A replica that a file could be copied from.

    :param banned: its storage element must not be read
    :param bad: a copy of it had a wrong checksum, or it is not there
    :param failures: recent attempts to copy this file from here to this destination that failed
    :param successShare: share of the recent copies on this link that succeeded, 0 to 1; 1 where nothing is known, so that
      an unknown link is tried
    """

    se: str
    banned: bool = False
    bad: bool = False
    failures: int = 0
    successShare: float = 1.0


def rankSources(sources: Iterable[Source], target: str, rules: SourceRules, chance: Callable[[], float]) -> list[Source]:
    """All sources, best first.

    Banned ones stand at the end and bad ones before them. Among the others: fewer failures of this very file, the relay,
    configured preference, recent success on the link, chance.

    :param target: the destination
    :param chance: a random number at each call
    """
    preferred = {se: place for place, se in reversed(list(enumerate(rules.preferredFor(target))))}
    relay = rules.relaySE if rules.hasRelay(target) else None

    def rank(source: Source) -> tuple[bool, bool, int, bool, int, int, float]:
        return (
            source.banned,
            source.bad,
            source.failures,
            source.se != relay,
            preferred.get(source.se, len(preferred)),
            -round(source.successShare * _STEPS),
            chance(),
        )

    return sorted(sources, key=rank)


def chooseSource(sources: Iterable[Source], target: str, rules: SourceRules, chance: Callable[[], float]) -> Source | None:
    """The source to copy from; None if there is none that may be read.

    A bad one is the last resort: the attempt is counted and the file given up some time, while it would wait for ever without.
    """
    return next((source for source in rankSources(sources, target, rules, chance) if not source.banned), None)


def waitsForRelay(sources: Iterable[Source], target: str, rules: SourceRules, waitedSeconds: float, isExpected: bool) -> bool:
    """Whether a file is not copied yet because the relay will have it soon.

    :param waitedSeconds: since the copy was asked for; a time in the future is no reason to wait
    :param isExpected: a copy to the relay is on its way, as far as one knows
    """
    if not isExpected or not rules.hasRelay(target):
        return False
    if any(source.se == rules.relaySE for source in sources):
        return False
    return 0 <= waitedSeconds < rules.relayPatienceSeconds
