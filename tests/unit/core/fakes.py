"""The ports in memory, with the semantics that Ports.py promises, and a way to die at any step."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.FileState import OPEN_TO_ANNOUNCEMENTS, FileState, checkTransition
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.IngestBatch import IngestBatch
from JUNODIRAC.Core.Logic.IngestSummary import IngestSummary
from JUNODIRAC.Core.Logic.Ports import (
    BulkResult,
    CatalogueFile,
    DirectoryTaken,
    Expected,
    IngestCounts,
    LedgerEntry,
    Message,
    QuarantinedMessage,
    StatusMessage,
    StoredFile,
    TemporaryFailure,
    WaitingMessage,
)

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
START = datetime(2023, 3, 2, 12, tzinfo=UTC)
Position = tuple[str, int, int]


def raw_policy(**options: str) -> TypePolicy:
    """Without storage check and grace time, unless they are given."""
    return TypePolicy.fromOptions("Raw", {**RAW_OPTIONS, "StorageCheck": "None", "GraceSeconds": "0", **options})


def raw_name(sequence: int, stream: str = "global") -> str:
    return f"Daq.1207.Physics.{stream}.ds-1.20230302101530.{sequence}.dat"


def lfn_of(sequence: int, day: str = "0302", stream: str = "global") -> str:
    return f"/juno/raw/2023/{day}/{raw_name(sequence, stream)}"


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


def end_of_block(count: object = 3, block: object = "20230302", **fields: object) -> dict[str, object]:
    """An end-of-block announcement."""
    return {"EndOfBlock": block, "FileCount": count, **fields}


def messages_of(contents: Iterable[object], start: int = 0) -> list[Message]:
    """Messages of one partition; what is not bytes is written as JSON."""
    return [
        Message("juno.raw", 0, start + offset, content if isinstance(content, bytes) else json.dumps(content).encode())
        for offset, content in enumerate(contents)
    ]


class Killed(BaseException):
    """The process died here."""


@dataclass
class Steps:
    """Counts the points at which a run can die, and kills it at one of them."""

    kill_at: int | None = None
    error: type[BaseException] = Killed
    count: int = 0
    calls: list[str] = field(default_factory=list)
    # one call at a time has an effect, as in the transactions of what is imitated here
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def point(self) -> None:
        self.count += 1
        if self.count == self.kill_at:
            raise self.error("fake", "killed") if self.error is not Killed else Killed()

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """Death before the call has an effect, or after it and before the caller hears of it."""
        with self.lock:
            self.calls.append(name)
            self.point()
            yield
            self.point()


def key_of(lfn: str) -> str:
    directory, _, name = lfn.rpartition("/")
    return f"{directory}/{name.lower()}"


class Misused(BaseException):
    """A port was called as it must not be. No Exception: the receiver would take it for the fault of a message."""


def demand(condition: object, why: str = "") -> None:
    if not condition:
        raise Misused(why)


class FakeLedger:
    """``quarantine`` has the messages, ``quarantine_states`` what became of them; rows are found whatever their case.

    ``poison``: LFNs whose row it cannot write, by a bug.
    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.rows_by_key: dict[str, LedgerEntry] = {}
        self.quarantine: dict[Position, QuarantinedMessage] = {}
        self.quarantine_states: dict[Position, str] = {}
        self.waiting: dict[Position, WaitingMessage] = {}
        self.blocks: dict[tuple[str, str], Block] = {}
        # parents by follow-up block, oldest first, and who made which block go back to work
        self.parents: dict[tuple[str, str], str] = {}
        self.taken_back: list[tuple[str, str]] = []
        self.expected: dict[tuple[str, str], Expected] = {}
        self.directories: dict[str, tuple[str, str]] = {}
        self.held: list[tuple[str, str]] = []
        self.counts: list[IngestCounts] = []
        self.poison: set[str] = set()

    @property
    def rows(self) -> dict[str, LedgerEntry]:
        return {row.file.lfn: row for row in self.rows_by_key.values()}

    @contextmanager
    def holdBlocks(self, blocks: Sequence[tuple[str, str]]) -> Iterator[None]:
        demand(blocks)
        demand(list(blocks) == sorted(set(blocks)), "two receivers would wait for each other")
        demand(not self.held)
        try:
            with self.steps.call("holdBlocks"):
                self.held = list(blocks)
            yield
        finally:
            self.held = []  # also if the process dies

    def findFiles(self, files: Sequence[RawFile]) -> dict[str, LedgerEntry]:
        with self.steps.call("findFiles"):
            return {file.lfn: self.rows_by_key[key_of(file.lfn)] for file in files if key_of(file.lfn) in self.rows_by_key}

    def findQuarantined(self, positions: Sequence[Position]) -> dict[Position, tuple[Reason, str]]:
        demand(positions)
        with self.steps.call("findQuarantined"):
            found = {position: self.quarantine[position] for position in positions if position in self.quarantine}
            return {position: (item.reason, item.detail) for position, item in found.items()}

    def recordAnnounced(self, entries: Sequence[LedgerEntry]) -> None:
        demand(entries)
        with self.steps.call("recordAnnounced"):
            self._ensure_directories([entry.file for entry in entries])
            for entry in entries:
                demand(entry.state == FileState.ANNOUNCED)
                if entry.followUp:
                    self.parents.setdefault((entry.file.typeName, entry.followUp), entry.file.block)
                old = self.rows_by_key.get(key_of(entry.file.lfn))
                if (old.state if old else None) in OPEN_TO_ANNOUNCEMENTS:
                    self._write(entry)
                    self._close_quarantines(entry.file.lfn)

    def _close_quarantines(self, lfn: str) -> None:
        for position, item in self.quarantine.items():
            isOfFile = item.file is not None and item.file.lfn == lfn
            if isOfFile and item.reason != Reason.CONFLICT and self.quarantine_states[position] == "Open":
                self.quarantine_states[position] = "Retried"

    def recordRegistered(self, lfns: Sequence[str]) -> None:
        with self.steps.call("recordRegistered"):
            for lfn in lfns:
                row = self.rows[lfn]
                if row.state != FileState.REGISTERED:
                    checkTransition(lfn, row.state, FileState.REGISTERED)
                    self._write(replace(row, state=FileState.REGISTERED))

    def recordWaiting(self, items: Sequence[WaitingMessage]) -> None:
        demand(items)
        with self.steps.call("recordWaiting"):
            self._ensure_directories([item.file for item in items])
            for item in items:
                position = item.message.position
                before = self.waiting.get(position)
                self.waiting[position] = replace(item, since=before.since) if before else item
                old = self.rows_by_key.get(key_of(item.file.lfn))
                if old is None or old.state != FileState.REGISTERED:
                    entry = LedgerEntry(item.file, FileState.WAITING, item.checksum, item.sizeBytes, None, *position)
                    self._write(replace(entry, followUp=old.followUp if old else ""))

    def dueWaiting(self, topic: str, partitions: Sequence[int], now: datetime, limit: int) -> list[WaitingMessage]:
        due = [
            item
            for item in self.waiting.values()
            if (item.message.topic, item.nextTime <= now) == (topic, True) and item.message.partition in partitions
        ]
        return sorted(due, key=lambda item: (item.since, item.message.position))[:limit]

    def endWaiting(self, positions: Sequence[Position]) -> None:
        demand(positions)
        with self.steps.call("endWaiting"):
            for position in positions:
                self.waiting.pop(position, None)

    def recordQuarantined(self, items: Sequence[QuarantinedMessage]) -> None:
        demand(items)
        with self.steps.call("recordQuarantined"):
            for item in items:
                self._refuse_poison(item.file)  # before anything is written: it is a transaction
            for item in items:
                position = item.message.position
                if position not in self.quarantine:
                    self.quarantine[position] = item
                    self.quarantine_states[position] = "Open"
                elif self.quarantine_states[position] == "Retried":
                    self.quarantine_states[position] = "Open"
                if item.file is not None:
                    self._demote(item, item.file)

    def _demote(self, item: QuarantinedMessage, file: RawFile) -> None:
        old = self.rows_by_key.get(key_of(file.lfn))
        entry = LedgerEntry(file, FileState.QUARANTINED, item.checksum, item.sizeBytes, None, *item.message.position)
        if old is None:
            if self.directories.get(file.directory, (file.typeName, file.block)) == (file.typeName, file.block):
                self._ensure_directories([file])
                self._write(entry)
        elif old.state == FileState.WAITING or (old.state == FileState.ANNOUNCED and item.reason != Reason.CONFLICT):
            topic, partition, offset = item.message.position
            self._write(replace(old, state=FileState.QUARANTINED, topic=topic, partition=partition, offset=offset))

    def recordSizes(self, sizesBytes: Mapping[str, int]) -> None:
        with self.steps.call("recordSizes"):
            for lfn, size in sizesBytes.items():
                row = self.rows.get(lfn)
                if row is not None and row.sizeBytes is None:
                    self._write(replace(row, sizeBytes=size))

    def recordCounts(self, typeName: str, counts: IngestCounts) -> None:
        with self.steps.call("recordCounts"):
            self.counts.append(counts)

    def findBlock(self, typeName: str, name: str) -> Block | None:
        with self.steps.call("findBlock"):
            block = self.blocks.get((typeName, name))
            return replace(block, hasFollowUps=(typeName, name) in self._have_follow_ups()) if block else None

    def _have_follow_ups(self) -> set[tuple[str, str]]:
        return {(typeName, parent) for (typeName, _), parent in self.parents.items()}

    def findFollowUp(self, typeName: str, parent: str) -> Block | None:
        with self.steps.call("findFollowUp"):
            names = [key for key, itsParent in self.parents.items() if (key[0], itsParent) == (typeName, parent)]
            if not names:
                return None
            known = self.blocks.get(names[-1])
            return Block(*names[-1], "", state=known.state if known else BlockState.KNOWN, parent=parent)

    def recordBlock(self, block: Block) -> None:
        with self.steps.call("recordBlock"):
            key = (block.typeName, block.name)
            demand(bool(block.parent) != bool(block.directory))
            demand(self.parents.get(key, "") == block.parent)
            old = self.blocks.get(key)
            transfers = {**(old.transfers if old else {}), **block.transfers}
            state = old.state if old else BlockState.OPEN
            self.blocks[key] = Block(*key, block.directory, transfers, state, block.parent)

    def takeBack(self, typeName: str, name: str, reason: str) -> None:
        with self.steps.call("takeBack"):
            block = self.blocks[typeName, name]
            if block.state in (BlockState.REPLICATED, BlockState.VALIDATED, BlockState.DONE):
                self.blocks[typeName, name] = replace(block, state=BlockState.CLOSED)
                self.taken_back.append((name, reason))

    def recordExpected(self, typeName: str, name: str, fileCount: int, position: Position) -> Expected:
        with self.steps.call("recordExpected"):
            demand((typeName, name) in self.held)
            return self.expected.setdefault((typeName, name), Expected(fileCount, position))

    def move_block(self, name: str, state: BlockState, typeName: str = "Raw") -> None:
        """The block agent, or a person, changes the state of a block, if there is one of this name."""
        block = self.blocks.get((typeName, name))
        if block is not None:
            self.blocks[typeName, name] = replace(block, state=state)

    def close(self, lfn: str, state: FileState) -> None:
        """A person waives or drops a file."""
        row = self.rows[lfn]
        checkTransition(lfn, row.state, state)
        self._write(replace(row, state=state))
        for position, item in self.quarantine.items():
            if item.file is not None and item.file.lfn == lfn and self.quarantine_states[position] == "Open":
                self.quarantine_states[position] = str(state)

    def _write(self, entry: LedgerEntry) -> None:
        lfn = entry.file.lfn
        self._refuse_poison(entry.file)
        demand((entry.file.typeName, entry.file.block) in self.held or not self.held, f"{lfn} is written without its lock")
        old = self.rows_by_key.get(key_of(lfn))
        demand(old is None or old.file.lfn == lfn, "two names for one row")
        if old is None or old.state != entry.state:
            checkTransition(lfn, old.state if old else None, entry.state)
        self.rows_by_key[key_of(lfn)] = entry

    def _refuse_poison(self, file: RawFile | None) -> None:
        if file is not None and file.lfn in self.poison:
            raise ValueError(f"cannot write {file.lfn}")

    def _ensure_directories(self, files: Iterable[RawFile]) -> None:
        wanted = {file.directory: (file.typeName, file.block) for file in files}
        taken = {
            name: "/".join(self.directories[name]) for name, block in wanted.items() if self.directories.get(name, block) != block
        }
        if taken:
            raise DirectoryTaken(taken)
        self.directories |= wanted


