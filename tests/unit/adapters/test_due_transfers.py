"""FTS3DB gives what is due and nothing else, on tables of its own in memory."""

from datetime import UTC, datetime, timedelta

import pytest
from DIRAC.DataManagementSystem.Client.FTS3File import FTS3File
from DIRAC.DataManagementSystem.Client.FTS3Job import FTS3Job
from DIRAC.DataManagementSystem.Client.FTS3Operation import FTS3TransferOperation
from DIRAC.DataManagementSystem.DB import FTS3DB as diracModule
from sqlalchemy import event, text

from JUNODIRAC.DataManagementSystem.DB.FTS3DB import FTS3DB, DueTimes

NOW = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


def ago(seconds):
    return (NOW - timedelta(seconds=seconds)).replace(tzinfo=None)


@pytest.fixture
def database():
    made = FTS3DB(url="sqlite:///:memory:")

    @event.listens_for(made.engine, "connect")
    def addFunctionsOfMariaDB(connection, _record):
        connection.create_function("utc_timestamp", 0, lambda: NOW.strftime("%Y-%m-%d %H:%M:%S.000000"))
        connection.create_function("to_seconds", 1, lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
        connection.create_function("greatest", 2, max)
        connection.create_function("least", 2, min)

    assert made.createTables()["OK"]
    made.due = DueTimes(monitoringDelay=2, maxMonitoringDelay=60, ageShare=0.1, treatDelay=10)
    yield made
    made.engine.dispose()


def operation(database, createdAgo, updatedAgo, priority=None, jobs=(), **values):
    """:param jobs: (status, seconds since submission, seconds since the last look[, assignment])"""
    made = FTS3TransferOperation(username="prod", userGroup="juno_prod", priority=priority)
    file = FTS3File()
    file.lfn, file.targetSE = "/juno/raw/f", "JINR-EOS"
    made.ftsFiles = [file]
    for status, submittedAgo, lookedAgo, *assignment in jobs:
        job = FTS3Job()
        job.status, job.submitTime, job.lastMonitor = status, ago(submittedAgo), ago(lookedAgo)
        job.assignment = assignment[0] if assignment else None
        made.ftsJobs.append(job)
    made.creationTime, made.lastUpdate = ago(createdAgo), ago(updatedAgo)
    for name, value in values.items():
        setattr(made, name, value)
    session = database.dbSession(expire_on_commit=False)
    session.add(made)
    session.commit()
    number = made.operationID
    session.close()
    return number


def dueOperations(database, limit=100):
    answer = database.getNonFinishedOperations(limit=limit, operationAssignmentTag=None)
    assert answer["OK"], answer.get("Message")
    return [each.operationID for each in answer["Value"]]


def dueJobs(database, **arguments):
    answer = database.getActiveJobs(**{"limit": 100, "jobAssignmentTag": None, **arguments})
    assert answer["OK"], answer.get("Message")
    return [each.operationID for each in answer["Value"]]


def test_an_operation_is_due_when_it_is_new_when_a_job_has_ended_and_after_a_while(database):
    new = operation(database, 1, 1)
    ended = operation(database, 60, 5, jobs=[("Finished", 5, 3)])
    waitsForLong = operation(database, 60, 11, jobs=[("Active", 60, 3)])
    # just treated: its job is under way; or it found no source
    operation(database, 60, 5, jobs=[("Active", 5, 3)])
    operation(database, 60, 5)
    # the job had ended before the operation was treated, and another one is under way
    operation(database, 60, 5, jobs=[("Failed", 60, 9), ("Active", 5, 3)])
    assert set(dueOperations(database)) == {new, ended, waitsForLong}


def test_what_is_finished_or_in_other_hands_is_never_due(database):
    operation(database, 60, 60, status="Finished")
    operation(database, 60, 60, assignment="other")
    operation(database, 60, 60, jobs=[("Active", 60, 60, "other")])
    assert dueOperations(database) == []


def test_a_job_that_the_server_forgot_does_not_hold_its_operation(database):
    """DIRAC cancels such a job and leaves the mark on it."""
    forgotten = operation(database, 60, 30, jobs=[("Canceled", 60, 5, "other")])
    assert dueOperations(database) == [forgotten]


def test_the_highest_priority_goes_first_then_what_was_treated_longest_ago(database):
    ordinary, unnamed, tail, older = (
        operation(database, 60, ago, priority) for ago, priority in ((20, 3), (50, None), (15, 4), (30, 3))
    )
    assert dueOperations(database) == [tail, older, ordinary, unnamed]
    assert dueOperations(database, limit=2) == [tail, older]


def test_what_was_begun_is_finished_before_something_new_is_begun(database):
    waiting = [operation(database, 60, ago) for ago in (50, 40)]
    ended = operation(database, 60, 5, jobs=[("Finished", 5, 3)])
    assert dueOperations(database) == [ended, *waiting]


def test_an_operation_is_given_to_one_agent_only(database):
    number = operation(database, 1, 1)
    first = database.getNonFinishedOperations(limit=5, operationAssignmentTag="host")
    assert [each.operationID for each in first["Value"]] == [number]
    assert len(first["Value"][0].ftsFiles) == 1
    assert database.getNonFinishedOperations(limit=5, operationAssignmentTag="host")["Value"] == []


@pytest.mark.parametrize(
    ("submittedAgo", "lookedAgo", "isDue"),
    [(2, 2, True), (1, 1, False), (100, 9, False), (100, 10, True), (90000, 59, False), (90000, 60, True)],
)
def test_a_job_is_looked_at_after_a_share_of_its_age(database, submittedAgo, lookedAgo, isDue):
    number = operation(database, submittedAgo, submittedAgo, jobs=[("Active", submittedAgo, lookedAgo)])
    assert dueJobs(database) == ([number] if isDue else [])


def test_jobs_that_have_ended_or_are_in_other_hands_are_not_looked_at(database):
    operation(database, 60, 60, jobs=[("Finished", 60, 60), ("Active", 60, 60, "other")])
    operation(database, 60, 60, jobs=[("Active", 60, 60)], assignment="other")
    operation(database, 60, 60, jobs=[("Active", 60, 60)], status="Canceled")
    assert dueJobs(database) == []


def test_a_job_is_given_once_in_a_pass(database):
    number = operation(database, 60, 60, jobs=[("Active", 60, 30)])
    assert dueJobs(database, lastMonitor=ago(30)) == []
    assert dueJobs(database, lastMonitor=ago(0), jobAssignmentTag="host") == [number]
    assert dueJobs(database, lastMonitor=ago(0), jobAssignmentTag="host") == []


# ---- what the server says of files


def files(database, *states, ftsGUID="job"):
    """:returns: the ids of files in these states, in one operation"""
    number = operation(database, 60, 60)
    session = database.dbSession(expire_on_commit=False)
    made = []
    for state in states:
        file = FTS3File()
        file.operationID, file.lfn, file.targetSE, file.status, file.ftsGUID, file.error = (
            number,
            "/f",
            "T-SE",
            state,
            ftsGUID,
            "old",
        )
        session.add(file)
        made.append(file)
    session.commit()
    ids = [file.fileID for file in made]
    session.close()
    return ids


def stateOf(database, ids):
    session = database.dbSession()
    found = {file.fileID: (file.status, file.error, file.ftsGUID) for file in session.query(FTS3File).all() if file.fileID in ids}
    session.close()
    return [found[number] for number in ids]


@pytest.mark.parametrize("stockWay", [False, True])
def test_news_of_files_are_written_as_dirac_writes_them(database, monkeypatch, stockWay):
    """Both ways on the same cases."""
    if stockWay:
        monkeypatch.setattr(FTS3DB, "updateFileStatus", diracModule.FTS3DB.updateFileStatus)
    ids = files(database, "Submitted", "Submitted", "Active", "Finished", "Submitted")
    (other,) = files(database, "Submitted", ftsGUID="another job")
    news = {
        ids[0]: {"status": "Finished", "error": ""},
        ids[1]: {"status": "Failed", "error": "no space", "ftsGUID": None},
        ids[2]: {"status": "Finished", "error": ""},
        ids[3]: {"status": "Failed", "error": "too late"},
        ids[4]: {"status": "Active"},
        other: {"status": "Finished", "error": ""},
    }
    assert database.updateFileStatus(news, ftsGUID="job")["OK"]
    assert stateOf(database, [*ids, other]) == [
        ("Finished", None, "job"),
        ("Failed", "no space", None),
        ("Finished", None, "job"),
        ("Finished", "old", "job"),
        ("Active", "old", "job"),
        ("Submitted", "old", "another job"),
    ]


def test_many_files_with_the_same_news_are_one_statement(database):
    ids = files(database, *["Submitted"] * 100)
    statements = []
    event.listen(database.engine, "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement))
    assert database.updateFileStatus({number: {"status": "Finished", "error": ""} for number in ids}, ftsGUID="job")["OK"]
    assert len(statements) == 1
    assert {state for state, _, _ in stateOf(database, ids)} == {"Finished"}


def test_where_a_statement_fails_the_files_are_written_one_by_one(database, monkeypatch):
    ids = files(database, "Submitted", "Submitted")
    monkeypatch.setattr("JUNODIRAC.DataManagementSystem.DB.FTS3DB._fileUpdate", lambda *_: text("UPDATE nothing"))
    assert database.updateFileStatus({number: {"status": "Finished"} for number in ids}, ftsGUID="job")["OK"]
    assert [state for state, _, _ in stateOf(database, ids)] == ["Finished", "Finished"]
