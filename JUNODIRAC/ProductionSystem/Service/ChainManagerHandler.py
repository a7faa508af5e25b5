"""The service of chains: through which people start and follow them, agents plan tasks, and jobs say what they made.

Everyone in the Registry may read, and only groups with the property ProductionManagement may change: both stand here as well
as in the configuration, so that a forgotten Authorization section opens nothing.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN ChainManager
  :end-before: ##END
  :dedent: 2
  :caption: ChainManager options
"""

from __future__ import annotations

from JUNODIRAC.ProductionSystem.Service.AuditMethods import AuditMethods
from JUNODIRAC.ProductionSystem.Service.ChainMethods import ChainMethods
from JUNODIRAC.ProductionSystem.Service.JobMethods import JobMethods
from JUNODIRAC.ProductionSystem.Service.PlanMethods import PlanMethods
from JUNODIRAC.ProductionSystem.Service.RunMethods import RunMethods


class ChainManagerHandler(
    AuditMethods,
    ChainMethods,
    JobMethods,
    PlanMethods,
    RunMethods,
):
    """Production/ChainManager: all of it is in its bases."""
