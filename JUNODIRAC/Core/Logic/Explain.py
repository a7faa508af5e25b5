"""Why a file is where it is: from facts to a chain of links and one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Explanation import NOBODY, Chain, Explanation, Link, LinkState, Stage, Verdict, verdictOf, worst
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.RepairRecords import RepairState
from JUNODIRAC.Core.Domain.TransferFacts import CopyState
from JUNODIRAC.Core.Domain.WhyFacts import OriginFacts, SiteFacts
from JUNODIRAC.Core.Logic import Remedies
from JUNODIRAC.Core.Logic.ExplainOrigin import isGivenUpByPerson, originLinks
from JUNODIRAC.Core.Logic.ExplainTransfer import transferLinks

# what becomes of the block decides nothing for a file that has arrived
_AFTERWARDS = frozenset({Stage.VALIDATION, Stage.BLOCK})


def explainFile(origin: OriginFacts, sites: Sequence[SiteFacts], now: datetime) -> Explanation:
    """A file.

    :param sites: its destinations, or those of them that are asked for
    """
    shared = sharedChain(origin, now)
    if origin.file is None or origin.file.state is not FileState.REGISTERED:
        return Explanation(shared, (), shared.verdict)
    chains = tuple(siteChain(site, now) for site in sites)
    if shared.verdict.state is not LinkState.HOLDS:
        return Explanation(shared, chains, shared.verdict)
    if not chains:
        return Explanation(shared, (), Verdict(_noDestination(origin)))
    return Explanation(shared, chains, _ofAll(chains))


def sharedChain(origin: OriginFacts, now: datetime) -> Chain:
    """From the announcement to the catalogue."""
    links = tuple(originLinks(origin, now))
    if isGivenUpByPerson(origin):
        return Chain("", links, Verdict(links[-1]))
    text = "all right: the file is registered"
    return Chain("", links, verdictOf(links, Link(Stage.CATALOGUE, LinkState.HOLDS, "AllRight", text)))


def siteChain(facts: SiteFacts, now: datetime) -> Chain:
    """From the transformation to the state of the block at one site."""
    links = tuple(transferLinks(facts, now))
    after = tuple(_afterwards(facts)) if links[-1].stage is Stage.FINISHED else ()
    decisive = [link for link in (*links, *after) if link.stage not in _AFTERWARDS or link.state is LinkState.BROKEN]
    return Chain(facts.se, (*links, *after), verdictOf(decisive, _allRight(facts), facts.se))


def _ofAll(chains: Sequence[Chain]) -> Verdict:
    found = worst([chain.verdict for chain in chains])
    if found.state is not LinkState.HOLDS or len(chains) == 1:
        return found
    where = ", ".join(chain.se for chain in chains)
    text = f"all right at {where}: replicas are registered, no storage contradicts, the transfers are finished with it"
    link = Link(Stage.FINISHED, LinkState.HOLDS, "AllRight", text)
    return Verdict(link)


def _allRight(facts: SiteFacts) -> Link:
    isAsked = facts.transfer is not None and facts.transfer.copy is CopyState.GOOD
    copy = "the storage has it with the declared size and checksum" if isAsked else "the storage was not asked"
    text = f"all right at {facts.se}: the replica is registered, {copy}, and the transfer is finished with it"
    if facts.site and facts.site.state is not BlockState.DONE:
        text += f" (its block is {facts.site.state} there)"
    return Link(Stage.FINISHED, LinkState.HOLDS, "AllRight", text)


def _noDestination(origin: OriginFacts) -> Link:
    text = f"block {origin.block} has no transfer to any site"
    action = Remedies.openBlock(origin.block, origin.typeName, "the block has no transfers")
    return Link(Stage.TRANSFORMATION, LinkState.BROKEN, "NoTransfer", text, None, {}, action)


def _afterwards(facts: SiteFacts) -> list[Link]:
    site, validation = facts.site, facts.validation
    if site is None:
        return []
    if validation is None:
        first = Link(Stage.VALIDATION, LinkState.WAITS, "NotYet", "the block was not validated here yet")
    elif facts.named and site.replicatedTime and validation.startedTime < site.replicatedTime:
        text = "an earlier validation named this file; it was put right since, and is looked at again"
        first = Link(Stage.VALIDATION, LinkState.WAITS, "NamedBefore", text, validation.endedTime)
    elif facts.named:
        kinds = ", ".join(facts.named)
        detail = f": {validation.details[facts.lfn]}" if facts.lfn in validation.details else ""
        text = f"the last validation named this file as {kinds}{detail}; BlockRepairAgent takes care of it"
        action = NOBODY
        if facts.repair and facts.repair.state is RepairState.GIVEN_UP:
            action = Remedies.retransfer(facts.block, facts.typeName, facts.se, "a validation found the file not to be right")
        first = Link(Stage.VALIDATION, LinkState.BROKEN, "NamedByValidation", text, validation.endedTime, {}, action)
    else:
        state = LinkState.WAITS if not validation.isConclusive else LinkState.HOLDS
        text = f"the last validation of the block here was {validation.verdict}, and had nothing against this file"
        first = Link(Stage.VALIDATION, state, f"Validation{validation.verdict}", text, validation.endedTime)
    problem = f": {site.problem}" if site.problem else ""
    state = LinkState.HOLDS if site.state is BlockState.DONE else LinkState.WAITS
    text = f"block {facts.block} is {site.state} at {facts.se}{problem}"
    return [
        first,
        Link(Stage.BLOCK, state, f"Block{site.state}", text, stateTime(site), {"TransformationID": site.transformationID}),
    ]


def stateTime(thing: object) -> datetime | None:
    """When a block, or a block at a site, came into the state in which it is."""
    state = getattr(thing, "state", None)
    name = "openedTime" if state is BlockState.OPEN else f"{str(state).lower()}Time"
    time = getattr(thing, name, None) or getattr(thing, "createdTime", None)
    return time if isinstance(time, datetime) else None
