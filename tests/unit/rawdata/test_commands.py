from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from DIRAC.Core.Utilities.DErrno import ENOAUTH

from JUNODIRAC.Core.Domain.BlockInChain import BlockInChain
from JUNODIRAC.Core.Utilities.TextTable import Cell, formatBytes, renderTable
from JUNODIRAC.RawDataSystem.Client.BlockVerbs.OpenVerb import planText
from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError, CommandLine, ServiceDown, failureOf
from JUNODIRAC.RawDataSystem.scripts import dirac_juno_block, dirac_juno_block_status, dirac_juno_file_history

SITE = {
    "SE": "JINR-EOS",
    "TransformationID": 7,
    "TransformationStatus": "Active",
    "TransformationFiles": {"Processed": 9, "Assigned": 1},
    "Files": 10,
    "Done": 9,
    "DoneBytes": 9_000_000_000,
    "Percent": 90.0,
    "Complete": False,
}
BLOCK = {
    "Block": "20230302",
    "Type": "Raw",
    "State": "Open",
    "Files": 10,
    "Announced": 2,
    "Waiting": 0,
    "Quarantined": 3,
    "Waived": 1,
    "Dropped": 0,
    "WaivedFiles": [],
    "Complete": False,
    "Sites": [SITE],
}
ANSWER = {"Blocks": [BLOCK], "Total": 1, "Quarantine": {"Raw": {"Conflict": 3}}, "Unavailable": []}
UNKNOWN_SITE = {
    **SITE,
    "TransformationStatus": None,
    "TransformationFiles": None,
    "Done": None,
    "DoneBytes": None,
    "Percent": None,
}
COMPLETE = {**ANSWER, "Blocks": [{**BLOCK, "Complete": True}]}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Command(CommandLine):
    """A command line without DIRAC: given switches, and the service's answers one after the other."""

    def __init__(self, answers, switches=None, arguments=(), out=None):
        self.out = out or io.StringIO()
        self.switches = switches or {}
        self.arguments = list(arguments)
        self.answers = list(answers)
        self.calls = []

    def call(self, method, *args):
        self.calls.append((method, *args))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def noSleep(monkeypatch):
    monkeypatch.setattr(dirac_juno_block_status.time, "sleep", lambda seconds: None)


def test_a_block_row_says_site_files_done_percent_bytes_and_transformation():
    text = dirac_juno_block_status.statusText(ANSWER, colour=False)
    row = next(line for line in text.splitlines() if "JINR-EOS" in line)
    for value in ("20230302", "Raw", "10", "9", "90.0", "9.0 GB", "7", "Active", "Assigned 1, Processed 9"):
        assert value in row
    assert "2 file(s) announced and not yet registered" in text
    assert "3 file(s) quarantined" in text
    assert "1 file(s) waived" in text
    assert "not yet visible" not in text
    assert "refused announcements of Raw, open: Conflict 3" in text


def test_the_waived_files_of_a_block_are_named_with_who_when_and_why():
    file = {
        "FileName": "Daq.7.dat",
        "LFN": "/juno/raw/Daq.7.dat",
        "Code": "NotOnStorage",
        "Detail": "no /juno/raw/Daq.7.dat there",
        "ClosedBy": "prod",
        "ClosedTime": "2023-03-02T12:00:00.000+00:00",
        "Why": "lost\x1b[2J with node 5",
    }
    text = dirac_juno_block_status.statusText(
        {**ANSWER, "Blocks": [{**BLOCK, "WaivedFiles": [file]}]}, colour=False, withNames=True
    )
    for value in ("Daq.7.dat", "NotOnStorage: no it there", "by prod 2023-03-02 12:00:00", "with node 5"):
        assert value in text
    assert "\x1b" not in text


