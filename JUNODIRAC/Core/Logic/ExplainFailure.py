"""What failed on the way to a site, and who has to act."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from JUNODIRAC.Core.Domain.Explanation import NOBODY, Action, Link, LinkState, Role, Stage
from JUNODIRAC.Core.Domain.RepairRecords import RepairRecord, RepairState
from JUNODIRAC.Core.Domain.TransferErrors import POLICIES, SITE, SOURCE_SITE, ErrorClass, ErrorPolicy, classify
from JUNODIRAC.Core.Domain.WhyFacts import SiteFacts
from JUNODIRAC.Core.Logic import Remedies
from JUNODIRAC.Core.Utilities.Moment import ageText

#: what no repetition puts right: somebody has to, and the sooner the better. With all others the system goes on trying first.
NEEDS_PEOPLE = frozenset(
    {
        ErrorClass.DESTINATION_FULL,
        ErrorClass.DESTINATION_DENIED,
        ErrorClass.DESTINATION_EXISTS,
        ErrorClass.SOURCE_DENIED,
        ErrorClass.PROXY,
        ErrorClass.BANNED,
    }
)


def failureLink(
    facts: SiteFacts,
    stage: Stage,
    code: str,
    text: str,
    error: str,
    time: datetime | None,
    ids: Mapping[str, object],
    now: datetime,
) -> Link:
    """Something failed: in words, with the error's class and what is done about it.

    :param error: what was given as the reason; empty: nothing was, the repair takes care of it
    """
    known = dict(ids)
    if error:
        errorClass = classify(error)
        known |= {"ErrorClass": str(errorClass), "Error": error}
        about = f"; {_doneAbout(POLICIES[errorClass])}" if stage is Stage.FTS else ""
        text = f"{text}: {error} ({errorClass}: {POLICIES[errorClass].meaning}{about})"
        needsPeople = errorClass in NEEDS_PEOPLE
    else:
        errorClass, needsPeople = ErrorClass.UNKNOWN, False
    text += f"; {_next(facts, now)}"
    action = classAction(errorClass, facts) if needsPeople else NOBODY
    return Link(stage, LinkState.BROKEN, code, text, time, known, action)


def triedAgainLink(
    facts: SiteFacts,
    stage: Stage,
    text: str,
    error: str,
    time: datetime | None,
    ids: Mapping[str, object],
    now: datetime,
) -> Link:
    """Another attempt is under way: waited for, if it may help.

    :param error: of the attempt before
    """
    errorClass = classify(error)
    if errorClass in NEEDS_PEOPLE:
        return failureLink(facts, stage, "CopyingAgain", f"{text}; the one before failed", error, time, ids, now)
    known = {**ids, "ErrorClass": str(errorClass), "Error": error}
    told = f"{text}; the one before failed: {error} ({errorClass}: {POLICIES[errorClass].meaning})"
    return Link(stage, LinkState.WAITS, "CopyingAgain", told, time, known)


def givenUpLink(facts: SiteFacts, repair: RepairRecord, instead: Link) -> Link:
    """The repair has given this file up: nothing happens to it any more.

    :param instead: the link that does not hold
    """
    errorClass = errorClassOf(repair.errorClass)
    text = f"given up after {repair.attempts} attempts: {repair.error or instead.text} ({_named(repair.errorClass)})"
    ids = {**instead.ids, "Attempts": repair.attempts, "ErrorClass": repair.errorClass, "Error": repair.error}
    return Link(instead.stage, LinkState.BROKEN, "GivenUp", text, repair.lastTime, ids, classAction(errorClass, facts))


def errorClassOf(name: str) -> ErrorClass:
    """The class of this name; Unknown for one of another version of this package."""
    return ErrorClass(name) if name in ErrorClass.__members__.values() else ErrorClass.UNKNOWN


def classAction(errorClass: ErrorClass, facts: SiteFacts) -> Action:
    """Who puts right what is behind errors of this class, and the command that goes on when that was done."""
    why = f"{POLICIES[errorClass].meaning}: put right".replace("'", "").replace('"', "")
    if errorClass is ErrorClass.BANNED:
        return Remedies.allowStorage(facts.se)
    if errorClass is ErrorClass.PROXY:
        return Remedies.renewProxy()
    role, party = Role.DATA_MANAGER, ""
    who = POLICIES[errorClass].who
    if who == SITE:
        role, party = Role.SITE, facts.se
    elif who == SOURCE_SITE:
        role, party = Role.SITE, facts.policy.sourceSE if facts.policy else "the source"
    elif errorClass is ErrorClass.LOST:
        role = Role.FTS
    if facts.pause and who == SITE:
        block = facts.block if facts.pause.blockID else ""
        return Remedies.resume(facts.se, role, "the storage works again", block, facts.typeName)
    return Remedies.retransfer(facts.block, facts.typeName, facts.se, why, role, party)


def _doneAbout(policy: ErrorPolicy) -> str:
    """The row of the table in words."""
    parts = [f"FTS3Agent tries again after {ageText(policy.againSeconds)} and longer"]
    if policy.asksSources:
        parts.append("sources whose bytes are wrong are left out")
    if policy.pauseFiles:
        verb = "pauses" if policy.pauseFiles == 1 else "pause"
        parts.append(f"{_count(policy.pauseFiles)} with it {verb} the site for {ageText(policy.pauseSeconds)}")
    return ", ".join(parts)


def _next(facts: SiteFacts, now: datetime) -> str:
    repair = facts.repair
    if repair is None or repair.state is not RepairState.ACTIVE:
        return "BlockRepairAgent looks after it"
    attempts = f" of {facts.policy.repairAttempts}" if facts.policy else ""
    text = f"BlockRepairAgent: {repair.action}, {repair.attempts}{attempts} attempts"
    if repair.nextTime and repair.nextTime > now:
        text += f", next at {repair.nextTime:%Y-%m-%d %H:%M:%S}"
    return text


def _named(errorClass: str) -> str:
    return f"{errorClass}: {POLICIES[errorClassOf(errorClass)].meaning}" if errorClass else "no error was given"


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"
