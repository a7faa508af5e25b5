"""The transformations of chains as their feeder sees and switches them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from DIRAC.Core.Utilities.List import breakListIntoChunks

from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransformationTransfers import COMPONENT

_FILES_PER_CALL = 5000
_ADDED = "Added"
_PROCESSED = "Processed"


class FedTransformations:
    """Implements :class:`JUNODIRAC.Core.Logic.ChainPorts.FeedTransformations`.

    :param reader: DIRAC's TransformationClient
    :param writer: another one, which acts for the production manager
    """

    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader = reader
        self._writer = writer

    def attach(self, transformationIDs: Sequence[int], lfns: Sequence[str]) -> tuple[int, Mapping[str, str]]:
        """See :meth:`FeedTransformations.attach`."""
        added = 0
        failed: dict[str, str] = {}
        for chunk in breakListIntoChunks(list(lfns), _FILES_PER_CALL):
            answer = valueOrRaise(self._writer.addFilesToTransformations(list(transformationIDs), chunk), COMPONENT)
            added += sum(what == _ADDED for what in answer["Successful"].values())
            failed.update(answer["Failed"])
        return added, failed

    def statuses(self, transformationIDs: Collection[int]) -> Mapping[int, str]:
        """See :meth:`FeedTransformations.statuses`."""
        condition, columns = {"TransformationID": sorted(transformationIDs)}, ["TransformationID", "Status"]
        found = valueOrRaise(self._reader.getTransformations(condDict=condition, columns=columns), COMPONENT)
        return {int(row["TransformationID"]): str(row["Status"]) for row in found}

    def setStatus(self, transformationID: int, status: str) -> None:
        """See :meth:`FeedTransformations.setStatus`."""
        valueOrRaise(self._writer.setTransformationParameter(transformationID, "Status", status), COMPONENT)

    def fileCounts(self, transformationIDs: Collection[int]) -> Mapping[int, Mapping[str, int]]:
        """See :meth:`FeedTransformations.fileCounts`."""
        columns, condition = ["TransformationID", "Status"], {"TransformationID": sorted(transformationIDs)}
        found: dict[int, dict[str, int]] = defaultdict(dict)
        if transformationIDs:
            for row, count in valueOrRaise(self._reader.getCounters("TransformationFiles", columns, condition), COMPONENT):
                found[int(row["TransformationID"])][str(row["Status"])] = int(count)
        return found

    def unfinished(self, transformationID: int) -> Collection[str]:
        """See :meth:`FeedTransformations.unfinished`."""
        statuses = sorted(self.fileCounts([transformationID]).get(transformationID, {}).keys() - {_PROCESSED})
        if not statuses:
            return []
        condition = {"TransformationID": transformationID, "Status": statuses}
        found = valueOrRaise(self._reader.getTransformationFiles(condDict=condition, columns=["LFN"]), COMPONENT)
        return [str(row["LFN"]) for row in found]
