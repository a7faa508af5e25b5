"""A cycle of each agent, and the status command, with a thousand living blocks and with ten."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from dataclasses import dataclass

from junotestbed.settings import TestbedError
from junotestbed.testbed import Testbed

from bench.agentcycles import AGENTS, AgentCycles, agentCycles
from bench.blockkinds import FILES_PER_TASK, busyBlock, quietBlock
from bench.blockremoval import TYPE_NAME
from bench.blockrows import BlockWorld, blockWorld
from bench.quiet import quiet, servers
from bench.receiver import cpuSeconds
from bench.report import say
from bench.workload import typeOptions

_BUSY = 7
_CYCLE_LIMIT_SECONDS = 5.0
_STATUS_LIMIT_SECONDS = 2.0


def addArguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--blocks", type=int, default=1000, help="living blocks (default %(default)s)")
    parser.add_argument("--few", type=int, default=10, help="blocks that they are compared with (default %(default)s)")
    parser.add_argument("--files", type=int, default=100_800, help="files of the seven busy ones (default %(default)s)")
    parser.add_argument("--quiet-files", type=int, default=10, help="files of each other block (default %(default)s)")
    parser.add_argument("--changed", type=int, default=100, help="files that change (default %(default)s)")


def run(testbed: Testbed, arguments: argparse.Namespace) -> dict[str, object]:
    if not _BUSY < arguments.few < arguments.blocks:
        raise TestbedError(f"--few must be more than {_BUSY} and less than --blocks")
    # two tasks of each site end in each of the two measurements
    if busyBlock(0, arguments.files // _BUSY).assigned < 2 * (arguments.changed + FILES_PER_TASK):
        raise TestbedError("--files is too small: the busy blocks have not enough files on their way that could change")
    options = typeOptions("juno.bench", withStorageCheck=False) | {"CloseBy": "Operator"}
    with quiet(testbed), blockWorld(testbed) as world, agentCycles(testbed.settings, TYPE_NAME, options) as agents:
        world.add([busyBlock(number, arguments.files // _BUSY) for number in range(_BUSY)])
        world.add([quietBlock(number, arguments.quiet_files) for number in range(_BUSY, arguments.few)])
        meter = Meter(testbed, agents)
        few = _measure(meter, world, arguments.changed)
        world.add([quietBlock(number, arguments.quiet_files) for number in range(arguments.few, arguments.blocks)])
        many = _measure(meter, world, arguments.changed)
        stock = {name: meter.cycle(name, "all", isFull=True) for name in ("TransformationAgent", "RequestTaskAgent")}
    return _result(arguments, few, many, stock)


@dataclass
class Meter:
    """Lets an agent do a cycle and says how long that took, and how much CPU of agent, services and database.

    The CPU is about the same when other programs use the machine, too.
    """

    testbed: Testbed
    agents: AgentCycles

    def cycle(self, name: str, kind: str, isFull: bool = False) -> dict[str, float]:
        before = self._cpuSeconds()
        seconds = self.agents.seconds(name, isFull)
        cpu = self._cpuSeconds() - before
        say(f"{name} {kind}: {seconds:.3f} s, {cpu:.2f} s of CPU")
        return {kind: round(seconds, 3), f"{kind}_cpu": round(cpu, 2)}

    def _cpuSeconds(self) -> float:
        links = ("RequestManagement_ReqManager", "RawData_RawDataManager")
        pids = [*servers(self.testbed).values(), *(self.testbed.dirac.state(link).pid for link in links), self.agents.pid]
        return sum(cpuSeconds(pid) for pid in pids)


def _measure(meter: Meter, world: BlockWorld, changed: int) -> dict[str, dict[str, float]]:
    """Seconds of a cycle in which nothing had changed, and of one after some files changed."""
    # the first one connects, reads everything, and settles what is new to it
    for name in AGENTS:
        meter.cycle(name, "first")
    found = {name: meter.cycle(name, "unchanged") for name in AGENTS}
    found["block status"] = _status(meter.testbed)
    busy, tasks = world.blocks[0], -(-changed // FILES_PER_TASK)
    world.addFiles(busy, changed)
    world.endTasks(busy, tasks)
    for name in AGENTS:
        found[name] |= meter.cycle(name, "changed")
    world.checkChanges(busy, changed, tasks)
    world.hideNewTasks()
    return found


def _status(testbed: Testbed) -> dict[str, float]:
    """The whole command, which shows the newest 200 blocks, and the service's answer for them and for all blocks."""
    from JUNODIRAC.RawDataSystem.Client.RawDataManagerClient import RawDataManagerClient

    settings = testbed.settings
    started = time.monotonic()
    done = subprocess.run(
        ["dirac-juno-block-status", "--json"],
        env=settings.environment(settings.proxies / "prod.pem"),
        capture_output=True,
        text=True,
        timeout=300,
    )
    command = time.monotonic() - started
    if done.returncode or not json.loads(done.stdout)["Blocks"]:
        raise TestbedError(f"dirac-juno-block-status failed: {done.stderr}")
    answers = {}
    for name, limit in (("answer", 200), ("answer for all", 5000)):
        started = time.monotonic()
        result = RawDataManagerClient(timeout=300).getBlockStatus("", "", limit)
        answers[name] = round(time.monotonic() - started, 3)
        if not result["OK"] or result["Value"]["Unavailable"]:
            raise TestbedError(f"the service does not tell the status of blocks: {result}")
    found = {"command": round(command, 3), **answers}
    say(f"block status {found}")
    return found


def _result(
    arguments: argparse.Namespace,
    few: dict[str, dict[str, float]],
    many: dict[str, dict[str, float]],
    stock: dict[str, dict[str, float]],
) -> dict[str, object]:
    def ratios(name: str) -> dict[str, float]:
        return {key: round(value / max(few[name][key], 0.001), 1) for key, value in many[name].items()}

    ours = list(AGENTS)
    return {
        "benchmark": "blocks",
        "blocks": arguments.blocks,
        "few_blocks": arguments.few,
        "sites": 3,
        "files_of_the_busy_seven": arguments.files,
        "files_of_each_other": arguments.quiet_files,
        "changed_files": arguments.changed,
        "cpus": len(os.sched_getaffinity(0)),
        "seconds": {name: {"few": few[name], "many": many[name], "ratio": ratios(name)} for name in [*ours, "block status"]},
        "stock_selection": stock,
        "within_limits": {
            "agents_5_s": all(many[name][kind] < _CYCLE_LIMIT_SECONDS for name in ours for kind in ("unchanged", "changed")),
            "block_status_2_s": many["block status"]["command"] < _STATUS_LIMIT_SECONDS,
        },
    }
