"""Overrides of DIRAC's agents: DIRAC's own methods run, with our times and credentials."""

from datetime import datetime, timedelta

import pytest
from DIRAC import S_OK
from DIRAC.Core.Utilities.TimeUtilities import DiracTime
from DIRAC.DataManagementSystem.Agent import FTS3Agent as diracModule

from JUNODIRAC.DataManagementSystem.Agent import FTS3Agent as agentModule
from JUNODIRAC.DataManagementSystem.Agent.FTS3Agent import FTS3Agent
from JUNODIRAC.DataManagementSystem.DB.FTS3DB import FTS3DB, DueTimes
from JUNODIRAC.RequestManagementSystem.Agent.CleanReqDBAgent import CleanReqDBAgent
from JUNODIRAC.RequestManagementSystem.Agent.RequestExecutingAgent import RequestExecutingAgent
from JUNODIRAC.TransformationSystem.Agent.RequestTaskAgent import RequestTaskAgent


class Client:
    def __init__(self):
        self.asked = []

    def getTransformationTasks(self, condDict=None, older=None, timeStamp=None):
        self.asked.append((timeStamp, older))
        return S_OK([])

    def getTransformationFiles(self, condDict=None, older=None, timeStamp=None):
        self.asked.append((timeStamp, older))
        return S_OK([])


def agent(cls, options):
    """An agent without DIRAC's initialization, which reads a live configuration."""
    made = cls.__new__(cls)
    made.am_getOption = lambda name, default=None: options.get(name, default)
    for name in ("_logInfo", "_logVerbose", "_logError"):
        setattr(made, name, lambda *_args, **_more: None)
    return made


@pytest.mark.parametrize("delaySeconds", [0, 30])
@pytest.mark.parametrize(("method", "column"), [("updateTaskStatus", "LastUpdateTime"), ("updateFileStatus", "LastUpdate")])
def test_tasks_and_files_are_followed_after_the_configured_delay(method, column, delaySeconds):
    client = Client()
    made = agent(RequestTaskAgent, {"MonitoringDelay": delaySeconds})
    made._ended, made._tries = {}, {1: 0}
    assert getattr(made, method)({"TransformationID": 1}, {"TransformationClient": client, "TaskManager": None})["OK"]
    ((timeStamp, older),) = client.asked
    ageSeconds = (DiracTime.utcnow() - datetime.fromisoformat(older)).total_seconds()
    assert timeStamp == column
    assert abs(ageSeconds - delaySeconds) < 5


@pytest.mark.parametrize(("options", "wanted"), [({}, 3600), ({"ReservedSeconds": 30, "MonitoringDelay": 0}, 30)])
def test_reserved_tasks_keep_the_hour_of_dirac_unless_told_otherwise(options, wanted):
    client = Client()
    made = agent(RequestTaskAgent, options)
    made.checkReservedTasks({"TransformationID": 1}, {"TransformationClient": client, "TaskManager": None})
    ((_, older),) = client.asked
    assert abs((DiracTime.utcnow() - datetime.fromisoformat(older)).total_seconds() - wanted) < 5


@pytest.mark.parametrize(("options", "seconds"), [({}, 3600), ({"KickGraceSeconds": 60}, 60)])
def test_requests_of_a_dead_agent_are_kicked_after_seconds(monkeypatch, options, seconds):
    made = agent(CleanReqDBAgent, options)
    assert made.beginExecution()["OK"]
    assert timedelta(hours=made.KICK_GRACE_HOURS) == timedelta(seconds=seconds)


@pytest.fixture
def proxies(monkeypatch):
    """DIRAC's module with a proxy manager that remembers, restored afterwards."""

    class Proxies:
        calls = []

        def downloadVOMSProxyToFile(self, dn, group, **_more):
            self.calls.append(("voms", group))
            return S_OK("file")

        def downloadProxyToFile(self, dn, group, **_more):
            self.calls.append(("plain", group))
            return S_OK("file")

    Proxies.calls = []
    monkeypatch.setattr(diracModule, "gProxyManager", Proxies())
    monkeypatch.setattr(diracModule, "MONITORING_DELAY", 10)
    return Proxies