class FakeCatalogue:
    """``refused``: (LFN, checksum) that it never takes. An LFN with other content is refused too."""

    def __init__(self, steps: Steps, ledger: FakeLedger) -> None:
        self.steps = steps
        self.ledger = ledger
        self.metadata: dict[str, dict[str, str]] = {}
        self.files: dict[str, CatalogueFile] = {}
        self.refused: set[tuple[str, str]] = set()
        self.silent: set[str] = set()
        self.poison: set[str] = set()

    def openBlock(self, block: Block) -> None:
        with self.steps.call("openBlock"):
            demand((block.typeName, block.name) in self.ledger.held)
            demand(not block.parent, "the directory has the metadata of the parent")
            demand(self.metadata.get(block.directory, block.metadata) == block.metadata)
            self.metadata[block.directory] = block.metadata

    def registerFiles(self, files: Sequence[CatalogueFile], sourceSE: str) -> BulkResult:
        demand(files)
        demand(self.ledger.held, "another receiver may register the same file at the same moment")
        with self.steps.call("registerFiles"):
            successful, failed = [], {}
            for index, file in enumerate(files):
                if index == len(files) // 2:
                    self.steps.point()  # a bulk call that was done by half
                demand(any(file.lfn.startswith(f"{directory}/") for directory in self.metadata))
                if file.lfn in self.poison:
                    raise KeyError(file.lfn)
                if file.lfn in self.silent:
                    continue
                if (file.lfn, file.checksum) in self.refused or self.files.get(file.lfn, file) != file:
                    failed[file.lfn] = "no"
                else:
                    self.files[file.lfn] = file
                    successful.append(file.lfn)
            return BulkResult(tuple(successful), failed)


