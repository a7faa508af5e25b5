"""A block in a chain as the feeder of chains sees it, when its steps have ended, and in which state it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, StepKind
from JUNODIRAC.Core.Domain.ChainRecords import ChainBlockState

#: what the words of a problem begin with that the feeder found, and takes back
GIVEN_UP, HELD = "GivenUp: ", "Held: "
_VALIDATED = frozenset({BlockState.VALIDATED, BlockState.DONE})
_PROBLEMS = (GIVEN_UP, HELD)


@dataclass(frozen=True)
class SiteStand:
    """A block at one of its destinations.

    :param doneFiles: replicas there at the last look
    """

    se: str
    state: BlockState
    doneFiles: int

    @property
    def isValidated(self) -> bool:
        """Whether each file there was compared with what was declared."""
        return self.state in _VALIDATED


@dataclass(frozen=True)
class FedBlock:
    """A row of ChainBlocks with what belongs to it.

    :param isClosed: no file is expected any more
    :param registeredFiles: at the last count of the ledger
    """

    chainID: int
    blockID: int
    typeName: str
    name: str
    blockState: BlockState
    isClosed: bool
    registeredFiles: int
    state: ChainBlockState
    endedSteps: int
    waits: str
    problem: str
    wantedFiles: int
    attachedFiles: int
    sites: tuple[SiteStand, ...] = ()

    @property
    def key(self) -> tuple[int, int]:
        """ChainID and BlockID."""
        return self.chainID, self.blockID

    @property
    def isValidated(self) -> bool:
        """Whether the block is, as a whole."""
        return self.blockState in _VALIDATED


@dataclass(frozen=True)
class StepCounts:
    """How far a block is in a step.

    :param inputs: what it was given: files of the ledger, or registered products of the step before
    :param settled: of these, those in a registered product, given up or waived
    :param givenUp: of these (of a replicate step: copies), those that a person has to look at
    :param unfinishedCopies: of a replicate step: copies that are not there yet; None: not known
    :param unregistered: products of this step that are uploaded and not in the catalogue yet
    """

    inputs: int = 0
    settled: int = 0
    givenUp: int = 0
    unfinishedCopies: int | None = None
    unregistered: int = 0


@dataclass(frozen=True)
class BlockOutcome:
    """What was found out about a block: how many of its first steps have ended, its state, and the words of a problem."""

    endedSteps: int
    state: ChainBlockState
    problem: str = ""


@dataclass(frozen=True)
class BlockView:
    """What the outcome depends on.

    :param waiting: files that wait at a gate, by number of the step
    :param counts: by number of the step
    :param held: what is held for too long, in words
    """

    isClosed: bool
    waiting: Mapping[int, int] = field(default_factory=dict)
    counts: Mapping[int, StepCounts] = field(default_factory=dict)
    held: str = ""


def endedSteps(chain: ChainDescription, view: BlockView) -> int:
    """The number of the last step up to which all have ended: the block is closed, every wanted file was given to the step, and
    each of them is settled in it."""
    ended = 0
    for step in chain.steps:
        if not _hasEnded(step, chain.source(step), view):
            break
        ended = step.number
    return ended


def _hasEnded(step: ChainStep, source: ChainStep | None, view: BlockView) -> bool:
    counts = view.counts.get(step.number, StepCounts())
    if not view.isClosed or counts.unregistered or (source is None and view.waiting.get(step.number, 0)):
        return False
    if step.kind is StepKind.REPLICATE:
        return counts.inputs == 0 or counts.unfinishedCopies == 0
    return counts.settled >= counts.inputs


def outcomeOf(chain: ChainDescription, view: BlockView, block: FedBlock) -> BlockOutcome:
    """The state of a block. Done is said by its audit, and so are problems that this module has no words for: both stay."""
    ended = endedSteps(chain, view)
    problem = _problemOf(chain, view)
    isOthers = block.state is ChainBlockState.PROBLEM and not block.problem.startswith(_PROBLEMS)
    if isOthers and ended >= block.endedSteps:
        return BlockOutcome(ended, block.state, block.problem)
    if problem:
        return BlockOutcome(ended, ChainBlockState.PROBLEM, problem)
    if ended == len(chain.steps):
        isDone = block.state is ChainBlockState.DONE
        return BlockOutcome(ended, ChainBlockState.DONE if isDone else ChainBlockState.RUNNING)
    isRunning = any(_isAtWork(step, view.counts.get(step.number, StepCounts())) for step in chain.steps)
    return BlockOutcome(ended, ChainBlockState.RUNNING if isRunning else ChainBlockState.WAITING)


def _isAtWork(step: ChainStep, counts: StepCounts) -> bool:
    if step.kind is StepKind.REPLICATE:
        return counts.inputs > 0 and counts.unfinishedCopies != 0
    return counts.settled < counts.inputs or counts.unregistered > 0


def _problemOf(chain: ChainDescription, view: BlockView) -> str:
    lost = [(step.name, counts.givenUp) for step in chain.steps if (counts := view.counts.get(step.number)) and counts.givenUp]
    if lost:
        words = ", ".join(f"{number:,} in step {name}" for name, number in lost)
        return f"{GIVEN_UP}inputs or copies that were tried in vain and wait for a person: {words}; dirac-juno-audit names them"
    return f"{HELD}{view.held}" if view.held else ""


def ledgerSteps(chain: ChainDescription) -> Sequence[ChainStep]:
    """The steps that take files of the ledger, which the feeder gives to them."""
    return [step for step in chain.steps if chain.source(step) is None]
