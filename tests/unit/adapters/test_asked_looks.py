"""Looks that people asked for: they end in the background, are told of while they run, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from JUNODIRAC.Core.Domain.Validation import Look, Validation, Verdict
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client import AskedLooks as module
from JUNODIRAC.RawDataSystem.Client.AskedLooks import AskedLooks, TooManyLooks, UnknownLook
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal

pytestmark = pytest.mark.unit

NOW = datetime(2023, 3, 2, tzinfo=UTC)


class FakeLook:
    """Three files, one a slice; ``errors`` are raised one after the other, ``gate`` is waited for."""

    def __init__(self, se, errors=(), gate=None, discarded=False):
        self.se, self.errors, self.gate, self.isDiscarded = se, list(errors), gate, discarded
        self.doneFiles, self.total = 0, 3

    @property
    def isDone(self):
        return self.doneFiles == self.total

    def step(self):
        if self.gate:
            self.gate.wait(20)
        if self.errors:
            raise self.errors.pop(0)
        self.doneFiles += 1

    def validation(self, actor, now):
        return Validation(1, self.se, Look.ASKED, actor, NOW, now, Verdict.GOOD, 3, 30, 3)


class Book:
    def __init__(self):
        self.found = []

    def recordValidation(self, found):
        self.found.append(found)


@pytest.fixture
def book():
    return Book()


def ended(asked, token):
    for _ in range(2000):
        sites = asked.progress(token)
        if all(site["Ended"] for site in sites):
            return sites
        time.sleep(0.01)
    raise AssertionError(f"did not end: {sites}")


def test_each_site_ends_with_what_was_found_and_it_is_kept(book):
    asked = AskedLooks()
    token = asked.start([lambda: FakeLook("A"), lambda: FakeLook("B")], 1, book, "prod")
    sites = ended(asked, token)
    assert [(site["SE"], site["Done"], site["Total"], site["Failure"]) for site in sites] == [("A", 3, 3, ""), ("B", 3, 3, "")]
    assert {site["Validation"]["Verdict"] for site in sites} == {"Good"}
    assert {(found.se, found.actor) for found in book.found} == {("A", "prod"), ("B", "prod")}


def test_the_progress_of_a_look_that_runs_is_told_and_it_is_not_begun_twice(book):
    asked, gate = AskedLooks(), threading.Event()
    first = asked.start([lambda: FakeLook("A", gate=gate)], 1, book, "prod")
    second = asked.start([lambda: FakeLook("A")], 1, book, "other")
    other = asked.start([lambda: FakeLook("A")], 2, book, "other")
    assert not asked.progress(first)[0]["Ended"]
    assert not asked.progress(second)[0]["Ended"]
    ended(asked, other)
    gate.set()
    ended(asked, first)
    ended(asked, second)
    assert len(book.found) == 2


def test_a_catalogue_that_is_away_for_a_moment_is_waited_for(book):
    asked = AskedLooks(pauseSeconds=0)
    away = TemporaryFailure("DataManagement/FileCatalog", "away")
    sites = ended(asked, asked.start([lambda: FakeLook("A", [away, away])], 1, book, "prod"))
    assert sites[0]["Validation"]


@pytest.mark.parametrize(
    "error",
    [TemporaryFailure("DataManagement/FileCatalog", "away"), ServiceRefusal("DataManagement/FileCatalog", "no"), KeyError("x")],
)
def test_a_look_that_cannot_be_made_ends_with_the_reason_and_nothing_is_kept(book, error):
    asked = AskedLooks(pauseSeconds=0)
    (site,) = ended(asked, asked.start([lambda: FakeLook("A", [error] * 20)], 1, book, "prod"))
    assert site["Failure"] == str(error)
    assert site["Validation"] is None
    assert book.found == []


def test_a_block_that_changes_all_the_time_is_given_up(book):
    asked = AskedLooks()
    (site,) = ended(asked, asked.start([lambda: FakeLook("A", discarded=True)], 1, book, "prod"))
    assert "closed" in site["Failure"]
    assert book.found == []


def test_what_a_service_did_not_begin_it_does_not_know(book):
    with pytest.raises(UnknownLook, match="started anew"):
        AskedLooks().progress("token of the time before")


def test_what_ended_long_ago_is_forgotten(book, monkeypatch):
    asked = AskedLooks()
    token = asked.start([lambda: FakeLook("A")], 1, book, "prod")
    ended(asked, token)
    monkeypatch.setattr(module, "_KEPT_SECONDS", -1)
    with pytest.raises(UnknownLook):
        asked.progress(token)


def test_there_are_only_so_many_at_once(book, monkeypatch):
    monkeypatch.setattr(module, "_MAX_RUNNING", 2)
    asked, gate = AskedLooks(), threading.Event()
    try:
        asked.start([lambda: FakeLook("A", gate=gate)], 1, book, "prod")
        with pytest.raises(TooManyLooks):
            asked.start([lambda: FakeLook("A"), lambda: FakeLook("B")], 2, book, "prod")
    finally:
        gate.set()
