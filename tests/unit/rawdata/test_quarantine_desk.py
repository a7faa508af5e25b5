from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from JUNODIRAC.Core.Domain.FileHistory import QuarantineRecord
from JUNODIRAC.Core.Domain.JournalEntry import JournalEntry
from JUNODIRAC.Core.Domain.QuarantineState import CannotClose, QuarantineState
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.QuarantineDesk import Actor, QuarantineDesk, UnknownRecord
from JUNODIRAC.RawDataSystem.Client.TopicWriter import Written
from JUNODIRAC.RawDataSystem.Client.TypePolicies import BadTypeConfiguration

T0 = datetime(2023, 3, 2, 12, tzinfo=UTC)
ANN = Actor("ann", "juno_prod", "it was put right")


def record(number: int, **changes: object) -> QuarantineRecord:
    values = {
        "typeName": "Raw",
        "fileName": f"Daq.{number}.dat",
        "reason": "BadName",
        "detail": "no",
        "topic": "juno.raw",
        "partition": 0,
        "offset": 100 + number,
        "payload": b"\xff\x00" + bytes([number]),
        "checksum": "",
        "sizeBytes": None,
        "time": T0,
        "quarantineID": number,
        "key": b"20230302",
        "lfn": f"/juno/raw/Daq.{number}.dat",
    }
    return QuarantineRecord(**(values | changes))


class Ledger:
    """Records by id; those in ``stubborn`` cannot be closed, and if it is ``away`` nothing can."""

    def __init__(self, *records: QuarantineRecord, stubborn=(), away=False) -> None:
        self.records = {each.quarantineID: each for each in records}
        self.stubborn, self.away = stubborn, away
        self.journal: list[JournalEntry] = []
        self.asked: list[dict] = []

    def readQuarantineList(self, **chosen):
        self.asked.append(chosen)
        return [replace(each, payload=b"") for each in self.records.values()]

    def countQuarantineList(self, **chosen):
        return {"BadName": 7, "FromTheFuture": 1}

    def readQuarantined(self, numbers):
        return [self.records[number] for number in sorted(set(numbers)) if number in self.records]

    def closeQuarantined(self, numbers, newState, closedBy, why=""):
        if self.away:
            raise TemporaryFailure("RawData/RawDataDB", "gone")
        for number in numbers:
            if number in self.stubborn or self.records[number].state != "Open":
                raise CannotClose(number, "cannot be closed")
        for number in numbers:
            self.records[number] = replace(self.records[number], state=newState, closedBy=closedBy, closedReason=why)
        return len(numbers)

    def recordJournal(self, actor, group, action, objectName, reason):
        self.journal.append(JournalEntry(T0, actor, group, action, objectName, reason))

    def readJournal(self, names):
        return [entry for entry in self.journal if entry.objectName in names]

    def states(self) -> dict[int, str]:
        return {number: str(each.state) for number, each in self.records.items()}


class Writer:
    """Confirms all messages but those of the ids in ``lost``."""

    def __init__(self, lost=(), onWrite=lambda: None) -> None:
        self.lost, self.onWrite = lost, onWrite
        self.messages: list[tuple] = []

    def write(self, topic, messages) -> Written:
        self.onWrite()
        written = Written()
        for message in messages:
            self.messages.append((topic, message.payload, message.key, dict(message.headers)))
            if int(message.name) in self.lost:
                written.failed[message.name] = "Kafka did not confirm it"
            else:
                written.confirmed[message.name] = f"{topic}/0/{len(self.messages)}"
        return written


def topicOf(typeName: str) -> str:
    if typeName != "Raw":
        raise BadTypeConfiguration(f"Types/{typeName}", "there is no such section")
    return "juno.raw"


def desk(ledger: Ledger, writer: Writer | None = None) -> QuarantineDesk:
    return QuarantineDesk(ledger, topicOf, lambda: writer or Writer())


def replay(ledger: Ledger, *numbers: int, writer: Writer | None = None, again: bool = False) -> dict:
    return desk(ledger, writer).replay(numbers, again, "replayQuarantined", ANN).toDict()


