"""Sequence numbers that no announcement ever had, run by run and stream by stream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

#: the first file of a series, unless one with the number 0 is known
FIRST_SEQUENCE = 1


@dataclass(frozen=True)
class NumberedFile:
    """What is needed of a file to find gaps beside it. A field that the name pattern does not have is empty.

    :param isKnown: False for a file that was dropped: its number counts as missing, and the series does not reach up to it
    """

    run: int
    streamType: str
    streamName: str
    sequence: int
    block: str
    isKnown: bool = True


@dataclass(frozen=True)
class SeriesGaps:
    """The missing numbers of one run and stream.

    :param files: how many numbers of the series are known
    :param first: the lowest number that is known
    :param last: the highest number that is known; what should come after it nobody can tell
    :param missing: ranges of missing numbers, both ends included
    """

    run: int
    streamType: str
    streamName: str
    files: int
    first: int
    last: int
    missing: tuple[tuple[int, int], ...]

    @property
    def missingFiles(self) -> int:
        """How many numbers are missing."""
        return sum(last - first + 1 for first, last in self.missing)

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "RunNumber": self.run,
            "StreamType": self.streamType,
            "StreamName": self.streamName,
            "Files": self.files,
            "First": self.first,
            "Last": self.last,
            "Missing": [list(gap) for gap in self.missing],
            "MissingFiles": self.missingFiles,
        }


def missingRanges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ranges, both ends included, that lack between the first number of a series and the highest one that is known."""
    ranges = []
    expected = FIRST_SEQUENCE
    for number in sorted(set(numbers)):
        if number > expected:
            ranges.append((expected, number - 1))
        expected = number + 1
    return ranges


def findGaps(files: Iterable[NumberedFile], blocks: frozenset[str] | None = None) -> list[SeriesGaps]:
    """Each series with its missing numbers; series without any are left out.

    A run goes on after midnight, so all files of the runs must be given, those of other blocks too.

    :param blocks: only gaps beside a file of one of these blocks: a missing file was written before or after one that is
        there. None: all gaps
    """
    series: dict[tuple[int, str, str], dict[int, str]] = defaultdict(dict)
    for file in files:
        if file.isKnown:
            series[file.run, file.streamType, file.streamName][file.sequence] = file.block
    found = []
    for (run, streamType, streamName), blockOf in sorted(series.items()):
        missing = tuple(
            (first, last)
            for first, last in missingRanges(blockOf)
            if blocks is None or not blocks.isdisjoint({blockOf.get(first - 1), blockOf.get(last + 1)})
        )
        if missing:
            found.append(SeriesGaps(run, streamType, streamName, len(blockOf), min(blockOf), max(blockOf), missing))
    return found


def rangesText(ranges: Iterable[tuple[int, int]]) -> str:
    """``4, 7-9``"""
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
