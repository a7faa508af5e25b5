"""What a chain does: its steps in order, as plain values that were checked before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: 1 GB, decimal as storages count
DEFAULT_MERGE_BYTES = 1_000_000_000


class StepKind(StrEnum):
    """What a step does with its input."""

    #: a program makes one output of the inputs of a task
    PROCESS = "process"
    #: outputs of one stream of a block are put together, in run and sequence order
    MERGE = "merge"
    #: files are copied to storage elements
    REPLICATE = "replicate"


class Retirement(StrEnum):
    """What becomes of the inputs of a merge, once the merged file is registered."""

    KEEP = "keep"
    REMOVE = "remove"


class Gate(StrEnum):
    """What must hold before files go into a step."""

    #: the file's block is Validated or Done at the site (files wait)
    BLOCK_VALIDATED = "block-validated"
    #: the file's run was flagged good with dirac-juno-run (files wait)
    RUN_GOOD = "run-good"
    #: these three answer (the whole step waits)
    CATALOGUE = "catalogue-up"
    CONDITIONS = "conditions-up"
    STORAGE = "storage-up"


#: gates that keep a whole step back, not single files
SERVICE_GATES = frozenset({Gate.CATALOGUE, Gate.CONDITIONS, Gate.STORAGE})


@dataclass(frozen=True)
class RunRange:
    """Runs from ``first`` to ``last``, both included."""

    first: int
    last: int

    def __contains__(self, run: object) -> bool:
        return isinstance(run, int) and self.first <= run <= self.last


@dataclass(frozen=True)
class StepInput:
    """Which files go into a step. Empty tuples: no condition.

    :param typeName: a Type of the ledger, or the output Type of an earlier step
    :param streams: as StreamType.StreamName, or StreamType alone
    :param qualities: of runs, as flagged with dirac-juno-run
    """

    typeName: str
    streams: tuple[str, ...] = ()
    runs: tuple[RunRange, ...] = ()
    qualities: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepOutput:
    """What a step of kind process or merge writes.

    :param typeName: Type of the output files
    :param directoryRule: of {Chain}, {Version}, {OutputVersion}, {Step}, {Type}, {Block}; {Block} must stand in it
    :param nameRule: of {Type}, {Run}, {Stream}, {Sequence}, {Step}, {Task}, {Attempt}; {Task} and {Attempt} must stand in it
    :param failover: storage elements that take the output if the site's own does not
    """

    typeName: str
    directoryRule: str
    nameRule: str
    failover: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChainStep:
    """One step.

    :param number: from 1
    :param executable: a program of the PATH of the job, or a path (process, merge)
    :param arguments: added to what the contract of programs says, see docs/chains.rst
    :param cpuSeconds: of one job, all cores together, normalised as DIRAC does
    :param memoryMB: of one job, in units of 10^6 bytes (process, merge)
    :param groupFiles: inputs of one task at most
    :param groupBytes: bytes of one task's inputs: at most for process, the target for merge; None: no limit
    :param maxWaitSeconds: after which a group goes out that is not full (process)
    :param sites: DIRAC sites that may run the jobs (process, merge)
    :param destinations: storage elements (replicate)
    :param priority: 1 to 10 for jobs, 1 to 5 for copies
    """

    number: int
    name: str
    kind: StepKind
    input: StepInput
    output: StepOutput | None = None
    executable: str = ""
    arguments: tuple[str, ...] = ()
    cores: int = 1
    cpuSeconds: int = 86400
    memoryMB: int = 4000
    groupFiles: int = 1
    groupBytes: int | None = None
    maxWaitSeconds: int = 60
    sites: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    priority: int = 1
    gates: frozenset[Gate] = frozenset()
    retirement: Retirement = Retirement.KEEP


@dataclass(frozen=True)
class ChainDescription:
    """A chain as a file of ``etc/chains`` describes it."""

    name: str
    version: str
    text: str
    steps: tuple[ChainStep, ...]
    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def inputType(self) -> str:
        """The Type of the ledger that the chain starts from: the input of its first step."""
        return self.steps[0].input.typeName

    def source(self, step: ChainStep) -> ChainStep | None:
        """The step whose output this one takes; None if it takes files of the ledger."""
        makers = [each for each in self.steps[: step.number - 1] if each.output and each.output.typeName == step.input.typeName]
        return makers[-1] if makers else None

    def takers(self, step: ChainStep) -> list[ChainStep]:
        """The steps that take this one's output."""
        return [each for each in self.steps if self.source(each) is step]


def productionName(chain: str, version: str, outputVersion: int) -> str:
    """Name of a chain's production, for example ``rerec-J24.1-v1``."""
    return f"{chain}-{version}-v{outputVersion}"


def transformationName(production: str, step: str, destination: str = "") -> str:
    """Name of a step's transformation, for example ``rerec-J24.1-v1-replicate-JINR-EOS``."""
    return "-".join(part for part in (production, step, destination) if part)
