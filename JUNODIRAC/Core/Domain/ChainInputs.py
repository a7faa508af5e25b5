"""Which files of a block a step of a chain wants, and what keeps one of them back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from JUNODIRAC.Core.Domain.ChainDescription import ChainStep, Gate, StepInput
from JUNODIRAC.Core.Domain.RunQuality import GOOD

_MOST_LINES = 8


@dataclass(frozen=True)
class ChainFile:
    """A registered file of the ledger.

    :param run: None where its name does not say it
    """

    fileID: int
    lfn: str
    run: int | None = None
    streamType: str = ""
    streamName: str = ""

    @property
    def stream(self) -> str:
        """As StreamType.StreamName."""
        return f"{self.streamType}.{self.streamName}"


class WaitKind(StrEnum):
    """Why a file does not go into a step yet."""

    UNFLAGGED = "Unflagged"
    FLAGGED_OTHERWISE = "FlaggedOtherwise"
    NOT_VALIDATED = "NotValidated"
    NO_REPLICA = "NoReplica"
    STORAGE_DOWN = "StorageDown"


@dataclass(frozen=True, order=True)
class Wait:
    """Files that wait for the same thing are counted together.

    :param about: the run, or the storage elements
    :param detail: more words, for example the word with which a run was flagged
    """

    kind: WaitKind
    about: str
    detail: str = ""


def isWanted(wanted: StepInput, file: ChainFile, quality: str) -> bool:
    """Whether a step's input query takes a file of its Type.

    Where it asks for qualities, a run that nobody has flagged may still get one of them: its files are wanted, and wait.

    :param quality: of the file's run, empty if nobody has flagged it
    """
    if wanted.streams and file.stream not in wanted.streams and file.streamType not in wanted.streams:
        return False
    if wanted.runs and not any(file.run in each for each in wanted.runs):
        return False
    return not (wanted.qualities and quality) or quality in wanted.qualities


def qualityWait(step: ChainStep, file: ChainFile, quality: str) -> Wait | None:
    """What a wanted file waits for that people say of its run."""
    needed = GOOD if Gate.RUN_GOOD in step.gates else " or ".join(step.input.qualities)
    if not needed:
        return None
    about = "unknown" if file.run is None else str(file.run)
    if not quality:
        return Wait(WaitKind.UNFLAGGED, about, needed)
    return Wait(WaitKind.FLAGGED_OTHERWISE, about, quality) if Gate.RUN_GOOD in step.gates and quality != GOOD else None


def siteWait(closed: Mapping[str, Wait | None], replicas: Iterable[str]) -> Wait | None:
    """What a file waits for whose replicas are known.

    :param closed: why files at a storage element may not go in yet, None where they may; for all that the step's sites have
    :param replicas: the storage elements that have the file
    """
    at = [se for se in replicas if se in closed]
    if not at:
        return Wait(WaitKind.NO_REPLICA, " or ".join(sorted(closed)))
    waits = [closed[se] for se in at]
    return None if None in waits else min(wait for wait in waits if wait is not None)


def waitsText(waits: Mapping[tuple[str, Wait], int], block: str) -> str:
    """Why files wait, in words: a line for each reason, the most files first.

    :param waits: number of files by name of the step and reason
    """
    ordered = sorted(waits.items(), key=lambda each: (-each[1], each[0]))
    lines = [f"{step}: {_sentence(wait, count, block)}" for (step, wait), count in ordered[:_MOST_LINES]]
    rest = ordered[_MOST_LINES:]
    if rest:
        kinds = Counter(wait.kind for (_, wait), _ in rest)
        words = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items()))
        lines.append(f"{_files(sum(count for _, count in rest))} for {len(rest)} other reasons ({words})")
    return "\n".join(lines)


def _sentence(wait: Wait, count: int, block: str) -> str:
    files = _files(count)
    if wait.kind is WaitKind.UNFLAGGED:
        word = wait.detail.partition(" or ")[0]
        return f"{files} for run {wait.about} to be flagged {wait.detail}: dirac-juno-run flag {wait.about} --quality {word}"
    if wait.kind is WaitKind.FLAGGED_OTHERWISE:
        remedy = f"dirac-juno-run flag {wait.about} --quality {GOOD} would let them in"
        return f"{files} because run {wait.about} was flagged {wait.detail}: {remedy}"
    if wait.kind is WaitKind.NOT_VALIDATED:
        return f"{files} for the block to be validated at {wait.about}{wait.detail}: dirac-juno-block-status {block}"
    if wait.kind is WaitKind.STORAGE_DOWN:
        return f"{files} for the storage {wait.about}, which does not answer{wait.detail}"
    return f"{files} for a replica at {wait.about}: dirac-juno-why {block}"


def _files(count: int) -> str:
    return f"{count:,} file waits" if count == 1 else f"{count:,} files wait"
