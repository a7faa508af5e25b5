"""Takes what tests made out of the databases again, so that the tests after them find the testbed as it was."""

from __future__ import annotations

from datetime import datetime

from junotestbed.faults import TOPIC_PREFIX


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


def forgetChain(database, production: str) -> None:
    """Stop a chain and take it out of the ledger; its outputs stay where they are."""
    stop = (
        "UPDATE Transformations t JOIN AdditionalParameters p USING (TransformationID) SET t.Status = 'Stopped'"
        " WHERE p.ParameterName = 'Chain' AND p.ParameterValue = %s"
    )
    database.rows("TransformationDB", stop, production)
    tables = (
        "SELECT TABLE_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'RawDataDB' AND COLUMN_NAME = 'ChainID'"
        " ORDER BY TABLE_NAME = 'Chains'"
    )
    for (chainID,) in database.rows("RawDataDB", "SELECT ChainID FROM Chains WHERE Production = %s", production):
        for (table,) in database.rows("RawDataDB", tables):
            database.rows("RawDataDB", f"DELETE FROM {table} WHERE ChainID = %s", chainID)


def forgetFlags(database, runs) -> None:
    """What was said of these runs."""
    for run in runs:
        database.rows("RawDataDB", "DELETE FROM RunQuality WHERE RunNumber = %s", run)


def forgetTopics(testbed, database, started: datetime) -> None:
    """Take away the topics that receivers were moved to, and what the ledger keeps of them."""
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": testbed.settings.kafka_brokers})
    topics = [name for name in client.list_topics(timeout=20).topics if name.startswith(TOPIC_PREFIX)]
    for future in (client.delete_topics(topics) if topics else {}).values():
        future.result(30)
    for table in ("Quarantine", "Waiting"):
        database.rows("RawDataDB", f"DELETE FROM {table} WHERE Topic LIKE %s", f"{TOPIC_PREFIX}%")
    database.rows("RawDataDB", "DELETE FROM IngestRates WHERE Minute >= %s", started.replace(second=0, microsecond=0))
    database.rows("RawDataDB", "DELETE FROM Receivers WHERE Instance LIKE %s", "%SecondReceiverAgent")
