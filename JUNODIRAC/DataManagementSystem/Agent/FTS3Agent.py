"""The FTS3 Agent of DIRAC, which looks at jobs sooner, works for groups without a VOMS role, and remembers how copies went.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN FTS3Agent
  :end-before: ##END
  :dedent: 2
  :caption: FTS3Agent options
"""

from __future__ import annotations

from typing import Any

from DIRAC import gLogger
from DIRAC.ConfigurationSystem.Client.Helpers.Registry import getVOMSAttributeForGroup
from DIRAC.DataManagementSystem.Agent import FTS3Agent as diracModule

from JUNODIRAC.DataManagementSystem.DB.FTS3DB import FTS3DB, DueTimes
from JUNODIRAC.DataManagementSystem.private.QuietAccounting import commitOnlyRecords
from JUNODIRAC.DataManagementSystem.private.TransferMemory import transferMemory
from JUNODIRAC.RawDataSystem.Client.PromptPasses import PromptPasses
from JUNODIRAC.RawDataSystem.Client.PromptTransport import usePromptTransport
from JUNODIRAC.RawDataSystem.Client.RawDataManagerClient import RawDataManagerClient

AGENT_NAME = "DataManagement/FTS3Agent"
_TELL_SECONDS = 10


class FTS3Agent(PromptPasses, diracModule.FTS3Agent):
    """DIRAC's agent with passes every few seconds, which meet only what is due (:class:`FTS3DB`).

    Two of its module's globals are replaced, since its methods read them and take no arguments for them:

    - ``MONITORING_DELAY``: no job is looked at earlier than 10 minutes after its submission or the last look. FTS3DB knows
      better. No job is fetched twice in a pass either: the loop computes its time limit once, before the first batch.
    - ``gProxyManager``: getFTS3Context asks for a VOMS proxy whatever the group, and fails with "No mapping defined" for a
      group without ``VOMSRole``. The rest of DIRAC asks for a plain proxy then.
    """

    # a pass meets only what is due: its CPU is work, and there is no reason to put it off
    restPerCPUSecond = 0.0

    def initialize(self) -> dict[str, Any]:
        """Replace the proxy manager client and the database, otherwise initialize as DIRAC does."""
        usePromptTransport()
        commitOnlyRecords()
        diracModule.MONITORING_DELAY = 0
        if not isinstance(diracModule.gProxyManager, _ProxiesByGroup):
            diracModule.gProxyManager = _ProxiesByGroup(diracModule.gProxyManager)
        result: dict[str, Any] = super().initialize()
        # as many connections as DIRAC's own has, for its two pools of threads
        self.fts3db = FTS3DB(pool_size=2 * self.maxNumberOfThreads)
        return result

    def beginExecution(self) -> dict[str, Any]:
        """Read the configuration again before each cycle."""
        default = DueTimes()
        self.fts3db.due = DueTimes(
            monitoringDelay=self.am_getOption("MonitoringDelay", default.monitoringDelay),
            maxMonitoringDelay=self.am_getOption("MaxMonitoringDelay", default.maxMonitoringDelay),
            ageShare=self.am_getOption("MonitoringAgeShare", default.ageShare),
            treatDelay=self.am_getOption("TreatDelay", default.treatDelay),
        )
        result: dict[str, Any] = super().beginExecution()
        return result

    def onePass(self, isFirst: bool) -> dict[str, Any]:
        """DIRAC's whole cycle; later passes of a cycle leave out the search for what is stuck or may be deleted."""
        tellDoubts()
        if isFirst:
            return super().onePass(isFirst)
        monitored: dict[str, Any] = self.monitorJobsLoop()
        if not monitored["OK"]:
            return monitored
        treated: dict[str, Any] = self.treatOperationsLoop()
        return treated

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


def tellDoubts() -> None:
    """Have the ledger call replicas doubtful that failed copies speak against; while it does not answer they are kept."""
    doubts = transferMemory.takeDoubts()
    if not doubts:
        return
    answer = RawDataManagerClient(timeout=_TELL_SECONDS).doubtReplicas(doubts)
    if not answer["OK"]:
        transferMemory.doubt(doubts)
        gLogger.getSubLogger("FTS3Agent").warn("Replicas in doubt could not be told of:", answer["Message"])


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
