"""The Request Task Agent of DIRAC, which looks at tasks and files sooner, and only where something changed.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN RequestTaskAgent
  :end-before: ##END
  :dedent: 2
  :caption: RequestTaskAgent options
"""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import Any

from DIRAC import S_OK
from DIRAC.RequestManagementSystem.Client.ReqClient import ReqClient
from DIRAC.TransformationSystem.Agent.RequestTaskAgent import RequestTaskAgent as DiracRequestTaskAgent

from JUNODIRAC.TransformationSystem.Client.ImpatientClient import ImpatientClient
from JUNODIRAC.TransformationSystem.Client.TaskPasses import TaskPasses
from JUNODIRAC.TransformationSystem.Client.WorkToDo import WorkToDo

AGENT_NAME = "Transformation/RequestTaskAgent"

DEFAULT_CATCH_UP_SECONDS = 600
# passes in which the files of ended tasks are looked at, until the next time of CatchUpSeconds
_TRIES = 10
# those of DIRAC's template and those in its code
_UPDATE_STATUSES = [
    "Checking", "Deleted", "Killed", "Staging", "Stalled", "Matched", "Scheduled", "Rescheduled", "Completing", "Completed",
    "Submitting", "Submitted", "Assigned", "Received", "Waiting", "Running",
]  # fmt: skip


class RequestTaskAgent(TaskPasses, DiracRequestTaskAgent):
    """DIRAC's agent with passes every few seconds, and with the age from which tasks and files are monitored as an option."""

    _catchUpTime = float("-inf")

    def initialize(self) -> dict[str, Any]:
        """Initialize as DIRAC does."""
        # tasks that ended, by transformation, whose files may still be Assigned
        self._ended: dict[int, set[int]] = {}
        self._tries: Counter[int] = Counter()
        return super().initialize()

    def _canChoose(self) -> bool:
        # the end of a task is noticed by updateTaskStatus: without it nothing says whose files have to be looked at
        return bool(self.am_getOption("MonitorTasks", ""))

    def _workToDo(self) -> dict[str, set[int]]:
        """Transformations for which DIRAC's methods would do something.

        submitTasks asks for tasks that are Created, checkReservedTasks for those that are Reserved. updateTaskStatus compares
        the statuses of unfinished tasks and their requests, and changes those that differ. updateFileStatus asks for all
        Assigned files, but passes over those whose request has not ended; a task gets its request's final status from
        updateTaskStatus, so it is enough to look at the tasks that got it there: in this pass, or in an earlier one after
        which files were left. What somebody else ended, or this agent before it was started, is found first of all and every
        CatchUpSeconds: tasks that have Assigned files and are not under way.
        """
        work = WorkToDo(self.transClient)
        now, updateStatuses = monotonic(), self.am_getOption("TaskUpdateStatus", _UPDATE_STATUSES)
        isCatchingUp = now - self._catchUpTime >= self.am_getOption("CatchUpSeconds", DEFAULT_CATCH_UP_SECONDS)
        # files before tasks: a task that is made in between is not taken for one that has ended
        assigned = work.assignedTasks(self.transType) if isCatchingUp else {}
        tasks = work.tasks({"Created", "Reserved", *updateStatuses}, self.transType)
        changed = work.withNewStatus([task for task in tasks if task["ExternalStatus"] in updateStatuses], ReqClient())
        if isCatchingUp:
            for task in tasks:
                assigned.get(task["TransformationID"], set()).discard(task["TaskID"])
            self._ended = {each: taskIDs for each, taskIDs in assigned.items() if taskIDs}
            self._catchUpTime = now
            self._tries.clear()
        return {
            "submitTasks": {task["TransformationID"] for task in tasks if task["ExternalStatus"] == "Created"},
            "checkReservedTasks": {task["TransformationID"] for task in tasks if task["ExternalStatus"] == "Reserved"},
            "updateTaskStatus": changed,
            "updateFileStatus": changed | set(self._ended),
        }

    def updateTaskStatus(self, transDict: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
        """Update the status of tasks that changed longer ago than MonitoringDelay, and keep in mind which ended."""
        client = ImpatientClient(clients["TransformationClient"], self._monitoringDelay)
        client.ended = self._ended.setdefault(transDict["TransformationID"], set())
        result: dict[str, Any] = DiracRequestTaskAgent.updateTaskStatus(
            self, transDict, {**clients, "TransformationClient": client}
        )
        self._forgetIfNone(transDict["TransformationID"])
        return result

    def updateFileStatus(self, transDict: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
        """Update the status of the files of tasks that ended; in a full cycle of all that changed before MonitoringDelay."""
        if self._work is None:
            return super().updateFileStatus(transDict, clients)
        transformationID = transDict["TransformationID"]
        if not self._ended.get(transformationID):
            return S_OK()
        # that their tasks have ended is reason enough to look at files, however new they are
        client = ImpatientClient(clients["TransformationClient"], 0)
        client.tasks = self._ended[transformationID]
        self._tries[transformationID] += 1
        result: dict[str, Any] = DiracRequestTaskAgent.updateFileStatus(
            self, transDict, {**clients, "TransformationClient": client}
        )
        if self._tries[transformationID] >= _TRIES:  # a request that is not there any more, for example
            self._ended[transformationID].clear()
        self._forgetIfNone(transformationID)
        return result

    def _forgetIfNone(self, transformationID: int) -> None:
        if not self._ended.get(transformationID):
            self._ended.pop(transformationID, None)
            del self._tries[transformationID]
