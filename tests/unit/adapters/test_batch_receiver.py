"""The receiver's cycle: an offset is committed only after its batch went through, and nothing that fails is left out."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.IngestSummary import IngestSummary
from JUNODIRAC.Core.Logic.Ports import Message, QuarantinedMessage, TemporaryFailure, WaitingMessage
from JUNODIRAC.RawDataSystem.Client.BatchReceiver import BatchReceiver

DOWN = TemporaryFailure("DataManagement/FileCatalog", "Connection closed by peer")


START = datetime(2023, 3, 2, tzinfo=UTC)


def waitingMessage(offset, partition=0):
    message = Message("juno.raw", partition, offset, b"{}")
    file = RawFile("Raw", "/d", f"f{offset}", "b")
    return WaitingMessage(message, "Raw", file, Reason.NOT_ON_STORAGE, "", "", None, START, START)


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds

    def wait(self, seconds):
        assert 0 < seconds <= 1, "a wait must be short, so that the agent can be stopped"
        self.seconds += seconds


class Source:
    """Messages by offset; remembers what happened in which order."""

    def __init__(self, count, events):
        self.left = [Message("juno.raw", 0, offset, b"{}") for offset in range(count)]
        self.events = events
        self.lost = set()
        self.commitFailures = []
        self.partitions = frozenset({0})

    def consumeBatch(self, maxMessages, fillSeconds, idleSeconds):
        self.idleSeconds = idleSeconds
        taken, self.left = self.left[:maxMessages], self.left[maxMessages:]
        return taken

    def keepAlive(self):
        self.events.append(("alive",))

    def stillOwned(self, messages):
        return [message for message in messages if message.offset not in self.lost]

    def commit(self, messages):
        if self.commitFailures:
            raise self.commitFailures.pop(0)
        self.events.append(("commit", [message.offset for message in messages]))


class Bench:
    def __init__(self, log, count=5, batch=2):
        self.clock, self.events, self.failures, self.log = Clock(), [], [], log
        self.source = Source(count, self.events)
        self.due = []  # waiting messages that are due, and failures of asking for them
        self.askedWaiting = []
        self.receiver = BatchReceiver(
            self.source, self.ingest, self.dueWaiting, log, batch, 1.0, 60.0, self.clock.wait, self.clock, self.utcNow
        )

    def utcNow(self):
        return START + timedelta(seconds=self.clock.seconds)

    def dueWaiting(self, partitions, now, limit):
        self.askedWaiting.append((partitions, now))
        if self.due and isinstance(self.due[0], Exception):
            raise self.due.pop(0)
        taken, self.due = self.due[:limit], self.due[limit:]
        return taken

    def ingest(self, messages, now, waiting):
        assert now == self.utcNow()
        offsets = [message.offset for message in messages] + [f"w{item.message.offset}" for item in waiting]
        if self.failures:
            failure = self.failures.pop(0)
            if failure is not None:
                self.events.append(("failed", offsets))
                raise failure
        self.events.append(("done", offsets))
        return IngestSummary(messages=len(messages), registeredFiles=tuple(map(str, offsets)))

    def steps(self, count):
        for _ in range(count):
            self.receiver.step()

    def of(self, *kinds):
        return [event for event in self.events if event[0] in kinds]


@pytest.fixture
def bench(log):
    return Bench(log)


def test_an_offset_is_committed_only_after_its_batch_went_through(bench):
    bench.steps(4)
    assert bench.events == [
        ("done", [0, 1]),
        ("commit", [0, 1]),
        ("done", [2, 3]),
        ("commit", [2, 3]),
        ("done", [4]),
        ("commit", [4]),
    ]


@pytest.mark.parametrize("failure", [DOWN, RuntimeError("a bug")])
def test_a_failed_batch_is_not_committed_and_the_same_messages_are_run_again(bench, failure):
    bench.failures = [failure] * 3
    bench.steps(200)
    assert bench.of("failed", "done", "commit")[:5] == [("failed", [0, 1])] * 3 + [("done", [0, 1]), ("commit", [0, 1])]
    assert bench.of("commit")[-1] == ("commit", [4])


def test_the_delay_between_attempts_grows_and_has_an_end(bench):
    bench.failures = [DOWN] * 1000
    times = []
    for _ in range(2000):
        before = len(bench.of("failed"))
        bench.receiver.step()
        if len(bench.of("failed")) > before:
            times.append(bench.clock.seconds)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[0] <= 1
    assert gaps[3] > gaps[0]
    assert all(30 <= gap <= 60 for gap in gaps[8:])
    assert len(set(gaps[8:])) > 1, "without jitter all receivers come back at once"


def test_the_group_membership_is_kept_while_a_batch_waits(bench):
    bench.failures = [DOWN] * 8
    bench.steps(60)
    assert len(bench.of("alive")) > 20


def test_a_long_outage_is_said_once_at_its_beginning_and_once_at_its_end(bench):
    bench.failures = [DOWN] * 8
    bench.steps(300)
    assert [line for line in bench.log.at("warn") if "FileCatalog" in line] == bench.log.at("warn")
    assert len(bench.log.at("warn")) == 1
    assert len([line for line in bench.log.at("notice") if line.startswith("Going on")]) == 1


def test_another_failure_during_an_outage_is_said_too(bench):
    bench.failures = [DOWN, TemporaryFailure("RawDataDB", "gone"), RuntimeError("a bug"), DOWN]
    bench.steps(60)
    assert len(bench.log.at("warn")) == 3
    assert len(bench.log.at("exception")) == 1


def test_a_commit_that_fails_is_repeated_without_ingesting_again(bench):
    bench.source.commitFailures = [TemporaryFailure("Kafka", "x")] * 2
    bench.steps(20)
    assert bench.events[0] == ("done", [0, 1])
    assert bench.of("done").count(("done", [0, 1])) == 1
    assert bench.of("commit")[0] == ("commit", [0, 1])


def test_messages_of_a_partition_that_was_taken_away_are_not_run_again(bench):
    bench.failures = [DOWN]
    bench.receiver.step()
    bench.source.lost = {0}
    bench.steps(5)
    assert bench.of("done", "commit")[:2] == [("done", [1]), ("commit", [1])]


def test_each_quarantined_message_has_its_line_and_each_batch_its_summary(bench):
    message = Message("juno.raw", 3, 77, b"rubbish")
    item = QuarantinedMessage(message, "Raw", Reason.UNDECODABLE, "no JSON")
    bench.receiver._ingest = lambda *_: IngestSummary(messages=2, quarantinedMessages=(item,))
    bench.receiver.step()
    (line,) = bench.log.at("warn")
    assert "juno.raw[3]@77" in line
    assert "Undecodable" in line
    assert Reason.UNDECODABLE.remedy in line
    (summary,) = bench.log.at("notice")
    assert "2 messages: 0 registered, 0 known already, 1 quarantined (Undecodable 1), 0 waiting in" in summary


def test_messages_that_wait_come_along_with_a_batch_and_are_not_committed(bench):
    bench.due = [waitingMessage(90)]
    bench.steps(1)
    assert bench.events == [("done", [0, 1, "w90"]), ("commit", [0, 1])]


def test_messages_that_are_due_do_not_wait_for_others(log):
    bench = Bench(log, count=0)
    bench.due = [waitingMessage(90)]
    bench.steps(1)
    assert bench.source.idleSeconds == 0
    assert bench.events == [("done", ["w90"])]


def test_waiting_messages_are_asked_for_now_and_then_only_and_more_at_once_where_there_are_more(bench):
    bench.steps(3)
    assert len(bench.askedWaiting) == 1
    bench.clock.seconds += 10
    bench.due = [waitingMessage(offset) for offset in range(90, 95)]
    bench.steps(3)
    assert len(bench.askedWaiting) == 4
    assert bench.due == []


def test_only_the_waiting_messages_of_our_partitions_are_asked_for(bench):
    bench.source.partitions = frozenset()
    bench.steps(1)
    assert bench.askedWaiting == []
    bench.source.partitions = frozenset({3, 1})
    bench.steps(1)
    assert [partitions for partitions, _ in bench.askedWaiting] == [[1, 3]]


def test_a_failed_batch_keeps_its_waiting_messages_but_those_of_a_partition_that_was_taken_away(bench):
    bench.due = [waitingMessage(90), waitingMessage(91, partition=1)]
    bench.source.partitions = frozenset({0, 1})
    bench.failures = [DOWN]
    bench.steps(1)
    bench.source.partitions = frozenset({0})
    bench.steps(5)
    assert bench.of("done")[0] == ("done", [0, 1, "w90"])


def test_a_ledger_that_does_not_tell_what_waits_costs_nothing(bench):
    bench.due = [TemporaryFailure("RawData/RawDataDB", "gone")]
    bench.steps(30)
    assert [offset for _, offsets in bench.of("commit") for offset in offsets] == [0, 1, 2, 3, 4]


def test_the_backlog_counts_as_read_only_when_a_batch_is_not_full(bench):
    bench.steps(2)
    assert bench.receiver.readUntil is None
    bench.clock.seconds += 1
    bench.steps(1)
    assert bench.receiver.readUntil == bench.utcNow()


def test_the_backlog_does_not_count_as_read_without_partitions_or_before_the_batch_is_done(bench):
    bench.source.left = []
    bench.source.partitions = frozenset()
    bench.steps(2)
    assert bench.receiver.readUntil is None
    bench.source.partitions = frozenset({0})
    bench.source.left = [Message("juno.raw", 0, 1, b"{}")]
    bench.failures = [DOWN]
    bench.steps(1)
    assert bench.receiver.readUntil is None


def test_what_is_wrong_can_be_asked_for_while_it_lasts(bench):
    assert bench.receiver.trouble.current() == ("", None)
    bench.failures = [DOWN]
    bench.steps(1)
    text, since = bench.receiver.trouble.current()
    assert "FileCatalog" in text
    assert since is not None
    bench.steps(5)
    assert bench.receiver.trouble.current() == ("", None)


def test_an_error_that_quarantined_a_message_is_logged_with_its_trace(bench):
    bench.receiver._ingest = lambda *_: IngestSummary(messages=1, errors=(RuntimeError("a bug"),))
    bench.steps(1)
    assert "a bug" in bench.log.at("exception")[0]
