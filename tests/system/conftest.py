"""What the system tests share: typing commands, and one demo whose outcome several tests look at."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/testbed"
Command = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="session")
def command(testbed) -> Command:
    """Types ``scripts/testbed ...`` and gives what it said; ``output`` has both streams in the order of a terminal."""

    def typed(
        *words: str, typing: str = "", timeoutSeconds: float = 120, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [str(SCRIPT), *words],
            input=typing,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeoutSeconds,
        )
        done.output = done.stdout
        return done

    return typed


@pytest.fixture(scope="session")
def catalogueSizes(command) -> Callable[[], str]:
    """Types the listing of sizes that a demo ends with."""

    def typed() -> str:
        lines = "size -l /juno/raw\nsize -l /juno/rtraw\nexit\n"
        return command("exec", "dirac-dms-filecatalog-cli", "-f", "FileCatalog", typing=lines).output

    return typed


@pytest.fixture(scope="session")
def demo(testbed, command, catalogueSizes):
    """A small demo: its exit status and output, the sizes in the catalogue before it, and the seconds that it took.

    What earlier tests left on the way comes to its end first, so that the catalogue grows by the demo alone.
    """
    from junotestbed.demo import block_status

    end = time.monotonic() + 120
    while time.monotonic() < end and any(not s["Complete"] for b in block_status(testbed.settings) for s in b["Sites"]):
        time.sleep(3)
    before, started = catalogueSizes(), time.monotonic()
    done = command("demo", "--blocks", "1", "--files", "4", "--size", "50k", timeoutSeconds=400)
    done.before, done.seconds = before, time.monotonic() - started
    return done


@pytest.fixture(scope="module")
def noTransfers(testbed) -> Iterator[list[str]]:
    """Free days for the files of a module that are never copied: nobody makes transfer tasks of them, or attaches them later.

    Nobody is alarmed either. At the end the days are taken out of the ledger, with all that tells of the module's topics, and
    their transfers are stopped.
    """
    from junotestbed.announcer import freeBlocks
    from junotestbed.forgetting import forgetBlock, forgetTopics
    from junotestbed.observe import Database

    database = Database(testbed)
    agents = ("Transformation_TransformationAgent", "Transformation_InputDataAgent", "RawData_IngestWatchAgent")
    testbed.dirac.control("down", *agents, wait=30)
    days, started = freeBlocks(database, 100), datetime.now(UTC)
    everyDay = list(days)
    try:
        yield days
    finally:
        for day in everyDay:
            forgetBlock(database, day)
        forgetTopics(testbed, database, started)
        testbed.dirac.control("up", *agents)
