"""The transformations of block transfers as BlockAgent sees and switches them."""

from __future__ import annotations

import errno
from collections.abc import Collection, Mapping
from typing import Any

from DIRAC.Core.Utilities.DErrno import cmpError

from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransformationTransfers import COMPONENT, TRANSFORMATION_TYPE

#: DIRAC's states in which a transformation is at work, or waits for a person to let it work
NOT_FINISHED = ("New", "Active", "Flush", "Completing", "Stopped", "Idle")
_PROCESSED = "Processed"
# what the TransformationAgent makes tasks of
_IN_NO_TASK = ("Unused", "ProbInFC")


class BlockTransformations:
    """Implements :class:`JUNODIRAC.Core.Logic.BlockCyclePorts.CycleTransfers`.

    :param reader: DIRAC's TransformationClient
    :param writer: another one, which acts for the production manager
    """

    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader = reader
        self._writer = writer

    def activeOnes(self) -> dict[int, str]:
        """See :meth:`CycleTransfers.activeOnes`."""
        return self._find({"Status": list(NOT_FINISHED), "Type": TRANSFORMATION_TYPE})

    def statuses(self, transformationIDs: Collection[int]) -> dict[int, str]:
        """See :meth:`CycleTransfers.statuses`."""
        return self._find({"TransformationID": sorted(transformationIDs)}) if transformationIDs else {}

    def unfinishedFiles(self, transformationIDs: Collection[int]) -> dict[int, int]:
        """See :meth:`CycleTransfers.unfinishedFiles`."""
        unfinished = dict.fromkeys(transformationIDs, 0)
        for row, count in self._counted(transformationIDs):
            if row["Status"] != _PROCESSED:
                unfinished[int(row["TransformationID"])] += count
        return unfinished

    def waitingFiles(self, transformationIDs: Collection[int]) -> dict[int, int]:
        """See :meth:`CycleTransfers.waitingFiles`."""
        waiting: dict[int, int] = {}
        for row, count in self._counted(transformationIDs):
            if row["Status"] in _IN_NO_TASK:
                number = int(row["TransformationID"])
                waiting[number] = waiting.get(number, 0) + count
        return waiting

    def flush(self, transformationID: int) -> None:
        """See :meth:`CycleTransfers.flush`. DIRAC's TransformationAgent makes it active again afterwards."""
        self._setStatus(transformationID, "Flush")

    def complete(self, transformationID: int) -> None:
        """See :meth:`CycleTransfers.complete`. DIRAC's TransformationCleaningAgent archives it."""
        self._setStatus(transformationID, "Completed")

    def reopen(self, transformationID: int, metadata: Mapping[str, str]) -> None:
        """See :meth:`CycleTransfers.reopen`."""
        if metadata:
            result = self._writer.getTransformationMetaQuery(transformationID, "Input")
            query = {} if cmpError(result, errno.ENOENT) else valueOrRaise(result, COMPONENT)
            if not query:
                result = self._writer.createTransformationMetaQuery(transformationID, dict(metadata), "Input")
                valueOrRaise(result, COMPONENT)
        self._setStatus(transformationID, "Active")

    def _counted(self, transformationIDs: Collection[int]) -> list[tuple[dict[str, Any], int]]:
        """Status and number of files of these transformations."""
        if not transformationIDs:
            return []
        columns, condition = ["TransformationID", "Status"], {"TransformationID": sorted(transformationIDs)}
        found: list[tuple[dict[str, Any], int]] = valueOrRaise(
            self._reader.getCounters("TransformationFiles", columns, condition), COMPONENT
        )
        return found

    def _find(self, condition: dict[str, Any]) -> dict[int, str]:
        result = self._reader.getTransformations(condDict=condition, columns=["TransformationID", "Status"])
        return {int(row["TransformationID"]): str(row["Status"]) for row in valueOrRaise(result, COMPONENT)}

    def _setStatus(self, transformationID: int, status: str) -> None:
        valueOrRaise(self._writer.setTransformationParameter(transformationID, "Status", status), COMPONENT)
