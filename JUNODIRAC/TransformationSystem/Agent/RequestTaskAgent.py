"""The Request Task Agent of DIRAC, which looks at tasks and files sooner after their last change.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN RequestTaskAgent
  :end-before: ##END
  :dedent: 2
  :caption: RequestTaskAgent options
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from DIRAC.Core.Utilities.TimeUtilities import DiracTime
from DIRAC.TransformationSystem.Agent.RequestTaskAgent import RequestTaskAgent as DiracRequestTaskAgent

from JUNODIRAC.RawDataSystem.Client.PromptPasses import PromptPasses
from JUNODIRAC.RawDataSystem.Client.PromptTransport import usePromptTransport

AGENT_NAME = "Transformation/RequestTaskAgent"

DEFAULT_MONITORING_DELAY_SECONDS = 0
DEFAULT_RESERVED_SECONDS = 3600


class RequestTaskAgent(PromptPasses, DiracRequestTaskAgent):
    """DIRAC's agent with passes every few seconds, and with the age from which tasks and files are monitored as an option.

    DIRAC's updateTaskStatus and updateFileStatus ask for entries that are older than 10 minutes, a number that is
    written into both. They ask through the client of their ``clients`` argument and use that time for nothing else, so
    they get a client that asks for a later time. The agent's third such query, of reserved tasks, has an option of its own:
    it repairs submissions that died half-way and must not meet one that is under way.
    """

    def initialize(self) -> dict[str, Any]:
        """Initialize as DIRAC does."""
        usePromptTransport()
        result: dict[str, Any] = super().initialize()
        return result

    def updateTaskStatus(self, transDict: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
        """Update the status of tasks that changed longer ago than MonitoringDelay."""
        return super().updateTaskStatus(transDict, self._impatient(clients, self._monitoringDelay))

    def updateFileStatus(self, transDict: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
        """Update the status of files that changed longer ago than MonitoringDelay."""
        return super().updateFileStatus(transDict, self._impatient(clients, self._monitoringDelay))

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
        # the database compares its own whole seconds with "<": one second more, so that 0 takes what has just changed
        self._older = str(DiracTime.utcnow() - timedelta(seconds=delaySeconds - 1))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def getTransformationTasks(self, **arguments: Any) -> Any:
        return self._client.getTransformationTasks(**{**arguments, "older": self._older})

    def getTransformationFiles(self, **arguments: Any) -> Any:
        return self._client.getTransformationFiles(**{**arguments, "older": self._older})
