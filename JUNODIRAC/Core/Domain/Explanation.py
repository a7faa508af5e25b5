"""Why a file or a block is where it is: a chain of links, and one verdict. All times are UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from JUNODIRAC.Core.Utilities.Moment import momentText


class LinkState(StrEnum):
    """Whether a link of the chain holds."""

    HOLDS = "holds"
    WAITS = "waits"  #: as it should: the system gets to it by itself
    BROKEN = "broken"
    UNKNOWN = "unknown"  #: somebody who knows did not answer


class Stage(StrEnum):
    """The links, in the order of a file's way: to its sites, then what is of blocks, then in chains."""

    ANNOUNCEMENT = "announcement"
    LEDGER = "ledger"
    CATALOGUE = "catalogue"
    TRANSFORMATION = "transformation"
    TASK = "task"
    REQUEST = "request"
    FTS = "FTS3 job"
    REPLICA = "replica"
    STORAGE = "storage"
    FINISHED = "file finished"
    COPIES = "copies"
    CLOSING = "closing"
    VALIDATION = "validation"
    BLOCK = "block"
    STEP = "step"
    JOB = "job"
    OUTPUT = "output"
    CHAIN = "chain"
    AUDIT = "audit"


class Role(StrEnum):
    """Who has to act."""

    NOBODY = "nobody: the system goes on by itself"
    DATA_MANAGER = "data manager"
    SITE = "site administrator"
    SOURCE = "source (DAQ)"
    FTS = "operator of FTS3"


@dataclass(frozen=True)
class Action:
    """Who has to act, and what to type.

    :param party: the storage element, for a site's administrator
    :raises ValueError: if somebody has to act and there is nothing to type
    """

    role: Role = Role.NOBODY
    command: str = ""
    party: str = ""

    def __post_init__(self) -> None:
        if (self.role is Role.NOBODY) != (not self.command):
            raise ValueError(f"{self.role}: a command is needed for each who has to act, and for nobody else")

    @property
    def actor(self) -> str:
        """``site administrator of CNAF-STORM``"""
        return f"{self.role} of {self.party}" if self.party else str(self.role)


NOBODY = Action()


@dataclass(frozen=True)
class Link:
    """One step of the way.

    :param code: what is the matter, the same for the same matter, for counting: ``SitePaused``
    :param text: that in words
    :param time: since when it stands so; None: nobody kept it
    :param ids: what it is called elsewhere, for example TaskID
    :raises ValueError: if it holds or waits and somebody has to act all the same, or says nothing
    """

    stage: Stage
    state: LinkState
    code: str
    text: str
    time: datetime | None = None
    ids: Mapping[str, object] = field(default_factory=dict)
    action: Action = NOBODY

    def __post_init__(self) -> None:
        if not self.code or not self.text:
            raise ValueError(f"the link {self.stage} says nothing")
        if self.state in (LinkState.HOLDS, LinkState.WAITS) and self.action.role is not Role.NOBODY:
            raise ValueError(f"{self.stage} {self.state}, and yet {self.action.actor} has to act")

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "Link": self.stage.value,
            "State": self.state.value,
            "Code": self.code,
            "Text": self.text,
            "Time": momentText(self.time),
            "IDs": dict(self.ids),
        }


@dataclass(frozen=True)
class Verdict:
    """The first link that does not hold, or that all do.

    :param se: the site that it is about; empty: all
    """

    link: Link
    se: str = ""

    @property
    def state(self) -> LinkState:
        return self.link.state

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        action = self.link.action
        return {
            "State": self.state.value,
            "Code": self.link.code,
            "Link": self.link.stage.value,
            "SE": self.se or None,
            "Text": self.link.text,
            "Since": momentText(self.link.time),
            "Who": action.role.name,
            "Actor": action.actor,
            "Command": action.command or None,
        }


@dataclass(frozen=True)
class Standing:
    """How many files stand at the same link for the same reason, and one of them."""

    stage: Stage
    code: str
    files: int
    example: str

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        return {"Link": self.stage.value, "Code": self.code, "Files": self.files, "LFN": self.example}


@dataclass(frozen=True)
class Chain:
    """The way to one site, or with an empty ``se`` the part that all sites share.

    :param verdict: of this chain
    :param example: of a block: the file that is furthest behind
    :param exampleLinks: its way
    :param standings: of a block: where its unfinished files stand
    """

    se: str
    links: tuple[Link, ...]
    verdict: Verdict
    example: str = ""
    exampleLinks: tuple[Link, ...] = ()
    standings: tuple[Standing, ...] = ()

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "SE": self.se or None,
            "Chain": [link.toDict() for link in self.links],
            "Verdict": self.verdict.toDict(),
            "Standings": [each.toDict() for each in self.standings],
            "Example": {"LFN": self.example, "Chain": [link.toDict() for link in self.exampleLinks]} if self.example else None,
        }


@dataclass(frozen=True)
class Explanation:
    """A file or block, the part of its way that all sites share, the rest for each site, and one verdict."""

    shared: Chain
    sites: tuple[Chain, ...]
    verdict: Verdict

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "Chain": [link.toDict() for link in self.shared.links],
            "Sites": [chain.toDict() for chain in self.sites],
            "Verdict": self.verdict.toDict(),
        }


_RANKS = {LinkState.BROKEN: 0, LinkState.UNKNOWN: 2, LinkState.WAITS: 4, LinkState.HOLDS: 5}


def verdictOf(links: Sequence[Link], allRight: Link, se: str = "") -> Verdict:
    """The first link that does not hold; ``allRight`` if all do."""
    return Verdict(next((link for link in links if link.state is not LinkState.HOLDS), allRight), se)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """What a person has to know first: what is broken before what is only waited for, a person's part before the system's.

    Among equals the first. There must be one.
    """
    return min(verdicts, key=lambda each: _RANKS[each.state] + (each.link.action.role is Role.NOBODY))
