"""Tasks of a chain made and submitted as jobs, by our agents and by DIRAC's, and cycles with many files in the chain."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any

from junotestbed.settings import TestbedError
from junotestbed.testbed import Testbed

from bench.agentcycles import CHAIN_AGENTS, STOCK, AgentCycles, agentCycles
from bench.blockkinds import BlockRows
from bench.blockremoval import TYPE_NAME
from bench.blocks import Meter
from bench.chainrows import ChainWorld, chainWorld, fullBlock
from bench.quiet import quiet
from bench.report import say
from bench.workload import typeOptions

_LIMIT_PER_SECOND = 50.0
_BLOCK_FILES = 14_400
_WAITS = ("Created", "Reserved")
# DIRAC's settings, from its template and its code
_STOCK_OPTIONS = {"TasksPerLoop": "50", "MonitorTasks": "", "MonitorFiles": "", "CheckReserved": "", "SubmitTasks": "yes"}
_STOCK_CYCLE_SECONDS, _STOCK_PARAMETRIC_JOBS = 120, 20
# a task is given away from this age on, see TaskAgeSeconds
_TASK_AGE_SECONDS = 1.5


def addArguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--files", type=int, default=_BLOCK_FILES, help="files that become tasks and jobs (default %(default)s)")
    parser.add_argument("--chain-files", type=int, default=100_800, help="files in the chain in all (default %(default)s)")
    parser.add_argument("--changed", type=int, default=100, help="of --files, those that come last (default %(default)s)")
    parser.add_argument("--stock", type=int, default=300, help="files for DIRAC's own agents (default %(default)s)")
    parser.add_argument("--ready-seconds", type=int, default=60, help="how long the optimizers are watched (default %(default)s)")


def run(testbed: Testbed, arguments: argparse.Namespace) -> dict[str, object]:
    if not 0 < arguments.changed < arguments.files <= arguments.chain_files or arguments.stock < 1:
        raise TestbedError("--changed must be less than --files, which must be no more than --chain-files; --stock at least 1")
    options = typeOptions("juno.bench", withStorageCheck=False) | {"CloseBy": "Operator"}
    with quiet(testbed), chainWorld(testbed) as world:
        busy = fullBlock(0, arguments.files)
        sample = fullBlock(1, arguments.stock)
        old = _oldBlocks(arguments.chain_files - arguments.files)
        world.add([busy, sample, *old])
        world.setRegistered(busy, arguments.files - arguments.changed, arguments.changed, False)
        world.start([busy, *old])
        for block in old:
            world.passThrough(block)
        say(f"{arguments.chain_files - arguments.files} files are through the chain")
        with agentCycles(testbed.settings, TYPE_NAME, options) as agents:
            ours = _work(world, agents, busy, arguments.files - arguments.changed)
            ready = _ready(world, arguments.ready_seconds)
            cycles = _cycles(Meter(testbed, agents), world, busy, arguments)
        stock = {
            name: _stock(testbed, world, sample, options, isBulk) for name, isBulk in (("as_delivered", False), ("bulk", True))
        }
    return _result(arguments, ours, ready, cycles, stock)


def _oldBlocks(files: int) -> list[BlockRows]:
    sizes = [min(_BLOCK_FILES, files - first) for first in range(0, files, _BLOCK_FILES)]
    return [fullBlock(number, size) for number, size in enumerate(sizes, 2)]


def _rate(what: str, tasks: int, seconds: float) -> dict[str, float | int]:
    say(f"{what}: {tasks} tasks in {seconds:.1f} s, {tasks / seconds:.1f} tasks/s")
    return {"tasks": tasks, "seconds": round(seconds, 2), "tasks_per_second": round(tasks / seconds, 1)}


def _together(created: Mapping[str, Any], submitted: Mapping[str, Any]) -> float:
    """Tasks/s made and submitted, one after the other."""
    return round(float(submitted["tasks"]) / (float(created["seconds"]) + float(submitted["seconds"])), 2)


def _until(left: Callable[[], int], cycle: Callable[[], float]) -> float:
    """Seconds of the cycles of an agent until nothing is left to do.

    :raises TestbedError: if cycles bring no progress
    """
    seconds, before = 0.0, left()
    while before:
        seconds += cycle()
        now = left()
        if now >= before:
            raise TestbedError(f"the agent stands still, {now} tasks are left")
        before = now
    return seconds


def _work(world: ChainWorld, agents: AgentCycles, block: BlockRows, files: int) -> dict[str, Any]:
    """The files become tasks, and the tasks jobs."""
    for name in ("TransformationAgent", "WorkflowTaskAgent"):
        agents.seconds(name)  # connects
    world.feed(block, 0, files)
    created = _until(lambda: files - world.count(_WAITS), lambda: agents.seconds("TransformationAgent"))
    made = _rate("tasks made", files, created)
    time.sleep(_TASK_AGE_SECONDS)
    seconds = _until(lambda: world.count(_WAITS), lambda: agents.seconds("WorkflowTaskAgent"))
    submitted = _rate("tasks submitted", files, seconds)
    jobs = sum(world.jobs(world.transformationID).values())
    if jobs != files:
        raise TestbedError(f"{files} tasks have {jobs} jobs")
    return {"created": made, "submitted": submitted, "both_tasks_per_second": _together(made, submitted)}


def _ready(world: ChainWorld, seconds: int) -> dict[str, float | int]:
    """How fast DIRAC's optimizers make jobs ready for a site, from the moment when all are submitted."""

    def waiting() -> int:
        jobs = world.jobs(world.transformationID)
        if jobs.get("Failed"):
            raise TestbedError(f"the optimizers failed: {jobs}")
        return jobs.get("Waiting", 0)

    first, started = waiting(), time.monotonic()
    now = first
    while time.monotonic() - started < seconds and now < sum(world.jobs(world.transformationID).values()):
        time.sleep(1)
        now = waiting()
    rate = (now - first) / max(time.monotonic() - started, 1)
    say(f"{first} jobs were ready when all were submitted; then {rate:.1f} jobs/s")
    return {"ready_when_submitted": first, "then_jobs_per_second": round(rate, 1)}


