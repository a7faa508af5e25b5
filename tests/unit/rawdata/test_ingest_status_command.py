from __future__ import annotations

import json

from test_commands import Command

from JUNODIRAC.RawDataSystem.scripts import dirac_juno_ingest_status as module

RECEIVER = {
    "Instance": "RawReceiverAgent",
    "Host": "dirac01",
    "PID": 4711,
    "HeartbeatTime": "2023-03-02T12:00:00.000+00:00",
    "HeartbeatAgeSeconds": 5,
    "Trouble": "",
    "TroubleSince": None,
}
RAW = {
    "Type": "Raw",
    "Topic": "juno.raw",
    "Group": "junodirac-Raw",
    "Lag": 120,
    "Partitions": [
        {"Partition": 0, "Committed": 5, "End": 125, "Lag": 120},
        {"Partition": 1, "Committed": 9, "End": 9, "Lag": 0},
    ],
    "FilesPerSecond": {"FiveMinutes": 1.25, "Hour": 0.5},
    "LastAnnouncement": "2023-03-02T12:00:00.000+00:00",
    "States": {"Registered": 1000, "Waiting": 2, "Quarantined": 3},
    "OldestWaiting": {"LFN": "/juno/raw/x.dat", "AgeSeconds": 400},
    "OldestAnnounced": None,
    "Quarantine": {"BadName": 3},
    "Receivers": [RECEIVER],
    "LastSweep": {
        "Time": "2023-03-02T11:00:00.000+00:00",
        "Directory": "/juno/raw/2023/0302",
        "NeverAnnounced": 1,
        "NotOnStorage": 0,
    },
}
ALERT = {"Since": "2023-03-02T11:30:00.000+00:00", "Sentence": "many announcements are refused", "Remedy": "look at them"}
ANSWER = {"Types": [RAW], "Alerts": [ALERT], "Unavailable": []}


def textOf(answer) -> str:
    command = Command([answer])
    assert module.showStatus(command) == 0
    return command.out.getvalue()


def test_a_type_shows_lag_rate_last_announcement_states_waiting_quarantine_receivers_and_sweep():
    text = textOf(ANSWER)
    for value in (
        "120",
        "1.25",
        "0.50",
        "2023-03-02 12:00:00",
        "1000",
        "2 partitions, lag of 0: 120",
        "waits longest for the storage to show it, for 6 m 40 s: /juno/raw/x.dat",
        "quarantine, open: BadName 3",
        "RawReceiverAgent on dirac01, process 4711: last sign of life 5 s ago",
        "last sweep 2023-03-02 11:00:00 of /juno/raw/2023/0302: 1 never announced, 0 not on the storage",
        "problem since 2023-03-02 11:30:00: many announcements are refused; look at them",
    ):
        assert value in text


def test_what_could_not_be_asked_is_a_question_mark_and_named_and_the_rest_is_shown():
    away = {**ANSWER, "Types": [{**RAW, "Lag": None, "Partitions": []}], "Unavailable": ["Kafka at k:9092 is not available"]}
    text = textOf(away)
    assert "?" in text
    assert "not available: Kafka at k:9092" in text
    assert "1000" in text


def test_a_receiver_that_waits_or_never_was_is_said():
    trouble = {**RECEIVER, "Trouble": "the database is away", "TroubleSince": "2023-03-02T11:59:00.000+00:00"}
    text = textOf({**ANSWER, "Types": [{**RAW, "Receivers": [trouble]}, {**RAW, "Type": "RTRaw", "Receivers": []}], "Alerts": []})
    assert "since 2023-03-02 11:59:00 it waits for: the database is away" in text
    assert "RTRaw: no receiver has ever shown a sign of life" in text
    assert "no problem is reported" in text


def test_a_receiver_that_is_late_is_marked():
    late = {**RECEIVER, "HeartbeatAgeSeconds": 1000}
    assert "\033[31mreceiver" in module._receiverText(late, colour=True).replace("Raw: ", "")
    assert "\033[31m" not in module._receiverText(RECEIVER, colour=True)


def test_json_is_the_answer_and_the_options_reach_the_service():
    command = Command([ANSWER], {"json": "", "type": "Raw", "days": "3"})
    module.showStatus(command)
    assert json.loads(command.out.getvalue()) == ANSWER
    assert command.calls == [("getIngestStatus", "Raw", 3)]
