"""Copies of the stand-in for FTS3 that are finished without a byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fts3_standin.client import StandinRules
from junotestbed.settings import TestbedError
from junotestbed.shell import wait_for
from junotestbed.testbed import Testbed

from bench.report import say

_NAME = "fts3-standin"
_SWITCHES = " --allow-instant"


@contextmanager
def instantCopies(testbed: Testbed, lfn: str) -> Iterator[None]:
    """The stand-in, started anew with leave to do so, reports these copies finished at once.

    :param lfn: glob
    """
    if not testbed.settings.has_standin:
        raise TestbedError("only the testbed's own stand-in for FTS3 can finish copies without making them")
    run = testbed.settings.infra / "sv" / _NAME / "run"
    before = run.read_text()
    rules = StandinRules(testbed.settings.fts3_endpoint)
    try:
        _restart(testbed, before.rstrip() + _SWITCHES + "\n", rules)
        with rules.rule("instant", lfn=lfn):
            say(f"copies of {lfn} are finished at once, without a byte")
            yield
    finally:
        _restart(testbed, before, rules)


def _restart(testbed: Testbed, script: str, rules: StandinRules) -> None:
    run = testbed.settings.infra / "sv" / _NAME / "run"
    run.write_text(script)
    testbed.infra.control("restart", _NAME)

    def answers() -> bool:
        try:
            return bool(rules.info()["instant_allowed"]) == (_SWITCHES in script)
        except OSError:
            return False

    wait_for(_NAME, answers, 30, run.parent / "log/current")
