"""Status messages and dead letters: what became of each announcement, for those who follow the topics."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from DIRAC import gLogger

from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Ports import Message, QuarantinedMessage, StatusMessage, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.KafkaConfiguration import KafkaConfiguration

_DEFAULTS = {
    "client.id": "junodirac-status",
    "log_level": 2,
    "compression.type": "lz4",
    # a dead letter is larger than the message that it brings, by its headers; the brokers have the last word
    "message.max.bytes": 10_000_000,
    "queue.buffering.max.messages": 20_000,
    "queue.buffering.max.kbytes": 32_768,
    # a topic that was made a moment ago is seen within this time
    "topic.metadata.refresh.interval.ms": 10_000,
    "topic.metadata.propagation.max.ms": 5_000,
}
# What a confirmation means must not depend on the configuration: all in-sync replicas have the message, once.
_FIXED = {"enable.idempotence": True, "acks": "all"}
_NO_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})
_NOT_ALLOWED = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED})
_MAX_DETAIL_CHARS = 2000
# a signal's handler runs between two of these waits
_SLICE_SECONDS = 0.5


class StatusSender:
    """Implements :class:`JUNODIRAC.Core.Logic.Ports.Announcer` with one idempotent producer.

    :param policy: its StatusTopic and DeadLetterTopic are written to
    :param timeoutSeconds: until a message that Kafka has not confirmed is a failure
    :param producerFactory: makes a confluent_kafka Producer of a configuration
    :param now: the time, UTC
    """

    def __init__(
        self,
        policy: TypePolicy,
        kafka: KafkaConfiguration,
        timeoutSeconds: float = 10.0,
        producerFactory: Callable[[dict[str, Any]], Any] = Producer,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._policy = policy
        self._component = f"Kafka at {kafka.brokers}"
        self._timeoutSeconds = timeoutSeconds
        self._producerFactory = producerFactory
        self._now = now
        self._log = gLogger.getSubLogger("StatusSender")
        self._configuration = {
            **_DEFAULTS,
            **_producerOptions(kafka),
            **_FIXED,
            "bootstrap.servers": kafka.brokers,
            "delivery.timeout.ms": int(timeoutSeconds * 1000),
            "error_cb": lambda error: self._log.verbose("Kafka", error.str()),
        }
        self._producer: Any = None

    def send(self, statuses: Sequence[StatusMessage], deadLetters: Sequence[QuarantinedMessage]) -> None:
        """See :meth:`Ports.Announcer.send`."""
        if not statuses and not deadLetters:
            return
        if self._producer is None:
            self._producer = self._producerFactory(self._configuration)
        delivery = _Delivery()
        time = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            for status in statuses:
                self._produce(self._policy.statusTopic, statusPayload(status, time), status.message, (), delivery.onStatus)
            for letter in deadLetters:
                headers = deadLetterHeaders(letter, time)
                topic, message = self._policy.deadLetterTopic, letter.message
                self._produce(topic, message.payload, message, headers, delivery.onLetter(message))
            self._waitFor(delivery)
        except TemporaryFailure:
            # its queue may hold messages of this call, and after a fatal error it takes none any more
            self._discardProducer()
            raise
        for message in delivery.tooLarge:
            place = f"{message.topic}[{message.partition}]@{message.offset}"
            self._log.error(
                "A dead letter is larger than the brokers take",
                f"{place}, {len(message.payload)} bytes, is in the quarantine alone; raise max.message.bytes of "
                f"{self._policy.deadLetterTopic}",
            )

    # ---- details

    def _produce(self, topic: str, payload: bytes, message: Message, headers: Any, onDelivery: Any) -> None:
        end = monotonic() + self._timeoutSeconds
        while True:
            try:
                self._producer.produce(topic, payload, key=message.key, headers=list(headers), on_delivery=onDelivery)
            except BufferError:  # the queue, which is bounded, is full: wait until some are out
                self._producer.poll(0.1)
                if monotonic() > end:
                    raise TemporaryFailure(self._component, f"{topic}: its queue stays full") from None
            except KafkaException as exc:
                error = exc.args[0]
                if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    onDelivery(error, None)
                    return
                raise TemporaryFailure(self._component, f"{topic}: {error.str()}") from exc
            else:
                return

    def _waitFor(self, delivery: _Delivery) -> None:
        # the producer itself gives a message up after its time; the rest is for that to happen
        end = monotonic() + self._timeoutSeconds + 5
        while self._producer.flush(_SLICE_SECONDS):
            if monotonic() > end:
                raise TemporaryFailure(self._component, "it did not confirm status messages in time")
        if delivery.error is not None:
            raise TemporaryFailure(self._component, self._explain(delivery))

    def _explain(self, delivery: _Delivery) -> str:
        topic, error = delivery.topic, delivery.error
        text = f"{delivery.failures} status message(s) not confirmed: {topic}: {error.str()}"
        if error.code() in _NO_TOPIC:
            return f"{text}; make the topic {topic}, or let the brokers make topics (auto.create.topics.enable)"
        if error.code() in _NOT_ALLOWED:
            return f"{text}; allow the receiver's Kafka user to write to it"
        if error.code() == KafkaError._MSG_TIMED_OUT:
            return f"{text}; if the brokers answer, see whether the topic {topic} exists and has a leader"
        return text

    def _discardProducer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.flush(0)


class _Delivery:
    """The brokers' word on the messages of one call."""

    def __init__(self) -> None:
        self.error: Any = None
        self.topic = ""
        self.failures = 0
        self.tooLarge: list[Message] = []

    def onStatus(self, error: Any, message: Any) -> None:
        if error is not None:
            self.failures += 1
            if self.error is None:
                self.error, self.topic = error, message.topic() if message is not None else "a status"

    def onLetter(self, letter: Message) -> Callable[[Any, Any], None]:
        def note(error: Any, message: Any) -> None:
            # it is in the quarantine byte for byte; waiting would not make it smaller, and would hold up all others
            if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                self.tooLarge.append(letter)
            else:
                self.onStatus(error, message)

        return note