def test_how_far_a_block_is_in_its_chains_is_one_line_and_what_it_waits_for_is_told_of_a_named_block():
    chain = BlockInChain("rerec-J1-v1", "Stopped", "Waiting", 1, 2, 1200, 0, "1,200 files wait\ntwo", "", "step x is held: y")
    answer = {**ANSWER, "Blocks": [{**BLOCK, "Chains": [chain.toDict()]}]}
    line = "Raw 20230302: chain rerec-J1-v1: Waiting, 1 of 2 steps ended, 0 of 1200 files went in, the chain is Stopped"
    lines = dirac_juno_block_status.statusText(answer, colour=False).splitlines()
    assert line in lines
    assert "  1,200 files wait" not in lines
    lines = dirac_juno_block_status.statusText(answer, colour=False, withNames=True).splitlines()
    assert lines[lines.index(line) + 1 :][:3] == ["  step x is held: y", "  1,200 files wait", "  two"]


def test_what_is_not_available_is_said_and_shown_as_a_question_mark():
    answer = {**ANSWER, "Blocks": [{**BLOCK, "Sites": [UNKNOWN_SITE]}], "Unavailable": ["DataManagement/FileCatalog is away"]}
    text = dirac_juno_block_status.statusText(answer, colour=False)
    assert "not available: DataManagement/FileCatalog is away" in text
    assert "?" in text
    assert not dirac_juno_block_status.allComplete(answer)


def test_blocks_beyond_the_limit_are_mentioned():
    assert "the newest 1 of 30 blocks" in dirac_juno_block_status.statusText({**ANSWER, "Total": 30}, colour=False)


def test_a_block_without_transfers_has_a_row_and_no_blocks_a_sentence():
    text = dirac_juno_block_status.statusText({**ANSWER, "Blocks": [{**BLOCK, "State": "Known", "Sites": []}]}, colour=False)
    assert "Known" in text
    assert "no blocks" in dirac_juno_block_status.statusText({**ANSWER, "Blocks": []}, colour=False)


@pytest.mark.parametrize(("out", "isColoured"), [(Terminal(), True), (io.StringIO(), False)])
def test_colours_are_written_to_a_terminal_only(out, isColoured):
    assert dirac_juno_block_status.showStatus(Command([ANSWER], out=out)) == 0
    assert ("\033[" in out.getvalue()) == isColoured


def test_json_is_the_answer_and_nothing_else():
    command = Command([ANSWER], {"json": "", "type": "Raw"}, ["20230302"])
    assert dirac_juno_block_status.showStatus(command) == 0
    assert json.loads(command.out.getvalue()) == ANSWER
    assert command.calls == [("getBlockStatus", "20230302", "Raw", 200)]


def test_watch_asks_until_all_is_complete_and_survives_a_service_that_is_away_for_a_while():
    command = Command([ANSWER, ServiceDown("away"), ANSWER, COMPLETE], {"watch": ""})
    assert dirac_juno_block_status.showStatus(command) == 0
    assert command.answers == []


def test_watch_with_json_writes_one_document_at_the_end():
    command = Command([ANSWER, COMPLETE], {"watch": "", "json": ""})
    dirac_juno_block_status.showStatus(command)
    assert json.loads(command.out.getvalue()) == COMPLETE


def test_watch_ends_with_an_error_when_the_service_is_down_from_the_start():
    with pytest.raises(CommandError):
        dirac_juno_block_status.showStatus(Command([ServiceDown("away")], {"watch": ""}))


def test_a_history_shows_state_events_and_what_is_not_available():
    event = {"Time": "2023-03-02T12:00:00.000+00:00", "Source": "ledger", "Event": "quarantined: empty", "Reason": "ZeroSize"}
    replica = {"Time": None, "Source": "catalogue", "Event": "replica at JINR-EOS"}
    answer = {
        "LFN": "/juno/x.dat",
        "Type": "Raw",
        "Block": "20230302",
        "State": "Quarantined",
        "Fields": {"RunNumber": "5"},
        "Events": [event, replica],
        "Unavailable": ["FTS3 is away"],
    }
    command = Command([answer], arguments=["LFN:/juno/x.dat"])
    assert dirac_juno_file_history.showHistory(command) == 0
    text = command.out.getvalue()
    for value in ("block 20230302, Quarantined", "RunNumber 5", "2023-03-02 12:00:00 ", "replica at JINR-EOS", "FTS3 is away"):
        assert value in text
    assert command.calls == [("getFileHistory", "/juno/x.dat")]


