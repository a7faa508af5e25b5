"""Tasks are given away soon after they were made, and only whole."""

from datetime import timedelta

import pytest
from DIRAC import S_OK
from DIRAC.Core.Utilities.TimeUtilities import DiracTime
from DIRAC.TransformationSystem.DB.TransformationDB import TransformationDB as DiracTransformationDB

from JUNODIRAC.TransformationSystem.DB.TransformationDB import TransformationDB

# task -> its age in seconds and its files; the third one is being made, the fourth was made without files on purpose
TASKS = {1: (40, "/a;/b"), 2: (5, "/c"), 3: (5, ""), 4: (40, ""), 5: (0, "/d")}


@pytest.fixture
def database(monkeypatch):
    def stock(_self, _name, numTasks=1, site="", statusList=None, older=None, newer=None, connection=False):
        now = DiracTime.utcnow()
        found = [number for number, (age, _) in TASKS.items() if older is None or now - timedelta(seconds=age) < older]
        return S_OK({number: {"TaskID": number, "InputData": TASKS[number][1]} for number in found[:numTasks]})

    monkeypatch.setattr(DiracTransformationDB, "getTasksForSubmission", stock)
    return TransformationDB.__new__(TransformationDB)


def given(database, **arguments):
    arguments = {"numTasks": 10, "older": DiracTime.utcnow() - timedelta(seconds=30), **arguments}
    return sorted(database.getTasksForSubmission(7, **arguments)["Value"])


def test_a_whole_task_goes_soon_and_one_without_files_as_late_as_dirac_says(database):
    assert given(database) == [1, 2, 4]


def test_the_age_can_be_configured(database):
    database.taskAgeSeconds = 20
    assert given(database) == [1, 4]


def test_nobody_waits_longer_than_dirac_says(database):
    database.taskAgeSeconds = 1000
    assert given(database) == [1, 4]


def test_who_asks_for_no_age_gets_all(database):
    assert given(database, older=None) == [1, 2, 3, 4, 5]
