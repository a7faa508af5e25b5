from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from JUNODIRAC.Core.Domain.FileHistory import (
    CatalogueRecord,
    Event,
    LedgerFile,
    QuarantineRecord,
    catalogueEvents,
    inOrder,
    journalEvents,
    ledgerEvents,
    quarantineEvents,
    taskEvents,
    transferEvents,
)
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.JournalEntry import JournalEntry
from JUNODIRAC.Core.Domain.Reason import Reason

T0 = datetime(2023, 3, 2, 12, tzinfo=UTC)
LFN = "/juno/raw/2023/0302/Daq.1.dat"


def record(offset: int = 8, reason: str = "Conflict", minutes: int = 5) -> QuarantineRecord:
    return QuarantineRecord(
        "Raw",
        "Daq.1.dat",
        reason,
        "another checksum",
        "juno.raw",
        0,
        offset,
        b"\xff{}",
        "",
        None,
        T0 + timedelta(minutes=minutes),
    )


def ledgerFile(**changes: object) -> LedgerFile:
    values = {
        "lfn": LFN,
        "typeName": "Raw",
        "block": "20230302",
        "state": FileState.REGISTERED,
        "sizeBytes": 10,
        "checksum": "0a1b2c3d",
        "eventCount": None,
        "fields": {},
        "topic": "juno.raw",
        "partition": 0,
        "offset": 4,
        "announcedTime": T0,
        "registeredTime": T0 + timedelta(minutes=1),
    }
    return LedgerFile(**{**values, **changes})


def test_a_refused_announcement_is_told_with_reason_detail_remedy_and_payload():
    (event,) = quarantineEvents([record()])
    assert Reason.CONFLICT.sentence in event.what
    assert Reason.CONFLICT.remedy in event.what
    assert "another checksum" in event.what
    assert event.toDict()["Payload"] == "\\xff{}"


def test_what_became_of_a_refused_announcement_is_told_with_who_did_it():
    closed = replace(record(), quarantineID=17, state="Waived", closedBy="ann", closedTime=T0 + timedelta(hours=1))
    assert [event.what.split(":")[0] for event in quarantineEvents([closed])] == [
        "quarantined announcement",
        "record 17 Waived by ann",
    ]


def test_what_people_did_with_a_file_is_told_with_their_reason():
    entries = [
        JournalEntry(T0, "ann", "juno_prod", "waiveQuarantined", f"{LFN} quarantine 17", "lost"),
        JournalEntry(T0, "bob", "juno_prod", "announceForgotten", LFN, "forgotten"),
    ]
    assert [event.what for event in journalEvents(entries, LFN)] == [
        "waiveQuarantined quarantine 17 by ann of juno_prod: lost",
        "announceForgotten by bob of juno_prod: forgotten",
    ]


def test_a_file_that_waited_for_its_storage_says_since_when():
    waited = ledgerEvents(ledgerFile(waitingTime=T0 + timedelta(seconds=5)))
    assert [event.time for event in waited if "waits" in event.what] == [T0 + timedelta(seconds=5)]


def test_a_reason_of_another_version_is_told_as_it_is():
    assert "FromTheFuture: another checksum" in quarantineEvents([record(reason="FromTheFuture")])[0].what


def test_ledger_events_are_announced_registered_and_every_quarantine():
    events = inOrder(ledgerEvents(ledgerFile(quarantine=(record(),))))
    assert [event.what.split()[0] for event in events] == ["announced", "registered", "quarantined"]
    assert "juno.raw partition 0 offset 4" in events[0].what


def test_a_file_known_only_from_a_refused_announcement_was_not_announced_as_well():
    only = ledgerFile(
        state=FileState.QUARANTINED, offset=8, registeredTime=None, announcedTime=T0, quarantine=(record(minutes=0),)
    )
    assert [event.what.split()[0] for event in ledgerEvents(only)] == ["quarantined"]


def test_an_announced_file_that_was_refused_later_shows_both():
    both = ledgerFile(state=FileState.QUARANTINED, offset=8, registeredTime=None, quarantine=(record(),))
    assert [event.what.split()[0].strip(":") for event in inOrder(ledgerEvents(both))] == ["announced", "quarantined"]


def test_events_stand_in_time_order_and_those_without_a_time_at_the_end():
    events = [Event(None, "catalogue", "replica"), Event(T0 + timedelta(1), "b", "later"), Event(T0, "a", "first")]
    assert [event.what for event in inOrder(events)] == ["first", "later", "replica"]


def test_every_replica_of_the_catalogue_is_named():
    events = catalogueEvents(
        CatalogueRecord(10, "0a1b2c3d", "AprioriGood", T0, {"JINR-EOS": "root://j", "CNAF-STORM": "root://c"})
    )
    assert [event.fields["SE"] for event in events[1:]] == ["CNAF-STORM", "JINR-EOS"]


def test_a_file_that_is_missing_in_a_transfer_of_its_block_is_said():
    rows = [{"TransformationID": 7, "Status": "Assigned", "TaskID": 3, "ErrorCount": 2, "LastUpdate": datetime(2023, 3, 2, 13)}]  # noqa: DTZ001
    events = transferEvents({"JINR-EOS": 7, "CNAF-STORM": 8}, rows, LFN)
    assert "not attached to transformation 8 to CNAF-STORM" in events[0].what
    assert events[-1].fields == {"SE": "JINR-EOS", "TransformationID": 7, "Status": "Assigned", "TaskID": 3, "ErrorCount": 2}
    assert events[-1].time == datetime(2023, 3, 2, 13, tzinfo=UTC)


def test_a_task_is_told_with_its_request():
    task = {"TransformationID": 7, "TaskID": 3, "ExternalStatus": "Waiting", "ExternalID": "41", "TargetSE": "JINR-EOS"}
    assert taskEvents([task])[-1].what.endswith("Waiting, request 41")
