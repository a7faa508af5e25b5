"""DIRAC's TransformationManager, which can attach many files to several transformations in one call.

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
    """Adds :meth:`export_addFilesToTransformations`; all else is DIRAC's."""

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
