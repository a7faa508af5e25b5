"""Single small files on an idle testbed: how long each takes from its announcement until its copies are known and Processed."""

from __future__ import annotations

import argparse
import os
import random
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from junotestbed.settings import TestbedError
from junotestbed.testbed import Testbed
from junotestbed.traffic import SOURCE

from bench.idle import cpuShares
from bench.latency import _quantile, _Traffic
from bench.quiet import blocksOf, retire
from bench.receiver import Receiver
from bench.report import say
from bench.stages import STAGES, Copy, StageWatch
from bench.workload import DESTINATIONS, BenchFile, freshDays, makeFiles, makeTopics, typeOptions
from bench.yardsticks import connection

_LOOK_EVERY_SECONDS = 0.2
# those of the benchmark's Type are the defaults, not the short ones that the testbed gives Raw and RTRaw
_TESTBED_OPTIONS = ("StorageCheck", "ChecksumCheck")


def addArguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--files", type=int, default=40, help="files that are announced one after another (default %(default)s)")
    parser.add_argument("--gap", type=float, default=4.5, help="seconds between two of them in the middle (default %(default)s)")
    parser.add_argument("--size", type=int, default=100_000, help="bytes of each file (default %(default)s)")
    parser.add_argument(
        "--idle-seconds", type=float, default=60, help="for so long the idle CPU is measured before (default %(default)s, 0: not)"
    )
    parser.add_argument("--timeout", type=float, default=600, help="seconds for the last file to arrive (default %(default)s)")


def run(testbed: Testbed, arguments: argparse.Namespace) -> dict[str, object]:
    if arguments.files < 1 or arguments.gap < 0 or arguments.size < 1:
        raise TestbedError("--files and --size must be at least 1, --gap not less than 0")
    days = freshDays(testbed.settings, 1)
    # one more, which opens the block and warms up what is lazy
    files = [SmallFile(file.block, file.fileName, os.urandom(arguments.size)) for file in makeFiles(days, arguments.files + 1)]
    topic = makeTopics(testbed.settings)
    options = {name: value for name, value in typeOptions(topic, True).items() if name not in _TESTBED_OPTIONS}
    for file in files:
        file.store(testbed.settings.storage)
    receiver = Receiver(testbed.settings, options)
    with _retiring(testbed), receiver.running():
        receiver.waitForConnection()
        traffic = _Traffic(testbed, topic)
        with connection(testbed) as cursor:
            first = _first(testbed, cursor, traffic, files[0], arguments.timeout)
            receiver.waitForSecondCycle()
            idle = cpuShares(testbed, arguments.idle_seconds) if arguments.idle_seconds else None
            watch = _watch(testbed, cursor, files[0])
            times = _measure(traffic, watch, files[1:], arguments.gap, arguments.timeout)
            retried = watch.retried()
    seconds = {file.lfn: max(times[file.lfn, se]["processed"] for se in DESTINATIONS) for file in files[1:]}
    return {
        "benchmark": "latency",
        "files": arguments.files,
        "bytes": arguments.size,
        "first_file_seconds": round(first, 1),
        "seconds": _summary(list(seconds.values())),
        # XRootD's third-party copies fail now and then on the testbed, and are tried again after 18 s
        "files_held_up_by_a_copy_that_fts3_tried_again": len(retried & seconds.keys()),
        "seconds_of_the_other_files": _summary([spent for lfn, spent in seconds.items() if lfn not in retried] or [0.0]),
        "stages": {stage: _summary([copy[stage] for copy in times.values()]) for stage in STAGES},
        "stage_alone": _alone(times),
        **({"idle_cpu_share_of_a_core": idle} if idle else {}),
    }


@dataclass(frozen=True)
class SmallFile(BenchFile):
    """A file with content."""

    content: bytes

    @property
    def checksum(self) -> str:
        return f"{zlib.adler32(self.content):08x}"

    def announcement(self) -> dict[str, object]:
        return super().announcement() | {"FileSize": len(self.content)}

    def store(self, storage: Path) -> None:
        """Put it directly into the folder of the source storage's server."""
        path = storage / SOURCE.se / "data" / f"{SOURCE.path}{self.lfn}".lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.content)


