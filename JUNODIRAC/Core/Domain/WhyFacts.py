"""What has to be known of a file or block, to say why it is where it is. All times are UTC.

None stands for what is not known, or is not there, as each says. ``unavailable`` has what a service said that did not
answer, by the name of the service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.FileHistory import CatalogueRecord, LedgerFile, QuarantineRecord
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LedgerRecords import ReceiverRecord
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.Core.Domain.RepairRecords import Pause, RepairRecord
from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Domain.Validation import Difference, Validation

#: the names of those who may not answer, as :class:`Ports.TemporaryFailure` has them
CATALOGUE = "DataManagement/FileCatalog"
TRANSFORMATIONS = "Transformation/TransformationManager"
REQUESTS = "RequestManagement/ReqManager"
FTS3 = "DataManagement/FTS3Manager"
KAFKA = "Kafka"


def storageName(se: str) -> str:
    """How a storage element is called among those who may not answer."""
    return f"storage {se}"


@dataclass(frozen=True)
class SourceCopy:
    """What lies on the source storage.

    :param isThere: None: it did not answer
    """

    isThere: bool | None
    sizeBytes: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class WaitingFacts:
    """A file that its storage does not show yet."""

    reason: str
    detail: str
    since: datetime
    nextTime: datetime
    attempts: int


@dataclass(frozen=True)
class OriginFacts:
    """A file from its announcement to the catalogue.

    :param file: the ledger's row
    :param refused: refused announcements of this file name of which no LFN could be made
    :param policy: of the file's Type, or of the Type that it would have; None: its configuration cannot be used
    :param block: its block, or the block that it would have
    :param source: asked only for files that the ledger does not know
    :param lag: messages of the Type's topic that the receiver has not finished
    :param record: the catalogue's entry
    """

    lfn: str
    file: LedgerFile | None = None
    refused: Sequence[QuarantineRecord] = ()
    policy: TypePolicy | None = None
    typeName: str = ""
    block: str = ""
    waiting: WaitingFacts | None = None
    source: SourceCopy | None = None
    lag: int | None = None
    receivers: Sequence[ReceiverRecord] = ()
    record: CatalogueRecord | None = None
    unavailable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SiteFacts:
    """A file and one of its destinations.

    :param site: the block there; None: the block has no transfer to it
    :param transformationStatus: None: it could not be asked
    :param transfer: None: it could not be asked
    :param validation: the newest of the block there
    """

    se: str
    typeName: str
    block: str
    lfn: str = ""
    registeredTime: datetime | None = None
    policy: TypePolicy | None = None
    site: LivingSite | None = None
    blockState: BlockState | None = None
    transformationStatus: str | None = None
    transfer: TransferFacts | None = None
    pause: Pause | None = None
    repair: RepairRecord | None = None
    validation: Validation | None = None
    unavailable: Mapping[str, str] = field(default_factory=dict)

    @property
    def named(self) -> tuple[Difference, ...]:
        """As what the newest validation names the file, if it is not good."""
        names = self.validation.names if self.validation else {}
        return tuple(kind for kind, lfns in names.items() if self.lfn in lfns)

    @property
    def hasArrived(self) -> bool:
        """A replica is registered there, and the storage does not contradict."""
        return (
            self.transfer is not None
            and self.transfer.hasReplica is True
            and self.transfer.copy in (CopyState.GOOD, CopyState.UNKNOWN)
        )


@dataclass(frozen=True)
class GivenUp:
    """Files of a block that were given up at a site, of one error class, with the reason of one of them."""

    errorClass: str
    files: int
    error: str
    since: datetime | None = None


@dataclass(frozen=True)
class BlockSiteFacts:
    """A block at one destination.

    :param done: replicas there now; None: it could not be asked
    :param fileCounts: files of the transformation by status; None: it could not be asked
    :param etaSeconds: None: it cannot be told
    :param overdueSince: when it should have got further by what its Type allows
    :param files: unfinished files that were looked at, each with what its own chain needs
    :param unfinished: how many there are
    """

    se: str
    site: LivingSite | None = None
    done: int | None = None
    transformationStatus: str | None = None
    fileCounts: Mapping[str, int] | None = None
    etaSeconds: float | None = None
    overdueSince: datetime | None = None
    pause: Pause | None = None
    givenUp: Sequence[GivenUp] = ()
    validation: Validation | None = None
    files: Sequence[SiteFacts] = ()
    unfinished: int | None = None
    unavailable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RefusedFiles:
    """Open records of the quarantine of a block with one reason, and the newest of them."""

    reason: str
    files: int
    newest: QuarantineRecord


@dataclass(frozen=True)
class BlockFacts:
    """A block.

    :param block: None: it was never opened
    :param day: the day that its files belong to; None: its Type does not say
    :param lastAnnounced: when the last announcement of one of its files came
    :param oldestUnsettled: when the oldest file was announced that is Announced or Waiting
    """

    typeName: str
    name: str
    state: BlockState
    block: LivingBlock | None = None
    policy: TypePolicy | None = None
    fileCounts: Mapping[FileState, int] = field(default_factory=dict)
    refused: Sequence[RefusedFiles] = ()
    oldestUnsettled: datetime | None = None
    day: date | None = None
    lastAnnounced: datetime | None = None
    receivers: Sequence[ReceiverRecord] = ()
    sites: Sequence[BlockSiteFacts] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)
