"""A block on the real system goes from its first file to Done without a hand, and back to work for a late one."""

from __future__ import annotations

import json
import subprocess

import pytest
from junotestbed.demo import block_status
from junotestbed.faults import killed
from junotestbed.observe import DESTINATIONS, replicasOf, unpack, waitUntil
from junotestbed.traffic import announce, make_files

from JUNODIRAC.Core.Domain.BlockState import TRANSITIONS, BlockState

pytestmark = pytest.mark.integration

LIFE = [("Known", "Open"), ("Open", "Closed"), ("Closed", "Replicated"), ("Replicated", "Validated"), ("Validated", "Done")]
AGENT = "RawData_BlockAgent"


def blockOf(testbed, day: str) -> dict:
    return next((block for block in block_status(testbed.settings) if (block["Type"], block["Block"]) == ("Raw", day)), {})


def isIn(testbed, day: str, state: str) -> bool:
    block = blockOf(testbed, day)
    return bool(block) and {block["State"], *(site["State"] for site in block["Sites"])} == {state}


def announceFiles(testbed, files) -> None:
    announce(testbed.settings, "juno.raw", [(file.block, file.announcement()) for file in files])


def announceEnd(testbed, day: str, count: int) -> None:
    announce(testbed.settings, "juno.raw", [(day, {"EndOfBlock": day, "FileCount": count})])


def transformations(database, day: str) -> dict[int, str]:
    sql = "SELECT TransformationID, Status FROM Transformations WHERE TransformationName LIKE %s"
    return dict(database.rows("TransformationDB", sql, f"Commissioning-{day}-%"))


def eventsOf(database, day: str, se: str = "") -> list[tuple[str, str, str]]:
    sql = (
        "SELECT e.FromState, e.ToState, e.Actor FROM BlockEvents e JOIN Blocks b USING (BlockID)"
        " WHERE b.Block = %s AND e.SE = %s ORDER BY e.EventID"
    )
    return database.rows("RawDataDB", sql, day, se)


def block(testbed, *words: str) -> subprocess.CompletedProcess:
    environment = testbed.settings.environment(testbed.settings.proxies / "prod.pem")
    command = ["dirac-juno-block", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_a_block_ends_done_without_a_hand_though_its_agent_is_killed_and_a_late_file_reopens_its_archived_transfers(
    testbed, freshDay, database
):
    from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

    files = make_files(testbed.settings, "Raw", freshDay, 2, 20_000, run=9101)
    announceFiles(testbed, files)
    waitUntil("transformations", lambda: set(transformations(database, freshDay).values()) == {"Active"}, 60)
    for transformationID in transformations(database, freshDay):
        # from now on nothing but a flush sends out a group that is not full
        for option in ("MaxWaitSeconds", "SettleSeconds"):
            unpack(TransformationClient().setTransformationParameter(transformationID, option, "1000000"))
    tail = make_files(testbed.settings, "Raw", freshDay, 3, 20_000, run=9101, first=3)
    announceFiles(testbed, tail)
    waitUntil("the tail is registered", lambda: len(replicasOf(tail)) == 3, 60)
    announceEnd(testbed, freshDay, 5)
    waitUntil("Closed", lambda: blockOf(testbed, freshDay)["State"] != "Open", 60)
    killed(testbed.dirac, AGENT)
    waitUntil("Done", lambda: isIn(testbed, freshDay, "Done"), 240)

    assert [event[:2] for event in eventsOf(database, freshDay)] == LIFE
    for se in DESTINATIONS:
        assert [event[:2] for event in eventsOf(database, freshDay, se)] == LIFE[1:]
    found = blockOf(testbed, freshDay)
    assert (found["ClosedBy"], found["ExpectedFiles"], found["Files"], found["Complete"]) == ("EndOfBlock", 5, 5, True)
    waitUntil("Completed", lambda: set(transformations(database, freshDay).values()) == {"Completed"}, 60)

    # a late file: the transformations were archived by DIRAC meanwhile, with all that they knew of files
    database.rows(
        "TransformationDB",
        "UPDATE Transformations SET LastUpdate = LastUpdate - INTERVAL 2 DAY WHERE TransformationName LIKE %s",
        f"Commissioning-{freshDay}-%",
    )
    for transformationID in transformations(database, freshDay):
        for option in ("MaxWaitSeconds", "SettleSeconds"):
            unpack(TransformationClient().deleteTransformationParameter(transformationID, option))
    waitUntil("Archived", lambda: set(transformations(database, freshDay).values()) == {"Archived"}, 120)
    assert isIn(testbed, freshDay, "Done")
    assert blockOf(testbed, freshDay)["Complete"]
    late = make_files(testbed.settings, "Raw", freshDay, 1, 20_000, run=9101, first=6)
    announceFiles(testbed, late)
    waitUntil("back to work", lambda: ("Done", "Closed") in {event[:2] for event in eventsOf(database, freshDay)}, 60)
    # six files where five were declared: a person has to say which number is right
    waitUntil("Problem", lambda: blockOf(testbed, freshDay)["State"] == "Problem", 240)
    assert blockOf(testbed, freshDay)["Problem"].startswith("SurplusFiles: 5 files were declared and 6 announced")
    assert len(replicasOf(late)[late[0].lfn]) == 1 + len(DESTINATIONS)
    done = block(testbed, "close", freshDay, "--type", "Raw", "--expect", "6", "--reason", "one was forgotten", "--yes")
    assert done.returncode == 0, done.stderr
    waitUntil("Done again", lambda: isIn(testbed, freshDay, "Done"), 120)
    for old, new, _ in eventsOf(database, freshDay):
        assert BlockState(new) in TRANSITIONS[BlockState(old)]


def test_a_person_closes_and_reopens_a_block_with_a_reason_in_the_journal_and_what_makes_no_sense_is_refused(
    testbed, freshDay, database
):
    files = make_files(testbed.settings, "Raw", freshDay, 2, 20_000, run=9102)
    announceFiles(testbed, files)
    waitUntil("registered", lambda: len(replicasOf(files)) == 2 and blockOf(testbed, freshDay).get("State") == "Open", 60)
    options = ("--type", "Raw", "--reason", "the run was ended", "--json")

    refused = block(testbed, "close", freshDay, *options)
    assert refused.returncode == 1
    assert "it is closed, its tail is sent out" in refused.stderr
    assert "nothing was changed" in refused.stderr
    assert blockOf(testbed, freshDay)["State"] == "Open"

    closed = block(testbed, "close", freshDay, *options, "--yes")
    assert json.loads(closed.stdout)["OldState"] == "Open", closed.stderr
    assert blockOf(testbed, freshDay)["ClosedBy"] == "prod"
    again = block(testbed, "close", freshDay, *options, "--yes")
    assert again.returncode == 1
    assert "is not open" in again.stderr

    reopened = block(testbed, "reopen", freshDay, *options, "--yes")
    assert json.loads(reopened.stdout)["State"] == "Open", reopened.stderr
    assert "is Open already" in block(testbed, "reopen", freshDay, *options, "--yes").stderr
    assert "ERROR" in block(testbed, "reopen", "20990101", *options, "--yes").stderr
    journal = database.rows("RawDataDB", "SELECT Action, Actor, Reason FROM Journal WHERE Object = %s", f"Raw/{freshDay}")
    assert journal == [("closeBlock", "prod", "the run was ended"), ("reopenBlock", "prod", "the run was ended")]
    assert isIn(testbed, freshDay, "Open") or waitUntil("sites Open", lambda: isIn(testbed, freshDay, "Open"), 60)
    assert ("Closed", "Open", "prod") in eventsOf(database, freshDay)
