"""Keeps account of problems, so that people are told of each once a period and once when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from JUNODIRAC.Core.Domain.Alert import Alert, Problem, kindOf


class AlertStore(Protocol):
    """Where open alerts outlive a restart. Each method may raise, and is then called again in a later cycle."""

    def readOpenAlerts(self) -> list[Alert]:
        """Alerts that have not ended."""

    def saveAlert(self, alert: Alert) -> None:
        """Write an alert: the open one of its key is changed, or made if there is none; one with an end ends."""


@dataclass(frozen=True)
class News:
    """What people are to be told now."""

    new: Sequence[Alert] = ()
    reminders: Sequence[Alert] = ()
    ended: Sequence[Alert] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.reminders or self.ended)


class AlertBook:
    """The alerts in memory, and what the store has of them. The memory leads: it goes on while the store is away."""

    def __init__(self) -> None:
        self._alerts: dict[str, Alert] = {}
        self._saved: dict[str, Alert] = {}
        self._isLoaded = False

    @property
    def standing(self) -> AbstractSet[str]:
        """Keys of the problems that stand."""
        return {key for key, alert in self._alerts.items() if alert.endedTime is None}

    def load(self, store: AlertStore) -> None:
        """Take over what an earlier run wrote, once: nothing is said twice, nothing is forgotten."""
        if self._isLoaded:
            return
        for alert in store.readOpenAlerts():
            self._saved[alert.key] = alert
            known = self._alerts.get(alert.key)
            self._alerts[alert.key] = _merged(alert, known) if known else alert
        self._isLoaded = True

    def update(self, problems: Iterable[Problem], unknownKinds: AbstractSet[str], now: datetime) -> None:
        """Take in what this cycle saw.

        :param unknownKinds: kinds of which it could see nothing; their alerts stay as they are
        """
        seen = {problem.key: problem for problem in problems}
        for key, problem in seen.items():
            known = self._alerts.get(key)
            self._alerts[key] = known.seenAgain(problem, now) if known else Alert(problem, now)
        for key in self.standing - seen.keys():
            if kindOf(key) not in unknownKinds:
                self._alerts[key] = replace(self._alerts[key], endedTime=now)

    def news(self, now: datetime, periodSeconds: float) -> News:
        """What people have not been told, and what they are to be reminded of."""
        open_ = [alert for alert in self._ordered() if alert.endedTime is None]
        return News(
            new=[alert for alert in open_ if alert.lastMailTime is None],
            reminders=[alert for alert in open_ if alert.lastMailTime and _age(alert.lastMailTime, now) >= periodSeconds],
            ended=[alert for alert in self._ordered() if alert.endedTime is not None],
        )

    def told(self, news: News, now: datetime) -> None:
        """People were told this."""
        for alert in (*news.new, *news.reminders):
            self._alerts[alert.key] = replace(self._alerts[alert.key], lastMailTime=now)
        self.untold(news)

    def untold(self, news: News) -> None:
        """There is nobody who could be told this: what has ended is over."""
        for alert in news.ended:
            # its end is still to be written
            if alert.key in self._saved:
                self._saved[alert.key] = replace(self._saved[alert.key], endedTime=alert.endedTime)
            del self._alerts[alert.key]

    def save(self, store: AlertStore) -> None:
        """Bring the store to what the memory has; what it does not take is tried again next time."""
        for key, saved in list(self._saved.items()):
            if key not in self._alerts or saved.endedTime:
                store.saveAlert(saved)
                del self._saved[key]
        for key, alert in self._alerts.items():
            # the end is written when people were told of it: until then a restart must know of the alert
            wanted = replace(alert, endedTime=None)
            if self._saved.get(key) != wanted:
                store.saveAlert(wanted)
                self._saved[key] = wanted

    def _ordered(self) -> list[Alert]:
        return sorted(self._alerts.values(), key=lambda alert: (alert.problem.since, alert.key))


def _merged(saved: Alert, known: Alert) -> Alert:
    """One problem that was seen while the store was away, and that an earlier run knew already."""
    mails = [time for time in (saved.lastMailTime, known.lastMailTime) if time]
    alert = replace(known, lastMailTime=max(mails) if mails else None, occurrences=saved.occurrences + known.occurrences)
    return replace(alert, problem=replace(alert.problem, since=min(saved.problem.since, known.problem.since)))


def _age(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds()
