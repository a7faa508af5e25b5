"""Gathers what explains where a block or a file is in its chains: the ledger, and a few questions to DIRAC for one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from JUNODIRAC.Core.Domain.BlockInChain import BlockInChain
from JUNODIRAC.Core.Domain.ChainWhyFacts import JOBS, BlockChainFacts, ChainProductFacts, ChainStepFacts, FileChainFacts
from JUNODIRAC.Core.Domain.FileHistory import asUTC
from JUNODIRAC.Core.Domain.WhyFacts import CATALOGUE, TRANSFORMATIONS
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise
from JUNODIRAC.RawDataSystem.Client.WhySources import WhySources
from JUNODIRAC.RawDataSystem.DB.LedgerChainWhy import ChainStepRow

_REPLICATE = "replicate"


def _jobMonitoring() -> Any:
    from DIRAC.WorkloadManagementSystem.Client.JobMonitoringClient import JobMonitoringClient

    return JobMonitoringClient()


class WhyChain:
    """Facts of chains. Who does not answer is noted in the sources.

    :param jobMonitoring: makes DIRAC's JobMonitoringClient
    """

    def __init__(self, sources: WhySources, jobMonitoring: Callable[[], Any] = _jobMonitoring) -> None:
        self._sources, self._ledger, self._jobMonitoring = sources, sources.ledger, jobMonitoring

    def ofBlock(self, blockID: int, block: str) -> list[BlockChainFacts]:
        """A block in each of its chains: two statements."""
        chains = self._ledger.blockChains([blockID]).get(blockID, [])
        audits = self._ledger.lastAudits(blockID) if chains else {}
        return [BlockChainFacts(block, each, audits.get(each.production)) for each in chains]

    def ofFile(self, lfn: str) -> list[FileChainFacts]:
        """A registered file of the ledger in each chain of its block; none if it is not known."""
        found = self._ledger.chainFile(lfn)
        if found is None:
            return []
        fileID, blockID, _, block = found
        chains: list[BlockInChain] = self._ledger.blockChains([blockID]).get(blockID, [])
        ids = self._ledger.chainIDs(blockID) if chains else {}
        return [self._fromLedger(lfn, fileID, block, each, ids[each.production]) for each in chains if each.production in ids]

    def ofOutput(self, lfn: str) -> tuple[str, FileChainFacts] | None:
        """An output of a chain, and the Type of its block; None if it is none."""
        found = self._ledger.chainOutput(lfn)
        if found is None:
            return None
        chainID, blockID, typeName, block, made = found
        ids = self._ledger.chainIDs(blockID)
        chains = self._ledger.blockChains([blockID]).get(blockID, [])
        inChain = next(each for each in chains if ids.get(each.production) == chainID)
        steps = self._after(chainID, made) if made.state != "Committed" else []
        return typeName, FileChainFacts(lfn, block, inChain, tuple(steps), made, self._sources.unavailable)

    # ---- steps

    def _fromLedger(self, lfn: str, fileID: int, block: str, inChain: BlockInChain, chainID: int) -> FileChainFacts:
        given = self._ledger.chainAttachedTimes(chainID, fileID)
        rows = self._ledger.chainStepRows(chainID)
        told = self._inTransformations(lfn) if given else {}
        steps: list[ChainStepFacts] = []
        if not given and rows:
            steps = [replace(_stepOf(rows[0], lfn), isAttached=False)]
        for row in rows:
            if row.number in given:
                step = replace(self._step(chainID, row, lfn, fileID, told), attachedTime=given[row.number])
                steps += [step, *(self._after(chainID, step.product) if step.product else [])]
        return FileChainFacts(lfn, block, inChain, tuple(steps), None, self._sources.unavailable)

    def _after(self, chainID: int, made: ChainProductFacts) -> list[ChainStepFacts]:
        """What became of an output in the steps that take it: those whose transformation has it."""
        told = self._inTransformations(made.lfn)
        copies: frozenset[str] | None = None
        steps: list[ChainStepFacts] = []
        for row in self._ledger.chainStepRows(chainID):
            if row.number <= made.stepNumber or (told is not None and row.transformationID not in told):
                continue
            step = self._step(chainID, row, made.lfn, made.productID, told)
            if row.kind == _REPLICATE:
                copies = copies if copies is not None else self._copies(made.lfn)
                step = replace(step, hasCopy=None if copies is None else row.se in copies)
            steps.append(step)
            if step.product is not None:
                steps += self._after(chainID, step.product)
        return steps

    def _step(
        self, chainID: int, row: ChainStepRow, lfn: str, parentID: int, told: Mapping[int, Mapping[str, Any]] | None
    ) -> ChainStepFacts:
        at = None if told is None else told.get(row.transformationID, {})
        taskID = int((at or {}).get("TaskID") or 0)
        isJob = row.kind != _REPLICATE
        product = self._ledger.chainDaughter(chainID, row.number, parentID) if isJob else None
        attempt = self._ledger.chainAttempt(row.transformationID, taskID) if isJob and taskID else None
        return replace(
            _stepOf(row, lfn),
            status=None if at is None else str(at.get("Status", "")),
            statusTime=asUTC((at or {}).get("LastUpdate")),
            taskID=taskID,
            product=product,
            attempt=attempt,
            jobStatus=self._jobStatus(row.transformationID, taskID) if isJob and taskID and product is None else "",
            recovery=self._ledger.chainRecovery(chainID, row.number, row.se, parentID),
        )

    # ---- DIRAC

    def _inTransformations(self, lfn: str) -> dict[int, Mapping[str, Any]] | None:
        """Its rows by transformation; None if the Transformation System does not answer."""

        def read() -> dict[int, Mapping[str, Any]]:
            answer = self._sources.clients.transformations.getTransformationFiles(condDict={"LFN": [lfn]})
            return {int(row["TransformationID"]): row for row in valueOrRaise(answer, TRANSFORMATIONS)}

        found: dict[int, Mapping[str, Any]] | None = self._sources.ask(TRANSFORMATIONS, read)
        return found

    def _copies(self, lfn: str) -> frozenset[str] | None:
        def read() -> frozenset[str]:
            answer = valueOrRaise(self._sources.clients.catalogue.getReplicas([lfn], allStatus=True), CATALOGUE)
            return frozenset(answer["Successful"].get(lfn, {}))

        found: frozenset[str] | None = self._sources.ask(CATALOGUE, read)
        return found

    def _jobStatus(self, transformationID: int, taskID: int) -> str:
        """Status and minor status of a task's job; empty if there is none, or nobody answers."""

        def task() -> int:
            condition = {"TransformationID": transformationID, "TaskID": taskID}
            answer = self._sources.clients.transformations.getTransformationTasks(condDict=condition)
            rows = valueOrRaise(answer, TRANSFORMATIONS)
            return int(rows[0]["ExternalID"] or 0) if rows else 0

        jobID = self._sources.ask(TRANSFORMATIONS, task)
        if not jobID:
            return ""

        def status() -> str:
            states = valueOrRaise(self._jobMonitoring().getJobsStates([jobID]), JOBS)
            found = {int(number): each for number, each in states.items()}.get(jobID)
            return f"{found['Status']} ({found.get('MinorStatus', '')})" if found else "not known to the WMS any more"

        return self._sources.ask(JOBS, status) or ""


def _stepOf(row: ChainStepRow, lfn: str) -> ChainStepFacts:
    return ChainStepFacts(row.number, row.name, row.kind, lfn, row.transformationID, row.se, row.held)
