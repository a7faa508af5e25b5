"""Tasks by the hundred: the rows of DIRAC's own methods, on the real database and service."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
from DIRAC.Core.Utilities.JEncode import strToIntDict
from junotestbed.observe import unpack

pytestmark = pytest.mark.integration

ROWS = {
    "TransformationTasks": "SELECT TaskID, ExternalStatus, ExternalID, TargetSE, CreationTime IS NULL, LastUpdateTime IS NULL"
    " FROM TransformationTasks WHERE TransformationID = %s ORDER BY TaskID",
    "TaskInputs": "SELECT TaskID, InputVector FROM TaskInputs WHERE TransformationID = %s ORDER BY TaskID",
    "TransformationFiles": "SELECT d.LFN, t.Status, t.TaskID, t.TargetSE, t.UsedSE, t.ErrorCount, t.LastUpdate IS NULL,"
    " t.InsertedTime IS NULL FROM TransformationFiles t JOIN DataFiles d ON d.FileID = t.FileID WHERE t.TransformationID = %s"
    " ORDER BY d.LFN",
    "TransformationFileTasks": "SELECT t.TaskID, d.LFN FROM TransformationFileTasks t JOIN DataFiles d ON d.FileID = t.FileID"
    " WHERE t.TransformationID = %s ORDER BY t.TaskID, d.LFN",
}


@pytest.fixture(scope="module")
def client(testbed):
    from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

    return TransformationClient()


@pytest.fixture(scope="module")
def stock(testbed):
    """DIRAC's own class on the testbed's database."""
    from DIRAC.TransformationSystem.DB.TransformationDB import TransformationDB

    return TransformationDB()


@pytest.fixture
def transformation(client):
    """Makes transformations that no agent looks at, each with these files."""

    def made(lfns: list[str]) -> int:
        name = f"Test-{uuid.uuid4().hex}"
        number = unpack(client.addTransformation(name, "test", "", "Replication", "Broadcast", "Manual", "", addFiles=False))
        unpack(client.addFilesToTransformation(number, lfns))
        return number

    return made


@pytest.fixture
def rowsOf(database):
    return lambda number: {table: database.rows("TransformationDB", sql, number) for table, sql in ROWS.items()}


def makeLFNs(count: int) -> list[str]:
    directory = f"/juno/test/{uuid.uuid4().hex}"
    return [f"{directory}/Raw.{number:05d}.dat" for number in range(count)]


def made(answers: list[dict]) -> list[int]:
    return [answer["Value"] if answer["OK"] else 0 for answer in answers]


def test_tasks_made_reserved_submitted_and_followed_leave_the_rows_of_diracs_methods(client, stock, transformation, rowsOf):
    lfns = makeLFNs(40)
    # of one file and of several, not in the order of their names, at one storage element and at one of two
    tasks = [(lfns[5:2:-1], "CNAF-STORM"), ([lfns[0]], "JINR-EOS,CNAF-STORM"), (lfns[10:30], "JINR-EOS"), ([], "JINR-EOS")]
    ours, other = transformation(lfns), transformation(lfns)
    numbers = made(unpack(client.addTasksForTransformation(ours, tasks)))
    assert numbers == [unpack(stock.addTaskForTransformation(other, *task)) for task in tasks] == [1, 2, 3, 4]
    assert rowsOf(ours) == rowsOf(other)
    time.sleep(2)  # from this age on tasks are given away
    given = strToIntDict(unpack(client.getTasksToSubmit(ours, 2))["JobDictionary"])
    assert given == {
        number: task | {"TransformationID": ours, "Status": "Created"}
        for number, task in unpack(stock.getTasksForSubmission(other, numTasks=2)).items()
    }
    for number in given:
        unpack(stock.reserveTask(other, number))
    assert rowsOf(ours) == rowsOf(other)
    unpack(client.setTasksSubmitted(ours, {1: "4711", 2: "4712"}))
    for number in given:
        unpack(stock.setTaskStatusAndWmsID(other, number, "Submitted", f"471{number}"))
    assert rowsOf(ours) == rowsOf(other)
    unpack(client.setTaskStatus(ours, [1, 2, 4], "Waiting"))
    unpack(client.setTaskStatus(ours, 3, "Done"))
    unpack(stock.setTaskStatus(other, [1, 2, 4], "Waiting"))
    unpack(stock.setTaskStatus(other, 3, "Done"))
    assert rowsOf(ours) == rowsOf(other)


@pytest.mark.parametrize("state", ["Assigned", "Processed", "unknown", "twice"])
def test_a_task_with_a_file_that_is_not_free_is_refused_and_leaves_nothing_while_the_others_are_made(
    client, transformation, rowsOf, state
):
    lfns = makeLFNs(5)
    number = transformation(lfns[1:] if state == "unknown" else lfns)
    if state == "Processed":
        unpack(client.setFileStatusForTransformation(number, "Processed", [lfns[0]]))
    elif state == "Assigned":
        unpack(client.addTaskForTransformation(number, [lfns[0]], "JINR-EOS"))
    before = rowsOf(number)
    tasks = [([lfns[1]], "JINR-EOS"), ([lfns[1 if state == "twice" else 0], lfns[2]], "JINR-EOS"), ([lfns[3]], "JINR-EOS")]
    first, refused, last = made(unpack(client.addTasksForTransformation(number, tasks)))
    assert (first, refused, last) == (len(before["TransformationTasks"]) + 1, 0, first + 1)
    after = {lfn: (status, taskID) for lfn, status, taskID, *_ in rowsOf(number)["TransformationFiles"]}
    assert after[lfns[2]] == ("Unused", None)
    assert after[lfns[3]] == ("Assigned", last)
    assert len(rowsOf(number)["TransformationTasks"]) == len(before["TransformationTasks"]) + 2


def test_makers_of_tasks_at_the_same_time_put_no_file_into_two_and_number_without_gaps(client, transformation, rowsOf):
    lfns = makeLFNs(60)
    number = transformation(lfns)
    answers: list[int] = []

    def bulk(order: list[str]) -> None:
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        answers.extend(made(unpack(TransformationClient().addTasksForTransformation(number, [([lfn], "A") for lfn in order]))))

    def one(order: list[str]) -> None:
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        mine = TransformationClient()
        answers.extend(made([mine.addTaskForTransformation(number, [lfn], "A") for lfn in order]))

    threads = [threading.Thread(target=bulk, args=(order,)) for order in (lfns, lfns[::-1], lfns[30:] + lfns[:30])]
    threads.append(threading.Thread(target=one, args=(lfns,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(filter(None, answers)) == list(range(1, 61))
    inTasks = [lfn for _, lfn in rowsOf(number)["TransformationFileTasks"]]
    assert sorted(inTasks) == lfns


def test_submitters_at_the_same_time_get_each_task_once(client, transformation):
    lfns = makeLFNs(30)
    number = transformation(lfns)
    unpack(client.addTasksForTransformation(number, [([lfn], "A") for lfn in lfns]))
    time.sleep(2)
    given: list[int] = []

    def ask() -> None:
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        given.extend(strToIntDict(unpack(TransformationClient().getTasksToSubmit(number, 20))["JobDictionary"]))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ask()
    assert sorted(given) == list(range(1, 31))


def test_an_unknown_transformation_is_refused(client):
    for answer in (client.addTasksForTransformation(2_000_000_000, []), client.setTasksSubmitted(2_000_000_000, {})):
        assert not answer["OK"]
