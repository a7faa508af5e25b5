from __future__ import annotations

import io
import json

import pytest
from test_commands import Command

from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError
from JUNODIRAC.RawDataSystem.scripts import dirac_juno_dataset as module

pytestmark = pytest.mark.unit

DATASET = {
    "Name": "week",
    "Path": "/juno/datasets/week",
    "Type": "Raw",
    "FirstBlock": "20230301",
    "LastBlock": "20230302",
    "State": "Dynamic",
    "Created": "2026-11-22T10:06:54.000+00:00",
    "CreatedBy": "prod",
    "Frozen": None,
    "FrozenBy": "",
    "ContentHash": "",
    "Files": 3,
    "SizeBytes": 6000,
    "NotDone": ["20230302", "20230302-late1"],
    "Blocks": [
        {"Block": "20230301", "State": "Done", "Parent": "", "Files": 2, "SizeBytes": 4000},
        {"Block": "20230302", "State": "Closed", "Parent": "", "Files": 1, "SizeBytes": 2000},
        {"Block": "20230302-late1", "State": "Open", "Parent": "20230302", "Files": 0, "SizeBytes": 0},
    ],
}
FROZEN = {**DATASET, "State": "Frozen", "Frozen": "2026-11-22T10:06:58.000+00:00", "FrozenBy": "prod", "ContentHash": "ab" * 32}
GOOD = {
    "Name": "week",
    "State": "Frozen",
    "Matches": True,
    "ContentHash": "ab" * 32,
    "Files": 3,
    "SizeBytes": 6000,
    "HashNow": "ab" * 32,
    "FilesNow": 3,
    "SizeBytesNow": 6000,
    "Counts": {},
    "Differences": [],
}
FACTS = {"SizeBytes": 1, "Checksum": "0000000a"}
BAD = {
    **GOOD,
    "Matches": False,
    "Counts": {"Ledger": {"Added": 1, "Changed": 1}, "DatasetList": {"Missing": 1}},
    "Differences": [
        {"LFN": "/juno/raw/1\x1b", "Where": "Ledger", "Kind": "Added", "Wanted": None, "Found": FACTS},
        {"LFN": "/juno/raw/2", "Where": "Ledger", "Kind": "Changed", "Wanted": FACTS, "Found": {**FACTS, "SizeBytes": 2}},
        {"LFN": "/juno/raw/3", "Where": "DatasetList", "Kind": "Missing", "Wanted": FACTS, "Found": None},
    ],
}
CREATE = {"type": "Raw", "from": "20230301", "to": "20230302", "reason": "r"}


def run(arguments, answers, **switches) -> Command:
    command = Command(answers, switches, arguments)
    command.status = module.runVerb(command)
    return command


def test_a_dataset_is_made_over_the_range_that_was_given_with_its_reason(capsys):
    command = run(["create", "week"], [DATASET, DATASET], **CREATE, yes="")
    assert command.calls == [
        ("getDatasetPlan", "week", "Raw", "20230301", "20230302"),
        ("createDataset", "week", "Raw", "20230301", "20230302", "r"),
    ]
    assert "would make" in capsys.readouterr().err


@pytest.mark.parametrize("missing", CREATE)
def test_nothing_is_asked_as_long_as_a_part_of_the_range_or_the_reason_is_missing(missing):
    with pytest.raises(CommandError, match=f"--{missing}"):
        run(["create", "week"], [], **{name: value for name, value in CREATE.items() if name != missing})


@pytest.mark.parametrize(("verb", "switches"), [("create", CREATE), ("freeze", {"reason": "r"})])
def test_nothing_is_changed_without_a_yes(verb, switches, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(CommandError, match="nothing was changed"):
        run([verb, "week"], [DATASET], **switches)


def test_freezing_tells_every_block_that_is_not_done_before_it_asks(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(CommandError):
        run(["freeze", "week"], [DATASET], reason="r")
    told = capsys.readouterr().err
    assert "block 20230302 is Closed" in told
    assert "block 20230302-late1 is Open" in told
    assert "20230301" not in told


def test_a_frozen_dataset_is_shown_with_its_hash_and_late_files_with_their_block():
    text = run(["freeze", "week"], [DATASET, FROZEN], reason="r", yes="").out.getvalue()
    for value in ("Frozen, 3 files, 6.0 kB", "ab" * 32, "frozen 2026-11-22 10:06:58 by prod", "in 20230302\n"):
        assert value in text


@pytest.mark.parametrize(("answer", "status"), [(GOOD, 0), (BAD, 1)])
@pytest.mark.parametrize("switches", [{}, {"json": ""}])
def test_the_exit_status_of_a_check_says_whether_all_is_as_it_should_be(answer, status, switches):
    assert run(["check", "week"], [answer], **switches).status == status


def test_each_file_that_differs_is_told_with_where_and_how():
    text = run(["check", "week"], [BAD]).out.getvalue()
    assert "ledger: 1 added, 1 changed" in text
    assert "/juno/raw/1\\x1b  was added, 1 bytes adler32 0000000a (ledger)" in text
    assert "/juno/raw/2  was changed from 1 bytes adler32 0000000a to 2 bytes adler32 0000000a (ledger)" in text
    assert "/juno/raw/3  is missing, was 1 bytes adler32 0000000a (list of the dataset in the catalogue)" in text


def test_the_list_has_a_line_for_each_dataset():
    command = run(["list"], [[{**FROZEN, "Blocks": 3}]], type="Raw")
    assert command.calls == [("listDatasets", "Raw")]
    assert [line.split()[:7] for line in command.out.getvalue().splitlines()[1:]] == [
        ["week", "Raw", "20230301", "20230302", "3", "2", "3"]
    ]


@pytest.mark.parametrize("arguments", [["list"], ["show", "week"], ["check", "week"]])
def test_the_document_is_what_the_service_answered(arguments):
    answer = {"list": [FROZEN], "show": FROZEN, "check": GOOD}[arguments[0]]
    assert json.loads(run(arguments, [answer], json="").out.getvalue()) == answer


@pytest.mark.parametrize("arguments", [["show"], ["show", "a", "b"]])
def test_a_verb_on_a_dataset_takes_one_name(arguments):
    with pytest.raises(CommandError, match="takes one NAME"):
        run(arguments, [])
