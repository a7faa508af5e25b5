"""The mail about problems: one for all that happened in a cycle."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from JUNODIRAC.Core.Domain.Alert import Alert
from JUNODIRAC.Core.Logic.AlertBook import News
from JUNODIRAC.Core.Utilities.Moment import ageText

_SUBJECT_CHARS = 120
# mail servers refuse lines above 998 characters; no single message of a service may fill the mail either
_DETAIL_CHARS = 900


def composeMail(news: News, now: datetime, periodSeconds: float) -> tuple[str, str]:
    """Subject and text.

    The text holds the time to the second: DIRAC's Notification service swallows a mail that it has sent within the last day.
    """
    parts = []
    if news.new:
        parts += [_heading("New", news.new), *(_standing(alert, now) for alert in news.new)]
    if news.reminders:
        parts += [_heading("Still there", news.reminders), *(_standing(alert, now) for alert in news.reminders)]
    if news.ended:
        parts += [_heading("Over", news.ended), *(_over(alert) for alert in news.ended)]
    parts.append(
        f"Written at {_time(now)} by RawData/IngestWatchAgent of JUNODIRAC. A problem that stands is repeated every"
        f" {ageText(periodSeconds)}.\nAll that stand now: dirac-juno-ingest-status\n"
    )
    return _subject(news), "\n\n".join(parts)


def _subject(news: News) -> str:
    said = [("", news.new), ("still: ", news.reminders), ("over: ", news.ended)]
    text = "; ".join(
        word + ", ".join(_oneLine(alert.problem.sentence, _SUBJECT_CHARS) for alert in alerts) for word, alerts in said if alerts
    )
    if len(text) > _SUBJECT_CHARS:
        counts = [f"{len(alerts)} {word}" for word, alerts in zip(("new", "standing", "over"), (a for _, a in said), strict=True)
                  if alerts]  # fmt: skip
        text = f"problems with raw data: {', '.join(counts)}"
    return f"[JUNODIRAC] {text}"


def _heading(title: str, alerts: Sequence[Alert]) -> str:
    text = f"{title} ({len(alerts)})"
    return f"{text}\n{'-' * len(text)}"


def _standing(alert: Alert, now: datetime) -> str:
    problem = alert.problem
    lasting = ageText((now - problem.since).total_seconds())
    return "\n".join(
        [
            f"* {_oneLine(problem.sentence, _DETAIL_CHARS)}",
            f"  since:  {_time(problem.since)} ({lasting})",
            f"  detail: {_oneLine(problem.detail, _DETAIL_CHARS)}",
            f"  remedy: {_oneLine(problem.remedy, _DETAIL_CHARS)}",
        ]
    )


def _over(alert: Alert) -> str:
    ended = alert.endedTime or alert.lastSeenTime
    lasted = ageText((ended - alert.problem.since).total_seconds())
    sentence = _oneLine(alert.problem.sentence, _DETAIL_CHARS)
    return f"* {sentence}\n  from:   {_time(alert.problem.since)} until {_time(ended)} ({lasted})"


def _oneLine(text: str, maxChars: int) -> str:
    """Names come from announcements, which anybody may have written: no control characters, no endless text."""
    flat = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return flat if len(flat) <= maxChars else f"{flat[:maxChars]}..."


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
