"""The Request Task Agent of DIRAC, which looks at tasks and files sooner, and only where something changed.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN RequestTaskAgent
  :end-before: ##END
  :dedent: 2
  :caption: RequestTaskAgent options
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from time import monotonic
from typing import Any

from DIRAC import S_OK
from DIRAC.Core.Utilities.ReturnValues import SErrorException
from DIRAC.Core.Utilities.TimeUtilities import DiracTime
from DIRAC.RequestManagementSystem.Client.ReqClient import ReqClient
from DIRAC.RequestManagementSystem.Client.Request import Request
from DIRAC.TransformationSystem.Agent.RequestTaskAgent import RequestTaskAgent as DiracRequestTaskAgent

from JUNODIRAC.RawDataSystem.Client.PromptPasses import PromptPasses
from JUNODIRAC.RawDataSystem.Client.PromptTransport import usePromptTransport
from JUNODIRAC.TransformationSystem.Client.FullCycles import FullCycles
from JUNODIRAC.TransformationSystem.Client.WorkToDo import WorkToDo

AGENT_NAME = "Transformation/RequestTaskAgent"

DEFAULT_MONITORING_DELAY_SECONDS = 0
DEFAULT_RESERVED_SECONDS = 3600
DEFAULT_CATCH_UP_SECONDS = 600
# passes in which the files of ended tasks are looked at, until the next time of CatchUpSeconds
_TRIES = 10
# those of DIRAC's template and those in its code
_UPDATE_STATUSES = [
    "Checking", "Deleted", "Killed", "Staging", "Stalled", "Matched", "Scheduled", "Rescheduled", "Completing", "Completed",
    "Submitting", "Submitted", "Assigned", "Received", "Waiting", "Running",
]  # fmt: skip


class RequestTaskAgent(PromptPasses, FullCycles, DiracRequestTaskAgent):
    """DIRAC's agent with passes every few seconds, and with the age from which tasks and files are monitored as an option.

    DIRAC's updateTaskStatus and updateFileStatus ask for entries that are older than 10 minutes, a number that is
    written into both. They ask through the client of their ``clients`` argument and use that time for nothing else, so
    they get a client that asks for a later time. The agent's third such query, of reserved tasks, has an option of its own:
    it repairs submissions that died half-way and must not meet one that is under way.

    DIRAC does four things to each active transformation in each cycle. Here each is done only to those for which it would find
    something, see :meth:`_workToDo`, and now and then to all.
    """

    #: transformations with something to do, by DIRAC's name of what is done; None: all of them
    _work: dict[str, set[int]] | None = None
    _catchUpTime = float("-inf")
    transClient: Any

    def initialize(self) -> dict[str, Any]:
        """Initialize as DIRAC does."""
        usePromptTransport()
        # tasks that ended, by transformation, whose files may still be Assigned
        self._ended: dict[int, set[int]] = {}
        self._tries: Counter[int] = Counter()
        result: dict[str, Any] = super().initialize()
        return result

    def onePass(self, isFirst: bool) -> dict[str, Any]:
        """Find out what there is to do, and do it."""
        self._work = None
        # the end of a task is noticed by updateTaskStatus: without it nothing says whose files have to be looked at
        if not self.isFullCycleDue() and self.am_getOption("MonitorTasks", ""):
            try:
                self._work = self._workToDo()
            except SErrorException as error:
                self.log.warn("All transformations are looked at: could not ask which have something to do", str(error))
        return super().onePass(isFirst)

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
        assigned = work.assignedTasks() if isCatchingUp else {}
        tasks = work.tasks({"Created", "Reserved", *updateStatuses})
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

    def _selectTransformations(
        self, transType: list[str] | None = None, status: list[str] | None = None, agentType: list[str] | None = None
    ) -> dict[str, Any]:
        """DIRAC's choice, out of those that have anything to do."""
        if self._work is None:
            return super()._selectTransformations(transType, status, agentType)
        busy = sorted(set().union(*self._work.values()))
        if not busy:
            return S_OK([])
        client, self.transClient = self.transClient, _ChoosingClient(self.transClient, busy)
        try:
            return super()._selectTransformations(transType, status, agentType)
        finally:
            self.transClient = client

    def _addOperationForTransformations(
        self, operations: dict[int, Any], operation: str, transformations: dict[str, Any], **credentials: Any
    ) -> None:
        """Plan what DIRAC plans, for those that have just this to do."""
        if self._work is not None:
            busy = self._work[operation]
            transformations = S_OK([each for each in transformations["Value"] if each["TransformationID"] in busy])
        super()._addOperationForTransformations(operations, operation, transformations, **credentials)

    def updateTaskStatus(self, transDict: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
        """Update the status of tasks that changed longer ago than MonitoringDelay, and keep in mind which ended."""
        client = _ImpatientClient(clients["TransformationClient"], self._monitoringDelay)
        client.ended = self._ended.setdefault(transDict["TransformationID"], set())
        result: dict[str, Any] = super().updateTaskStatus(transDict, {**clients, "TransformationClient": client})
        self._forgetIfNone(transDict["TransformationID"])
        return result

    def updateFileStatus(self, transDict: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
        """Update the status of the files of tasks that ended; in a full cycle of all that changed before MonitoringDelay."""
        if self._work is None:
            return super().updateFileStatus(transDict, self._impatient(clients, self._monitoringDelay))
        transformationID = transDict["TransformationID"]
        if not self._ended.get(transformationID):
            return S_OK()
        # that their tasks have ended is reason enough to look at files, however new they are
        client = _ImpatientClient(clients["TransformationClient"], 0)
        client.tasks = self._ended[transformationID]
        self._tries[transformationID] += 1
        result: dict[str, Any] = super().updateFileStatus(transDict, {**clients, "TransformationClient": client})
        if self._tries[transformationID] >= _TRIES:  # a request that is not there any more, for example
            self._ended[transformationID].clear()
        self._forgetIfNone(transformationID)
        return result

    def _forgetIfNone(self, transformationID: int) -> None:
        if not self._ended.get(transformationID):
            self._ended.pop(transformationID, None)
            del self._tries[transformationID]

    def checkReservedTasks(self, transDict: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
        """Take back tasks whose submission began longer ago than ReservedSeconds."""
        ageSeconds = self.am_getOption("ReservedSeconds", DEFAULT_RESERVED_SECONDS)
        return super().checkReservedTasks(transDict, self._impatient(clients, ageSeconds))

    @property
    def _monitoringDelay(self) -> int:
        return self.am_getOption("MonitoringDelay", DEFAULT_MONITORING_DELAY_SECONDS)

    def _impatient(self, clients: dict[str, Any], delaySeconds: int) -> dict[str, Any]:
        client = _ImpatientClient(clients["TransformationClient"], delaySeconds)
        return {**clients, "TransformationClient": client}


class _ImpatientClient:
    """A TransformationClient whose queries for old entries use our own age; everything else goes to the real one."""

    def __init__(self, client: Any, delaySeconds: int) -> None:
        self._client = client
        #: gets the tasks that are set to a final status
        self.ended: set[int] = set()
        #: asked for the files of these tasks alone; those without any are taken out
        self.tasks: set[int] | None = None
        # the database compares its own whole seconds with "<": one second more, so that 0 takes what has just changed
        self._older = str(DiracTime.utcnow() - timedelta(seconds=delaySeconds - 1))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def getTransformationTasks(self, **arguments: Any) -> Any:
        return self._client.getTransformationTasks(**{**arguments, "older": self._older})

    def getTransformationFiles(self, **arguments: Any) -> Any:
        arguments["older"] = self._older
        if self.tasks is None:
            return self._client.getTransformationFiles(**arguments)
        arguments["condDict"] = {**arguments["condDict"], "TaskID": sorted(self.tasks)}
        result = self._client.getTransformationFiles(**arguments)
        if result["OK"]:
            self.tasks.intersection_update(int(file["TaskID"]) for file in result["Value"])
        return result

    def setTaskStatus(self, transformationID: int, taskIDs: list[int], status: str) -> Any:
        # noted before: if the answer is lost, the files are looked at in vain
        if status in Request.FINAL_STATES:
            self.ended.update(taskIDs)
        return self._client.setTaskStatus(transformationID, taskIDs, status)


class _ChoosingClient:
    """A TransformationClient that finds only these transformations."""

    def __init__(self, client: Any, transformationIDs: list[int]) -> None:
        self._client = client
        self._transformationIDs = transformationIDs

    def getTransformations(self, condDict: dict[str, Any], columns: list[str]) -> Any:
        return self._client.getTransformations(
            condDict={**condDict, "TransformationID": self._transformationIDs}, columns=columns
        )
