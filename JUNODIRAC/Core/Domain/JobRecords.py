"""What the ledger knows of jobs of chains: their attempts, their inputs, what they made, and where it has to be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from JUNODIRAC.Core.Domain.ChainDescription import ChainStep
from JUNODIRAC.Core.Domain.ChainRecords import StartedChain
from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Domain.RawFile import RawFile

#: characters of an LFN (Transformation System) and of a file's name (file catalogue)
MAX_LFN_CHARS = 255
MAX_NAME_CHARS = 127


class AttemptState(StrEnum):
    """State of an attempt, which is one execution of a task."""

    RUNNING = "Running"
    #: its output counts
    COMMITTED = "Committed"
    FAILED = "Failed"
    #: others had done its inputs
    REFUSED = "Refused"
    #: declared so by the recovery: it may not commit any more
    DEAD = "Dead"


class ProductState(StrEnum):
    """State of an output that counts."""

    #: uploaded
    COMMITTED = "Committed"
    #: in the catalogue with its ancestors, and given to the next steps
    REGISTERED = "Registered"
    #: merged, and removed by the chain's policy
    RETIRED = "Retired"


@dataclass(frozen=True)
class TaskInput:
    """An input of a task as the ledger has it.

    :param parentID: FileID of a file of the ledger, else ProductID
    :param firstRun: with ``firstSequence`` its place among others of its stream
    :param events: None where the announcement did not say it
    """

    lfn: str
    parentID: int
    blockID: int
    sizeBytes: int
    checksum: str
    stream: str
    firstRun: int
    lastRun: int
    firstSequence: int
    lastSequence: int
    events: int | None

    @property
    def place(self) -> tuple[int, int, int, int, str]:
        """In the order of which inputs go into a job."""
        return self.firstRun, self.firstSequence, self.lastRun, self.lastSequence, self.lfn


@dataclass(frozen=True)
class Attempt:
    """A row of Attempts, as far as jobs are concerned."""

    attemptID: int
    chainID: int
    stepNumber: int
    transformationID: int
    taskID: int
    state: AttemptState
    outputLFN: str
    outputSEs: tuple[str, ...] = ()


@dataclass(frozen=True)
class MadeOutput:
    """What a job wrote and uploaded.

    :param events: of the inputs, in the order in which they are in the output
    """

    lfn: str
    guid: str
    se: str
    sizeBytes: int
    checksum: str
    inputEvents: Sequence[int]

    @property
    def events(self) -> int:
        """Of the output."""
        return sum(self.inputEvents)


@dataclass(frozen=True)
class CommittedOutput:
    """All that is needed to register an output that counts.

    :param parents: LFNs of what it was made of
    :param metadata: of its directory
    :param transformationID: of the step that made it
    :param takers: transformations of the steps that take it
    """

    productID: int
    lfn: str
    guid: str
    se: str
    sizeBytes: int
    checksum: str
    parents: tuple[str, ...]
    metadata: dict[str, str]
    transformationID: int
    takers: tuple[int, ...]

    @property
    def directory(self) -> str:
        """LFN of its directory."""
        return self.lfn.rpartition("/")[0]

    def asAnswer(self) -> dict[str, Any]:
        """For the way from the service to a client."""
        return asdict(self)

    @classmethod
    def fromAnswer(cls, answer: Mapping[str, Any]) -> CommittedOutput:
        """What :meth:`asAnswer` gave."""
        return cls(**{**answer, "parents": tuple(answer["parents"]), "takers": tuple(answer["takers"])})


def outputDirectory(chain: StartedChain, step: ChainStep, block: str) -> str:
    """Where a step writes what it makes of a block.

    :raises JobFailure: if the step writes nothing
    """
    if step.output is None:
        raise JobFailure(
            JobError.BAD_TASK, f"step {step.name} of chain {chain.production} is of kind {step.kind} and runs no jobs"
        )
    values = {
        "Chain": chain.name,
        "Version": chain.version,
        "OutputVersion": chain.outputVersion,
        "Step": step.name,
        "Type": step.output.typeName,
        "Block": block,
    }
    return step.output.directoryRule.format_map(values)


def outputMetadata(chain: StartedChain, step: ChainStep, block: str) -> dict[str, str]:
    """Metadata of the directory in which a step writes what it makes of a block."""
    typeName = step.output.typeName if step.output else ""
    return {"Block": block, "Type": typeName, "Chain": chain.production, "Step": step.name}


def outputName(step: ChainStep, inputs: Sequence[TaskInput], taskID: int, attemptID: int) -> str:
    """Name of the file that one attempt writes, and no other one ever.

    :raises JobFailure: if the step writes nothing
    """
    if step.output is None:
        raise JobFailure(JobError.BAD_TASK, f"step {step.name} is of kind {step.kind} and runs no jobs")
    values = {
        "Type": step.output.typeName,
        "Run": inputs[0].firstRun,
        "Stream": inputs[0].stream,
        "Sequence": f"{inputs[0].firstSequence:06d}",
        "Step": step.name,
        "Task": f"{taskID:08d}",
        "Attempt": attemptID,
    }
    return step.output.nameRule.format_map(values)


def outputGUID(lfn: str) -> str:
    """A UUID that depends on the LFN alone, as that of announced files does."""
    directory, _, name = lfn.rpartition("/")
    return RawFile("", directory, name, "").guid


def checkedLFN(directory: str, name: str) -> str:
    """The LFN of an output.

    :raises JobFailure: if DIRAC cannot hold it
    """
    lfn = f"{directory}/{name}"
    if len(lfn) > MAX_LFN_CHARS or len(name) > MAX_NAME_CHARS:
        limits = f"{MAX_LFN_CHARS} characters, {MAX_NAME_CHARS} of them for the name"
        raise JobFailure(
            JobError.BAD_TASK, f"{lfn} is longer than DIRAC can hold ({limits}); shorten the rules of the step's output"
        )
    return lfn
