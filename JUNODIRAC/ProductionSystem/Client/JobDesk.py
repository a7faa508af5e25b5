"""What the service answers to jobs: which inputs they have, where they write, and whether what they wrote counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol
from uuid import UUID

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep
from JUNODIRAC.Core.Domain.ChainItem import BadChain
from JUNODIRAC.Core.Domain.ChainRecords import StartedChain, StepTransformation
from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Domain.JobRecords import (
    Attempt,
    AttemptState,
    CommittedOutput,
    MadeOutput,
    TaskInput,
    checkedLFN,
    outputDirectory,
    outputMetadata,
    outputName,
)
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.ProductionSystem.Client.TaskInputs import InputLedger, TaskInputs, some

_CHECKSUM = re.compile(r"[0-9a-f]{8}")
_LONGEST_ID = 10**12


class AttemptLedger(InputLedger, Protocol):
    """What is needed of :class:`JUNODIRAC.ProductionSystem.DB.ChainLedger.ChainLedger`."""

    def chainOfTransformation(self, transformationID: int) -> tuple[StartedChain, StepTransformation]: ...
    def chainSteps(self, chainID: int) -> list[StepTransformation]: ...
    def beginAttempt(
        self, place: tuple[int, int, int, int], job: tuple[int, str, str], state: AttemptState, nameOutput: Callable[[int], str]
    ) -> Attempt: ...
    def findAttempt(self, attemptID: int) -> Attempt: ...
    def commitAttempt(self, attemptID: int, made: MadeOutput, inputs: Sequence[TaskInput]) -> int: ...
    def endAttempt(self, attemptID: int, state: AttemptState, exitCode: int, error: str, detail: str) -> AttemptState: ...
    def derivedInputs(self, chainID: int, stepNumber: int, parentIDs: Sequence[int]) -> dict[int, str]: ...
    def blockName(self, blockID: int) -> str: ...
    def committedProducts(self, condition: str, values: Sequence[Any], limit: int) -> list[Mapping[str, Any]]: ...
    def parentsOf(self, productIDs: Sequence[int], ofLedger: bool) -> dict[int, list[str]]: ...


class JobDesk:
    """Answers have an ``Error``, the name of a :class:`JobError`, and a ``Detail``; both are empty if all is well.

    Methods raise TemporaryFailure if the database or the Transformation System does not answer.

    :param transformations: DIRAC's TransformationClient
    :param storagesOf: the storage elements of a site, its own first
    """

    def __init__(self, ledger: AttemptLedger, transformations: Any, storagesOf: Callable[[str], Sequence[str]]) -> None:
        self._ledger, self._storagesOf = ledger, storagesOf
        self._inputs = TaskInputs(ledger, transformations)

    # ---- begin

    def begin(self, transformationID: int, taskID: int, job: tuple[int, str, str]) -> dict[str, Any]:
        """A job begins with a task.

        :param job: id, site, host with something that tells executions apart
        :returns: AttemptID, Done, Step, Inputs, Output, SiteSEs, Unregistered, Error, Detail
        """
        chain, row = self._ledger.chainOfTransformation(transformationID)
        place = (chain.chainID, row.stepNumber, transformationID, taskID)
        try:
            description = _describe(chain)
            step = description.steps[row.stepNumber - 1]
            inputs = self._inputs.read(description, step, chain.chainID, self._inputs.lfnsOf(transformationID, taskID))
            derived = self._ledger.derivedInputs(chain.chainID, step.number, [each.parentID for each in inputs])
            if len(derived) == len(inputs):
                return self._alreadyDone(place, job, derived)
            self._inputs.checkStillOurs(transformationID, taskID, inputs, derived)
            storages = self._outputStorages(step, job[1])
            directory = outputDirectory(chain, step, self._ledger.blockName(inputs[0].blockID))
            checkedLFN(directory, outputName(step, inputs, taskID, _LONGEST_ID))
        except JobFailure as failure:
            return self._refuse(place, job, failure)

        def nameOutput(attemptID: int) -> str:
            return checkedLFN(directory, outputName(step, inputs, taskID, attemptID))

        attempt = self._ledger.beginAttempt(place, job, AttemptState.RUNNING, nameOutput)
        return _answer(
            AttemptID=attempt.attemptID,
            Step=_stepAnswer(chain, step),
            Inputs=[_inputAnswer(each) for each in inputs],
            Output={"LFN": attempt.outputLFN, "SEs": storages},
            SiteSEs=list(self._storagesOf(job[1])),
        )

    def _alreadyDone(
        self, place: tuple[int, int, int, int], job: tuple[int, str, str], derived: dict[int, str]
    ) -> dict[str, Any]:
        """All inputs are in outputs: nothing to do, but perhaps to register what another job could not."""
        attempt = self._ledger.beginAttempt(place, job, AttemptState.REFUSED, lambda attemptID: "")
        self._ledger.endAttempt(attempt.attemptID, AttemptState.REFUSED, 0, "", "all inputs were done already")
        left = self._unregistered(
            f"p.LFN IN ({', '.join(['%s'] * len(set(derived.values())))})", sorted(set(derived.values())), 100
        )
        return _answer(AttemptID=attempt.attemptID, Done=True, Unregistered=[each.asAnswer() for each in left])

    def _refuse(self, place: tuple[int, int, int, int], job: tuple[int, str, str], failure: JobFailure) -> dict[str, Any]:
        attempt = self._ledger.beginAttempt(place, job, AttemptState.REFUSED, lambda attemptID: "")
        state = AttemptState.REFUSED if failure.error is JobError.REFUSED else AttemptState.FAILED
        self._ledger.endAttempt(attempt.attemptID, state, failure.error.exitCode, failure.error, failure.detail)
        return _answer(AttemptID=attempt.attemptID, Error=failure.error.value, Detail=failure.detail)

    def _outputStorages(self, step: ChainStep, site: str) -> list[str]:
        """Where the output may be written, best first."""
        storages = list(dict.fromkeys([*self._storagesOf(site), *(step.output.failover if step.output else ())]))
        if not storages:
            remedy = f"set SE of /Resources/Sites/.../{site}, or failover of step {step.name}"
            raise JobFailure(JobError.BAD_TASK, f"there is no storage element for the output; {remedy}")
        return storages

    # ---- commit and end

    def commit(self, attemptID: int, output: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A job has uploaded its output.

        :param output: LFN, GUID, SE, SizeBytes, Checksum
        :param inputs: LFN and Events of each, in the order in which they are in the output
        :returns: ProductID, Registration, Error, Detail
        """
        try:
            made, lfns = _madeOutput(output, inputs)
            attempt = self._ledger.findAttempt(attemptID)
            chain, row = self._ledger.chainOfTransformation(attempt.transformationID)
            description = _describe(chain)
            step = description.steps[row.stepNumber - 1]
            known = self._inputs.read(description, step, chain.chainID, lfns)
            self._checkInputs(attempt, known, lfns, made)
            productID = self._ledger.commitAttempt(attemptID, made, known)
        except JobFailure as failure:
            return _answer(ProductID=0, Error=failure.error.value, Detail=failure.detail)
        left = self._unregistered("p.ProductID = %s", [productID], 1)
        return _answer(ProductID=productID, Registration=left[0].asAnswer() if left else {})

    def _checkInputs(self, attempt: Attempt, known: Sequence[TaskInput], lfns: Sequence[str], made: MadeOutput) -> None:
        """:raises JobFailure: if these are not the inputs of the attempt's task, in order and with the events announced"""
        if attempt.state is not AttemptState.RUNNING:
            return  # what it may do is decided under the lock of its row
        if [each.lfn for each in known] != list(lfns):
            raise JobFailure(JobError.BAD_TASK, f"the inputs are not in run and sequence order: {some(lfns)}")
        task = self._inputs.lfnsOf(attempt.transformationID, attempt.taskID)
        if set(task) != set(lfns):
            difference = sorted(set(task) ^ set(lfns))
            raise JobFailure(JobError.BAD_TASK, f"these are not the inputs of task {attempt.taskID}: {some(difference)}")
        for each, events in zip(known, made.inputEvents, strict=True):
            if each.events is not None and each.events != events:
                raise JobFailure(JobError.EVENTS_DIFFER, f"{each.lfn} has {each.events} events, and {events} were read")

    def end(self, attemptID: int, exitCode: int, error: str, detail: str) -> dict[str, Any]:
        """A job ends without an output that counts.

        :returns: State of the attempt
        """
        states = {JobError.REFUSED.value: AttemptState.REFUSED}
        try:
            state = self._ledger.endAttempt(attemptID, states.get(error, AttemptState.FAILED), exitCode, error, detail)
        except JobFailure as failure:
            return _answer(State="", Error=failure.error.value, Detail=failure.detail)
        return _answer(State=state.value)

    # ---- registration

    def unregistered(self, olderThanSeconds: float, limit: int) -> list[CommittedOutput]:
        """Outputs that count and are not registered yet, the oldest first."""
        before = datetime.now(UTC) - timedelta(seconds=olderThanSeconds)
        return self._unregistered("p.CommittedTime <= %s", [before], limit)

    def _unregistered(self, condition: str, values: Sequence[Any], limit: int) -> list[CommittedOutput]:
        found = self._ledger.committedProducts(condition, values, limit)
        steps = {(row["ChainID"], row["StepNumber"]): row["TransformationID"] for row in found}
        outputs = []
        for (chainID, number), transformationID in steps.items():
            chain, _ = self._ledger.chainOfTransformation(transformationID)
            description = _describe(chain)
            step = description.steps[number - 1]
            mine = [row for row in found if (row["ChainID"], row["StepNumber"]) == (chainID, number)]
            parents = self._ledger.parentsOf([row["ProductID"] for row in mine], description.source(step) is None)
            takers = {each.number for each in description.takers(step)}
            next_ = tuple(each.transformationID for each in self._ledger.chainSteps(chainID) if each.stepNumber in takers)
            outputs += [
                CommittedOutput(
                    row["ProductID"], row["LFN"], row["GUID"], row["SE"], row["SizeBytes"], row["Checksum"],
                    tuple(parents[row["ProductID"]]), outputMetadata(chain, step, row["Block"]), transformationID, next_,
                )
                for row in mine
            ]  # fmt: skip
        return sorted(outputs, key=lambda each: each.productID)


