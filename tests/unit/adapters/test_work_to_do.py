"""Agents that look only where something is to do: they do what DIRAC's own do, with the calls that find nothing left out."""

from __future__ import annotations

import concurrent.futures
from collections import Counter

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.TransformationSystem.Agent import RequestTaskAgent as taskModule
from JUNODIRAC.TransformationSystem.Agent.RequestTaskAgent import RequestTaskAgent
from JUNODIRAC.TransformationSystem.Agent.TransformationAgent import TransformationAgent
from JUNODIRAC.TransformationSystem.Agent.WorkflowTaskAgent import WorkflowTaskAgent
from JUNODIRAC.TransformationSystem.Client.ChainTurns import ChainTurns

pytestmark = pytest.mark.unit


class Transformations:
    """TransformationManager with tables in memory."""

    def __init__(self):
        self.transformations: dict[int, dict] = {}
        self.files: list[dict] = []
        self.tasks: list[dict] = []
        self.calls: list[str] = []
        self.isAway = False

    def add(
        self, transformationID, Status="Active", Type="Replication", InheritedFrom=0, AgentType="Automatic", Plugin="Broadcast"
    ):
        values = {"Status": Status, "Type": Type, "InheritedFrom": InheritedFrom, "AgentType": AgentType, "Plugin": Plugin}
        more = {"Body": "", "Author": "prod", "AuthorGroup": "juno_prod"}
        self.transformations[transformationID] = {"TransformationID": transformationID, **values, **more}

    def addFile(self, transformationID, status="Unused", taskID=0):
        lfn = f"/juno/{len(self.files)}"
        self.files.append({"TransformationID": transformationID, "LFN": lfn, "Status": status, "TaskID": taskID})

    def addTask(self, transformationID, taskID, status, requestID=0):
        row = {"TransformationID": transformationID, "TaskID": taskID, "ExternalStatus": status, "ExternalID": str(requestID)}
        self.tasks.append(row)

    def getServer(self):
        return "Transformation/TransformationManager"

    def getTransformations(self, condDict=None, columns=None, extraParams=False):
        return self._rows("getTransformations", self.transformations.values(), condDict)

    def getCounters(self, table, attributes, condition):
        if self.isAway:
            return S_ERROR("away")
        rows = self._rows("getCounters", {"TransformationFiles": self.files, "TransformationTasks": self.tasks}[table], condition)
        keys = [tuple(row[name] for name in attributes) for row in rows["Value"]]
        return S_OK([({name: key[n] for n, name in enumerate(attributes)}, keys.count(key)) for key in sorted(set(keys))])

    def getTransformationTasks(self, condDict=None, older=None, timeStamp=None):
        tasks = [task | {"Type": self.transformations[task["TransformationID"]]["Type"]} for task in self.tasks]
        return self._rows("getTransformationTasks", tasks, condDict)

    def getTransformationFiles(self, condDict=None, older=None, timeStamp=None):
        return self._rows("getTransformationFiles", self.files, condDict)

    def setTaskStatus(self, transformationID, taskIDs, status):
        for row in self.tasks:
            if row["TransformationID"] == transformationID and row["TaskID"] in taskIDs:
                row["ExternalStatus"] = status
        return S_OK()

    def _rows(self, name, rows, condition):
        self.calls.append(name)
        wanted = {key: value if isinstance(value, list) else [value] for key, value in (condition or {}).items()}
        return S_OK([dict(row) for row in rows if all(row[key] in values for key, values in wanted.items())])


class Log:
    def __getattr__(self, _name):
        return lambda *_args, **_more: None


def make(cls, client, **options):
    """An agent without DIRAC's initialization, which reads a live configuration."""
    made = cls.__new__(cls)
    made.am_getOption = lambda name, default=None: options.get(name, default)
    for name in ("_logInfo", "_logVerbose", "_logError", "_logDebug", "_logWarn", "_logException"):
        setattr(made, name, lambda *_args, **_more: None)
    made.log = Log()
    made._fullTime = None
    return made


# ---- TransformationAgent


@pytest.fixture
def client():
    return Transformations()


@pytest.fixture
def grouper(client):
    made = make(TransformationAgent, client)
    made.transfClient, made.lastFileOffset = client, {}
    made._chainTurns = ChainTurns(lambda numbers: {str(number): {"Stamp": "", "LookSeconds": 60} for number in numbers})
    made.transformationStatus, made.transformationTypes = ["Active", "Completing", "Flush"], ["Replication", "Removal"]
    return made


def chosen(agent) -> set[int]:
    return {each["TransformationID"] for each in agent.getTransformations()["Value"]}


