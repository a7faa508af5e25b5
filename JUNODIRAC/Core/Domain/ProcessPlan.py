"""Which waiting inputs of a process step go out together, and at which site."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

#: a stream of a block: number of the block, name of the stream
Stream = tuple[int, str]


@dataclass(frozen=True)
class WaitingInput:
    """An input of which nothing was made yet and which no task has.

    :param ageSeconds: since it was given to the step; a task of it that failed makes it no younger
    :param sites: of the step, at which it has a replica
    :param moves: attempts at it that failed in a way that asks for another site
    """

    lfn: str
    block: int
    stream: str
    run: int
    sequence: int
    sizeBytes: int
    ageSeconds: float
    sites: frozenset[str]
    moves: int = 0

    @property
    def place(self) -> tuple[int, int, str]:
        """By which inputs are in order."""
        return self.run, self.sequence, self.lfn


@dataclass(frozen=True)
class ProcessRule:
    """How inputs are grouped and where they go.

    :param groupFiles: inputs of a task at most
    :param groupBytes: bytes of a task at most, an input that is larger goes alone; None: no limit
    :param maxWaitSeconds: after which a group goes out that is not full, counted from its oldest input
    :param patienceSeconds: after which an input goes to another site than that of its stream, if it is there
    :param sites: of the step
    """

    groupFiles: int
    groupBytes: int | None
    maxWaitSeconds: float
    patienceSeconds: float
    sites: Sequence[str]

    def __post_init__(self) -> None:
        if self.groupFiles < 1 or (self.groupBytes is not None and self.groupBytes < 1):
            raise ValueError(f"a group has at least one file and one byte, not {self.groupFiles} and {self.groupBytes}")


@dataclass(frozen=True)
class SitesOfStreams:
    """Where the streams of blocks are processed.

    :param homes: those that were chosen before
    :param load: inputs by site that are not done yet
    :param expected: sites by block to which the block is being copied
    """

    homes: Mapping[Stream, str] = field(default_factory=dict)
    load: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[int, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class ProcessPlan:
    """What goes out now.

    :param groups: site and inputs in order
    :param homes: sites that were chosen for streams that had none
    :param awaited: inputs that wait for a copy: at the site of their stream, or at any
    """

    groups: tuple[tuple[str, tuple[WaitingInput, ...]], ...]
    homes: Mapping[Stream, str]
    awaited: tuple[WaitingInput, ...]


def planProcess(
    waiting: Iterable[WaitingInput], rule: ProcessRule, sites: SitesOfStreams, closed: Collection[int]
) -> ProcessPlan:
    """Groups of inputs of one stream of one block, in the order of run and sequence, each at a site where all of it is.

    A group has inputs whose numbers follow each other. One that can take no more goes out. One that can goes when its oldest
    input has waited for ``maxWaitSeconds``, or when its block is closed.

    A stream stays at one site. For a new one it is the site with the least to do, of those where its files are or are copied to.
    An input that is not there waits for its copy, and goes to where it is when its patience is over. After attempts that ask for
    another site it goes round the sites that have it.

    :param closed: blocks into which no more files come
    """
    load = {site: sites.load.get(site, 0) for site in rule.sites}
    streams: dict[Stream, list[WaitingInput]] = defaultdict(list)
    awaited: list[WaitingInput] = []
    for each in {each.lfn: each for each in waiting}.values():
        if each.sites.isdisjoint(load):
            awaited.append(each)
        else:
            streams[each.block, each.stream].append(each)
    groups: list[tuple[str, tuple[WaitingInput, ...]]] = []
    chosen: dict[Stream, str] = {}
    for stream in sorted(streams):
        inputs = sorted(streams[stream], key=lambda each: each.place)
        home = sites.homes.get(stream)
        if home not in load:
            home = chosen[stream] = _newHome(inputs, load, sites.expected.get(stream[0], ()))
            load[home] += len(inputs)
        atSite: dict[str, list[WaitingInput]] = defaultdict(list)
        for each in inputs:
            if home in each.sites or each.moves or each.ageSeconds >= rule.patienceSeconds:
                atSite[_siteOf(each, home, load)].append(each)
            else:
                awaited.append(each)
        for site in sorted(atSite):
            groups += [(site, group) for group in _groups(atSite[site], rule, stream[0] in closed)]
    return ProcessPlan(tuple(groups), chosen, tuple(sorted(awaited, key=lambda each: each.lfn)))


def _newHome(inputs: Sequence[WaitingInput], load: Mapping[str, int], expected: Collection[str]) -> str:
    """Of equally loaded sites the one that has most of the inputs."""
    present = {site: sum(site in each.sites for each in inputs) for site in load}
    candidates = [site for site in load if present[site] or site in expected]
    return min(candidates, key=lambda site: (load[site], -present[site]))


def _siteOf(each: WaitingInput, home: str, load: Mapping[str, int]) -> str:
    """Of those that have it the home, else the one with the least to do; and the next one for each move."""
    sites = sorted(each.sites.intersection(load), key=lambda site: (site != home, load[site], site))
    return sites[each.moves % len(sites)]


def _groups(inputs: Sequence[WaitingInput], rule: ProcessRule, isClosed: bool) -> list[tuple[WaitingInput, ...]]:
    """Cut inputs in order where a number is missing, and where a group is full; leave out groups that wait for more.

    What is missing may come yet, and then its events would lie between those of one output.
    """
    groups: list[list[WaitingInput]] = []
    sizeBytes = 0
    for each in inputs:
        isTooMuch = rule.groupBytes is not None and sizeBytes + each.sizeBytes > rule.groupBytes
        if not groups or len(groups[-1]) >= rule.groupFiles or isTooMuch or not _follows(groups[-1][-1], each):
            groups.append([])
            sizeBytes = 0
        groups[-1].append(each)
        sizeBytes += each.sizeBytes
    return [tuple(group) for place, group in enumerate(groups) if isClosed or _isReady(group, groups[place + 1 :], rule)]


def _follows(one: WaitingInput, other: WaitingInput) -> bool:
    """Whether nothing can come between these two: of another run what comes is not known."""
    return one.run != other.run or other.sequence - one.sequence <= 1


def _isReady(group: Sequence[WaitingInput], later: Sequence[Sequence[WaitingInput]], rule: ProcessRule) -> bool:
    """Whether a group of a block that is open can take no more, or has waited long enough."""
    sizeBytes = sum(each.sizeBytes for each in group)
    isFull = len(group) >= rule.groupFiles or (rule.groupBytes is not None and sizeBytes >= rule.groupBytes)
    # cut before one that would follow it: there was no room
    isCut = bool(later) and _follows(group[-1], later[0][0])
    return isFull or isCut or max(each.ageSeconds for each in group) >= rule.maxWaitSeconds
