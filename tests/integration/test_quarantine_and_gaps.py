"""What people do with refused announcements and missing files, by command, on the real system."""

from __future__ import annotations

import json
import os
import subprocess
import time
import zlib
from pathlib import Path

import pytest
from junotestbed.observe import committedOffsets, replicasOf, waitUntil
from junotestbed.traffic import SOURCE, MadeFile, announce, copy_to, file_name, make_files

pytestmark = pytest.mark.integration

WHY = ["--reason", "trying it out", "--yes"]


def run(testbed, user: str, *command: str) -> subprocess.CompletedProcess:
    environment = testbed.settings.environment(testbed.server.proxy(user))
    return subprocess.run(list(command), env=environment, capture_output=True, text=True, timeout=300)


def quarantine(testbed, *arguments: str, user: str = "prod") -> subprocess.CompletedProcess:
    return run(testbed, user, "dirac-juno-quarantine", *arguments)


def listed(testbed, *arguments: str) -> list[dict]:
    done = quarantine(testbed, "list", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["Records"]


def announceFiles(testbed, files: list[MadeFile], **changes) -> None:
    announce(testbed.settings, "juno.raw", [(file.block, file.announcement(**changes)) for file in files])


def recordOf(testbed, name: str) -> dict:
    """The one open record of this file name, when it is there."""
    waitUntil(f"{name} is in quarantine", lambda: bool(listed(testbed, "--file", name)), 60)
    (record,) = listed(testbed, "--file", name)
    return record


def stateOf(database, name: str) -> list[str]:
    return [state for (state,) in database.rows("RawDataDB", "SELECT State FROM Files WHERE FileName = %s", name)]


def messageAt(testbed, topic: str, partition: int, offset: int):
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": testbed.settings.kafka_brokers, "group.id": "test", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, partition, offset)])
        message = consumer.poll(30)
        assert message is not None
        assert (message.error(), message.offset()) == (None, offset)
        return message
    finally:
        consumer.close()


def storedPath(testbed, file: MadeFile) -> Path:
    return testbed.settings.storage / SOURCE.se / "data" / file.path.strip("/")


def makeOld(testbed, *paths: Path) -> None:
    """So old that an announcement should have come."""
    for path in paths:
        os.utime(path, (time.time() - 86400,) * 2)


def fingerprint(testbed, database) -> tuple:
    """Everything that a change by hand would touch."""
    return (
        database.rows("RawDataDB", "SELECT QuarantineID, State, ClosedBy FROM Quarantine ORDER BY 1"),
        database.rows("RawDataDB", "SELECT COUNT(*) FROM Journal"),
        database.rows("RawDataDB", "SELECT FileID, State FROM Files ORDER BY 1"),
        {partition: end for partition, (_, end) in committedOffsets(testbed, "juno.raw", "junodirac-Raw").items()},
    )


def test_a_refused_message_is_listed_shown_and_written_byte_for_byte(testbed, freshDay, database, tmp_path):
    payload = b'{"FileName": "\xff\xfe\x1b[2J' + os.urandom(8)
    announce(testbed.settings, "juno.raw", [(freshDay, payload)])

    def ids() -> list[int]:
        return [
            number for (number,) in database.rows("RawDataDB", "SELECT QuarantineID FROM Quarantine WHERE Payload = %s", payload)
        ]

    waitUntil("it is in quarantine", lambda: bool(ids()), 60)
    (number,) = ids()
    assert number in [record["ID"] for record in listed(testbed, "--type", "Raw", "--code", "Undecodable", "--since", "1h")]
    target = tmp_path / "message"
    shown = quarantine(testbed, "show", str(number), "--output", str(target), user="shifter")
    assert target.read_bytes() == payload
    assert "\x1b" not in shown.stdout
    assert "22 ff fe" in shown.stdout


def test_a_message_is_replayed_byte_for_byte_after_what_was_wrong_was_put_right(testbed, freshDay, database):
    (file,) = make_files(testbed.settings, "Raw", freshDay, 1, 3000, run=9101)
    content = os.urandom(4000)
    announceFiles(testbed, [file], FileSize=len(content), Checksum=f"{zlib.adler32(content):08x}")
    record = recordOf(testbed, file.file_name)
    assert record["Code"] == "SizeMismatch"
    original = messageAt(testbed, record["Topic"], record["Partition"], record["Offset"])

    local = testbed.settings.run / "made" / file.file_name
    local.write_bytes(content)
    copy_to(testbed.settings, local, SOURCE, file.lfn)
    local.unlink()
    done = quarantine(testbed, "replay", str(record["ID"]), *WHY)
    assert done.returncode == 0, done.stderr
    waitUntil("it is registered", lambda: stateOf(database, file.file_name) == ["Registered"], 60)

    query = "SELECT KafkaPartition, KafkaOffset FROM Files WHERE FileName = %s"
    ((partition, offset),) = database.rows("RawDataDB", query, file.file_name)
    replayed = messageAt(testbed, "juno.raw", partition, offset)
    assert (replayed.value(), replayed.key()) == (original.value(), original.key())
    headers = dict(replayed.headers())
    assert headers["replay-of"] == f"{record['Topic']}/{record['Partition']}/{record['Offset']}".encode()
    assert headers["replayed-by"] == b"prod"
    (after,) = listed(testbed, str(record["ID"]))
    assert (after["State"], after["ClosedBy"]) == ("Retried", "prod")

    again = quarantine(testbed, "replay", str(record["ID"]), *WHY)
    assert again.returncode == 1
    assert "Retried already" in again.stderr
    history = run(testbed, "prod", "dirac-juno-file-history", file.lfn).stdout
    assert f"replayQuarantined quarantine {record['ID']} by prod of juno_prod: trying it out" in history


def test_a_waived_file_is_named_in_its_block_and_a_dropped_one_is_counted(testbed, freshDay, database):
    waived, dropped = make_files(testbed.settings, "Raw", freshDay, 2, 1000, run=9102)
    announceFiles(testbed, [waived, dropped], FileSize=999)
    numbers = {file.file_name: recordOf(testbed, file.file_name)["ID"] for file in (waived, dropped)}
    assert quarantine(testbed, "waive", str(numbers[waived.file_name]), *WHY).returncode == 0
    assert quarantine(testbed, "drop", "--file", dropped.file_name, *WHY).returncode == 0
    assert stateOf(database, waived.file_name) == ["Waived"]
    assert stateOf(database, dropped.file_name) == ["Dropped"]
    answer = json.loads(run(testbed, "shifter", "dirac-juno-block-status", freshDay, "--json").stdout)
    (block,) = answer["Blocks"]
    assert (block["Waived"], block["Dropped"], block["Quarantined"]) == (1, 1, 0)
    (named,) = block["WaivedFiles"]
    assert (named["FileName"], named["Code"], named["ClosedBy"]) == (waived.file_name, "SizeMismatch", "prod")
    assert named["Why"] == "trying it out"
    assert waived.file_name in run(testbed, "shifter", "dirac-juno-block-status", freshDay).stdout
    objects = database.rows("RawDataDB", "SELECT Action, Object FROM Journal ORDER BY JournalID DESC LIMIT 2")
    assert objects == [
        ("dropQuarantined", f"{dropped.lfn} quarantine {numbers[dropped.file_name]}"),
        ("waiveQuarantined", f"{waived.lfn} quarantine {numbers[waived.file_name]}"),
    ]


def test_a_change_without_yes_or_reason_changes_nothing(testbed, freshDay, database):
    (file,) = make_files(testbed.settings, "Raw", freshDay, 1, 1000, run=9103)
    announceFiles(testbed, [file], FileSize=999)
    number = str(recordOf(testbed, file.file_name)["ID"])
    before = fingerprint(testbed, database)
    for verb in ("replay", "waive", "drop"):
        assert quarantine(testbed, verb, number, "--yes").returncode == 1
        assert quarantine(testbed, verb, number, "--reason", "no answer").returncode == 1
    assert fingerprint(testbed, database) == before


@pytest.mark.parametrize("user", ["shifter", "stranger", "outsider"])
def test_who_is_not_a_production_manager_changes_nothing(testbed, freshDay, database, user):
    quarantined, forgotten = make_files(testbed.settings, "Raw", freshDay, 2, 1000, run=9104)
    announceFiles(testbed, [quarantined], FileSize=999)
    number = recordOf(testbed, quarantined.file_name)["ID"]
    makeOld(testbed, storedPath(testbed, forgotten))
    before = fingerprint(testbed, database)
    calls = [
        f"replayQuarantined([{number}], 'try', False)",
        f"waiveQuarantined([{number}], 'try')",
        f"dropQuarantined([{number}], 'try')",
        f"announceForgotten('Raw', ['{forgotten.lfn}'], 'try')",
    ]
    for verb in ("replay", "waive", "drop"):
        done = quarantine(testbed, verb, str(number), *WHY, user=user)
        assert done.returncode != 0
        assert "authori" in done.stderr.lower()
    done = run(testbed, user, "dirac-juno-gaps", "--block", freshDay, "--type", "Raw", "--announce", *WHY)
    assert done.returncode not in (0, 2)
    assert "authori" in done.stderr.lower()
    from DIRAC.ConfigurationSystem.Client.PathFinder import getServiceURL

    for call in calls:  # and past the commands
        code = (
            "import DIRAC; DIRAC.initialize(require_auth=False)\n"
            "from DIRAC.Core.DISET.RPCClient import RPCClient\n"
            f"result = RPCClient('{getServiceURL('RawData/RawDataManager')}').{call}\nprint(result['OK'], result.get('Message'))"
        )
        done = run(testbed, user, "python", "-c", code)
        assert "False Unauthorized query" in done.stdout, done.stdout + done.stderr
    assert fingerprint(testbed, database) == before


def test_every_kind_of_missing_file_is_found_and_forgotten_ones_are_announced(testbed, freshDay, database):
    number = int(freshDay)  # a run of its own each time: its gaps are looked for in all blocks
    files = make_files(testbed.settings, "Raw", freshDay, 6, 1000, run=number)
    lost, forgotten, gone = files[1], files[2], files[4]
    announced = [file for file in files if file not in (lost, forgotten)]
    storedPath(testbed, lost).unlink()
    announceFiles(testbed, announced)
    waitUntil("they are registered", lambda: len(replicasOf(announced)) == len(announced), 60)
    storedPath(testbed, gone).unlink()
    foreign = storedPath(testbed, forgotten).with_name("core.4711")
    foreign.write_bytes(b"x" * 10)
    young = storedPath(testbed, forgotten).with_name(file_name("Raw", number, 99, freshDay))
    young.write_bytes(b"x" * 10)
    makeOld(testbed, storedPath(testbed, forgotten), foreign)

    command = ["dirac-juno-gaps", "--block", freshDay, "--type", "Raw"]
    found = run(testbed, "shifter", *command, "--json")
    assert found.returncode == 2, found.stderr
    answer = json.loads(found.stdout)
    (gap,) = [gap for gap in answer["Gaps"] if gap["RunNumber"] == number]
    assert gap["Missing"] == [[2, 3]]
    (directory,) = answer["Directories"]
    names = {key: [file["FileName"] for file in directory[key]] for key in ("NeverAnnounced", "NotOnStorage", "BadNames")}
    assert names == {"NeverAnnounced": [forgotten.file_name], "NotOnStorage": [gone.file_name], "BadNames": ["core.4711"]}
    assert f"/{freshDay[4:]}" in found.stderr

    done = run(testbed, "prod", *command, "--announce", *WHY)
    assert done.returncode == 2, done.stderr
    assert "announced 1 file(s)" in done.stdout
    waitUntil("it is registered", lambda: stateOf(database, forgotten.file_name) == ["Registered"], 60)
    query = "SELECT SizeBytes, Checksum FROM Files WHERE FileName = %s"
    assert database.rows("RawDataDB", query, forgotten.file_name) == [(forgotten.size, forgotten.checksum)]
    left = json.loads(run(testbed, "shifter", *command, "--json").stdout)
    assert [gap["Missing"] for gap in left["Gaps"] if gap["RunNumber"] == number] == [[[2, 2]]]
    assert left["Directories"][0]["NeverAnnounced"] == []
    assert "announceForgotten by prod" in run(testbed, "prod", "dirac-juno-file-history", forgotten.lfn).stdout
    repeated = run(testbed, "prod", *command, "--announce", *WHY)
    assert "announced 0 file(s)" in repeated.stdout


def test_a_block_of_which_all_is_there_has_no_gaps(testbed, freshDay):
    files = make_files(testbed.settings, "RTRaw", freshDay, 3, 1000, run=int(freshDay))
    announce(testbed.settings, "juno.rtraw", [(file.block, file.announcement()) for file in files])
    waitUntil("they are registered", lambda: len(replicasOf(files)) == 3, 60)
    done = run(testbed, "shifter", "dirac-juno-gaps", "--block", freshDay, "--type", "RTRaw")
    assert done.returncode == 0, done.stdout + done.stderr
    assert run(testbed, "shifter", "dirac-juno-gaps", "--run", freshDay, "--no-storage").returncode == 0
    unknown = run(testbed, "shifter", "dirac-juno-gaps", "--run", "987654")
    assert unknown.returncode == 1
    assert "987654" in unknown.stderr


def test_the_ingest_status_tells_of_each_type_and_of_what_waits_in_kafka(testbed, freshDay):
    def status() -> dict[str, dict]:
        done = run(testbed, "shifter", "dirac-juno-ingest-status", "--json")
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["Unavailable"] == []
        return {each["Type"]: each for each in answer["Types"]}

    files = make_files(testbed.settings, "Raw", freshDay, 4, 1000, run=9107)
    announceFiles(testbed, files)
    waitUntil("they are registered", lambda: len(replicasOf(files)) == 4, 60)
    waitUntil("no lag", lambda: status()["Raw"]["Lag"] == 0, 60)
    raw = status()["Raw"]
    assert raw["States"]["Registered"] >= 4
    assert raw["FilesPerSecond"]["FiveMinutes"] > 0
    assert raw["LastAnnouncement"]
    assert [receiver["Instance"] for receiver in raw["Receivers"]]
    assert raw["Receivers"][0]["PID"] > 0
    testbed.dirac.control("down", "RawData_RawReceiverAgent", wait=90)
    try:
        more = make_files(testbed.settings, "Raw", freshDay, 3, 1000, run=9108)
        announceFiles(testbed, more)
        assert status()["Raw"]["Lag"] == 3
        assert sum(partition["Lag"] for partition in status()["Raw"]["Partitions"]) == 3
        assert status()["RTRaw"]["Lag"] == 0
    finally:
        testbed.dirac.control("up", "RawData_RawReceiverAgent")
    waitUntil("no lag", lambda: status()["Raw"]["Lag"] == 0, 60)
