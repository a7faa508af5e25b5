"""The files of a benchmark: a Type and a topic of its own, days that no block has yet, announcements, files on the storage."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from uuid import uuid4

from junotestbed.demo import block_status
from junotestbed.infrastructure import make_topics
from junotestbed.settings import Settings
from junotestbed.traffic import SOURCE, announce

from bench.report import say

TYPE_NAME = "Bench"
DESTINATIONS = ("CNAF-STORM", "IN2P3-DCACHE", "JINR-EOS")
_FIRST_DAY = date(2040, 1, 1)
_RUN_NUMBER = 12345
# as long as the files on the storage are: they are sparse, so that they cost neither time nor space
SIZE_BYTES = 450_000_000


@dataclass(frozen=True)
class BenchFile:
    """One file that is announced."""

    block: str
    fileName: str

    @property
    def directory(self) -> str:
        return f"/juno/bench/{self.block[:4]}/{self.block[4:]}"

    @property
    def lfn(self) -> str:
        return f"{self.directory}/{self.fileName}"

    @property
    def checksum(self) -> str:
        # of the name, because nobody asks for that of the content
        return f"{zlib.adler32(self.fileName.encode()):08x}"

    def announcement(self) -> dict[str, object]:
        return {
            "FileName": self.fileName,
            "FilePath": SOURCE.path + self.lfn,
            "Checksum": self.checksum,
            "FileSize": SIZE_BYTES,
        }


def typeOptions(topic: str, withStorageCheck: bool) -> dict[str, str]:
    """The Type's section in the configuration, like that of RTRaw."""
    return {
        "Topic": topic,
        "SourceSE": SOURCE.se,
        "Destinations": ", ".join(DESTINATIONS),
        "Campaign": "Bench",
        "EOSRoot": "/eos",
        "NamePattern": "RTRaw.{RunNumber:d}.{StreamType}.{StreamName}.{FileTag}.{FileTime:d}.{FileSequence:d}.rtraw",
        "DirectoryPattern": "/juno/bench/{Year:4}/{MonthDay:4}",
        "BlockRule": "{Year}{MonthDay}",
        "TransformationRule": "{Type}-{Block}-{SE}",
        "StorageCheck": "Size" if withStorageCheck else "None",
        "ChecksumCheck": "Trust",
        # the blocks of the benchmark say no day that could be swept
        "SweepSeconds": "0",
    }


def freshDays(settings: Settings, count: int) -> list[str]:
    """Days after all those that the ledger has, YYYYMMDD."""
    known = [block["Block"] for block in block_status(settings) if block["Type"] == TYPE_NAME]
    first = _FIRST_DAY
    if known:
        last = max(known)
        first = date(int(last[:4]), int(last[4:6]), int(last[6:8])) + timedelta(days=1)
    return [(first + timedelta(days=number)).strftime("%Y%m%d") for number in range(count)]


def makeFiles(days: Sequence[str], count: int) -> list[BenchFile]:
    """Names of files, block after block, as a backlog of days comes."""
    share = -(-count // len(days))
    return [BenchFile(days[number // share], fileName(days[number // share], number % share)) for number in range(count)]


def fileName(day: str, sequence: int) -> str:
    return f"RTRaw.{_RUN_NUMBER}.PHYSICS.GLOBAL_TRIGGER.BENCH.{day}120000.{sequence:06d}.rtraw"


def storeFiles(settings: Settings, files: Sequence[BenchFile]) -> None:
    """Put the files on the source storage, directly into the folder of its server, without content."""
    folder = settings.storage / SOURCE.se / "data"
    made: set[Path] = set()
    for file in files:
        path = folder / f"{SOURCE.path}{file.lfn}".lstrip("/")
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
        os.ftruncate(descriptor, SIZE_BYTES)
        os.close(descriptor)
    say(f"{len(files)} files on {SOURCE.se}")


def makeTopics(settings: Settings) -> str:
    """A topic that nobody else uses, with those of its status messages and dead letters."""
    topic = f"juno.bench.{uuid4().hex[:8]}"
    make_topics(settings, [topic, f"{topic}.status", f"{topic}.dead"])
    return topic


def announceAll(settings: Settings, topic: str, files: Sequence[BenchFile]) -> None:
    """Put all announcements into Kafka before anybody reads them."""
    # Kafka's client holds 100,000 messages at most
    for part in _batched(_keyed(files), 20_000):
        announce(settings, topic, part)
    say(f"{len(files)} announcements in {topic}")


def _batched(items: Iterator[tuple[str, bytes]], size: int) -> Iterator[list[tuple[str, bytes]]]:
    while part := list(islice(items, size)):
        yield part


def _keyed(files: Sequence[BenchFile]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        yield file.block, json.dumps(file.announcement()).encode()


@contextmanager
def committed(settings: Settings, topic: str) -> Iterator[Callable[[], int]]:
    """A function that says how many announcements the receiver has committed."""
    from confluent_kafka import Consumer, TopicPartition

    # does not subscribe, and so is no member of the group that it asks about
    consumer = Consumer({"bootstrap.servers": settings.kafka_brokers, "group.id": f"junodirac-{TYPE_NAME}"})
    try:
        known = consumer.list_topics(topic, timeout=20).topics[topic].partitions
        partitions = [TopicPartition(topic, number) for number in known]
        yield lambda: sum(max(each.offset, 0) for each in consumer.committed(partitions, timeout=20))
    finally:
        consumer.close()