class FakeTransformations:
    """``refused``: LFNs that it never attaches."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.names: list[str] = []
        self.files: dict[int, dict[str, None]] = {}
        self.queries: dict[int, dict[str, str]] = {}
        self.refused: set[str] = set()

    def openTransfer(self, block: Block, targetSE: str, name: str) -> int:
        with self.steps.call("openTransfer"):
            if name not in self.names:
                self.names.append(name)
                self.files[self.names.index(name)] = {}
            number = self.names.index(name)
            self.queries.pop(number, None)
            if block.isWholeDirectory:
                self.queries[number] = block.metadata
            return number

    def forgetQueries(self, transformationIDs: Sequence[int]) -> None:
        demand(transformationIDs)
        with self.steps.call("forgetQueries"):
            for number in transformationIDs:
                self.queries.pop(number, None)

    def pull(self, catalogue: FakeCatalogue) -> None:
        """The stock InputDataAgent attaches what the metadata queries find."""
        for number, query in self.queries.items():
            for directory, metadata in catalogue.metadata.items():
                if metadata == query:
                    self.files[number] |= {lfn: None for lfn in catalogue.files if lfn.startswith(f"{directory}/")}

    def attachFiles(self, transformationIDs: Sequence[int], lfns: Sequence[str]) -> BulkResult:
        demand(lfns)
        demand(transformationIDs)
        with self.steps.call("attachFiles"):
            taken = [lfn for lfn in lfns if lfn not in self.refused]
            for number in transformationIDs:
                for index, lfn in enumerate(taken):
                    if index == len(taken) // 2:
                        self.steps.point()
                    self.files[number][lfn] = None
            return BulkResult(tuple(taken), {lfn: "not attached" for lfn in lfns if lfn in self.refused})


class FakeStorage:
    """``files``: size and checksum by LFN. ``broken``: those for which it has no answer."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.files: dict[str, tuple[int, str]] = {}
        self.broken: set[str] = set()
        self.unasked: set[str] = set()
        self.asked: list[str] = []
        self.checksums_asked: list[str] = []

    def look(self, lfns: Sequence[str], withChecksum: Collection[str] = ()) -> dict[str, StoredFile]:
        demand(lfns)
        demand(set(withChecksum) <= set(lfns))
        with self.steps.call("look"):
            self.asked += lfns
            self.checksums_asked += withChecksum
            return {lfn: self._one(lfn, lfn in withChecksum) for lfn in lfns}

    def _one(self, lfn: str, withChecksum: bool) -> StoredFile:
        if lfn in self.broken:
            return StoredFile(None, failure="I/O error")
        if lfn in self.unasked:
            return StoredFile(None, failure="no time", isAsked=False)
        size, checksum = self.files.get(lfn, (None, ""))
        return StoredFile(size, checksum if withChecksum else "")


