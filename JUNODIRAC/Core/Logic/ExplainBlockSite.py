"""Why a block is where it is at one of its sites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Explanation import (
    NOBODY,
    Chain,
    Link,
    LinkState,
    Stage,
    Standing,
    Verdict,
    verdictOf,
    worst,
)
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LivingBlock import LivingSite
from JUNODIRAC.Core.Domain.Validation import Validation
from JUNODIRAC.Core.Domain.Validation import Verdict as Found
from JUNODIRAC.Core.Domain.WhyFacts import CATALOGUE, TRANSFORMATIONS, BlockFacts, BlockSiteFacts, GivenUp, SiteFacts
from JUNODIRAC.Core.Logic import Remedies
from JUNODIRAC.Core.Logic.Explain import siteChain, stateTime
from JUNODIRAC.Core.Logic.ExplainFailure import classAction, errorClassOf
from JUNODIRAC.Core.Logic.ExplainOrigin import PATIENCE
from JUNODIRAC.Core.Logic.ExplainTransfer import transferLinks
from JUNODIRAC.Core.Logic.ExplainWaiting import NOT_YET, pauseLink, restingTransformation, serviceDown
from JUNODIRAC.Core.Utilities.Moment import ageText

_ORDER = list(Stage)
_RUNNING = frozenset({"Active", "Flush", None})


def blockSiteChain(block: BlockFacts, site: BlockSiteFacts, now: datetime) -> Chain:
    """Transfer, copies, validation and state of a block at one site, with the file that is furthest behind."""
    around = _around(block, site)
    if site.site is None:
        links = transferLinks(around, now)
        return Chain(site.se, tuple(links), verdictOf(links, links[0], site.se))
    files = [(each.lfn, siteChain(each, now)) for each in site.files]
    behind = [(lfn, chain) for lfn, chain in files if chain.verdict.state is not LinkState.HOLDS]
    example = min(behind, key=lambda each: _behindness(each[1]), default=None)
    copies = _copiesLinks(block, site, around, example[1].verdict if example else None)
    links = [_transferLink(block, site, around), *copies]
    links += [_validationLink(block, site, site.site), _stateLink(block, site, site.site, links, now)]
    open_ = [Verdict(link, site.se) for link in links if link.state is not LinkState.HOLDS and link.code != NOT_YET]
    verdict = worst(open_) if open_ else Verdict(links[-1], site.se)
    if site.overdueSince and verdict.state is LinkState.WAITS and not site.pause:
        overdue = _overdueLink(block, site.site, verdict.link, site.overdueSince)
        links = [overdue if link is verdict.link else link for link in links]
        verdict = Verdict(overdue, site.se)
    lfn, exampleLinks = (example[0], example[1].links) if example else ("", ())
    return Chain(site.se, tuple(links), verdict, lfn, exampleLinks, tuple(_standings(behind)))


def _around(block: BlockFacts, site: BlockSiteFacts) -> SiteFacts:
    """What remedies and pauses are told by."""
    return SiteFacts(
        se=site.se,
        typeName=block.typeName,
        block=block.name,
        policy=block.policy,
        site=site.site,
        blockState=block.state,
        transformationStatus=site.transformationStatus,
        pause=site.pause,
        validation=site.validation,
        unavailable=site.unavailable,
    )


# ---- which file shows it best


def _behindness(chain: Chain) -> tuple[bool, bool, int, bool, float]:
    """What is broken first, then what a person must do, then what is furthest behind, then the oldest."""
    link = chain.verdict.link
    time = link.time.timestamp() if link.time else 0.0
    isNobody = link.action == NOBODY
    return link.state is LinkState.WAITS, isNobody, _ORDER.index(link.stage), link.time is None, time


def _standings(behind: Sequence[tuple[str, Chain]]) -> list[Standing]:
    """How many files stand at the same link for the same reason, in the order of the way."""
    counts = Counter((chain.verdict.link.stage, chain.verdict.link.code) for _, chain in behind)
    examples = {(chain.verdict.link.stage, chain.verdict.link.code): lfn for lfn, chain in reversed(behind)}
    ordered = sorted(counts.items(), key=lambda each: (_ORDER.index(each[0][0]), -each[1], each[0][1]))
    return [Standing(stage, code, count, examples[stage, code]) for (stage, code), count in ordered]


# ---- the links


def _transferLink(block: BlockFacts, site: BlockSiteFacts, around: SiteFacts) -> Link:
    number = site.site.transformationID if site.site else 0
    ids = {"TransformationID": number, "Status": site.transformationStatus, "Files": dict(site.fileCounts or {})}
    isAllThere = site.unfinished == 0 and site.done == block.fileCounts.get(FileState.REGISTERED, 0)
    if site.pause and not isAllThere:
        return pauseLink(site.pause, around, Stage.TRANSFORMATION, ids)
    if site.transformationStatus is None:
        return serviceDown(Stage.TRANSFORMATION, TRANSFORMATIONS, site.unavailable)
    counts = site.fileCounts or {}
    if site.transformationStatus not in _RUNNING and counts.get("Unused"):
        return restingTransformation(around, number, str(site.transformationStatus), ids)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    text = f"transformation {number} is {site.transformationStatus}" + (f": {told}" if told else "")
    created = site.site.createdTime if site.site else None
    return Link(Stage.TRANSFORMATION, LinkState.HOLDS, "TransferOpen", text, created, ids)


def _copiesLinks(block: BlockFacts, site: BlockSiteFacts, around: SiteFacts, behind: Verdict | None) -> list[Link]:
    links = [_givenUpLink(around, each) for each in site.givenUp]
    registered = block.fileCounts.get(FileState.REGISTERED, 0)
    told = f"{'?' if site.done is None else site.done} of {registered} files are at {site.se}"
    ids: dict[str, object] = {"Done": site.done, "Files": registered, "Unfinished": site.unfinished}
    ids["ETASeconds"] = None if site.etaSeconds is None else int(site.etaSeconds)
    for service, number in ((CATALOGUE, site.done), (TRANSFORMATIONS, site.unfinished)):
        if number is None:
            links.append(serviceDown(Stage.COPIES, service, site.unavailable))
    if behind is not None:
        links.append(_behindLink(site, behind.link, told, ids))
    elif site.done is not None and site.done >= registered and site.unfinished == 0:
        links.append(Link(Stage.COPIES, LinkState.HOLDS, "AllCopied", f"{told}, finished", _progressTime(site), ids))
    elif not links:
        text = f"{told}; {site.unfinished} not finished"
        links.append(Link(Stage.COPIES, LinkState.WAITS, "Copying", text, _progressTime(site), ids))
    return links


def _behindLink(site: BlockSiteFacts, link: Link, told: str, ids: dict[str, object]) -> Link:
    """What holds up the file that is furthest behind."""
    eta = f", about {ageText(site.etaSeconds)} to go" if site.etaSeconds is not None else ""
    text = f"{told}{eta}; furthest behind: {link.text}"
    return Link(Stage.COPIES, link.state, link.code, text, link.time, ids, link.action)


def _overdueLink(block: BlockFacts, at: LivingSite, link: Link, since: datetime) -> Link:
    """All seems to go its way, and for longer than the Type allows nothing has come of it."""
    if link.stage is Stage.COPIES:
        action = Remedies.retransfer(block.name, block.typeName, at.se, "no progress")
    elif at.state is BlockState.OPEN:
        action = Remedies.closeBlock(block.name, block.typeName)
    elif link.stage is Stage.VALIDATION:
        action = Remedies.restart("RawData", "BlockValidationAgent")
    else:
        action = Remedies.restart("RawData", "BlockAgent")
    return Link(link.stage, LinkState.BROKEN, "Overdue", f"overdue, {link.text}", since, link.ids, action)


def _progressTime(site: BlockSiteFacts) -> datetime | None:
    return site.site.progressTime if site.site else None


def _givenUpLink(around: SiteFacts, given: GivenUp) -> Link:
    files = "1 file was" if given.files == 1 else f"{given.files} files were"
    text = f"{files} given up ({given.errorClass or 'no error was given'}): {given.error or 'no reason was kept'}"
    ids = {"ErrorClass": given.errorClass, "Files": given.files, "Error": given.error}
    action = classAction(errorClassOf(given.errorClass), around)
    return Link(Stage.COPIES, LinkState.BROKEN, "GivenUp", text, given.since, ids, action)


def _validationLink(block: BlockFacts, site: BlockSiteFacts, at: LivingSite) -> Link:
    stage, found, state = Stage.VALIDATION, site.validation, at.state
    isNewer = found is not None and (at.replicatedTime is None or found.startedTime >= at.replicatedTime)
    if found is None or not isNewer:
        if state is BlockState.REPLICATED:
            text = "BlockValidationAgent is to compare ledger, catalogue and storage"
            return Link(stage, LinkState.WAITS, "NotValidated", text, at.replicatedTime)
        earlier = f"; an earlier one was {found.verdict}" if found else ""
        return Link(stage, LinkState.WAITS, NOT_YET, f"after the last copy{earlier}")
    return _foundLink(block, at, found)


def _foundLink(block: BlockFacts, at: LivingSite, found: Validation) -> Link:
    """What the newest validation says, that looked at the copies as they are."""
    stage, ids = Stage.VALIDATION, {"ValidationID": found.validationID, "Verdict": str(found.verdict)}
    told = f"{found.look} look: {found.summary}"
    if found.verdict is Found.INCOMPLETE:
        text = f"{told}; not everything was told, it is looked at again"
        return Link(stage, LinkState.UNKNOWN, "Incomplete", text, found.endedTime, ids, Remedies.storageStatus(at.se))
    if found.verdict is Found.BAD:
        text = f"{told}; BlockRepairAgent takes care of the files"
        return Link(stage, LinkState.BROKEN, "ValidationBad", text, found.endedTime, ids)
    if at.state is BlockState.VALIDATED and at.validatedTime and block.policy:
        until = at.validatedTime + timedelta(seconds=block.policy.secondLookSeconds)
        text = f"{told}; the second look is due at {until:%Y-%m-%d %H:%M:%S}"
        return Link(stage, LinkState.WAITS, "SecondLook", text, at.validatedTime, ids)
    return Link(stage, LinkState.HOLDS, "ValidationGood", told, found.endedTime, ids)


def _stateLink(block: BlockFacts, site: BlockSiteFacts, at: LivingSite, links: Sequence[Link], now: datetime) -> Link:
    since, ids = stateTime(at), {"State": str(at.state)}
    if at.state is BlockState.DONE:
        return Link(Stage.BLOCK, LinkState.HOLDS, "SiteDone", f"Done at {at.se}", since, ids)
    if at.state is BlockState.PROBLEM:
        text = f"Problem at {at.se}: {at.problem or 'no reason was kept'}"
        action = Remedies.retransfer(block.name, block.typeName, at.se, "the cause was put right")
        return Link(Stage.BLOCK, LinkState.BROKEN, "SiteProblem", text, since, ids, action)
    areCopied = all(link.state is LinkState.HOLDS for link in links)
    times = [time for time in (since, at.progressTime) if time]
    if at.state is BlockState.CLOSED and areCopied and times and now - max(times) > PATIENCE:
        text = f"all copies are at {at.se}, and BlockAgent has not noticed"
        action = Remedies.restart("RawData", "BlockAgent")
        return Link(Stage.BLOCK, LinkState.BROKEN, "BlockAgentLate", text, max(times), ids, action)
    return Link(Stage.BLOCK, LinkState.WAITS, f"Site{at.state}", f"{at.state} at {at.se}: {_NEXT[at.state]}", since, ids)


_NEXT = {
    BlockState.KNOWN: "it is opened with its first file",
    BlockState.OPEN: "files may still come",
    BlockState.CLOSED: "until each file is there and finished",
    BlockState.REPLICATED: "until the storage was compared",
    BlockState.VALIDATED: "until the second look",
}
