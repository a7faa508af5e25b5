"""A file's way from the catalogue to the storage of one destination.

Each link is asked one question; what it says holds as soon as a later link shows that the file is past it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Explanation import NOBODY, Action, Link, LinkState, Role, Stage
from JUNODIRAC.Core.Domain.RepairRecords import RepairState
from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts
from JUNODIRAC.Core.Domain.WhyFacts import CATALOGUE, FTS3, REQUESTS, TRANSFORMATIONS, SiteFacts, storageName
from JUNODIRAC.Core.Logic import Remedies
from JUNODIRAC.Core.Logic.ExplainFailure import failureLink, givenUpLink, triedAgainLink
from JUNODIRAC.Core.Logic.ExplainOrigin import PATIENCE
from JUNODIRAC.Core.Logic.ExplainWaiting import NOT_YET, agentsTurn, past, pauseLink, restingTransformation, serviceDown

_NOT_YET_TEXT = "not yet"
_UNUSED = frozenset({"Unused", "Unused-inherited"})
_IN_TASK = frozenset({"Assigned", "Assigned-inherited"})
_PROCESSED = frozenset({"Processed", "Processed-inherited"})
# DIRAC's ends of a file that did not arrive; the repair looks after them
_STUCK = frozenset({"Problematic", "MaxReset", "MaxReset-inherited", "MissingInFC", "ProbInFC"})
# in these a transformation takes new files into tasks
_RUNNING = frozenset({"Active", "Flush"})
_TASK_NOT_SUBMITTED = frozenset({"Created", "Reserved", ""})
_FTS_FAILED = frozenset({"Failed", "Canceled", "Defunct"})
_REQUEST_ENDED_BADLY = frozenset({"Failed", "Canceled"})
# a copy may take hours, and a queue a day: what lasts longer is looked at by who runs FTS3
_FTS_PATIENCE = timedelta(hours=24)


def transferLinks(facts: SiteFacts, now: datetime) -> list[Link]:
    """From the transformation to the end of the file's work, all links."""
    if facts.site is None:
        return [_notOpened(facts)]
    if facts.transfer is None:
        return [serviceDown(Stage.TRANSFORMATION, TRANSFORMATIONS, facts.unavailable)]
    links = [
        _transformationLink(facts, facts.transfer, now),
        _taskLink(facts, facts.transfer, now),
        _requestLink(facts, facts.transfer, now),
        _ftsLink(facts, facts.transfer, now),
        _replicaLink(facts, facts.transfer, now),
        _storageLink(facts, facts.transfer),
        _finishedLink(facts, facts.transfer, now),
    ]
    return _withRepair(facts, links)


# ---- the links


def _transformationLink(facts: SiteFacts, transfer: TransferFacts, now: datetime) -> Link:
    stage, status = Stage.TRANSFORMATION, transfer.fileStatus
    ids: dict[str, object] = {"TransformationID": transfer.transformationID, "Status": status}
    if TRANSFORMATIONS in facts.unavailable and status is None:
        return serviceDown(stage, TRANSFORMATIONS, facts.unavailable)
    where = f"transformation {transfer.transformationID}"
    if status is None:
        return _notAttached(facts, where, ids, now)
    if status in _PROCESSED or status in _IN_TASK:
        return Link(stage, LinkState.HOLDS, status, f"{status} in {where}", transfer.fileTime, ids)
    if status in _UNUSED:
        return _unused(facts, transfer, where, ids, now)
    if status not in _STUCK:
        text = f"the file is {status} in {where}: somebody took it out"
        action = Remedies.retransfer(facts.block, facts.typeName, facts.se, f"the file was {status}")
        return Link(stage, LinkState.BROKEN, "TakenOut", text, transfer.fileTime, ids, action)
    text = f"the file is {status} in {where} after {transfer.errorCount} errors"
    return failureLink(facts, stage, f"File{status}", text, transfer.error, transfer.fileTime, ids, now)


