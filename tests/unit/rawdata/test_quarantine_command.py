from __future__ import annotations

import base64
import io
import json

import pytest
from test_commands import Command

from JUNODIRAC.Core.Utilities.TextTable import cut, hexDump, printable
from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError, ServiceDown
from JUNODIRAC.RawDataSystem.scripts import dirac_juno_quarantine as module

REASONS = {"BadName": {"Sentence": "the name does not follow the pattern", "Remedy": "rename the file"}}


def record(number: int, **changes: object) -> dict:
    values = {
        "ID": number,
        "Time": "2023-03-02T12:00:00.123+00:00",
        "Type": "Raw",
        "Block": "20230302",
        "FileName": f"Daq.{number}.dat",
        "LFN": f"/juno/raw/2023/0302/Daq.{number}.dat",
        "Code": "BadName",
        "State": "Open",
        "Detail": "it does not follow Daq.{RunNumber:d}.dat",
    }
    return values | changes


def answer(*records: dict, total: int | None = None) -> dict:
    return {"Records": list(records), "Total": total or len(records), "Counts": {"BadName": len(records)}, "Reasons": REASONS}


def run(answers, *arguments, **switches) -> Command:
    """The command after it ran; ``status`` is its exit status."""
    switches = {name.replace("_", "-"): value for name, value in switches.items()}
    command = Command(answers, switches, arguments)
    command.status = module.runVerb(command)
    return command


def test_a_list_shows_each_record_and_counts_each_reason_with_its_remedy():
    text = run([answer(record(1), record(2), total=7)], "list").out.getvalue()
    for value in ("2023-03-02 12:00:00", "Raw", "20230302", "Daq.2.dat", "it does not follow", "7 record(s), the newest 2"):
        assert value in text
    assert "2 BadName: the name does not follow the pattern; rename the file" in text
    assert "State" not in text


def test_states_are_shown_where_they_differ():
    text = run([answer(record(1), record(2, State="Waived"))], "list", all_states="").out.getvalue()
    assert "State" in text
    assert "Waived" in text


def test_the_detail_does_not_repeat_the_name_that_has_a_column_of_its_own():
    detail = "/juno/raw/2023/0302/Daq.1.dat was announced with 5 bytes, the storage has Daq.1.dat with 6"
    text = run([answer(record(1, Detail=detail))], "list").out.getvalue()
    assert "it was announced with 5 bytes, the storage has it with 6" in text


def test_nothing_in_quarantine_is_said():
    assert "no records" in run([answer()], "list").out.getvalue()


def test_the_options_that_choose_reach_the_service_with_times_in_utc():
    command = run(
        [answer()],
        "list",
        "3",
        type="Raw",
        code="BadName",
        block="20230302",
        file="x.dat",
        since="2023-03-02",
        until="0s",
        limit="5",
    )
    ((method, filters, limit),) = command.calls
    assert (method, limit) == ("listQuarantine", 5)
    assert filters.pop("Until").endswith("+00:00")
    assert filters == {
        "Type": "Raw",
        "Code": "BadName",
        "Block": "20230302",
        "File": "x.dat",
        "Since": "2023-03-02T00:00:00.000+00:00",
        "IDs": [3],
        "AllStates": False,
    }


@pytest.mark.parametrize(
    ("switches", "arguments", "message"),
    [
        ({"since": "yesterday"}, ["list"], "UTC time"),
        ({"limit": "-1"}, ["list"], "--limit"),
        ({}, ["list", "x1"], "an ID is a number"),
        ({}, ["show"], "one ID"),
        ({}, ["replay", "1"], "--reason"),
        ({"reason": "r"}, ["drop"], "drop what"),
        ({"reason": "r", "again": ""}, ["waive", "1"], "--again"),
    ],
)
def test_what_cannot_be_understood_is_refused_before_the_service_is_asked(switches, arguments, message):
    with pytest.raises(CommandError, match=message):
        run([], *arguments, **switches)


FULL = record(
    17,
    Sentence="the name does not follow the pattern",
    Remedy="rename the file",
    Topic="juno.raw",
    Partition=1,
    Offset=42,
    PayloadBytes=7,
    PayloadBase64=base64.b64encode(b"\xff\x00\x1b[2J{").decode(),
    Journal=[{"Time": "2023-03-03T08:00:00.000+00:00", "Action": "replay", "Actor": "ann", "Group": "prod", "Reason": "fixed"}],
)


def test_show_tells_everything_and_bytes_that_are_no_text_in_hexadecimal():
    text = run([FULL], "show", "17").out.getvalue()
    for value in ("record 17", "Daq.17.dat", "juno.raw", "42", "rename the file", "replay by ann of prod: fixed", "ff 00 1b 5b"):
        assert value in text
    assert "\x1b" not in text


