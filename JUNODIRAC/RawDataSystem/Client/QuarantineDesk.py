"""Refused announcements as people read them and decide on them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.FileHistory import QuarantineRecord
from JUNODIRAC.Core.Domain.JournalEntry import JournalEntry, quarantineObject
from JUNODIRAC.Core.Domain.QuarantineState import CannotClose, ClosableRecord, QuarantineState, fileChange
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.Core.Utilities.Moment import momentText
from JUNODIRAC.RawDataSystem.Client.TopicWriter import OutgoingMessage, TopicWriter
from JUNODIRAC.RawDataSystem.Client.TypePolicies import BadTypeConfiguration

# messages that are held in memory at the same time: each may have a megabyte
_MESSAGES_AT_ONCE = 50
_NOT_TRIED = "it was not tried: Kafka confirmed none of the messages before it"


class UnknownRecord(Exception):
    """There is no such record."""

    def __init__(self, quarantineID: int) -> None:
        super().__init__(f"the quarantine has no record {quarantineID}; see dirac-juno-quarantine list --all-states")


class QuarantineLedger(Protocol):
    """What is asked of the ledger; see :class:`JUNODIRAC.RawDataSystem.DB.LedgerQuarantineDesk.LedgerQuarantineDesk`."""

    def readQuarantineList(self, *, newest: bool, limit: int, **chosen: Any) -> list[QuarantineRecord]: ...

    def countQuarantineList(self, **chosen: Any) -> Mapping[str, int]: ...

    def readQuarantined(self, quarantineIDs: Sequence[int]) -> list[QuarantineRecord]: ...

    def closeQuarantined(self, quarantineIDs: Sequence[int], newState: str, closedBy: str, why: str = "") -> int: ...

    def recordJournal(self, actor: str, group: str, action: str, objectName: str, reason: str) -> None: ...

    def readJournal(self, names: Sequence[str]) -> list[JournalEntry]: ...


@dataclass(frozen=True)
class Actor:
    """Who changes something, and why."""

    name: str
    group: str
    reason: str


@dataclass
class DeskOutcome:
    """Each record that was to be changed is in exactly one of both."""

    done: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)

    def toDict(self) -> dict[str, Any]:
        """For JSON."""
        refused = [{"ID": number, "Why": why} for number, why in sorted(self.refused.items())]
        return {"Done": sorted(self.done), "Refused": refused}


class QuarantineDesk:
    """Lists, shows, replays, waives, drops.

    :param topicOf: the topic of a Type
    :param writer: made when a message has to be written
    """

    def __init__(self, ledger: QuarantineLedger, topicOf: Callable[[str], str], writer: Callable[[], TopicWriter]) -> None:
        self._ledger = ledger
        self._topicOf = topicOf
        self._writer = writer

    # ---- reading

    def records(self, filters: Mapping[str, Any], limit: int) -> dict[str, Any]:
        """The newest records that the filters choose, oldest first.

        :param filters: IDs alone, or any of Type, Code, Block, File (name with ``*`` and ``?``, or LFN), Since, Until (ISO
            texts) and AllStates
        :returns: Records, Total, Counts (by code, of all that match) and Reasons (Sentence and Remedy by code)
        """
        if filters.get("IDs"):
            found = [_summary(record) for record in self._read(filters["IDs"])]
            counts: dict[str, int] = {}
            for each in found:
                counts[each["Code"]] = counts.get(each["Code"], 0) + 1
        else:
            chosen = _selection(filters)
            found = [_summary(record) for record in self._ledger.readQuarantineList(**chosen, newest=True, limit=limit)]
            counts = dict(self._ledger.countQuarantineList(**chosen))
        words = {str(reason): {"Sentence": reason.sentence, "Remedy": reason.remedy} for reason in Reason}
        reasons = {code: words[code] for code in counts if code in words}
        return {"Records": found, "Total": sum(counts.values()), "Counts": counts, "Reasons": reasons}

    def record(self, quarantineID: int) -> dict[str, Any]:
        """Everything of one record.

        :raises UnknownRecord: if there is none
        """
        for record in self._ledger.readQuarantined([quarantineID]):
            key = None if record.key is None else record.key.decode("utf-8", "backslashreplace")
            return _summary(record) | {
                "Key": key,
                "PayloadBytes": len(record.payload),
                "PayloadBase64": base64.b64encode(record.payload).decode(),
                "Journal": [_entry(entry) for entry in self._ledger.readJournal([_objectOf(record)])],
            }
        raise UnknownRecord(quarantineID)

    # ---- changing

    def close(self, quarantineIDs: Sequence[int], newState: QuarantineState, action: str, actor: Actor) -> DeskOutcome:
        """Waive or drop records, and with them their files.

        :raises TemporaryFailure: if the ledger does not answer; nothing was changed then
        """
        outcome = DeskOutcome()
        wanted = []
        for record in self._wanted(quarantineIDs, outcome, again=False):
            try:
                if not record.lfn:  # refused before it is journalled; what concerns files, the ledger knows
                    fileChange(ClosableRecord(record.quarantineID, QuarantineState.OPEN, record.reason), newState, ())
            except CannotClose as error:
                outcome.refused[record.quarantineID] = str(error)
            else:
                wanted.append(record)
                self._journal(record, action, actor)
        self._closeAll([record.quarantineID for record in wanted], newState, actor, outcome)
        return outcome

    def replay(self, quarantineIDs: Sequence[int], again: bool, action: str, actor: Actor) -> DeskOutcome:
        """Write the messages into the topics of their Types again, and close the records that Kafka confirmed.

        :param again: also records that are closed; they stay as they are
        """
        outcome = DeskOutcome()
        writer = self._writer()
        numbers = list(dict.fromkeys(quarantineIDs))
        isKafkaAway = False
        for start in range(0, len(numbers), _MESSAGES_AT_ONCE):
            if isKafkaAway:  # not to wait for it again and again
                outcome.refused |= dict.fromkeys(numbers[start:], _NOT_TRIED)
                break
            wanted = self._wanted(numbers[start : start + _MESSAGES_AT_ONCE], outcome, again)
            for topic, records in self._byTopic(wanted, outcome).items():
                for record in records:
                    self._journal(record, action, actor)
                written = writer.write(topic, [_message(record, actor) for record in records])
                outcome.refused |= {int(name): why for name, why in written.failed.items()}
                self._noteReplayed(records, written.confirmed, actor, outcome)
                isKafkaAway = not written.confirmed
        return outcome

    def _noteReplayed(
        self, records: Iterable[QuarantineRecord], confirmed: Mapping[str, str], actor: Actor, outcome: DeskOutcome
    ) -> None:
        """From here on the messages are in Kafka: whatever fails now, they are, and that is said."""
        replayed = [record for record in records if str(record.quarantineID) in confirmed]
        closed = [record.quarantineID for record in replayed if record.state != QuarantineState.OPEN]
        outcome.done += closed
        closing = [record.quarantineID for record in replayed if record.state == QuarantineState.OPEN]
        marked = DeskOutcome()
        try:
            self._closeAll(closing, QuarantineState.RETRIED, actor, marked)
        except TemporaryFailure as error:
            marked.refused |= dict.fromkeys((number for number in closing if number not in marked.done), str(error))
        outcome.done += marked.done
        for number, why in marked.refused.items():
            if self._isRetried(number):  # the receiver was quicker: it took the file up already
                outcome.done.append(number)
            else:
                place = confirmed[str(number)]
                outcome.refused[number] = f"its message is in Kafka ({place}), but the record could not be closed: {why}"

    def _closeAll(self, quarantineIDs: Sequence[int], newState: QuarantineState, actor: Actor, outcome: DeskOutcome) -> None:
        """The ledger closes all or none: those that cannot be closed are left out one by one."""
        left = list(quarantineIDs)
        while left:
            try:
                self._ledger.closeQuarantined(left, newState.value, actor.name, actor.reason)
            except CannotClose as error:
                outcome.refused[error.quarantineID] = str(error)
                left.remove(error.quarantineID)
            else:
                outcome.done += left
                return

    def _isRetried(self, quarantineID: int) -> bool:
        try:
            return any(record.state == QuarantineState.RETRIED for record in self._ledger.readQuarantined([quarantineID]))
        except TemporaryFailure:
            return False

    def _wanted(self, quarantineIDs: Sequence[int], outcome: DeskOutcome, again: bool) -> list[QuarantineRecord]:
        """The records that can be changed; the others are refused."""
        numbers = list(dict.fromkeys(quarantineIDs))
        found = {record.quarantineID: record for record in self._ledger.readQuarantined(numbers)}
        for number in numbers:
            if number not in found:
                outcome.refused[number] = str(UnknownRecord(number))
            elif found[number].state != QuarantineState.OPEN and not again:
                by = f" by {found[number].closedBy}" if found[number].closedBy else ""
                why = f"it is {found[number].state} already{by}; only an Open record can be changed"
                outcome.refused[number] = f"{why} (replay --again puts its message into the topic once more)"
        return [found[number] for number in numbers if number in found and number not in outcome.refused]

    def _byTopic(self, records: Iterable[QuarantineRecord], outcome: DeskOutcome) -> dict[str, list[QuarantineRecord]]:
        topics: dict[str, list[QuarantineRecord]] = {}
        for record in records:
            try:
                topic = self._topicOf(record.typeName)
            except BadTypeConfiguration as error:
                outcome.refused[record.quarantineID] = str(error)
            else:
                topics.setdefault(topic, []).append(record)
        return topics

    def _read(self, quarantineIDs: Sequence[int]) -> Iterator[QuarantineRecord]:
        for start in range(0, len(quarantineIDs), _MESSAGES_AT_ONCE):
            yield from self._ledger.readQuarantined(quarantineIDs[start : start + _MESSAGES_AT_ONCE])

    def _journal(self, record: QuarantineRecord, action: str, actor: Actor) -> None:
        """Before the change: one that was cut short must be in the journal too."""
        self._ledger.recordJournal(actor.name, actor.group, action, _objectOf(record), actor.reason)


def _objectOf(record: QuarantineRecord) -> str:
    return quarantineObject(record.quarantineID, record.lfn)


def _message(record: QuarantineRecord, actor: Actor) -> OutgoingMessage:
    headers = {"replay-of": f"{record.topic}/{record.partition}/{record.offset}", "replayed-by": actor.name}
    return OutgoingMessage(str(record.quarantineID), record.payload, record.key, headers)


def _selection(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters as the ledger takes them."""
    chosen: dict[str, Any] = {
        "typeName": str(filters.get("Type") or ""),
        "code": str(filters.get("Code") or ""),
        "block": str(filters.get("Block") or ""),
        "fileName": str(filters.get("File") or "").rpartition("/")[2],
        "since": _moment(filters.get("Since")),
        "until": _moment(filters.get("Until")),
    }
    return chosen | {"states": ()} if filters.get("AllStates") else chosen


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None


def _summary(record: QuarantineRecord) -> dict[str, Any]:
    return {
        "ID": record.quarantineID,
        "Time": momentText(record.time),
        "Type": record.typeName,
        "Block": record.block,
        "FileName": record.fileName,
        "LFN": record.lfn,
        "Code": record.reason,
        "Sentence": record.sentence,
        "Detail": record.detail,
        "Remedy": record.remedy,
        "State": record.state,
        "ClosedTime": momentText(record.closedTime),
        "ClosedBy": record.closedBy,
        "ClosedReason": record.closedReason,
        "SizeBytes": record.sizeBytes,
        "Checksum": record.checksum,
        "Topic": record.topic,
        "Partition": record.partition,
        "Offset": record.offset,
    }


def _entry(entry: JournalEntry) -> dict[str, Any]:
    return {
        "Time": momentText(entry.time),
        "Actor": entry.actor,
        "Group": entry.group,
        "Action": entry.action,
        "Object": entry.objectName,
        "Reason": entry.reason,
    }
