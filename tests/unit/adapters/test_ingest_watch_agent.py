"""The watch as an agent: one bounded cycle, whatever of what it looks at is away."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from JUNODIRAC.Core.Logic.IngestWatch import LedgerSigns, RateSign
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Agent import IngestWatchAgent as module
from JUNODIRAC.RawDataSystem.Agent.IngestWatchAgent import IngestWatchAgent
from JUNODIRAC.RawDataSystem.Client.Probes import Probes, kafkaProbe, serviceProbe, storageProbe
from JUNODIRAC.RawDataSystem.Client.WatchedServices import probes, remedyOf

pytestmark = pytest.mark.unit

TYPES = """
Operations { Defaults { RawData { Kafka {
Brokers = kafka1:9092, kafka2:9092
} Types { Raw {
Topic = juno.raw
SourceSE = SOURCE
Destinations = DEST
EOSRoot = /eos
NamePattern = Daq.{RunNumber:d}.dat
DirectoryPattern = /juno/raw/{Day:8}
BlockRule = {Day}
Campaign = C
%s
} } } } }
"""


class Ledger:
    """The watch's side of the ledger."""

    def __init__(self):
        self.signs, self.saved, self.failure = LedgerSigns(), [], None

    def __call__(self, parentLogger):
        self._answer()
        return self

    def readSigns(self, typeNames, since, now):
        self._answer()
        return self.signs

    def readOpenAlerts(self):
        self._answer()
        return []

    def saveAlert(self, alert):
        self._answer()
        self.saved.append(alert.key)

    def _answer(self):
        if self.failure:
            raise self.failure


class Mail:
    def __init__(self):
        self.subjects = []

    def send(self, _recipients, subject, _text, sender=""):
        self.subjects.append(subject)


@pytest.fixture
def world(monkeypatch, log, configuration):
    """An agent with a ledger, probes and a mailer of its own; ``failing``: what the probes say."""

    class World:
        ledger, mail, failing = Ledger(), Mail(), {}

        def make(self, types=TYPES % "", **options):
            configuration(types)
            made = IngestWatchAgent.__new__(IngestWatchAgent)
            made.log = log
            made.am_getOption = lambda option, default=None: options.get(option, default)
            assert made.initialize()["OK"]
            made._teller._mail = self.mail
            made._teller._recipientsOf = lambda _vo: ["a@x.org"]
            made._probes.run = lambda _probes: dict(self.failing)
            return made

    found = World()
    monkeypatch.setattr(module, "LedgerWatch", found.ledger)
    return found


def cycles(agent, count=1):
    for _ in range(count):
        answer = agent.execute()
        assert answer["OK"], answer.get("Message")


def test_where_all_is_well_nobody_is_told(world):
    cycles(world.make(), 3)
    assert (world.mail.subjects, world.ledger.saved) == ([], [])


def test_what_the_ledger_tells_is_mailed_once_and_written_down(world):
    world.ledger.signs = LedgerSigns(rates={"Raw": RateSign(100, 90)})
    cycles(world.make(), 3)
    assert len(world.mail.subjects) == 1
    assert "quarantine:Raw" in world.ledger.saved


def test_a_ledger_that_is_away_from_the_start_is_told_and_fails_no_cycle(world):
    world.ledger.failure = TemporaryFailure("RawData/RawDataDB", "gone")
    cycles(world.make(ServiceDownSeconds=0), 3)
    assert world.mail.subjects == ["[JUNODIRAC] RawData/RawDataDB does not answer"]
    world.ledger.failure = None


def test_the_watch_counts_anew_when_the_ledger_was_away(world):
    agent = world.make()
    cycles(agent)
    first = agent._watchedSince
    cycles(agent)
    assert agent._watchedSince == first
    world.ledger.failure = TemporaryFailure("RawData/RawDataDB", "gone")
    cycles(agent)
    world.ledger.failure = None
    cycles(agent)
    assert agent._watchedSince > first


def test_a_service_is_told_of_only_after_the_set_time(world):
    world.failing = {"DataManagement/FileCatalog": "refused"}
    agent = world.make(ServiceDownSeconds=300)
    cycles(agent, 2)
    assert world.mail.subjects == []
    agent._downSince["DataManagement/FileCatalog"] = datetime.now(UTC) - timedelta(seconds=300)
    cycles(agent, 2)
    assert world.mail.subjects == ["[JUNODIRAC] DataManagement/FileCatalog does not answer"]
    world.failing = {}
    cycles(agent)
    assert world.mail.subjects[1:] == ["[JUNODIRAC] over: DataManagement/FileCatalog does not answer"]


