"""What a block at one site does next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.BlockClosing import LifePolicy
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.LivingBlock import LivingSite

_PROVED = (BlockState.REPLICATED, BlockState.VALIDATED, BlockState.DONE)


@dataclass(frozen=True)
class Verdict:
    """The newest validation of a block at a site that could say whether all is right; incomplete ones are none.

    :param summary: what it found, in words
    """

    isGood: bool
    startedTime: datetime
    endedTime: datetime
    summary: str = ""


@dataclass(frozen=True)
class SiteFacts:
    """What is known of a block at a site now. None: not asked, or no answer.

    :param doneFiles: replicas there
    :param unfinishedFiles: files that its transformation has and that are not Processed
    :param givenUp: files that the repair gave up, by class of error
    :param activeRepairs: files that are being repaired
    :param lastRepair: when the repair last did something there
    """

    doneFiles: int | None = None
    doneBytes: int | None = None
    unfinishedFiles: int | None = None
    givenUp: Mapping[str, int] = field(default_factory=dict)
    activeRepairs: int = 0
    lastRepair: datetime | None = None
    verdict: Verdict | None = None


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
    verdict = _validVerdict(site, facts)
    if verdict is not None and not verdict.isGood and (facts.activeRepairs or _openFinding(site, facts)):
        return site.state, ""  # what was found wrong is still there
    return BlockState.REPLICATED, f"all {registeredFiles} files have a replica"


def _afterReplication(site: LivingSite, registeredFiles: int, facts: SiteFacts, policy: LifePolicy) -> tuple[BlockState, str]:
    done = site.doneFiles if facts.doneFiles is None else facts.doneFiles
    if done < registeredFiles:
        return BlockState.CLOSED, f"{registeredFiles} files are registered, and {done} have a replica"
    verdict = _validVerdict(site, facts)
    if verdict is None:
        return site.state, ""
    if not verdict.isGood:
        return BlockState.CLOSED, f"the validation found differences: {verdict.summary}"
    if site.state is BlockState.REPLICATED:
        return BlockState.VALIDATED, f"ledger, catalogue and storage are the same: {verdict.summary}"
    if site.state is BlockState.VALIDATED and _isSecondLook(site, verdict, policy):
        return BlockState.DONE, f"so they were at the second look: {verdict.summary}"
    return site.state, ""


def _problem(site: LivingSite, facts: SiteFacts, policy: LifePolicy, now: datetime) -> str:
    """What a person has to see to; code, colon, sentence, or empty."""
    if facts.givenUp:
        count = sum(facts.givenUp.values())
        classes = ", ".join(f"{name or 'Unknown'} {number}" for name, number in sorted(facts.givenUp.items()))
        return f"GivenUpFiles: {count} file(s) do not get there by themselves ({classes}); see dirac-juno-why"
    verdict = _openFinding(site, facts)
    if verdict is None or facts.activeRepairs:
        return ""
    if now < verdict.endedTime + timedelta(seconds=policy.patienceSeconds):
        return ""
    return f"ValidationBad: nothing repairs what the validation found: {verdict.summary}; see dirac-juno-block report"


def _openFinding(site: LivingSite, facts: SiteFacts) -> Verdict | None:
    """A bad validation that brought the site back, and after which nothing was repaired yet."""
    verdict = _validVerdict(site, facts)
    if verdict is None or verdict.isGood:
        return None
    return None if facts.lastRepair is not None and facts.lastRepair > verdict.endedTime else verdict


def _validVerdict(site: LivingSite, facts: SiteFacts) -> Verdict | None:
    """The newest verdict, if it is about the copies that the site was last found to have."""
    verdict = facts.verdict
    if verdict is None or site.replicatedTime is None or verdict.startedTime < site.replicatedTime:
        return None
    return verdict


def _isSecondLook(site: LivingSite, verdict: Verdict, policy: LifePolicy) -> bool:
    if site.validatedTime is None:
        return False
    return verdict.startedTime >= site.validatedTime + timedelta(seconds=policy.secondLookSeconds)
