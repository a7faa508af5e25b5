"""Making the tasks that a plugin has planned in a few calls, where DIRAC's agent makes a call for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from DIRAC import gLogger

# what a call makes is one transaction, during which nobody else can change these files
_TASKS_PER_CALL = 1000
_FILES_PER_CALL = 5000

Task = tuple[str, Sequence[str]]


class TaskMaker:
    """A TransformationClient that is told of tasks before it is asked for them one by one; everything else goes to the real one.

    DIRAC's agent calls addTaskForTransformation for each group that its plugin returns, in the middle of a long method. Our
    plugin class shows the groups to :meth:`makeTasks` when it returns them: then the tasks are made, and the agent's own calls
    get the answers. What is not known, because the service is DIRAC's or did not answer, is made by the agent's call, as ever.

    :param client: DIRAC's TransformationClient
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._answers: dict[tuple[int, str, tuple[str, ...]], dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def makeTasks(self, transformationID: int, tasks: Iterable[Task]) -> None:
        """Make tasks and keep the answers.

        :param tasks: storage element and LFNs of each
        """
        for chunk in _chunks(tasks):
            result = self._client.addTasksForTransformation(transformationID, [(list(lfns), se) for se, lfns in chunk])
            if not result["OK"]:
                # whatever was made all the same has its files, so that it is not made a second time
                gLogger.info("Tasks are made one by one", f"for {transformationID}: {result['Message']}")
                return
            for (se, lfns), answer in zip(chunk, result["Value"], strict=True):
                self._answers[transformationID, se, tuple(lfns)] = answer

    def addTaskForTransformation(self, transformationID: int, lfns: Sequence[str], se: str) -> dict[str, Any]:
        """The answer for this task."""
        made = self._answers.pop((transformationID, se, tuple(lfns)), None)
        result: dict[str, Any] = made or self._client.addTaskForTransformation(transformationID, lfns, se)
        return result


def _chunks(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    chunk: list[Task] = []
    files = 0
    for se, lfns in tasks:
        if chunk and (len(chunk) >= _TASKS_PER_CALL or files + len(lfns) > _FILES_PER_CALL):
            yield chunk
            chunk, files = [], 0
        chunk.append((se, lfns))
        files += len(lfns)
    if chunk:
        yield chunk
