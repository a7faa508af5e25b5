"""Everything known of one file, in time order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.JournalEntry import JournalEntry
from JUNODIRAC.Core.Domain.Reason import Reason

_PAYLOAD_CHARS = 2000
_REASONS = {reason.value: reason for reason in Reason}


@dataclass(frozen=True)
class QuarantineRecord:
    """One refused announcement.

    :param payload: the message; empty in lists, which do not read it
    :param lfn: empty if none could be made of the announcement
    :param state: Open, Retried, Waived or Dropped
    :param closedBy: the user, or the message that announced the file again
    :param closedReason: why, as the user said it
    """

    typeName: str
    fileName: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    payload: bytes
    checksum: str
    sizeBytes: int | None
    time: datetime | None
    quarantineID: int = 0
    state: str = "Open"
    key: bytes | None = None
    lfn: str = ""
    block: str = ""
    closedTime: datetime | None = None
    closedBy: str = ""
    closedReason: str = ""

    @property
    def explanation(self) -> str:
        """Reason, what exactly was wrong and what to do, in words."""
        if not self.sentence:
            return f"{self.reason}: {self.detail}"
        return f"{self.sentence} ({self.detail}); remedy: {self.remedy}"

    @property
    def sentence(self) -> str:
        """What the reason says; empty for a reason of another version of this package."""
        known = _REASONS.get(self.reason)
        return known.sentence if known else ""

    @property
    def remedy(self) -> str:
        """What to do about it; empty for a reason of another version of this package."""
        known = _REASONS.get(self.reason)
        return known.remedy if known else ""


@dataclass(frozen=True)
class LedgerFile:
    """The ledger's row of a file with its refused announcements and its block's transfers."""

    lfn: str
    typeName: str
    block: str
    state: FileState
    sizeBytes: int | None
    checksum: str
    eventCount: int | None
    fields: Mapping[str, str]
    topic: str
    partition: int
    offset: int
    announcedTime: datetime | None
    registeredTime: datetime | None
    transfers: Mapping[str, int] = field(default_factory=dict)
    quarantine: tuple[QuarantineRecord, ...] = ()
    waitingTime: datetime | None = None


@dataclass(frozen=True)
class CatalogueRecord:
    """The catalogue's entry of a file; ``replicas`` gives the URL by SE."""

    sizeBytes: int
    checksum: str
    status: str
    createdTime: datetime | None
    replicas: Mapping[str, str]


@dataclass(frozen=True)
class Event:
    """Something that happened to a file: when (None if nobody kept the time), where it is known from, what."""

    time: datetime | None
    source: str
    what: str
    fields: Mapping[str, object] = field(default_factory=dict)

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        time = self.time.isoformat(timespec="milliseconds") if self.time else None
        return {"Time": time, "Source": self.source, "Event": self.what, **self.fields}


def inOrder(events: Iterable[Event]) -> list[Event]:
    """By time; events without a time at the end, in the order in which they came."""
    last = datetime.max.replace(tzinfo=UTC)
    return sorted(events, key=lambda event: event.time or last)


def ledgerEvents(file: LedgerFile) -> list[Event]:
    """Announced, registered and each quarantine."""
    events = quarantineEvents(file.quarantine)
    refused = {(record.topic, record.partition, record.offset): record.time for record in file.quarantine}
    position = (file.topic, file.partition, file.offset)
    if position not in refused:
        size = "size unknown" if file.sizeBytes is None else f"{file.sizeBytes} bytes"
        what = f"announced on {file.topic} partition {file.partition} offset {file.offset}: {size}, adler32 {file.checksum}"
        fields: dict[str, object] = {"SizeBytes": file.sizeBytes, "Checksum": file.checksum, "EventCount": file.eventCount}
        fields |= {"Topic": file.topic, "Partition": file.partition, "Offset": file.offset}
        events.append(Event(file.announcedTime, "ledger", what, fields))
    elif file.announcedTime and file.announcedTime != refused[position]:
        # its row shows the message that was refused later
        events.append(Event(file.announcedTime, "ledger", f"announced: adler32 {file.checksum}", {"Checksum": file.checksum}))
    if file.waitingTime:
        events.append(Event(file.waitingTime, "ledger", "not visible on the source storage yet: waits"))
    if file.registeredTime:
        events.append(Event(file.registeredTime, "ledger", "registered"))
    return events


