"""Announcements that wait in Kafka, through the real receiver, with and without the storage check, and the yardsticks."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence

from junotestbed.observe import Database
from junotestbed.settings import TestbedError
from junotestbed.shell import tail
from junotestbed.testbed import Testbed

from bench import receiver as receivers
from bench import yardsticks
from bench.quiet import blocksOf, quiet, servers
from bench.receiver import Receiver, agentOptions, cpuSeconds
from bench.report import say
from bench.workload import TYPE_NAME, BenchFile, announceAll, committed, freshDays, makeFiles, makeTopics, storeFiles, typeOptions

_MODES = {"none": (False,), "size": (True,), "both": (False, True)}


def addArguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--files", type=int, default=100_800, help="announcements (default %(default)s)")
    parser.add_argument("--blocks", type=int, default=7, help="days that they are of (default %(default)s)")
    parser.add_argument(
        "--storage-check", choices=_MODES, default="both", help="without, with the size check, or both (default %(default)s)"
    )
    parser.add_argument(
        "--no-yardsticks", dest="yardsticks", action="store_false", help="leave out plain SQL and DIRAC's own paths"
    )
    receivers.addArguments(parser)
    parser.add_argument(
        "--timeout", type=int, default=60, help="give up after so many seconds without progress (default %(default)s)"
    )


def run(testbed: Testbed, arguments: argparse.Namespace) -> dict[str, object]:
    if not 1 <= arguments.blocks <= arguments.files:
        raise TestbedError("give at least one block, and at least as many files as blocks")
    result: dict[str, object] = {
        "benchmark": "ingest",
        "files": arguments.files,
        "blocks": arguments.blocks,
        "cpus": len(os.sched_getaffinity(0)),
    }
    with quiet(testbed):
        for withStorageCheck in _MODES[arguments.storage_check]:
            name = "with_size_check" if withStorageCheck else "without_storage_check"
            result[name] = _onePass(testbed, arguments, withStorageCheck)
        if arguments.yardsticks:
            result["yardsticks"] = yardsticks.measure(testbed, arguments.files)
    without, plain = result.get("without_storage_check"), result.get("yardsticks")
    if without and plain:
        for yardstick in ("plain_sql", "plain_sql_with_lookups"):
            share = without["files_per_second"] / plain[yardstick]["files_per_second"]  # type: ignore[index]
            result[f"share_of_{yardstick}"] = round(share, 3)
    return result


def _onePass(testbed: Testbed, arguments: argparse.Namespace, withStorageCheck: bool) -> dict[str, object]:
    days = freshDays(testbed.settings, arguments.blocks)
    files = makeFiles(days, arguments.files)
    topic = makeTopics(testbed.settings)
    if withStorageCheck:
        storeFiles(testbed.settings, files)
    announceAll(testbed.settings, topic, files)
    receiver = Receiver(testbed.settings, typeOptions(topic, withStorageCheck), agentOptions(arguments))
    before = {name: cpuSeconds(pid) for name, pid in servers(testbed).items()}
    with receiver.running():
        receiver.waitForConnection()
        ownBefore = receiver.cpuSeconds()
        say(f"the receiver is connected; {'size check' if withStorageCheck else 'no storage check'}")
        _waitUntilCommitted(testbed, receiver, topic, arguments.files, arguments.timeout)
        seconds = time.time() - receiver.firstBatchTime()
        cpu = {name: round(cpuSeconds(pid) - before[name], 1) for name, pid in servers(testbed).items()}
        cpu["receiver"] = round(receiver.cpuSeconds() - ownBefore, 1)
        peakBytes = receiver.peakBytes()
    _checkOutcome(testbed, days, files)
    rate = arguments.files / seconds
    say(f"{arguments.files} files in {seconds:.1f} s: {rate:.0f} files/s")
    return {
        "seconds": round(seconds, 2),
        "files_per_second": round(rate, 1),
        "receiver_peak_rss_bytes": peakBytes,
        "cpu_seconds": cpu,
        **_stages(receiver, arguments.files),
    }


def _stages(receiver: Receiver, files: int) -> dict[str, object]:
    """Seconds that each stage was at work; stages that work at the same time make more than the whole."""
    found = receiver.batches()
    seconds = found.pop("stages")
    assert isinstance(seconds, dict)
    rates = {name: round(files / spent, 1) for name, spent in seconds.items() if spent > 0}
    return {**found, "stage_seconds": seconds, "stage_files_per_second": rates}


def _waitUntilCommitted(testbed: Testbed, receiver: Receiver, topic: str, count: int, timeoutSeconds: float) -> None:
    """Until all offsets are committed; an error where none was for some time."""
    said = moved = time.monotonic()
    before = 0
    with committed(testbed.settings, topic) as offsets:
        while (done := offsets()) < count:
            receiver.isAlive()
            now = time.monotonic()
            if done > before:
                before, moved = done, now
            if now - moved > timeoutSeconds:
                raise TestbedError(
                    f"still {done} of {count} after {timeoutSeconds:.0f} s; the end of its log:\n{tail(receiver.log)}"
                )
            if now - said > 5:
                said = now
                say(f"{done} of {count}")
            time.sleep(0.1)


def _checkOutcome(testbed: Testbed, days: Sequence[str], files: Sequence[BenchFile]) -> None:
    """A benchmark that lost files is none."""
    database = Database(testbed)
    registered = database.rows(
        "RawDataDB",
        "SELECT COUNT(*) FROM Files f JOIN Directories d ON d.DirectoryID = f.DirectoryID JOIN Blocks b ON b.BlockID = d.BlockID"
        " WHERE b.Type = %s AND b.Block IN %s AND f.State = 'Registered'",
        TYPE_NAME,
        tuple(days),
    )[0][0]
    attached = database.rows(
        "TransformationDB",
        "SELECT COUNT(*) FROM TransformationFiles WHERE TransformationID IN %s",
        tuple(blocksOf(testbed, days)),
    )[0][0]
    if (registered, attached) != (len(files), 3 * len(files)):
        raise TestbedError(f"of {len(files)} files {registered} are registered; attachments: {attached}, not three for each file")
