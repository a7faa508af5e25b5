"""How far each block is at each site: ledger, catalogue and transformations side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock

PROCESSED = "Processed"
_PROVED = (BlockState.REPLICATED, BlockState.VALIDATED, BlockState.DONE)
# A file in one of these states has no end yet. Waived and dropped ones have: a person decided that the block goes without them.
UNSETTLED = (FileState.ANNOUNCED, FileState.WAITING, FileState.QUARANTINED)


@dataclass(frozen=True)
class WaivedFile:
    """A file without which a person declared its block complete, and the reason for which it was refused.

    :param closedBy: the user
    :param why: what the user said
    """

    lfn: str
    sizeBytes: int | None
    code: str
    detail: str
    closedBy: str
    why: str
    closedTime: datetime | None

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "FileName": self.lfn.rpartition("/")[2],
            "LFN": self.lfn,
            "SizeBytes": self.sizeBytes,
            "Code": self.code,
            "Detail": self.detail,
            "ClosedBy": self.closedBy,
            "ClosedTime": self.closedTime.isoformat(timespec="milliseconds") if self.closedTime else None,
            "Why": self.why,
        }


@dataclass(frozen=True)
class LedgerBlock:
    """What the ledger says of a block: its transfers (transformation id by SE), files and bytes by state, waived files.

    :param directory: empty for a follow-up block, which has files in the directory of its parent
    :param ownLateFiles: the registered files of a follow-up block, size in bytes by LFN
    :param othersFiles: the same of files in this block's directory that belong to its follow-up blocks
    :param life: its states and those of its sites, if it was opened
    """

    typeName: str
    name: str
    directory: str
    state: str
    openedTime: datetime | None
    fileCounts: Mapping[FileState, int] = field(default_factory=dict)
    sizeBytes: Mapping[FileState, int] = field(default_factory=dict)
    transfers: Mapping[str, int] = field(default_factory=dict)
    waivedFiles: Sequence[WaivedFile] = ()
    ownLateFiles: Mapping[str, int] = field(default_factory=dict)
    othersFiles: Mapping[str, int] = field(default_factory=dict)
    life: LivingBlock | None = None

    @property
    def place(self) -> str:
        """What the block is called where blocks are told apart by their directories."""
        return self.directory or f"{self.typeName} {self.name}"


@dataclass(frozen=True)
class Usage:
    """Files and bytes in one place."""

    files: int
    sizeBytes: int

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.files - other.files, self.sizeBytes - other.sizeBytes)


@dataclass(frozen=True)
class DirectoryUsage:
    """What the catalogue has below a directory: files, and replicas by SE."""

    logical: Usage
    replicas: Mapping[str, Usage] = field(default_factory=dict)

    def __sub__(self, other: DirectoryUsage) -> DirectoryUsage:
        none = Usage(0, 0)
        return DirectoryUsage(
            self.logical - other.logical,
            {se: usage - other.replicas.get(se, none) for se, usage in self.replicas.items()},
        )


def usageOf(sizesBytes: Mapping[str, int], replicas: Mapping[str, Collection[str]]) -> DirectoryUsage:
    """What the catalogue has of single files.

    :param sizesBytes: by LFN
    :param replicas: SEs by LFN, of those files that the catalogue has
    """
    bySE: dict[str, list[int]] = defaultdict(list)
    known = [sizeBytes for lfn, sizeBytes in sizesBytes.items() if lfn in replicas]
    for lfn, sizeBytes in sizesBytes.items():
        for se in replicas.get(lfn, ()):
            bySE[se].append(sizeBytes)
    return DirectoryUsage(Usage(len(known), sum(known)), {se: Usage(len(each), sum(each)) for se, each in bySE.items()})


@dataclass(frozen=True)
class TransferState:
    """A transformation: its status and the number of its files by their status."""

    status: str
    fileCounts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SiteStatus:
    """A block at one destination. None stands for what could not be asked.

    :param isProved: its state says that all was copied once: its transformation may have been archived, without its files
    """

    se: str
    transformationID: int
    files: int
    done: int | None
    doneBytes: int | None
    transfer: TransferState | None
    isProved: bool = False

    @property
    def percent(self) -> float | None:
        """Share of the registered files that have a replica here, rounded down to a tenth: 100.0 means all."""
        if self.done is None:
            return None
        return 1000 * self.done // self.files / 10 if self.files else 0.0

    @property
    def complete(self) -> bool:
        """All registered files have a replica here and the transformation has finished with all of them."""
        if not self.files or self.done != self.files or self.transfer is None:
            return False
        counts = self.transfer.fileCounts
        attached = sum(counts.values())
        return counts.get(PROCESSED, 0) == attached and (self.isProved or attached >= self.files)

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "SE": self.se,
            "TransformationID": self.transformationID,
            "TransformationStatus": self.transfer.status if self.transfer else None,
            "TransformationFiles": dict(self.transfer.fileCounts) if self.transfer else None,
            "Files": self.files,
            "Done": self.done,
            "DoneBytes": self.doneBytes,
            "Percent": self.percent,
            "Complete": self.complete,
        }


@dataclass(frozen=True)
class BlockStatus:
    """A block with its sites. ``catalogued`` is None when the catalogue could not be asked."""

    block: LedgerBlock
    catalogued: Usage | None
    sites: tuple[SiteStatus, ...]

    @property
    def complete(self) -> bool:
        """Every destination is complete, and every file that was ever announced is registered or was given up by a person."""
        unsettled = sum(self.block.fileCounts.get(state, 0) for state in UNSETTLED)
        return bool(self.sites) and not unsettled and all(site.complete for site in self.sites)

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        block = self.block
        return {
            "Block": block.name,
            "Type": block.typeName,
            "Directory": block.directory,
            "State": block.state,
            "OpenedTime": block.openedTime.isoformat(timespec="milliseconds") if block.openedTime else None,
            "Files": block.fileCounts.get(FileState.REGISTERED, 0),
            "Bytes": block.sizeBytes.get(FileState.REGISTERED, 0),
            **{state.value: block.fileCounts.get(state, 0) for state in FileState if state is not FileState.REGISTERED},
            "WaivedFiles": [file.toDict() for file in block.waivedFiles],
            "Catalogued": self.catalogued.files if self.catalogued else None,
            "CataloguedBytes": self.catalogued.sizeBytes if self.catalogued else None,
            "Complete": self.complete,
            "Sites": [site.toDict() for site in self.sites],
        }


def assembleBlockStatus(
    blocks: Iterable[LedgerBlock],
    usages: Mapping[str, DirectoryUsage] | None,
    transfers: Mapping[int, TransferState] | None,
) -> list[BlockStatus]:
    """Put the three sides together.

    :param usages: the catalogue's answer by :attr:`LedgerBlock.place`; one that it does not have is empty. None: not available
    :param transfers: the transformations by id. None: not available
    """
    result = []
    for block in blocks:
        files = block.fileCounts.get(FileState.REGISTERED, 0)
        usage = None if usages is None else usages.get(block.place, DirectoryUsage(Usage(0, 0)))
        proved = {site.se for site in block.life.sites if site.state in _PROVED} if block.life else set()
        sites = []
        for se, transformationID in sorted(block.transfers.items()):
            replicas = usage.replicas.get(se, Usage(0, 0)) if usage else None
            sites.append(
                SiteStatus(
                    se=se,
                    transformationID=transformationID,
                    files=files,
                    done=replicas.files if replicas else None,
                    doneBytes=replicas.sizeBytes if replicas else None,
                    transfer=None if transfers is None else transfers.get(transformationID, TransferState("Deleted")),
                    isProved=se in proved,
                )
            )
        result.append(BlockStatus(block, usage.logical if usage else None, tuple(sites)))
    return result
