"""The background sweep: one receiver of a Type does it, only with its backlog read, and what is forgotten is said."""

from datetime import UTC, datetime

import pytest

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.Core.Logic.Sweep import StoredName, SweepResult
from JUNODIRAC.RawDataSystem.Client.BackgroundSweep import BackgroundSweep
from JUNODIRAC.RawDataSystem.Client.PeriodicTask import PeriodicTask

NOW = datetime(2023, 3, 2, tzinfo=UTC)
FORGOTTEN = tuple(StoredName(f"f{number}", 10, NOW) for number in range(500))
RESULTS = {
    "/d/1": SweepResult("/d/1", 500, 0, neverAnnounced=FORGOTTEN),
    "/d/2": SweepResult("/d/2", 2, 2),
    "/d/3": SweepResult("/d/3", 0, 0),
    "/d/4": SweepResult("/d/4", 1, 2, notOnStorage=("x",), foreign=("y",)),
}


class World:
    """Sweeper and ledger."""

    def __init__(self):
        self.swept, self.recorded, self.pauses = [], {}, 0
        self.partitions, self.readUntil = frozenset({0, 1}), NOW

    def directoriesOfDays(self, days):
        assert days == 2
        return list(RESULTS)

    def sweepDirectory(self, directory, readUntil):
        assert readUntil == NOW
        self.swept.append(directory)
        return RESULTS[directory]

    def recordSweep(self, typeName, directory, time, *rest):
        assert (typeName, time) == ("Raw", NOW)
        self.recorded[directory] = rest

    def pause(self):
        self.pauses += 1


@pytest.fixture
def world():
    return World()


@pytest.fixture
def sweep(world, log):
    return BackgroundSweep(
        "Raw", world, world, log, 2, lambda: world.partitions, lambda: world.readUntil, world.pause, lambda: NOW
    )


def test_each_directory_with_files_is_kept_with_a_pause_after_each(sweep, world):
    assert sweep.run() is None
    assert world.recorded.keys() == {"/d/1", "/d/2", "/d/4"}
    assert world.recorded["/d/1"][:4] == (500, 0, 500, 0)
    assert world.pauses == 4


def test_what_is_kept_by_name_is_bounded(sweep, world):
    sweep.run()
    differences = world.recorded["/d/1"][4]
    assert len(differences["NeverAnnounced"]) == 100
    assert differences["NeverAnnounced"][0] == {"Name": "f0", "SizeBytes": 10, "ModifiedTime": NOW.isoformat()}
    assert world.recorded["/d/4"][4]["NotOnStorage"] == ["x"]


def test_forgotten_files_are_a_warning_and_other_differences_a_line(sweep, log):
    sweep.run()
    assert len(log.at("warn")) == 1
    assert "500 never announced" in log.at("warn")[0]
    assert [line for line in log.at("notice") if "/d/4" in line] == log.at("notice")


@pytest.mark.parametrize(("partitions", "readUntil"), [(frozenset({1}), NOW), (frozenset(), NOW), (frozenset({0}), None)])
def test_a_receiver_without_the_first_partition_or_with_a_backlog_does_not_sweep(sweep, world, partitions, readUntil):
    world.partitions, world.readUntil = partitions, readUntil
    assert sweep.run() > 0
    assert world.swept == []


def test_a_failure_of_a_task_is_said_once_and_its_end_too(log):
    failures = [TemporaryFailure("storage", "away"), TemporaryFailure("storage", "away"), None, None]

    def work():
        failure = failures.pop(0)
        if failure:
            raise failure
        return 7.0

    task = PeriodicTask("Sweep", 60.0, work, log.warn)
    assert [task.runOnce() for _ in range(4)] == [60.0, 60.0, 7.0, 7.0]
    assert [line.split()[1] for line in log.at("warn")] == ["failed,", "works"]
