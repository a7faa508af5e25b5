"""Status messages: each one confirmed, or the batch is not over; nothing that cannot be sent stops it for ever."""

import json
from datetime import UTC, datetime

import pytest
from confluent_kafka import KafkaError, KafkaException

from JUNODIRAC.Core.Domain.EndOfBlock import EndOfBlock
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import Message, QuarantinedMessage, StatusMessage, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.KafkaConfiguration import KafkaConfiguration
from JUNODIRAC.RawDataSystem.Client.StatusSender import StatusSender

NOW = datetime(2023, 3, 2, 10, 15, tzinfo=UTC)
FILE = RawFile("Raw", "/juno/raw/2023/0302", "f.dat", "20230302")
MESSAGE = Message("juno.raw", 3, 77, b"\xff\x00rubbish", b"20230302")
LETTER = QuarantinedMessage(MESSAGE, "Raw", Reason.UNDECODABLE, "no JSON: \udcff")
STATUS = StatusMessage("Quarantined", MESSAGE, "Raw", "f.dat", FILE, Reason.ZERO_SIZE, "the storage says 0 bytes")


class Policy:
    statusTopic, deadLetterTopic = "juno.raw.status", "juno.raw.dead"


class Sent:
    def __init__(self, topic, value, key, headers):
        self._topic, self.value, self.key, self.headers = topic, value, key, dict(headers)

    def topic(self):
        return self._topic


class FakeProducer:
    """Confirms on flush; ``errors`` by topic; ``stuck`` never confirms; ``full`` takes nothing for so many tries."""

    errors, stuck, full, refuse = {}, False, 0, None

    def __init__(self, configuration):
        self.configuration, self.queue, self.sent, self.purged = configuration, [], [], False
        for name in ("errors", "stuck", "full", "refuse"):
            setattr(self, name, getattr(type(self), name))

    def produce(self, topic, value, key, headers, on_delivery):
        if self.full:
            self.full -= 1
            raise BufferError
        if self.refuse is not None and topic == Policy.deadLetterTopic:
            raise KafkaException(KafkaError(self.refuse))
        self.queue.append((Sent(topic, value, key, headers), on_delivery))

    def poll(self, _timeout):
        return 0

    def flush(self, _timeout):
        if self.stuck:
            return len(self.queue)
        for message, onDelivery in self.queue:
            code = self.errors.get(message.topic())
            onDelivery(KafkaError(code) if code is not None else None, message)
            self.sent.append(message)
        self.queue = []
        return 0

    def purge(self):
        self.purged = True


@pytest.fixture
def bench(monkeypatch):
    producers = []

    def factory(configuration):
        producers.append(FakeProducer(configuration))
        return producers[-1]

    def make(timeoutSeconds=10.0, **behaviour):
        for name, value in behaviour.items():
            monkeypatch.setattr(FakeProducer, name, value)
        options = {"sasl.username": "u", "enable.idempotence": "false", "acks": "0", "fetch.max.bytes": "1"}
        kafka = KafkaConfiguration("localhost:1", options=options)
        return StatusSender(Policy, kafka, timeoutSeconds, factory, lambda: NOW), producers

    return make


def test_a_status_says_what_became_of_which_announcement(bench):
    sender, producers = bench()
    sender.send([STATUS, StatusMessage("Registered", MESSAGE, "Raw", "f.dat", FILE)], [])
    first, second = (json.loads(sent.value) for sent in producers[0].sent)
    assert first == {
        "Status": "Quarantined",
        "FileName": "f.dat",
        "LFN": FILE.lfn,
        "Type": "Raw",
        "Block": "20230302",
        "Reason": "ZeroSize",
        "Sentence": Reason.ZERO_SIZE.sentence,
        "Detail": "the storage says 0 bytes",
        "Remedy": Reason.ZERO_SIZE.remedy,
        "Time": "2023-03-02T10:15:00.000Z",
        "Topic": "juno.raw",
        "Partition": 3,
        "Offset": 77,
    }
    assert second["Status"] == "Registered"
    assert "Reason" not in second
    assert {(sent.topic(), sent.key) for sent in producers[0].sent} == {("juno.raw.status", b"20230302")}


