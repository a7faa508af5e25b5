"""The Workflow Task Agent of DIRAC, which submits jobs sooner and in bulk, and looks only where something is to do.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN WorkflowTaskAgent
  :end-before: ##END
  :dedent: 2
  :caption: WorkflowTaskAgent options
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from DIRAC.TransformationSystem.Agent.WorkflowTaskAgent import WorkflowTaskAgent as DiracWorkflowTaskAgent
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.TransformationSystem.Client.BulkWorkflowTasks import BulkWorkflowTasks
from JUNODIRAC.TransformationSystem.Client.TaskPasses import TaskPasses
from JUNODIRAC.TransformationSystem.Client.WorkToDo import WorkToDo

AGENT_NAME = "Transformation/WorkflowTaskAgent"

DEFAULT_FOLLOW_SECONDS = 60


class WorkflowTaskAgent(TaskPasses, DiracWorkflowTaskAgent):
    """DIRAC's agent with passes every few seconds, in which new tasks are submitted; jobs are followed now and then.

    Hundred thousand jobs are asked for their status in some seconds: no work for every pass.
    """

    _followTime = float("-inf")

    def _workToDo(self) -> dict[str, set[int]]:
        """submitTasks asks for Created tasks, checkReservedTasks for Reserved ones; all others are followed now and then."""
        waiting = WorkToDo(self.transClient).withTasks(["Created", "Reserved"])
        followed: set[int] = set()
        if monotonic() - self._followTime >= float(self.am_getOption("FollowSeconds", DEFAULT_FOLLOW_SECONDS)):
            known = self._diracsChoice(self.transType, [], [])
            followed = {int(each["TransformationID"]) for each in known["Value"]} if known["OK"] else set()
            self._followTime = monotonic()
        return {
            "submitTasks": {each for each, statuses in waiting.items() if "Created" in statuses},
            "checkReservedTasks": {each for each, statuses in waiting.items() if "Reserved" in statuses},
            "updateTaskStatus": followed,
            "updateFileStatus": followed,
        }

    def _getClients(self, owner: str | None = None, ownerGroup: str | None = None) -> dict[str, Any]:
        """As DIRAC's, with our task manager."""
        manager = BulkWorkflowTasks(owner=owner, ownerGroup=ownerGroup)
        manager.pluginLocation = self.pluginLocation
        return {"TransformationClient": TransformationClient(), "TaskManager": manager}