@pytest.mark.parametrize("status", ["Active", "Completing", "Flush", "Stopped"])
@pytest.mark.parametrize("type_", ["Replication", "Removal", "Merge"])
@pytest.mark.parametrize("inherited", [0, 7])
@pytest.mark.parametrize("fileStatus", [None, "Unused", "ProbInFC", "MissingInFC", "Assigned", "Processed"])
def test_every_transformation_for_which_diracs_cycle_does_something_is_chosen_and_no_other(
    grouper, client, status, type_, inherited, fileStatus
):
    client.add(1, Status=status, Type=type_, InheritedFrom=inherited)
    if fileStatus:
        client.addFile(1, fileStatus)
    takes = ["Unused", "ProbInFC"] + (["MissingInFC"] if type_ == "Removal" else [])
    isTaken = status != "Stopped" and type_ != "Merge"
    assert chosen(grouper) == ({1} if isTaken and (status == "Flush" or inherited or fileStatus in takes) else set())


def test_the_number_of_calls_does_not_grow_with_the_transformations(grouper, client):
    for number in range(1, 300):
        client.add(number)
    client.addFile(5)
    client.calls.clear()
    assert chosen(grouper) == {5}
    assert len(client.calls) == 3


def test_one_cycle_in_a_while_takes_all(grouper, client):
    client.add(1)
    assert chosen(grouper) == set()
    grouper._fullTime -= 21601
    assert chosen(grouper) == {1}
    assert chosen(grouper) == set()


def test_a_full_cycle_that_failed_is_repeated(grouper, client, monkeypatch):
    client.add(1)
    grouper.repeatFullCycle()
    monkeypatch.setattr(client, "getTransformations", lambda *_args, **_more: S_ERROR("away"))
    assert not grouper.getTransformations()["OK"]
    monkeypatch.undo()
    assert chosen(grouper) == {1}


def test_the_choice_that_cannot_be_made_is_a_failed_cycle_as_in_dirac(grouper, client):
    client.isAway = True
    assert not grouper.getTransformations()["OK"]


def test_reading_starts_anew_where_no_file_is_left(grouper, client):
    client.add(1)
    client.add(2)
    client.addFile(2)
    grouper.lastFileOffset = {1: 100, 2: 100}
    assert chosen(grouper) == {2}
    assert grouper.lastFileOffset == {2: 100}


# ---- RequestTaskAgent


class Requests:
    """ReqManager with statuses in memory, and the agent's task manager."""

    def __init__(self, statuses):
        self.statuses = statuses
        self.isAway = False

    def getBulkRequestStatus(self, requestIDs):
        if self.isAway:
            return S_ERROR("away")
        return S_OK({number: self.statuses[number] for number in requestIDs if number in self.statuses})


class Stock(Requests):
    """What DIRAC's RequestTasks does with tasks and files, shortened."""

    def __init__(self, statuses, client):
        super().__init__(statuses)
        self.client, self.submitted, self.checked = client, [], []

    def getSubmittedTaskStatus(self, tasks):
        changed: dict[str, list[int]] = {}
        for task in tasks:
            new = self.statuses.get(int(task["ExternalID"]))
            if new and new not in (task["ExternalStatus"], "Assigned"):
                changed.setdefault(new, []).append(task["TaskID"])
        return S_OK(changed)

    def getSubmittedFileStatus(self, files):
        if self.isAway:
            return S_OK({})
        numbers = {(task["TransformationID"], task["TaskID"]): int(task["ExternalID"]) for task in self.client.tasks}
        ends = {"Done": "Processed", "Failed": "Problematic", "Canceled": "Problematic"}
        found = {}
        for file in files:
            status = self.statuses.get(numbers[file["TransformationID"], file["TaskID"]])
            if status in ends:
                found[file["LFN"]] = ends[status]
        return S_OK(found)


@pytest.fixture
def world(client, monkeypatch):
    """An agent on tables in memory, and what it works with: client, requests."""
    requests = Stock({}, client)
    made = make(RequestTaskAgent, client, MonitorTasks="yes", MonitorFiles="yes", CheckReserved="yes")
    made.transClient, made._ended, made._tries, made.transType = client, {}, Counter(), ["Replication"]
    made.credentials, made.shifterProxy, made.pluginLocation = None, None, ""
    made.threadPoolExecutor = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    made._getClients = lambda **_more: {"TransformationClient": client, "TaskManager": requests}
    made.submitTasks = lambda trans, clients: requests.submitted.append(trans["TransformationID"]) or S_OK()
    made.checkReservedTasks = lambda trans, clients: requests.checked.append(trans["TransformationID"]) or S_OK()
    monkeypatch.setattr(taskModule, "ReqClient", lambda: requests)
    monkeypatch.setattr("DIRAC.TransformationSystem.Agent.TaskManagerAgentBase.getProxyInfo", lambda **_more: S_ERROR("no proxy"))
    monkeypatch.setattr("DIRAC.TransformationSystem.Agent.TaskManagerAgentBase.gConfig.getValue", lambda _path, value: value)

    class Report:
        def __init__(self, server):
            self.statuses = {}

        def setFileStatus(self, transformationID, lfn, status):
            self.statuses[transformationID, lfn] = status
            return S_OK()

        def commit(self):
            for file in client.files:
                file["Status"] = self.statuses.get((file["TransformationID"], file["LFN"]), file["Status"])
            return S_OK(dict(self.statuses))

    monkeypatch.setattr("DIRAC.TransformationSystem.Agent.TaskManagerAgentBase.FileReport", Report)
    made.tasksPerLoop = made.maxParametricJobs = 1
    run(made)
    client.calls.clear()
    return made, client, requests


