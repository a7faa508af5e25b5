"""What a block and its sites do next: every change of state is decided here, from facts alone.

The facts of one moment lead to the same states however often they are looked at: :func:`decideBlock` takes all steps at once,
and asked again it has none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from JUNODIRAC.Core.Domain.BlockClosing import FileCounts, LifePolicy, closeReason, fileTrouble
from JUNODIRAC.Core.Domain.BlockState import TRANSITIONS, BlockState
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.Core.Domain.SiteLife import SiteFacts, decideSite

# how far a site is: a block is as far as the least of its sites
_ORDER = (BlockState.CLOSED, BlockState.REPLICATED, BlockState.VALIDATED, BlockState.DONE)
# a block does not pass through these on its way to another state
_NO_THOROUGHFARE: frozenset[BlockState] = frozenset({BlockState.KNOWN, BlockState.OPEN, BlockState.PROBLEM})


@dataclass(frozen=True)
class BlockFacts:
    """What a decision depends on, beside what the ledger says of the block and its sites.

    :param counts: the block's files
    :param isDayPassed: whether its day, if it has one, has passed
    :param lastAnnounced: when an announcement came last; None: not asked, because it is recent anyway
    :param sites: by SE
    """

    counts: FileCounts
    isDayPassed: bool = False
    lastAnnounced: datetime | None = None
    sites: Mapping[str, SiteFacts] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One change of state.

    :param se: empty for the block
    :param problem: for a Problem: code, colon, sentence
    :param closedBy: for a block that is closed: by what
    """

    se: str
    old: BlockState
    new: BlockState
    reason: str
    problem: str = ""
    closedBy: str = ""


@dataclass(frozen=True)
class Decision:
    """What is to be done with a block, in this order.

    :param steps: changes of state
    :param problems: present words for what stays a Problem, by SE, empty for the block; only where they changed
    """

    steps: tuple[Step, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


def decideBlock(block: LivingBlock, facts: BlockFacts, policy: LifePolicy, now: datetime) -> Decision:
    """All steps that these facts demand: the block is closed first, then its sites go on, then the block follows them."""
    steps: list[Step] = []
    state = block.state
    closing = closeReason(block, facts.counts, policy, facts.isDayPassed, facts.lastAnnounced, now)
    if closing is not None:
        closedBy, reason = closing
        steps.append(Step("", state, BlockState.CLOSED, reason, closedBy=closedBy))
        state = BlockState.CLOSED
    problems: dict[str, str] = {}
    sites = []
    for site in block.sites:
        own = _siteSteps(site, state is BlockState.OPEN, facts, policy, now)
        steps += own.steps
        problems |= own.problems
        sites.append(replace(site, state=own.steps[-1].new, problem=own.steps[-1].problem) if own.steps else site)
    after = _blockSteps(replace(block, state=state), sites, problems, facts)
    if after and after[0].old in _ORDER[1:] and after[0].new not in _ORDER[1:]:
        # back: before its sites, so that whatever happens in between it is never further than they are
        return Decision((after[0], *steps, *after[1:]), problems)
    return Decision((*steps, *after), problems)


def _siteSteps(site: LivingSite, isBlockOpen: bool, facts: BlockFacts, policy: LifePolicy, now: datetime) -> Decision:
    steps: list[Step] = []
    problems: dict[str, str] = {}
    known = facts.sites.get(site.se, SiteFacts())
    while len(steps) <= len(BlockState):
        new, words = decideSite(site, isBlockOpen, facts.counts.registered, known, policy, now)
        if new is site.state:
            if new is BlockState.PROBLEM and words != site.problem:
                problems[site.se] = words
            break
        problem = words if new is BlockState.PROBLEM else ""
        steps.append(Step(site.se, site.state, new, words, problem))
        site = _entered(replace(site, problem=problem), new, now)
    return Decision(tuple(steps), problems)


def _entered(site: LivingSite, state: BlockState, now: datetime) -> LivingSite:
    """The site as the ledger has it after the step."""
    times = {
        BlockState.CLOSED: {"closedTime": now},
        BlockState.REPLICATED: {"replicatedTime": now},
        BlockState.VALIDATED: {"validatedTime": now},
        BlockState.DONE: {"doneTime": now},
        BlockState.PROBLEM: {"problemTime": now},
    }
    return replace(site, state=state, **times.get(state, {}))  # type: ignore[arg-type]


def _blockSteps(block: LivingBlock, sites: Sequence[LivingSite], problems: dict[str, str], facts: BlockFacts) -> list[Step]:
    """How the block follows its sites. The words of a Problem that stays are put into ``problems``."""
    if block.state in (BlockState.OPEN, BlockState.KNOWN):
        return []  # as long as files come in, whatever becomes of those that are there
    new, words = _blockTarget(block, sites, problems, facts)
    if new is block.state:
        if new is BlockState.PROBLEM and words != block.problem:
            problems[""] = words
        return []
    steps = []
    old: BlockState = block.state
    for state in wayTo(old, new):
        isProblem = state is BlockState.PROBLEM
        steps.append(Step("", old, state, words, words if isProblem else ""))
        old = state
    return steps


def _blockTarget(
    block: LivingBlock, sites: Sequence[LivingSite], problems: Mapping[str, str], facts: BlockFacts
) -> tuple[BlockState, str]:
    """The state that the block belongs in, and why."""
    troubled = [site for site in sites if site.state is BlockState.PROBLEM]
    if troubled:
        return BlockState.PROBLEM, "; ".join(f"{site.se}: {problems.get(site.se, site.problem)}" for site in troubled)
    least = min((site.state for site in sites), key=_rank, default=BlockState.CLOSED)
    behind = ", ".join(site.se for site in sites if _rank(site.state) == _rank(least))
    trouble = fileTrouble(block, facts.counts)
    if facts.counts.waiting:
        return BlockState.CLOSED, f"{facts.counts.waiting} files are announced and not registered yet"
    if trouble and _rank(least) > 0:
        return BlockState.PROBLEM, trouble
    if trouble or _rank(least) == 0:
        return BlockState.CLOSED, f"copies are outstanding at {behind or 'no site'}"
    return least, f"all its sites are {least} or further; the last: {behind}"


def _rank(state: BlockState) -> int:
    return _ORDER.index(state) if state in _ORDER else 0


def wayTo(old: BlockState, new: BlockState) -> list[BlockState]:
    """The states between ``old`` and ``new`` and ``new`` itself, the shortest way that the table of transitions allows.

    :raises ValueError: if there is none
    """
    ways: deque[list[BlockState]] = deque([[old]])
    seen = {old}
    while ways:
        way = ways.popleft()
        if way[-1] is new:
            return way[1:]
        if len(way) > 1 and way[-1] in _NO_THOROUGHFARE:
            continue
        for state in sorted(TRANSITIONS[way[-1]] - seen):
            seen.add(state)
            ways.append([*way, state])
    raise ValueError(f"no way leads from {old} to {new}")