def _taskLink(facts: SiteFacts, transfer: TransferFacts, now: datetime) -> Link:
    stage, status = Stage.TASK, transfer.taskStatus or ""
    ids: dict[str, object] = {"TaskID": transfer.taskID, "Status": transfer.taskStatus}
    if _isPast(facts):
        return past(stage, transfer.taskID, f"task {transfer.taskID}: {status or '?'}", transfer.taskTime, ids)
    if transfer.taskID is None:
        if transfer.fileStatus in _IN_TASK:
            text = "the file counts as assigned, and is in no task"
            return failureLink(facts, stage, "NoTask", text, "", transfer.fileTime, ids, now)
        return Link(stage, LinkState.WAITS, NOT_YET, _NOT_YET_TEXT)
    if TRANSFORMATIONS in facts.unavailable and transfer.taskStatus is None:
        return serviceDown(stage, TRANSFORMATIONS, facts.unavailable)
    if transfer.requestID is None:
        if status in _TASK_NOT_SUBMITTED or status == "Submitted":
            text = f"task {transfer.taskID} is made, and waits for RequestTaskAgent to make its request"
            return agentsTurn(stage, "NotSubmitted", text, transfer.taskTime, ids, "Transformation", "RequestTaskAgent", now)
        text = f"task {transfer.taskID} is {status}, and has no request"
        return failureLink(facts, stage, "TaskWithoutRequest", text, "", transfer.taskTime, ids, now)
    text = f"task {transfer.taskID}: {status or '?'}, request {transfer.requestID}"
    return Link(stage, LinkState.HOLDS, "Submitted", text, transfer.taskTime, ids)


def _requestLink(facts: SiteFacts, transfer: TransferFacts, now: datetime) -> Link:
    stage, status = Stage.REQUEST, transfer.requestStatus
    ids: dict[str, object] = {"RequestID": transfer.requestID, "Status": status}
    if transfer.requestID is None:
        return past(stage, None, "", None, {}) if _isPast(facts) else Link(stage, LinkState.WAITS, NOT_YET, _NOT_YET_TEXT)
    what = f"request {transfer.requestID}: {status or '?'}"
    if _isPast(facts) or transfer.ftsStatus == "Finished":
        return past(stage, status, what, transfer.requestTime, ids)
    if status is None:
        return serviceDown(stage, REQUESTS, facts.unavailable)
    if status == "Gone":
        text = f"request {transfer.requestID} is no longer kept, and the file did not arrive"
        return failureLink(facts, stage, "RequestGone", text, "", transfer.taskTime, ids, now)
    if status in _REQUEST_ENDED_BADLY or transfer.requestFileStatus == "Failed":
        said = f", the file in it {transfer.requestFileStatus}" if transfer.requestFileStatus else ""
        code = "RequestCanceled" if status == "Canceled" else "RequestFailed"
        return failureLink(facts, stage, code, f"{what}{said}", transfer.error, transfer.requestTime, ids, now)
    if status in ("Waiting", "Assigned") and transfer.ftsStatus is None:
        text = f"{what}: it waits for RequestExecutingAgent to hand it to FTS3"
        text += f"; last error: {transfer.requestError}" if transfer.requestError else ""
        where = ("RequestManagement", "RequestExecutingAgent")
        return agentsTurn(stage, "RequestWaiting", text, transfer.requestTime, ids, *where, now)
    if status == "Done":
        text = f"{what}, and the file did not arrive"
        return _doneWithoutCopy(facts, transfer, text, ids, now)
    return Link(stage, LinkState.HOLDS, f"Request{status}", f"{what}, handed to FTS3", transfer.requestTime, ids)


def _doneWithoutCopy(facts: SiteFacts, transfer: TransferFacts, text: str, ids: Mapping[str, object], now: datetime) -> Link:
    if transfer.hasReplica is not False:  # the catalogue did not answer, or the storage contradicts: those links say so
        return Link(
            Stage.REQUEST, LinkState.HOLDS, "RequestDone", f"request {transfer.requestID}: Done", transfer.requestTime, ids
        )
    return failureLink(facts, Stage.REQUEST, "DoneWithoutCopy", text, transfer.error, transfer.requestTime, ids, now)