def statusPayload(status: StatusMessage, time: str) -> bytes:
    """The JSON of a status message.

    :param time: of the status message, ISO 8601
    """
    message, file, reason, end = status.message, status.file, status.reason, status.end
    content: dict[str, Any] = {
        "Status": str(status.status),
        "FileName": status.fileName or (file.fileName if file else ""),
        "LFN": file.lfn if file else None,
        "Type": status.typeName,
        "Block": file.block if file else end.block if end else None,
    }
    if end is not None:
        content["FileCount"] = end.fileCount
    if reason is not None:
        detail = status.detail[:_MAX_DETAIL_CHARS]
        content |= {"Reason": str(reason), "Sentence": reason.sentence, "Detail": detail, "Remedy": reason.remedy}
    content |= {"Time": time, "Topic": message.topic, "Partition": message.partition, "Offset": message.offset}
    # ASCII, because an announcement may hold halves of surrogate pairs, which UTF-8 cannot write
    return json.dumps(content).encode("ascii")


def deadLetterHeaders(letter: QuarantinedMessage, time: str) -> list[tuple[str, bytes]]:
    """Where a dead letter comes from and why it is there."""
    message = letter.message
    headers = {
        "origin-topic": message.topic,
        "origin-partition": str(message.partition),
        "origin-offset": str(message.offset),
        "reason": str(letter.reason),
        "detail": letter.detail[:_MAX_DETAIL_CHARS],
        "time": time,
    }
    return [(name, value.encode("utf-8", "backslashreplace")) for name, value in headers.items()]


def _producerOptions(kafka: KafkaConfiguration) -> dict[str, str]:
    """The shared options, without those that only a consumer has and that make a producer complain."""
    consumerOnly = ("fetch.", "queued.", "session.", "heartbeat.", "max.poll.", "group.", "auto.", "partition.assignment.")
    return {
        name: value
        for name, value in kafka.options.items()
        if not name.startswith(consumerOnly) and name not in ("isolation.level", "check.crcs", "client.id")
    }
