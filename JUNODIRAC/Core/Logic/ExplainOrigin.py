"""A file's way from its announcement to the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.Explanation import NOBODY, Action, Link, LinkState, Role, Stage
from JUNODIRAC.Core.Domain.FileHistory import LedgerFile, QuarantineRecord
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LedgerRecords import ReceiverRecord
from JUNODIRAC.Core.Domain.QuarantineState import QuarantineState
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.WhyFacts import CATALOGUE, KAFKA, OriginFacts, storageName
from JUNODIRAC.Core.Logic import Remedies

#: agents come round in seconds to two minutes: what stands longer than this at a step of theirs, they do not work on
PATIENCE = timedelta(minutes=15)
#: the sign of life of a receiver comes every few seconds, one that is busy with a large batch may be late
_SIGN_OF_LIFE = timedelta(minutes=5)

# Whoever made the announcement or the file has to make it again; the data manager can only give the file up. The others are
# put right by a data manager, who then replays the message.
_BY_SOURCE = frozenset(
    {
        Reason.UNDECODABLE,
        Reason.BAD_FIELD,
        Reason.BAD_CHECKSUM,
        Reason.NAME_TOO_LONG,
        Reason.ZERO_SIZE,
        Reason.NOT_ON_STORAGE,
        Reason.SIZE_MISMATCH,
        Reason.CHECKSUM_MISMATCH,
    }
)
# here the same message will do once the file is right
_REPLAYED_BY_SOURCE = frozenset({Reason.NOT_ON_STORAGE, Reason.SIZE_MISMATCH, Reason.CHECKSUM_MISMATCH})


def originLinks(facts: OriginFacts, now: datetime) -> list[Link]:
    """Announcement, ledger and catalogue, up to the first that does not hold."""
    if facts.file is None:
        refused = [record for record in facts.refused if record.state == QuarantineState.OPEN]
        if refused:
            last = refused[-1]
            return [_announced(last.topic, last.partition, last.offset, last.time), quarantinedLink(last)]
        return [_unknownFile(facts, now)]
    file = facts.file
    links = [_announced(file.topic, file.partition, file.offset, file.announcedTime), _ledgerLink(facts, file, now)]
    if file.state is FileState.REGISTERED:
        links.append(_catalogueLink(facts, file))
    return links


def isGivenUpByPerson(facts: OriginFacts) -> bool:
    """Whether a person decided that the block goes without this file: nothing more will happen to it."""
    return facts.file is not None and facts.file.state in (FileState.WAIVED, FileState.DROPPED)


def receiverTrouble(receivers: Sequence[ReceiverRecord], typeName: str, now: datetime) -> tuple[str, datetime | None, Action]:
    """What keeps the receiver of a Type from its work, since when, and who has to act; an empty text if it is well."""
    if not receivers:
        return f"the receiver of {typeName} never gave a sign of life", None, Remedies.restartReceiver(typeName)
    last = max(receivers, key=lambda each: each.heartbeatTime)
    if now - last.heartbeatTime > _SIGN_OF_LIFE:
        text = f"the receiver {last.instance} on {last.host} gives no sign of life"
        return text, last.heartbeatTime, Remedies.restartReceiver(typeName, last.instance)
    if last.trouble:
        text = f"the receiver {last.instance} waits for: {last.trouble}"
        return text, last.troubleSince, Remedies.ingestStatus(typeName)
    return "", None, NOBODY


def quarantinedLink(record: QuarantineRecord, files: int = 1) -> Link:
    """The announcement was refused.

    :param files: how many there are like it
    """
    count = f"{files} files: " if files > 1 else ""
    text = f"{count}the announcement was refused: {record.explanation}"
    ids = {"QuarantineID": record.quarantineID, "Reason": record.reason, "File": record.lfn or record.fileName}
    return Link(Stage.LEDGER, LinkState.BROKEN, "Quarantined", text, record.time, ids, quarantineAction(record))


def quarantineAction(record: QuarantineRecord) -> Action:
    """Who puts a refused announcement right, and with what."""
    number, reason = record.quarantineID, record.reason
    if reason in _REPLAYED_BY_SOURCE:
        return Remedies.quarantined("replay", number, Role.SOURCE, "the file on the storage was put right")
    if reason in _BY_SOURCE:
        return Remedies.quarantined("show", number, Role.SOURCE)
    if reason == Reason.LATE_FILE and record.block:
        return Remedies.reopenAndReplay(record.block, record.typeName, number)
    if reason == Reason.CONFLICT:
        return Remedies.quarantined("show", number, Role.DATA_MANAGER)
    return Remedies.quarantined("replay", number, Role.DATA_MANAGER, "the cause was put right")


# ---- links


def _announced(topic: str, partition: int, offset: int, time: datetime | None) -> Link:
    ids = {"Topic": topic, "Partition": partition, "Offset": offset}
    text = f"announced on {topic}, partition {partition}, offset {offset}"
    return Link(Stage.ANNOUNCEMENT, LinkState.HOLDS, "Announced", text, time, ids)


def _unknownFile(facts: OriginFacts, now: datetime) -> Link:
    """The ledger does not know the file, so its announcement was not read, or never made."""
    source = facts.policy.sourceSE if facts.policy else "the source storage"

    def link(state: LinkState, code: str, text: str, time: datetime | None = None, action: Action = NOBODY) -> Link:
        return Link(Stage.ANNOUNCEMENT, state, code, f"the ledger does not know this file; {text}", time, {}, action)

    seen = _onSource(facts, source)
    if facts.lag is None:
        why = facts.unavailable.get(KAFKA, "nobody asked it")
        text = f"whether its announcement waits in Kafka is not known: {why}; {seen}"
        return link(LinkState.UNKNOWN, "KafkaUnknown", text, action=Remedies.ingestStatus(facts.typeName))
    if facts.lag:
        text, since, action = receiverTrouble(facts.receivers, facts.typeName, now)
        topic = facts.policy.topic if facts.policy else "its topic"
        unread = f"{facts.lag} messages of {topic} are not read yet, it may be one of them; {seen}"
        if text:
            return link(LinkState.BROKEN, "ReceiverTrouble", f"{unread}; {text}", since, action)
        return link(LinkState.WAITS, "Unread", unread)
    if facts.source is None or facts.source.isThere is None:
        action = Remedies.storageStatus(source) if facts.policy else Remedies.ingestStatus(facts.typeName)
        return link(LinkState.UNKNOWN, "SourceUnknown", f"all messages of its topic are read; {seen}", action=action)
    if facts.source.isThere:
        action = Remedies.announceForgotten(facts.block, facts.typeName)
        return link(
            LinkState.BROKEN, "NeverAnnounced", f"all messages of its topic are read: nobody announced it; {seen}", None, action
        )
    text = f"all messages of its topic are read, and {seen}: it was never written, or has another name"
    action = Remedies.lookForForgotten(facts.block, facts.typeName, Role.SOURCE)
    return link(LinkState.BROKEN, "NeverWritten", text, None, action)


def _onSource(facts: OriginFacts, source: str) -> str:
    if facts.source is None or facts.source.isThere is None:
        told = facts.source.detail if facts.source else facts.unavailable.get(storageName(source), "it was not asked")
        why = told or "it gave no answer"
        return f"whether it lies on {source} is not known: {why}"
    size = "" if facts.source.sizeBytes is None else f" with {facts.source.sizeBytes} bytes"
    return f"it lies on {source}{size}" if facts.source.isThere else f"it is not on {source}"


def _ledgerLink(facts: OriginFacts, file: LedgerFile, now: datetime) -> Link:
    if file.state is FileState.REGISTERED:
        return Link(Stage.LEDGER, LinkState.HOLDS, "Registered", "the ledger has it as Registered", file.registeredTime)
    if file.state is FileState.QUARANTINED:
        return _quarantined(file)
    if file.state in (FileState.WAIVED, FileState.DROPPED):
        return _givenUp(file)
    if file.state is FileState.WAITING:
        return _waiting(facts, file, now)
    return _stuck(
        facts, file, now, "Announced", "the announcement is good, the file is about to be registered", file.announcedTime
    )


def _quarantined(file: LedgerFile) -> Link:
    if file.quarantine:
        still = [record for record in file.quarantine if record.state == QuarantineState.OPEN]
        return quarantinedLink((still or list(file.quarantine))[-1])
    action = Remedies.listQuarantine(file.block, file.typeName)
    return Link(Stage.LEDGER, LinkState.BROKEN, "Quarantined", "the announcement was refused", None, {}, action)


def _givenUp(file: LedgerFile) -> Link:
    closed = [record for record in file.quarantine if record.closedBy]
    who = f" by {closed[-1].closedBy}: {closed[-1].closedReason or 'no reason was given'}" if closed else ""
    what = "given up" if file.state is FileState.WAIVED else "declared a mistake"
    time = closed[-1].closedTime if closed else None
    text = f"{file.state}: it was {what}{who}; its block goes without it"
    return Link(Stage.LEDGER, LinkState.HOLDS, str(file.state), text, time)


def _waiting(facts: OriginFacts, file: LedgerFile, now: datetime) -> Link:
    waits = facts.waiting
    since = waits.since if waits else file.waitingTime
    where = facts.policy.sourceSE if facts.policy else "the source storage"
    text = f"{where} does not show the file yet"
    if waits:
        text += f" ({waits.detail}); it was asked {waits.attempts} times, next at {waits.nextTime:%Y-%m-%d %H:%M:%S}"
    grace = timedelta(seconds=facts.policy.graceSeconds if facts.policy else 0)
    if since and facts.policy:
        text += f"; it is quarantined as NotOnStorage if it does not come until {since + grace:%Y-%m-%d %H:%M:%S}"
    return _stuck(facts, file, now, "Waiting", text, since, grace)


def _stuck(
    facts: OriginFacts,
    file: LedgerFile,
    now: datetime,
    code: str,
    text: str,
    since: datetime | None,
    allowed: timedelta = timedelta(),
) -> Link:
    """A state that the receiver ends by itself, if it is well."""
    ids: dict[str, object] = {"State": str(file.state)}
    trouble, troubleSince, action = receiverTrouble(facts.receivers, file.typeName, now)
    if trouble:
        return Link(Stage.LEDGER, LinkState.BROKEN, "ReceiverTrouble", f"{text}; {trouble}", troubleSince or since, ids, action)
    if since and now - since > PATIENCE + allowed:
        told = f"{text}; that is long ago, and the receiver is alive"
        return Link(Stage.LEDGER, LinkState.BROKEN, "ReceiverLate", told, since, ids, Remedies.ingestStatus(file.typeName))
    return Link(Stage.LEDGER, LinkState.WAITS, code, text, since, ids)


def _catalogueLink(facts: OriginFacts, file: LedgerFile) -> Link:
    record = facts.record
    if record is None and CATALOGUE in facts.unavailable:
        text = f"{CATALOGUE} could not be asked: {facts.unavailable[CATALOGUE]}"
        return Link(Stage.CATALOGUE, LinkState.UNKNOWN, "ServiceDown", text, None, {}, Remedies.restartService(CATALOGUE))
    if record is None:
        text = "the ledger has it as registered, and the catalogue has no entry: somebody removed it there"
        action = Remedies.report(file.block, file.typeName)
        return Link(Stage.CATALOGUE, LinkState.BROKEN, "NotInCatalogue", text, file.registeredTime, {}, action)
    told = f"{record.sizeBytes} bytes, adler32 {record.checksum}, {record.status}"
    ids = {"SizeBytes": record.sizeBytes, "Checksum": record.checksum, "SEs": sorted(record.replicas)}
    isSame = file.sizeBytes in (None, record.sizeBytes) and _same(file.checksum, record.checksum)
    if not isSame:
        text = f"the catalogue has {told}; the ledger has {file.sizeBytes} bytes, adler32 {file.checksum}"
        action = Remedies.report(file.block, file.typeName)
        return Link(Stage.CATALOGUE, LinkState.BROKEN, "CatalogueDiffers", text, record.createdTime, ids, action)
    text = f"entry with {told}; replicas at {', '.join(sorted(record.replicas)) or 'no site'}"
    return Link(Stage.CATALOGUE, LinkState.HOLDS, "InCatalogue", text, record.createdTime, ids)


def _same(one: str, other: str) -> bool:
    return one.lower().zfill(8) == other.lower().zfill(8)
