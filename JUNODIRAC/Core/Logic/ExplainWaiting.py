"""Links whose next step is somebody else's: a site that is paused, a transformation at rest, an agent, a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.Explanation import NOBODY, Link, LinkState, Stage
from JUNODIRAC.Core.Domain.RepairRecords import Pause
from JUNODIRAC.Core.Domain.WhyFacts import SiteFacts
from JUNODIRAC.Core.Logic import Remedies
from JUNODIRAC.Core.Logic.ExplainFailure import NEEDS_PEOPLE, classAction, errorClassOf
from JUNODIRAC.Core.Logic.ExplainOrigin import PATIENCE

#: code of a link that the file has not come to
NOT_YET = "NotYet"


def pauseLink(pause: Pause, facts: SiteFacts, stage: Stage, ids: Mapping[str, object]) -> Link:
    """Nothing is copied to the site. What a person ordered is waited for, what failures ordered is broken."""
    what = f"block {facts.block} at {facts.se}" if pause.blockID else facts.se
    until = f"until {pause.until:%Y-%m-%d %H:%M:%S}" if pause.until else "until somebody resumes it"
    text = f"nothing is copied: {what} is paused by {pause.actor} {until}: {pause.reason}"
    if pause.errorClass:
        errorClass = errorClassOf(pause.errorClass)
        text = f"{text} ({pause.errorClass})"
        # a pause ends by itself, but what no repetition puts right is then the same as before
        isOver = pause.until is not None and errorClass not in NEEDS_PEOPLE
        action = NOBODY if isOver else classAction(errorClass, replace(facts, pause=pause))
        return Link(stage, LinkState.BROKEN, "SitePaused", text, pause.since, ids, action)
    return Link(stage, LinkState.WAITS, "SitePaused", text, pause.since, ids)


def restingTransformation(facts: SiteFacts, transformationID: int, status: str, ids: Mapping[str, object]) -> Link:
    """It takes no files into tasks."""
    text = f"transformation {transformationID} is {status} and takes no files"
    if status in ("Completed", "Completing", "Idle"):
        action = Remedies.flushBlock(facts.block, facts.typeName)
    elif status in ("Stopped", "New"):
        action = Remedies.startTransformation(transformationID)
    else:
        action = Remedies.openBlock(facts.block, facts.typeName, f"its transfer is {status}")
    return Link(Stage.TRANSFORMATION, LinkState.BROKEN, "TransformationRests", text, None, ids, action)


def agentsTurn(
    stage: Stage,
    code: str,
    text: str,
    since: datetime | None,
    ids: Mapping[str, object],
    system: str,
    agent: str,
    now: datetime,
    allowed: timedelta = timedelta(),
) -> Link:
    """It is an agent's turn; one that does not come for so long does not work."""
    if since and now - since > PATIENCE + allowed:
        action = Remedies.restart(system, agent)
        return Link(stage, LinkState.BROKEN, f"{agent}Late", f"{text}; {agent} should have come by now", since, ids, action)
    return Link(stage, LinkState.WAITS, code, text, since, ids)


def serviceDown(stage: Stage, service: str, unavailable: Mapping[str, str]) -> Link:
    why = unavailable.get(service, "it gave no answer for this file")
    text = f"{service} could not be asked: {why}"
    return Link(stage, LinkState.UNKNOWN, "ServiceDown", text, None, {}, Remedies.restartService(service))


def past(stage: Stage, known: object, text: str, time: datetime | None, ids: Mapping[str, object]) -> Link:
    """A link that the file is past; what is no longer kept of it is no harm."""
    return Link(stage, LinkState.HOLDS, "Past", text if known else "past; no longer kept, or not needed", time, ids)
