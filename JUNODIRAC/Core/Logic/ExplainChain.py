"""Why a block or a file is where it is in a chain: from facts to links and one verdict for each chain."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote
from typing import Any

from JUNODIRAC.Core.Domain.ChainWhyFacts import BlockChainFacts, ChainProductFacts, ChainStepFacts, FileChainFacts
from JUNODIRAC.Core.Domain.Explanation import Action, Link, LinkState, Role, Stage, Verdict, verdictOf
from JUNODIRAC.Core.Domain.JobError import JobError, WhoActs


@dataclass(frozen=True)
class ExplainedChain:
    """One chain."""

    production: str
    links: tuple[Link, ...]
    verdict: Verdict

    def toDict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "Production": self.production,
            "Chain": [link.toDict() for link in self.links],
            "Verdict": self.verdict.toDict(),
        }


# ---- blocks


def explainBlockInChain(facts: BlockChainFacts) -> ExplainedChain:
    """A block: what its files wait for, what is held, its state, its last audit."""
    at = facts.inChain
    links = [_given(facts)]
    if at.held:
        links.append(Link(Stage.STEP, LinkState.WAITS, "StepHeld", "; ".join(at.held.splitlines())))
    links.append(_ended(facts))
    links += _audited(facts)
    allRight = Link(Stage.CHAIN, LinkState.HOLDS, "AllRight", f"all right: the block is Done in chain {at.production}")
    return ExplainedChain(at.production, tuple(links), verdictOf(links, allRight))


def _given(facts: BlockChainFacts) -> Link:
    at = facts.inChain
    if at.chainState == "Stopped":
        text = f"chain {at.production} was stopped by a person: nothing new is begun; dirac-juno-chain resume lets it go on"
        return Link(Stage.STEP, LinkState.WAITS, "ChainStopped", text)
    text = f"{at.attachedFiles} of {at.wantedFiles} wanted files were given to the first step"
    if at.waits:
        return Link(Stage.STEP, LinkState.WAITS, "Waits", f"{text}; {'; '.join(at.waits.splitlines())}")
    if at.attachedFiles < at.wantedFiles:
        return Link(Stage.STEP, LinkState.WAITS, "NotGivenYet", text)
    return Link(Stage.STEP, LinkState.HOLDS, "Given", text)


def _ended(facts: BlockChainFacts) -> Link:
    at = facts.inChain
    text = f"{at.state}: {at.endedSteps} of {at.steps} steps have ended"
    if at.state == "Problem":
        action = Action(Role.DATA_MANAGER, f"dirac-juno-audit {quote(facts.block)} --chain {quote(at.production)}")
        return Link(Stage.CHAIN, LinkState.BROKEN, "ChainProblem", f"{text}; {at.problem}", None, {}, action)
    state = LinkState.HOLDS if at.state == "Done" else LinkState.WAITS
    return Link(Stage.CHAIN, state, f"Chain{at.state}", text)


def _audited(facts: BlockChainFacts) -> list[Link]:
    audit = facts.audit
    if audit is None:
        return []
    text = f"the last audit was {audit.verdict}: {audit.sentence}"
    if audit.verdict == "Off":
        command = f"dirac-juno-audit {quote(facts.block)} --chain {quote(facts.inChain.production)} --last"
        return [Link(Stage.AUDIT, LinkState.BROKEN, "AuditOff", text, audit.time, {}, Action(Role.DATA_MANAGER, command))]
    state = LinkState.HOLDS if audit.verdict == "Exact" else LinkState.WAITS
    return [Link(Stage.AUDIT, state, f"Audit{audit.verdict}", text, audit.time)]


# ---- files


def explainFileInChain(facts: FileChainFacts) -> ExplainedChain:
    """A file: in each step that takes it, and then what was made of it."""
    links = [_madeLink(facts.made)] if facts.made else []
    for step in facts.steps:
        links += _copyLinks(step, facts) if step.kind == "replicate" else _stepLinks(step, facts)
    text = f"all right in chain {facts.inChain.production}: each step is finished with it"
    allRight = Link(Stage.CHAIN, LinkState.HOLDS, "AllRight", text)
    links = links or [Link(Stage.STEP, LinkState.HOLDS, "NotWanted", "no step of the chain takes it")]
    return ExplainedChain(facts.inChain.production, tuple(links), verdictOf(links, allRight))


def _madeLink(made: ChainProductFacts) -> Link:
    text = f"job {made.jobID} at {made.site or 'an unknown site'} made it: {made.events} events, at {made.se}"
    ids = {"ProductID": made.productID, "JobID": made.jobID}
    if made.state == "Committed":
        text += "; it counts, and is registered by itself"
        return Link(Stage.OUTPUT, LinkState.WAITS, "NotRegistered", text, made.committedTime, ids)
    if made.state == "Retired":
        return Link(Stage.OUTPUT, LinkState.HOLDS, "Retired", f"{text}; it was merged and removed", made.registeredTime, ids)
    return Link(Stage.OUTPUT, LinkState.HOLDS, "Registered", text, made.registeredTime or made.committedTime, ids)


def _stepLinks(step: ChainStepFacts, facts: FileChainFacts) -> list[Link]:
    if not step.isAttached:
        return [_notGiven(step, facts)]
    if step.product is not None:
        return [_jobDone(step, step.product), _outputOf(step, step.product)]
    return [_jobLink(step, facts)]


def _notGiven(step: ChainStepFacts, facts: FileChainFacts) -> Link:
    at = facts.inChain
    why = "; ".join([*at.waits.splitlines(), *at.held.splitlines()]) or "ChainAgent gives it in one of its next cycles"
    return Link(Stage.STEP, LinkState.WAITS, "NotGivenYet", f"it was not given to step {step.name} yet; {why}")


def _jobDone(step: ChainStepFacts, product: ChainProductFacts) -> Link:
    text = f"step {step.name}: job {product.jobID} at {product.site or 'an unknown site'} has done it"
    if step.status not in (None, "Processed"):
        text += f"; its transformation still has it as {step.status or 'not there'}, ChainRecoveryAgent sets it right"
    return Link(Stage.JOB, LinkState.HOLDS, "Done", text, product.committedTime, _ids(step))


def _outputOf(step: ChainStepFacts, product: ChainProductFacts) -> Link:
    what = "merged into" if step.kind == "merge" else "made into"
    text = f"step {step.name}: {what} {product.lfn}, {product.events} events, {product.state}"
    isOpen = product.state == "Committed"
    state, code = (LinkState.WAITS, "NotRegistered") if isOpen else (LinkState.HOLDS, product.state)
    return Link(Stage.OUTPUT, state, code, text, product.committedTime, {"ProductID": product.productID})


def _jobLink(step: ChainStepFacts, facts: FileChainFacts) -> Link:
    recovery, where = step.recovery, f"step {step.name}"
    if recovery is not None and recovery.state == "GivenUp":
        return _givenUp(step, facts)
    if recovery is not None and recovery.state == "Waived":
        text = f"{where}: a person has waived it ({recovery.error}: {recovery.detail})"
        return Link(Stage.JOB, LinkState.HOLDS, "Waived", text, recovery.lastTime, _ids(step))
    if recovery is not None and recovery.state == "Recovering" and recovery.nextTime is not None and step.status != "Unused":
        text = (
            f"{where}: {recovery.error}: {recovery.detail}; after {recovery.attempts} failures that count it is given to another"
            f" job at {recovery.nextTime:%Y-%m-%d %H:%M:%S}"
        )
        return Link(Stage.JOB, LinkState.WAITS, "WaitsForAttempt", text, recovery.lastTime, _ids(step))
    if step.status is None:
        return Link(Stage.JOB, LinkState.UNKNOWN, "NotTold", f"{where}: the Transformation System does not answer")
    if step.held:
        return Link(Stage.STEP, LinkState.WAITS, "StepHeld", f"{where} is held: {step.held}", step.statusTime, _ids(step))
    return _atWork(step, where)


def _atWork(step: ChainStepFacts, where: str) -> Link:
    if step.status == "":
        text = f"{where}: it is on its way into the transformation"
        return Link(Stage.STEP, LinkState.WAITS, "NotInTransformation", text, step.attachedTime, _ids(step))
    if step.status == "Unused":
        text = f"{where}: it waits for a group, and its turn"
        return Link(Stage.TASK, LinkState.WAITS, "WaitsForTask", text, step.statusTime, _ids(step))
    attempt = step.attempt
    if attempt is None:
        text = f"{where}: task {step.taskID}, its job is {step.jobStatus or 'not submitted yet'}"
        return Link(Stage.JOB, LinkState.WAITS, "WaitsForJob", text, step.statusTime, _ids(step))
    text = f"{where}: task {step.taskID}, job {attempt.jobID} at {attempt.site}: {attempt.state}"
    text += f" ({attempt.error}: {attempt.detail})" if attempt.error else ""
    text += f", in the WMS {step.jobStatus}" if step.jobStatus else ""
    text += f"; execution {attempt.count} of this task" if attempt.count > 1 else ""
    text += "" if attempt.state == "Running" else "; ChainRecoveryAgent takes care of it"
    return Link(Stage.JOB, LinkState.WAITS, f"Attempt{attempt.state}", text, attempt.lastTime, _ids(step))


def _givenUp(step: ChainStepFacts, facts: FileChainFacts) -> Link:
    recovery = step.recovery
    assert recovery is not None  # the caller has looked
    error = next((each for each in JobError if each.value == recovery.error), None)
    to = f" to {step.se}" if step.se else ""
    text = f"step {step.name}{to}: given up after {recovery.attempts} attempts: {recovery.error}: {recovery.detail}"
    text += f"; {error.remedy}" if error else ""
    command = (
        f"dirac-juno-chain waive {quote(facts.inChain.production)} {quote(step.lfn)} --undo --reason"
        f' "{recovery.error}: put right"'
    )
    site = (step.attempt.site if step.attempt else "") or step.se
    isSite = bool(site) and (error is None or error.actor is WhoActs.SITE)
    action = Action(Role.SITE, command, site) if isSite else Action(Role.DATA_MANAGER, command)
    return Link(Stage.JOB, LinkState.BROKEN, "GivenUp", text, recovery.lastTime, _ids(step), action)


def _copyLinks(step: ChainStepFacts, facts: FileChainFacts) -> list[Link]:
    if step.recovery is not None and step.recovery.state == "GivenUp" and not step.hasCopy:
        return [_givenUp(step, facts)]
    name = f"step {step.name}"
    if step.hasCopy:
        return [Link(Stage.REPLICA, LinkState.HOLDS, "Copied", f"{name}: {step.se} has {step.lfn}", step.statusTime, _ids(step))]
    if step.recovery is not None and step.recovery.state == "Waived":
        text = f"{name}: a person has waived the copy at {step.se}"
        return [Link(Stage.REPLICA, LinkState.HOLDS, "Waived", text, step.recovery.lastTime, _ids(step))]
    if step.status is None or step.hasCopy is None:
        text = f"{name}: whether {step.se} has {step.lfn} is not known"
        return [Link(Stage.REPLICA, LinkState.UNKNOWN, "NotTold", text, None, _ids(step))]
    text = f"{name}: the copy to {step.se} is under way, {step.lfn} is {step.status or 'not in the transformation yet'}"
    return [Link(Stage.REPLICA, LinkState.WAITS, "CopyUnderWay", text, step.statusTime, _ids(step))]


def _ids(step: ChainStepFacts) -> dict[str, object]:
    found: dict[str, object] = {"TransformationID": step.transformationID}
    if step.taskID:
        found["TaskID"] = step.taskID
    if step.attempt:
        found["JobID"] = step.attempt.jobID
    return found
