"""For tests: what the testbed's commands, catalogue, topics and databases say, and waiting for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from junotestbed.demo import block_status
from junotestbed.settings import SITES
from junotestbed.traffic import MadeFile

_CATALOGUE_ATTEMPTS = 10
DESTINATIONS = tuple(site.se for site in SITES[1:])


def waitUntil(what: str, condition: Callable[[], bool], timeoutSeconds: float) -> float:
    """Seconds until the condition held; an AssertionError after the timeout."""
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        if waited > timeoutSeconds:
            raise AssertionError(f"after {waited:.0f} s still not: {what}")
        time.sleep(1)
    return time.monotonic() - started


def unpack(result: dict):
    """The value of a DIRAC answer."""
    assert result["OK"], result.get("Message")
    return result["Value"]


def sites(testbed, typeName: str, block: str) -> dict[str, dict]:
    """The block's sites by SE, as the command shows them; empty as long as the block is not known."""
    for row in block_status(testbed.settings):
        if (row["Type"], row["Block"]) == (typeName, block):
            return {site["SE"]: site for site in row["Sites"]}
    return {}


def isComplete(testbed, typeName: str, block: str, files: int, ses: Sequence[str] = DESTINATIONS) -> bool:
    found = sites(testbed, typeName, block)
    return all(se in found and found[se]["Complete"] and found[se]["Files"] == files for se in ses)


def replicasOf(files: Sequence[MadeFile]) -> dict[str, set[str]]:
    from DIRAC.Resources.Catalog.FileCatalog import FileCatalog

    # after its database was away the catalogue fails once for each of its connections
    for _ in range(_CATALOGUE_ATTEMPTS):
        result = FileCatalog().getReplicas([file.lfn for file in files])
        if result["OK"]:
            break
        time.sleep(1)
    answer = unpack(result)
    return {lfn: set(replicas) for lfn, replicas in answer["Successful"].items()}


def committedOffsets(testbed, topic: str, group: str) -> dict[int, tuple[int, int]]:
    """Committed offset and end of each partition."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": testbed.settings.kafka_brokers, "group.id": group, "log_level": 2})
    try:
        partitions = [
            TopicPartition(topic, number) for number in consumer.list_topics(topic, timeout=20).topics[topic].partitions
        ]
        committed = consumer.committed(partitions, timeout=20)
        return {p.partition: (max(p.offset, 0), consumer.get_watermark_offsets(p, timeout=20)[1]) for p in committed}
    finally:
        consumer.close()


def waitingOf(testbed, topic: str) -> int:
    """How many announcements of a topic wait for their file."""
    return Database(testbed).rows("RawDataDB", "SELECT COUNT(*) FROM Waiting WHERE Topic = %s", topic)[0][0]


def allConsumed(testbed, topic: str = "juno.raw", group: str = "junodirac-Raw") -> bool:
    return all(committed == end for committed, end in committedOffsets(testbed, topic, group).values())


def readTopic(testbed, topic: str) -> list:
    """All messages of a topic from its beginning to its present end; none if there is no such topic."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": testbed.settings.kafka_brokers, "group.id": "junotestbed-reader",
                         "enable.auto.commit": False, "auto.offset.reset": "earliest", "log_level": 2})  # fmt: skip
    try:
        known = consumer.list_topics(timeout=20).topics.get(topic)
        partitions = [TopicPartition(topic, number, 0) for number in known.partitions] if known else []
        ends = {p.partition: consumer.get_watermark_offsets(p, timeout=20) for p in partitions}
        consumer.assign([TopicPartition(topic, p.partition, ends[p.partition][0]) for p in partitions])
        messages: list = []
        while sum(high - low for low, high in ends.values()) > len(messages):
            found = [message for message in consumer.consume(1000, 10) if not message.error()]
            assert found, f"{topic} has fewer messages than it says"
            messages += found
        return messages
    finally:
        consumer.close()


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
