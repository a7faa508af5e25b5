"""From free files to tasks: DIRAC's own agent with our plugins and plans, on real databases, without services between them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from DIRAC import S_ERROR, S_OK
from DIRAC.ConfigurationSystem.Client.Utilities import getDBParameters
from plannedchain import CNAF, JINR, MERGE, NOW, PROCESS, PlannedChain

from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger
from JUNODIRAC.TransformationSystem.Agent import TransformationPlugin as pluginModule
from JUNODIRAC.TransformationSystem.Agent.TransformationAgent import TransformationAgent
from JUNODIRAC.TransformationSystem.Client.ChainTurns import ChainTurns
from JUNODIRAC.TransformationSystem.Client.TaskMaker import TaskMaker

pytestmark = pytest.mark.integration


class Transformations:
    """DIRAC's client, on the database."""

    def __init__(self, database: Any) -> None:
        self.database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)

    def getTransformationFiles(self, condDict: Any, orderAttribute: Any, offset: int, maxfiles: int) -> Any:
        return self.database.getTransformationFiles(condDict, orderAttribute=orderAttribute, limit=maxfiles, offset=offset)


class Replicas:
    """DIRAC's DataManager."""

    def __init__(self) -> None:
        self.at: dict[str, list[str]] = {}
        self.asked: list[str] = []

    def getReplicasForJobs(self, lfns: Any, getUrl: bool) -> dict[str, Any]:
        self.asked += sorted(lfns)
        return S_OK({"Successful": {lfn: dict.fromkeys(self.at[lfn], "") for lfn in lfns}, "Failed": {}})


class Steps:
    """The steps of a chain in the Transformation System."""

    def __init__(self, chain: PlannedChain, database: Any, folder: Path) -> None:
        self.chain, self.database, self.replicas = chain, database, Replicas()
        self.numbers: dict[int, int] = {}
        for step, typeName in ((PROCESS, "DataReconstruction"), (MERGE, "Merge")):
            name = f"Test-{uuid.uuid4().hex}"
            # New: an agent that runs beside the tests leaves it alone
            made = database.addTransformation(name, "", "", "prod", "juno_prod", typeName, "Chain", "Manual", "", addFiles=False)
            self.numbers[step] = made["Value"]
            sql = "UPDATE ChainSteps SET TransformationID = %s WHERE ChainID = %s AND StepNumber = %s"
            chain.chains.execute(sql, (made["Value"], chain.chainID, step))
        self.agent = self._agent(folder)

    def _agent(self, folder: Path) -> TransformationAgent:
        agent = TransformationAgent.__new__(TransformationAgent)
        for name in ("_logInfo", "_logVerbose", "_logError", "_logDebug", "_logWarn", "_logException"):
            setattr(agent, name, lambda *_args, **_more: None)
        agent.pluginLocation = pluginModule.__name__
        agent.workDirectory = agent.controlDirectory = str(folder)
        agent.cacheFile = str(folder / "ReplicaCache.pkl")
        agent.replicaCache, agent.lastFileOffset, agent.pluginTimeout = {}, {}, {}
        agent.unusedFiles, agent.unusedTimeStamp, agent.noUnusedDelay, agent.replicaCacheValidity = {}, {}, 6, 2
        agent._waitingFiles, agent._chainTurns = {}, ChainTurns(lambda _numbers: {})
        return agent

    def add(self, step: int, files: dict[str, list[str]]) -> None:
        """Files with replicas become inputs of a step."""
        self.replicas.at.update(files)
        assert self.database.addFilesToTransformations([self.numbers[step]], list(files))["OK"]

    def makeTasks(self, step: int) -> list[tuple[str, list[str]]]:
        """A pass of the agent.

        :returns: the tasks that it made: storage element and files of each
        """
        before = self.tasks(step)
        plugin = {PROCESS: "ChainProcess", MERGE: "ChainMerge"}[step]
        transformation = {
            "TransformationID": self.numbers[step],
            "Plugin": plugin,
            "Type": "Merge",
            "Status": "Active",
            "Body": "",
        }
        clients = {"TransformationClient": TaskMaker(Transformations(self.database)), "DataManager": self.replicas}
        assert self.agent.processTransformation(transformation, clients)["OK"]
        return self.tasks(step)[len(before) :]

    def tasks(self, step: int) -> list[tuple[str, list[str]]]:
        sql = (
            "SELECT t.TargetSE, i.InputVector FROM TransformationTasks t JOIN TaskInputs i USING (TransformationID, TaskID)"
            " WHERE t.TransformationID = %s ORDER BY t.TaskID"
        )
        found = self.database._query(sql, args=(self.numbers[step],))
        return [(se, (vector.decode() if isinstance(vector, bytes) else vector).split(";")) for se, vector in found["Value"]]

    def statuses(self, step: int) -> dict[str, int]:
        sql = "SELECT Status, COUNT(*) FROM TransformationFiles WHERE TransformationID = %s GROUP BY Status"
        return dict(self.database._query(sql, args=(self.numbers[step],))["Value"])

    def free(self, step: int) -> None:
        """As the recovery does with the inputs of tasks that failed."""
        sql = "UPDATE TransformationFiles SET Status = 'Unused' WHERE TransformationID = %s"
        assert self.database._update(sql, args=(self.numbers[step],))["OK"]


