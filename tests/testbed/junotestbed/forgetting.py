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
