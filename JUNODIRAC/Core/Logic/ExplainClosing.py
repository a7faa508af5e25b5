"""How a block is closed, what that waits for, and whether it then has the files that were declared."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Explanation import Link, LinkState, Role, Stage
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LateFiles import CloseBy
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock
from JUNODIRAC.Core.Domain.WhyFacts import BlockFacts
from JUNODIRAC.Core.Logic import Remedies
from JUNODIRAC.Core.Logic.ExplainOrigin import PATIENCE


def closingLink(facts: BlockFacts, now: datetime) -> Link:
    """Open: what closing waits for. Closed: whether the declared number of files is there."""
    block = facts.block
    if block is None:
        text = "the block is not opened: its first good announcement opens it"
        return Link(Stage.CLOSING, LinkState.WAITS, "NotOpened", text)
    if facts.state is BlockState.OPEN:
        return _openLink(facts, block, now)
    return _declaredLink(facts, block) or Link(
        Stage.CLOSING,
        LinkState.HOLDS,
        "Closed",
        f"closed by {block.closedBy or 'nobody that is known'}",
        block.closedTime,
        {"ExpectedFiles": block.expectedFiles},
    )


def announcedFiles(facts: BlockFacts) -> int:
    """All but those whose announcements were mistakes."""
    return sum(count for state, count in facts.fileCounts.items() if state is not FileState.DROPPED)


def _openLink(facts: BlockFacts, block: LivingBlock, now: datetime) -> Link:
    text, due = _waitsFor(facts, block, now)
    ids = {"ExpectedFiles": block.expectedFiles, "LastAnnounced": facts.lastAnnounced}
    if due is not None and now > due + PATIENCE:
        told = f"the block is open; {text}, and BlockAgent has not closed it"
        return Link(Stage.CLOSING, LinkState.BROKEN, "BlockAgentLate", told, due, ids, Remedies.restart("RawData", "BlockAgent"))
    return Link(Stage.CLOSING, LinkState.WAITS, "Open", f"the block is open; {text}", block.openedTime, ids)


def _waitsFor(facts: BlockFacts, block: LivingBlock, now: datetime) -> tuple[str, datetime | None]:
    """What closing waits for, and when BlockAgent has to close it, if that is known."""
    policy = facts.policy
    if policy is None:
        return f"the configuration of Type {facts.typeName} cannot be read, so it is not known what closes it", None
    if policy.closeBy is CloseBy.OPERATOR:
        return f"only {Remedies.blockVerb('close', facts.name, facts.typeName)} closes it (CloseBy = Operator)", None
    onTheirWay = sum(facts.fileCounts.get(state, 0) for state in (FileState.ANNOUNCED, FileState.WAITING))
    if onTheirWay:
        return f"it is not closed while {onTheirWay} announced file(s) are not registered", None
    if block.expectedFiles is not None:
        missing = block.expectedFiles - announcedFiles(facts)
        if missing <= 0:
            return f"the {block.expectedFiles} declared files are announced", block.expectedTime
        declared = f"{block.expectedFiles} files were declared, {missing} of them are not announced yet"
    else:
        declared = "no end-of-block announcement came"
    if policy.closeBy is CloseBy.END_OF_BLOCK:
        return f"{declared}; only that closes it (CloseBy = EndOfBlock)", None
    return _quiet(facts, declared, policy.quietSeconds, now)


def _quiet(facts: BlockFacts, declared: str, quietSeconds: int, now: datetime) -> tuple[str, datetime | None]:
    """It is closed when its day has passed and nothing was announced for a while."""
    dayEnd = datetime.combine(facts.day, time(), UTC) + timedelta(days=1) if facts.day else None
    last = facts.lastAnnounced
    quietEnd = last + timedelta(seconds=quietSeconds) if last else None
    if dayEnd and now < dayEnd:
        return f"{declared}; its day is over at {dayEnd:%Y-%m-%d %H:%M:%S}, then it must be quiet for {quietSeconds} s", None
    if last is None or quietEnd is None:
        return f"{declared}; it is closed when nothing was announced for {quietSeconds} s", None
    due = max(quietEnd, dayEnd) if dayEnd else quietEnd
    return (
        f"{declared}; quiet since {last:%Y-%m-%d %H:%M:%S}, it is closed at {due:%Y-%m-%d %H:%M:%S} if nothing comes",
        due,
    )


def _declaredLink(facts: BlockFacts, block: LivingBlock) -> Link | None:
    """A closed block that has not as many files as its end-of-block announcement declared."""
    expected, known = block.expectedFiles, announcedFiles(facts)
    if expected is None or known == expected:
        return None
    ids = {"ExpectedFiles": expected, "Files": known}
    what = f"{expected - known} were never announced" if known < expected else f"{known - expected} more than that"
    text = f"the end-of-block announcement declared {expected} file(s), the ledger knows {known}: {what}"
    action = Remedies.lookForForgotten(facts.name, facts.typeName, Role.SOURCE)
    code = "MissingFiles" if known < expected else "SurplusFiles"
    return Link(Stage.CLOSING, LinkState.BROKEN, code, text, block.expectedTime, ids, action)
