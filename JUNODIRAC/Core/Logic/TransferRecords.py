"""How copies went lately, by link and by file. Bounded, and with the time as an argument."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

from JUNODIRAC.Core.Domain.TransferErrors import Blame, blameOf
from JUNODIRAC.Core.Logic.SourceRanking import Source

# Of a file some 300 bytes are kept
MAX_FILES = 50_000
MAX_LINKS = 1_000
MAX_JOBS_OF_A_LINK = 1_000
MAX_FAILURES_OF_A_FILE = 30


@dataclass(frozen=True)
class Attempt:
    """An attempt to copy a file to a destination.

    :param fileID: FTS3's file in DIRAC: one copy that was asked for, with all its attempts
    :param number: attempts of this file that were submitted before
    :param hasFailed: the last of those has failed
    :param hasSucceeded: it has not
    :param error: the reason of the failure
    """

    fileID: int
    number: int
    hasFailed: bool = False
    hasSucceeded: bool = False
    error: str = ""


class _Link:
    """Files of the jobs that ended lately on one link, added up, since each file of each cycle asks for it."""

    def __init__(self) -> None:
        self.copied = self.total = 0
        self._jobs: deque[tuple[float, int, int]] = deque()

    def add(self, copied: int, total: int, now: float) -> None:
        if len(self._jobs) == MAX_JOBS_OF_A_LINK:
            self._drop()
        self._jobs.append((now, copied, total))
        self.copied += copied
        self.total += total

    def forget(self, before: float) -> None:
        while self._jobs and self._jobs[0][0] <= before:
            self._drop()

    def _drop(self) -> None:
        _, copied, total = self._jobs.popleft()
        self.copied -= copied
        self.total -= total


@dataclass(frozen=True)
class _Failure:
    time: float
    source: str
    target: str
    isBad: bool


class TransferRecords:
    """All times are seconds of one clock.

    :param maxFiles: files that are remembered; those that were not used for the longest time are forgotten
    """

    def __init__(self, maxFiles: int = MAX_FILES) -> None:
        self._maxFiles = maxFiles
        self._links: OrderedDict[tuple[str, str], _Link] = OrderedDict()
        self._choices: OrderedDict[tuple[str, str], tuple[str, Attempt]] = OrderedDict()
        self._failures: OrderedDict[str, deque[_Failure]] = OrderedDict()

    def addJob(self, source: str, target: str, copied: int, total: int, now: float) -> None:
        """A job has ended.

        :param copied: files that were copied
        :param total: files of the job
        """
        self._links.setdefault((source, target), _Link()).add(copied, total, now)
        self._links.move_to_end((source, target))
        if len(self._links) > MAX_LINKS:
            self._links.popitem(last=False)

    def addChoice(self, lfn: str, target: str, source: str, attempt: Attempt) -> None:
        """This source was chosen for the attempt that comes now."""
        self._choices[lfn, target] = source, attempt
        self._choices.move_to_end((lfn, target))
        if len(self._choices) > self._maxFiles:
            self._choices.popitem(last=False)

    def settle(self, lfn: str, target: str, attempt: Attempt, now: float) -> str:
        """See how the attempt for which a source was chosen has gone: it counts once.

        One that was never submitted has no number more, and says nothing.

        :returns: the source whose bytes the failure speaks against, or nothing
        """
        source, last = self._choices.get((lfn, target), ("", attempt))
        hasEnded = attempt.hasFailed or attempt.hasSucceeded
        if not hasEnded or attempt.fileID != last.fileID or attempt.number <= last.number:
            return ""
        del self._choices[lfn, target]
        blame = blameOf(attempt.error) if attempt.hasFailed else Blame.NONE
        if blame == Blame.NONE:
            return ""
        failures = self._failures.setdefault(lfn, deque(maxlen=MAX_FAILURES_OF_A_FILE))
        failures.append(_Failure(now, source, target, blame == Blame.BAD))
        self._failures.move_to_end(lfn)
        if len(self._failures) > self._maxFiles:
            self._failures.popitem(last=False)
        return source if blame == Blame.BAD else ""

    def sourceAt(self, se: str, lfn: str, target: str, recentSeconds: float, now: float) -> Source:
        """The replica of a file at a storage element, with what is known of it. A bad one stays bad for all destinations."""
        failures = [failure for failure in self._failures.get(lfn, ()) if failure.source == se]
        recent = [failure for failure in failures if failure.target == target and now - failure.time < recentSeconds]
        return Source(
            se=se,
            bad=any(failure.isBad for failure in failures),
            failures=len(recent),
            successShare=self.successShare(se, target, recentSeconds, now),
        )

    def successShare(self, source: str, target: str, recentSeconds: float, now: float) -> float:
        """Share of the files that were copied, with one success added: nothing known is 1, one failure alone a half."""
        link = self._links.get((source, target))
        if link is None:
            return 1.0
        link.forget(now - recentSeconds)
        return (link.copied + 1) / (link.total + 1)