PLAN = {
    "Block": "20230302",
    "Type": "Raw",
    "Directory": "/juno/raw/2023/0302",
    "Transfers": {"JINR-EOS": {"Name": "C-20230302-JINR-EOS", "TransformationID": None}},
}
OPENED = {"Directory": "/juno/raw/2023/0302", "Transfers": {"JINR-EOS": 7}, "Files": 10}
WHY = {"type": "Raw", "reason": "new site"}


def test_opening_a_block_shows_its_plan_and_needs_a_yes(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    command = Command([PLAN, OPENED], WHY, ["open", "20230302"])
    with pytest.raises(CommandError, match="--yes"):
        dirac_juno_block.runVerb(command)
    assert [call[0] for call in command.calls] == ["getTransferPlan"]
    assert "C-20230302-JINR-EOS to JINR-EOS: to be made" in capsys.readouterr().err


def test_the_plan_for_a_follow_up_block_names_the_block_whose_late_files_it_has():
    plan = {"Block": "20230302-late1", "Type": "Raw", "Directory": "", "Parent": "20230302", "Transfers": {}}
    assert planText(plan) == "block 20230302-late1 of Type Raw: late files of block 20230302, with"


def test_opening_a_block_with_yes_passes_the_reason_on():
    command = Command([PLAN, OPENED], {**WHY, "yes": ""}, ["open", "20230302"])
    assert dirac_juno_block.runVerb(command) == 0
    assert command.calls[-1] == ("openTransfers", "20230302", "Raw", "new site")
    assert "10 file(s)" in command.out.getvalue()


@pytest.mark.parametrize("missing", ["type", "reason"])
def test_a_change_without_type_or_reason_is_refused_before_anything_is_asked(missing):
    command = Command([], {key: value for key, value in WHY.items() if key != missing}, ["open", "20230302"])
    with pytest.raises(CommandError, match=f"--{missing}"):
        dirac_juno_block.runVerb(command)


def test_failures_say_who_refused_and_what_to_do():
    assert "dirac-proxy-init" in str(failureOf("Unauthorized query", ENOAUTH))
    assert isinstance(failureOf("Can't connect to dips://host:9380: Connection refused", 0), ServiceDown)
    assert str(failureOf("no block x of Type Raw", 0)) == "no block x of Type Raw"


RUN = """
import sys
from DIRAC import gLogger
from JUNODIRAC.RawDataSystem.Client import CommandLine as module

module.Script.parseCommandLine = lambda: (gLogger.notice("a log line"), print("a print"))

def act(command):
    if "fail" in sys.argv:
        raise module.CommandError("no such block")
    gLogger.error("another log line")
    command.writeJSON({"a": 1})
    return 0

sys.exit(module.runCommand(act))
"""


def test_nothing_but_the_result_reaches_stdout_and_an_error_ends_with_status_1():
    good = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=False)
    assert json.loads(good.stdout) == {"a": 1}
    assert good.returncode == 0
    assert "a log line" in good.stderr
    assert "a print" in good.stderr
    bad = subprocess.run([sys.executable, "-c", RUN, "fail"], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "ERROR: no such block" in bad.stderr


def test_columns_are_aligned_whatever_the_colour():
    rows = [[Cell("a", "good"), Cell("1")], [Cell("long name"), Cell("1000", "bad")]]
    plain = renderTable(("Name", "Count"), rows, ("Count",), colour=False)
    assert plain.splitlines() == ["Name       Count", "a              1", "long name   1000"]


@pytest.mark.parametrize(
    ("sizeBytes", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (45_100_000_000_000, "45.1 TB"),
    ],
)
def test_bytes_are_shown_in_powers_of_1000(sizeBytes, text):
    assert formatBytes(sizeBytes) == text
