"""How the service asks Kafka for lag and writes messages to it; Kafka itself is played."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.TopicLag import TopicLag
from JUNODIRAC.RawDataSystem.Client.TopicWriter import OutgoingMessage, TopicWriter


class PlayedConsumer:
    """Committed offset and (low, end) by partition."""

    def __init__(self, committed, ends, away=False) -> None:
        self.committedOffsets, self.ends, self.away, self.closed = committed, ends, away, False

    def list_topics(self, topic, timeout):
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=self.ends)} if self.ends else {})

    def committed(self, partitions, timeout):
        return [TopicPartition(each.topic, each.partition, self.committedOffsets[each.partition]) for each in partitions]

    def get_watermark_offsets(self, partition, timeout):
        return self.ends[partition.partition]

    def close(self) -> None:
        self.closed = True


def lagOf(consumer, **options):
    seen = {}

    def make(configuration):
        seen.update(configuration)
        return consumer

    return TopicLag("kafka:9092", options, consumerFactory=make).ofGroup("juno.raw", "junodirac-Raw"), seen


def test_lag_is_what_kafka_has_and_the_group_has_not_committed():
    consumer = PlayedConsumer({0: 7, 1: -1001, 2: 3}, {0: (0, 10), 1: (5, 9), 2: (6, 8)})
    answer, configuration = lagOf(consumer)
    # partition 1: nothing committed, and 5 messages are no longer kept; partition 2: what is no longer kept is lost, not late
    assert [each["Lag"] for each in answer["Partitions"]] == [3, 4, 2]
    assert [each["Committed"] for each in answer["Partitions"]] == [7, None, 3]
    assert answer["Lag"] == 9
    assert consumer.closed
    assert configuration["group.id"] == "junodirac-Raw"


def test_asking_for_lag_never_creates_a_topic_and_never_commits():
    _, configuration = lagOf(PlayedConsumer({}, {}), **{"enable.auto.commit": "true", "allow.auto.create.topics": "true"})
    assert configuration["enable.auto.commit"] is False
    assert configuration["allow.auto.create.topics"] is False


def test_a_topic_that_does_not_exist_has_no_lag():
    assert lagOf(PlayedConsumer({}, {}))[0]["Partitions"] == []


def test_kafka_away_is_a_temporary_failure_and_nothing_stays_open():
    consumer = PlayedConsumer({}, {}, away=True)
    with pytest.raises(TemporaryFailure, match="kafka:9092"):
        lagOf(consumer)
    assert consumer.closed


class PlayedProducer:
    """Confirms messages when it is flushed, except those whose payload is in ``lost`` or ``refused``."""

    def __init__(self, lost=(), refused=(), room=100) -> None:
        self.lost, self.refused, self.room = lost, refused, room
        self.queue, self.written, self.purged = [], [], False

    def produce(self, topic, payload, key, headers, on_delivery) -> None:
        if len(self.queue) >= self.room:
            raise BufferError("Local: Queue full")
        if payload == b"too large":
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        self.queue.append((topic, payload, key, headers, on_delivery))

    def poll(self, _seconds) -> None:
        pass

    def flush(self, _seconds) -> None:
        for topic, payload, key, headers, on_delivery in self.queue:
            if payload in self.refused:
                on_delivery(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), None)
            elif payload not in self.lost:
                self.written.append((topic, payload, key, headers))
                place = SimpleNamespace(topic=lambda: "juno.raw", partition=lambda: 1, offset=lambda: len(self.written) - 1)
                on_delivery(None, place)
        self.queue = []

    def purge(self) -> None:
        self.purged = True


def write(producer, *messages, **options):
    return TopicWriter("kafka:9092", options, producerFactory=lambda configuration: producer).write("juno.raw", messages)


def test_a_message_is_written_byte_for_byte_with_key_and_headers_in_order():
    producer = PlayedProducer()
    messages = [OutgoingMessage("1", b"\xff\x00{", b"20230302", {"replay-of": "juno.raw/0/5"}), OutgoingMessage("2", b"", None)]
    written = write(producer, *messages)
    assert producer.written == [
        ("juno.raw", b"\xff\x00{", b"20230302", [("replay-of", b"juno.raw/0/5")]),
        ("juno.raw", b"", None, []),
    ]
    assert written.confirmed == {"1": "juno.raw/1/0", "2": "juno.raw/1/1"}
    assert written.failed == {}


def test_each_message_is_confirmed_or_failed_with_its_reason_never_both():
    producer = PlayedProducer(lost=[b"lost"], refused=[b"refused"])
    names = ["good", "lost", "refused", "too large"]
    written = write(producer, *(OutgoingMessage(name, name.encode()) for name in names))
    assert set(written.confirmed) == {"good"}
    assert set(written.failed) == {"lost", "refused", "too large"}
    assert "did not confirm" in written.failed["lost"]
    assert producer.purged, "what was not confirmed could still arrive later"


def test_more_messages_than_the_local_queue_holds_are_all_written():
    written = write(PlayedProducer(room=2), *(OutgoingMessage(str(number), b"x") for number in range(7)))
    assert len(written.confirmed) == 7


def test_the_confirmation_of_a_message_does_not_depend_on_the_configuration():
    seen = {}

    def make(configuration):
        seen.update(configuration)
        return PlayedProducer()

    TopicWriter("kafka:9092", {"acks": "0", "enable.idempotence": "false"}, producerFactory=make).write("juno.raw", [])
    assert (seen["acks"], seen["enable.idempotence"]) == ("all", True)
