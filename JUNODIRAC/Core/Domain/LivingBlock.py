"""A block and its sites as the ledger has them, with what their states depend on. All times are UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from JUNODIRAC.Core.Domain.BlockState import BlockState


@dataclass(frozen=True)
class LivingSite:
    """A block at one destination.

    :param doneFiles: replicas there at the last look, which is not this one
    :param progressTime: when that last grew
    :param problem: why it is a Problem, or empty
    """

    se: str
    transformationID: int
    state: BlockState
    createdTime: datetime
    closedTime: datetime | None = None
    replicatedTime: datetime | None = None
    validatedTime: datetime | None = None
    doneTime: datetime | None = None
    problemTime: datetime | None = None
    problem: str = ""
    doneFiles: int = 0
    doneBytes: int = 0
    progressTime: datetime | None = None


@dataclass(frozen=True)
class LivingBlock:
    """A block that was opened, with its sites.

    :param directory: the one that carries the block's metadata; empty for a follow-up block
    :param parentID: the block whose late files this follow-up block has, and its name
    :param hasFollowUps: not all files in the directory are its own
    :param expectedFiles: the number that an end-of-block announcement declared
    :param closedBy: what closed it: EndOfBlock, Quiet, or a user
    :param registeredFiles: and the other counts: those of the last count
    :param activeTime: when announcements last came for it, to ten minutes
    """

    blockID: int
    typeName: str
    name: str
    directory: str
    state: BlockState
    createdTime: datetime
    sites: tuple[LivingSite, ...] = ()
    parentID: int | None = None
    parent: str = ""
    hasFollowUps: bool = False
    expectedFiles: int | None = None
    expectedTime: datetime | None = None
    openedTime: datetime | None = None
    closedTime: datetime | None = None
    closedBy: str = ""
    replicatedTime: datetime | None = None
    validatedTime: datetime | None = None
    doneTime: datetime | None = None
    problemTime: datetime | None = None
    problem: str = ""
    registeredFiles: int = 0
    registeredBytes: int = 0
    unsettledFiles: int = 0
    givenUpFiles: int = 0
    countedTime: datetime | None = None
    activeTime: datetime | None = None

    @property
    def query(self) -> dict[str, str]:
        """The directory metadata that choose the files of this block and no others, as its transformations have them."""
        isWholeDirectory = self.directory and not self.hasFollowUps
        return {"Block": self.name, "Type": self.typeName} if isWholeDirectory else {}

    @property
    def lockName(self) -> str:
        """The name under which receivers hold the block: that of the directory's block, to which late files belong first."""
        return self.parent or self.name


@dataclass(frozen=True)
class BlockEvent:
    """A change of state of a block, or of a block at a site.

    :param se: empty for the block itself
    :param actor: an agent or a user
    """

    blockID: int
    se: str
    time: datetime
    fromState: str
    toState: str
    actor: str
    reason: str
