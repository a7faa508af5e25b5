"""The ports in memory, with the semantics that Ports.py promises, and a way to die at any step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.FileState import FileState, checkTransition
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.IngestBatch import IngestBatch
from JUNODIRAC.Core.Logic.Ports import BulkResult, CatalogueFile, LedgerEntry, Message, QuarantinedMessage

RAW_OPTIONS = {
    "Topic": "juno.raw",
    "SourceSE": "IHEP-JUNOEOS",
    "Destinations": "CNAF-STORM, IN2P3-DCACHE, JINR-EOS",
    "Campaign": "Commissioning",
    "EOSRoot": "/eos",
    "NamePattern": "Daq.{RunNumber:d}.{StreamType}.{StreamName}.{FileTag}.{FileTime:d}.{FileSequence:d}.dat",
    "DirectoryPattern": "/juno/raw/{Year:4}/{MonthDay:4}",
    "BlockRule": "{Year}{MonthDay}",
}


def raw_policy(**options: str) -> TypePolicy:
    return TypePolicy.fromOptions("Raw", {**RAW_OPTIONS, **options})


def raw_name(sequence: int) -> str:
    return f"Daq.1207.Physics.global.ds-1.20230302101530.{sequence}.dat"


def announcement(sequence: int = 1, day: str = "0302", **fields: object) -> dict[str, object]:
    """A good announcement; a field given as None is left out."""
    content = {
        "FileName": raw_name(sequence),
        "FilePath": f"/eos/juno/raw/2023/{day}/",
        "Checksum": f"{sequence:08x}",
        "FileSize": 1000 + sequence,
        **fields,
    }
    return {name: value for name, value in content.items() if value is not None}


def messages_of(contents: Iterable[object], start: int = 0) -> list[Message]:
    """Messages of one partition; what is not bytes is written as JSON."""
    return [
        Message("juno.raw", 0, start + offset, content if isinstance(content, bytes) else json.dumps(content).encode())
        for offset, content in enumerate(contents)
    ]


class Killed(Exception):
    """The process died here."""


@dataclass
class Steps:
    """Counts the points at which a run can die, and kills it at one of them."""

    kill_at: int | None = None
    error: type[Exception] = Killed
    count: int = 0
    calls: list[str] = field(default_factory=list)

    def point(self) -> None:
        self.count += 1
        if self.count == self.kill_at:
            raise self.error("fake", "killed") if self.error is not Killed else Killed()

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """Death before the call has an effect, or after it and before the caller hears of it."""
        self.calls.append(name)
        self.point()
        yield
        self.point()


class FakeLedger:
    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.rows: dict[str, LedgerEntry] = {}
        self.quarantine: dict[tuple[str, int, int], QuarantinedMessage] = {}
        self.blocks: dict[tuple[str, str], Block] = {}

    def findFiles(self, files: Sequence[RawFile]) -> dict[str, LedgerEntry]:
        with self.steps.call("findFiles"):
            return {file.lfn: self.rows[file.lfn] for file in files if file.lfn in self.rows}

    def recordAnnounced(self, entries: Sequence[LedgerEntry]) -> None:
        with self.steps.call("recordAnnounced"):
            for entry in entries:
                assert entry.state == FileState.ANNOUNCED
                old = self.rows.get(entry.file.lfn)
                if old is None or old.state == FileState.QUARANTINED:
                    self.rows[entry.file.lfn] = entry

    def recordRegistered(self, lfns: Sequence[str]) -> None:
        with self.steps.call("recordRegistered"):
            for lfn in lfns:
                row = self.rows[lfn]
                if row.state != FileState.REGISTERED:
                    checkTransition(lfn, row.state, FileState.REGISTERED)
                    self.rows[lfn] = replace(row, state=FileState.REGISTERED)

    def recordQuarantined(self, items: Sequence[QuarantinedMessage]) -> None:
        with self.steps.call("recordQuarantined"):
            for item in items:
                message = item.message
                position = (message.topic, message.partition, message.offset)
                if position in self.quarantine:
                    # its file may be on its way again and be refused again
                    self._demote(item)
                    continue
                self.quarantine[position] = item
                if item.file is not None and item.file.lfn not in self.rows:
                    self.rows[item.file.lfn] = LedgerEntry(
                        item.file, FileState.QUARANTINED, item.checksum, item.sizeBytes, None, *position
                    )
                self._demote(item)

    def _demote(self, item: QuarantinedMessage) -> None:
        row = self.rows.get(item.file.lfn) if item.file is not None else None
        if row is not None and row.state != FileState.REGISTERED and item.reason != Reason.CONFLICT:
            message = item.message
            self.rows[row.file.lfn] = replace(
                row,
                state=FileState.QUARANTINED,
                topic=message.topic,
                partition=message.partition,
                offset=message.offset,
            )

    def recordSizes(self, sizesBytes: Mapping[str, int]) -> None:
        with self.steps.call("recordSizes"):
            for lfn, size in sizesBytes.items():
                if lfn in self.rows and self.rows[lfn].sizeBytes is None:
                    self.rows[lfn] = replace(self.rows[lfn], sizeBytes=size)

    def findBlock(self, typeName: str, name: str) -> Block | None:
        with self.steps.call("findBlock"):
            return self.blocks.get((typeName, name))

    def recordBlock(self, block: Block) -> None:
        with self.steps.call("recordBlock"):
            old = self.blocks.get((block.typeName, block.name))
            transfers = {**(old.transfers if old else {}), **block.transfers}
            self.blocks[block.typeName, block.name] = replace(block, transfers=transfers)


class FakeCatalogue:
    """``refused``: (LFN, checksum) that it never takes. An LFN with other content is refused too."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.metadata: dict[str, dict[str, str]] = {}
        self.files: dict[str, CatalogueFile] = {}
        self.refused: set[tuple[str, str]] = set()
        self.silent: set[str] = set()

    def openBlock(self, block: Block) -> None:
        with self.steps.call("openBlock"):
            assert self.metadata.get(block.directory, block.metadata) == block.metadata
            self.metadata[block.directory] = block.metadata

    def registerFiles(self, files: Sequence[CatalogueFile], sourceSE: str) -> BulkResult:
        assert files
        with self.steps.call("registerFiles"):
            successful, failed = [], {}
            for index, file in enumerate(files):
                if index == len(files) // 2:
                    self.steps.point()  # a bulk call that was done by half
                assert any(file.lfn.startswith(f"{directory}/") for directory in self.metadata)
                if file.lfn in self.silent:
                    continue
                if (file.lfn, file.checksum) in self.refused or self.files.get(file.lfn, file) != file:
                    failed[file.lfn] = "no"
                else:
                    self.files[file.lfn] = file
                    successful.append(file.lfn)
            return BulkResult(tuple(successful), failed)


