"""What people say of runs, and how they name runs on a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from JUNODIRAC.Core.Domain.ChainRecords import ChainRefused

#: what a run has to be for the gate run-good
GOOD = "good"
#: words for the quality of a run that every installation has
KNOWN_QUALITIES = (GOOD, "bad", "unknown")
#: runs that one command may name
MOST_RUNS = 10_000
_RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")


class BadRuns(ChainRefused):
    """Runs or a word that cannot be taken; nothing was changed."""


@dataclass(frozen=True)
class RunFlag:
    """What was said of a run last."""

    run: int
    quality: str
    time: datetime
    actor: str
    reason: str


@dataclass(frozen=True)
class RunStep:
    """How many files of a run a step of a chain has to do with.

    :param files: registered, in blocks of the chain
    :param given: of these, given to the step
    """

    production: str
    step: int
    run: int
    files: int
    given: int


def readRuns(words: Iterable[str]) -> list[int]:
    """The runs that some words name, each a number or a range ``FIRST-LAST``, in order and once each.

    :raises BadRuns: if a word is no such thing, or they are too many
    """
    runs: set[int] = set()
    for word in words:
        found = _RANGE.fullmatch(word.strip())
        if not found:
            raise BadRuns(f"'{word}' is no run: write numbers and ranges, for example 7802 7810-7815")
        first, last = int(found[1]), int(found[2] or found[1])
        if first > last:
            raise BadRuns(f"the range {word} ends before it begins: write {last}-{first}")
        if last - first >= MOST_RUNS or len(runs) + last - first >= MOST_RUNS:
            raise BadRuns(f"more than {MOST_RUNS:,} runs are named: flag fewer at once")
        runs.update(range(first, last + 1))
    if not runs:
        raise BadRuns("no run was named: write numbers and ranges, for example 7802 7810-7815")
    return sorted(runs)


def checkQuality(word: str, others: Sequence[str]) -> str:
    """The word, if it is one that may be said.

    :param others: words of the configuration, beside those that every installation has
    :raises BadRuns: if it is not
    """
    known = [*KNOWN_QUALITIES, *(each for each in others if each not in KNOWN_QUALITIES)]
    if word not in known:
        remedy = "others can be added to /Operations/<VO>/RawData/Chains/RunQualities"
        raise BadRuns(f"'{word}' is no known quality of a run: take one of {', '.join(known)}; {remedy}")
    return word


def runsText(runs: Sequence[int]) -> str:
    """Runs in order, as ``7802, 7810-7815``."""
    parts: list[list[int]] = []
    for run in runs:
        if parts and run == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], run]
        else:
            parts.append([run])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[1]}" for part in parts)