def whyOf(outcome: dict) -> dict[int, str]:
    return {refused["ID"]: refused["Why"] for refused in outcome["Refused"]}


# ---- replay


def test_a_message_is_replayed_byte_for_byte_with_its_key_and_where_it_came_from():
    ledger, writer = Ledger(record(1)), Writer()
    assert replay(ledger, 1, writer=writer) == {"Done": [1], "Refused": []}
    assert writer.messages == [("juno.raw", b"\xff\x00\x01", b"20230302", {"replay-of": "juno.raw/0/101", "replayed-by": "ann"})]
    assert ledger.states() == {1: "Retried"}


def test_a_record_is_closed_only_after_kafka_has_its_message():
    ledger = Ledger(record(1), record(2))
    statesThen: list[dict] = []
    writer = Writer(lost=[2], onWrite=lambda: statesThen.append(ledger.states()))
    outcome = replay(ledger, 1, 2, writer=writer)
    assert statesThen == [{1: "Open", 2: "Open"}]
    assert ledger.states() == {1: "Retried", 2: "Open"}
    assert outcome["Done"] == [1]
    assert "did not confirm" in whyOf(outcome)[2]


def test_replaying_again_is_refused_with_who_did_it_and_a_way_out():
    ledger, writer = Ledger(record(1)), Writer()
    replay(ledger, 1, writer=writer)
    outcome = replay(ledger, 1, writer=writer)
    assert len(writer.messages) == 1
    assert outcome["Done"] == []
    assert "Retried already by ann" in whyOf(outcome)[1]
    assert "--again" in whyOf(outcome)[1]


@pytest.mark.parametrize("state", ["Retried", "Waived", "Dropped"])
def test_a_closed_record_is_replayed_when_that_is_asked_for_and_stays_as_it_is(state):
    ledger, writer = Ledger(record(1, state=state)), Writer()
    assert replay(ledger, 1, writer=writer, again=True)["Done"] == [1]
    assert len(writer.messages) == 1
    assert ledger.states() == {1: state}


def test_a_receiver_that_takes_the_file_up_before_the_record_is_closed_is_no_failure():
    ledger = Ledger(record(1))
    writer = Writer(onWrite=lambda: ledger.records.update({1: record(1, state="Retried")}))
    assert replay(ledger, 1, writer=writer) == {"Done": [1], "Refused": []}


def test_a_message_that_is_in_kafka_is_never_told_as_undone():
    outcome = replay(Ledger(record(1), away=True), 1)
    assert "its message is in Kafka (juno.raw/0/1)" in whyOf(outcome)[1]
    assert "gone" in whyOf(outcome)[1]


def test_each_record_of_a_long_list_is_told_once_whatever_became_of_it():
    ledger = Ledger(*(record(number, typeName="Raw" if number % 5 else "Gone") for number in range(1, 131)), stubborn=[7])
    outcome = replay(ledger, *range(1, 133), 1, writer=Writer(lost=[9]))
    told = [*outcome["Done"], *(refused["ID"] for refused in outcome["Refused"])]
    assert sorted(told) == list(range(1, 133))
    why = whyOf(outcome)
    assert set(why) == {7, 9, 131, 132, *range(5, 131, 5)}
    assert "there is no such section" in why[5]
    assert "no record 131" in why[131]


def test_a_kafka_that_is_away_is_not_tried_for_every_portion_of_a_long_list():
    writer = Writer(lost=range(200))
    outcome = replay(Ledger(*map(record, range(1, 131))), *range(1, 131), writer=writer)
    assert len(writer.messages) == 50
    assert set(whyOf(outcome)) == set(range(1, 131))
    assert "not tried" in whyOf(outcome)[51]


# ---- waive and drop