class FakeTransformations:
    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.names: list[str] = []
        self.files: dict[int, list[str]] = {}

    def openTransfer(self, block: Block, targetSE: str, name: str) -> int:
        with self.steps.call("openTransfer"):
            if name not in self.names:
                self.names.append(name)
                self.files[self.names.index(name)] = []
            return self.names.index(name)

    def attachFiles(self, transformationID: int, lfns: Sequence[str]) -> None:
        assert lfns
        with self.steps.call("attachFiles"):
            for index, lfn in enumerate(lfns):
                if index == len(lfns) // 2:
                    self.steps.point()
                if lfn not in self.files[transformationID]:
                    self.files[transformationID].append(lfn)


class FakeStorage:
    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.sizes: dict[str, int] = {}

    def fileSizes(self, lfns: Sequence[str]) -> dict[str, int | None]:
        assert lfns
        with self.steps.call("fileSizes"):
            return {lfn: self.sizes.get(lfn) for lfn in lfns}


class World:
    """Everything outside, which outlives the receiver."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.ledger = FakeLedger(self.steps)
        self.catalogue = FakeCatalogue(self.steps)
        self.transformations = FakeTransformations(self.steps)
        self.storage = FakeStorage(self.steps)

    def receiver(self, policy: TypePolicy | None = None) -> IngestBatch:
        return IngestBatch(policy or raw_policy(), self.ledger, self.catalogue, self.transformations, self.storage)

    def snapshot(self) -> dict[str, object]:
        """What a person would call the state: a quarantined row is one, whichever of its bad announcements made it."""
        return {
            "rows": {
                lfn: row if row.state == FileState.REGISTERED else replace(row, checksum="", sizeBytes=None, eventCount=None,
                                                                           offset=0, extra={})
                for lfn, row in self.ledger.rows.items()
            },
            "quarantine": {
                position: (item.message.payload, item.reason, item.fileName) for position, item in self.ledger.quarantine.items()
            },
            "blocks": dict(self.ledger.blocks),
            "metadata": dict(self.catalogue.metadata),
            "catalogue": dict(self.catalogue.files),
            "transfers": {
                name: sorted(self.transformations.files[index]) for index, name in enumerate(self.transformations.names)
            },
        }  # fmt: skip
