"""What the ledger knows of started chains: the rows of Chains, ChainSteps and ChainBlocks as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from JUNODIRAC.Core.Domain.ChainDescription import StepKind


class ChainRefused(Exception):
    """A chain cannot do what was asked for; the text says what, why and the remedy, and goes to the caller as it is."""


class ChainState(StrEnum):
    """State of a chain."""

    #: its transformations are being made
    STARTING = "Starting"
    ACTIVE = "Active"
    #: by a person: nothing new is begun
    STOPPED = "Stopped"
    ENDED = "Ended"


class ChainBlockState(StrEnum):
    """State of a block in a chain."""

    #: at a gate, for files, or because it is open
    WAITING = "Waiting"
    RUNNING = "Running"
    #: each step ended and the audit is exact
    DONE = "Done"
    #: a person has to act
    PROBLEM = "Problem"


@dataclass(frozen=True)
class ChainScope:
    """The blocks that a chain runs on.

    :param blocks: names, as they were asked for
    :param eachNewBlock: blocks that are opened after ``newSince``, too
    :param newSince: None unless ``eachNewBlock``
    :param datasets: the blocks of these datasets, too, those that come later included
    :param again: also blocks that went through another output version of the chain
    """

    blocks: tuple[str, ...] = ()
    eachNewBlock: bool = False
    newSince: datetime | None = None
    datasets: tuple[str, ...] = ()
    again: bool = False

    def joined(self, more: ChainScope) -> ChainScope:
        """What either means; new blocks count from the earlier moment."""
        since = [each for each in (self.newSince, more.newSince) if each]
        return ChainScope(
            tuple(dict.fromkeys((*self.blocks, *more.blocks))),
            self.eachNewBlock or more.eachNewBlock,
            min(since) if since else None,
            tuple(dict.fromkeys((*self.datasets, *more.datasets))),
            self.again or more.again,
        )


@dataclass(frozen=True)
class StartedChain:
    """A row of Chains.

    :param description: the YAML text, see ProductionSystem.Client.ChainReader.readChain
    :param productionID: None as long as it is not made
    """

    chainID: int
    production: str
    name: str
    version: str
    outputVersion: int
    state: ChainState
    productionID: int | None
    typeName: str
    description: str
    scope: ChainScope
    createdTime: datetime
    createdBy: str
    stateTime: datetime
    stateBy: str


@dataclass(frozen=True)
class StepTransformation:
    """A row of ChainSteps.

    :param se: the destination, for a step of kind replicate, else empty
    :param held: which gate keeps the whole step back and why, else empty
    """

    chainID: int
    stepNumber: int
    se: str
    step: str
    kind: StepKind
    transformationID: int
    held: str = ""
    heldTime: datetime | None = None


@dataclass(frozen=True)
class ChainBlock:
    """A row of ChainBlocks, with what the ledger says of the block.

    :param block: its name
    :param blockState: its state as a block, for example Open
    :param waits: what keeps files of it back, in words
    """

    chainID: int
    blockID: int
    block: str
    blockState: str
    state: ChainBlockState
    stateTime: datetime
    addedTime: datetime
    addedBy: str
    endedSteps: int = 0
    waits: str = ""
    problem: str = ""
    wantedFiles: int = 0
    attachedFiles: int = 0
    countedTime: datetime | None = None
