"""The validation as an agent: what is due goes to its site, a dead site holds up no other, a cycle ends in time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Validation import Look, Verdict
from JUNODIRAC.Core.Logic.BlockComparison import CataloguedFile, DeclaredFile
from JUNODIRAC.Core.Logic.LooksDue import SiteToLookAt
from JUNODIRAC.Core.Logic.Ports import StoredFile, TemporaryFailure
from JUNODIRAC.Core.Logic.ValidateBlock import BlockFiles
from JUNODIRAC.RawDataSystem.Agent import BlockValidationAgent as module
from JUNODIRAC.RawDataSystem.Agent.BlockValidationAgent import BlockValidationAgent

pytestmark = pytest.mark.unit

LFN = "/juno/raw/f1"
TYPES = """
Operations { Defaults { RawData { Types { Raw {
Topic = juno.raw
SourceSE = SOURCE
Destinations = DEST
EOSRoot = /eos
NamePattern = Daq.{RunNumber:d}.dat
DirectoryPattern = /juno/raw/{Day:8}
BlockRule = {Day}
Campaign = C
LookAgainSeconds = 100
} } } } }
"""


class World:
    """One file in each block; ``down`` and ``hanging`` are names of storage elements."""

    def __init__(self):
        self.sites, self.done, self.newest, self.book = [], [], {}, []
        self.down, self.hanging, self.hang = set(), set(), threading.Event()
        self.doneScans, self.suspected = 0, []

    def __call__(self, parentLogger):
        return self

    def sitesToValidate(self):
        return self.sites

    def doneSitesToValidate(self, typeName, before):
        self.doneScans += 1
        return list(self.done)

    def doneSitesWithBadReplicas(self):
        return list(self.suspected)

    def newestValidations(self, blockIDs, conclusiveOnly):
        return self.newest

    def blockFiles(self, blockID):
        return BlockFiles({LFN: DeclaredFile(1, "1")}, frozenset(), ("/juno/raw",))

    def recordValidation(self, found):
        self.book.append(found)

    def entries(self, directories, lfns, se):
        return {LFN: CataloguedFile(1, "1", True)}

    def storage(self, se):
        world = self

        class Storage:
            def listSizes(self, directory):
                if se in world.hanging:
                    world.hang.wait(30)
                if se in world.down:
                    raise TemporaryFailure(f"storage {se}", "no route")
                return {LFN: 1}

            def checksums(self, lfns):
                return {LFN: StoredFile(None, "1")}

        return Storage()

    def found(self):
        return {(each.blockID, each.se, each.look, each.verdict) for each in self.book}


def site(blockID, se, state=BlockState.REPLICATED, typeName="Raw"):
    before = datetime.now(UTC) - timedelta(days=2)
    return SiteToLookAt(blockID, typeName, f"2023030{blockID}", se, state, before, before, before)


@pytest.fixture
def world(monkeypatch):
    found = World()
    monkeypatch.setattr(module, "RawDataDB", found)
    monkeypatch.setattr(module, "SiteCatalogue", lambda: found)
    monkeypatch.setattr(module, "SourceStorage", lambda se, _vo, **_options: se)
    monkeypatch.setattr(module, "SiteStorage", lambda se, _rate: found.storage(se))
    yield found
    found.hang.set()


@pytest.fixture
def agent(world, log, configuration):
    configuration(TYPES)
    made = BlockValidationAgent.__new__(BlockValidationAgent)
    options = {"VO": "juno", "SecondsPerCycle": 5}
    made.options, made.log = options, log
    made.am_getOption = lambda option, default=None: options.get(option, default)
    assert made.initialize()["OK"]
    return made


def cycle(agent):
    answer = agent.execute()
    assert answer["OK"], answer.get("Message")


def test_each_block_is_looked_at_for_its_reason(agent, world):
    world.sites = [site(1, "A"), site(1, "B"), site(2, "A", BlockState.VALIDATED)]
    world.done = [site(3, "B", BlockState.DONE)]
    cycle(agent)
    assert world.found() == {
        (1, "A", Look.FIRST, Verdict.GOOD),
        (1, "B", Look.FIRST, Verdict.GOOD),
        (2, "A", Look.SECOND, Verdict.GOOD),
        (3, "B", Look.AGAIN, Verdict.GOOD),
    }
    assert {each.actor for each in world.book} == {"BlockValidationAgent"}


def test_a_block_that_was_done_is_looked_at_once_a_search(agent, world):
    world.done = [site(3, "B", BlockState.DONE)]
    cycle(agent)
    cycle(agent)
    assert len(world.book) == 1
    assert world.doneScans == 1


def test_a_storage_that_is_away_leaves_its_blocks_incomplete_and_the_others_are_validated(agent, world):
    world.down = {"A"}
    world.sites = [site(1, "A"), site(1, "B")]
    cycle(agent)
    assert world.found() == {(1, "A", Look.FIRST, Verdict.INCOMPLETE), (1, "B", Look.FIRST, Verdict.GOOD)}


def test_a_storage_that_hangs_holds_up_no_other_site_and_no_cycle(agent, world, monkeypatch):
    monkeypatch.setattr(module, "_STOP_GRACE_SECONDS", 0.1)
    agent.options["SecondsPerCycle"] = 1
    agent.options["SitesAtOnce"] = 1
    world.hanging = {"A"}
    world.sites = [site(1, "A"), site(1, "B")]
    cycle(agent)
    world.sites = [site(1, "A"), site(1, "B")]
    cycle(agent)
    assert world.found() == {(1, "B", Look.FIRST, Verdict.GOOD)}
    world.hang.set()
    agent._sites["A"].join(20)
    cycle(agent)
    assert (1, "A", Look.FIRST, Verdict.GOOD) in world.found()


def test_blocks_of_a_type_that_is_not_configured_are_left_alone(agent, world):
    world.sites = [site(1, "A", typeName="Gone")]
    cycle(agent)
    assert world.book == []


def test_a_ledger_that_is_away_fails_the_cycle_and_not_the_agent(agent, world, monkeypatch):
    def away(parentLogger):
        raise TemporaryFailure("RawData/RawDataDB", "gone")

    monkeypatch.setattr(module, "RawDataDB", away)
    assert not agent.execute()["OK"]
    monkeypatch.setattr(module, "RawDataDB", world)
    world.sites = [site(1, "A")]
    cycle(agent)
    assert len(world.book) == 1


def test_a_block_that_is_done_is_looked_at_where_a_replica_was_found_wrong(agent, world):
    world.suspected = [site(1, "DEST", BlockState.DONE), site(2, "DEST", BlockState.DONE, "Forgotten")]
    world.done = [site(1, "DEST", BlockState.DONE)]
    assert agent.execute()["OK"]
    assert [(each.blockID, each.se, each.look) for each in world.book] == [(1, "DEST", Look.AGAIN)]
