"""What the system tests share: typing commands, and one demo whose outcome several tests look at."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
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
