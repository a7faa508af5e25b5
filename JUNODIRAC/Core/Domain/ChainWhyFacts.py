"""What has to be known of a block or file in chains, to say why it is where it is. All times are UTC; None: not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from JUNODIRAC.Core.Domain.BlockInChain import BlockInChain

#: the name of the WMS among those who may not answer
JOBS = "WorkloadManagement/JobMonitoring"


@dataclass(frozen=True)
class AuditLine:
    """The last audit of a block in a chain.

    :param sentence: what was found, in words
    """

    verdict: str
    sentence: str
    time: datetime


@dataclass(frozen=True)
class BlockChainFacts:
    """A block in one chain."""

    block: str
    inChain: BlockInChain
    audit: AuditLine | None = None


@dataclass(frozen=True)
class ChainProductFacts:
    """An output that counts, and the job that made it."""

    productID: int
    lfn: str
    stepNumber: int
    state: str
    se: str
    events: int
    committedTime: datetime
    registeredTime: datetime | None = None
    jobID: int = 0
    site: str = ""


@dataclass(frozen=True)
class ChainAttemptFacts:
    """The last execution of a task, and how many there were."""

    state: str
    jobID: int
    site: str
    lastTime: datetime
    error: str = ""
    detail: str = ""
    count: int = 1


@dataclass(frozen=True)
class ChainRecoveryFacts:
    """What the recovery wrote down."""

    state: str
    attempts: int
    error: str
    detail: str
    lastTime: datetime
    nextTime: datetime | None = None


@dataclass(frozen=True)
class ChainStepFacts:
    """A file as an input of one step.

    :param se: the destination, of a step of kind replicate
    :param status: in the transformation; empty: it is not there; None: it could not be asked
    :param jobStatus: empty: there is no job, or it could not be asked
    :param hasCopy: of kind replicate: whether the catalogue has a replica there
    """

    number: int
    name: str
    kind: str
    lfn: str
    transformationID: int
    se: str = ""
    held: str = ""
    isAttached: bool = True
    attachedTime: datetime | None = None
    status: str | None = None
    statusTime: datetime | None = None
    taskID: int = 0
    jobStatus: str = ""
    attempt: ChainAttemptFacts | None = None
    recovery: ChainRecoveryFacts | None = None
    product: ChainProductFacts | None = None
    hasCopy: bool | None = None


@dataclass(frozen=True)
class FileChainFacts:
    """A file in one chain, from step to step: what it became of is followed.

    :param made: if the file is itself an output of the chain
    """

    lfn: str
    block: str
    inChain: BlockInChain
    steps: Sequence[ChainStepFacts] = ()
    made: ChainProductFacts | None = None
    unavailable: Mapping[str, str] = field(default_factory=dict)
