from __future__ import annotations

import io
import json

import pytest
from test_commands import Command

from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError, ServiceDown
from JUNODIRAC.RawDataSystem.scripts import dirac_juno_gaps as module

GAP = {
    "Type": "Raw",
    "RunNumber": 7750,
    "StreamType": "PHYSICS",
    "StreamName": "GLOBAL",
    "Files": 8,
    "First": 1,
    "Last": 12,
    "Missing": [[3, 3], [7, 9]],
    "MissingFiles": 4,
}
DIRECTORY = {"Type": "Raw", "Directory": "/juno/raw/2023/0302", "Block": "20230302"}
GAPS = {"Gaps": [GAP], "Series": 3, "Directories": [DIRECTORY], "Unavailable": []}
NO_GAPS = {**GAPS, "Gaps": []}
SAME = {**DIRECTORY, "NeverAnnounced": [], "NotOnStorage": [], "WrongSize": [], "BadNames": []}
DIFFERENT = {
    **DIRECTORY,
    "NeverAnnounced": [{"FileName": "Daq.3.dat", "LFN": "/juno/raw/2023/0302/Daq.3.dat", "StoredBytes": 2000}],
    "NotOnStorage": [{"FileName": "Daq.4.dat", "LFN": "/juno/raw/2023/0302/Daq.4.dat", "State": "Registered"}],
    "WrongSize": [{"FileName": "Daq.5.dat", "LFN": "/juno/raw/2023/0302/Daq.5.dat", "SizeBytes": 10, "StoredBytes": 9}],
    "BadNames": [{"FileName": "core\x1b.123", "LFN": "/juno/raw/2023/0302/core.123", "StoredBytes": 5}],
}
DONE = {"Done": [{"LFN": "/juno/raw/2023/0302/Daq.3.dat"}], "Refused": []}


def run(answers, **switches) -> Command:
    command = Command(answers, {name.replace("_", "-"): value for name, value in switches.items()})
    command.status = module.showGaps(command)
    return command


@pytest.mark.parametrize(
    ("answers", "status"),
    [([NO_GAPS, SAME], 0), ([GAPS, SAME], 2), ([NO_GAPS, DIFFERENT], 2), ([NO_GAPS, CommandError("storage is away")], 1)],
)
def test_the_exit_status_is_0_only_if_nothing_is_missing_and_all_could_be_asked(answers, status):
    assert run(answers).status == status


@pytest.mark.parametrize("key", module.DIFFERENCES)
def test_every_kind_of_difference_counts_as_missing(key):
    assert run([NO_GAPS, {**SAME, key: DIFFERENT[key]}]).status == 2


def test_numbers_are_shown_as_ranges_and_files_by_name():
    text = run([GAPS, DIFFERENT]).out.getvalue()
    for value in ("7750", "PHYSICS", "GLOBAL", "3, 7-9", "4 sequence number(s) missing", "Daq.3.dat  2.0 kB"):
        assert value in text
    assert "Daq.4.dat  Registered" in text
    assert "Daq.5.dat  announced 10 bytes, on the storage 9" in text
    assert "core\\x1b.123" in text
    assert "storage: 1; files: 1 on the storage and never announced, 1 announced and not on the storage" in text


def test_a_directory_that_could_not_be_compared_is_named_and_the_others_are_shown():
    two = {**NO_GAPS, "Directories": [DIRECTORY, {**DIRECTORY, "Directory": "/juno/raw/2023/0303"}]}
    text = run([two, CommandError("storage is away"), DIFFERENT]).out.getvalue()
    assert "not available: Raw /juno/raw/2023/0302: storage is away" in text
    assert "Daq.3.dat" in text


def test_progress_is_told_directory_by_directory_beside_the_result(capsys):
    command = run([NO_GAPS, SAME], json="")
    assert "1/1 Raw /juno/raw/2023/0302" in capsys.readouterr().err
    assert json.loads(command.out.getvalue())["Directories"] == [SAME]


def test_without_the_storage_only_the_numbers_are_asked_for():
    command = run([GAPS], no_storage="")
    assert [call[0] for call in command.calls] == ["getGaps"]
    assert command.status == 2


@pytest.mark.parametrize(
    ("switches", "selection"),
    [
        ({}, {"Type": "", "Days": 2}),
        ({"type": "Raw", "days": "5"}, {"Type": "Raw", "Days": 5}),
        ({"block": "20230302"}, {"Type": "", "Block": "20230302"}),
        ({"run": "7750"}, {"Type": "", "Run": 7750}),
    ],
)
def test_what_is_looked_at_is_chosen_by_block_by_run_or_by_days(switches, selection):
    assert run([NO_GAPS, SAME], **switches).calls[0] == ("getGaps", selection)


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"block": "a", "run": "1"}, "cannot be combined"),
        ({"run": "x"}, "--run"),
        ({"days": "0"}, "--days"),
        ({"announce": "", "no_storage": "", "reason": "r"}, "--no-storage"),
        ({"announce": ""}, "--reason"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_asked(switches, message):
    with pytest.raises(CommandError, match=message):
        run([], **switches)


def test_announcing_needs_a_yes(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(CommandError, match="nothing was changed"):
        run([NO_GAPS, DIFFERENT], announce="", reason="lost")


def test_forgotten_files_are_announced_with_the_reason_and_told():
    command = run([NO_GAPS, DIFFERENT, DONE], announce="", reason="lost", yes="")
    assert command.calls[-1] == ("announceForgotten", "Raw", ["/juno/raw/2023/0302/Daq.3.dat"], "lost")
    assert "announced 1 file(s)" in command.out.getvalue()


def test_a_file_that_was_not_announced_is_named_with_its_reason(capsys):
    refused = {"Done": [], "Refused": [{"LFN": "/juno/raw/2023/0302/Daq.3.dat", "Why": "the ledger knows it"}]}
    run([NO_GAPS, DIFFERENT, refused], announce="", reason="lost", yes="")
    assert "not announced: /juno/raw/2023/0302/Daq.3.dat: the ledger knows it" in capsys.readouterr().err


def test_a_failure_while_announcing_says_how_far_it_came_and_still_writes_the_document(monkeypatch, capsys):
    monkeypatch.setattr(module, "_FILES_PER_CALL", 1)
    two = {**DIFFERENT, "NeverAnnounced": DIFFERENT["NeverAnnounced"] * 2}
    command = Command([NO_GAPS, two, DONE, ServiceDown("away")], {"announce": "", "reason": "lost", "yes": "", "json": ""})
    with pytest.raises(ServiceDown, match="repeat the command"):
        module.showGaps(command)
    assert "1 of 2 file(s)" in capsys.readouterr().err
    assert json.loads(command.out.getvalue())["Directories"] == [two]