@pytest.mark.parametrize("state", [QuarantineState.WAIVED, QuarantineState.DROPPED])
def test_records_that_cannot_be_closed_are_named_and_the_others_are_closed(state):
    ledger = Ledger(record(1), record(2), record(3), record(4, state="Retried"), stubborn=[2])
    outcome = desk(ledger).close([1, 2, 3, 4, 5], state, "aChange", ANN).toDict()
    assert outcome["Done"] == [1, 3]
    assert set(whyOf(outcome)) == {2, 4, 5}
    assert ledger.states() == {1: state, 2: "Open", 3: state, 4: "Retried"}
    assert ledger.records[1].closedReason == "it was put right"


def test_a_record_without_a_file_cannot_be_waived_and_is_not_journalled():
    ledger = Ledger(record(1, lfn=""), record(2))
    outcome = desk(ledger).close([1, 2], QuarantineState.WAIVED, "waiveQuarantined", ANN).toDict()
    assert outcome["Done"] == [2]
    assert "names no file" in whyOf(outcome)[1]
    assert len(ledger.journal) == 1
    assert desk(ledger).close([1], QuarantineState.DROPPED, "dropQuarantined", ANN).done == [1]


def test_a_ledger_that_is_away_closes_nothing_and_says_so():
    with pytest.raises(TemporaryFailure):
        desk(Ledger(record(1), away=True)).close([1], QuarantineState.WAIVED, "waiveQuarantined", ANN)


def test_every_change_is_in_the_journal_of_the_file_with_who_and_why_before_it_is_made():
    ledger = Ledger(record(1), record(2, lfn=""), record(3, state="Dropped"))
    seen: list[int] = []
    replay(ledger, 1, 2, 3, writer=Writer(onWrite=lambda: seen.append(len(ledger.journal))))
    assert seen == [2]
    assert [(entry.actor, entry.group, entry.action, entry.objectName, entry.reason) for entry in ledger.journal] == [
        ("ann", "juno_prod", "replayQuarantined", "/juno/raw/Daq.1.dat quarantine 1", "it was put right"),
        ("ann", "juno_prod", "replayQuarantined", "quarantine 2", "it was put right"),
    ]


# ---- reading


def test_a_list_has_the_records_the_counts_of_all_that_match_and_what_to_do():
    ledger = Ledger(record(1), record(2))
    answer = desk(ledger).records({"Type": "Raw", "File": "/juno/raw/x*.dat", "Since": "2023-03-02T00:00:00+00:00"}, 2)
    assert [each["ID"] for each in answer["Records"]] == [1, 2]
    assert (answer["Total"], answer["Counts"]) == (8, {"BadName": 7, "FromTheFuture": 1})
    assert answer["Reasons"] == {"BadName": {"Sentence": Reason.BAD_NAME.sentence, "Remedy": Reason.BAD_NAME.remedy}}
    (asked,) = ledger.asked
    assert asked["fileName"] == "x*.dat"
    assert asked["since"] == datetime(2023, 3, 2, tzinfo=UTC)
    assert "states" not in asked


def test_all_states_are_listed_when_asked_for():
    ledger = Ledger()
    desk(ledger).records({"AllStates": True}, 2)
    assert ledger.asked[0]["states"] == ()


def test_named_records_are_listed_whatever_their_state_and_without_their_messages():
    answer = desk(Ledger(record(1), record(2, state="Waived"))).records({"IDs": [2, 9]}, 1)
    assert [(each["ID"], each["State"]) for each in answer["Records"]] == [(2, "Waived")]
    assert (answer["Total"], answer["Counts"]) == (1, {"BadName": 1})
    assert "PayloadBase64" not in answer["Records"][0]


def test_a_record_is_shown_with_its_message_and_its_journal():
    ledger = Ledger(record(1))
    replay(ledger, 1, writer=Writer(lost=[1]))
    answer = desk(ledger).record(1)
    assert base64.b64decode(answer["PayloadBase64"]) == b"\xff\x00\x01"
    assert (answer["PayloadBytes"], answer["Key"], answer["Sentence"]) == (3, "20230302", Reason.BAD_NAME.sentence)
    assert [entry["Actor"] for entry in answer["Journal"]] == ["ann"]


def test_an_unknown_record_is_named():
    with pytest.raises(UnknownRecord, match="no record 9"):
        desk(Ledger()).record(9)
