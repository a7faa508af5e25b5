"""The receiver as an agent: it starts whatever is missing, says what it waits for, and stops when it is asked to."""

import threading
from datetime import UTC, datetime

import pytest

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Agent import DataReceiverAgent as module
from JUNODIRAC.RawDataSystem.Agent.DataReceiverAgent import DataReceiverAgent


@pytest.fixture
def agent(log, configuration, monkeypatch):
    configuration("")
    monkeypatch.setattr(module.StopGuard, "arm", lambda _guard: None)
    monkeypatch.setattr(module.PeriodicTask, "start", lambda _task: None)

    def make(name="RawReceiverAgent", **options):
        made = DataReceiverAgent.__new__(DataReceiverAgent)
        made.log = log
        made.am_getOption = lambda option, default=None: options.get(option, default)
        made.am_getModuleParam = lambda _name: f"RawData/{name}"
        made.am_checkStopAgentFile = lambda: False
        made.am_stopExecution = lambda: None
        assert made.initialize()["OK"]
        return made

    return make


class Receiver:
    """Counts its steps; asks the agent to stop at the third, so that a cycle ends."""

    def __init__(self, agent, failure=None):
        self.agent, self.failure, self.steps = agent, failure, 0
        self.trouble = self
        self.readUntil = None
        self.pendingMessages, self.batchAgeSeconds = 0, 0.0

    def current(self):
        return ("", None) if self.failure is None else (str(self.failure), None)

    def step(self):
        self.steps += 1
        if self.steps == 3:
            self.agent._onStop()

    def raiseIfLasting(self):
        if self.failure:
            raise self.failure


@pytest.mark.parametrize(
    ("name", "options", "typeName"),
    [("RawReceiverAgent", {}, "Raw"), ("RTRawReceiverAgent", {}, "RTRaw"), ("RawReceiverAgent", {"Type": "ESD"}, "ESD")],
)
def test_the_type_is_the_option_or_the_name_of_the_instance(agent, name, options, typeName):
    assert agent(name, **options)._typeName == typeName


def test_a_bad_configuration_fails_the_cycle_not_the_agent_and_is_said_once(agent, log):
    made = agent()
    for _ in range(3):
        assert not made.execute()["OK"]
    assert len(log.at("error")) == 1
    assert "/Operations/Defaults/RawData/Types/Raw" in log.at("error")[0]


def test_the_agent_connects_as_soon_as_what_was_missing_is_there(agent, monkeypatch):
    made = agent()
    assert not made.execute()["OK"]
    receiver = Receiver(made)
    monkeypatch.setattr(made, "_connect", lambda: receiver)
    assert made.execute()["OK"]
    assert receiver.steps == 3


def test_the_first_cycle_ends_when_the_backlog_is_read_and_the_next_ones_go_on(agent, monkeypatch):
    made = agent(ConsumeSeconds=1000)
    receiver = Receiver(made)
    receiver.readUntil = datetime(2023, 3, 2, tzinfo=UTC)
    monkeypatch.setattr(made, "_connect", lambda: receiver)
    assert made.execute()["OK"]
    assert receiver.steps == 1
    assert made.execute()["OK"]
    assert receiver.steps == 3


def test_a_cycle_that_ends_in_trouble_is_not_a_good_one(agent):
    made = agent()
    made._receiver = Receiver(made, TemporaryFailure("RawData/RawDataDB", "gone"))
    assert "RawData/RawDataDB" in made.execute()["Message"]


def test_a_request_to_stop_ends_the_cycle(agent):
    made = agent(ConsumeSeconds=1000)
    made._receiver = Receiver(made)
    made.execute()
    assert made._receiver.steps == 3
    made.am_checkStopAgentFile = lambda: True
    made._stop.clear()
    made.execute()
    assert made._receiver.steps == 3


def test_leaving_closes_the_consumer(agent):
    made = agent()
    assert made.finalize()["OK"]
    closed = []
    made._source = type("Source", (), {"close": lambda _self: closed.append(True)})()
    made.finalize()
    assert closed == [True]


def test_module_is_an_agent_of_this_system():
    assert module.AGENT_NAME == "RawData/DataReceiverAgent"


class Source:
    def __init__(self):
        self.closed = threading.Event()
        self.close = self.closed.set


def test_the_group_is_left_from_outside_only_while_a_batch_is_being_ingested(agent):
    made = agent()
    made._source, made._receiver = Source(), Receiver(made)
    made._leave()
    assert not made._source.closed.is_set(), "the main thread may be using the consumer"
    made._receiver.batchAgeSeconds = 3.0
    made._leave()
    assert made._source.closed.is_set()


class Ledger:
    def __init__(self):
        self.beats = []

    def recordHeartbeat(self, *beat):
        self.beats.append(beat)


def test_a_file_that_asked_for_the_stop_does_not_stop_the_next_start(agent):
    made = agent()
    removed = []
    made.am_checkStopAgentFile = lambda: True
    made.am_removeStopAgentFile = lambda: removed.append(True)
    made._leave()
    assert removed == [True]


def test_a_file_left_over_from_before_the_start_does_not_end_the_process(agent):
    made = agent()
    made.am_checkStopAgentFile = lambda: True
    assert not made._isAskedToStop()
    made.execute()
    assert made._isAskedToStop()


def test_the_sign_of_life_says_what_the_receiver_waits_for(agent):
    made = agent()
    made._beatLedger = Ledger()
    made._startTrouble.add(TemporaryFailure("Kafka", "gone"))
    made._beat()
    made._receiver = Receiver(made)
    made._beat()
    made._receiver.failure = TemporaryFailure("DataManagement/FileCatalog", "gone")
    made._beat()
    made._receiver.failure = None
    made._receiver.pendingMessages, made._receiver.batchAgeSeconds = 1000, 400.0
    made._beat()
    troubles = [beat[5] for beat in made._beatLedger.beats]
    assert [beat[:2] for beat in made._beatLedger.beats] == [("Raw", "RawReceiverAgent")] * 4
    assert "Kafka" in troubles[0]
    assert troubles[1] == ""
    assert "FileCatalog" in troubles[2]
    assert "1000 messages" in troubles[3]
