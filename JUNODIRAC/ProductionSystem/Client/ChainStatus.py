"""What people see of a chain: steps x blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, StepKind
from JUNODIRAC.Core.Domain.ChainRecords import ChainBlock, StartedChain, StepTransformation
from JUNODIRAC.Core.Utilities.Moment import momentText
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.ProductionSystem.DB.ChainFigures import MadeInStep
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransformationTransfers import COMPONENT

#: over which the speed is taken
_RATE_SECONDS = 3600
_MAX_TROUBLES = 200


def chainSummary(chain: StartedChain) -> dict[str, Any]:
    """One line of the list."""
    return {
        "Production": chain.production,
        "Name": chain.name,
        "Version": chain.version,
        "OutputVersion": chain.outputVersion,
        "State": chain.state.value,
        "ProductionID": chain.productionID,
        "Type": chain.typeName,
        "CreatedTime": momentText(chain.createdTime),
        "CreatedBy": chain.createdBy,
        "StateTime": momentText(chain.stateTime),
        "StateBy": chain.stateBy,
    }


class ChainStatus:
    """Reads the ledger and the Transformation System.

    :param transformations: DIRAC's TransformationClient
    """

    def __init__(self, ledger: ChainLedger, transformations: Any) -> None:
        self._ledger = ledger
        self._transformations = transformations

    def read(self, production: str, block: str, now: datetime) -> dict[str, Any]:
        """The whole of a chain.

        :param block: only this one; empty: all
        :returns: as chainSummary, Scope, Steps, Blocks (each with its own Steps), Troubles (files that are not well), Unavailable
        """
        chain = self._ledger.readChain(production)
        description = readChain(chain.description)
        blocks = self._ledger.chainBlocks(chain.chainID, block)
        unavailable: list[str] = []
        steps = self._ledger.chainSteps(chain.chainID)
        counters = self._counters(steps, unavailable)
        made = self._ledger.madeInSteps(chain.chainID)
        given = self._ledger.inputCounts(chain.chainID)
        troubled = self._ledger.troubledCounts(chain.chainID)
        troubles = [each for each in self._ledger.troubledInputs(chain.chainID) if block in ("", each.block)]
        return {
            **chainSummary(chain),
            "Scope": {
                "Blocks": list(chain.scope.blocks),
                "EachNewBlock": chain.scope.eachNewBlock,
                "Datasets": list(chain.scope.datasets),
            },
            "Steps": self._steps(chain, description, steps, counters, now),
            "Blocks": [_blockDocument(description, each, made, given, troubled) for each in blocks],
            "Troubles": [
                {
                    "Step": description.steps[each.stepNumber - 1].name,
                    "SE": each.se,
                    "Block": each.block,
                    "LFN": each.lfn,
                    "State": each.state,
                    "Attempts": each.attempts,
                    "Error": each.error,
                    "Detail": each.detail,
                }
                for each in troubles[:_MAX_TROUBLES]
            ],
            "TroublesTotal": len(troubles),
            "Unavailable": unavailable,
        }

    def _steps(
        self,
        chain: StartedChain,
        description: ChainDescription,
        rows: Sequence[StepTransformation],
        counters: Mapping[int, Mapping[str, int]],
        now: datetime,
    ) -> list[dict[str, Any]]:
        running = self._ledger.runningAttempts(chain.chainID)
        lately = self._ledger.derivedSince(chain.chainID, now - timedelta(seconds=_RATE_SECONDS))
        statuses = self._statuses(rows)
        return [
            {
                "Step": step.name,
                "Kind": step.kind.value,
                "Input": step.input.typeName,
                "Output": step.output.typeName if step.output else "",
                "RunningJobs": running.get(step.number, 0),
                "DerivedLastHour": lately.get(step.number, 0),
                "Transformations": [
                    {
                        "TransformationID": row.transformationID,
                        "SE": row.se,
                        "Status": statuses.get(row.transformationID, ""),
                        "Held": row.held,
                        "HeldTime": momentText(row.heldTime),
                        "Files": dict(counters.get(row.transformationID, {})),
                    }
                    for row in rows
                    if row.stepNumber == step.number
                ],
                "ETA": momentText(_eta(step, rows, counters, lately.get(step.number, 0), now)),
            }
            for step in description.steps
        ]

    def _counters(self, steps: Sequence[StepTransformation], unavailable: list[str]) -> dict[int, dict[str, int]]:
        """Files by transformation and status."""
        found: dict[int, dict[str, int]] = {}
        if not steps:
            return found
        condition = {"TransformationID": [step.transformationID for step in steps]}
        result = self._transformations.getCounters("TransformationFiles", ["TransformationID", "Status"], condition)
        if not result["OK"]:
            unavailable.append(f"{COMPONENT}: {result['Message']}")
            return found
        for row, count in result["Value"]:
            found.setdefault(int(row["TransformationID"]), {})[str(row["Status"])] = int(count)
        return found

    def _statuses(self, steps: Sequence[StepTransformation]) -> dict[int, str]:
        if not steps:
            return {}
        condition = {"TransformationID": [step.transformationID for step in steps]}
        result = self._transformations.getTransformations(condDict=condition, columns=["TransformationID", "Status"])
        # it was told before that the service does not answer
        rows = valueOrRaise(result, COMPONENT) if result["OK"] else []
        return {int(row["TransformationID"]): str(row["Status"]) for row in rows}


def _eta(
    step: ChainStep,
    rows: Sequence[StepTransformation],
    counters: Mapping[int, Mapping[str, int]],
    lately: int,
    now: datetime,
) -> datetime | None:
    """When the files that the step has now are done at the speed of the last hour."""
    if step.kind is StepKind.REPLICATE or not lately:
        return None
    counts: Counter[str] = Counter()
    for row in rows:
        if row.stepNumber == step.number:
            counts.update(counters.get(row.transformationID, {}))
    left = counts["Unused"] + counts["Assigned"]
    return now + timedelta(seconds=left / lately * _RATE_SECONDS) if left else None


def _blockDocument(
    description: ChainDescription,
    block: ChainBlock,
    made: Mapping[tuple[int, int], MadeInStep],
    given: Mapping[int, Mapping[int, int]],
    troubled: Mapping[tuple[int, int, str], int],
) -> dict[str, Any]:
    def stepDocument(step: ChainStep) -> dict[str, Any]:
        figures = made.get((block.blockID, step.number), MadeInStep())
        source = description.source(step)
        before = made.get((block.blockID, source.number), MadeInStep()).outputs if source else 0
        inputs = before if source else given.get(block.blockID, {}).get(step.number, 0)
        return {
            "Step": step.name,
            "HasEnded": step.number <= block.endedSteps,
            "Inputs": inputs,
            "Derived": figures.derived,
            "Outputs": figures.outputs,
            "Retired": figures.retired,
            "EventsIn": figures.eventsIn,
            "EventsOut": figures.eventsOut,
            "SizeBytes": figures.sizeBytes,
            **{state: troubled.get((block.blockID, step.number, state), 0) for state in ("Recovering", "GivenUp", "Waived")},
        }

    return {
        "Block": block.block,
        "BlockState": block.blockState,
        "State": block.state.value,
        "StateTime": momentText(block.stateTime),
        "Wanted": block.wantedFiles,
        "Attached": block.attachedFiles,
        "Waits": block.waits,
        "Problem": block.problem,
        "EndedSteps": block.endedSteps,
        "Steps": [stepDocument(step) for step in description.steps],
    }
