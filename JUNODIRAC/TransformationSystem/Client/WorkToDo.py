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

    def withFiles(self, statuses: Iterable[str]) -> dict[int, dict[str, int]]:
        """Those that have files in one of these statuses, and how many in which."""
        attributes, condition = ["TransformationID", "Status"], {"Status": sorted(statuses)}
        counted = returnValueOrRaise(self._transformations.getCounters("TransformationFiles", attributes, condition))
        found: dict[int, dict[str, int]] = defaultdict(dict)
        for row, count in counted:
            found[int(row["TransformationID"])][row["Status"]] = int(count)
        return dict(found)

    def withTasks(self, statuses: Iterable[str]) -> dict[int, set[str]]:
        """Those that have tasks in one of these statuses, and in which."""
        attributes, condition = ["TransformationID", "ExternalStatus"], {"ExternalStatus": sorted(statuses)}
        counted = returnValueOrRaise(self._transformations.getCounters("TransformationTasks", attributes, condition))
        found: dict[int, set[str]] = defaultdict(set)
        for row, _ in counted:
            found[int(row["TransformationID"])].add(row["ExternalStatus"])
        return dict(found)

    def tasks(self, statuses: Iterable[str], types: Sequence[str]) -> list[dict[str, Any]]:
        """The tasks that are in one of these statuses, of transformations of one of these types.

        Those of jobs are many more than those of transfers, and no business of an agent that makes requests.
        """
        found: list[dict[str, Any]] = returnValueOrRaise(
            self._transformations.getTransformationTasks(condDict={"ExternalStatus": sorted(statuses), "Type": list(types)})
        )
        return found

    def assignedTasks(self, types: Sequence[str]) -> dict[int, set[int]]:
        """The tasks that have Assigned files, by transformation. Dear: it looks at each of these files."""
        attributes, condition = ["TransformationID", "TaskID"], {"Status": ["Assigned"]}
        counted = returnValueOrRaise(self._transformations.getCounters("TransformationFiles", attributes, condition))
        known = returnValueOrRaise(
            self._transformations.getTransformations(condDict={"Type": list(types)}, columns=["TransformationID"])
        )
        wanted = {int(each["TransformationID"]) for each in known}
        found: dict[int, set[int]] = defaultdict(set)
        for row, _ in counted:
            if row["TaskID"] and int(row["TransformationID"]) in wanted:
                found[int(row["TransformationID"])].add(int(row["TaskID"]))
        return dict(found)

    def withNewStatus(self, tasks: Sequence[dict[str, Any]], requests: Any) -> set[int]:
        """The transformations of those of the tasks whose request has another status by now.

        :param requests: DIRAC's ReqClient
        """
        known = _requestStatuses(requests, sorted({number for task in tasks if (number := _requestID(task))}))
        # as in RequestTasks.getSubmittedTaskStatus: Assigned is no news, and neither is a request that is not there
        return {
            int(task["TransformationID"])
            for task in tasks
            if known.get(_requestID(task), "Assigned") not in ("Assigned", task["ExternalStatus"])
        }


def _requestStatuses(requests: Any, requestIDs: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for chunk in breakListIntoChunks(list(requestIDs), _REQUESTS_PER_CALL):
        found |= returnValueOrRaise(requests.getBulkRequestStatus(chunk))
    return found


def _requestID(task: dict[str, Any]) -> int:
    """0 for a task that was not submitted."""
    return int(task["ExternalID"] or 0)
