"""Why a block is where it is: from facts to a chain of links and one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Explanation import (
    Action,
    Chain,
    Explanation,
    Link,
    LinkState,
    Stage,
    Verdict,
    verdictOf,
    worst,
)
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.WhyFacts import BlockFacts, RefusedFiles
from JUNODIRAC.Core.Logic import Remedies
from JUNODIRAC.Core.Logic.Explain import stateTime
from JUNODIRAC.Core.Logic.ExplainBlockSite import blockSiteChain
from JUNODIRAC.Core.Logic.ExplainClosing import closingLink
from JUNODIRAC.Core.Logic.ExplainOrigin import PATIENCE, quarantineAction, receiverTrouble

_SETTLED_WITHOUT = (FileState.WAIVED, FileState.DROPPED)


def explainBlock(facts: BlockFacts, now: datetime) -> Explanation:
    """A block: its files, its sites, and how it is closed."""
    ledger, closing = _ledgerLinks(facts, now), closingLink(facts, now)
    sites = tuple(blockSiteChain(facts, site, now) for site in facts.sites)
    last = _blockLink(facts, sites, now)
    links = (*ledger, closing, last)
    shared = Chain("", links, verdictOf(links, last))
    # in the order of the way: what a site's state says beside its links comes after what closing says
    early = [chain.verdict for chain in sites if chain.verdict.link.stage is not Stage.BLOCK]
    late = [chain.verdict for chain in sites if chain.verdict.link.stage is Stage.BLOCK]
    verdicts = [*map(Verdict, ledger), *early, Verdict(closing), *late, Verdict(last)]
    verdict = worst(verdicts)
    return Explanation(shared, sites, Verdict(last) if verdict.state is LinkState.HOLDS else verdict)


# ---- its files


def _ledgerLinks(facts: BlockFacts, now: datetime) -> list[Link]:
    links = [_refusedLink(facts, refused) for refused in facts.refused]
    unsettled = _unsettledLink(facts, now)
    if unsettled:
        links.append(unsettled)
    if links:
        return links
    if not facts.refused and facts.fileCounts.get(FileState.QUARANTINED):
        text = f"{_files(facts.fileCounts[FileState.QUARANTINED])} quarantined"
        action = Remedies.listQuarantine(facts.name, facts.typeName)
        return [Link(Stage.LEDGER, LinkState.BROKEN, "Quarantined", text, None, _counts(facts), action)]
    text = f"{_files(facts.fileCounts.get(FileState.REGISTERED, 0))} registered"
    text += "".join(f", {facts.fileCounts[state]} {state.lower()}" for state in _SETTLED_WITHOUT if facts.fileCounts.get(state))
    return [Link(Stage.LEDGER, LinkState.HOLDS, "Registered", text, None, _counts(facts))]


def _refusedLink(facts: BlockFacts, refused: RefusedFiles) -> Link:
    newest = refused.newest
    words = f"{newest.sentence}; remedy: {newest.remedy}" if newest.sentence else newest.detail
    text = f"{_files(refused.files)} quarantined as {refused.reason}: {words}"
    action = quarantineAction(newest)
    if refused.files > 1:
        verb = "list" if " show " in action.command else "replay"
        command = f"dirac-juno-quarantine {verb} --code {refused.reason} --block {facts.name} --type {facts.typeName}"
        why = ' --reason "the cause was put right"' if verb == "replay" else ""
        action = Action(action.role, command + why, action.party)
    ids = {"Reason": refused.reason, "Files": refused.files, "QuarantineID": newest.quarantineID, "File": newest.fileName}
    return Link(Stage.LEDGER, LinkState.BROKEN, "Quarantined", text, newest.time, ids, action)


def _unsettledLink(facts: BlockFacts, now: datetime) -> Link | None:
    """Files that are on their way into the catalogue."""
    counts = [(facts.fileCounts.get(state, 0), what) for state, what in _ON_THEIR_WAY]
    said = ", ".join(f"{_files(count)} {what}" for count, what in counts if count)
    if not said:
        return None
    trouble, since, action = receiverTrouble(facts.receivers, facts.typeName, now)
    if trouble:
        text = f"{said}; {trouble}"
        return Link(
            Stage.LEDGER, LinkState.BROKEN, "ReceiverTrouble", text, since or facts.oldestUnsettled, _counts(facts), action
        )
    return Link(Stage.LEDGER, LinkState.WAITS, "Unsettled", said, facts.oldestUnsettled, _counts(facts))


_ON_THEIR_WAY = (
    (FileState.ANNOUNCED, "announced and not yet registered"),
    (FileState.WAITING, "not yet visible on the source storage"),
)


# ---- the block itself


def _blockLink(facts: BlockFacts, sites: Sequence[Chain], now: datetime) -> Link:
    block = facts.block
    since = stateTime(block) if block else None
    if facts.state is BlockState.DONE:
        text = "all right: Done, each copy was compared twice with ledger and catalogue"
        return Link(Stage.BLOCK, LinkState.HOLDS, "Done", text, since)
    if facts.state is BlockState.PROBLEM and block:
        action = Remedies.report(facts.name, facts.typeName)
        text = f"Problem: {block.problem or 'no reason was kept'}"
        return Link(Stage.BLOCK, LinkState.BROKEN, "Problem", text, since, {}, action)
    behind = [chain.se for chain in sites if chain.verdict.state is not LinkState.HOLDS]
    text = f"{facts.state}; goes on when all of its sites have gone on"
    text += f" ({', '.join(behind)})" if behind else ""
    hasSites = facts.block is not None and facts.block.sites
    if hasSites and not behind and facts.state is not BlockState.OPEN and _isLate(facts, now):
        text = f"{facts.state}; all of its sites have gone on, and BlockAgent has not noticed"
        return Link(Stage.BLOCK, LinkState.BROKEN, "BlockAgentLate", text, since, {}, Remedies.restart("RawData", "BlockAgent"))
    return Link(Stage.BLOCK, LinkState.WAITS, f"Block{facts.state}", text, since)


def _isLate(facts: BlockFacts, now: datetime) -> bool:
    times = [time for site in (facts.block.sites if facts.block else ()) if (time := stateTime(site))]
    return bool(times) and now - max(times) > PATIENCE


def _counts(facts: BlockFacts) -> dict[str, object]:
    return {state.value: count for state, count in facts.fileCounts.items() if count}


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
