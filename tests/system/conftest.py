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


def forgetBlock(database, block: str) -> None:
    """Stop the transfers of a block of small test files and of its follow-up blocks, and take them out of the ledger."""
    late = database.rows("RawDataDB", "SELECT Block FROM Blocks WHERE Block LIKE %s", f"{block}-late%")
    for (name,) in late:
        forgetBlock(database, name)
    stop = "UPDATE Transformations SET Status = 'Stopped' WHERE Description LIKE %s"
    database.rows("TransformationDB", stop, f"%block {block} to %")
    blocks = "SELECT BlockID FROM Blocks WHERE Block = %s"
    directories = f"SELECT DirectoryID FROM Directories WHERE BlockID IN ({blocks})"
    for table, condition in (
        ("Files", f"DirectoryID IN ({directories})"),
        ("Runs", f"DirectoryID IN ({directories})"),
        ("Directories", f"BlockID IN ({blocks})"),
        ("LateFiles", f"BlockID IN ({blocks})"),
        ("BlockEvents", f"BlockID IN ({blocks})"),
        ("BlockTransfers", f"BlockID IN ({blocks})"),
        ("Blocks", "Block = %s"),
    ):
        database.rows("RawDataDB", f"DELETE FROM {table} WHERE {condition}", block)


def forgetTopics(testbed, database, started: datetime) -> None:
    """Take away the topics that receivers were moved to, and what the ledger keeps of them."""
    from confluent_kafka.admin import AdminClient
    from junotestbed.faults import TOPIC_PREFIX

    client = AdminClient({"bootstrap.servers": testbed.settings.kafka_brokers})
    topics = [name for name in client.list_topics(timeout=20).topics if name.startswith(TOPIC_PREFIX)]
    for future in (client.delete_topics(topics) if topics else {}).values():
        future.result(30)
    for table in ("Quarantine", "Waiting"):
        database.rows("RawDataDB", f"DELETE FROM {table} WHERE Topic LIKE %s", f"{TOPIC_PREFIX}%")
    database.rows("RawDataDB", "DELETE FROM IngestRates WHERE Minute >= %s", started.replace(second=0, microsecond=0))
    database.rows("RawDataDB", "DELETE FROM Receivers WHERE Instance LIKE %s", "%SecondReceiverAgent")
