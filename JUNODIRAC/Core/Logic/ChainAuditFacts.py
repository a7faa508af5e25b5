"""What the audit of a block in a chain compares: what the ledger, the Transformation System, the catalogue and storages say.

No witness is believed alone. None stands for one that did not tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from JUNODIRAC.Core.Domain.ChainDescription import StepKind
from JUNODIRAC.Core.Logic.Ports import StoredFile

#: run and sequence number, the order of files in a stream
Place = tuple[int, int]

COMMITTED, REGISTERED, RETIRED = "Committed", "Registered", "Retired"
GIVEN_UP, WAIVED = "GivenUp", "Waived"


@dataclass(frozen=True)
class AuditedRecovery:
    """What the recovery has written down of an input, or of a copy."""

    state: str
    attempts: int = 0
    error: str = ""
    detail: str = ""


@dataclass(frozen=True)
class AuditedInput:
    """A file that a step wants.

    :param parentID: FileID of the ledger, or ProductID
    :param events: announced, or of the product; None: nobody announced it
    :param stream: as StreamType.StreamName
    :param first: place of its first input; of a file of the ledger its own
    :param isAttached: the ledger says that it was given to the step
    """

    parentID: int
    lfn: str
    events: int | None
    stream: str
    first: Place
    last: Place
    isAttached: bool = True


@dataclass(frozen=True)
class AuditedProduct:
    """An output that counts, as the ledger has it.

    :param se: where it was written
    :param isGone: the retirement says that it has removed it
    """

    productID: int
    lfn: str
    se: str
    sizeBytes: int
    checksum: str
    events: int
    stream: str
    first: Place
    last: Place
    state: str = REGISTERED
    isGone: bool = False


@dataclass(frozen=True)
class AuditedDerivation:
    """One input of one output, as the ledger has it.

    :param events: read of this input
    """

    parentID: int
    productID: int
    position: int
    events: int


@dataclass(frozen=True)
class AuditedStep:
    """One step for one block.

    :param inputs: all that the step wants of the block, whether it has them or not
    :param products: its outputs (process, merge)
    :param destinations: of kind replicate
    :param recoveries: by parent and SE, which is empty but for copies
    :param statuses: of the inputs in the transformation, by SE (empty but for replicate) and LFN; None: it did not tell
    """

    number: int
    name: str
    kind: StepKind
    inputs: Sequence[AuditedInput] = ()
    products: Sequence[AuditedProduct] = ()
    derivations: Sequence[AuditedDerivation] = ()
    destinations: Sequence[str] = ()
    recoveries: Mapping[tuple[int, str], AuditedRecovery] = field(default_factory=dict)
    statuses: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)


@dataclass(frozen=True)
class CatalogueEntry:
    """A file as the catalogue has it.

    :param failure: why it did not tell; empty if it did
    """

    sizeBytes: int
    checksum: str
    replicas: frozenset[str]
    failure: str = ""


@dataclass(frozen=True)
class SiteWitness:
    """What one storage says.

    :param files: of the files that were asked for
    :param listed: names of all files in the chain's directories for the block; None: it could not be asked
    :param failure: why it did not tell of the others
    """

    files: Mapping[str, StoredFile] = field(default_factory=dict)
    listed: frozenset[str] | None = frozenset()
    failure: str = ""


@dataclass(frozen=True)
class AuditedBlock:
    """All that is known of a block in a chain.

    :param catalogue: entries of the products, and of everything else in the chain's directories for the block
    :param ancestors: of the products that the catalogue has: depth by LFN of the ancestor
    :param underWay: files that jobs may be writing, or that the recovery is still looking for
    """

    chainID: int
    blockID: int
    production: str
    typeName: str
    block: str
    steps: Sequence[AuditedStep]
    catalogue: Mapping[str, CatalogueEntry] | None
    ancestors: Mapping[str, Mapping[str, int]] | None
    storages: Mapping[str, SiteWitness]
    underWay: frozenset[str] = frozenset()
    failures: Sequence[str] = ()
