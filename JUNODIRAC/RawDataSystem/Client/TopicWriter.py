"""Writes messages to a topic and knows of each whether Kafka has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from confluent_kafka import KafkaException, Producer

_DEFAULTS = {"client.id": "junodirac-desk", "log_level": 2}
# What a message's confirmation means must not depend on the configuration: all in-sync replicas have it, once.
_FIXED = {"enable.idempotence": True, "acks": "all"}
_NOT_CONFIRMED = "Kafka did not confirm it in time; if it arrived nevertheless, a repetition is a Duplicate and does no harm"


@dataclass(frozen=True)
class OutgoingMessage:
    """A message to be written; ``name`` is what the caller knows it by."""

    name: str
    payload: bytes
    key: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Written:
    """Which messages Kafka confirmed, with ``topic/partition/offset``, and why the others were not written. By name."""

    confirmed: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


class TopicWriter:
    """A producer for changes by hand: it lives for one call and leaves nothing in a queue.

    :param brokers: bootstrap servers, ``host:port`` separated by commas
    :param options: further librdkafka options
    :param timeoutSeconds: until a message that Kafka has not confirmed counts as not written
    :param producerFactory: makes a confluent_kafka Producer of a configuration
    """

    def __init__(
        self,
        brokers: str,
        options: Mapping[str, Any] | None = None,
        timeoutSeconds: float = 20.0,
        producerFactory: Callable[[dict[str, Any]], Any] = Producer,
    ) -> None:
        self._brokers = brokers
        self._options = dict(options or {})
        self._timeoutSeconds = timeoutSeconds
        self._producerFactory = producerFactory

    def write(self, topic: str, messages: Sequence[OutgoingMessage]) -> Written:
        """Write the messages in their order, and wait for Kafka's word on each of them."""
        configuration = {
            **_DEFAULTS,
            **self._options,
            **_FIXED,
            "bootstrap.servers": self._brokers,
            "message.timeout.ms": int(self._timeoutSeconds * 1000),
        }
        written = Written()
        producer = self._producerFactory(configuration)
        for message in messages:
            self._produce(producer, topic, message, written)
        producer.flush(self._timeoutSeconds + 5)
        # what is still on its way must not arrive after we have said that it did not
        producer.purge()
        producer.flush(1)
        for message in messages:
            if message.name not in written.confirmed:
                written.failed.setdefault(message.name, _NOT_CONFIRMED)
        return written

    def _produce(self, producer: Any, topic: str, message: OutgoingMessage, written: Written) -> None:
        headers = [(name, value.encode()) for name, value in message.headers.items()]
        arguments = {"key": message.key, "headers": headers, "on_delivery": partial(_note, written, message.name)}
        try:
            try:
                producer.produce(topic, message.payload, **arguments)
            except BufferError:  # the local queue is full: make room
                producer.flush(self._timeoutSeconds)
                producer.produce(topic, message.payload, **arguments)
            producer.poll(0)
        except (BufferError, KafkaException) as exc:
            written.failed[message.name] = f"Kafka at {self._brokers}: {exc}"


def _note(written: Written, name: str, error: Any, message: Any) -> None:
    if error:
        written.failed[name] = f"{error.str()}; {_NOT_CONFIRMED}"
    else:
        written.confirmed[name] = f"{message.topic()}/{message.partition()}/{message.offset()}"