def _ftsLink(facts: SiteFacts, transfer: TransferFacts, now: datetime) -> Link:
    stage, status = Stage.FTS, transfer.ftsStatus
    job = f"job {transfer.ftsJobID}" + (f" at {transfer.ftsServer}" if transfer.ftsServer else "") if transfer.ftsJobID else ""
    ids: dict[str, object] = {"JobID": transfer.ftsJobID, "Server": transfer.ftsServer, "Status": status}
    ids |= {"Attempts": transfer.ftsAttempts, "OperationID": transfer.operationID}
    if _isPast(facts) or status == "Finished":
        return past(stage, status, f"{job or 'copied'}: {status}, attempt {transfer.ftsAttempts}", transfer.ftsTime, ids)
    if status is None:
        return _notInFTS(facts, transfer, ids, now)
    if status in _FTS_FAILED:
        text = f"attempt {transfer.ftsAttempts} of the copy {_ended(status)}" + (f" in {job}" if job else "")
        code = f"Copy{status}"
        return failureLink(facts, stage, code, text, transfer.ftsError, transfer.ftsTime, ids, now)
    if status == "New":
        if facts.pause:
            return pauseLink(facts.pause, facts, stage, ids)
        text = "the copy waits for FTS3Agent to make a job of it"
        return agentsTurn(stage, "NoJob", text, transfer.ftsTime, ids, "DataManagement", "FTS3Agent", now)
    text = f"{status} in {job or 'a job'}, attempt {transfer.ftsAttempts}"
    if transfer.ftsTime and now - transfer.ftsTime > _FTS_PATIENCE:
        # those that failed only would leave out what is under way
        action = Remedies.retransferNamed(facts.block, facts.typeName, facts.se, "the job of FTS3 hangs", Role.FTS)
        words = f"{text}; that is very long; cancel the job, or write the file into names.txt and have it copied once more"
        return Link(stage, LinkState.BROKEN, "JobHangs", words, transfer.ftsTime, ids, action)
    if transfer.ftsError and transfer.ftsAttempts > 1:
        return triedAgainLink(facts, stage, text, transfer.ftsError, transfer.ftsTime, ids, now)
    return Link(stage, LinkState.WAITS, "Copying", text, transfer.ftsTime, ids)


def _notInFTS(facts: SiteFacts, transfer: TransferFacts, ids: Mapping[str, object], now: datetime) -> Link:
    if transfer.requestStatus in ("Scheduled", "Done"):
        if FTS3 in facts.unavailable:
            return serviceDown(Stage.FTS, FTS3, facts.unavailable)
        if transfer.requestStatus == "Scheduled":
            text = "the request was handed to FTS3, and FTS3Manager has no copy of it"
            return failureLink(facts, Stage.FTS, "CopyLost", text, "", transfer.requestTime, ids, now)
    return Link(Stage.FTS, LinkState.WAITS, NOT_YET, _NOT_YET_TEXT)


def _replicaLink(facts: SiteFacts, transfer: TransferFacts, now: datetime) -> Link:
    stage, ids = Stage.REPLICA, {"SE": facts.se}
    if transfer.hasReplica:
        return Link(stage, LinkState.HOLDS, "ReplicaRegistered", f"replica at {facts.se}", None, ids)
    if transfer.hasReplica is None:
        return serviceDown(stage, CATALOGUE, facts.unavailable)
    if transfer.fileStatus in _PROCESSED:
        text = f"the transfer is Processed, and the catalogue has no replica at {facts.se}: it was removed"
        return failureLink(facts, stage, "ReplicaGone", text, "", transfer.fileTime, ids, now)
    if transfer.ftsStatus != "Finished":
        return Link(stage, LinkState.WAITS, NOT_YET, _NOT_YET_TEXT, None, ids)
    text = f"the file was copied to {facts.se}, and its replica is not registered yet"
    isFailed = transfer.requestStatus in _REQUEST_ENDED_BADLY or transfer.requestFileStatus == "Failed"
    if isFailed or transfer.requestStatus in ("Gone", "Done"):
        text = f"{text}: request {transfer.requestID} is {transfer.requestStatus}"
        return failureLink(facts, stage, "NotRegistered", text, transfer.requestError, transfer.requestTime, ids, now)
    text += ": it waits for FTS3Agent and RequestExecutingAgent"
    text += f"; last error: {transfer.requestError}" if transfer.requestError else ""
    where = ("RequestManagement", "RequestExecutingAgent")
    return agentsTurn(stage, "NotRegistered", text, transfer.ftsTime, ids, *where, now)


def _storageLink(facts: SiteFacts, transfer: TransferFacts) -> Link:
    stage, ids = Stage.STORAGE, {"SE": facts.se, "Copy": str(transfer.copy)}
    detail = f": {transfer.copyDetail}" if transfer.copyDetail else ""
    if transfer.copy is CopyState.GOOD:
        return Link(stage, LinkState.HOLDS, "CopyGood", f"{facts.se} has the file{detail}", None, ids)
    if not transfer.hasReplica:
        return Link(stage, LinkState.WAITS, NOT_YET, f"{_NOT_YET_TEXT}{detail}", None, ids)
    if transfer.copy is CopyState.UNKNOWN:
        why = transfer.copyDetail or facts.unavailable.get(storageName(facts.se), "")
        if not why:
            return Link(stage, LinkState.HOLDS, "NotAsked", f"{facts.se} was not asked for it", None, ids)
        text = f"{facts.se} gave no answer: {why}"
        return Link(stage, LinkState.UNKNOWN, "StorageDown", text, None, ids, Remedies.storageStatus(facts.se))
    text = f"the catalogue has a replica at {facts.se}, and the storage says {transfer.copy}{detail}"
    action = _lookAgain(facts)
    text += "; a validation named it, BlockRepairAgent takes care of it" if action == NOBODY else ""
    return Link(stage, LinkState.BROKEN, f"Copy{transfer.copy}", text, None, ids, action)


