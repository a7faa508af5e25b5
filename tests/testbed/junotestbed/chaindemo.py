"""A block through the shipped chain with merging, live: reconstructed where it is, merged, copied out, every event counted."""

from __future__ import annotations

import argparse
import subprocess
import time
from typing import TYPE_CHECKING

from junotestbed.chainblocks import CALIBRATION, PHYSICS, TYPE, ChainedBlock, typed
from junotestbed.chainfacts import JudgedChain
from junotestbed.demo import free_days, operator
from junotestbed.settings import SOURCE_DIR, TestbedError

if TYPE_CHECKING:
    from junotestbed.testbed import Testbed

SHIPPED = SOURCE_DIR / "etc/chains/rerec-merge.yaml"
DESTINATIONS = ("IHEP-JUNOEOS", "CNAF-STORM", "JINR-EOS")
#: the shipped chain for files of 4 kB: other sizes of groups, and no long waits
SMALL = {
    "cores: 8": "cores: 2",
    "    sites: [DIRAC": "    group: {files: 5}\n    max-wait: 10 s\n    sites: [DIRAC",
    "bytes: 1 GB": "bytes: 18 kB",
    "kind: replicate": "kind: replicate\n    max-wait: 2 s",
}
_RUN = 8100
#: between two looks
_EVERY_SECONDS = 2


def shippedChain(version: str, changes: dict[str, str]) -> str:
    """The chain with merging as it is shipped, but for its version and some words.

    :raises TestbedError: if one of the words is not there
    """
    text = SHIPPED.read_text()
    for old, new in {"version: J24.1": f"version: {version}", **changes}.items():
        if old not in text:
            raise TestbedError(f"{SHIPPED} has no '{old}' any more: correct what changes it")
        text = text.replace(old, new, 1)
    return text


def chainDemo(testbed: Testbed, arguments: argparse.Namespace) -> int:
    """:returns: 0 only if the audit is exact, and the bytes on all storages say so, too"""
    block = ChainedBlock(testbed, free_days(testbed.settings, 1)[0])
    started = time.monotonic()
    for stream in (PHYSICS, CALIBRATION):
        block.make(_RUN, stream, arguments.files)
    block.announce()
    events = sum(len(file.events) for file in block.inputs)
    print(f"\n{len(block.files)} RTRAW files of two streams with {events} events in block {block.day}\n", flush=True)
    known = "SELECT COUNT(*) FROM Blocks WHERE Type = %s AND Block = %s"
    block.until("the block is known", lambda: block.database.rows("RawDataDB", known, TYPE, block.day) == [(1,)])
    _start(testbed, block)
    state = _follow(block, started, arguments.timeout)
    print(f"\n{state} {time.monotonic() - started:.1f} s after the start\n", flush=True)
    for words in (["dirac-juno-chain", "status", block.production], ["dirac-juno-audit", block.day, "--type", TYPE]):
        print(f"$ {' '.join(words)}", flush=True)
        audited = subprocess.run(words, env=operator(testbed.settings), check=False)
        print(flush=True)
    verdict = block.verdict(JudgedChain(block.production, destinations=DESTINATIONS))
    print(f"read from the disks of all sites: {verdict.toText()}")
    right = state == "Done" and not audited.returncode and not verdict.problems
    print(f"\ndemo {'passed' if right else 'FAILED'}: {verdict.events} events in, {verdict.eventsMerged} out")
    return 0 if right else 1


def _start(testbed: Testbed, block: ChainedBlock) -> None:
    version = f"demo{int(time.time())}"
    path = testbed.settings.run / "chains" / f"rerec-merge-{version}.yaml"
    path.parent.mkdir(exist_ok=True)
    grouped = {
        "    sites: [DIRAC": "    group: {files: 5}\n    sites: [DIRAC",
        "cores: 8": "cores: 2",
        "bytes: 1 GB": "bytes: 18 kB",
    }
    path.write_text(shippedChain(version, grouped))
    words = ["dirac-juno-chain", "start", str(path), "--blocks", block.day, "--reason", "demo", "--yes"]
    print(f"$ {' '.join(words)}", flush=True)
    done = typed(testbed, *words)
    print(done.stdout + done.stderr, flush=True)
    if done.returncode:
        raise TestbedError("the chain could not be started")
    block.production = f"rerec-merge-{version}-v1"


def _follow(block: ChainedBlock, started: float, timeout: float) -> str:
    """Show each change until the block is done, or a person has to act.

    :returns: its state in the chain
    """
    shown = ""
    while True:
        state, _, waits, problem = block.standing()
        parts, merged = block.products("rawrec"), block.products("merge")
        copies = " ".join(f"{se.split('-')[0]} {block.filesAt(se)}/{len(block.files)}" for se in DESTINATIONS)
        work = f"{len(block.attempts('Running'))} jobs at work, {len(parts)} ESD parts, {len(merged)} merged"
        line = f"{copies}, {work}; {state or '-'}"
        line += f" ({problem or waits})" if problem or waits else ""
        if line != shown:
            print(f"{time.monotonic() - started:5.0f} s  {line}", flush=True)
        shown = line
        if state in ("Done", "Problem") or time.monotonic() - started > timeout:
            return state if state in ("Done", "Problem") else "NOT DONE"
        time.sleep(_EVERY_SECONDS)