def quarantineEvents(records: Iterable[QuarantineRecord]) -> list[Event]:
    """Refused announcements, and what became of them."""
    events = []
    for record in records:
        what = f"quarantined announcement: {record.explanation}"
        events.append(Event(record.time, "ledger", what, _recordFields(record)))
        if record.closedTime:
            by = f" by {record.closedBy}" if record.closedBy else ""
            fields = {"QuarantineID": record.quarantineID, "Status": record.state, "ClosedBy": record.closedBy}
            events.append(Event(record.closedTime, "ledger", f"record {record.quarantineID} {record.state}{by}", fields))
    return events


def journalEvents(entries: Iterable[JournalEntry], lfn: str) -> list[Event]:
    """What people did."""
    events = []
    for entry in entries:
        belongs = entry.objectName.removeprefix(lfn).strip()
        what = f"{entry.action} {belongs}".strip() + f" by {entry.actor} of {entry.group}: {entry.reason}"
        fields = {"Actor": entry.actor, "Group": entry.group, "Action": entry.action, "Why": entry.reason}
        events.append(Event(entry.time, "journal", what, fields))
    return events


def catalogueEvents(record: CatalogueRecord) -> list[Event]:
    """The entry and its replicas; the catalogue keeps no time for replicas."""
    what = f"entry created: {record.sizeBytes} bytes, adler32 {record.checksum}, {record.status}"
    fields = {"SizeBytes": record.sizeBytes, "Checksum": record.checksum, "Status": record.status}
    events = [Event(record.createdTime, "catalogue", what, fields)]
    for se, url in sorted(record.replicas.items()):
        events.append(Event(None, "catalogue", f"replica at {se}", {"SE": se, "URL": url}))
    return events


def transferEvents(transfers: Mapping[str, int], files: Iterable[Mapping[str, Any]], lfn: str) -> list[Event]:
    """The file in each transfer of its block.

    :param files: its rows in the Transformation System, with the field names that this uses
    """
    rows = {int(row["TransformationID"]): row for row in files}
    events = []
    for se, transformationID in sorted(transfers.items()):
        where = f"transformation {transformationID} to {se}"
        fields: dict[str, object] = {"SE": se, "TransformationID": transformationID}
        row = rows.get(transformationID)
        if row is None:
            events.append(Event(None, "transformation", f"{lfn} is not attached to {where}", fields))
            continue
        task, errors = int(row.get("TaskID") or 0), int(row.get("ErrorCount") or 0)
        fields |= {"Status": row["Status"], "TaskID": task or None, "ErrorCount": errors}
        inTask = f", task {task}" if task else ", in no task yet"
        what = f"file {row['Status']} in {where}{inTask}, {errors} errors"
        events.append(Event(asUTC(row.get("InsertedTime")), "transformation", f"attached to {where}", dict(fields)))
        events.append(Event(asUTC(row.get("LastUpdate")), "transformation", what, fields))
    return events


def taskEvents(tasks: Iterable[Mapping[str, Any]]) -> list[Event]:
    """The tasks that carry the file; their external id is the request's."""
    events = []
    for task in tasks:
        name = f"task {task['TaskID']} of transformation {task['TransformationID']} to {task['TargetSE']}"
        fields = {"TransformationID": task["TransformationID"], "TaskID": task["TaskID"], "Status": task["ExternalStatus"]}
        fields["RequestID"] = task["ExternalID"]
        events.append(Event(asUTC(task.get("CreationTime")), "task", f"{name} created", dict(fields)))
        what = f"{name}: {task['ExternalStatus']}, request {task['ExternalID'] or 'not yet made'}"
        events.append(Event(asUTC(task.get("LastUpdateTime")), "task", what, fields))
    return events


def asUTC(value: object) -> datetime | None:
    """DIRAC's services give naive times in UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else None


def _recordFields(record: QuarantineRecord) -> dict[str, object]:
    """For JSON; bytes of the payload that are not UTF-8 are written as escapes."""
    return {
        "QuarantineID": record.quarantineID,
        "Reason": record.reason,
        "Detail": record.detail,
        "Topic": record.topic,
        "Partition": record.partition,
        "Offset": record.offset,
        "Payload": record.payload.decode("utf-8", "backslashreplace")[:_PAYLOAD_CHARS],
    }
