"""Announcements from Kafka, in batches, with offsets that are committed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from DIRAC import gLogger

from JUNODIRAC.Core.Logic.Ports import Message, TemporaryFailure

# What our own options must be, whatever the configuration says: an offset is committed only after the outcome of its
# message is durable, and a group that starts for the first time must see every announcement that the topic still has.
_FIXED = {"enable.auto.commit": False, "enable.auto.offset.store": False, "auto.offset.reset": "earliest"}
_DEFAULTS = {
    "client.id": "junodirac",
    # a topic that does not exist yet is noticed within this time of its creation
    "topic.metadata.refresh.interval.ms": 10_000,
    # librdkafka writes to stderr; what it has to say comes as errors too, and those we log
    "log_level": 2,
}
_HARMLESS = frozenset({KafkaError._PARTITION_EOF, KafkaError._MAX_POLL_EXCEEDED})
_NO_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})
_PROBE_SECONDS = 5.0


class KafkaSource:
    """A consumer of one topic.

    Not thread-safe. Rebalances happen inside :meth:`consumeBatch` and :meth:`keepAlive` only; :meth:`stillOwned` tells
    afterwards which messages are still ours.

    :param brokers: bootstrap servers, ``host:port`` separated by commas
    :param groupID: consumer group; its committed offsets are where a restart goes on
    :param options: further librdkafka options, for example for TLS and SASL
    :param consumerFactory: makes a confluent_kafka Consumer of a configuration
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        groupID: str,
        options: Mapping[str, str] | None = None,
        consumerFactory: Callable[[dict[str, Any]], Any] = Consumer,
    ) -> None:
        self._topic = topic
        self._component = f"Kafka at {brokers}"
        self._log = gLogger.getSubLogger("KafkaSource")
        self._trouble = ""
        self._topicMissing = False
        self._uncommitted: set[tuple[str, int, int]] = set()
        self._early: list[Message] = []
        self._paused: set[tuple[str, int]] = set()
        configuration = {
            **_DEFAULTS,
            **(options or {}),
            **_FIXED,
            "bootstrap.servers": brokers,
            "group.id": groupID,
            "error_cb": self._onError,
        }
        self._consumer = consumerFactory(configuration)
        self._consumer.subscribe([topic], on_revoke=self._onRevoke, on_lost=self._onRevoke)

    def consumeBatch(self, maxMessages: int, timeoutSeconds: float) -> list[Message]:
        """Up to ``maxMessages``, waiting at most ``timeoutSeconds`` for them to fill up.

        :raises TemporaryFailure: if there are none and the brokers do not answer
        """
        if self._paused:
            # not the assignment of now: a partition that is lost while it is paused would come back paused
            self._consumer.resume([TopicPartition(*partition) for partition in self._paused])
            self._paused = set()
        if self._trouble:
            self._probe(min(_PROBE_SECONDS, max(1.0, timeoutSeconds)))
        messages, self._early = self._early, []
        if len(messages) < maxMessages:
            try:
                raw = self._consumer.consume(maxMessages - len(messages), timeoutSeconds)
            except KafkaException as exc:
                self._early = messages
                raise TemporaryFailure(self._component, str(exc)) from exc
            messages += self._keep(raw)
        # a rebalance inside consume() may have taken what stood in the list before it
        messages = self.stillOwned(messages)
        if not messages and self._trouble:
            raise TemporaryFailure(self._component, self._trouble)
        return messages

    def keepAlive(self) -> None:
        """Stay a member of the group without taking messages, while a batch waits to be tried again.

        A member that does not poll for max.poll.interval.ms (5 minutes) loses its partitions.
        """
        assignment = self._consumer.assignment()
        self._consumer.pause(assignment)
        self._paused |= {(partition.topic, partition.partition) for partition in assignment}
        message = self._consumer.poll(0)
        if message is not None:
            # partitions that were assigned by this very poll were not paused yet
            self._early += self._keep([message])

    def stillOwned(self, messages: Sequence[Message]) -> list[Message]:
        """Those messages whose partition was not taken from us since they came; the others come again, to its new owner."""
        return [message for message in messages if _position(message) in self._uncommitted]

    def commit(self, messages: Sequence[Message]) -> None:
        """Commit the offsets after these messages, and wait until the brokers have them.

        :raises TemporaryFailure: if they do not confirm; the messages would come again after a restart
        """
        ends: dict[tuple[str, int], int] = {}
        for message in self.stillOwned(messages):
            key = (message.topic, message.partition)
            ends[key] = max(ends.get(key, 0), message.offset + 1)
        if not ends:
            return
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in ends.items()]
        try:
            for confirmed in self._consumer.commit(offsets=offsets, asynchronous=False) or ():
                if confirmed.error:
                    raise TemporaryFailure(self._component, f"offset of {confirmed.topic}: {confirmed.error}")
        except KafkaException as exc:
            raise TemporaryFailure(self._component, f"offsets not committed: {exc}") from exc
        self._uncommitted.difference_update(_position(message) for message in messages)

    def close(self) -> None:
        """Leave the group, so that another member takes over at once."""
        self._consumer.close()

    # ---------------------------------------------------------------- details

    def _keep(self, raw: Sequence[Any]) -> list[Message]:
        """Our messages of Kafka's; what came as an error is noted."""
        messages = []
        for item in raw:
            if item.error():
                self._onError(item.error())
                continue
            self._topicMissing = False
            message = Message(item.topic(), item.partition(), item.offset(), item.value() or b"", item.key())
            self._uncommitted.add(_position(message))
            messages.append(message)
        return messages

    def _onError(self, error: Any) -> None:
        if error.code() in _HARMLESS:
            self._log.verbose("Kafka", error.str())
        elif error.code() in _NO_TOPIC:
            if not self._topicMissing:
                self._log.warn("Topic does not exist yet, waiting for it", self._topic)
            self._topicMissing = True
        elif error.code() == KafkaError._TRANSPORT and not error.fatal():
            # one broker of several; when it is all of them, _ALL_BROKERS_DOWN comes too
            self._log.verbose("Kafka broker", error.str())
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._trouble = "no broker answers"  # librdkafka's own text is "0/2 brokers are down"
        else:
            self._trouble = error.str()

    def _probe(self, timeoutSeconds: float) -> None:
        """Ask the brokers for something, since librdkafka tells when they go away but not when they are back."""
        try:
            self._consumer.list_topics(self._topic, timeout=timeoutSeconds)
        except KafkaException as exc:
            raise TemporaryFailure(self._component, f"{self._trouble}: {exc.args[0].str()}") from exc
        self._trouble = ""

    def _onRevoke(self, _consumer: Any, partitions: Sequence[Any]) -> None:
        taken = {(partition.topic, partition.partition) for partition in partitions}
        self._uncommitted = {position for position in self._uncommitted if position[:2] not in taken}
        self._early = self.stillOwned(self._early)


def _position(message: Message) -> tuple[str, int, int]:
    return (message.topic, message.partition, message.offset)
