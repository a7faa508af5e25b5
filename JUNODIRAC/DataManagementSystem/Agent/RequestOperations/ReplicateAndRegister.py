"""DIRAC's operation that asks FTS3 for copies, without asking the storages for each file before.

.. literalinclude:: /../JUNODIRAC/RequestManagementSystem/ConfigTemplate.cfg
  :start-after: ##BEGIN RequestExecutingAgent
  :end-before: ##END
  :dedent: 2
  :caption: RequestExecutingAgent options, this operation's under OperationHandlers
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from DIRAC import S_OK
from DIRAC.DataManagementSystem.Agent.RequestOperations.ReplicateAndRegister import (
    ReplicateAndRegister as DiracReplicateAndRegister,
)


class ReplicateAndRegister(DiracReplicateAndRegister):
    """Takes the catalogue's word for which replicas there are, and its size and checksum for those of the file.

    DIRAC asks the storage of each replica for size and checksum, one file and one storage after the other: a task of fifty
    files with replicas at three sites is 150 questions over long links, while the request occupies a worker. Nothing is lost
    without: the receiver has compared the source with its announcement, FTS3 compares the copy with the catalogue's checksum,
    a source that is gone is an error of FTS3, and a replica that was found bad is no source (JUNOFTS3Plugin).
    """

    def _filterReplicas(self, opFile: Any, activeReplicas: dict[str, Any]) -> dict[str, Any]:
        """The replicas that may be read.

        A file without any, or one that the catalogue does not know, is looked into as DIRAC does: it tells what is the matter.
        """
        allowed = self.operation.sourceSEList
        replicas = activeReplicas["Successful"].get(opFile.LFN, {})
        usable = [se for se in replicas if not allowed or se in allowed]
        if not usable:
            result: dict[str, Any] = super()._filterReplicas(opFile, activeReplicas)
            return result
        return S_OK(defaultdict(list, {"Valid": usable}))
