"""DIRAC's WorkflowTasks with the calls that it makes for each task replaced by one for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from DIRAC import S_OK
from DIRAC.Core.Utilities.JEncode import strToIntDict
from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue, returnValueOrRaise
from DIRAC.TransformationSystem.Client.WorkflowTasks import WorkflowTasks
from DIRAC.WorkloadManagementSystem.Client import JobStatus

#: in the body of a transformation of a chain, see JobBody
_ASKS_FOR_INPUTS = "JUNODIRAC.Workflow.Modules.BeginTask"


class BulkWorkflowTasks(WorkflowTasks):
    """The submission itself is DIRAC's: one parametric job for many tasks. What comes before and after it was slow."""

    def prepareTransformationTasks(self, transBody: str, taskDict: dict[int, dict[str, Any]], *args: Any, **kwargs: Any) -> Any:
        """As DIRAC's, but jobs of chains get no InputData.

        They ask the service of chains for their inputs, and compare what they get with the ledger. DIRAC would look for the
        replicas of each job in an optimizer, and again on the worker node, and download the files there before the job begins.
        """
        if _ASKS_FOR_INPUTS in transBody:
            for task in taskDict.values():
                task.pop("InputData", None)
        return super().prepareTransformationTasks(transBody, taskDict, *args, **kwargs)

    def updateDBAfterTaskSubmission(self, taskDict: dict[int, dict[str, Any]]) -> dict[str, Any]:
        """Tell the Transformation System which jobs the tasks became.

        As DIRAC's, which makes a call for each task. If this fails the tasks stay Reserved, and are found by their names.
        """
        externalIDs: dict[int, dict[int, str]] = defaultdict(dict)
        for taskID, task in taskDict.items():
            if task["Success"]:
                externalIDs[task["TransformationID"]][int(taskID)] = str(task["ExternalID"])
        for transformationID, numbers in externalIDs.items():
            result = self.transClient.setTasksSubmitted(transformationID, numbers)
            if not result["OK"]:
                return dict(result)
        return S_OK()

    @convertToReturnValue
    def updateTransformationReservedTasks(self, taskDicts: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Find the jobs of tasks by their names, as DIRAC does, with two calls where it makes one for each job.

        A submission that died before it was confirmed left jobs that nobody starts, and that StalledJobAgent ends after a while.
        They are whole, and stand for their tasks: so it is confirmed now.

        :returns: NoTasks: names of tasks without a job; TaskNameIDs: number of the job by the name of the task
        """
        names = [self._transTaskName(task["TransformationID"], task["TaskID"]) for task in taskDicts]
        found = [int(number) for number in returnValueOrRaise(self.jobMonitoringClient.getJobs({"JobName": names}))]
        jobs = strToIntDict(returnValueOrRaise(self.jobMonitoringClient.getJobsSummary(found))) if found else {}
        halfway = sorted(number for number, job in jobs.items() if job["Status"] == JobStatus.SUBMITTING)
        if halfway:
            self._logInfo(f"The submission of {len(halfway)} jobs died half-way and is confirmed now")
            returnValueOrRaise(self.submissionClient.jobManager.confirmBulkSubmission(halfway))
        # should a task have two, then the first is its job
        numbers = {jobs[number]["JobName"]: number for number in sorted(jobs, reverse=True)}
        return {"NoTasks": [name for name in names if name not in numbers], "TaskNameIDs": numbers}