def test_a_text_payload_is_shown_as_it_is_without_what_a_terminal_would_obey():
    assert module.payloadText('{"a": "é\x1b[2J",\n\t1}'.encode()) == '{"a": "é\\x1b[2J",\n\t1}'
    assert module.payloadText(b"") == "(empty)"


def test_the_message_is_written_byte_for_byte_to_a_new_file_only(tmp_path):
    target = tmp_path / "message"
    run([FULL], "show", "17", output=str(target))
    assert target.read_bytes() == b"\xff\x00\x1b[2J{"
    with pytest.raises(CommandError, match="exists"):
        run([FULL], "show", "17", output=str(target))
    with pytest.raises(CommandError, match="could not be written"):
        run([FULL], "show", "17", output=str(tmp_path / "no" / "where"))


DONE = {"Done": [1, 2], "Refused": []}


@pytest.mark.parametrize(
    ("verb", "method", "arguments"),
    [
        ("replay", "replayQuarantined", ([1, 2], "why", False)),
        ("waive", "waiveQuarantined", ([1, 2], "why")),
        ("drop", "dropQuarantined", ([1, 2], "why")),
    ],
)
def test_a_change_shows_what_it_would_do_and_changes_exactly_that(verb, method, arguments, capsys):
    command = run([answer(record(1), record(2)), DONE], verb, code="BadName", reason="why", yes="")
    assert command.calls[-1] == (method, *arguments)
    assert command.calls[0][1] == {"Code": "BadName", "AllStates": False}
    assert "Daq.1.dat" in capsys.readouterr().err
    assert "2 record(s): 1, 2" in command.out.getvalue()
    assert command.status == 0


def test_without_a_yes_nothing_is_changed(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    command = Command([answer(record(1))], {"reason": "why", "code": "BadName"}, ["drop"])
    with pytest.raises(CommandError, match="nothing was changed"):
        module.runVerb(command)
    assert [call[0] for call in command.calls] == ["listQuarantine"]


def test_an_unknown_id_changes_nothing_and_is_named():
    with pytest.raises(CommandError, match="no record 9"):
        run([answer(record(1))], "drop", "1", "9", reason="why", yes="")


def test_no_record_chosen_is_an_error():
    with pytest.raises(CommandError, match="no record is chosen"):
        run([answer()], "drop", code="BadName", reason="why", yes="")


def test_what_the_service_refused_is_named_by_id_and_gives_another_exit_status(capsys):
    done = {"Done": [2], "Refused": [{"ID": 1, "Why": "it is Retried, not Open; use --again"}]}
    command = run([answer(record(1), record(2)), done], "replay", "1", "2", reason="why", yes="")
    assert command.status == 1
    assert "record 1 not replayed: it is Retried" in capsys.readouterr().err
    assert "replayed 1 record(s): 2" in command.out.getvalue()


def test_a_failure_in_the_middle_says_what_was_done_and_what_is_not_known(monkeypatch):
    monkeypatch.setattr(module, "_RECORDS_PER_CALL", 2)
    answers = [answer(*map(record, (1, 2, 3, 4, 5))), DONE, ServiceDown("away")]
    command = Command(answers, {"reason": "why", "code": "BadName", "yes": ""}, ["drop"])
    with pytest.raises(ServiceDown, match="3, 4, 5"):
        module.runVerb(command)
    assert "dropped 2 record(s): 1, 2" in command.out.getvalue()


def test_json_of_a_change_is_what_became_of_each_record():
    command = run([answer(record(1), record(2)), DONE], "waive", "1", "2", reason="why", yes="", json="")
    assert json.loads(command.out.getvalue()) == {"Done": [1, 2], "Refused": [], "NotTried": []}


def test_nothing_that_a_terminal_obeys_comes_out_of_a_name():
    text = run([answer(record(1, FileName="a\x1b]0;x\x07b\n", Detail="\u202e"))], "list").out.getvalue()
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text


def test_a_hex_dump_shows_each_byte_once():
    lines = hexDump(bytes(range(40))).splitlines()
    shown = [byte for line in lines for byte in line[10:57].split()]
    assert [int(byte, 16) for byte in shown] == list(range(40))
    assert hexDump(bytes(100), maxBytes=20).endswith("... 80 bytes more")


def test_long_texts_are_cut_and_short_ones_are_not():
    assert (cut("abcdef", 6), cut("abcdefg", 6)) == ("abcdef", "abc...")
    assert printable("a\tb", keep="\t") == "a\tb"
