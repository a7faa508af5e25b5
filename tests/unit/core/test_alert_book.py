"""People are told of each problem once a period and once when it is over, whatever fails or restarts meanwhile."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.Alert import Alert, Problem
from JUNODIRAC.Core.Logic.AlertBook import AlertBook
from JUNODIRAC.Core.Logic.AlertLetter import composeMail

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
PERIOD = 600


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def problem(key: str = "service:X", since: float = 0, detail: str = "refused") -> Problem:
    return Problem(key, "", f"{key} is wrong", detail, "do something", at(since))


class Store:
    """The table Alerts, in memory; ``isAway`` makes every call fail."""

    def __init__(self) -> None:
        self.open: dict[str, Alert] = {}
        self.ended: list[Alert] = []
        self.isAway = False

    def readOpenAlerts(self) -> list[Alert]:
        self._answer()
        return list(self.open.values())

    def saveAlert(self, alert: Alert) -> None:
        self._answer()
        if alert.endedTime:
            self.open.pop(alert.key, None)
            self.ended.append(alert)
        else:
            self.open[alert.key] = alert

    def _answer(self) -> None:
        if self.isAway:
            raise ConnectionError("away")


class Watch:
    """Cycles of a watch that may be restarted; keeps the mails as (new, reminders, ended) keys."""

    def __init__(self) -> None:
        self.store = Store()
        self.book = AlertBook()
        self.mails: list[tuple[list[str], list[str], list[str]]] = []
        self.mailWorks = True

    def restart(self) -> None:
        self.book = AlertBook()

    def cycle(self, seconds: float, *problems: Problem, unknown: frozenset[str] = frozenset()) -> None:
        self._try(self.book.load)
        self.book.update(problems, unknown, at(seconds))
        self._try(self.book.save)
        news = self.book.news(at(seconds), PERIOD)
        if news and self.mailWorks:
            parts = (news.new, news.reminders, news.ended)
            self.mails.append(tuple([alert.key for alert in part] for part in parts))
            self.book.told(news, at(seconds))
        self._try(self.book.save)

    def _try(self, step) -> None:
        with suppress(ConnectionError):
            step(self.store)


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_problem_is_mailed_once_then_once_a_period_then_once_when_it_is_over(watch):
    for seconds in range(0, 1300, 10):
        watch.cycle(seconds, problem())
    for seconds in range(1300, 1400, 10):
        watch.cycle(seconds)
    key = ["service:X"]
    assert watch.mails == [(key, [], []), ([], key, []), ([], key, []), ([], [], key)]
    assert watch.store.open == {}
    assert [alert.endedTime for alert in watch.store.ended] == [at(1300)]


def test_what_happens_in_one_cycle_is_one_mail(watch):
    watch.cycle(0, problem("a:1"))
    watch.cycle(10, problem("b:1"), problem("c:1"))
    assert watch.mails[1:] == [(["b:1", "c:1"], [], ["a:1"])]


def test_a_restart_neither_repeats_a_mail_nor_forgets_that_the_problem_was_there(watch):
    watch.cycle(0, problem())
    watch.restart()
    watch.cycle(10, problem(since=10))
    assert len(watch.mails) == 1
    assert watch.store.open["service:X"].problem.since == START
    watch.restart()
    watch.cycle(20)
    assert watch.mails[1:] == [([], [], ["service:X"])]


def test_a_mail_that_does_not_go_out_is_sent_later_by_the_next_run_too(watch):
    watch.mailWorks = False
    watch.cycle(0, problem())
    watch.restart()
    watch.cycle(10, problem())
    watch.mailWorks = True
    watch.cycle(20, problem())
    assert watch.mails == [(["service:X"], [], [])]


def test_an_end_that_could_not_be_mailed_is_mailed_later_by_the_next_run_too(watch):
    watch.cycle(0, problem())
    watch.mailWorks = False
    watch.cycle(10)
    watch.restart()
    watch.mailWorks = True
    watch.cycle(20)
    assert watch.mails[1:] == [([], [], ["service:X"])]


def test_a_problem_that_comes_back_before_its_end_was_mailed_has_not_ended(watch):
    watch.cycle(0, problem())
    watch.mailWorks = False
    watch.cycle(10)
    watch.mailWorks = True
    watch.cycle(20, problem())
    assert len(watch.mails) == 1


def test_a_problem_that_comes_back_after_its_end_is_a_new_one(watch):
    for seconds, problems in ((0, [problem()]), (10, []), (20, [problem(since=20)])):
        watch.cycle(seconds, *problems)
    assert watch.mails == [(["service:X"], [], []), ([], [], ["service:X"]), (["service:X"], [], [])]
    assert watch.store.open["service:X"].problem.since == at(20)


def test_without_the_ledger_people_are_told_all_the_same_and_it_is_written_down_later(watch):
    watch.store.isAway = True
    watch.cycle(0, problem())
    watch.cycle(10, problem())
    watch.store.isAway = False
    watch.cycle(20, problem())
    assert len(watch.mails) == 1
    assert watch.store.open["service:X"].lastMailTime == START
    watch.restart()
    watch.cycle(30, problem())
    assert len(watch.mails) == 1


def test_what_an_earlier_run_knew_is_joined_with_what_was_seen_while_the_ledger_was_away(watch):
    watch.cycle(0, problem())
    watch.restart()
    watch.store.isAway = True
    watch.cycle(10, problem(since=10))
    watch.store.isAway = False
    watch.cycle(20, problem(since=10))
    watch.cycle(30, problem(since=10))
    assert watch.store.open["service:X"].problem.since == START
    assert len(watch.mails) == 2  # the second run could not know of the first one's mail


def test_what_cannot_be_seen_has_not_ended(watch):
    watch.cycle(0, problem("quarantine:Raw"), problem("service:X"))
    watch.cycle(10, unknown=frozenset({"quarantine"}))
    assert watch.mails[1:] == [([], [], ["service:X"])]
    assert set(watch.store.open) == {"quarantine:Raw"}


def test_where_nobody_can_be_told_an_end_is_written_down_and_forgotten(watch):
    watch.mailWorks = False
    watch.cycle(0, problem())
    watch.cycle(10)
    watch.book.untold(watch.book.news(at(10), PERIOD))
    watch.cycle(20)
    assert (watch.store.open, [alert.key for alert in watch.store.ended]) == ({}, ["service:X"])


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.booleans(), st.booleans(), st.booleans()), max_size=25))
def test_whatever_fails_and_restarts_each_problem_and_each_end_is_told_in_turn(cycles):
    """Mails of one problem alternate between its beginning and its end, as long as the ledger is there."""
    watch = Watch()
    for number, (letters, mailWorks, restarts, _) in enumerate(cycles):
        watch.mailWorks = mailWorks
        if restarts:
            watch.restart()
        watch.cycle(number, *(problem(f"{letter}:1", since=number) for letter in letters))
    watch.mailWorks = True
    watch.cycle(len(cycles))
    for letter in "abc":
        told = [bool(ended and f"{letter}:1" in ended) for new, _, ended in watch.mails if f"{letter}:1" in new + ended]
        # an end may stand alone: the problem came and went while no mail could be sent
        assert not any(not first and not second for first, second in pairwise(told))
        assert not told or told[-1]
    assert watch.store.open == {}


def test_a_mail_says_what_since_when_how_much_and_what_to_do():
    watch = Watch()
    watch.book.update([problem(detail="300 of\x1b 400\x00\r\nBcc: x@y"), problem("b:1", since=60)], frozenset(), at(120))
    subject, text = composeMail(watch.book.news(at(120), PERIOD), at(120), PERIOD)
    assert subject == "[JUNODIRAC] service:X is wrong, b:1 is wrong"
    assert "since:  2026-03-02 12:00:00 UTC (2 m)" in text
    assert "detail: 300 of 400 Bcc: x@y\n" in text
    assert "remedy: do something" in text
    assert "Written at 2026-03-02 12:02:00 UTC" in text


def test_no_line_of_a_mail_is_longer_than_mail_servers_take_and_subjects_stay_short():
    watch = Watch()
    watch.book.update([replace(problem(f"{number}:x" * 50), detail="x" * 5000) for number in range(50)], frozenset(), at(0))
    subject, text = composeMail(watch.book.news(at(0), PERIOD), at(0), PERIOD)
    assert subject == "[JUNODIRAC] problems with raw data: 50 new"
    assert max(map(len, text.splitlines())) < 998


def test_the_same_news_at_another_time_is_another_text():
    watch = Watch()
    watch.book.update([problem()], frozenset(), at(0))
    news = watch.book.news(at(0), PERIOD)
    assert composeMail(news, at(0), PERIOD)[1] != composeMail(news, at(1), PERIOD)[1]
