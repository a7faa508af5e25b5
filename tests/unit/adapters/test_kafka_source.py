"""The Kafka consumer: offsets by hand, nothing of a lost partition, and one failure an outage."""

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.KafkaSource import KafkaSource


class Raw:
    """A message or an error as confluent_kafka gives it."""

    def __init__(self, offset=0, partition=0, error=None, value=b"x"):
        self._at, self._error, self._value = ("juno.raw", partition, offset), error, value

    def error(self):
        return self._error

    def topic(self):
        return self._at[0]

    def partition(self):
        return self._at[1]

    def offset(self):
        return self._at[2]

    def value(self):
        return self._value

    def key(self):
        return None


class FakeConsumer:
    def __init__(self, configuration):
        self.configuration = configuration
        self.queue = []
        self.committed = []
        self.up = True
        self.assigned = [TopicPartition("juno.raw", 0)]
        self.paused = set()  # of partitions; like librdkafka's, it outlives the assignment

        self.asked = []

    def subscribe(self, topics, on_assign, on_revoke, on_lost):
        self.topics, self.assign, self.revoke, self.lost = topics, on_assign, on_revoke, on_lost

    def consume(self, count, timeout):
        self.asked.append(count)
        if self.paused:
            return []
        taken, self.queue = self.queue[:count], self.queue[count:]
        return taken

    def poll(self, timeout):
        return None if self.paused or not self.queue else self.queue.pop(0)

    def assignment(self):
        return self.assigned

    def pause(self, partitions):
        self.paused |= {each.partition for each in partitions}

    def resume(self, partitions):
        self.paused -= {each.partition for each in partitions}

    def list_topics(self, topic, timeout):
        if not self.up:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def commit(self, offsets, asynchronous):
        if not self.up:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        assert asynchronous is False
        self.committed += [(each.partition, each.offset) for each in offsets]
        return offsets

    def stop(self):
        self.up = False
        self.configuration["error_cb"](KafkaError(KafkaError._ALL_BROKERS_DOWN))


@pytest.fixture
def made():
    holder = {}

    def factory(configuration):
        holder["consumer"] = FakeConsumer(configuration)
        return holder["consumer"]

    source = KafkaSource("localhost:1", "juno.raw", "group", {"enable.auto.commit": "true", "a.b": "c"}, factory)
    return source, holder["consumer"]


def test_offsets_are_never_committed_by_the_library_whatever_is_configured(made):
    _, consumer = made
    assert consumer.configuration["enable.auto.commit"] is False
    assert consumer.configuration["auto.offset.reset"] == "earliest"
    assert consumer.configuration["a.b"] == "c"


def test_the_offset_after_the_last_message_of_each_partition_is_committed(made):
    source, consumer = made
    consumer.queue = [Raw(4), Raw(5), Raw(7, partition=1)]
    messages = source.consumeBatch(10, 0, 0)
    assert consumer.committed == []
    source.commit(messages)
    assert sorted(consumer.committed) == [(0, 6), (1, 8)]


def test_messages_of_a_revoked_partition_are_dropped_and_not_committed(made):
    source, consumer = made
    consumer.queue = [Raw(4), Raw(7, partition=1)]
    messages = source.consumeBatch(10, 0, 0)
    consumer.revoke(consumer, [TopicPartition("juno.raw", 0)])
    assert [message.partition for message in source.stillOwned(messages)] == [1]
    source.commit(messages)
    assert consumer.committed == [(1, 8)]


def test_brokers_down_fail_until_they_are_back_and_lose_nothing(made):
    source, consumer = made
    consumer.stop()
    for _ in range(3):
        with pytest.raises(TemporaryFailure, match="Kafka at localhost:1"):
            source.consumeBatch(10, 0, 0)
    consumer.up = True
    consumer.queue = [Raw(1)]
    assert [message.offset for message in source.consumeBatch(10, 0, 0)] == [1]


def test_messages_that_came_before_the_brokers_went_are_delivered(made):
    source, consumer = made
    consumer.queue = [Raw(1), Raw(error=KafkaError(KafkaError._ALL_BROKERS_DOWN))]
    assert [message.offset for message in source.consumeBatch(10, 0, 0)] == [1]


def test_a_topic_that_does_not_exist_yet_is_an_empty_one(made):
    source, consumer = made
    consumer.queue = [Raw(error=KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))]
    assert source.consumeBatch(10, 0, 0) == []


def test_a_commit_that_fails_is_a_temporary_failure_and_can_be_repeated(made):
    source, consumer = made
    consumer.queue = [Raw(1)]
    messages = source.consumeBatch(10, 0, 0)
    consumer.up = False
    with pytest.raises(TemporaryFailure):
        source.commit(messages)
    consumer.up = True
    source.commit(messages)
    assert consumer.committed == [(0, 2)]


def test_a_message_that_slips_in_while_a_batch_waits_is_delivered_later(made):
    source, consumer = made
    consumer.pause = lambda _partitions: None  # the partition was assigned in this very poll
    consumer.queue = [Raw(1), Raw(2)]
    source.keepAlive()
    assert [message.offset for message in source.consumeBatch(10, 0, 0)] == [1, 2]


def test_a_partition_that_was_lost_while_it_was_paused_is_read_when_it_comes_back(made):
    source, consumer = made
    partitions = list(consumer.assigned)
    source.keepAlive()
    consumer.lost(consumer, partitions)
    consumer.assigned = []
    source.consumeBatch(10, 0, 0)
    consumer.assigned = partitions
    consumer.queue = [Raw(1)]
    assert [message.offset for message in source.consumeBatch(10, 0, 0)] == [1]


def test_waiting_pauses_and_consuming_resumes(made):
    source, consumer = made
    consumer.queue = [Raw(1)]
    source.keepAlive()
    assert consumer.paused
    assert consumer.queue
    assert len(source.consumeBatch(10, 0, 0)) == 1


def test_an_empty_message_is_a_message(made):
    source, consumer = made
    consumer.queue = [Raw(1, value=None)]
    assert source.consumeBatch(10, 0, 0)[0].payload == b""


def test_a_batch_has_what_is_there_and_no_more_than_asked_for(made):
    source, consumer = made
    consumer.queue = [Raw(offset) for offset in range(1000)]
    assert [message.offset for message in source.consumeBatch(600, 1, 1)] == list(range(600))
    assert [message.offset for message in source.consumeBatch(600, 1, 1)] == list(range(600, 1000))


def test_a_batch_of_huge_messages_is_cut_and_the_rest_comes_next(made):
    source, consumer = made
    consumer.queue = [Raw(offset, value=b"x" * 1_000_000) for offset in range(100)]
    first = source.consumeBatch(1000, 1, 1)
    assert 1 < len(first) <= 20
    offsets = [message.offset for message in first]
    while batch := source.consumeBatch(1000, 1, 1):
        offsets += [message.offset for message in batch]
    assert offsets == list(range(100))


def test_what_is_fetched_ahead_is_bounded(made):
    _, consumer = made
    assert consumer.configuration["queued.max.messages.kbytes"] <= 16_384
    assert consumer.configuration["fetch.max.bytes"] <= 16_777_216


def test_the_partitions_that_are_ours_are_known(made):
    source, consumer = made
    assert source.partitions == frozenset()
    consumer.assign(consumer, [TopicPartition("juno.raw", 0), TopicPartition("juno.raw", 3)])
    consumer.revoke(consumer, [TopicPartition("juno.raw", 0)])
    assert source.partitions == {3}
    consumer.lost(consumer, [TopicPartition("juno.raw", 3)])
    assert source.partitions == frozenset()
