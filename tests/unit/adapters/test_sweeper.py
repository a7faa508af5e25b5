"""The sweep of real listings: storage first, ledger second, and a second look at what seems to be missing."""

from datetime import UTC, datetime, timedelta

import pytest

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.Sweeper import Sweeper

NOW = datetime(2023, 3, 2, 0, 30, tzinfo=UTC)
OLD = NOW - timedelta(hours=1)
DIRECTORY = "/juno/raw/2023/0302"


def name(sequence):
    return f"Daq.1.A.B.C.20230302000000.{sequence}.dat"


@pytest.fixture
def policy():
    return TypePolicy.fromOptions(
        "Raw",
        {
            "Topic": "juno.raw",
            "SourceSE": "IHEP-JUNOEOS",
            "Destinations": "JINR-EOS",
            "Campaign": "C",
            "EOSRoot": "/eos",
            "NamePattern": "Daq.{RunNumber:d}.{StreamType}.{StreamName}.{FileTag}.{FileTime:d}.{FileSequence:d}.dat",
            "DirectoryPattern": "/juno/raw/{Year:4}/{MonthDay:4}",
            "BlockRule": "{Year}{MonthDay}",
            "DirectoryDate": "{Year}{MonthDay}",
            "NameDate": "{FileTime}",
        },
    )


class World:
    """Storage and ledger; ``later`` is written and announced after the first listing of the storage."""

    def __init__(self, onStorage=(), inLedger=(), later=()):
        self.onStorage, self.inLedger, self.later = list(onStorage), list(inLedger), list(later)

    def listDirectory(self, directory):
        assert directory == DIRECTORY
        found = dict.fromkeys(self.onStorage, (10, OLD))
        self.onStorage += self.later
        self.inLedger += self.later
        self.later = []
        return found

    def listDirectories(self, parent):
        raise TemporaryFailure("storage", "away")

    def directoryFiles(self, directory):
        return dict.fromkeys(self.inLedger, (FileState.REGISTERED, 10))


def sweep(policy, world):
    return Sweeper(policy, world, world, lambda: NOW).sweep([DIRECTORY])[0]


def test_forgotten_missing_and_foreign_files_are_told_apart(policy):
    result = sweep(policy, World(onStorage=[name(1), name(2), "core.123"], inLedger=[name(1), name(3)]))
    assert [each.name for each in result.neverAnnounced] == [name(2)]
    assert result.notOnStorage == (name(3),)
    assert result.foreign == ("core.123",)
    assert (result.onStorage, result.inLedger) == (3, 2)


def test_a_file_that_comes_during_the_sweep_is_no_difference(policy):
    assert not sweep(policy, World(onStorage=[name(1)], inLedger=[name(1)], later=[name(2)])).hasDifferences


def test_days_are_counted_in_utc_from_now_back(policy):
    sweeper = Sweeper(policy, World(), World(), lambda: NOW)
    assert sweeper.directoriesOfDays(2) == ["/juno/raw/2023/0301", "/juno/raw/2023/0302"]
