"""The receiver as an agent: it starts whatever is missing, says what it waits for, and stops when it is asked to."""

import pytest

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Agent import DataReceiverAgent as module
from JUNODIRAC.RawDataSystem.Agent.DataReceiverAgent import DataReceiverAgent


@pytest.fixture
def agent(log, configuration, monkeypatch):
    configuration("")
    monkeypatch.setattr(module.signal, "signal", lambda *_args: None)

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

    def step(self):
        self.steps += 1
        if self.steps == 3:
            self.agent._onTerminate(15, None)

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
