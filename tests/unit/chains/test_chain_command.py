"""dirac-juno-chain asks before it changes, says what it would do, and shows what it is told."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from JUNODIRAC.Core.Domain.ChainRules import Known
from JUNODIRAC.ProductionSystem.Client import ChainCommand
from JUNODIRAC.ProductionSystem.Client.ChainVerbs import ChainFiles, LookVerbs
from JUNODIRAC.ProductionSystem.scripts import dirac_juno_chain as module
from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError, CommandLine

pytestmark = pytest.mark.unit
DATA = Path(__file__).parents[2] / "data/chains"
KNOWN = Known({"Raw", "RTRaw"}, {"DIRAC.CNAF.it", "DIRAC.JINR.ru"}, {"IHEP-JUNOEOS", "CNAF-STORM", "JINR-EOS"})
STEP = {
    "Step": "rawrec",
    "Kind": "process",
    "Input": "RTRaw",
    "Output": "ESD",
    "Directory": "/juno/esd/rerec-1-v2/rawrec/<Block>",
    "Sites": ["DIRAC.CNAF.it"],
    "Destinations": [],
    "Gates": ["run-good"],
    "Transformations": ["rerec-1-v2-rawrec"],
}
SCOPE = {"Blocks": ["b1"], "Datasets": [], "EachNewBlock": False, "Files": 3, "SizeBytes": 3_000_000}
START_PLAN = {
    "Production": "rerec-1-v2",
    "Chain": "rerec",
    "Version": "1",
    "OutputVersion": 2,
    "Type": "RTRaw",
    "Completes": False,
    "Differs": "rerec-1-v1",
    "Earlier": [{"Block": "b1", "Production": "rerec-1-v1"}],
    "Steps": [STEP],
    **SCOPE,
}
STARTED = {
    "Production": "rerec-1-v2",
    "ProductionID": 4,
    "State": "Active",
    "Blocks": 1,
    "Transformations": {"rawrec": 7},
}
EXTEND_PLAN = {"Production": "rerec-1-v1", "State": "Active", "New": ["b1"], "Earlier": [], **SCOPE}
SWITCH_PLAN = {
    "Production": "rerec-1-v1",
    "State": "Stopped",
    "NewState": "Active",
    "Transformations": [{"Step": "rawrec", "SE": "", "TransformationID": 7, "Held": "storage-up: away\x1b[2J"}],
}
TROUBLE = {
    "LFN": "/juno/a",
    "Block": "b1",
    "Step": "rawrec",
    "SE": "",
    "State": "GivenUp",
    "Attempts": 5,
    "Error": "InputUnreadable",
    "Detail": "no such file",
}
STATUS = {
    "Production": "rerec-1-v1",
    "State": "Active",
    "Type": "RTRaw",
    "Scope": {"Blocks": ["b1"], "EachNewBlock": True, "Datasets": []},
    "Steps": [
        {
            "Step": "rawrec",
            "Kind": "process",
            "Input": "RTRaw",
            "Output": "ESD",
            "RunningJobs": 3,
            "DerivedLastHour": 12,
            "ETA": None,
            "Transformations": [
                {
                    "TransformationID": 7,
                    "SE": "",
                    "Status": "Stopped",
                    "Held": "storage-up: away",
                    "HeldTime": None,
                    "Files": {"Unused": 4},
                },
            ],
        },
    ],
    "Blocks": [
        {
            "Block": "b1",
            "State": "Problem",
            "Wanted": 5,
            "Waits": "2 files for a good run",
            "Problem": "GivenUp: 4 in step rawrec",
            "Steps": [
                {
                    "Step": "rawrec",
                    "HasEnded": False,
                    "Inputs": 4,
                    "Derived": 3,
                    "Outputs": 3,
                    "EventsIn": 60,
                    "EventsOut": 59,
                    "SizeBytes": 5,
                    "GivenUp": 4,
                },
            ],
        },
    ],
    "Troubles": [TROUBLE | {"LFN": f"/juno/f{number}"} for number in range(5)],
    "TroublesTotal": 5,
    "Unavailable": ["TS: away"],
}


class Command(CommandLine):
    """A command line whose service is a list of answers."""

    def __init__(self, arguments, switches) -> None:
        self.out, self.arguments, self.switches = io.StringIO(), list(arguments), switches


@pytest.fixture
def run(monkeypatch):
    """Runs a verb: the answers come one after the other, and what was asked is kept."""

    def runVerb(arguments, answers=(), **switches):
        left, calls = list(answers), []
        monkeypatch.setattr(ChainCommand, "callChains", lambda *call: (calls.append(call), left.pop(0))[1])
        command = Command(arguments, {name.replace("_", "-"): value for name, value in switches.items()})
        command.status = module.runVerb(command)
        command.calls, command.text = calls, command.out.getvalue()
        return command

    return runVerb


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(LookVerbs, "_configuration", lambda: KNOWN)


def test_a_check_says_each_file_and_fails_if_one_is_wrong(run):
    good, bad = str(DATA / "good/least.yaml"), str(DATA / "bad/places.yaml")
    assert run(["check", good]).status == 0
    both = run(["check", good, bad])
    assert both.status == 1
    assert "least.yaml: chain least, version 1.10, is good" in both.text
    assert both.text.count("places.yaml:") == 5
    asJSON = json.loads(run(["check", bad], json="").text)
    assert [error["Line"] for error in asJSON["Files"][0]["Errors"]] == [8, 9, 10, 15, 19]


def test_a_check_without_a_configuration_says_what_it_did_not_compare(run, monkeypatch, capsys):
    monkeypatch.setattr(LookVerbs, "_configuration", Known)
    assert run(["check", str(DATA / "good/least.yaml")]).status == 0
    assert "Types, sites, storage elements were not compared" in capsys.readouterr().err


def test_a_chain_is_found_by_its_name_and_the_installation_comes_first(run, monkeypatch, tmp_path):
    assert "chain rerec-merge" in run(["check", "rerec-merge"]).text
    (tmp_path / "rerec.yaml").write_text((DATA / "good/least.yaml").read_text())
    monkeypatch.setattr(ChainFiles, "folders", lambda real=ChainFiles.folders: [tmp_path, *real()])
    assert "chain least" in run(["check", "rerec"]).text
    with pytest.raises(CommandError, match="did you mean rerec-merge"):
        run(["check", "rerec-merg"])
    with pytest.raises(CommandError, match="there is no file nothing.yaml"):
        run(["check", "nothing.yaml"])


def test_a_start_shows_what_it_would_make_and_sends_text_blocks_and_reason(run, capsys):
    path = DATA / "good/least.yaml"
    switches = {"blocks": "b1, b2", "again": "", "each_new_block": ""}
    done = run(["start", str(path)], [START_PLAN, STARTED], reason="why", yes="", **switches)
    blocks = {"Blocks": ["b1", "b2"], "From": "", "To": "", "Dataset": "", "EachNewBlock": True, "Again": True}
    assert done.calls == [
        ("getStartPlan", path.read_text(), str(path), blocks),
        ("startChain", path.read_text(), str(path), blocks, "why"),
    ]
    plan = capsys.readouterr().err
    for said in (
        "starts rerec-1-v2",
        "transformations rerec-1-v2-rawrec",
        "gates run-good",
        "writes to /juno/esd/rerec-1-v2/rawrec/<Block>",
        "1 blocks of now with 3 registered files, 3.0 MB: b1",
        "AGAIN: block b1 went through rerec-1-v1",
        "not that of rerec-1-v1",
    ):
        assert said in plan
    assert "chain rerec-1-v2 is Active: production 4" in done.text


CHANGES = [
    (["start", "rerec"], START_PLAN),
    (["extend", "rerec-1-v1"], EXTEND_PLAN),
    (["stop", "rerec-1-v1"], SWITCH_PLAN),
    (["resume", "rerec-1-v1"], SWITCH_PLAN),
    (["waive", "rerec-1-v1", "/juno/a"], [TROUBLE]),
]


@pytest.mark.parametrize(
    ("arguments", "plan"), CHANGES, ids=lambda value: value[0] if isinstance(value, list) and value else None
)
def test_nothing_is_changed_without_a_yes_or_without_a_reason(run, monkeypatch, arguments, plan):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(CommandError, match="nothing was changed: add --yes"):
        run(arguments, [plan], reason="why")
    with pytest.raises(CommandError, match="--reason is needed"):
        run(arguments, [plan], yes="")


def test_a_resume_says_what_stays_held_without_obeying_what_it_says(run, capsys):
    done = run(["resume", "rerec-1-v1"], [SWITCH_PLAN, {"Production": "rerec-1-v1", "State": "Active"}], reason="r", yes="")
    assert done.calls[-1] == ("resumeChain", "rerec-1-v1", "r")
    said = capsys.readouterr().err
    assert "stays held: storage-up: away" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(("undo", "words"), [({}, "1 inputs and copies are waived"), ({"undo": ""}, "tried again")])
def test_files_are_waived_or_tried_again(run, undo, words):
    done = run(["waive", "rerec-1-v1", "/juno/a"], [[TROUBLE], {"Changed": 1}], reason="r", yes="", **undo)
    assert done.calls[-1] == ("waiveInputs", "rerec-1-v1", ["/juno/a"], bool(undo), "r")
    assert words in done.text


def test_a_status_shows_steps_blocks_what_waits_and_what_is_held(run, capsys):
    shown = run(["status", "rerec-1-v1"], [STATUS]).text
    for said in (
        "rerec-1-v1: Active, from RTRaw, 1 blocks, takes each new block",
        "7 Stopped",
        "4 Unused",
        "is held since",
        "storage-up: away",
        "4/5",
        "2 files for a good run",
        "GivenUp: 4 in step rawrec",
        "5 files in rawrec after 5 attempts: InputUnreadable",
        "/juno/f2",
        "and 2 more",
    ):
        assert said in shown, said
    assert "/juno/f3" not in shown
    assert "NOT COMPLETE: TS: away" in capsys.readouterr().err
    assert json.loads(run(["status", "rerec-1-v1"], [STATUS], json="").text)["Production"] == "rerec-1-v1"


def test_a_status_without_a_chain_shows_those_that_are_not_ended(run):
    chains = [{"Production": "a", "State": "Active"}, {"Production": "b", "State": "Ended"}]
    assert run(["status"], [chains, STATUS]).calls == [("listChains",), ("getChainStatus", "a", "")]
    with pytest.raises(CommandError, match="--block goes with one chain"):
        run(["status"], [[]], block="b1")
