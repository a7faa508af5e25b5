"""Announcements from Kafka, in batches, with offsets that are committed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
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
    # A receiver that was killed is missed after this time, and its successor gets its partitions. It is a thread of librdkafka
    # that shows that we live, whatever the main thread waits for. Kafka's own 45 s are for programs that stop for long
    "session.timeout.ms": 10_000,
    # What is fetched ahead is bounded: librdkafka's own limits are 64 MB of messages and 50 MB an answer
    "queued.min.messages": 10_000,
    "queued.max.messages.kbytes": 8_192,
    "fetch.max.bytes": 4_194_304,
    "max.partition.fetch.bytes": 1_048_576,
}
# Announcements have some hundred bytes. If they are huge, the batch is cut, so that it fits into memory several times over.
_MAX_BATCH_BYTES = 16_000_000
_MESSAGES_AT_ONCE = 200
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
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._now = now
        self._topic = topic
        self._component = f"Kafka at {brokers}"
        self._log = gLogger.getSubLogger("KafkaSource")
        self._trouble = ""
        self._topicMissing = False
        self._owned: frozenset[int] = frozenset()
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
        self._consumer.subscribe([topic], on_assign=self._onAssign, on_revoke=self._onRevoke, on_lost=self._onRevoke)

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that are ours now. May be asked from any thread."""
        return self._owned

    def consumeBatch(self, maxMessages: int, fillSeconds: float, idleSeconds: float) -> list[Message]:
        """Up to ``maxMessages``, fewer if they are huge.

        :param fillSeconds: longest wait for others after the first message
        :param idleSeconds: longest wait for the first message
        :raises TemporaryFailure: if there are none and the brokers do not answer
        """
        if self._paused:
            # not the assignment of now: a partition that is lost while it is paused would come back paused
            self._consumer.resume([TopicPartition(*partition) for partition in self._paused])
            self._paused = set()
        if self._trouble:
            self._probe(min(_PROBE_SECONDS, max(1.0, idleSeconds)))
        messages, self._early = self._early, []
        try:
            self._fill(messages, maxMessages, fillSeconds, idleSeconds)
        except KafkaException as exc:
            self._early = messages
            raise TemporaryFailure(self._component, str(exc)) from exc
        # a rebalance inside consume() may have taken what stood in the list before it
        messages = self.stillOwned(messages)
        if not messages and self._trouble:
            raise TemporaryFailure(self._component, self._trouble)
        return messages

    def _fill(self, messages: list[Message], maxMessages: int, fillSeconds: float, idleSeconds: float) -> None:
        """Add what comes: the first message ends the long wait, so that one that comes alone is not kept waiting."""
        sizeBytes = sum(len(message.payload) for message in messages)
        if not messages:
            first = self._keep(self._consumer.consume(1, idleSeconds))
            messages += first
            if not first:
                return
            sizeBytes = len(first[0].payload)
        end = self._now() + fillSeconds
        while len(messages) < maxMessages and sizeBytes < _MAX_BATCH_BYTES:
            # few at once where they are huge, since a call cannot be told to stop at a number of bytes
            fitting = max(1, int((_MAX_BATCH_BYTES - sizeBytes) * len(messages) / max(1, sizeBytes)))
            wanted = min(maxMessages - len(messages), _MESSAGES_AT_ONCE, fitting)
            raw = self._consumer.consume(wanted, max(0.0, end - self._now()))
            more = self._keep(raw)
            messages += more
            sizeBytes += sum(len(message.payload) for message in more)
            if len(raw) < wanted:
                return

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
        return [message for message in messages if message.position in self._uncommitted]

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
        self._uncommitted.difference_update(message.position for message in messages)

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
            self._uncommitted.add(message.position)
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

    def _onAssign(self, _consumer: Any, partitions: Sequence[Any]) -> None:
        self._owned |= {partition.partition for partition in partitions}

    def _onRevoke(self, _consumer: Any, partitions: Sequence[Any]) -> None:
        self._owned -= {partition.partition for partition in partitions}
        taken = {(partition.topic, partition.partition) for partition in partitions}
        self._uncommitted = {position for position in self._uncommitted if position[:2] not in taken}
        self._early = self.stillOwned(self._early)
