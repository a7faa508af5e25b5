"""Submission of jobs for tasks on the real WMS: each task gets one job, wherever the agent dies in the middle."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid

import pytest
from junotestbed.observe import unpack

pytestmark = pytest.mark.integration

TASKS = 12
# a pass of the agent for one transformation, in a process of its own that ends without a word at one point
PASS = """
import os, sys
import DIRAC
DIRAC.initialize()
from JUNODIRAC.TransformationSystem.Agent.WorkflowTaskAgent import WorkflowTaskAgent
number, point = int(sys.argv[1]), sys.argv[2]
agent = WorkflowTaskAgent.__new__(WorkflowTaskAgent)
agent.am_getOption = lambda name, default=None: {"ReservedSeconds": int(sys.argv[3])}.get(name, default)
for name in ("_logInfo", "_logVerbose", "_logError", "_logDebug", "_logWarn", "_logException"):
    setattr(agent, name, lambda *_args, **_more: None)
agent.pluginLocation = "DIRAC.TransformationSystem.Client.TaskManagerPlugin"
agent.bulkSubmissionFlag, agent.tasksPerLoop, agent.maxParametricJobs = True, 100, 5
clients = agent._getClients()
manager = clients["TaskManager"]
die = lambda *_args, **_more: os._exit(9)
if point == "reserved":
    manager.prepareTransformationTasks = die
elif point == "not confirmed":
    manager.submissionClient.jobManager.confirmBulkSubmission = die
elif point == "not noted":
    manager.updateDBAfterTaskSubmission = die
body = clients["TransformationClient"].getTransformation(number)["Value"]["Body"]
what = {"TransformationID": number, "Body": body, "Owner": "prod", "OwnerGroup": "juno_prod"}
for method in (agent.checkReservedTasks, agent.submitTasks):
    result = method(what, clients)
    assert result["OK"], result["Message"]
"""


@pytest.fixture
def transformation(testbed):
    """Tasks for a site without a worker node, of a transformation that no agent looks at."""
    from DIRAC.Interfaces.API.Job import Job
    from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

    client, job = TransformationClient(), Job()
    job.setType("DataReconstruction")
    job.setExecutable("/bin/true")
    name, folder = f"Test-{uuid.uuid4().hex}", f"/juno/test/{uuid.uuid4().hex}"
    number = unpack(
        client.addTransformation(
            name, "test", "", "DataReconstruction", "Standard", "Manual", "", addFiles=False, body=job.workflow.toXML()
        )
    )
    lfns = [f"{folder}/RTRaw.{each}.dat" for each in range(TASKS)]
    unpack(client.addFilesToTransformation(number, lfns))
    unpack(client.addTasksForTransformation(number, [([lfn], "IN2P3-DCACHE") for lfn in lfns]))
    time.sleep(2)
    return number


@pytest.fixture
def jobsOf(database):
    def found(number: int) -> list[tuple]:
        sql = "SELECT JobName, JobID, Status FROM Jobs WHERE JobName LIKE %s ORDER BY JobName, JobID"
        return database.rows("JobDB", sql, f"{number:08d}\\_%")

    return found


def onePass(testbed, number: int, point: str = "", reservedSeconds: int = 0) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PASS, str(number), point, str(reservedSeconds)],
        env=testbed.settings.environment(testbed.server.proxy("prod")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 9), done.stdout
    return done.returncode


@pytest.mark.parametrize("point", ["reserved", "not confirmed", "not noted"])
def test_each_task_has_one_job_that_runs_wherever_the_submission_died(testbed, database, transformation, jobsOf, point):
    assert onePass(testbed, transformation, point) == 9
    time.sleep(2)
    assert onePass(testbed, transformation) == 0
    time.sleep(2)
    assert onePass(testbed, transformation) == 0
    jobs = jobsOf(transformation)
    assert [name for name, _, _ in jobs] == [f"{transformation:08d}_{task:08d}" for task in range(1, TASKS + 1)]
    assert "Submitting" not in {status for _, _, status in jobs}
    tasks = database.rows(
        "TransformationDB",
        "SELECT ExternalStatus, ExternalID FROM TransformationTasks WHERE TransformationID = %s ORDER BY TaskID",
        transformation,
    )
    assert [tuple(row) for row in tasks] == [("Submitted", str(number)) for _, number, _ in jobs]


def test_what_is_being_submitted_is_not_taken_back_however_long_ago_the_task_was_made(testbed, database, transformation, jobsOf):
    database.rows(
        "TransformationDB",
        "UPDATE TransformationTasks SET CreationTime = CreationTime - INTERVAL 1 DAY WHERE TransformationID = %s",
        transformation,
    )
    assert onePass(testbed, transformation, "reserved") == 9
    assert onePass(testbed, transformation, reservedSeconds=300) == 0
    assert jobsOf(transformation) == []
