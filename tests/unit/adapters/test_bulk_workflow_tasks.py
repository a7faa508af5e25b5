"""Jobs of tasks are noted, and found again by the names of their tasks, in a few calls."""

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.TransformationSystem.Client.BulkWorkflowTasks import BulkWorkflowTasks


class World:
    """TransformationManager, JobMonitoring and JobManager in memory; ``calls`` are their names in order."""

    def __init__(self, jobs=()):
        self.jobs = {number: {"JobName": name, "Status": status} for number, name, status in jobs}
        self.calls, self.noted, self.confirmed = [], {}, []
        self.confirms = True
        self.jobManager = self

    def setTasksSubmitted(self, transformationID, numbers):
        self.noted[transformationID] = numbers
        return S_OK()

    def getJobs(self, condition):
        self.calls.append("getJobs")
        return S_OK([str(number) for number, job in self.jobs.items() if job["JobName"] in condition["JobName"]])

    def getJobsSummary(self, numbers):
        self.calls.append("getJobsSummary")
        return S_OK({str(number): self.jobs[number] for number in numbers})

    def confirmBulkSubmission(self, numbers):
        self.confirmed.append(numbers)
        return S_OK(numbers) if self.confirms else S_ERROR("not now")


def manager(world):
    made = BulkWorkflowTasks.__new__(BulkWorkflowTasks)
    made.transClient = made.jobMonitoringClient = made.submissionClient = world
    made._logInfo = lambda *_args, **_more: None
    return made


def reserved(*taskIDs):
    return [{"TransformationID": 7, "TaskID": taskID} for taskID in taskIDs]


def test_all_jobs_of_a_submission_are_noted_in_one_call_and_tasks_that_failed_are_not():
    world = World()
    tasks = {number: {"TransformationID": 7, "Success": number != 2, "ExternalID": 40 + number} for number in (1, 2, 3)}
    assert manager(world).updateDBAfterTaskSubmission(tasks)["OK"]
    assert world.noted == {7: {1: "41", 3: "43"}}


def test_tasks_whose_jobs_could_not_be_noted_are_an_error():
    world = World()
    world.setTasksSubmitted = lambda *_: S_ERROR("away")
    assert not manager(world).updateDBAfterTaskSubmission({1: {"TransformationID": 7, "Success": True, "ExternalID": 41}})["OK"]


def test_jobs_are_found_by_the_names_of_their_tasks_and_those_without_are_named():
    world = World([(41, "00000007_00000001", "Running"), (42, "00000007_00000003", "Done"), (43, "00000008_00000002", "Done")])
    found = manager(world).updateTransformationReservedTasks(reserved(1, 2, 3))["Value"]
    assert found == {"NoTasks": ["00000007_00000002"], "TaskNameIDs": {"00000007_00000001": 41, "00000007_00000003": 42}}
    assert world.calls == ["getJobs", "getJobsSummary"]
    assert world.confirmed == []


@pytest.mark.parametrize("confirms", [True, False])
def test_jobs_of_a_submission_that_was_never_confirmed_are_started_and_none_is_made_again(confirms):
    world = World([(41, "00000007_00000001", "Submitting"), (42, "00000007_00000002", "Waiting")])
    world.confirms = confirms
    result = manager(world).updateTransformationReservedTasks(reserved(1, 2))
    assert world.confirmed == [[41]]
    # not confirmed: the tasks stay as they are until the next time
    assert result["OK"] is confirms


def test_no_job_at_all_is_no_error():
    assert manager(World()).updateTransformationReservedTasks(reserved(1))["Value"]["NoTasks"] == ["00000007_00000001"]