class FakeAnnouncer:
    """``said``: all that was said of a message, in order. Dead letters by position, once for each time."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.said: dict[Position, list[StatusMessage]] = {}
        self.dead: dict[Position, list[QuarantinedMessage]] = {}
        self.away = False

    def send(self, statuses: Sequence[StatusMessage], deadLetters: Sequence[QuarantinedMessage]) -> None:
        demand(statuses)
        if self.away:
            raise TemporaryFailure("Kafka", "away")
        with self.steps.call("send"):
            for index, status in enumerate(statuses):
                if index == len(statuses) // 2:
                    self.steps.point()
                self.said.setdefault(status.message.position, []).append(status)
            for item in deadLetters:
                self.dead.setdefault(item.message.position, []).append(item)

    def last(self) -> dict[Position, tuple[str, str, str, str]]:
        """The last word on each message: status, reason, file name, block of the file."""
        return {
            position: (said[-1].status, said[-1].reason or "", said[-1].fileName, said[-1].file.block if said[-1].file else "")
            for position, said in self.said.items()
        }


class World:
    """Everything outside, which outlives the receiver."""

    def __init__(self, policy: TypePolicy | None = None) -> None:
        self.policy = policy or raw_policy()
        self.now = START
        self.steps = Steps()
        self.ledger = FakeLedger(self.steps)
        self.catalogue = FakeCatalogue(self.steps, self.ledger)
        self.transformations = FakeTransformations(self.steps)
        self.storage = FakeStorage(self.steps)
        self.announcer = FakeAnnouncer(self.steps)

    def receiver(self, policy: TypePolicy | None = None) -> IngestBatch:
        return IngestBatch(policy or self.policy, self.ledger, self.catalogue, self.transformations, self.storage, self.announcer)

    def run(self, messages: Sequence[Message], policy: TypePolicy | None = None) -> IngestSummary:
        """A batch in a new process."""
        return self.receiver(policy).run(messages, self.now)

    def retry(self, seconds: float, limit: int = 1000) -> IngestSummary:
        """Later: what is due then is tried again."""
        self.now += timedelta(seconds=seconds)
        return self.receiver().run([], self.now, self.due(limit))

    def check_truth(self, messages: Iterable[Message]) -> None:
        """Each message has one end, the ledger knows it, and the last status message says it.

        Each registered file is in the transfers of its block, and in no others.
        """
        last = self.announcer.last()
        registered = {lfn for lfn, row in self.ledger.rows.items() if row.state == FileState.REGISTERED}
        for message in messages:
            position = message.position
            status = last[position][0] if position in last else ""
            assert status in ("Registered", "Duplicate", "Quarantined", "")
            assert (position in self.ledger.waiting) == (status == "")
            if status == "Quarantined":
                assert position in self.ledger.quarantine
            elif status and self.announcer.said[position][-1].end is not None:
                end = self.announcer.said[position][-1].end
                assert self.ledger.expected["Raw", end.block].fileCount == end.fileCount
            elif status:
                file = self.announcer.said[position][-1].file
                assert file is not None
                assert file.lfn in registered
        assert not [lfn for lfn, row in self.ledger.rows.items() if row.state == FileState.ANNOUNCED], "stuck"
        attached = [set(self.transformations.files[number]) for number in range(len(self.transformations.names))]
        for lfn in registered:
            assert lfn in self.catalogue.files
            row = self.ledger.rows[lfn]
            block = self.ledger.blocks["Raw", row.followUp or row.file.block]
            assert {number for number, files in enumerate(attached) if lfn in files} == set(block.transfers.values())

    def due(self, limit: int = 1000) -> list[WaitingMessage]:
        return self.ledger.dueWaiting("juno.raw", [0], self.now, limit)

    def store(self, *contents: Mapping[str, object]) -> None:
        """Put files on the storage as they are announced."""
        for content in contents:
            lfn = f"{str(content['FilePath']).removeprefix('/eos').rstrip('/')}/{content['FileName']}"
            self.storage.files[lfn] = (int(str(content["FileSize"])), str(content["Checksum"]))

    def snapshot(self) -> dict[str, object]:
        """What a person would call the state: a quarantined row is one, whichever of its bad announcements made it."""
        return {
            "rows": {
                lfn: row if row.state == FileState.REGISTERED else replace(row, checksum="", sizeBytes=None, eventCount=None,
                                                                           offset=0, extra={})
                for lfn, row in self.ledger.rows.items()
            },
            "quarantine": {
                position: (item.message.payload, item.reason, item.fileName)
                for position, item in self.ledger.quarantine.items()
            },
            # equal announcements of a refused file leave one open record or several
            "open": {
                (item.file.lfn, item.reason)
                for position, item in self.ledger.quarantine.items()
                if item.file is not None and self.ledger.quarantine_states[position] == "Open"
            },
            "waiting": {position: (item.reason, item.since) for position, item in self.ledger.waiting.items()},
            "blocks": {
                key: (
                    block.directory,
                    {se: self.transformations.names[number] for se, number in block.transfers.items()},
                    str(block.state),
                    block.parent,
                )
                for key, block in self.ledger.blocks.items()
            },
            "parents": dict(self.ledger.parents),
            "expected": dict(self.ledger.expected),
            "queries": {self.transformations.names[number]: query for number, query in self.transformations.queries.items()},
            "metadata": dict(self.catalogue.metadata),
            "catalogue": dict(self.catalogue.files),
            "transfers": {
                name: sorted(self.transformations.files[index]) for index, name in enumerate(self.transformations.names)
            },
            "said": self.announcer.last(),
            "dead": set(self.announcer.dead),
        }  # fmt: skip
