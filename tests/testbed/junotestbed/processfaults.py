"""Cases of the fault matrix in which a process dies in the middle: one after the other, while earlier ones recover."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from junotestbed.blockfaults import JINR, FaultedBlock, siteDown
from junotestbed.faultmatrix import Run, case
from junotestbed.faults import frozen
from junotestbed.supervision import Tree

_TRANSFORMATIONS = "SELECT TransformationID FROM BlockTransfers JOIN Blocks USING (BlockID) WHERE Block = %s AND Type = 'Raw'"


def descendants(pid: int) -> list[int]:
    """A process and all that it started, which die with it when its machine does."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            found += [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return found


def killAll(tree: Tree, link: str) -> None:
    """``kill -9`` of a component with its workers; runit starts it again at once."""
    pid = tree.state(link).pid
    for process in descendants(pid) if pid else ():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def transformations(block: FaultedBlock) -> str:
    """Ids for an SQL list; 0 as long as there are none."""
    return ", ".join(str(row[0]) for row in block.database.rows("RawDataDB", _TRANSFORMATIONS, block.day)) or "0"


def tasks(block: FaultedBlock, status: str) -> Callable[[], bool]:
    """Whether a task of the block has this status."""
    query = "SELECT COUNT(*) FROM TransformationTasks WHERE ExternalStatus LIKE %s AND TransformationID IN ({})"
    return lambda: block.database.rows("TransformationDB", query.format(transformations(block)), status) != [(0,)]


def requests(block: FaultedBlock, status: str) -> Callable[[], bool]:
    """Whether a request of the block, whose name begins with its transformation's number, has this status."""
    query = "SELECT COUNT(*) FROM Request WHERE Status = %s AND CAST(LEFT(RequestName, 8) AS UNSIGNED) IN ({})"
    return lambda: block.database.rows("ReqDB", query.format(transformations(block)), status) != [(0,)]


def operation(block: FaultedBlock) -> bool:
    """Whether FTS3Manager has an operation with files of the block."""
    query = "SELECT COUNT(*) FROM Files WHERE lfn LIKE %s"
    return block.database.rows("FTS3DB", query, block.glob.replace("*", "%")) != [(0,)]


def takenByAgent(block: FaultedBlock) -> bool:
    """Whether FTS3Agent has jobs or operations in its hands, while the block has operations."""
    query = "SELECT (SELECT COUNT(*) FROM Operations WHERE {0}) + (SELECT COUNT(*) FROM Jobs WHERE {0})"
    return operation(block) and block.database.rows("FTS3DB", query.format("assignment IS NOT NULL")) != [(0,)]


@contextmanager
def struck(run: Run, link: str, held: tuple[Tree, str], middle: Callable[[], bool]) -> Iterator[None]:
    """Announce, hold up what a component asks until it is in the middle of its work, and kill it there.

    :param held: the process that does not answer until the other one is dead
    """
    block = run.block
    tree, name = held
    with run.turn():
        with frozen(tree.state(name).pid):
            yield
            block.until(f"{link} in the middle", middle, 180, every=0.1)
            killAll(run.block.testbed.dirac, link)
        run.over()
        block.facts["killed in the middle"] = "yes"
        run.ask("during")


# ---- sites: first, because XRootD's client needs two minutes to give up a storage that went away


@case("storage stopped", "the storage of JINR is stopped for 30 s while copies are under way", turn=True)
def storageStopped(run: Run) -> None:
    block, testbed = run.block, run.block.testbed
    with run.turn():
        block.announce()
        block.until("an operation of FTS3", lambda: operation(block), 180, every=0.1)
        with siteDown(testbed, JINR):
            time.sleep(30)
            run.ask("during")
        run.over()
    block.waitFor("Done")


# ---- our own


@case("RequestTaskAgent killed", "RequestTaskAgent is killed while it submits requests", turn=True)
def requestTaskAgentKilled(run: Run) -> None:
    block, dirac = run.block, run.block.testbed.dirac
    with struck(run, "Transformation_RequestTaskAgent", (dirac, "RequestManagement_ReqManager"), tasks(block, "Reserved")):
        block.announce()
    block.waitFor("Done")


@case("RequestExecutingAgent killed", "RequestExecutingAgent and its workers are killed at work", turn=True)
def requestExecutingAgentKilled(run: Run) -> None:
    block, testbed = run.block, run.block.testbed
    with struck(run, "RequestManagement_RequestExecutingAgent", (testbed.dirac, "DataManagement_FTS3Manager"),
                requests(block, "Assigned")):  # fmt: skip
        block.announce()
    block.waitFor("Done")


@case("FTS3Agent killed", "FTS3Agent is killed while it submits jobs", turn=True)
def fts3AgentKilled(run: Run) -> None:
    block, testbed = run.block, run.block.testbed
    with struck(run, "DataManagement_FTS3Agent", (testbed.infra, "fts3-standin"), lambda: takenByAgent(block)):
        block.announce()
    block.waitFor("Done")


@case("TransformationAgent killed", "TransformationAgent is killed while it makes tasks", turn=True)
def transformationAgentKilled(run: Run) -> None:
    block, dirac = run.block, run.block.testbed.dirac
    with run.turn():
        block.announce()
        block.until("a first task", tasks(block, "%"), 180, every=0.02)
        killAll(dirac, "Transformation_TransformationAgent")
        run.over()
        run.ask("during")
    block.waitFor("Done")


# ---- FTS3


def copying(block: FaultedBlock) -> Callable[[], bool]:
    """Whether the stand-in is at work on a copy of the block."""
    prefix = block.glob.rstrip("*")
    return lambda: any(prefix in attempt["destination"] and attempt["state"] is None for attempt in block.rules.transfers())


@case("FTS restarts", "FTS3 is killed in the middle of copies and starts again", turn=True)
def ftsRestarts(run: Run) -> None:
    ftsStopped(run, forgets=False)


@case("FTS starts empty", "FTS3 is killed in the middle of copies and starts again without its database", turn=True)
def ftsStartsEmpty(run: Run) -> None:
    ftsStopped(run, forgets=True)


def ftsStopped(run: Run, forgets: bool) -> None:
    block, infra = run.block, run.block.testbed.infra
    with run.turn():
        with block.rule("delay", delay_seconds=8):
            block.announce()
            block.until("a copy under way", copying(block), 180)
            infra.control("once", "fts3-standin")
            os.kill(infra.state("fts3-standin").pid, signal.SIGKILL)
            run.ask("during")
            if forgets:
                for path in (run.block.testbed.settings.run / "fts3").glob("fts3_standin.sqlite*"):
                    path.unlink()
            infra.control("up", "fts3-standin")
            block.until("the stand-in answers", lambda: _answers(block), 60, every=1)
        run.over()
    block.waitFor("Done")


def _answers(block: FaultedBlock) -> bool:
    try:
        return bool(block.rules.info())
    except OSError:
        return False


# ---- everybody's


@case("MariaDB killed", "MariaDB is killed while blocks are under way and starts again", turn=True)
def mariadbKilled(run: Run) -> None:
    block, infra = run.block, run.block.testbed.infra
    with run.turn():
        block.announce()
        block.until("a request", requests(block, "Waiting"), 180, every=0.1)
        os.kill(infra.state("mariadb").pid, signal.SIGKILL)
        run.over()
        time.sleep(2)
    run.ask("during")
    block.waitFor("Done")
