"""DIRAC's TransformationManager, which takes many files and tasks in one call, and gives tasks away sooner.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN TransformationManager
  :end-before: ##END
  :dedent: 2
  :caption: TransformationManager options

Its database is found through DIRAC's ObjectLoader, which looks into extensions first:
:class:`JUNODIRAC.TransformationSystem.DB.TransformationDB.TransformationDB`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from DIRAC import S_OK
from DIRAC.Core.Utilities.TimeUtilities import DiracTime
from DIRAC.TransformationSystem.Service.TransformationManagerHandler import (
    TransformationManagerHandler as DiracTransformationManagerHandler,
)

# from which DIRAC gives a task away
_TASK_AGE_SECONDS = 30


class TransformationManagerHandler(DiracTransformationManagerHandler):
    """Adds calls for many files and tasks, and an option; all else is DIRAC's."""

    @classmethod
    def initializeHandler(cls, serviceInfoDict: dict[str, Any]) -> dict[str, Any]:
        """Initialize as DIRAC does; its database is ours, and takes the age from which getTasksToSubmit gives tasks away."""
        result: dict[str, Any] = super().initializeHandler(serviceInfoDict)
        if result["OK"]:
            database = cls.transformationDB
            database.taskAgeSeconds = float(cls.srv_getCSOption("TaskAgeSeconds", database.taskAgeSeconds))
        return result

    types_addFilesToTransformations = [[list, tuple], [list, tuple]]

    def export_addFilesToTransformations(self, transformationIDs: Sequence[int], lfns: Sequence[str]) -> dict[str, Any]:
        """Attach files to each of the transformations, with the right that each of them asks for.

        See :meth:`TransformationDB.addFilesToTransformations`.
        """
        for transformationID in transformationIDs:
            allowed: dict[str, Any] = self.checkPermissions(transformationID)
            if not allowed["OK"]:
                return allowed
        result: dict[str, Any] = self.transformationDB.addFilesToTransformations(transformationIDs, lfns)
        return result

    types_addTasksForTransformation = [[int, str], [list, tuple]]

    def export_addTasksForTransformation(
        self, transName: int | str, tasks: Sequence[tuple[Sequence[str], str]]
    ) -> dict[str, Any]:
        """Make many tasks at once: all of them or, if something fails, none.

        :param tasks: for each its LFNs and its storage element
        :returns: for each task what addTaskForTransformation answers: its number, or why it was not made
        """
        allowed: dict[str, Any] = self.checkPermissions(transName)
        return self.transformationDB.addTasksForTransformation(transName, tasks) if allowed["OK"] else allowed

    types_setTasksSubmitted = [[int, str], dict]

    def export_setTasksSubmitted(self, transName: int | str, externalIDs: Mapping[int, str]) -> dict[str, Any]:
        """Note the jobs or requests that tasks became, which are Submitted now."""
        allowed: dict[str, Any] = self.checkPermissions(transName)
        if not allowed["OK"]:
            return allowed
        numbers = {int(taskID): str(externalID) for taskID, externalID in externalIDs.items()}
        result: dict[str, Any] = self.transformationDB.setTasksSubmitted(transName, numbers)
        return result

    def export_getTasksToSubmit(self, transName: int | str, numTasks: int, site: str = "") -> dict[str, Any]:
        """As DIRAC's, which reads and reserves each task by queries of its own: 500 tasks are 3,500 queries."""
        transformation: dict[str, Any] = self.transformationDB.getTransformation(transName)
        if not transformation["OK"]:
            return transformation
        # DIRAC's age; the database knows ours
        older = DiracTime.utcnow() - timedelta(seconds=_TASK_AGE_SECONDS)
        reserved: dict[str, Any] = self.transformationDB.reserveTasksForSubmission(transName, numTasks, site, older)
        return S_OK(transformation["Value"] | {"JobDictionary": reserved["Value"]}) if reserved["OK"] else reserved
