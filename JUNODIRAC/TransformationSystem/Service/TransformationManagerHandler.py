"""DIRAC's TransformationManager, which can attach many files to several transformations in one call, and gives tasks away sooner.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN TransformationManager
  :end-before: ##END
  :dedent: 2
  :caption: TransformationManager options

Its database is found through DIRAC's ObjectLoader, which looks into extensions first:
:class:`JUNODIRAC.TransformationSystem.DB.TransformationDB.TransformationDB`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from DIRAC.TransformationSystem.Service.TransformationManagerHandler import (
    TransformationManagerHandler as DiracTransformationManagerHandler,
)


class TransformationManagerHandler(DiracTransformationManagerHandler):
    """Adds :meth:`export_addFilesToTransformations` and an option; all else is DIRAC's."""

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
