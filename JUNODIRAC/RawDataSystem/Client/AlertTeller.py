"""Tells people of problems: into the log at once, by mail as soon as the Notification service takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from random import uniform
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.Alert import Problem
from JUNODIRAC.Core.Logic.AlertBook import AlertBook, News
from JUNODIRAC.Core.Logic.AlertLetter import composeMail
from JUNODIRAC.RawDataSystem.Client.AlertMail import alertRecipients, alertSender

_FIRST_DELAY_SECONDS = 10.0


class Mailer(Protocol):
    """See :class:`JUNODIRAC.RawDataSystem.Client.AlertMail.AlertMail`."""

    def send(self, recipients: Sequence[str], subject: str, text: str, sender: str = "") -> None: ...


class AlertTeller:
    """Keeps the book of alerts and sends the mails.

    :param log: a DIRAC logger
    :param recipientsOf: addresses for a VO
    """

    def __init__(
        self, book: AlertBook, mail: Mailer, log: Any, recipientsOf: Callable[[str], list[str]] = alertRecipients
    ) -> None:
        self._book = book
        self._mail = mail
        self._log = log
        self._recipientsOf = recipientsOf
        self._failures = 0
        self._nextMail: datetime | None = None
        self._saidNobody = False

    def note(self, problems: Sequence[Problem], unknownKinds: AbstractSet[str], now: datetime) -> None:
        """Take in what a cycle saw; the log says what is new and what is over."""
        before = self._book.standing
        self._book.update(problems, unknownKinds, now)
        for problem in problems:
            if problem.key not in before:
                self._log.error(f"Problem {problem.key}:", f"{problem.sentence}: {problem.detail}; {problem.remedy}")
        for key in sorted(before - self._book.standing):
            self._log.notice("Problem is over:", key)

    def tell(self, now: datetime, periodSeconds: float, maxDelaySeconds: float, vo: str = "") -> None:
        """Send one mail with everything that is due. If it cannot be sent, it is tried again later, with what is due then."""
        news = self._book.news(now, periodSeconds)
        if not news or (self._nextMail is not None and now < self._nextMail):
            return
        recipients = self._recipientsOf(vo)
        if not recipients:
            self._tellNobody(news, vo)
            return
        subject, text = composeMail(news, now, periodSeconds)
        try:
            self._mail.send(recipients, subject, text, alertSender(vo))
        except Exception as exc:  # noqa: BLE001 whatever it is: it must be tried again
            self._failed(exc, now, maxDelaySeconds)
            return
        self._book.told(news, now)
        self._saidNobody = False
        if self._failures:
            self._log.notice("Mails go out again", f"after {self._failures} failed attempts")
        self._failures, self._nextMail = 0, None
        self._log.notice("Told of problems:", f"{', '.join(recipients)}: {subject}")

    def _failed(self, exc: Exception, now: datetime, maxDelaySeconds: float) -> None:
        if not self._failures:
            self._log.error("No mail can be sent, it is tried again until one goes out:", str(exc))
        delaySeconds = min(maxDelaySeconds, _FIRST_DELAY_SECONDS * 2 ** min(self._failures, 20))
        self._failures += 1
        self._nextMail = now + timedelta(seconds=delaySeconds * uniform(0.5, 1.0))

    def _tellNobody(self, news: News, vo: str) -> None:
        if not self._saidNobody:
            path = f"/Operations/{vo or 'Defaults'}/RawData/Alerts/Recipients"
            self._log.error("Nobody is told of problems:", f"set {path}, or Email of the production manager in the Registry")
        self._saidNobody = True
        self._book.untold(news)
