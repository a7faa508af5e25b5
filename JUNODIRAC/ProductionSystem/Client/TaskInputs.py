"""The inputs of a task: which they are, in which order, and whether they are still the task's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep
from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Domain.JobRecords import TaskInput
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise

TRANSFORMATIONS = "Transformation/TransformationManager"
#: a task's files that are in one of these states are its own
_OF_THE_TASK = frozenset({"Assigned", "Processed"})
_SHOWN = 3


class InputLedger(Protocol):
    """What is needed of :class:`JUNODIRAC.ProductionSystem.DB.ChainProducts.ChainProducts`."""

    def ledgerInputs(self, chainID: int, stepNumber: int, lfns: Sequence[str]) -> dict[str, TaskInput]: ...
    def productInputs(self, chainID: int, sourceNumber: int, lfns: Sequence[str]) -> dict[str, TaskInput]: ...


class TaskInputs:
    """Methods raise TemporaryFailure if the database or the Transformation System does not answer.

    :param transformations: DIRAC's TransformationClient
    """

    def __init__(self, ledger: InputLedger, transformations: Any) -> None:
        self._ledger, self._transformations = ledger, transformations

    def lfnsOf(self, transformationID: int, taskID: int) -> list[str]:
        """The inputs that the task was made with."""
        condition = {"TransformationID": transformationID, "TaskID": taskID}
        result = self._transformations.getTransformationTasks(condDict=condition, inputVector=True)
        for task in valueOrRaise(result, TRANSFORMATIONS):
            lfns = [lfn.strip().removeprefix("LFN:") for lfn in str(task["InputVector"]).split(";") if lfn.strip()]
            if lfns:
                return lfns
            raise JobFailure(JobError.BAD_TASK, f"task {taskID} of transformation {transformationID} has no inputs")
        raise JobFailure(JobError.BAD_TASK, f"transformation {transformationID} has no task {taskID}")

    def read(self, description: ChainDescription, step: ChainStep, chainID: int, lfns: Sequence[str]) -> list[TaskInput]:
        """Inputs as the ledger has them, in run and sequence order."""
        source = description.source(step)
        if source is None:
            known = self._ledger.ledgerInputs(chainID, step.number, lfns)
        else:
            known = self._ledger.productInputs(chainID, source.number, lfns)
        strangers = sorted(set(lfns) - set(known))
        if strangers:
            raise JobFailure(JobError.BAD_TASK, f"step {step.name} was never given {some(strangers)}")
        if len({each.blockID for each in known.values()}) != 1 or len({each.stream for each in known.values()}) != 1:
            raise JobFailure(JobError.BAD_TASK, f"files of several blocks or streams are in one task: {some(sorted(known))}")
        return sorted(known.values(), key=lambda each: each.place)

    def checkStillOurs(self, transformationID: int, taskID: int, inputs: Sequence[TaskInput], derived: Mapping[int, str]) -> None:
        """:raises JobFailure: if inputs were taken back from this task, or another job has done some of them"""
        taken = [f"{each.lfn} is in {derived[each.parentID]}" for each in inputs if each.parentID in derived]
        if taken:
            raise JobFailure(JobError.REFUSED, f"other jobs have done {len(taken)} of {len(inputs)} inputs: {some(taken)}")
        condition = {"TransformationID": transformationID, "LFN": [each.lfn for each in inputs]}
        columns = ["LFN", "Status", "TaskID"]
        result = self._transformations.getTransformationFiles(condDict=condition, columns=columns)
        rows = {row["LFN"]: (row["Status"], int(row["TaskID"] or 0)) for row in valueOrRaise(result, TRANSFORMATIONS)}
        others = []
        for each in inputs:
            status, owner = rows.get(each.lfn, ("not in the transformation", 0))
            if owner != taskID or status not in _OF_THE_TASK:
                others.append(f"{each.lfn} is {status}, its task {owner}")
        if others:
            raise JobFailure(JobError.REFUSED, f"task {taskID} has lost {len(others)} of {len(inputs)} inputs: {some(others)}")


def some(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
