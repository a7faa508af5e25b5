"""The Request Executing Agent of DIRAC, which takes up requests sooner.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN RequestExecutingAgent
  :end-before: ##END
  :dedent: 2
  :caption: RequestExecutingAgent options
"""

from __future__ import annotations

from typing import Any

from DIRAC.Core.Utilities import ProcessPool as poolModule
from DIRAC.RequestManagementSystem.Agent import RequestExecutingAgent as diracModule

from JUNODIRAC.DataManagementSystem.private.QuietAccounting import commitOnlyRecords
from JUNODIRAC.RawDataSystem.Client.PromptPasses import PromptPasses
from JUNODIRAC.RawDataSystem.Client.PromptTransport import usePromptTransport

AGENT_NAME = "RequestManagement/RequestExecutingAgent"


class RequestExecutingAgent(PromptPasses, diracModule.RequestExecutingAgent):
    """DIRAC's agent with passes every few seconds, and without the pauses between requests.

    DIRAC sleeps for a tenth of a second three times for each request, twice when it is queued and once when its result is
    taken, so that a hundred requests wait for half a minute; and it looks for results once a second. All of it is left out
    where the environment has ``DIRAC_FAST_PROCESS_POOL``, which two of its modules read into a global. An option is easier to
    find and to set.
    """

    # a pass takes requests that wait to be executed: its CPU is work
    restPerCPUSecond = 0.0

    def initialize(self) -> dict[str, Any]:
        """Set what the pool of workers reads, and what they inherit, before DIRAC makes it."""
        usePromptTransport()
        commitOnlyRecords()
        isFast = bool(self.am_getOption("FastProcessPool", True))
        poolModule.FAST_PROCESS_POOL = diracModule.FAST_PROCESS_POOL = isFast
        result: dict[str, Any] = super().initialize()
        return result
