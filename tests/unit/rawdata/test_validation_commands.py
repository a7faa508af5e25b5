"""dirac-juno-block validate and report: what is shown, and with which exit status they end."""

from __future__ import annotations

import io
import json

import pytest
from test_commands import Command, Terminal

from JUNODIRAC.RawDataSystem.Client.BlockVerbs import ReportVerb, ValidateVerb
from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError, ServiceDown
from JUNODIRAC.RawDataSystem.Client.ProgressBar import ProgressBar
from JUNODIRAC.RawDataSystem.scripts import dirac_juno_block

KINDS = ("Missing", "Extra", "WrongSize", "WrongChecksum", "Uncatalogued", "Unanswered")
PLAN = {"Block": "20230302", "Type": "Raw", "Sites": ["A", "B"], "Files": 3}
WHY = {"type": "Raw", "reason": "because", "yes": ""}


def validation(se="A", verdict="Good", **names):
    return {
        "SE": se,
        "Verdict": verdict,
        "StartedTime": "2023-03-03T10:00:00.000+00:00",
        "Names": names,
        "Details": dict.fromkeys(names.get("Missing", []), "it is not on the storage"),
        **{f"{kind}Files": len(names.get(kind, [])) for kind in KINDS},
        "Summary": f"{verdict} summary",
        "Failure": "",
    }


def site(found, done=3, ended=True, failure="", se=None):
    return {"SE": se or found["SE"], "Done": done, "Total": 3, "Ended": ended, "Failure": failure, "Validation": found}


@pytest.fixture(autouse=True)
def noSleep(monkeypatch):
    monkeypatch.setattr(ValidateVerb.time, "sleep", lambda seconds: None)


def run(command):
    return dirac_juno_block.runVerb(command)


def test_validate_waits_for_all_sites_and_shows_each(capsys):
    running = [site(None, 1, False, se="A"), site(None, 0, False, se="B")]
    command = Command([PLAN, "token", running, [site(validation("A")), site(validation("B"))]], WHY, ["validate", "20230302"])
    assert run(command) == 0
    assert command.calls[1] == ("startValidation", "Raw", "20230302", [], "because")
    assert command.calls[2:] == [("getValidationProgress", "token")] * 2
    assert command.out.getvalue() == "A: Good, Good summary\nB: Good, Good summary\n"
    assert "A: 1 of 3 files" in capsys.readouterr().err


def test_files_that_differ_are_named_and_the_exit_status_is_not_0():
    found = validation("A", "Bad", Missing=["/d/a"], Extra=["/d/x\x1b[2J"])
    command = Command([PLAN, "token", [site(found)]], WHY, ["validate", "20230302"])
    assert run(command) == 1
    text = command.out.getvalue()
    assert "missing: /d/a  (it is not on the storage)" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("verdict", ["Bad", "Incomplete"])
def test_json_has_everything_and_the_same_exit_status(verdict):
    command = Command([PLAN, "token", [site(validation("A", verdict))]], {**WHY, "json": ""}, ["validate", "20230302"])
    assert run(command) == 1
    assert json.loads(command.out.getvalue())["Validations"][0]["Verdict"] == verdict


def test_sites_can_be_chosen():
    command = Command([PLAN, "token", [site(validation())]], {**WHY, "site": "A, B"}, ["validate", "20230302"])
    run(command)
    assert command.calls[0] == ("getValidationPlan", "Raw", "20230302", ["A", "B"])
    assert command.calls[1][3] == ["A", "B"]


def test_a_service_that_is_away_for_a_moment_is_asked_again_and_one_that_forgot_ends_the_command():
    answers = [PLAN, "token", ServiceDown("away"), CommandError("this validation is not known: the service was started anew")]
    command = Command(answers, WHY, ["validate", "20230302"])
    with pytest.raises(CommandError, match="started anew"):
        run(command)


def test_a_service_that_stays_away_ends_the_command(monkeypatch):
    monkeypatch.setattr(ValidateVerb, "_PATIENCE_SECONDS", -1)
    with pytest.raises(ServiceDown):
        run(Command([PLAN, "token", ServiceDown("away")], WHY, ["validate", "20230302"]))


def test_a_site_that_could_not_be_looked_at_is_an_error_after_the_others_were_shown():
    sites = [site(validation("A")), site(None, failure="the catalogue is away", se="B")]
    command = Command([PLAN, "token", sites], WHY, ["validate", "20230302"])
    with pytest.raises(CommandError, match="B: the catalogue is away"):
        run(command)
    assert "A: Good" in command.out.getvalue()


