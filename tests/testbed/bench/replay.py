"""A week of JUNO's RTRAW files through everything, with copies that take no time: what the control plane can do."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

from junotestbed.demo import block_status
from junotestbed.settings import Settings, TestbedError
from junotestbed.testbed import Testbed

from bench.idle import CpuMeter
from bench.instant import instantCopies
from bench.progress import STAGES, Progress
from bench.quiet import retire
from bench.receiver import Receiver
from bench.report import say
from bench.workload import BenchFile, announceAll, fileName, makeTopics, storeFiles, typeOptions

_FIRST_DAY = date(2023, 10, 7)
_DAYS = 7
# two blocks go to IN2P3, too. Destinations belong to a Type, and so there are two
_EVERYWHERE = 2
_TYPES = {"WeekEverywhere": ("CNAF-STORM", "IN2P3-DCACHE", "JINR-EOS"), "Week": ("CNAF-STORM", "JINR-EOS")}
_LOOK_EVERY_SECONDS = 2.0
_SAY_EVERY_SECONDS = 20.0


def addArguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--files-per-block", type=int, default=14_400, help="files of each of the seven days (default %(default)s)"
    )
    parser.add_argument(
        "--timeout", type=int, default=300, help="give up after so many seconds without progress (default %(default)s)"
    )


def run(testbed: Testbed, arguments: argparse.Namespace) -> dict[str, object]:
    if arguments.files_per_block < 1:
        raise TestbedError("--files-per-block must be at least 1")
    days = _freeWeek(testbed.settings)
    blocks = {name: days[:_EVERYWHERE] if len(ses) == 3 else days[_EVERYWHERE:] for name, ses in _TYPES.items()}
    with ExitStack() as stack:
        stack.enter_context(_retiring(testbed))
        stack.enter_context(instantCopies(testbed, "/juno/rtraw/*"))
        receivers = [_prepare(testbed, name, blocks[name], arguments.files_per_block) for name in _TYPES]
        # before the first second of CPU, so that all of the work is in it
        meter = CpuMeter(testbed)
        for receiver in receivers:
            stack.enter_context(receiver.running())
        for receiver in receivers:
            receiver.waitForConnection()
        progress = Progress(testbed, days, _copies(blocks, arguments.files_per_block))
        _follow(progress, receivers, arguments.timeout)
        started = min(receiver.firstBatchTime() for receiver in receivers)
        return _result(arguments, progress, started, meter.shares(), days)


def _result(
    arguments: argparse.Namespace, progress: Progress, started: float, cpu: dict[str, float], days: Sequence[str]
) -> dict[str, object]:
    files, copies = _DAYS * arguments.files_per_block, progress.wanted
    seconds = progress.ended["processed"] - started
    say(f"{files} files, {copies} copies in {seconds:.0f} s: {files / seconds:.1f} files/s, {copies / seconds:.1f} copies/s")
    for name, (count, percent) in progress.table().items():
        say(f"{name:28s} {count:6d} {percent:6.1f} %")
    return {
        "benchmark": "replay",
        "blocks": f"{days[0]} to {days[-1]}",
        "files": files,
        "copies": copies,
        "cpus": len(os.sched_getaffinity(0)),
        "seconds": round(seconds, 1),
        "files_per_second": round(files / seconds, 1),
        "copies_per_second": round(copies / seconds, 1),
        "stages": {stage: progress.stage(stage, started) for stage in STAGES},
        "cpu_share_of_a_core": cpu,
        "table": {name: {"files": count, "percent": round(percent, 1)} for name, (count, percent) in progress.table().items()},
    }


@dataclass(frozen=True)
class WeekFile(BenchFile):
    """A file where those of the Type RTRaw lie."""

    @property
    def directory(self) -> str:
        return f"/juno/rtraw/{self.block[:4]}/{self.block[4:]}"


def _freeWeek(settings: Settings) -> list[str]:
    """Seven days on end without a block of any Type, from that of JUNO's slides on."""
    known = {block["Block"] for block in block_status(settings)}
    first = _FIRST_DAY
    while True:
        days = [(first + timedelta(days=number)).strftime("%Y%m%d") for number in range(_DAYS)]
        if not known & set(days):
            return days
        first += timedelta(days=_DAYS)


def _copies(blocks: dict[str, list[str]], filesPerBlock: int) -> int:
    return sum(len(ses) * len(blocks[name]) * filesPerBlock for name, ses in _TYPES.items())


def _prepare(testbed: Testbed, typeName: str, days: Sequence[str], filesPerBlock: int) -> Receiver:
    """Files on the storage, their announcements in a topic, and a receiver that has not started."""
    files = [WeekFile(day, fileName(day, number)) for day in days for number in range(filesPerBlock)]
    topic = makeTopics(testbed.settings)
    storeFiles(testbed.settings, files)
    announceAll(testbed.settings, topic, files)
    options = typeOptions(topic, withStorageCheck=True) | {
        "Destinations": ", ".join(_TYPES[typeName]),
        "DirectoryPattern": "/juno/rtraw/{Year:4}/{MonthDay:4}",
        "TransformationRule": "RTRaw-{Block}-{SE}",
    }
    return Receiver(testbed.settings, options, typeName=typeName)


@contextmanager
def _retiring(testbed: Testbed) -> Iterator[None]:
    try:
        yield
    finally:
        retire(testbed)


def _follow(progress: Progress, receivers: Sequence[Receiver], timeoutSeconds: float) -> None:
    """Until each copy is Processed and in the catalogue; an error where nothing moved for some time."""
    said = moved = time.monotonic()
    while not progress.isComplete:
        for receiver in receivers:
            receiver.isAlive()
        now = time.monotonic()
        if progress.look():
            moved = now
        if now - moved > timeoutSeconds:
            raise TestbedError(f"no progress for {timeoutSeconds:.0f} s: {progress.shown()}")
        if now - said > _SAY_EVERY_SECONDS:
            said = now
            say(progress.shown())
        time.sleep(_LOOK_EVERY_SECONDS)
