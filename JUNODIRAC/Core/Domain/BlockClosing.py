"""When a block is closed, and what its own files lack after that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.LateFiles import CloseBy
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock
from JUNODIRAC.Core.Domain.NamePattern import NameMismatch
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy

BY_END_OF_BLOCK = "EndOfBlock"
BY_QUIET = "Quiet"
_DATE_DIGITS = 8


@dataclass(frozen=True)
class FileCounts:
    """The files of a block by what became of them.

    :param waiting: announced, or not visible on their source storage yet: something is under way
    :param waived: given up by a person; dropped ones are not counted at all, their announcements were mistakes
    """

    registered: int = 0
    registeredBytes: int = 0
    waiting: int = 0
    quarantined: int = 0
    waived: int = 0

    @property
    def unsettled(self) -> int:
        """Files that have no end yet."""
        return self.waiting + self.quarantined

    @property
    def announced(self) -> int:
        """All of them."""
        return self.registered + self.unsettled + self.waived


@dataclass(frozen=True)
class LifePolicy:
    """What a Type says of the life of its blocks.

    :param patienceSeconds: what the validation found may wait for its repair so long, before a person is asked
    """

    closeBy: CloseBy = CloseBy.QUIET
    quietSeconds: int = 21600
    secondLookSeconds: int = 86400
    patienceSeconds: int = 3600

    @classmethod
    def ofType(cls, policy: TypePolicy, patienceSeconds: int) -> LifePolicy:
        """The part of a Type's policy that matters here."""
        return cls(policy.closeBy, policy.quietSeconds, policy.secondLookSeconds, patienceSeconds)


def closeReason(
    block: LivingBlock,
    counts: FileCounts,
    policy: LifePolicy,
    isDayPassed: bool,
    lastAnnounced: datetime | None,
    now: datetime,
) -> tuple[str, str] | None:
    """What closes an open block now, and the reason in words; None: nothing does.

    Not as long as a file is announced and neither registered nor refused: it would come late.
    """
    if block.state is not BlockState.OPEN or policy.closeBy is CloseBy.OPERATOR or counts.waiting:
        return None
    if block.expectedFiles is not None and counts.announced >= block.expectedFiles and not _wasReopened(block):
        return BY_END_OF_BLOCK, f"{block.expectedFiles} files were declared, {counts.announced} were announced"
    if policy.closeBy is not CloseBy.QUIET or not isDayPassed or lastAnnounced is None:
        return None
    # one that was reopened has the same time for what it was reopened for
    quietSeconds = (now - max(lastAnnounced, block.openedTime or lastAnnounced)).total_seconds()
    if quietSeconds < policy.quietSeconds:
        return None
    return BY_QUIET, f"its day has passed and nothing was announced for {quietSeconds:.0f} s (QuietSeconds {policy.quietSeconds})"


def _wasReopened(block: LivingBlock) -> bool:
    """Whether a person reopened the block after its number of files was declared: that number closes it no more."""
    if block.closedTime is None or block.openedTime is None:
        return False
    return block.expectedTime is None or block.expectedTime <= block.openedTime


def mayBeQuiet(block: LivingBlock, policy: LifePolicy, now: datetime) -> bool:
    """Whether it is worth asking when an announcement came last: ``activeTime`` tells that only to ten minutes."""
    if block.state is not BlockState.OPEN or policy.closeBy is not CloseBy.QUIET:
        return False
    return block.activeTime is None or block.activeTime + timedelta(seconds=policy.quietSeconds) <= now


def fileTrouble(block: LivingBlock, counts: FileCounts) -> str:
    """What keeps a closed block from being more than Closed though nothing is under way: code, colon, sentence; or empty."""
    found = []
    if counts.quarantined:
        found.append(
            f"QuarantinedFiles: {_files(counts.quarantined)} quarantined and waiting for a decision; see dirac-juno-quarantine"
            f" list --block {block.name} --type {block.typeName}"
        )
    if block.expectedFiles is not None and counts.announced < block.expectedFiles:
        found.append(
            f"MissingFiles: {block.expectedFiles} files were declared and {counts.announced} announced; see dirac-juno-gaps"
            f" --block {block.name} --type {block.typeName}"
        )
    if block.expectedFiles is not None and counts.announced > block.expectedFiles:
        found.append(
            f"SurplusFiles: {block.expectedFiles} files were declared and {counts.announced} announced; drop what is wrong,"
            " or have the right number declared"
        )
    return "; ".join(found)


def dayOf(policy: TypePolicy, directory: str) -> date | None:
    """The day that a directory's files belong to, or None if its Type does not say, or the directory is no such one."""
    if policy.directoryDate is None:
        return None
    try:
        text = policy.directoryDate.format(policy.directoryPattern.parse(directory))[:_DATE_DIGITS]
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except (NameMismatch, KeyError, ValueError):
        return None


def _files(count: int) -> str:
    return f"{count} file is" if count == 1 else f"{count} files are"
