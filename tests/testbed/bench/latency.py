"""Announcements at a steady rate: how long each file takes from its announcement until all three transfers have it."""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Sequence

from junotestbed.settings import TestbedError
from junotestbed.testbed import Testbed

from bench import receiver as receivers
from bench.quiet import blocksOf, quiet
from bench.receiver import Receiver, agentOptions
from bench.report import say
from bench.workload import DESTINATIONS, BenchFile, freshDays, makeFiles, makeTopics, storeFiles, typeOptions
from bench.yardsticks import connection

_LOOK_EVERY_SECONDS = 0.02
_LAST_FILE_SECONDS = 60


def addArguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=float, default=50, help="announcements a second (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="for so long (default %(default)s)")
    receivers.addArguments(parser)
    parser.add_argument(
        "--storage-check", choices=("none", "size"), default="size", help="without or with the size check (default %(default)s)"
    )


def run(testbed: Testbed, arguments: argparse.Namespace) -> dict[str, object]:
    if arguments.rate <= 0 or arguments.seconds <= 0:
        raise TestbedError("--rate and --seconds must be more than 0")
    withStorageCheck = arguments.storage_check == "size"
    days = freshDays(testbed.settings, 1)
    # one more, which opens the block
    files = makeFiles(days, round(arguments.rate * arguments.seconds) + 1)
    topic = makeTopics(testbed.settings)
    if withStorageCheck:
        storeFiles(testbed.settings, files)
    receiver = Receiver(testbed.settings, typeOptions(topic, withStorageCheck), agentOptions(arguments))
    with quiet(testbed), receiver.running():
        receiver.waitForConnection()
        traffic = _Traffic(testbed, topic)
        opening = _openBlock(testbed, traffic, days, files[0])
        say(f"the block is open {opening:.1f} s after its first file")
        receiver.waitForSecondCycle()
        seconds = _measure(testbed, traffic, blocksOf(testbed, days), files[1:], arguments.rate)
        peakBytes = receiver.peakBytes()
    return {
        "benchmark": "ingest-latency",
        "announcements": len(seconds),
        "announcements_per_second": arguments.rate,
        "storage_check": arguments.storage_check,
        "seconds": {
            "p50": _quantile(seconds, 0.5),
            "p95": _quantile(seconds, 0.95),
            "p99": _quantile(seconds, 0.99),
            "max": _quantile(seconds, 1),
        },
        "first_file_seconds": round(opening, 3),
        "receiver_peak_rss_bytes": peakBytes,
    }


class _Traffic:
    """Announces files and remembers when."""

    def __init__(self, testbed: Testbed, topic: str) -> None:
        from confluent_kafka import Producer

        self._producer = Producer({"bootstrap.servers": testbed.settings.kafka_brokers, "linger.ms": 0, "log_level": 3})
        self._topic = topic
        self.announced: dict[str, float] = {}

    def announce(self, file: BenchFile) -> None:
        self._producer.produce(self._topic, json.dumps(file.announcement()).encode(), key=file.block.encode())
        self.announced[file.lfn] = time.monotonic()
        self._producer.poll(0)

    def announceSteadily(self, files: Sequence[BenchFile], rate: float) -> None:
        started = time.monotonic()
        for number, file in enumerate(files):
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            self.announce(file)
        self._producer.flush(30)


def _openBlock(testbed: Testbed, traffic: _Traffic, days: Sequence[str], file: BenchFile) -> float:
    """Seconds for the first file of a block, with which its directory and transformations are made."""
    traffic.announce(file)
    with connection(testbed) as cursor:
        while True:
            numbers = blocksOf(testbed, days)
            if len(numbers) == len(DESTINATIONS) and file.lfn in _attached(cursor, numbers, 0)[0]:
                return time.monotonic() - traffic.announced[file.lfn]
            if time.monotonic() - traffic.announced[file.lfn] > _LAST_FILE_SECONDS:
                raise TestbedError(f"{file.lfn} is not attached after {_LAST_FILE_SECONDS} s")
            time.sleep(_LOOK_EVERY_SECONDS)


def _measure(
    testbed: Testbed, traffic: _Traffic, transformations: Sequence[int], files: Sequence[BenchFile], rate: float
) -> list[float]:
    """Seconds of each file; they are too large by the time between two looks at most."""
    sender = threading.Thread(target=traffic.announceSteadily, args=(files, rate), daemon=True)
    seconds: dict[str, float] = {}
    wanted = {file.lfn for file in files}
    lastChange, lastID = time.monotonic(), 0
    with connection(testbed) as cursor:
        sender.start()
        while len(seconds) < len(wanted):
            found, lastID = _attached(cursor, transformations, lastID)
            now = time.monotonic()
            new = wanted & found - seconds.keys()
            seconds |= {lfn: now - traffic.announced[lfn] for lfn in new}
            lastChange = now if new else lastChange
            if now - lastChange > _LAST_FILE_SECONDS:
                left = len(wanted) - len(seconds)
                raise TestbedError(f"{left} files are not attached {_LAST_FILE_SECONDS} s after the last one")
            time.sleep(_LOOK_EVERY_SECONDS)
    sender.join()
    return sorted(seconds.values())


def _attached(cursor, transformations: Sequence[int], afterID: int) -> tuple[set[str], int]:
    """Files that all of the transformations have, with an id above this one, and the highest id of them."""
    cursor.execute(
        "SELECT d.LFN, d.FileID FROM TransformationDB.TransformationFiles t"
        " JOIN TransformationDB.DataFiles d ON d.FileID = t.FileID"
        " WHERE t.TransformationID IN %s AND t.FileID > %s GROUP BY d.FileID HAVING COUNT(*) = %s",
        (tuple(transformations), afterID, len(transformations)),
    )
    rows = cursor.fetchall()
    cursor.connection.commit()
    return {lfn for lfn, _ in rows}, max((number for _, number in rows), default=afterID)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)
