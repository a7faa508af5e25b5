"""A block: the files of one directory that are transferred and validated together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from JUNODIRAC.Core.Domain.BlockState import BlockState


@dataclass(frozen=True)
class Block:
    """One block and its transfers.

    ``transfers`` gives the transformation id for each destination SE whose transfer is open. ``state`` is that of the ledger;
    ``parent`` the name of the block whose late files this follow-up block has, empty for all others. A follow-up block has no
    directory of its own. ``hasFollowUps``: not all files in the directory are the block's.
    """

    typeName: str
    name: str
    directory: str
    transfers: Mapping[str, int] = field(default_factory=dict)
    state: BlockState = BlockState.OPEN
    parent: str = ""
    hasFollowUps: bool = False

    @property
    def isWholeDirectory(self) -> bool:
        """Whether a query for the directory's metadata finds the files of this block, all of them and no others."""
        return not self.parent and not self.hasFollowUps

    @property
    def metadata(self) -> dict[str, str]:
        """The directory metadata that make the block, which is also its transformations' input query."""
        return {"Block": self.name, "Type": self.typeName}
