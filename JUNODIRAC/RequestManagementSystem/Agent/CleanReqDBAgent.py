"""The CleanReqDB Agent of DIRAC, which takes requests back from a dead RequestExecutingAgent after seconds, not hours.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN CleanReqDBAgent
  :end-before: ##END
  :dedent: 2
  :caption: CleanReqDBAgent options
"""

from __future__ import annotations

from typing import Any

from DIRAC.RequestManagementSystem.Agent.CleanReqDBAgent import CleanReqDBAgent as DiracCleanReqDBAgent

AGENT_NAME = "RequestManagement/CleanReqDBAgent"

DEFAULT_KICK_GRACE_SECONDS = 3600


class CleanReqDBAgent(DiracCleanReqDBAgent):
    """DIRAC's agent, whose option ``KickGraceHours`` knows whole hours alone: here it is one in seconds."""

    def beginExecution(self) -> dict[str, Any]:
        """Read the option again before each cycle; DIRAC's cycle counts with parts of hours, too."""
        self.KICK_GRACE_HOURS = self.am_getOption("KickGraceSeconds", DEFAULT_KICK_GRACE_SECONDS) / 3600
        return super().beginExecution()
