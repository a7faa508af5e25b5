"""What the integration tests share: fresh blocks, waiting, and the state of everything that must not change by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import pytest


@pytest.fixture
def freshDay(testbed) -> str:
    """A day on which no block exists yet, YYYYMMDD."""
    from junotestbed.demo import block_status

    known = {block["Block"] for block in block_status(testbed.settings)}
    day = date(2031, 1, 1)
    while day.strftime("%Y%m%d") in known:
        day += timedelta(days=1)
    return day.strftime("%Y%m%d")


def waitUntil(what: str, condition: Callable[[], bool], timeoutSeconds: float) -> float:
    """Seconds until the condition held; fails the test after the timeout."""
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        if waited > timeoutSeconds:
            pytest.fail(f"after {waited:.0f} s still not: {what}")
        time.sleep(1)
    return time.monotonic() - started


def unpack(result: dict):
    """The value of a DIRAC answer."""
    assert result["OK"], result.get("Message")
    return result["Value"]


@dataclass(frozen=True)
class Database:
    """Reads the testbed's databases directly: what is in the tables is the outcome, whatever the services say."""

    testbed: object

    def rows(self, database: str, query: str, *values: object) -> list[tuple]:
        import MySQLdb

        settings = self.testbed.settings
        connection = MySQLdb.connect(
            host="127.0.0.1",
            port=settings.port("mariadb"),
            user="Dirac",
            passwd=settings.choices.database_password,
            db=database,
            autocommit=True,
        )
        try:
            cursor = connection.cursor()
            cursor.execute(query, values)
            return [tuple(row) for row in cursor.fetchall()]
        finally:
            connection.close()

    def custody(self) -> dict[str, list[tuple]]:
        """Everything that says which files there are and where, without times of last updates."""
        columns = "DirectoryID, FileName, State, SizeBytes, Checksum, KafkaOffset, RegisteredTime"
        queries = {
            "ledger": ("RawDataDB", f"SELECT {columns} FROM Files ORDER BY 1, 2"),
            "quarantine": ("RawDataDB", "SELECT Topic, KafkaPartition, KafkaOffset, Reason FROM Quarantine ORDER BY 1, 2, 3"),
            "blocks": ("RawDataDB", "SELECT BlockID, SE, TransformationID FROM BlockTransfers ORDER BY 1, 2"),
            "catalogue": ("FileCatalogDB", "SELECT DirID, FileName, Size FROM FC_Files ORDER BY 1, 2"),
            "replicas": ("FileCatalogDB", "SELECT FileID, SEID FROM FC_Replicas ORDER BY 1, 2"),
            "transformations": (
                "TransformationDB",
                "SELECT TransformationID, FileID, Status FROM TransformationFiles ORDER BY 1, 2",
            ),
            "tasks": ("TransformationDB", "SELECT TransformationID, TaskID FROM TransformationTasks ORDER BY 1, 2"),
        }
        return {name: self.rows(*query) for name, query in queries.items()}


@pytest.fixture
def database(testbed) -> Database:
    return Database(testbed)