def run(agent):
    assert agent.onePass(isFirst=True)["OK"]


def fileStatuses(client):
    return [file["Status"] for file in client.files]


def test_files_are_processed_in_the_pass_in_which_the_request_of_their_task_has_ended(world):
    agent, client, requests = world
    client.add(1)
    client.addTask(1, 1, "Waiting", 11)
    client.addTask(1, 2, "Waiting", 12)
    client.addFile(1, "Assigned", 1)
    client.addFile(1, "Assigned", 2)
    requests.statuses.update({11: "Done", 12: "Waiting"})
    run(agent)
    assert fileStatuses(client) == ["Processed", "Assigned"]
    requests.statuses[12] = "Failed"
    run(agent)
    assert fileStatuses(client) == ["Processed", "Problematic"]
    run(agent)
    assert agent._ended == {}


def test_files_that_could_not_be_settled_are_looked_at_again(world):
    agent, client, requests = world
    client.add(1)
    client.addTask(1, 1, "Waiting", 11)
    client.addFile(1, "Assigned", 1)
    requests.statuses[11] = "Done"
    settle, requests.getSubmittedFileStatus = requests.getSubmittedFileStatus, lambda files: S_OK({})
    run(agent)
    assert fileStatuses(client) == ["Assigned"]
    requests.getSubmittedFileStatus = settle
    run(agent)
    assert fileStatuses(client) == ["Processed"]


def test_a_file_whose_task_somebody_else_ended_is_found_at_the_start_and_now_and_then(world):
    agent, client, requests = world
    client.add(1)
    client.addTask(1, 1, "Done", 11)
    client.addFile(1, "Assigned", 1)
    requests.statuses[11] = "Done"
    run(agent)
    assert fileStatuses(client) == ["Assigned"]
    agent._catchUpTime -= 601
    run(agent)
    assert fileStatuses(client) == ["Processed"]
    client.files[0]["Status"] = "Assigned"
    del agent._catchUpTime  # as if it were started again
    agent._ended = {}
    run(agent)
    assert fileStatuses(client) == ["Processed"]


def test_files_that_can_never_be_settled_are_not_looked_at_in_every_pass(world):
    agent, client, requests = world
    client.add(1)
    client.addTask(1, 1, "Done", 11)  # a request that is not there any more
    client.addFile(1, "Assigned", 1)
    agent._catchUpTime -= 601
    for _ in range(10):
        run(agent)
    client.calls.clear()
    run(agent)
    assert client.calls == ["getTransformationTasks"]
    agent._catchUpTime -= 601
    requests.statuses[11] = "Done"
    run(agent)
    assert fileStatuses(client) == ["Processed"]


def test_files_of_tasks_that_are_under_way_are_no_files_of_ended_tasks(world):
    agent, client, _ = world
    client.add(1)
    for taskID, status in enumerate(["Created", "Reserved", "Waiting", "Scheduled", "Submitted"], 1):
        client.addTask(1, taskID, status, 10 + taskID)
        client.addFile(1, "Assigned", taskID)
    agent._catchUpTime -= 601
    run(agent)
    assert agent._ended == {}


def test_tasks_of_jobs_are_not_taken_for_requests_of_the_same_number(world):
    agent, client, requests = world
    client.add(1, Type="Merge")
    client.addTask(1, 1, "Waiting", 11)
    client.addFile(1, "Assigned", 1)
    requests.statuses[11] = "Done"
    agent._catchUpTime -= 601
    run(agent)
    assert (agent._work["updateTaskStatus"], agent._ended) == (set(), {})


def test_the_full_cycle_looks_at_all(world):
    agent, client, requests = world
    client.add(1)
    client.addTask(1, 1, "Done", 11)
    client.addFile(1, "Assigned", 1)
    requests.statuses[11] = "Done"
    agent._fullTime -= 21601
    run(agent)
    assert fileStatuses(client) == ["Processed"]