@lru_cache(maxsize=100)
def _readOnce(text: str, production: str) -> ChainDescription:
    return readChain(text, production)


def _describe(chain: StartedChain) -> ChainDescription:
    try:
        return _readOnce(chain.description, chain.production)
    except BadChain as error:
        raise JobFailure(JobError.BAD_TASK, str(error)) from error


def _answer(**values: Any) -> dict[str, Any]:
    return {"Error": "", "Detail": "", "Done": False, **values}


def _stepAnswer(chain: StartedChain, step: ChainStep) -> dict[str, Any]:
    return {
        "Chain": chain.production,
        "Name": step.name,
        "Kind": step.kind.value,
        "Executable": step.executable,
        "Arguments": list(step.arguments),
        "Cores": step.cores,
        "MemoryMB": step.memoryMB,
        "OutputType": step.output.typeName if step.output else "",
    }


def _inputAnswer(each: TaskInput) -> dict[str, Any]:
    return {
        "LFN": each.lfn,
        "SizeBytes": each.sizeBytes,
        "Checksum": each.checksum,
        "Run": each.firstRun,
        "Sequence": each.firstSequence,
        "Events": each.events,
    }


def _madeOutput(output: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> tuple[MadeOutput, list[str]]:
    """The output, and the LFNs of the inputs.

    :raises JobFailure: if something is missing or cannot be
    """
    try:
        lfns = [str(each["LFN"]) for each in inputs]
        events = [int(each["Events"]) for each in inputs]
        made = MadeOutput(
            str(output["LFN"]), str(UUID(str(output["GUID"]))), str(output["SE"]), int(output["SizeBytes"]),
            str(output["Checksum"]), events,
        )  # fmt: skip
        if not inputs or min(events) < 0 or made.sizeBytes <= 0 or not _CHECKSUM.fullmatch(made.checksum):
            raise ValueError("no inputs, a negative number, an empty file, or no adler32 of 8 lower-case hex digits")
    except (KeyError, TypeError, ValueError) as error:
        raise JobFailure(JobError.BAD_TASK, f"what the job says of its output does not make sense: {error!r}") from error
    return made, lfns