def test_a_group_without_voms_role_gets_a_plain_proxy(configuration, monkeypatch, proxies):
    configuration(
        "Registry\n{\nUsers\n{\nprod\n{\nDN = /CN=prod\n}\n}\nGroups\n{\nplain\n{\nUsers = prod\n}\nvoms\n{\nUsers = prod\n"
        "VOMSRole = /juno/Role=prod\n}\n}\n}\n"
    )
    monkeypatch.setattr(diracModule.FTS3Agent, "initialize", lambda _self: S_OK())
    monkeypatch.setattr(diracModule.FTS3Job, "generateContext", lambda *_args, **_more: S_OK("context"))
    monkeypatch.setattr(agentModule, "FTS3DB", lambda pool_size: f"{pool_size} connections")
    made = agent(FTS3Agent, {})
    made.maxNumberOfThreads = 5
    made.initialize()
    made.initialize()  # a second time changes nothing
    assert made.fts3db == "10 connections"
    made.proxyLifetime, made.workDirectory, made._globalContextCache = 3600, "/nowhere", {}
    for group in ("plain", "voms"):
        result = made.getFTS3Context("prod", group, "https://fts:8446", "thread")
        assert result["OK"]
        assert result["Value"] == "context"
    assert proxies.calls == [("plain", "plain"), ("voms", "voms")]


class Transfers(FTS3DB):
    """A database without jobs and operations that notes what it is asked."""

    def __init__(self):
        self.asked = []

    def __getattribute__(self, name):
        if name in ("getActiveJobs", "getNonFinishedOperations", "kickStuckJobs", "kickStuckOperations", "deleteFinalOperations"):
            self.asked.append(name)
            return lambda **_more: S_OK([])
        return super().__getattribute__(name)


@pytest.fixture
def transferAgent(monkeypatch):
    monkeypatch.setattr(diracModule.FTS3Agent, "beginExecution", lambda _self: S_OK())
    made = agent(FTS3Agent, {"MonitoringDelay": 7, "MaxMonitoringDelay": 8, "MonitoringAgeShare": 0.5, "TreatDelay": 9})
    made.fts3db, made.jobBulkSize, made.jobMonitoringBatchSize, made.assignmentTag = Transfers(), 1, 1, "x"
    made.operationBulkSize = made.maxKick = made.kickDelay = made.maxDelete = made.deleteDelay = 1
    made._globalContextCache = {}
    made.dataOpSender = type("Sender", (), {"concludeSending": lambda _self: S_OK()})()
    return made


def test_the_configuration_says_when_jobs_and_operations_are_due(transferAgent):
    transferAgent.beginExecution()
    assert transferAgent.fts3db.due == DueTimes(monitoringDelay=7, maxMonitoringDelay=8, ageShare=0.5, treatDelay=9)


def test_what_is_stuck_is_looked_for_once_a_cycle_and_jobs_in_each_pass(transferAgent):
    assert transferAgent.onePass(isFirst=True)["OK"]
    assert {"getActiveJobs", "getNonFinishedOperations", "kickStuckJobs"} <= set(transferAgent.fts3db.asked)
    transferAgent.fts3db.asked.clear()
    assert transferAgent.onePass(isFirst=False)["OK"]
    assert transferAgent.fts3db.asked == ["getActiveJobs", "getNonFinishedOperations"]


@pytest.mark.parametrize("isFast", [True, False])
def test_the_pool_of_requests_makes_pauses_only_where_that_is_wanted(monkeypatch, isFast):
    from DIRAC.Core.Utilities import ProcessPool
    from DIRAC.RequestManagementSystem.Agent import RequestExecutingAgent as requestModule

    seen = []
    for module in (ProcessPool, requestModule):
        monkeypatch.setattr(module, "FAST_PROCESS_POOL", not isFast)

    def initialize(_self):
        # the pool is made in here
        seen.extend([ProcessPool.FAST_PROCESS_POOL, requestModule.FAST_PROCESS_POOL])
        return S_OK()

    monkeypatch.setattr(requestModule.RequestExecutingAgent, "initialize", initialize)
    assert agent(RequestExecutingAgent, {} if isFast else {"FastProcessPool": False}).initialize()["OK"]
    assert seen == [isFast, isFast]
