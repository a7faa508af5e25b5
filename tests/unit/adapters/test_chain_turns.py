"""Transformations of chains: planned when there may be something new, left alone while files merely wait."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from DIRAC import S_ERROR, S_OK
from DIRAC.Core.Utilities.ReturnValues import SErrorException
from DIRAC.TransformationSystem.Agent.TransformationAgent import TransformationAgent as DiracAgent

from JUNODIRAC.TransformationSystem.Agent import TransformationPlugin as pluginModule
from JUNODIRAC.TransformationSystem.Agent.TransformationAgent import TransformationAgent
from JUNODIRAC.TransformationSystem.Agent.TransformationPlugin import TransformationPlugin
from JUNODIRAC.TransformationSystem.Client.ChainTurns import ChainTurns

pytestmark = pytest.mark.unit


class World:
    """The service of chains, and a clock."""

    def __init__(self) -> None:
        self.time, self.stamp, self.isAway, self.asked = 0.0, "open", False, 0

    def turns(self, numbers: Any) -> dict[str, dict[str, Any]]:
        self.asked += 1
        if self.isAway:
            raise SErrorException("away")
        return {str(number): {"Stamp": self.stamp, "LookSeconds": 60.0} for number in numbers if number < 100}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def turns(world) -> ChainTurns:
    made = ChainTurns(world.turns, lambda: world.time)
    assert made.due({1: 5}) == {1}
    made.looked(1, 5, tookSeconds=0.1)
    return made


def test_files_that_merely_wait_are_left_alone_and_looked_at_once_in_a_while(world, turns):
    for world.time in (2.0, 4.0, 59.0):
        assert turns.due({1: 5}) == set()
    world.time = 60.0
    assert turns.due({1: 5}) == {1}


def test_a_file_that_came_or_was_given_back_is_planned_at_the_next_pass(world, turns):
    world.time = 2.0
    assert turns.due({1: 6}) == {1}
    assert turns.due({1: 4}) == {1}


def test_a_block_that_was_closed_is_planned_at_the_next_pass_however_long_the_last_one_took(world, turns):
    turns.looked(1, 5, tookSeconds=30.0)
    world.time, world.stamp = 2.0, "closed"
    assert turns.due({1: 5}) == {1}


def test_what_takes_long_rests_ten_times_as_long_though_files_come(world, turns):
    turns.looked(1, 5, tookSeconds=3.0)
    world.time = 29.0
    assert turns.due({1: 99}) == set()
    world.time = 30.0
    assert turns.due({1: 99}) == {1}


def test_a_plan_that_failed_is_asked_for_again_at_once(world):
    turns = ChainTurns(world.turns, lambda: world.time)
    assert turns.due({1: 5}) == turns.due({1: 5}) == {1}


def test_none_has_its_turn_while_the_service_is_away_and_all_have_it_afterwards(world):
    turns = ChainTurns(world.turns, lambda: world.time)
    world.isAway = True
    assert turns.due({1: 5, 2: 1}) == set()
    world.isAway = False
    assert turns.due({1: 5, 2: 1}) == {1, 2}


def test_what_the_service_does_not_know_as_a_chains_is_left_alone_and_without_files_nothing_is_asked(world):
    turns = ChainTurns(world.turns, lambda: world.time)
    assert turns.due({1: 5, 100: 5}) == {1}
    assert turns.due({}) == set()
    assert world.asked == 1


# ---- plugin


class Desk:
    """Production/ChainManager."""

    answer: dict[str, Any] = S_OK({"Groups": [], "Awaited": []})
    calls: list[tuple[Any, ...]] = []

    def __init__(self, **_options: Any) -> None: ...

    def planTasks(self, *args: Any) -> dict[str, Any]:
        self.calls.append(args)
        return self.answer


@pytest.fixture
def desk(monkeypatch) -> type[Desk]:
    made = type("Desk", (Desk,), {"calls": []})
    monkeypatch.setattr(pluginModule, "ChainManagerClient", made)
    return made


def run(plugin: str, params: dict[str, Any]) -> Any:
    made = TransformationPlugin(plugin, transClient=object(), dataManager=object(), fc=object())
    made.setParameters(params)
    made.setInputData({"/b": ["CNAF-STORM"], "/a": ["JINR-EOS", "CNAF-STORM"]})
    result = made.run()
    assert result["OK"]
    return result["Value"]


@pytest.mark.parametrize("plugin", ["ChainProcess", "ChainMerge"])
def test_a_chains_plugin_makes_the_tasks_that_the_service_plans_in_its_order(desk, plugin):
    desk.answer = S_OK({"Groups": [["CNAF-STORM", ["/b", "/a"]]], "Awaited": ["/c"]})
    params = {"TransformationID": 7, "FilesReadTime": "2030-01-01T00:00:00+00:00"}
    assert run(plugin, params) == [("CNAF-STORM", ["/b", "/a"])]
    files = {"/b": ["CNAF-STORM"], "/a": ["JINR-EOS", "CNAF-STORM"]}
    assert desk.calls == [(7, files, "2030-01-01T00:00:00+00:00")]
    assert params["AwaitedFiles"] == ["/c"]


def test_while_the_service_is_away_no_task_is_made_and_the_turn_does_not_count(desk):
    desk.answer = S_ERROR("away")
    params = {"TransformationID": 7}
    assert run("ChainMerge", params) == []
    assert "AwaitedFiles" not in params


# ---- agent


def agent(world: World, monkeypatch: Any, awaited: list[str] | None) -> TransformationAgent:
    made = TransformationAgent.__new__(TransformationAgent)
    made._chainTurns = ChainTurns(world.turns, lambda: world.time)
    made._waitingFiles = {7: 2}
    assert made._chainTurns.due(made._waitingFiles) == {7}
    made.replicaCache = {7: {datetime(2030, 1, 1, tzinfo=UTC): {"/a": ["IHEP"], "/b": ["CNAF"]}}}

    def stock(_self: Any, transDict: dict[str, Any], _clients: Any) -> dict[str, Any]:
        assert datetime.fromisoformat(transDict["FilesReadTime"]).tzinfo
        if awaited is not None:
            transDict["AwaitedFiles"] = awaited
        return S_OK()

    monkeypatch.setattr(DiracAgent, "processTransformation", stock)
    assert made.processTransformation({"TransformationID": 7, "Plugin": "ChainProcess"}, {})["OK"]
    return made


def test_the_replicas_of_a_file_that_waits_for_its_copy_are_looked_up_again_and_those_of_no_other(world, monkeypatch):
    made = agent(world, monkeypatch, ["/a"])
    (cached,) = made.replicaCache[7].values()
    assert cached == {"/b": ["CNAF"]}
    assert made._chainTurns.due({7: 2}) == set()


def test_a_turn_in_which_nothing_could_be_planned_is_repeated(world, monkeypatch):
    made = agent(world, monkeypatch, None)
    assert made._chainTurns.due({7: 2}) == {7}


@pytest.mark.parametrize(("plugin", "isRead"), [("ChainMerge", True), ("ChainProcess", True), ("Standard", False)])
def test_a_chains_files_are_read_though_their_number_is_that_of_the_last_time(monkeypatch, plugin, isRead):
    """DIRAC leaves transformations of jobs alone for six hours then."""
    made = TransformationAgent.__new__(TransformationAgent)
    made.unusedFiles, made.unusedTimeStamp, made.pluginTimeout, made.lastFileOffset = {7: 1}, {}, {}, {}
    made.noUnusedDelay, made.controlDirectory = 6, "/nowhere"
    made._logInfo = lambda *_args, **_more: None

    class Client:
        def getTransformationFiles(self, **_condition: Any) -> dict[str, Any]:
            return S_OK([{"LFN": "/a", "Status": "Unused"}])

    transformation = {"TransformationID": 7, "Plugin": plugin, "Type": "Merge", "Status": "Active"}
    found = made._getTransformationFiles(transformation, {"TransformationClient": Client()})
    assert bool(found["Value"]) == isRead
