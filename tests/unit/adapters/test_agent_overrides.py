"""Overrides of DIRAC's agents: DIRAC's own methods run, with our times and credentials."""

from datetime import datetime, timedelta

import pytest
from DIRAC import S_OK
from DIRAC.Core.Utilities.TimeUtilities import DiracTime
from DIRAC.DataManagementSystem.Agent import FTS3Agent as diracModule

from JUNODIRAC.DataManagementSystem.Agent.FTS3Agent import FTS3Agent
from JUNODIRAC.RequestManagementSystem.Agent.CleanReqDBAgent import CleanReqDBAgent
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
    made = agent(FTS3Agent, {})
    made.initialize()
    made.initialize()  # a second time changes nothing
    made.proxyLifetime, made.workDirectory, made._globalContextCache = 3600, "/nowhere", {}
    for group in ("plain", "voms"):
        result = made.getFTS3Context("prod", group, "https://fts:8446", "thread")
        assert result["OK"]
        assert result["Value"] == "context"
    assert proxies.calls == [("plain", "plain"), ("voms", "voms")]


def test_jobs_are_looked_at_after_the_configured_delay(monkeypatch, proxies):
    limits = []

    class DB:
        def getActiveJobs(self, lastMonitor, **_more):
            limits.append(lastMonitor)
            return S_OK([])

    monkeypatch.setattr(diracModule.FTS3Agent, "beginExecution", lambda _self: S_OK())
    made = agent(FTS3Agent, {"MonitoringDelay": 30})
    made.fts3db, made.jobBulkSize, made.jobMonitoringBatchSize, made.assignmentTag = DB(), 1, 1, "x"
    made._globalContextCache = {}
    made.dataOpSender = type("Sender", (), {"concludeSending": lambda _self: S_OK()})()
    made.beginExecution()
    assert made.monitorJobsLoop()["OK"]
    assert abs((DiracTime.utcnow() - limits[0]).total_seconds() - 30) < 5
