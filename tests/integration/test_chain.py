"""The whole path on the real system: announcement, catalogue, copies, and what happens when things go wrong."""

from __future__ import annotations

import json
import subprocess

import pytest
from junotestbed.demo import block_status
from junotestbed.observe import DESTINATIONS, allConsumed, committedOffsets, isComplete, replicasOf, sites, unpack, waitUntil
from junotestbed.settings import SITES
from junotestbed.traffic import MadeFile, announce, make_files, site_of, stored_checksum

pytestmark = pytest.mark.integration


def announceFiles(testbed, files: list[MadeFile], topic: str = "juno.raw", **changes) -> None:
    announce(testbed.settings, topic, [(file.block, file.announcement(**changes)) for file in files])


def assertEverywhere(testbed, files: list[MadeFile]) -> None:
    """Every file has a replica at every SE, and each storage computes the checksum of the source."""
    assert replicasOf(files) == {file.lfn: {site.se for site in SITES} for file in files}
    for file in files:
        for site in SITES:
            assert stored_checksum(testbed.settings, site, file.lfn) == file.checksum, f"{file.lfn} at {site.se}"


def test_an_announced_file_gets_its_three_replicas_within_three_minutes_and_is_owned_by_the_production_manager(
    testbed, freshDay, database
):
    files = make_files(testbed.settings, "Raw", freshDay, 1, 100_000, run=9001)
    announceFiles(testbed, files)
    seconds = waitUntil("three replicas registered", lambda: len(replicasOf(files).get(files[0].lfn, ())) == 4, 180)
    print(f"announcement to third replica: {seconds:.0f} s")
    waitUntil("the transformations' files Processed", lambda: isComplete(testbed, "Raw", freshDay, 1), 120)
    assertEverywhere(testbed, files)
    names = {f"Commissioning-{freshDay}-{se}" for se in DESTINATIONS}
    rows = database.rows(
        "TransformationDB",
        "SELECT TransformationName, Author, AuthorGroup, Type, Plugin FROM Transformations WHERE TransformationName LIKE %s",
        f"%-{freshDay}-%",
    )
    assert {row[0] for row in rows} == names
    assert {row[1:] for row in rows} == {("prod", "juno_prod", "Replication", "BlockTransfer")}
    waitUntil("offsets committed", lambda: allConsumed(testbed), 60)


def test_a_block_has_its_metadata_on_the_directory_and_files_are_found_by_it(testbed, freshDay):
    from DIRAC.Resources.Catalog.FileCatalog import FileCatalog

    files = make_files(testbed.settings, "RTRaw", freshDay, 3, 1000, run=9002)
    # without FileSize: the size comes from the storage; with the prefix and in capitals the checksum is the same
    for file in files:
        changes = {"FileSize": None, "Checksum": f"adler32:{file.checksum.upper()}", "Unknown": {"kept": True}}
        announceFiles(testbed, [file], "juno.rtraw", **changes)
    catalogue = FileCatalog()
    waitUntil("files registered", lambda: len(replicasOf(files)) == 3, 60)
    found = unpack(catalogue.findFilesByMetadata({"Block": freshDay, "Type": "RTRaw"}))
    assert set(found) == {file.lfn for file in files}
    metadata = unpack(catalogue.getFileMetadata([file.lfn for file in files]))["Successful"]
    assert {(row["Size"], row["Checksum"]) for row in metadata.values()} == {(file.size, file.checksum) for file in files}
    waitUntil("complete", lambda: isComplete(testbed, "RTRaw", freshDay, 3), 240)
    assertEverywhere(testbed, files)


def test_a_block_that_grows_while_it_is_transferred_ends_complete_with_each_file_in_one_task(testbed, freshDay, database):
    files: list[MadeFile] = []
    for portion in range(4):
        more = make_files(testbed.settings, "Raw", freshDay, 6, 20_000, run=9003, first=1 + 6 * portion)
        announceFiles(testbed, more)
        files += more
        waitUntil("portion registered", lambda made=tuple(files): len(replicasOf(made)) == len(made), 60)
    waitUntil("complete", lambda: isComplete(testbed, "Raw", freshDay, 24), 300)
    assertEverywhere(testbed, files)
    tasks = database.rows(
        "TransformationDB",
        "SELECT tf.TransformationID, tf.FileID, tf.TaskID FROM TransformationFiles tf"
        " JOIN Transformations t USING (TransformationID) WHERE t.TransformationName LIKE %s",
        f"Commissioning-{freshDay}-%",
    )
    assert len(tasks) == len({row[:2] for row in tasks}) == 3 * 24
    copies = database.rows(
        "TransformationDB",
        "SELECT COUNT(*) FROM TransformationFileTasks ft JOIN Transformations t USING (TransformationID)"
        " WHERE t.TransformationName LIKE %s",
        f"Commissioning-{freshDay}-%",
    )
    assert copies == [(3 * 24,)], "a file was in more than one task of a transfer"