def test_validate_asks_first(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    command = Command([PLAN], {"type": "Raw", "reason": "because"}, ["validate", "20230302"])
    with pytest.raises(CommandError, match="--yes"):
        run(command)
    assert len(command.calls) == 1


# ---- report

SITE = {"SE": "A", "State": "Done", "Problem": "", "Files": 3, "Bytes": 30, "Missing": [], "Validation": validation()}
WHOLE = {
    "Block": "20230302",
    "Type": "Raw",
    "State": "Done",
    "Problem": "",
    "FollowUpOf": "",
    "Declared": 3,
    "Announced": 3,
    "Registered": 3,
    "RegisteredBytes": 30,
    "Catalogued": 3,
    "Waived": 0,
    "Dropped": 0,
    "Whole": True,
    "Problems": [],
    "NotRegistered": [],
    "NotCatalogued": [],
    "Sites": [SITE],
    "Unavailable": [],
}
BROKEN = {
    **WHOLE,
    "Block": "20230303",
    "Whole": False,
    "Problems": ["1 files are missing at A"],
    "NotRegistered": [
        {"LFN": "/d/q", "State": "Quarantined", "SizeBytes": 0, "Code": "ZeroSize", "Detail": "empty"},
        {"LFN": "/d/w", "State": "Waived", "SizeBytes": 0, "Code": "ZeroSize", "Detail": "empty"},
    ],
    "Sites": [{**SITE, "Files": 2, "Bytes": 20, "Missing": ["/d/c"], "Validation": validation("A", "Bad", WrongSize=["/d/b"])}],
}


def test_a_block_that_is_whole_is_one_row_a_site_and_exit_status_0():
    command = Command([[["Raw", "20230302"]], WHOLE], {"type": "Raw"}, ["report", "20230302"])
    assert run(command) == 0
    assert command.calls == [("listReportBlocks", "Raw", ["20230302"], "", ""), ("getBlockReport", "Raw", "20230302")]
    (_, row) = command.out.getvalue().splitlines()
    assert row.split()[:-1] == ["20230302", "Raw", "Done", "3", "3", "3", "A", "Done", "3", "0", "30", "B", "Good", "2023-03-03"]


def test_every_missing_file_is_named_with_its_reason():
    command = Command([[["Raw", "20230303"]], BROKEN], {}, ["report", "20230303"])
    assert run(command) == 1
    text = command.out.getvalue()
    for line in ("quarantined: /d/q  ZeroSize: empty", "waived: /d/w\n", "missing at A: /d/c", "wrong size: /d/b"):
        assert line in text


def test_a_range_has_totals_in_files_and_bytes_for_each_site():
    blocks = [["Raw", "20230302"], ["Raw", "20230303"]]
    command = Command([blocks, WHOLE, BROKEN], {"from": "20230301", "to": "20230307"}, ["report"])
    assert run(command) == 1
    assert command.calls[0] == ("listReportBlocks", "", [], "20230301", "20230307")
    text = command.out.getvalue()
    (total,) = [line.split() for line in text.splitlines() if line.startswith("total")]
    assert total == ["total", "A", "2", "blocks", "5", "1", "50", "B"]
    assert "1 of 2 blocks are whole; announced 6, registered 6 files with 60 B, catalogued 6" in text


def test_json_has_the_blocks_and_the_totals():
    command = Command([[["Raw", "20230302"]], WHOLE], {"json": ""}, ["report", "20230302"])
    run(command)
    document = json.loads(command.out.getvalue())
    assert document["Blocks"] == [WHOLE]
    assert document["Totals"]["Sites"] == {"A": {"Blocks": 1, "Expected": 3, "Files": 3, "Bytes": 30, "Missing": 0}}


def test_what_the_catalogue_did_not_tell_is_a_question_mark():
    report = {**WHOLE, "Catalogued": None, "Whole": False, "Sites": [{**SITE, "Files": None, "Bytes": None}]}
    command = Command([[["Raw", "20230302"]], report], {}, ["report", "20230302"])
    assert run(command) == 1
    assert " ?" in command.out.getvalue()


@pytest.mark.parametrize(
    ("switches", "names"), [({}, []), ({"from": "1"}, []), ({"from": "1", "to": "2"}, ["20230302"]), ({"to": "2"}, [])]
)
def test_blocks_or_a_range_have_to_be_named(switches, names):
    with pytest.raises(CommandError, match="--from"):
        run(Command([], switches, ["report", *names]))


def test_a_report_without_any_site_is_shown():
    command = Command([[["Raw", "20230302"]], {**WHOLE, "Sites": [], "Whole": False}], {}, ["report", "20230302"])
    assert run(command) == 1
    assert ReportVerb.TITLES[0] in command.out.getvalue()


# ---- the bar


def test_a_bar_moves_on_a_terminal_and_is_a_line_now_and_then_elsewhere():
    terminal, pipe = Terminal(), io.StringIO()
    for out in (terminal, pipe):
        bar = ProgressBar("files", out)
        for done in range(101):
            bar.show([("A", done, 100), ("B", 0, 0)])
    assert terminal.getvalue().count("\033[2A") == 100
    assert "[##############################] 100 of 100 files" in terminal.getvalue()
    assert len(pipe.getvalue().splitlines()) <= 11
    assert pipe.getvalue().splitlines()[-1] == "A: 100 of 100 files"
