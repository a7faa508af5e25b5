"""A block in a chain, for those who look at the block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BlockInChain:
    """What the ledger says of it.

    :param chainState: of the whole chain
    :param state: of the block in it
    :param waits: why files of it wait, a line each
    :param held: which steps are held and why, a line each
    """

    production: str
    chainState: str
    state: str
    endedSteps: int
    steps: int
    wantedFiles: int
    attachedFiles: int
    waits: str = ""
    problem: str = ""
    held: str = ""

    def toDict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "Chain": self.production,
            "ChainState": self.chainState,
            "State": self.state,
            "EndedSteps": self.endedSteps,
            "Steps": self.steps,
            "Wanted": self.wantedFiles,
            "Attached": self.attachedFiles,
            "Waits": self.waits.splitlines(),
            "Held": self.held.splitlines(),
            "Problem": self.problem,
        }