def test_replaying_a_topic_from_its_beginning_changes_nothing(testbed, freshDay, database):
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
    from confluent_kafka.admin import AdminClient

    files = make_files(testbed.settings, "Raw", freshDay, 5, 1000, run=9004)
    announceFiles(testbed, files)
    announceFiles(testbed, files[:1], Checksum="00000001")
    waitUntil("complete", lambda: isComplete(testbed, "Raw", freshDay, 5), 240)
    waitUntil("offsets committed", lambda: allConsumed(testbed), 60)
    before = database.custody()
    assert any(row[3] == "Conflict" for row in before["quarantine"])
    testbed.dirac.control("down", "RawData_RawReceiverAgent", wait=90)
    admin = AdminClient({"bootstrap.servers": testbed.settings.kafka_brokers})
    start = [TopicPartition("juno.raw", number, 0) for number in committedOffsets(testbed, "juno.raw", "junodirac-Raw")]
    for future in admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions("junodirac-Raw", start)]).values():
        future.result(30)
    assert not allConsumed(testbed)
    testbed.dirac.control("up", "RawData_RawReceiverAgent")
    waitUntil("the topic was read again", lambda: allConsumed(testbed), 120)
    after = database.custody()
    for table, rows in before.items():
        assert after[table] == rows, table


def test_bad_announcements_are_quarantined_with_their_bytes_and_hold_up_nobody(testbed, freshDay, database):
    good, empty, conflicting = make_files(testbed.settings, "Raw", freshDay, 3, 1000, run=9005)
    bad = [
        b"\xff\xfe not JSON",
        b'{"FileName": "',
        b"[1, 2, 3]",
        json.dumps(good.announcement(Checksum="xyz")).encode(),
        json.dumps(good.announcement(FileName="wrong.name")).encode(),
        json.dumps(good.announcement(FilePath="/elsewhere/" + good.file_name)).encode(),
        json.dumps(empty.announcement(FileSize=0)).encode(),
    ]
    announce(testbed.settings, "juno.raw", [(freshDay, payload) for payload in bad])
    announceFiles(testbed, [good, conflicting])
    announceFiles(testbed, [conflicting], Checksum="12345678")
    waitUntil("the good ones are registered", lambda: len(replicasOf([good, conflicting])) == 2, 60)
    waitUntil("everything is consumed", lambda: allConsumed(testbed), 60)
    payloads = {bytes(row[0]): row[1] for row in database.rows("RawDataDB", "SELECT Payload, Reason FROM Quarantine")}
    for payload in bad:
        assert payload in payloads
    assert [payloads[payload] for payload in bad] == [
        "Undecodable",
        "Undecodable",
        "Undecodable",
        "BadChecksum",
        "BadName",
        "BadPath",
        "ZeroSize",
    ]
    assert payloads[json.dumps(conflicting.announcement(Checksum="12345678")).encode()] == "Conflict"
    assert empty.lfn not in replicasOf([empty])


def test_a_file_that_is_not_visible_yet_waits_holds_up_nobody_and_is_registered_when_it_appears(testbed, freshDay, database):
    from junotestbed.traffic import SOURCE

    late, other = make_files(testbed.settings, "Raw", freshDay, 2, 5000, run=9006)
    onDisk = testbed.settings.storage / SOURCE.se / "data" / late.path.lstrip("/")
    hidden = onDisk.with_suffix(".hidden")
    onDisk.rename(hidden)
    announceFiles(testbed, [late], FileSize=None)
    announceFiles(testbed, [other])
    waitUntil("the other one is registered", lambda: len(replicasOf([other])) == 1, 60)
    waitUntil("all is consumed", lambda: allConsumed(testbed), 60)
    state = "SELECT State FROM Files WHERE FileName = %s"
    assert database.rows("RawDataDB", state, late.file_name) == [("Waiting",)]
    assert not replicasOf([late])
    hidden.rename(onDisk)
    waitUntil("it is registered by itself", lambda: database.rows("RawDataDB", state, late.file_name) == [("Registered",)], 120)
    assert len(replicasOf([late])) == 1
    assert database.rows("RawDataDB", "SELECT COUNT(*) FROM Waiting w JOIN Files f USING (FileID) WHERE f.FileName = %s",
                         late.file_name) == [(0,)]  # fmt: skip


