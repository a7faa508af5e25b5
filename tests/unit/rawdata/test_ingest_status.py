from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from JUNODIRAC.Core.Domain.BlockStatus import Usage
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LedgerRecords import AlertRecord, OldestFile, RateRecord, ReceiverRecord, SweepRecord
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.IngestStatus import IngestStatus

NOW = datetime(2023, 3, 2, 12, 0, 30, tzinfo=UTC)
POLICIES = {name: SimpleNamespace(typeName=name, topic=f"juno.{name.lower()}") for name in ("Raw", "RTRaw")}
RECEIVER = ReceiverRecord("Raw", "RawReceiverAgent", "host", 1, NOW, NOW - timedelta(seconds=9), "the database", NOW)


class Ledger:
    def countStates(self, days):
        return {"Raw": {FileState.REGISTERED: Usage(10, 100), FileState.WAITING: Usage(1, 1)}}

    def countQuarantine(self):
        return {"Raw": {"BadName": 3}}

    def lastAnnouncements(self):
        return {"Raw": NOW}

    def oldestWaiting(self):
        return {"Raw": OldestFile("/juno/x", NOW - timedelta(seconds=70))}

    def oldestAnnounced(self, days):
        return {}

    def readRates(self, typeName, minutes):
        minute = NOW.replace(second=0)
        ages = {0: 60, 4: 240, 30: 3300} if typeName == "Raw" else {}
        return [RateRecord("Raw", minute - timedelta(minutes=age), 1, files, 0, 0, 0, 0, NOW) for age, files in ages.items()]

    def readReceivers(self, typeName=""):
        return [RECEIVER] if typeName == "Raw" else []

    def readSweeps(self, typeName=""):
        return [SweepRecord("Raw", f"/juno/{day}", NOW, 9, 8, day, 0) for day in (1, 2)] if typeName == "Raw" else []

    def readAlerts(self):
        return [AlertRecord(number, "p", name, "s", "r", NOW, NOW) for number, name in enumerate(("", "Raw", "Other"))]


def lag(policy):
    return {"Topic": policy.topic, "Group": "g", "Lag": 5, "Partitions": []}


def lookAt(lagOf=lag, policies=POLICIES):
    status = IngestStatus(Ledger(), lagOf, now=lambda: NOW)
    return status.look(policies, 7), status.unavailable


def test_each_type_has_all_that_is_known_of_it():
    answer, unavailable = lookAt()
    rtRaw, raw = answer["Types"]
    assert (raw["Lag"], raw["Topic"], raw["States"]) == (5, "juno.raw", {"Registered": 10, "Waiting": 1})
    assert raw["OldestWaiting"] == {"LFN": "/juno/x", "Since": "2023-03-02T11:59:20.000+00:00", "AgeSeconds": 70}
    assert raw["Quarantine"] == {"BadName": 3}
    assert (raw["Receivers"][0]["HeartbeatAgeSeconds"], raw["Receivers"][0]["Trouble"]) == (9, "the database")
    assert raw["LastSweep"]["Directory"] == "/juno/2"
    assert (rtRaw["States"], rtRaw["LastAnnouncement"], rtRaw["OldestWaiting"], rtRaw["LastSweep"]) == ({}, None, None, None)
    assert unavailable == []
    json.dumps(answer)


def test_rates_count_registered_files_over_five_minutes_and_an_hour():
    answer, _ = lookAt()
    assert answer["Types"][1]["FilesPerSecond"] == {"FiveMinutes": 1.0, "Hour": 1.0}


def test_without_kafka_the_rest_is_shown_and_kafka_is_named_once():
    asked = []

    def away(policy):
        asked.append(policy)
        raise TemporaryFailure("Kafka at k:9092", "no broker answers")

    answer, unavailable = lookAt(away)
    assert unavailable == ["Kafka at k:9092 is not available: no broker answers"]
    assert [each["Lag"] for each in answer["Types"]] == [None, None]
    assert len(asked) == 1
    assert answer["Types"][1]["States"]["Registered"] == 10


def test_problems_of_other_types_are_left_out_and_those_of_no_type_are_not():
    answer, _ = lookAt(policies={"Raw": POLICIES["Raw"]})
    assert [alert["Type"] for alert in answer["Alerts"]] == ["", "Raw"]
