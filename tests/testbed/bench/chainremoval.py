"""Takes the chains of the benchmark out of all databases again, with their jobs."""

from __future__ import annotations

from typing import Any

from bench.blockremoval import TRANSFORMATIONS, TYPE_NAME

_CHAINS = f"SELECT ChainID AS ID FROM RawDataDB.Chains WHERE Type = '{TYPE_NAME}'"
_JOBS = f"SELECT j.JobID AS ID FROM JobDB.Jobs j JOIN ({TRANSFORMATIONS}) t ON j.JobGroup = LPAD(t.ID, 8, '0')"
_PRODUCTIONS = f"SELECT ProductionID AS ID FROM ProductionDB.Productions WHERE ProductionName LIKE '{TYPE_NAME}-%'"

# table, its column, and the ids in it whose rows go, in this order
_ROWS = (
    ("JobLoggingDB.LoggingInfo", "JobID", _JOBS),
    ("TaskQueueDB.tq_Jobs", "JobId", _JOBS),
    *(("JobDB." + table, "JobID", _JOBS) for table in ("JobJDLs", "InputData", "OptimizerParameters", "Jobs")),
    *(
        ("ProductionDB." + table, "ProductionID", _PRODUCTIONS)
        for table in ("ProductionTransformationLinks", "ProductionTransformations", "Productions")
    ),
    *(
        ("RawDataDB." + table, "ChainID", _CHAINS)
        for table in (
            "ChainInputs", "ChainStreams", "ChainBlocks", "Attempts", "Products", "Derivations", "Recoveries", "Audits",
            "ChainSteps",
        )
    ),
)  # fmt: skip


def removeChains(cursor: Any) -> None:
    """Delete every row of chains over the benchmark's Type; their transformations go with its blocks."""
    cursor.execute("SET SESSION foreign_key_checks = 0")
    for table, key, wanted in _ROWS:
        # the ids first: the rows that say which they are may be among those that go
        cursor.execute(f"CREATE TEMPORARY TABLE RawDataDB.BenchGone AS {wanted}")
        cursor.execute(f"DELETE t FROM {table} t JOIN RawDataDB.BenchGone w ON w.ID = t.{key}")
        cursor.execute("DROP TEMPORARY TABLE RawDataDB.BenchGone")
        cursor.connection.commit()
    cursor.execute(f"DELETE FROM RawDataDB.Chains WHERE Type = '{TYPE_NAME}'")
    cursor.connection.commit()