class Desk:
    """ChainManagerClient, on the planner."""

    chain: PlannedChain
    isAway = False

    def __init__(self, **_options: Any) -> None: ...

    def planTasks(self, number: int, files: dict[str, list[str]], _readTime: str) -> dict[str, Any]:
        return S_ERROR("away") if self.isAway else S_OK(self.chain.desk.plan(number, files, None, 1800))


@pytest.fixture
def steps(ledger: Any, typeName: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    if not getDBParameters("Transformation/TransformationDB")["OK"]:
        pytest.skip("the DIRAC configuration names no database Transformation/TransformationDB")
    from JUNODIRAC.TransformationSystem.DB.TransformationDB import TransformationDB

    chain = PlannedChain(ChainLedger(), typeName)
    desk = type("Desk", (Desk,), {"chain": chain})
    monkeypatch.setattr(pluginModule, "ChainManagerClient", desk)
    made = Steps(chain, TransformationDB(), tmp_path)
    yield made
    files = ("TransformationFileTasks", "TransformationFiles", "TaskInputs", "TransformationTasks")
    for number in made.numbers.values():
        for table in (*files, "TransformationLog", "Transformations"):
            made.database._update(f"DELETE FROM {table} WHERE TransformationID = %s", args=(number,))
    chain.delete()


def test_files_become_tasks_at_their_site_in_order_and_what_waits_costs_no_catalogue(steps):
    chain = steps.chain
    files = [file.lfn for file in chain.announce(*range(6, 0, -1))]
    chain.give()
    steps.add(PROCESS, {lfn: [JINR] for lfn in files})
    assert steps.makeTasks(PROCESS) == [(JINR, [lfn]) for lfn in sorted(files)]
    assert steps.statuses(PROCESS) == {"Assigned": 6}

    parts = chain.process(2, 4, 5, 6)
    steps.add(MERGE, {lfn: [CNAF] for lfn in parts})
    assert steps.makeTasks(MERGE) == []
    asked = len(steps.replicas.asked)
    assert steps.makeTasks(MERGE) == []
    assert len(steps.replicas.asked) == asked

    parts += chain.process(1, 3)
    steps.add(MERGE, {lfn: [CNAF] for lfn in parts[4:]})
    ordered = sorted(parts)
    # the second group has room for more
    assert steps.makeTasks(MERGE) == [(CNAF, ordered[:3])]
    assert steps.statuses(MERGE) == {"Assigned": 3, "Unused": 3}
    chain.close()
    assert steps.makeTasks(MERGE) == [(CNAF, ordered[3:])]


def test_files_of_tasks_that_failed_are_grouped_as_before(steps):
    chain = steps.chain
    chain.announce(*range(1, 8))
    chain.give()
    chain.close()
    parts = chain.process(*range(1, 8))
    steps.add(MERGE, {lfn: [CNAF] for lfn in parts})
    first = steps.makeTasks(MERGE)
    assert [len(lfns) for _, lfns in first] == [3, 3, 1]
    chain.merge(first[1][1])
    steps.free(MERGE)
    assert steps.makeTasks(MERGE) == [first[0], first[2]]
    assert steps.makeTasks(MERGE) == []


def test_a_file_whose_copy_arrives_at_the_site_of_its_stream_goes_there_though_the_agent_keeps_replicas(steps):
    chain = steps.chain
    one, two = (file.lfn for file in chain.announce(1, 2))
    chain.give()
    chain.chains.keepStreamSites(chain.chainID, PROCESS, {(chain.blockID(), "Physics."): "DIRAC.JINR.ru"}, NOW)
    steps.add(PROCESS, {one: [CNAF], two: [CNAF]})
    # attached now: patience counts from there
    chain.chains.execute("UPDATE ChainInputs SET AttachedTime = UTC_TIMESTAMP(3) WHERE ChainID = %s", (chain.chainID,))
    assert steps.makeTasks(PROCESS) == []
    steps.replicas.at[two] = [CNAF, JINR]
    assert steps.makeTasks(PROCESS) == [(JINR, [two])]
    assert steps.replicas.asked.count(one) == 2


def test_while_the_planner_is_away_files_stay_free_and_files_of_others_always_do(steps, monkeypatch):
    chain = steps.chain
    (file,) = (file.lfn for file in chain.announce(1))
    chain.give()
    steps.add(PROCESS, {file: [CNAF], f"/juno/{chain.typeName}/stranger": [CNAF]})
    monkeypatch.setattr(pluginModule.ChainManagerClient, "isAway", True)
    assert steps.makeTasks(PROCESS) == []
    assert steps.statuses(PROCESS) == {"Unused": 2}
    monkeypatch.setattr(pluginModule.ChainManagerClient, "isAway", False)
    assert steps.makeTasks(PROCESS) == [(CNAF, [file])]
    assert steps.statuses(PROCESS) == {"Unused": 1, "Assigned": 1}
