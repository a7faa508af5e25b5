"""What people have to be told: a problem that is seen, and the record of it that outlives a restart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True)
class Problem:
    """Something that somebody has to put right, as it is seen now.

    :param key: the same for the same problem, whenever it is seen: its kind, a colon, and what it is about
    :param typeName: the Type that it is about; empty where it is about all
    :param sentence: what is wrong
    :param detail: numbers, names and messages of the moment
    :param remedy: what to do, with the command to type
    :param since: from when on it is known to be so, UTC
    """

    key: str
    typeName: str
    sentence: str
    detail: str
    remedy: str
    since: datetime

    @property
    def kind(self) -> str:
        return kindOf(self.key)


@dataclass(frozen=True)
class Alert:
    """A problem with its history. All times are UTC.

    :param lastMailTime: when people were last told; None: not yet
    :param endedTime: when it was seen to be over; None as long as it stands
    :param occurrences: in how many cycles it was seen
    """

    problem: Problem
    lastSeenTime: datetime
    lastMailTime: datetime | None = None
    endedTime: datetime | None = None
    occurrences: int = 1

    @property
    def key(self) -> str:
        return self.problem.key

    def seenAgain(self, problem: Problem, now: datetime) -> Alert:
        """It stands still, or again: the news of the problem, the beginning that was known first."""
        since = min(problem.since, self.problem.since)
        return replace(
            self, problem=replace(problem, since=since), lastSeenTime=now, endedTime=None, occurrences=self.occurrences + 1
        )


def kindOf(key: str) -> str:
    """The part before the colon: problems of one kind come from one source."""
    return key.partition(":")[0]