def test_a_service_that_answered_in_between_is_down_anew(world):
    agent = world.make()
    world.failing = {"X": "refused"}
    cycles(agent)
    first = agent._downSince["X"]
    world.failing = {}
    cycles(agent)
    world.failing = {"X": "refused"}
    cycles(agent)
    assert agent._downSince["X"] > first


def test_a_type_that_becomes_wrong_is_told_and_watched_by_its_last_good_policy(world, configuration):
    agent = world.make(TYPES % "SilenceAlarmSeconds = 1")
    cycles(agent)
    configuration(TYPES % "SilenceAlarmSeconds = soon")
    agent._watchedSince -= timedelta(seconds=2)
    cycles(agent)
    assert agent._book.standing == {"configuration:Types", "silence:Raw"}


def test_all_that_ingest_needs_is_looked_at(world, configuration):
    agent = world.make()
    cycles(agent)
    assert set(agent._services()) == {
        "DataManagement/FileCatalog", "Transformation/TransformationManager", "RawData/RawDataManager",
        "Kafka at kafka1:9092,kafka2:9092", "storage SOURCE",
    }  # fmt: skip


def test_brokers_that_are_not_configured_are_a_service_that_fails(configuration):
    configuration("")
    (probe,) = probes([], [], "juno", 1).values()
    with pytest.raises(Exception, match="Kafka/Brokers"):
        probe()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("DataManagement/FileCatalog", "dirac-restart-component DataManagement FileCatalog"),
        ("storage IHEP-JUNOEOS", "IHEP-JUNOEOS"),
        ("RawData/RawDataDB", "database server"),
        ("Kafka at k:9092", "Kafka"),
    ],
)
def test_each_service_has_a_remedy_of_its_own(name, words):
    assert words in remedyOf(name)


# ---- probes


def failing(text):
    def probe():
        raise TemporaryFailure("X", text)

    return probe


def test_probes_name_those_that_fail_and_what_they_say():
    assert Probes(5).run({"a": lambda: None, "b": failing("refused"), "c": lambda: 1 / 0}) == {
        "b": "refused",
        "c": "division by zero",
    }


def test_a_probe_that_hangs_is_no_answer_holds_up_no_other_and_is_not_started_twice():
    release, starts = threading.Event(), []

    def hangs():
        starts.append(1)
        release.wait(20)

    watch = Probes(0.2)
    for _ in range(2):
        said = watch.run({"slow": hangs, "quick": lambda: None, "bad": failing("refused")})
        assert said["bad"] == "refused"
        assert "no answer within" in said["slow"]
        assert "quick" not in said
    release.set()
    watch._running["slow"].join(5)
    assert watch.run({"slow": hangs}) == {}
    assert len(starts) == 1


class Answer:
    def __init__(self, answer):
        self.answer = answer

    def __call__(self, *_args, **_kwargs):
        return self

    def ping(self, timeout):
        return self.answer

    def exists(self, _paths):
        return self.answer


@pytest.mark.parametrize(
    ("answer", "isWell"),
    [({"OK": True, "Value": {}}, True), ({"OK": False, "Message": "connection refused"}, False)],
)
def test_a_service_is_well_if_it_answers_a_ping(answer, isWell):
    said = Probes(5).run({"service": serviceProbe("A/B", 5, Answer(answer))})
    assert (said == {}) is isWell


@pytest.mark.parametrize(
    ("answer", "isWell"),
    [
        ({"OK": True, "Value": {"Successful": {"/juno": False}, "Failed": {}}}, True),
        ({"OK": True, "Value": {"Successful": {}, "Failed": {"/juno": "no route"}}}, False),
        ({"OK": False, "Message": "SE is banned"}, False),
    ],
)
def test_a_storage_is_well_if_it_says_whether_a_directory_is_there(answer, isWell):
    said = Probes(5).run({"storage": storageProbe("SE", "juno", "/juno", Answer(answer))})
    assert (said == {}) is isWell


def test_kafka_that_nobody_answers_for_is_not_well():
    assert "Kafka" in Probes(10).run({"Kafka": kafkaProbe("127.0.0.1:1", {}, 0.5)})
