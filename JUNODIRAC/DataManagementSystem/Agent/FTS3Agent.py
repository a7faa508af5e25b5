"""The FTS3 Agent of DIRAC, which looks at jobs sooner, works for groups without a VOMS role, and remembers how copies went.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN FTS3Agent
  :end-before: ##END
  :dedent: 2
  :caption: FTS3Agent options
"""

from __future__ import annotations

from typing import Any

from DIRAC.ConfigurationSystem.Client.Helpers.Registry import getVOMSAttributeForGroup
from DIRAC.DataManagementSystem.Agent import FTS3Agent as diracModule

from JUNODIRAC.DataManagementSystem.private.TransferMemory import transferMemory

AGENT_NAME = "DataManagement/FTS3Agent"

DEFAULT_MONITORING_DELAY_SECONDS = 0


class FTS3Agent(diracModule.FTS3Agent):
    """DIRAC's agent with two of its module's globals replaced, since its methods read them and take no arguments for them.

    - ``MONITORING_DELAY``: no job is looked at earlier than 10 minutes after its submission or the last look. With a
      shorter delay no job is fetched twice in a cycle either: the loop computes its time limit once, before the first
      batch.
    - ``gProxyManager``: getFTS3Context asks for a VOMS proxy whatever the group, and fails with "No mapping defined" for a
      group without ``VOMSRole``. The rest of DIRAC asks for a plain proxy then.
    """

    def initialize(self) -> dict[str, Any]:
        """Replace the proxy manager client, then initialize as DIRAC does."""
        if not isinstance(diracModule.gProxyManager, _ProxiesByGroup):
            diracModule.gProxyManager = _ProxiesByGroup(diracModule.gProxyManager)
        return super().initialize()

    def beginExecution(self) -> dict[str, Any]:
        """Read the configuration again before each cycle."""
        delaySeconds = self.am_getOption("MonitoringDelay", DEFAULT_MONITORING_DELAY_SECONDS)
        diracModule.MONITORING_DELAY = delaySeconds / 60  # the module counts in minutes
        return super().beginExecution()

    def _monitorJob(self, ftsJob: Any) -> tuple[Any, dict[str, Any]]:
        """Look at a job as DIRAC does; when it has ended, its link's record counts for the choice of later sources."""
        answer = super()._monitorJob(ftsJob)
        # a job that comes from the database has this attribute once it has ended, and not before
        transferMemory.jobEnded(getattr(ftsJob, "accountingDicts", None) or ())
        return answer

    def _treatOperation(self, operation: Any) -> tuple[Any, dict[str, Any]]:
        """Treat an operation as DIRAC does; what became of its files counts for the choice of later sources."""
        transferMemory.filesEnded(operation.ftsFiles)
        return super()._treatOperation(operation)


class _ProxiesByGroup:
    """A ProxyManagerClient that gives groups without a VOMS role a proxy without VOMS."""

    def __init__(self, proxyManager: Any) -> None:
        self._proxyManager = proxyManager

    def __getattr__(self, name: str) -> Any:
        return getattr(self._proxyManager, name)

    def downloadVOMSProxyToFile(self, userDN: str, userGroup: str, **arguments: Any) -> dict[str, Any]:
        if getVOMSAttributeForGroup(userGroup):
            return self._proxyManager.downloadVOMSProxyToFile(userDN, userGroup, **arguments)
        return self._proxyManager.downloadProxyToFile(userDN, userGroup, **arguments)
