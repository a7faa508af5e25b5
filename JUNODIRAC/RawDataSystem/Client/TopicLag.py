"""How far the receivers are behind: committed offsets of their consumer groups against the ends of the topics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure

_DEFAULTS = {"client.id": "junodirac-lag", "log_level": 2}
# it never subscribes, so the group's members do not notice it; and it must not create what it only asks for
_FIXED = {"enable.auto.commit": False, "allow.auto.create.topics": False}


class TopicLag:
    """Asks Kafka, without being a member of the groups.

    :param brokers: bootstrap servers, ``host:port`` separated by commas
    :param options: further librdkafka options
    :param timeoutSeconds: for each question
    :param consumerFactory: makes a confluent_kafka Consumer of a configuration
    """

    def __init__(
        self,
        brokers: str,
        options: Mapping[str, Any] | None = None,
        timeoutSeconds: float = 10.0,
        consumerFactory: Callable[[dict[str, Any]], Any] = Consumer,
    ) -> None:
        self._brokers = brokers
        self._options = dict(options or {})
        self._timeoutSeconds = timeoutSeconds
        self._consumerFactory = consumerFactory

    def ofGroup(self, topic: str, group: str) -> dict[str, Any]:
        """Lag of a group on a topic, in messages.

        :returns: Topic, Group, Lag, and Partitions with Partition, Committed (None: nothing yet), End and Lag
        :raises TemporaryFailure: if Kafka does not answer
        """
        configuration = {**_DEFAULTS, **self._options, **_FIXED, "bootstrap.servers": self._brokers, "group.id": group}
        consumer = self._consumerFactory(configuration)
        try:
            partitions = self._partitions(consumer, topic)
        except KafkaException as exc:
            raise TemporaryFailure(f"Kafka at {self._brokers}", exc.args[0].str()) from exc
        finally:
            consumer.close()
        return {"Topic": topic, "Group": group, "Lag": sum(each["Lag"] for each in partitions), "Partitions": partitions}

    def _partitions(self, consumer: Any, topic: str) -> list[dict[str, Any]]:
        metadata = consumer.list_topics(topic, timeout=self._timeoutSeconds).topics.get(topic)
        if metadata is None or metadata.error:
            return []  # not created yet: nothing was announced
        wanted = [TopicPartition(topic, number) for number in sorted(metadata.partitions)]
        found = []
        for partition in consumer.committed(wanted, timeout=self._timeoutSeconds):
            if partition.error:
                raise KafkaException(partition.error)
            low, end = consumer.get_watermark_offsets(partition, timeout=self._timeoutSeconds)
            committed = partition.offset if partition.offset >= 0 else None
            # what the topic no longer keeps cannot be received any more
            lag = end - max(low, committed or 0)
            found.append({"Partition": partition.partition, "Committed": committed, "End": end, "Lag": max(0, lag)})
        return found
