"""The stand-ins keep the contract of programs: each event is in the output once, what goes wrong has a code and a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from JUNODIRAC.Workflow.Programs import Merge, RawRec
from JUNODIRAC.Workflow.Programs.EventRecords import RecordReader, RecordWriter, countFile, makeRecord
from JUNODIRAC.Workflow.Programs.ProgramFrame import ProgramExit

pytestmark = pytest.mark.unit


@pytest.fixture
def make(tmp_path):
    """Makes a file of these events of a run, of 100 bytes each."""

    def make(name: str, events, run: int = 5) -> Path:
        with RecordWriter(tmp_path / name) as writer:
            for event in events:
                writer.write(makeRecord(run, event, bytes([event % 256]) * 100))
        return tmp_path / name

    return make


def started(program, tmp_path, inputs, *more: str) -> int:
    files = ["--output", str(tmp_path / "out"), "--summary", str(tmp_path / "out.json")]
    return program.run(["--input", *map(str, inputs), *files, "--cores", "8", "--memory-mb", "4000", *more])


def keys(path: Path):
    return [record.key for record in RecordReader(path)]


def test_reconstruction_writes_a_smaller_record_for_each_event(make, tmp_path):
    inputs = [make("one", range(5)), make("two", [7, 9]), make("three", [1], run=6)]
    assert started(RawRec, tmp_path, inputs) == ProgramExit.GOOD
    assert keys(tmp_path / "out") == [key for path in inputs for key in keys(path)]
    assert (tmp_path / "out").stat().st_size < sum(path.stat().st_size for path in inputs)
    summary = json.loads((tmp_path / "out.json").read_text())
    assert summary["inputs"][1] == {"file": str(inputs[1]), "events": 2, "first": [5, 7], "last": [5, 9]}
    assert summary["output"] == {"file": str(tmp_path / "out"), "events": 8, "first": [5, 0], "last": [6, 1]}


def test_reconstruction_of_the_same_events_gives_the_same_bytes_and_of_others_other_ones(make, tmp_path):
    first = make("one", range(5))
    started(RawRec, tmp_path, [first])
    content = (tmp_path / "out").read_bytes()
    started(RawRec, tmp_path, [first])
    assert (tmp_path / "out").read_bytes() == content
    payloads = [record.payload for record in RecordReader(tmp_path / "out")]
    assert len(set(payloads)) == 5


def test_merging_copies_each_record_byte_for_byte_in_the_order_of_the_inputs(make, tmp_path):
    inputs = [make("one", range(5)), make("empty", []), make("two", [7, 9]), make("three", [1], run=6)]
    assert started(Merge, tmp_path, inputs) == ProgramExit.GOOD
    merged = [record.content for record in RecordReader(tmp_path / "out")]
    assert merged == [record.content for path in inputs for record in RecordReader(path)]


@pytest.mark.parametrize("program", [Merge, RawRec])
def test_inputs_without_events_give_an_output_without_events(make, tmp_path, program):
    assert started(program, tmp_path, [make("one", []), make("two", [])]) == ProgramExit.GOOD
    assert countFile(tmp_path / "out").events == 0
    assert json.loads((tmp_path / "out.json").read_text())["output"]["first"] is None


def corrupted(make, tmp_path):
    path = make("bad", range(3))
    content = bytearray(path.read_bytes())
    content[80] ^= 1
    path.write_bytes(content)
    return [make("good", range(3), run=4), path], ProgramExit.INPUT_BAD, "record 1, which begins at byte 14, has another CRC"


def outOfOrder(make, tmp_path):
    return [make("late", [5]), make("early", [4])], ProgramExit.INPUTS_OUT_OF_ORDER, "is not after"


def twice(make, tmp_path):
    path = make("one", range(3))
    return [path, path], ProgramExit.INPUTS_OUT_OF_ORDER, "is not after"


def missing(make, tmp_path):
    return [tmp_path / "nothing"], ProgramExit.INPUT_UNREADABLE, "cannot be read: No such file"


@pytest.mark.parametrize("program", [Merge, RawRec])
@pytest.mark.parametrize("trouble", [corrupted, outOfOrder, twice, missing])
def test_bad_inputs_leave_no_output_and_end_with_a_code_and_a_sentence(make, tmp_path, capsys, program, trouble):
    inputs, code, sentence = trouble(make, tmp_path)
    assert started(program, tmp_path, inputs) == code
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.json").exists()
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def test_no_room_for_the_output_is_told_from_a_bad_input(make, tmp_path, capsys):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    (tmp_path / "out").symlink_to("/dev/full")
    assert started(Merge, tmp_path, [make("one", range(20_000))]) == ProgramExit.OUTPUT_NOT_WRITABLE
    assert "No space left" in capsys.readouterr().err


@pytest.mark.parametrize("program", ["RawRec", "Merge"])
def test_help_says_that_it_is_a_stand_in_and_what_the_exit_codes_mean(program):
    code = f"from JUNODIRAC.Workflow.Programs.{program} import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    text = " ".join(done.stdout.split())
    assert "A stand-in for JUNO's" in text
    assert all(f"{code.value} {code.name.lower().replace('_', ' ')}" in text for code in ProgramExit)


def test_the_programs_load_nothing_but_the_standard_library(make, tmp_path):
    """A worker node starts them thousands of times."""
    code = (
        "import sys; import JUNODIRAC.Workflow.Programs.RawRec, JUNODIRAC.Workflow.Programs.Merge; print('DIRAC' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