@pytest.mark.parametrize(("status", "done"), [("Created", "submitted"), ("Reserved", "checked")])
def test_new_and_half_submitted_tasks_are_met_in_each_pass(world, status, done):
    agent, client, requests = world
    client.add(1)
    client.add(2)
    client.addTask(2, 1, status)
    run(agent)
    assert {name: getattr(requests, name) for name in ("submitted", "checked")} == {"submitted": [], "checked": [], done: [2]}


def test_diracs_conditions_on_transformations_stay(world):
    agent, client, requests = world
    client.add(1, Status="Stopped")  # followed, and given nothing new
    client.add(2, AgentType="Manual")
    client.add(3, Type="Merge")
    for number in (1, 2, 3):
        client.addTask(number, 1, "Created")
        client.addTask(number, 2, "Waiting", 10 + number)
        requests.statuses[10 + number] = "Done"
    run(agent)
    assert requests.submitted == []
    assert [task["ExternalStatus"] for task in client.tasks if task["TaskID"] == 2] == ["Done", "Done", "Waiting"]


def test_the_number_of_calls_does_not_grow_with_what_is_only_waited_for(world):
    agent, client, requests = world
    for number in range(1, 100):
        client.add(number)
        client.addTask(number, 1, "Waiting", number)
        client.addFile(number, "Assigned", 1)
        requests.statuses[number] = "Waiting"
    run(agent)
    assert client.calls == ["getTransformationTasks"]
    assert fileStatuses(client) == ["Assigned"] * 99


def test_what_has_something_to_do_cannot_be_asked_then_all_are_looked_at(world):
    agent, client, requests = world
    client.add(1)
    client.addTask(1, 1, "Waiting", 11)
    requests.statuses[11] = "Done"
    client.isAway, agent._catchUpTime = True, float("-inf")
    run(agent)
    assert client.tasks[0]["ExternalStatus"] == "Done"


def test_without_monitoring_of_tasks_files_are_followed_as_in_dirac(world):
    agent, client, requests = world
    agent.am_getOption = lambda name, default=None: {"MonitorFiles": "yes"}.get(name, default)
    client.add(1)
    client.addTask(1, 1, "Waiting", 11)
    client.addFile(1, "Assigned", 1)
    requests.statuses[11] = "Done"
    run(agent)
    assert fileStatuses(client) == ["Processed"]


# ---- WorkflowTaskAgent


class Jobs:
    """What DIRAC's WorkflowTasks is asked for."""

    def __init__(self):
        self.submitted, self.checked, self.followed = [], [], []

    def getSubmittedTaskStatus(self, tasks):
        self.followed.extend(task["TaskID"] for task in tasks)
        return S_OK({})


@pytest.fixture
def submitter(client, monkeypatch):
    made, jobs = make(WorkflowTaskAgent, client, MonitorTasks="yes", CheckReserved="yes"), Jobs()
    made.transClient, made.transType = client, ["Merge"]
    made.credentials, made.shifterProxy, made.pluginLocation = None, None, ""
    made.threadPoolExecutor = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    made._getClients = lambda **_more: {"TransformationClient": client, "TaskManager": jobs}
    made.submitTasks = lambda trans, clients: jobs.submitted.append(trans["TransformationID"]) or S_OK()
    made.checkReservedTasks = lambda trans, clients: jobs.checked.append(trans["TransformationID"]) or S_OK()
    monkeypatch.setattr("DIRAC.TransformationSystem.Agent.TaskManagerAgentBase.getProxyInfo", lambda **_more: S_ERROR("no proxy"))
    monkeypatch.setattr("DIRAC.TransformationSystem.Agent.TaskManagerAgentBase.gConfig.getValue", lambda _path, value: value)
    made.tasksPerLoop = made.maxParametricJobs = 1
    return made, jobs


def test_jobs_are_submitted_in_each_pass_and_followed_now_and_then(client, submitter):
    agent, jobs = submitter
    client.add(1, Type="Merge")
    client.add(2, Type="Merge")
    client.add(3)
    for number, status in enumerate(["Created", "Reserved", "Running"], 1):
        client.addTask(number, number, status)
    client.addTask(1, 4, "Running")
    for _ in range(2):
        run(agent)
    assert (jobs.submitted, jobs.checked, jobs.followed) == ([1, 1], [2, 2], [4])
    agent._followTime -= 61
    run(agent)
    assert jobs.followed == [4, 4]


def test_a_pass_without_new_tasks_is_one_call_however_many_jobs_run(client, submitter):
    agent, _ = submitter
    for number in range(1, 100):
        client.add(number, Type="Merge")
        client.addTask(number, 1, "Running")
    run(agent)
    client.calls.clear()
    run(agent)
    assert client.calls == ["getCounters"]
