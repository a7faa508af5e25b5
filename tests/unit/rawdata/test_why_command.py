"""What dirac-juno-why shows of the service's answer, and how it ends."""

from __future__ import annotations

import json

import pytest
from test_commands import Command

from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError, ServiceDown
from JUNODIRAC.RawDataSystem.scripts import dirac_juno_why as module

LFN = "/juno/raw/2023/0302/a.dat"


def link(name: str, state: str, text: str, code: str = "Code") -> dict:
    return {"Link": name, "State": state, "Code": code, "Text": text, "Time": "2023-03-04T12:00:00.000+00:00", "IDs": {}}


def verdictOf(state: str, **more: object) -> dict:
    told = {"State": state, "Code": "CopyFailed", "Link": "FTS3 job", "SE": "CNAF-STORM", "Text": "attempt 3 failed: no space"}
    told |= {"Since": "2023-03-04T12:00:00.000+00:00", "Who": "SITE", "Actor": "site administrator of CNAF-STORM"}
    return told | {"Command": "dirac-juno-block retransfer 20230302"} | more


def answerOf(state: str = "broken", **more: object) -> dict:
    site = {"SE": "CNAF-STORM", "Chain": [link("FTS3 job", state, "attempt 3 failed")], "Verdict": verdictOf(state)}
    site |= {"Standings": [{"Link": "FTS3 job", "Code": "CopyFailed", "Files": 7, "LFN": LFN}]}
    site["Example"] = {"LFN": LFN, "Chain": [link("task", "holds", "task 3: Done"), link("FTS3 job", state, "its own text")]}
    answer = {"Kind": "Block", "Block": "20230302", "Type": "Raw", "State": "Closed", "Time": "2023-03-04T12:05:00.000+00:00"}
    answer |= {"Chain": [link("ledger", "holds", "3 files registered")], "Sites": [site], "Verdict": verdictOf(state)}
    return answer | {"Unavailable": []} | more


def run(answer: dict, *arguments: str, **switches: str) -> tuple[int, str]:
    command = Command([answer], switches, arguments or ("20230302",))
    status = module.explain(command)
    return status, command.out.getvalue()


def test_the_verdict_has_the_reason_since_when_who_acts_and_what_to_type():
    _, text = run(answerOf())
    for said in (
        "block 20230302 of Type Raw: Closed",
        "does not hold at CNAF-STORM: FTS3 job",
        "attempt 3 failed: no space",
        "2023-03-04 12:00:00 (5 m ago)",
        "site administrator of CNAF-STORM",
        "dirac-juno-block retransfer 20230302",
        "7 files stand at FTS3 job: CopyFailed",
        f"the way of {LFN}",
        "its own text",
    ):
        assert said in text


@pytest.mark.parametrize(("state", "status"), [("holds", 0), ("waits", 0), ("broken", 1), ("unknown", 1)])
def test_the_exit_status_says_whether_something_does_not_hold(state, status):
    assert run(answerOf(state))[0] == status


def test_links_that_are_not_reached_are_left_out_and_silent_services_are_named():
    links = [link("ledger", "holds", "registered"), link("task", "waits", "not yet", "NotYet")]
    _, text = run(answerOf("unknown", Chain=links, Unavailable=["DataManagement/FTS3Manager is not available: refused"]))
    assert "not yet" not in text
    assert "not available: DataManagement/FTS3Manager is not available: refused" in text


def test_json_is_the_answer_of_the_service():
    status, text = run(answerOf("broken"), json="")
    assert (status, json.loads(text)) == (1, answerOf("broken"))


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (("20230302",), ("getBlockExplanation", "20230302", "Raw", "CNAF-STORM")),
        ((LFN,), ("getFileExplanation", LFN, "CNAF-STORM")),
        ((f"LFN:{LFN}",), ("getFileExplanation", LFN, "CNAF-STORM")),
    ],
)
def test_what_begins_with_a_slash_is_a_file(arguments, call):
    command = Command([answerOf()], arguments=arguments, switches={"type": "Raw", "site": "CNAF-STORM"})
    module.explain(command)
    assert command.calls == [call]


def test_what_nobody_knows_is_an_argument_that_cannot_be_used_and_a_silent_service_is_not():
    assert module.explain(Command([CommandError("the ledger knows no block x")], arguments=("x",))) == module.UNUSABLE
    with pytest.raises(ServiceDown):
        module.explain(Command([ServiceDown("away")], arguments=("x",)))


def test_control_characters_of_messages_do_not_reach_the_terminal():
    _, text = run(answerOf("broken", Verdict=verdictOf("broken", Text="bad \x1b[31m name")))
    assert "\x1b" not in text
