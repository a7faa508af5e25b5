"""DIRAC's TransformationClient for methods that ask for old entries, with an age of our own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from DIRAC.Core.Utilities.TimeUtilities import DiracTime
from DIRAC.RequestManagementSystem.Client.Request import Request


class ImpatientClient:
    """A TransformationClient whose queries for old entries use our own age; everything else goes to the real one.

    :param timeStamp: the time of tasks that counts, if not the one that DIRAC's method names
    """

    def __init__(self, client: Any, delaySeconds: int, timeStamp: str = "") -> None:
        self._client = client
        self._timeStamp = {"timeStamp": timeStamp} if timeStamp else {}
        #: gets the tasks that are set to a final status
        self.ended: set[int] = set()
        #: asked for the files of these tasks alone; those without any are taken out
        self.tasks: set[int] | None = None
        # the database compares its own whole seconds with "<": one second more, so that 0 takes what has just changed
        self._older = str(DiracTime.utcnow() - timedelta(seconds=delaySeconds - 1))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def getTransformationTasks(self, **arguments: Any) -> Any:
        return self._client.getTransformationTasks(**{**arguments, **self._timeStamp, "older": self._older})

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
