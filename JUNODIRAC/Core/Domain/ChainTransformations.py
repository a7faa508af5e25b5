"""Which transformations a chain consists of, as plain values: what is made of them is no matter of this module."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, StepKind, transformationName

#: DIRAC's types of transformations
TYPES = {StepKind.PROCESS: "DataReconstruction", StepKind.MERGE: "Merge", StepKind.REPLICATE: "Replication"}
PLUGINS = {StepKind.PROCESS: "ChainProcess", StepKind.MERGE: "ChainMerge", StepKind.REPLICATE: "BlockTransfer"}
#: directory metadata of outputs, beside Block and Type
METADATA = ("Block", "Type", "Chain", "Step")
_SETTLE_SECONDS = 3


@dataclass(frozen=True)
class WantedTransformation:
    """A transformation of a step.

    :param se: the destination of a step of kind replicate, else empty
    :param parameters: DIRAC's additional parameters
    :param inputQuery: by metadata; empty for a step that takes announced files: gates stand before it
    :param outputQuery: by metadata, empty for a step of kind replicate
    :param parents: names of the transformations whose output it takes
    """

    name: str
    step: ChainStep
    se: str
    description: str
    groupSize: int
    parameters: Mapping[str, str]
    inputQuery: Mapping[str, str]
    outputQuery: Mapping[str, str]
    parents: tuple[str, ...]

    @property
    def typeName(self) -> str:
        """DIRAC's type of it."""
        return TYPES[self.step.kind]

    @property
    def plugin(self) -> str:
        """Its plugin."""
        return PLUGINS[self.step.kind]


def wantedTransformations(chain: ChainDescription, production: str) -> list[WantedTransformation]:
    """The transformations of a chain, parents before those that take their output."""
    return [_wanted(chain, production, step, se) for step in chain.steps for se in step.destinations or ("",)]


def _wanted(chain: ChainDescription, production: str, step: ChainStep, se: str) -> WantedTransformation:
    source = chain.source(step)
    target = f" to {se}" if se else ""
    return WantedTransformation(
        name=transformationName(production, step.name, se),
        step=step,
        se=se,
        description=f"{production}: {step.kind} {step.input.typeName}{target}"[:255],
        groupSize=step.groupFiles if step.kind is StepKind.REPLICATE else 1,
        parameters=_parameters(production, step, se),
        inputQuery=outputQuery(production, source) if source else {},
        outputQuery=outputQuery(production, step) if step.output else {},
        parents=(transformationName(production, source.name),) if source else (),
    )


def _parameters(production: str, step: ChainStep, se: str) -> dict[str, str]:
    parameters = {"Chain": production, "Step": step.name, "StepNumber": str(step.number)}
    if se:
        waits = {"MaxWaitSeconds": step.maxWaitSeconds, "SettleSeconds": min(_SETTLE_SECONDS, step.maxWaitSeconds)}
        parameters |= {"TargetSE": se, **{key: str(value) for key, value in waits.items()}}
    return parameters


def outputQuery(production: str, step: ChainStep) -> dict[str, str]:
    """The metadata by which the outputs of a step are found, whatever their block."""
    return {"Type": step.output.typeName, "Chain": production, "Step": step.name} if step.output else {}


def copyBody(priority: int) -> str:
    """What a task of a step of kind replicate does: a copy to its target, with a priority that FTS3 takes from the request.

    DIRAC reads the priority only where there is an activity, too.
    """
    arguments = json.dumps({"activity": None, "priority": priority})
    return json.dumps([["ReplicateAndRegister", {"TargetSE": "TASK:TargetSE", "Arguments": arguments}]])
