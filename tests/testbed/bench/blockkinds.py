"""What kinds of blocks the benchmark has."""

from __future__ import annotations

from dataclasses import dataclass, field

FILES_PER_TASK = 50
# too few for a task
WAITING_FILES = 20
_FIRST_BLOCK = 20500000


@dataclass
class BlockRows:
    """One block.

    :param state: of the block and of its sites
    :param processed: files that are at each site
    :param assigned: files that are on their way to each site, in tasks with a request
    :param waiting: files that no task has yet
    """

    number: int
    state: str
    processed: int
    assigned: int
    waiting: int
    blockID: int = 0
    directoryID: int = 0
    catalogueID: int = 0
    transformations: dict[str, int] = field(default_factory=dict)
    ended: int = 0

    @property
    def name(self) -> str:
        return str(_FIRST_BLOCK + self.number)

    @property
    def files(self) -> int:
        return self.processed + self.assigned + self.waiting


def busyBlock(number: int, files: int) -> BlockRows:
    """Files come in: seven of ten are at their sites, the others are on their way."""
    processed = files * 7 // 10 // FILES_PER_TASK * FILES_PER_TASK
    return BlockRows(number, "Open", processed, max(0, files - processed - WAITING_FILES), min(WAITING_FILES, files))


def quietBlock(number: int, files: int) -> BlockRows:
    """One of those around: open without news, closed with a last task on its way, or waiting for the second look."""
    if number % 4 == 1:
        return BlockRows(number, "Closed", files - 1, 1, 0)
    return BlockRows(number, "Validated" if number % 4 == 3 else "Open", files, 0, 0)
