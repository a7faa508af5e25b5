"""Which transformations have something to do, asked for all of them at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from DIRAC.Core.Utilities.List import breakListIntoChunks
from DIRAC.Core.Utilities.ReturnValues import returnValueOrRaise

_REQUESTS_PER_CALL = 5000


class WorkToDo:
    """A few calls, whose number does not grow with that of the transformations.

    DIRAC's agents ask for the files or tasks of each active transformation in calls of their own, some 20 ms each, to find
    nothing in most of them: with 3,000 transformations that is a minute.

    :param transformations: DIRAC's TransformationClient
    :raises SErrorException: each method, if a service does not answer
    """

    def __init__(self, transformations: Any) -> None:
        self._transformations = transformations

    def withFiles(self, statuses: Iterable[str]) -> dict[int, set[str]]:
        """Those that have files in one of these statuses, and in which."""
        return self._counted("TransformationFiles", "Status", statuses)

    def withTasks(self, statuses: Iterable[str]) -> dict[int, set[str]]:
        """Those that have tasks in one of these statuses, and in which."""
        return self._counted("TransformationTasks", "ExternalStatus", statuses)

    def withNewStatus(self, statuses: Iterable[str], requests: Any) -> set[int]:
        """Those that have a task in one of these statuses whose request has another one by now.

        :param requests: DIRAC's ReqClient
        """
        condition = {"ExternalStatus": sorted(statuses)}
        tasks = returnValueOrRaise(self._transformations.getTransformationTasks(condDict=condition))
        known = _requestStatuses(requests, sorted({number for task in tasks if (number := _requestID(task))}))
        # as in RequestTasks.getSubmittedTaskStatus: Assigned is no news, and neither is a request that is not there
        return {
            int(task["TransformationID"])
            for task in tasks
            if known.get(_requestID(task), "Assigned") not in ("Assigned", task["ExternalStatus"])
        }

    def _counted(self, table: str, column: str, statuses: Iterable[str]) -> dict[int, set[str]]:
        attributes = ["TransformationID", column]
        counted = returnValueOrRaise(self._transformations.getCounters(table, attributes, {column: sorted(statuses)}))
        found: dict[int, set[str]] = defaultdict(set)
        for row, _ in counted:
            found[int(row["TransformationID"])].add(row[column])
        return dict(found)


def _requestStatuses(requests: Any, requestIDs: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for chunk in breakListIntoChunks(list(requestIDs), _REQUESTS_PER_CALL):
        found |= returnValueOrRaise(requests.getBulkRequestStatus(chunk))
    return found


def _requestID(task: dict[str, Any]) -> int:
    """0 for a task that was not submitted."""
    return int(task["ExternalID"] or 0)
