"""What a block at one site does next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.BlockClosing import LifePolicy
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.LivingBlock import LivingSite
from JUNODIRAC.Core.Domain.Validation import Validation, Verdict

_PROVED = (BlockState.REPLICATED, BlockState.VALIDATED, BlockState.DONE)


@dataclass(frozen=True)
class SiteFacts:
    """What is known of a block at a site now. None: not asked, or no answer.

    :param doneFiles: replicas there
    :param unfinishedFiles: files that its transformation has and that are not Processed
    :param givenUp: files that the repair gave up, by class of error
    :param activeRepairs: files that are being repaired
    :param lastRepair: when the repair last did something there
    :param validation: the newest one that could say whether all is right
    """

    doneFiles: int | None = None
    doneBytes: int | None = None
    unfinishedFiles: int | None = None
    givenUp: Mapping[str, int] = field(default_factory=dict)
    activeRepairs: int = 0
    lastRepair: datetime | None = None
    validation: Validation | None = None


def decideSite(
    site: LivingSite, isBlockOpen: bool, registeredFiles: int, facts: SiteFacts, policy: LifePolicy, now: datetime
) -> tuple[BlockState, str]:
    """The next state, or the present one, and why.

    :param isBlockOpen: whether files come in
    :param registeredFiles: of the block
    """
    if isBlockOpen and site.state not in (BlockState.OPEN, BlockState.PROBLEM):
        return BlockState.OPEN, "the block is open"
    if site.state in _PROVED:
        return _afterReplication(site, registeredFiles, facts, policy)
    problem = _problem(site, facts, policy, now)
    if problem:
        return BlockState.PROBLEM, problem
    if site.state is BlockState.PROBLEM:
        return (BlockState.OPEN if isBlockOpen else BlockState.CLOSED), "what was the problem is gone"
    if site.state is BlockState.OPEN:
        return (site.state, "") if isBlockOpen else (BlockState.CLOSED, "the block is closed, its tail was sent out")
    return _closed(site, registeredFiles, facts)


def _closed(site: LivingSite, registeredFiles: int, facts: SiteFacts) -> tuple[BlockState, str]:
    done, unfinished = facts.doneFiles, facts.unfinishedFiles
    if done is None or unfinished is None or done < registeredFiles or unfinished:
        return site.state, ""
    found = _validOne(site, facts)
    if found is not None and found.verdict is not Verdict.GOOD and (facts.activeRepairs or _openFinding(site, facts)):
        return site.state, ""  # what was found wrong is still there
    return BlockState.REPLICATED, f"all {registeredFiles} files have a replica"


def _afterReplication(site: LivingSite, registeredFiles: int, facts: SiteFacts, policy: LifePolicy) -> tuple[BlockState, str]:
    done = site.doneFiles if facts.doneFiles is None else facts.doneFiles
    if done < registeredFiles:
        return BlockState.CLOSED, f"{registeredFiles} files are registered, and {done} have a replica"
    found = _validOne(site, facts)
    if found is None:
        return site.state, ""
    if found.verdict is not Verdict.GOOD:
        return BlockState.CLOSED, f"the validation found differences: {found.summary}"
    if site.state is BlockState.REPLICATED:
        return BlockState.VALIDATED, f"ledger, catalogue and storage are the same: {found.summary}"
    if site.state is BlockState.VALIDATED and _isSecondLook(site, found, policy):
        return BlockState.DONE, f"so they were at the second look: {found.summary}"
    return site.state, ""


def _problem(site: LivingSite, facts: SiteFacts, policy: LifePolicy, now: datetime) -> str:
    """What a person has to see to; code, colon, sentence, or empty."""
    if facts.givenUp:
        count = sum(facts.givenUp.values())
        classes = ", ".join(f"{name or 'Unknown'} {number}" for name, number in sorted(facts.givenUp.items()))
        return f"GivenUpFiles: {count} file(s) do not get there by themselves ({classes}); see dirac-juno-why"
    found = _openFinding(site, facts)
    if found is None or facts.activeRepairs:
        return ""
    if now < found.endedTime + timedelta(seconds=policy.patienceSeconds):
        return ""
    return f"ValidationBad: nothing repairs what the validation found: {found.summary}; see dirac-juno-block report"


def _openFinding(site: LivingSite, facts: SiteFacts) -> Validation | None:
    """A bad validation that brought the site back, and after which nothing was repaired yet."""
    found = _validOne(site, facts)
    if found is None or found.verdict is Verdict.GOOD:
        return None
    return None if facts.lastRepair is not None and facts.lastRepair > found.endedTime else found


def _validOne(site: LivingSite, facts: SiteFacts) -> Validation | None:
    """The newest validation, if it is about the copies that the site was last found to have."""
    found = facts.validation
    if found is None or site.replicatedTime is None or found.startedTime < site.replicatedTime:
        return None
    return found


def _isSecondLook(site: LivingSite, found: Validation, policy: LifePolicy) -> bool:
    if site.validatedTime is None:
        return False
    return found.startedTime >= site.validatedTime + timedelta(seconds=policy.secondLookSeconds)
