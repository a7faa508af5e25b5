"""Attaching to several transformations at once: the rows of DIRAC's own method, on the real database and service."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import uuid

import pytest
from junotestbed.observe import unpack

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(testbed):
    from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

    return TransformationClient()


@pytest.fixture
def three(client):
    """Three new transformations that no agent looks at."""
    return [makeTransformation(client) for _ in range(3)]


def makeTransformation(client) -> int:
    name = f"Test-{uuid.uuid4().hex}"
    return unpack(client.addTransformation(name, "test", "", "Replication", "Broadcast", "Manual", "", addFiles=False))


def makeLFNs(count: int) -> list[str]:
    directory = f"/juno/test/{uuid.uuid4().hex}"
    return [f"{directory}/Raw.{number:05d}.dat" for number in range(count)]


def rowsOf(database, transformation: int) -> dict[str, tuple]:
    rows = database.rows(
        "TransformationDB",
        "SELECT d.LFN, d.Status, t.Status, t.ErrorCount, t.TaskID, t.TargetSE, t.UsedSE, t.LastUpdate IS NULL,"
        " t.InsertedTime IS NULL FROM TransformationFiles t JOIN DataFiles d ON d.FileID = t.FileID"
        " WHERE t.TransformationID = %s",
        transformation,
    )
    return {lfn: tuple(values) for lfn, *values in rows}


def test_the_rows_are_those_that_diracs_method_makes(client, database, three):
    lfns = makeLFNs(1500)
    stock = makeTransformation(client)
    answer = unpack(client.addFilesToTransformations(three, lfns))
    expected = unpack(client.addFilesToTransformation(stock, makeLFNs(1500)))
    assert set(answer["Successful"].values()) == set(expected["Successful"].values()) == {"Added"}
    assert (set(answer["Successful"]), answer["Failed"]) == (set(lfns), {})
    values = set(rowsOf(database, stock).values())
    assert len(values) == 1
    for transformation in three:
        rows = rowsOf(database, transformation)
        assert set(rows) == set(lfns)
        assert set(rows.values()) == values


def test_a_repetition_changes_nothing_not_even_what_became_of_the_files(client, database, three):
    lfns = makeLFNs(20)
    unpack(client.addFilesToTransformations(three, lfns))
    (number,) = database.rows("TransformationDB", "SELECT FileID FROM DataFiles WHERE LFN = %s", lfns[0])[0]
    unpack(client.setFileStatusForTransformation(three[0], {lfns[0]: "Processed"}))
    before = [
        database.rows("TransformationDB", "SELECT * FROM TransformationFiles WHERE TransformationID = %s", t) for t in three
    ]
    answer = unpack(client.addFilesToTransformations(three, lfns))
    after = [database.rows("TransformationDB", "SELECT * FROM TransformationFiles WHERE TransformationID = %s", t) for t in three]
    assert answer == {"Successful": dict.fromkeys(lfns, "Present"), "Failed": {}}
    assert before == after
    assert any(row[1] == number and row[2] == "Processed" for row in after[0])


def test_files_that_only_some_of_the_transformations_have_are_added_to_the_others(client, database, three):
    lfns = makeLFNs(10)
    unpack(client.addFilesToTransformation(three[1], lfns[:4]))
    answer = unpack(client.addFilesToTransformations(three, lfns))
    assert set(answer["Successful"].values()) == {"Added"}
    assert [set(rowsOf(database, transformation)) for transformation in three] == [set(lfns)] * 3


def test_an_lfn_given_twice_is_one_file(client, database, three):
    (lfn,) = makeLFNs(1)
    assert unpack(client.addFilesToTransformations([three[0], three[0]], [lfn, lfn]))["Successful"] == {lfn: "Added"}
    assert list(rowsOf(database, three[0])) == [lfn]


def test_a_file_that_differs_from_a_known_one_in_case_alone_is_named_and_the_others_are_attached(client, database, three):
    known, other = makeLFNs(2)
    unpack(client.addFilesToTransformations(three, [known]))
    answer = unpack(client.addFilesToTransformations(three, [known.upper(), other]))
    assert list(answer["Successful"]) == [other]
    assert list(answer["Failed"]) == [known.upper()]
    assert known in answer["Failed"][known.upper()]
    assert "case" in answer["Failed"][known.upper()]
    assert set(rowsOf(database, three[0])) == {known, other}


def test_of_two_new_files_that_differ_in_case_alone_one_is_attached_and_the_other_named(client, database, three):
    (lfn,) = makeLFNs(1)
    answer = unpack(client.addFilesToTransformations(three, [lfn, lfn.upper()]))
    assert len(answer["Successful"]) == len(answer["Failed"]) == 1
    assert set(answer["Successful"]) | set(answer["Failed"]) == {lfn, lfn.upper()}
    assert set(rowsOf(database, three[2])) == set(answer["Successful"])


def test_an_lfn_that_the_table_cannot_hold_does_not_fail_the_others(client, database, three):
    (lfn,) = makeLFNs(1)
    tooLong = "/juno/" + 300 * "x"
    answer = unpack(client.addFilesToTransformations(three, [tooLong, lfn]))
    assert list(answer["Successful"]) == [lfn]
    assert "255" in answer["Failed"][tooLong]


@pytest.mark.parametrize("lfns", [[], ["/juno/test/x.dat"]])
def test_an_unknown_transformation_or_no_file_is_refused_and_nothing_is_written(client, database, three, lfns):
    unknown = [three[0], 2_000_000_000] if lfns else three
    assert not client.addFilesToTransformations(unknown, lfns)["OK"]
    assert rowsOf(database, three[0]) == {}


def test_writers_of_the_same_new_files_at_the_same_time_make_each_row_once(testbed, database, client, three):
    lfns = makeLFNs(2000)
    answers: list[dict] = []

    def attach(order: list[str]) -> None:
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        answers.append(TransformationClient().addFilesToTransformations(three, order))

    threads = [threading.Thread(target=attach, args=(order,)) for order in (lfns, lfns[::-1], lfns[1000:] + lfns[:1000])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(unpack(answer)["Successful"]) for answer in answers] == [2000] * 3
    assert [len(rowsOf(database, transformation)) for transformation in three] == [2000] * 3


@pytest.mark.parametrize("user", ["shifter", "stranger"])
def test_who_may_not_manage_productions_attaches_nothing(testbed, database, three, user):
    lfns = makeLFNs(3)
    code = (
        "import DIRAC, json, sys; DIRAC.initialize()\n"
        "from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient\n"
        "print('ANSWER', json.dumps(TransformationClient().addFilesToTransformations(*json.loads(sys.argv[1]))['OK']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([three, lfns])],
        env=testbed.settings.environment(testbed.server.proxy(user)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "ANSWER false" in done.stdout, done.stdout + done.stderr
    assert [rowsOf(database, transformation) for transformation in three] == [{}] * 3


def test_the_catalogue_writes_each_file_and_its_replica_as_ever(testbed):
    from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient

    catalogue = FileCatalogClient("DataManagement/FileCatalog")
    lfns = makeLFNs(1200)
    entries = {
        lfn: {"PFN": f"root://x/{lfn}", "SE": "IHEP-JUNOEOS", "Size": 5, "GUID": str(uuid.uuid4()), "Checksum": "1a2b3c4d"}
        for lfn in lfns
    }
    assert unpack(catalogue.addFile(entries))["Failed"] == {}
    rows = unpack(catalogue.getFileMetadata(lfns))["Successful"]
    assert {lfn: (row["Size"], row["GUID"], row["Checksum"]) for lfn, row in rows.items()} == {
        lfn: (5, entry["GUID"], "1a2b3c4d") for lfn, entry in entries.items()
    }
    replicas = unpack(catalogue.getReplicas(lfns))["Successful"]
    assert {lfn: list(found) for lfn, found in replicas.items()} == {lfn: ["IHEP-JUNOEOS"] for lfn in lfns}
    directory = lfns[0].rpartition("/")[0]
    usage = unpack(catalogue.getDirectorySize([directory], True, False))["Successful"][directory]
    assert (usage["LogicalFiles"], usage["LogicalSize"]) == (1200, 6000)
    assert usage["PhysicalSize"]["IHEP-JUNOEOS"] == {"Files": 1200, "Size": 6000}
