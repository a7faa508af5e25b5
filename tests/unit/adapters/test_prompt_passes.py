"""An agent with passes: as often as asked for, within its cycle, and gone at once when it is to stop."""

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.DataManagementSystem.Agent.FTS3Agent import FTS3Agent
from JUNODIRAC.RawDataSystem.Client.PromptPasses import PromptPasses
from JUNODIRAC.RequestManagementSystem.Agent.RequestExecutingAgent import RequestExecutingAgent


class Stock:
    """An agent of DIRAC whose clock is that of the test."""

    def __init__(self, workSeconds=0.0, cpuSeconds=0.0, results=(), **options):
        self.options = {"PollingTime": 10, **options}
        self.workSeconds, self.cpuSeconds, self.results = workSeconds, cpuSeconds, list(results)
        self.cpuUsed = 0.0
        self.time, self.begun = 0.0, []
        self.alive, self.stopAt = True, None

    def execute(self):
        self.begun.append(self.time)
        self.time += self.workSeconds
        self.cpuUsed += self.cpuSeconds
        return self.results.pop(0) if self.results else S_OK()

    def am_getOption(self, name, default=None):
        return self.options.get(name, default)

    def am_getPollingTime(self):
        return self.options["PollingTime"]

    def am_getModuleParam(self, name):
        assert name == "alive"
        return self.alive

    def am_checkStopAgentFile(self):
        return self.stopAt is not None and self.time >= self.stopAt


class Agent(PromptPasses, Stock):
    def _now(self):
        return self.time

    def _cpuSeconds(self):
        return self.cpuUsed

    def _sleep(self, seconds):
        self.time += seconds


def test_passes_begin_every_few_seconds_and_end_before_the_next_cycle():
    agent = Agent()
    assert agent.execute()["OK"]
    assert agent.begun == [0, 2, 4, 6, 8]
    # the reactor starts the next cycle a second after one that used up its time: nothing is left out, nothing piles up
    assert agent.time < 10


def test_a_pass_that_waits_for_others_is_followed_by_the_next_at_once_and_none_is_made_up_for():
    agent = Agent(workSeconds=3)
    agent.execute()
    assert agent.begun == [0, 3, 6]


@pytest.mark.parametrize(
    ("cpuSeconds", "begun"), [(0.5, [0, 2, 4, 6, 8]), (0.75, [0, 3, 6]), (1, [0, 4, 8]), (2, [0, 8]), (3, [0])]
)
def test_passes_use_a_quarter_of_a_core_at_most(cpuSeconds, begun):
    agent = Agent(workSeconds=cpuSeconds, cpuSeconds=cpuSeconds)
    agent.execute()
    assert agent.begun == begun


def test_an_agent_whose_passes_meet_only_what_is_due_takes_no_rest():
    agent = Agent(workSeconds=2, cpuSeconds=2)
    agent.restPerCPUSecond = 0
    agent.execute()
    assert agent.begun == [0, 2, 4, 6, 8]
    for each in (FTS3Agent, RequestExecutingAgent):
        assert each.restPerCPUSecond == 0


def test_a_pass_longer_than_the_cycle_is_the_only_one():
    agent = Agent(workSeconds=30)
    agent.execute()
    assert agent.begun == [0]


@pytest.mark.parametrize("passSeconds", [0, 100])
def test_without_passes_it_is_the_agent_of_dirac(passSeconds):
    agent = Agent(PassSeconds=passSeconds)
    agent.execute()
    assert agent.begun == [0]


def test_a_failed_pass_is_the_end_and_the_result_of_the_cycle():
    agent = Agent(results=[S_OK(), S_ERROR("no database")])
    assert agent.execute()["Message"] == "no database"
    assert agent.begun == [0, 2]


def test_it_ends_at_once_when_it_is_asked_to_stop():
    agent = Agent()
    agent.stopAt = 2.3
    agent.execute()
    assert agent.begun == [0, 2]
    assert agent.time <= 2.3 + 0.5


def test_an_agent_that_was_told_to_end_makes_no_further_pass():
    agent = Agent()
    agent.alive = False
    agent.execute()
    assert agent.begun == [0]