def test_a_status_without_a_file_has_null_for_it(bench):
    sender, producers = bench()
    sender.send([StatusMessage("Quarantined", MESSAGE, "Raw", "\udcff", None, Reason.BAD_NAME, "x")], [])
    content = json.loads(producers[0].sent[0].value)
    assert (content["LFN"], content["Block"], content["FileName"]) == (None, None, "\udcff")


def test_a_status_of_the_end_of_a_block_has_the_block_and_its_number_of_files(bench):
    sender, producers = bench()
    sender.send([StatusMessage("Duplicate", MESSAGE, "Raw", end=EndOfBlock("20230302", 14400))], [])
    content = json.loads(producers[0].sent[0].value)
    assert {name: content[name] for name in ("Status", "FileName", "LFN", "Type", "Block", "FileCount", "Offset")} == {
        "Status": "Duplicate",
        "FileName": "",
        "LFN": None,
        "Type": "Raw",
        "Block": "20230302",
        "FileCount": 14400,
        "Offset": 77,
    }


def test_a_dead_letter_is_the_message_byte_for_byte_with_its_origin(bench):
    sender, producers = bench()
    sender.send([STATUS], [LETTER])
    letter = producers[0].sent[1]
    assert (letter.topic(), letter.value, letter.key) == ("juno.raw.dead", MESSAGE.payload, MESSAGE.key)
    assert {name: letter.headers[name] for name in ("origin-topic", "origin-partition", "origin-offset", "reason", "time")} == {
        "origin-topic": b"juno.raw",
        "origin-partition": b"3",
        "origin-offset": b"77",
        "reason": b"Undecodable",
        "time": b"2023-03-02T10:15:00.000Z",
    }
    assert letter.headers["detail"].startswith(b"no JSON")


def test_the_producer_is_idempotent_whatever_is_configured_and_has_no_options_of_consumers(bench):
    sender, producers = bench()
    sender.send([STATUS], [])
    configuration = producers[0].configuration
    assert configuration["enable.idempotence"] is True
    assert configuration["acks"] == "all"
    assert configuration["sasl.username"] == "u"
    assert "fetch.max.bytes" not in configuration


def test_one_producer_serves_all_batches(bench):
    sender, producers = bench()
    for _ in range(3):
        sender.send([STATUS], [])
    assert len(producers) == 1


@pytest.mark.parametrize("topic", ["juno.raw.status", "juno.raw.dead"])
def test_what_is_not_confirmed_is_a_failure_and_the_next_try_has_a_new_producer(bench, topic):
    sender, producers = bench(errors={topic: KafkaError._MSG_TIMED_OUT})
    with pytest.raises(TemporaryFailure, match=topic):
        sender.send([STATUS], [LETTER])
    assert producers[0].purged
    bench(errors={})
    sender.send([STATUS], [LETTER])
    assert len(producers) == 2


def test_a_missing_topic_is_named_with_the_remedy(bench):
    sender, _ = bench(errors={"juno.raw.status": KafkaError.UNKNOWN_TOPIC_OR_PART})
    with pytest.raises(TemporaryFailure, match="make the topic juno.raw.status"):
        sender.send([STATUS], [])


def test_brokers_that_say_nothing_are_a_failure(bench, monkeypatch):
    sender, _ = bench(timeoutSeconds=-6.0, stuck=True)
    with pytest.raises(TemporaryFailure, match="did not confirm"):
        sender.send([STATUS], [])


def test_a_full_queue_is_waited_for(bench):
    sender, producers = bench(full=3)
    sender.send([STATUS], [])
    assert len(producers[0].sent) == 1


@pytest.mark.parametrize(
    "behaviour", [{"errors": {"juno.raw.dead": KafkaError.MSG_SIZE_TOO_LARGE}}, {"refuse": KafkaError.MSG_SIZE_TOO_LARGE}]
)
def test_a_dead_letter_that_is_too_large_does_not_stop_the_batch(bench, behaviour):
    sender, producers = bench(**behaviour)
    sender.send([STATUS], [LETTER])
    assert "juno.raw.status" in {sent.topic() for sent in producers[0].sent}


def test_nothing_to_say_connects_to_nobody(bench):
    sender, producers = bench()
    sender.send([], [])
    assert producers == []
