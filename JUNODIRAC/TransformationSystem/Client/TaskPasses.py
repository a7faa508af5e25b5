"""Agents that submit and follow tasks, sooner than DIRAC's and only those of transformations with something to do."""

from __future__ import annotations

from typing import Any

from DIRAC import S_OK
from DIRAC.Core.Utilities.ReturnValues import SErrorException

from JUNODIRAC.RawDataSystem.Client.PromptPasses import PromptPasses
from JUNODIRAC.RawDataSystem.Client.PromptTransport import usePromptTransport
from JUNODIRAC.TransformationSystem.Client.FullCycles import FullCycles
from JUNODIRAC.TransformationSystem.Client.ImpatientClient import ImpatientClient

DEFAULT_MONITORING_DELAY_SECONDS = 0
DEFAULT_RESERVED_SECONDS = 3600


class TaskPasses(PromptPasses, FullCycles):
    """To be inherited before one of DIRAC's task agents.

    DIRAC does four things to each active transformation in each cycle. Here each is done only to those for which it would find
    something, see :meth:`_workToDo`, and now and then to all.

    DIRAC's updateTaskStatus, updateFileStatus and checkReservedTasks ask for entries of an age that is written into each. They
    ask through the client of their ``clients`` argument and use that time for nothing else, so they get a client that asks for
    a later time.
    """

    #: transformations with something to do, by DIRAC's name of what is done; None: all of them
    _work: dict[str, set[int]] | None = None
    transClient: Any
    transType: list[str]

    def initialize(self) -> dict[str, Any]:
        """Initialize as DIRAC does."""
        usePromptTransport()
        result: dict[str, Any] = super().initialize()  # type: ignore[misc]
        return result

    def onePass(self, isFirst: bool) -> dict[str, Any]:
        """Find out what there is to do, and do it."""
        self._work = None
        if not self.isFullCycleDue() and self._canChoose():
            try:
                self._work = self._workToDo()
            except SErrorException as error:
                self.log.warn(  # type: ignore[attr-defined]
                    "All transformations are looked at: could not ask which have something to do", str(error)
                )
        return super().onePass(isFirst)

    def _canChoose(self) -> bool:
        """Whether the options let it be known what there is to do."""
        return True

    def _workToDo(self) -> dict[str, set[int]]:
        """Transformations for which DIRAC's methods would do something, by the name of the method."""
        raise NotImplementedError

    def _selectTransformations(
        self, transType: list[str] | None = None, status: list[str] | None = None, agentType: list[str] | None = None
    ) -> dict[str, Any]:
        """DIRAC's choice, out of those that have anything to do."""
        if self._work is None:
            return self._diracsChoice(transType, status, agentType)
        busy = sorted(set().union(*self._work.values()))
        if not busy:
            return S_OK([])
        client, self.transClient = self.transClient, _ChoosingClient(self.transClient, busy)
        try:
            return self._diracsChoice(transType, status, agentType)
        finally:
            self.transClient = client

    def _diracsChoice(self, *conditions: list[str] | None) -> dict[str, Any]:
        result: dict[str, Any] = super()._selectTransformations(*conditions)  # type: ignore[misc]
        return result

    def _addOperationForTransformations(
        self, operations: dict[int, Any], operation: str, transformations: dict[str, Any], **credentials: Any
    ) -> None:
        """Plan what DIRAC plans, for those that have just this to do."""
        if self._work is not None:
            busy = self._work[operation]
            transformations = S_OK([each for each in transformations["Value"] if each["TransformationID"] in busy])
        super()._addOperationForTransformations(operations, operation, transformations, **credentials)  # type: ignore[misc]

    def updateTaskStatus(self, transDict: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
        """Update the status of tasks that changed longer ago than MonitoringDelay."""
        result: dict[str, Any] = super().updateTaskStatus(  # type: ignore[misc]
            transDict, self._impatient(clients, self._monitoringDelay)
        )
        return result

    def updateFileStatus(self, transDict: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
        """Update the status of files that changed longer ago than MonitoringDelay."""
        result: dict[str, Any] = super().updateFileStatus(  # type: ignore[misc]
            transDict, self._impatient(clients, self._monitoringDelay)
        )
        return result

    def checkReservedTasks(self, transDict: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
        """Take back tasks whose submission began longer ago than ReservedSeconds.

        DIRAC counts from the time when the task was made: an old one, that is being submitted, would be taken back.
        """
        ageSeconds = self.am_getOption("ReservedSeconds", DEFAULT_RESERVED_SECONDS)  # type: ignore[attr-defined]
        result: dict[str, Any] = super().checkReservedTasks(  # type: ignore[misc]
            transDict, self._impatient(clients, ageSeconds, "LastUpdateTime")
        )
        return result

    @property
    def _monitoringDelay(self) -> int:
        return int(self.am_getOption("MonitoringDelay", DEFAULT_MONITORING_DELAY_SECONDS))  # type: ignore[attr-defined]

    def _impatient(self, clients: dict[str, Any], delaySeconds: int, timeStamp: str = "") -> dict[str, Any]:
        return {**clients, "TransformationClient": ImpatientClient(clients["TransformationClient"], delaySeconds, timeStamp)}


class _ChoosingClient:
    """A TransformationClient that finds only these transformations."""

    def __init__(self, client: Any, transformationIDs: list[int]) -> None:
        self._client = client
        self._transformationIDs = transformationIDs

    def getTransformations(self, condDict: dict[str, Any], columns: list[str]) -> Any:
        return self._client.getTransformations(
            condDict={**condDict, "TransformationID": self._transformationIDs}, columns=columns
        )
