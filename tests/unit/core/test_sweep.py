"""A sweep names every difference between storage and ledger, and nothing that is only on its way."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from fakes import raw_policy

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.PolicyError import PolicyError
from JUNODIRAC.Core.Logic.Sweep import DirectoryFinder, StoredName, compareDirectory

NOW = datetime(2023, 3, 2, 12, tzinfo=UTC)
LIMIT = NOW - timedelta(seconds=600)
DATES = {"DirectoryDate": "{Year}{MonthDay}", "NameDate": "{FileTime}"}


def stored(*names: str, age: float = 3600) -> dict[str, StoredName]:
    return {name: StoredName(name, 10, NOW - timedelta(seconds=age)) for name in names}


def compare(onStorage: dict[str, StoredName], known: dict[str, FileState]):
    rows = {name: (state, 10) for name, state in known.items()}
    return compareDirectory("/d", onStorage, rows, lambda name: name.endswith(".dat"), LIMIT)


def finder(tree: dict[str, list[str]], asked: list[str] | None = None, **options: str) -> DirectoryFinder:
    def listDirectories(parent: str) -> list[str]:
        if asked is not None:
            asked.append(parent)
        return tree.get(parent, [])

    return DirectoryFinder(raw_policy(**{**DATES, **options}), listDirectories)


# ---- the comparison


@pytest.mark.parametrize(
    ("state", "sizeBytes", "isNamed"),
    [
        (FileState.REGISTERED, 11, True),
        (FileState.REGISTERED, 10, False),
        (FileState.REGISTERED, None, False),
        (FileState.QUARANTINED, 11, False),
        (FileState.WAITING, 11, False),
    ],
)
def test_a_registered_file_with_another_size_on_the_storage_is_named(state: FileState, sizeBytes: int, isNamed: bool) -> None:
    result = compareDirectory("/d", stored("a.dat"), {"a.dat": (state, sizeBytes)}, lambda name: True, LIMIT)
    assert result.wrongSize == (((stored("a.dat")["a.dat"], sizeBytes),) if isNamed else ())
    assert result.hasDifferences == isNamed


@pytest.mark.parametrize("state", list(FileState))
def test_a_file_that_the_ledger_knows_was_announced_whatever_its_state(state: FileState) -> None:
    result = compare(stored("a.dat"), {"a.dat": state})
    assert not result.hasDifferences
    assert (result.onStorage, result.inLedger) == (1, 1)


@pytest.mark.parametrize(("age", "forgotten"), [(601, True), (600, True), (599, False), (-10, False)])
def test_a_file_is_forgotten_only_when_it_lies_there_long_enough(age: float, forgotten: bool) -> None:
    assert [each.name for each in compare(stored("a.dat", age=age), {}).neverAnnounced] == (["a.dat"] if forgotten else [])


def test_a_name_that_no_file_of_the_type_has_is_foreign_and_not_forgotten() -> None:
    result = compare(stored("a.dat", "notes.txt"), {})
    assert [each.name for each in result.neverAnnounced] == ["a.dat"]
    assert result.foreign == ("notes.txt",)


@pytest.mark.parametrize(
    ("state", "missed"),
    [(state, state not in (FileState.WAIVED, FileState.DROPPED)) for state in FileState],
)
def test_an_announced_file_that_is_not_there_is_missed_unless_it_was_given_up(state: FileState, missed: bool) -> None:
    assert compare(stored(), {"a.dat": state}).notOnStorage == (("a.dat",) if missed else ())


# ---- the directories of a day


def test_days_that_determine_the_path_need_no_listing() -> None:
    asked: list[str] = []
    found = finder({}, asked).ofDays(3, date(2023, 3, 1))
    assert found == ["/juno/raw/2023/0227", "/juno/raw/2023/0228", "/juno/raw/2023/0301"]
    assert asked == []


def test_no_days_have_no_directories() -> None:
    assert finder({}).ofDays(0, date(2023, 3, 1)) == []


def test_fields_that_the_day_does_not_give_are_looked_for_on_the_storage() -> None:
    tree = {"/juno/raw/2023/0301": ["stream_A", "stream_B", "other"]}
    options = {"DirectoryPattern": "/juno/raw/{Year:4}/{MonthDay:4}/stream_{Letter}"}
    found = finder(tree, **options).ofDays(1, date(2023, 3, 1))
    assert found == ["/juno/raw/2023/0301/stream_A", "/juno/raw/2023/0301/stream_B"]


def test_a_day_that_is_only_the_start_of_a_field_is_looked_for_on_the_storage() -> None:
    tree = {"/juno/raw": ["2023030112", "2023030211", "2023030113", "tmp"]}
    options = {"DirectoryPattern": "/juno/raw/{Hour:10}", "DirectoryDate": "{Hour}", "BlockRule": "{Hour}"}
    assert finder(tree, **options).ofDays(1, date(2023, 3, 1)) == ["/juno/raw/2023030112", "/juno/raw/2023030113"]


def test_an_lfn_rule_that_moves_the_files_is_followed() -> None:
    found = finder({}, LFNRule="/vo/{Type}{Directory}/{FileName}").ofDays(1, date(2023, 3, 1))
    assert found == ["/vo/Raw/juno/raw/2023/0301"]


def test_a_type_without_dates_cannot_be_swept_and_says_why() -> None:
    with pytest.raises(PolicyError, match="DirectoryDate"):
        DirectoryFinder(raw_policy(DirectoryDate="", NameDate=""), lambda _parent: [])
