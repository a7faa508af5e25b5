"""The Transformation Agent of DIRAC, which groups files into tasks sooner, and looks only where files wait.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN TransformationAgent
  :end-before: ##END
  :dedent: 2
  :caption: TransformationAgent options
"""

from __future__ import annotations

from typing import Any

from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue, returnValueOrRaise
from DIRAC.TransformationSystem.Agent.TransformationAgent import TransformationAgent as DiracTransformationAgent
from DIRAC.TransformationSystem.Client.TransformationFilesStatus import MISSING_IN_FC, PROB_IN_FC, UNUSED

from JUNODIRAC.RawDataSystem.Client.PromptPasses import PromptPasses
from JUNODIRAC.RawDataSystem.Client.PromptTransport import usePromptTransport
from JUNODIRAC.TransformationSystem.Client.FullCycles import FullCycles
from JUNODIRAC.TransformationSystem.Client.TaskMaker import TaskMaker
from JUNODIRAC.TransformationSystem.Client.WorkToDo import WorkToDo

AGENT_NAME = "Transformation/TransformationAgent"


class TransformationAgent(PromptPasses, FullCycles, DiracTransformationAgent):
    """DIRAC's agent with passes every few seconds, in which only transformations with something to do are processed.

    All tasks that a plugin plans for a transformation are made in a few calls.
    """

    def initialize(self) -> dict[str, Any]:
        """Initialize as DIRAC does."""
        usePromptTransport()
        result: dict[str, Any] = super().initialize()
        return result

    def _getClients(self) -> dict[str, Any]:
        """DIRAC's, with one that makes tasks in bulk."""
        clients: dict[str, Any] = super()._getClients()
        return clients | {"TransformationClient": TaskMaker(clients["TransformationClient"])}

    def getTransformations(self) -> dict[str, Any]:
        """The transformations to process: of those that DIRAC would take the busy ones, and now and then all of them."""
        isFull = self.isFullCycleDue()
        if isFull or self.am_getOption("Transformation", "All") != "All":
            result: dict[str, Any] = super().getTransformations()
        else:
            result = self._busyTransformations()
        if isFull and not result["OK"]:
            self.repeatFullCycle()
        return result

    @convertToReturnValue
    def _busyTransformations(self) -> list[dict[str, Any]]:
        """Those for which DIRAC's cycle would do something.

        For each active transformation it asks for its Unused and ProbInFC files (and MissingInFC for Type Removal), see
        _getTransformationFiles. If there are none it forgets the offset up to which it has read them, puts Flush back to
        Active, and is done. Before that it moves files from the transformation that one was derived from. So all that have
        files, all in Flush and all that are derived are taken; and the offsets of the others are forgotten.
        """
        condition: dict[str, Any] = {"Status": self.transformationStatus}
        if self.transformationTypes:
            condition["Type"] = self.transformationTypes
        columns = ["TransformationID", "Type", "Status", "InheritedFrom"]
        active = returnValueOrRaise(self.transfClient.getTransformations(condDict=dict(condition), columns=columns))
        waiting = WorkToDo(self.transfClient).withFiles([UNUSED, PROB_IN_FC, MISSING_IN_FC])
        busy = [int(each["TransformationID"]) for each in active if _hasWork(each, waiting)]
        for transformationID in set(self.lastFileOffset) - set(busy):
            del self.lastFileOffset[transformationID]
        self._logInfo(f"{len(busy)} of {len(active)} transformations have something to do", method="getTransformations")
        if not busy:
            return []
        # with the states of now: what was stopped in between must not be processed
        condition["TransformationID"] = busy
        found: list[dict[str, Any]] = returnValueOrRaise(self.transfClient.getTransformations(condition, extraParams=True))
        return found


def _hasWork(transformation: dict[str, Any], waiting: dict[int, set[str]]) -> bool:
    statuses = waiting.get(int(transformation["TransformationID"]), set())
    if transformation["Type"] != "Removal":
        statuses = statuses - {MISSING_IN_FC}
    return bool(statuses or transformation["Status"] == "Flush" or transformation["InheritedFrom"])
