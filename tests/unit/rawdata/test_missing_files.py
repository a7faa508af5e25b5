"""Files that are missing, and those that were forgotten, as the service finds and announces them."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from JUNODIRAC.Core.Domain.Announcement import decodeAnnouncement
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Gaps import NumberedFile
from JUNODIRAC.Core.Domain.PolicyError import PolicyError
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Logic.Ports import LedgerEntry, StoredFile, TemporaryFailure
from JUNODIRAC.Core.Logic.Sweep import StoredName, SweepResult
from JUNODIRAC.RawDataSystem.Client.ForgottenFiles import ForgottenFiles
from JUNODIRAC.RawDataSystem.Client.GapFinder import GapFinder, WrongDirectory
from JUNODIRAC.RawDataSystem.Client.TopicWriter import Written

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from fakes import raw_policy

T0 = datetime(2023, 3, 2, 12, tzinfo=UTC)
POLICY = raw_policy()
DIRECTORY = "/juno/raw/2023/0302"


def lfnOf(number: int) -> str:
    return f"{DIRECTORY}/Daq.7.PHYSICS.GLOBAL.TAG.20230302.{number}.dat"


class Sweeper:
    def __init__(self, result: SweepResult | None = None, failure: Exception | None = None) -> None:
        self.result, self.failure = result, failure
        self.asked: list[tuple] = []

    def directoriesOfDays(self, days: int, today: date | None = None) -> list[str]:
        if self.failure:
            raise self.failure
        self.asked.append((days, today))
        return [DIRECTORY]

    def sweepDirectory(self, directory: str) -> SweepResult:
        return self.result


class Ledger:
    def __init__(self, *sequences: int, known: dict[str, FileState] | None = None) -> None:
        self.numbered = [NumberedFile(7, "PHYSICS", "GLOBAL", number, "20230302") for number in sequences]
        self.known = known or {}

    def sequences(self, typeName, block="", run=None, days=None):
        return iter(self.numbered)

    def directoriesOf(self, typeName, block="", run=None, days=None):
        return [DIRECTORY, "/juno/moved/here"] if self.numbered else []

    def directoryFiles(self, directory):
        return {name: (state, 10) for name, state in self.known.items()}

    def findFiles(self, files: list[RawFile]):
        return {
            file.lfn: LedgerEntry(file, self.known[file.fileName], "", 1, None, "juno.raw", 0, 0)
            for file in files
            if file.fileName in self.known
        }


# ---- finding


def test_gaps_and_directories_of_a_choice_are_found_with_those_of_the_days_themselves():
    found = GapFinder(POLICY, Ledger(1, 2, 5), Sweeper()).find(days=2)
    assert [gap["Missing"] for gap in found["Gaps"]] == [[[3, 4]]]
    assert found["Series"] == 1
    assert [each["Directory"] for each in found["Directories"]] == ["/juno/moved/here", DIRECTORY]


def test_the_directory_of_a_day_is_compared_though_none_of_its_files_was_ever_announced():
    sweeper = Sweeper()
    found = GapFinder(POLICY, Ledger(), sweeper).find(block="20230302")
    assert [each["Directory"] for each in found["Directories"]] == [DIRECTORY]
    assert sweeper.asked == [(1, date(2023, 3, 2))]


@pytest.mark.parametrize("block", ["spring", "20231302"])
def test_a_block_that_is_no_day_has_the_directories_of_the_ledger_alone(block):
    finder = GapFinder(POLICY, Ledger(), Sweeper())
    assert finder.find(block=block)["Directories"] == []
    assert finder.unavailable == []


@pytest.mark.parametrize(
    "failure", [TemporaryFailure("storage", "away"), PolicyError("Raw", "DirectoryDate", "", "no", "set it")]
)
def test_days_whose_directories_are_not_known_are_said_and_the_numbers_are_found(failure):
    finder = GapFinder(POLICY, Ledger(1, 3), Sweeper(failure=failure))
    assert len(finder.find(days=2)["Gaps"]) == 1
    assert len(finder.unavailable) == 1


def test_a_comparison_names_every_difference_with_what_is_known_of_it():
    known = {"b.dat": FileState.REGISTERED, "c.dat": FileState.REGISTERED}
    stored = {name: StoredName(name, 9, T0) for name in ("a.dat", "c.dat")}
    result = SweepResult(DIRECTORY, 3, 2, (stored["a.dat"],), ("b.dat",), ("core",), ((stored["c.dat"], 10),))
    found = GapFinder(POLICY, Ledger(1, known=known), Sweeper(result)).compare(DIRECTORY)
    assert found["NeverAnnounced"][0]["LFN"] == f"{DIRECTORY}/a.dat"
    assert found["NotOnStorage"] == [{"FileName": "b.dat", "LFN": f"{DIRECTORY}/b.dat", "State": FileState.REGISTERED}]
    assert (found["WrongSize"][0]["SizeBytes"], found["WrongSize"][0]["StoredBytes"]) == (10, 9)
    assert found["BadNames"][0]["FileName"] == "core"


@pytest.mark.parametrize("directory", ["/juno/user", "/juno/raw/2023/..", "/juno/raw/2023/0302/../../..", ""])
def test_only_directories_of_the_type_can_be_looked_at(directory):
    with pytest.raises(WrongDirectory):
        GapFinder(POLICY, Ledger(), Sweeper()).compare(directory)


def test_a_pattern_with_free_fields_does_not_lead_out_of_the_directories_of_the_type():
    policy = raw_policy(DirectoryPattern="/juno/raw/{Year}/{MonthDay}")
    result = SweepResult("/juno/raw/../user", 0, 0)
    with pytest.raises(WrongDirectory):
        GapFinder(policy, Ledger(), Sweeper(result)).compare("/juno/raw/../user")


def test_a_directory_that_the_ledger_has_of_the_type_can_be_looked_at_whatever_its_name():
    result = SweepResult("/juno/moved/here", 0, 0)
    assert GapFinder(POLICY, Ledger(1), Sweeper(result)).compare("/juno/moved/here")["OnStorage"] == 0


# ---- announcing


class Storage:
    def __init__(self, **files: StoredFile) -> None:
        self.files = {lfnOf(int(name[1:])): stored for name, stored in files.items()}

    def look(self, lfns, withChecksum=()):
        assert set(lfns) == set(withChecksum)
        return {lfn: self.files.get(lfn, StoredFile(None)) for lfn in lfns}


class Writer:
    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.messages: list = []

    def write(self, topic, messages) -> Written:
        assert topic == POLICY.topic
        self.messages += messages
        names = {message.name: "juno.raw/0/1" for message in messages}
        return Written(failed=names) if self.fails else Written(confirmed=names)


GOOD = StoredFile(2000, "0a1b2c3d")


def announce(storage: Storage, *lfns: str, ledger: Ledger | None = None, writer: Writer | None = None):
    writer, journal = writer or Writer(), []
    outcome = ForgottenFiles(POLICY, ledger or Ledger(), storage, writer).announce(lfns, "ann", journal.append)
    return outcome, writer.messages, journal


def test_a_forgotten_file_is_announced_so_that_a_receiver_reads_the_same_lfn_size_and_checksum():
    outcome, (message,), journal = announce(Storage(f1=GOOD), lfnOf(1))
    announcement = decodeAnnouncement(message.payload)
    assert POLICY.resolve(announcement.fileName, announcement.filePath).lfn == lfnOf(1)
    assert (announcement.fileSize, announcement.checksum) == (2000, "0a1b2c3d")
    assert message.key == b"20230302"
    assert dict(message.headers) == {"announced-by": "ann"}
    assert outcome == {"Done": [{"LFN": lfnOf(1), "Position": "juno.raw/0/1"}], "Refused": []}
    assert journal == [lfnOf(1)]


def test_an_empty_file_is_announced_too_and_so_gets_its_reason():
    _, (message,), _ = announce(Storage(f1=StoredFile(0, "00000001")), lfnOf(1))
    assert json.loads(message.payload)["FileSize"] == 0


@pytest.mark.parametrize(
    ("lfn", "why"),
    [
        (lfnOf(2), "not on the source storage"),
        (lfnOf(3), "no answer: timed out"),
        (lfnOf(4), "adler32"),
        (lfnOf(5), "the ledger has it already, Quarantined"),
        (f"{DIRECTORY}/core", "BadName"),
        ("/juno/user/x.dat", "Bad"),
    ],
)
def test_what_cannot_be_announced_is_refused_with_its_reason_and_not_journalled(lfn, why):
    storage = Storage(f1=GOOD, f3=StoredFile(None, failure="timed out"), f4=StoredFile(7), f5=GOOD)
    ledger = Ledger(known={lfnOf(5).rpartition("/")[2]: FileState.QUARANTINED})
    outcome, messages, journal = announce(storage, lfn, lfnOf(1), ledger=ledger)
    assert [done["LFN"] for done in outcome["Done"]] == [lfnOf(1)]
    assert [refused["LFN"] for refused in outcome["Refused"]] == [lfn]
    assert why in outcome["Refused"][0]["Why"]
    assert len(messages) == 1
    assert journal == [lfnOf(1)]


def test_what_kafka_did_not_take_is_refused():
    outcome, _, _ = announce(Storage(f1=GOOD), lfnOf(1), writer=Writer(fails=True))
    assert outcome["Done"] == []
    assert [refused["LFN"] for refused in outcome["Refused"]] == [lfnOf(1)]