def _lookAgain(facts: SiteFacts) -> Action:
    """A validation hands the file to the repair; where one has named it already, the repair has it."""
    repair = facts.repair
    if facts.named or (repair and repair.state is RepairState.ACTIVE):
        return NOBODY
    return Remedies.validate(facts.block, facts.typeName, facts.se)


def _finishedLink(facts: SiteFacts, transfer: TransferFacts, now: datetime) -> Link:
    stage, ids = Stage.FINISHED, {"TransformationID": transfer.transformationID, "Status": transfer.fileStatus}
    if transfer.fileStatus in _PROCESSED:
        text = f"Processed in transformation {transfer.transformationID}"
        return Link(stage, LinkState.HOLDS, "Processed", text, transfer.fileTime, ids)
    if not facts.hasArrived:
        return Link(stage, LinkState.WAITS, NOT_YET, _NOT_YET_TEXT, None, ids)
    text = (
        f"the replica is there; the file is {transfer.fileStatus or 'not attached'} until RequestTaskAgent counts it as Processed"
    )
    since = max((time for time in (transfer.requestTime, transfer.ftsTime, transfer.fileTime) if time), default=None)
    return agentsTurn(stage, "NotCounted", text, since, ids, "Transformation", "RequestTaskAgent", now)


# ---- details


def _notOpened(facts: SiteFacts) -> Link:
    if facts.blockState is BlockState.KNOWN:
        return Link(Stage.TRANSFORMATION, LinkState.WAITS, "NotOpened", "the block is not opened yet; its first file opens it")
    text = f"block {facts.block} has no transfer to {facts.se}, which is one of its Type's destinations"
    action = Remedies.openBlock(facts.block, facts.typeName, f"new destination {facts.se}")
    return Link(Stage.TRANSFORMATION, LinkState.BROKEN, "NoTransfer", text, None, {}, action)


def _notAttached(facts: SiteFacts, where: str, ids: Mapping[str, object], now: datetime) -> Link:
    """The receiver attaches a file before it says Registered; what it missed, InputDataAgent finds by the metadata query."""
    since, stage = facts.registeredTime, Stage.TRANSFORMATION
    text = f"the file is registered, and not attached to {where}"
    if since and now - since <= PATIENCE:
        return Link(stage, LinkState.WAITS, "NotAttached", f"{text}: InputDataAgent looks for such files", since, ids)
    action = Remedies.openBlock(facts.block, facts.typeName, "files are not attached to their transfers")
    return Link(stage, LinkState.BROKEN, "NotAttached", text, since, ids, action)


def _unused(facts: SiteFacts, transfer: TransferFacts, where: str, ids: Mapping[str, object], now: datetime) -> Link:
    stage = Stage.TRANSFORMATION
    if facts.pause:
        return pauseLink(facts.pause, facts, stage, ids)
    if facts.transformationStatus is not None and facts.transformationStatus not in _RUNNING:
        return restingTransformation(facts, transfer.transformationID, facts.transformationStatus, ids)
    if facts.policy:
        size, seconds = facts.policy.groupSize, facts.policy.maxWaitSeconds
        text = f"in {where} it waits for its group: {size} files, or {seconds} s"
    else:
        text, seconds = f"in {where} it waits for its group", 0
    return agentsTurn(
        stage,
        "WaitsForGroup",
        text,
        transfer.fileTime,
        ids,
        "Transformation",
        "TransformationAgent",
        now,
        timedelta(seconds=seconds),
    )


def _withRepair(facts: SiteFacts, links: list[Link]) -> list[Link]:
    """What was given up is not tried again, whatever the first link that does not hold may be."""
    if facts.repair is None or facts.repair.state is not RepairState.GIVEN_UP:
        return links
    first = next((index for index, link in enumerate(links) if link.state is not LinkState.HOLDS), None)
    if first is None or links[first].state is LinkState.UNKNOWN:
        return links
    return [*links[:first], givenUpLink(facts, facts.repair, links[first]), *links[first + 1 :]]


def _isPast(facts: SiteFacts) -> bool:
    """The file has arrived, or counts as finished: how it came there is history."""
    return facts.hasArrived or (facts.transfer is not None and facts.transfer.fileStatus in _PROCESSED)


def _ended(status: str) -> str:
    return {"Failed": "failed", "Canceled": "was canceled, or FTS3 lost the job", "Defunct": "failed for good"}[status]