def _cycles(meter: Meter, world: ChainWorld, block: BlockRows, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """A cycle in which nothing had changed, one after files came, and one of the agents that look at all."""
    from DIRAC.Core.Utilities.Extensions import extensionsByPriority, findAgents

    known = {name for extension in extensionsByPriority() for _, name in findAgents(extension)}
    names = [name for name in CHAIN_AGENTS if name in known]
    for name in names:
        meter.cycle(name, "first")
    found = {name: meter.cycle(name, "unchanged") for name in names}
    world.setRegistered(block, arguments.files - arguments.changed, arguments.changed, True)
    for name in names:
        found[name] |= meter.cycle(name, "changed")
        time.sleep(_TASK_AGE_SECONDS)
    jobs = sum(world.jobs(world.transformationID).values())
    if jobs != arguments.files:
        raise TestbedError(f"the agents did not do their work: {arguments.files} files have {jobs} jobs")
    for name in ("TransformationAgent", "WorkflowTaskAgent"):
        found[name] |= meter.cycle(name, "all", isFull=True)
    return found


# ---- DIRAC's own


def _stock(testbed: Testbed, world: ChainWorld, block: BlockRows, typeOptions: Mapping[str, str], isBulk: bool) -> dict[str, Any]:
    """The sample through DIRAC's own agents, with DIRAC's options, cycle after cycle without a pause."""
    from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

    number = world.addStock(block, f"{TYPE_NAME}-stock-{'bulk' if isBulk else 'delivered'}")
    options = _STOCK_OPTIONS | {"BulkSubmission": str(isBulk)}
    manager = {"Services": {"JobManager": {"MaxParametricJobs": str(_STOCK_PARAMETRIC_JOBS)}}}
    grouping = {"Transformation": str(number), "PluginLocation": "DIRAC.TransformationSystem.Agent.TransformationPlugin"}
    systems = {
        "Transformation": {"Agents": {"TransformationAgent": grouping, "WorkflowTaskAgent": options}},
        "WorkloadManagement": manager,
    }
    client = TransformationClient()

    def waiting() -> int:
        stats = client.getTransformationTaskStats(number)["Value"]
        return sum(int(stats.get(status, 0)) for status in _WAITS)

    with agentCycles(testbed.settings, TYPE_NAME, typeOptions, systems) as agents:
        agents.seconds(f"{STOCK}WorkflowTaskAgent")
        seconds = _until(lambda: block.files - waiting(), lambda: agents.seconds(f"{STOCK}TransformationAgent"))
        created = _rate("DIRAC: tasks made", block.files, seconds)
        time.sleep(_TASK_AGE_SECONDS)
        seconds = _until(waiting, lambda: agents.seconds(f"{STOCK}WorkflowTaskAgent"))
    submitted = _rate("DIRAC: tasks submitted", block.files, seconds)
    return {"created": created, "submitted": submitted, "both_tasks_per_second": _together(created, submitted)}


def _result(
    arguments: argparse.Namespace,
    ours: Mapping[str, Any],
    ready: Mapping[str, Any],
    cycles: Mapping[str, Any],
    stock: Mapping[str, Mapping[str, Any]],
) -> dict[str, object]:
    both = float(ours["both_tasks_per_second"])
    return {
        "benchmark": "chains",
        "files": arguments.files,
        "files_in_the_chain": arguments.chain_files,
        "changed_files": arguments.changed,
        "ours": dict(ours),
        "optimizers": dict(ready),
        "stock": {
            "files": arguments.stock,
            **stock,
            # whatever the machine: one cycle of TasksPerLoop tasks every PollingTime seconds
            "settings_allow_tasks_per_second": round(int(_STOCK_OPTIONS["TasksPerLoop"]) / _STOCK_CYCLE_SECONDS, 2),
        },
        "times_stock": {name: round(both / float(each["both_tasks_per_second"]), 1) for name, each in stock.items()},
        "cycle_seconds": dict(cycles),
        "limits": {"tasks_per_second": _LIMIT_PER_SECOND},
        "within_limits": both >= _LIMIT_PER_SECOND,
    }