def test_a_site_that_is_cut_off_holds_up_no_other_and_catches_up_by_itself(testbed, freshDay):
    cnaf, others = "CNAF-STORM", ["IN2P3-DCACHE", "JINR-EOS"]
    if not testbed.settings.choices.netns:
        pytest.skip("needs network namespaces")
    files = make_files(testbed.settings, "Raw", freshDay, 8, 20_000, run=9007)
    testbed.network.cut(site_of(cnaf))
    try:
        announceFiles(testbed, files)
        waitUntil("the other sites are complete", lambda: isComplete(testbed, "Raw", freshDay, 8, others), 240)
        assert sites(testbed, "Raw", freshDay)[cnaf]["Done"] == 0
    finally:
        testbed.network.join(site_of(cnaf))
    waitUntil("the site has caught up", lambda: isComplete(testbed, "Raw", freshDay, 8), 600)
    assertEverywhere(testbed, files)


def run(testbed, user: str, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        list(command), env=testbed.settings.environment(testbed.server.proxy(user)), capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("user", ["shifter", "stranger", "outsider"])
def test_who_is_not_a_production_manager_changes_nothing(testbed, database, user):
    block = block_status(testbed.settings)[0]
    before = database.rows("RawDataDB", "SELECT COUNT(*) FROM Journal"), database.custody()["blocks"]
    command = ["dirac-juno-block", "open", block["Block"], "--type", block["Type"], "--reason", "try", "--yes"]
    done = run(testbed, user, *command)
    assert done.returncode != 0
    assert "unauthori" in (done.stdout + done.stderr).lower() or "not authori" in (done.stdout + done.stderr).lower()
    assert (database.rows("RawDataDB", "SELECT COUNT(*) FROM Journal"), database.custody()["blocks"]) == before


def test_the_production_manager_opens_a_block_again_and_the_journal_says_so(testbed, database):
    block = next(block for block in block_status(testbed.settings) if block["State"] == "Open")
    transfers = database.custody()["blocks"]
    command = ["dirac-juno-block", "open", block["Block"], "--type", block["Type"], "--reason", "trying the journal", "--yes"]
    done = run(testbed, "prod", *command)
    assert done.returncode == 0, done.stdout + done.stderr
    last = database.rows("RawDataDB", "SELECT Actor, ActorGroup, Reason FROM Journal ORDER BY JournalID DESC LIMIT 1")
    assert last == [("prod", "juno_prod", "trying the journal")]
    assert database.custody()["blocks"] == transfers


def test_the_shifter_reads_and_somebody_unknown_does_not(testbed):
    assert run(testbed, "shifter", "dirac-juno-block-status", "--json").returncode == 0
    refused = run(testbed, "outsider", "dirac-juno-block-status", "--json")
    assert refused.returncode != 0
    assert "{" not in refused.stdout


def test_the_history_of_a_file_tells_its_way_in_order(testbed, freshDay):
    (file,) = make_files(testbed.settings, "Raw", freshDay, 1, 1000, run=9008)
    announceFiles(testbed, [file])
    waitUntil("complete", lambda: isComplete(testbed, "Raw", freshDay, 1), 240)
    done = run(testbed, "prod", "dirac-juno-file-history", file.lfn, "--json")
    assert done.returncode == 0, done.stderr
    history = json.loads(done.stdout)
    times = [event["Time"] for event in history["Events"] if event["Time"]]
    assert times == sorted(times)
    assert history["State"] == "Registered"
    assert history["Unavailable"] == []
    text = done.stdout
    for se in DESTINATIONS:
        assert se in text
    unknown = run(testbed, "prod", "dirac-juno-file-history", "/juno/no/such.file")
    assert unknown.returncode != 0
    assert "/juno/no/such.file" in unknown.stdout + unknown.stderr