@contextmanager
def _retiring(testbed: Testbed) -> Iterator[None]:
    try:
        yield
    finally:
        retire(testbed)


def _watch(testbed: Testbed, cursor: object, file: BenchFile) -> StageWatch:
    numbers = blocksOf(testbed, [file.block])
    cursor.execute(  # type: ignore[attr-defined]
        "SELECT TransformationID, SE FROM RawDataDB.BlockTransfers WHERE TransformationID IN %s", (tuple(numbers),)
    )
    transformations = {number: _text(se) for number, se in cursor.fetchall()}  # type: ignore[attr-defined]
    return StageWatch(cursor, testbed.settings.run / "fts3/fts3_standin.sqlite", file.directory, transformations)


def _first(testbed: Testbed, cursor: object, traffic: _Traffic, file: BenchFile, timeoutSeconds: float) -> float:
    """Seconds of the first file, with which the block is opened."""
    traffic.announce(file)
    started = time.monotonic()
    wanted = {(file.lfn, se) for se in DESTINATIONS}
    while True:
        isOpen = len(blocksOf(testbed, [file.block])) == len(DESTINATIONS)
        if isOpen and wanted <= _watch(testbed, cursor, file).look()["processed"]:
            say(f"the block is open, its first file everywhere after {time.monotonic() - started:.1f} s")
            return time.monotonic() - started
        if time.monotonic() - started > timeoutSeconds:
            raise TestbedError(f"{file.lfn} is not everywhere after {timeoutSeconds:.0f} s: see 'scripts/testbed status'")
        time.sleep(_LOOK_EVERY_SECONDS)


def _measure(
    traffic: _Traffic, watch: StageWatch, files: Sequence[BenchFile], gapSeconds: float, timeoutSeconds: float
) -> dict[Copy, dict[str, float]]:
    """Seconds from the announcement to each stage of each copy, too long by the time between two looks at most."""
    times: dict[Copy, dict[str, float]] = {(file.lfn, se): {} for file in files for se in DESTINATIONS}
    waiting, nextTime = list(files), time.monotonic()
    lastTime = said = nextTime
    while waiting or any("processed" not in copy for copy in times.values()):
        now = time.monotonic()
        if waiting and now >= nextTime:
            traffic.announce(waiting.pop(0))
            # from nothing to twice the gap, so that no rhythm of the agents is met again and again
            nextTime = now + gapSeconds * 2 * random.random()
            lastTime = now
        if now - lastTime > timeoutSeconds:
            left = sum("processed" not in copy for copy in times.values())
            raise TestbedError(f"{left} copies are not Processed {timeoutSeconds:.0f} s after the last announcement")
        if now - said > 20:
            said = now
            say(f"{len(files) - len(waiting)} announced, {sum('processed' in c for c in times.values())} copies Processed")
        _note(watch, traffic, times)
        time.sleep(_LOOK_EVERY_SECONDS)
    return times


def _note(watch: StageWatch, traffic: _Traffic, times: Mapping[Copy, dict[str, float]]) -> None:
    found, now = watch.look(), time.monotonic()
    for stage, copies in found.items():
        for copy in copies & times.keys():
            times[copy].setdefault(stage, now - traffic.announced[copy[0]])


def _alone(times: Mapping[Copy, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """What each stage adds to the one before."""
    before = {stage: STAGES[number - 1] if number else None for number, stage in enumerate(STAGES)}
    return {
        stage: _summary([max(0.0, copy[stage] - (copy[earlier] if earlier else 0.0)) for copy in times.values()])
        for stage, earlier in before.items()
    }


def _summary(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {"p50": _quantile(ordered, 0.5), "p95": _quantile(ordered, 0.95), "max": _quantile(ordered, 1)}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
