"""The program of a step: it gets what the contract says, and however it ends the job knows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Workflow.Job.JobState import JobStep
from JUNODIRAC.Workflow.Job.ProgramRunner import lastLine, programCommand, runProgram, shortenLog

pytestmark = pytest.mark.unit

STEP = JobStep("rerec-1-v1", "rawrec", "process", "program", ("--tag", "J24"), 8, 16_000)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes a program of a shell script, in the PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def program(script: str, name: str = "program") -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return program


def run(tmp_path, step=STEP) -> None:
    command = programCommand(step, [tmp_path / "a", tmp_path / "b"], tmp_path / "out", tmp_path / "summary")
    runProgram(command, tmp_path / "log")


def failure(tmp_path, step=STEP) -> JobFailure:
    with pytest.raises(JobFailure) as caught:
        run(tmp_path, step)
    return caught.value


def test_a_program_gets_what_the_contract_says(program, tmp_path):
    program('for word in "$@"; do echo "$word"; done')
    run(tmp_path)
    assert (tmp_path / "log").read_text().split() == [
        "--input", f"{tmp_path}/a", f"{tmp_path}/b", "--output", f"{tmp_path}/out", "--summary", f"{tmp_path}/summary",
        "--cores", "8", "--memory-mb", "16000", "--tag", "J24",
    ]  # fmt: skip


@pytest.mark.parametrize("executable", ["no-such-program", "/no/such/program"])
def test_a_program_that_is_not_there_is_missing(program, tmp_path, executable):
    caught = failure(tmp_path, replace(STEP, executable=executable))
    assert caught.error is JobError.PROGRAM_MISSING
    assert executable in caught.detail


def test_a_program_that_cannot_be_started_is_missing(program, tmp_path):
    path = program("")
    path.write_text("#!/no/such/shell\n")
    assert failure(tmp_path).error is JobError.PROGRAM_MISSING


@pytest.mark.parametrize("code", [1, 3, 127, 200, 222, 255])
def test_the_exit_code_of_a_program_that_fails_is_kept_with_its_last_words(program, tmp_path, code):
    program(f"echo working; echo 'no conditions for run 7' >&2; exit {code}")
    caught = failure(tmp_path)
    assert caught.error is JobError.PROGRAM_FAILED
    assert caught.detail == f"program ended with exit code {code}: no conditions for run 7"


def test_a_program_that_is_killed_is_told_from_one_that_fails(program, tmp_path):
    program("echo half; kill -9 $$")
    caught = failure(tmp_path)
    assert caught.error is JobError.PROGRAM_KILLED
    assert caught.detail == "program by signal 9 (SIGKILL); half"


def test_a_program_that_is_killed_inside_of_a_wrapper_is_killed(program, tmp_path):
    program("sh -c 'kill -11 $$'; exit $?")
    caught = failure(tmp_path)
    assert caught.error is JobError.PROGRAM_KILLED
    assert "SIGSEGV" in caught.detail


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_dies_with_its_job(program, tmp_path, how):
    program(f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    code = (
        "import sys; from pathlib import Path; from JUNODIRAC.Workflow.Job.ProgramRunner import runProgram;"
        f" runProgram(['{tmp_path}/program'], Path('{tmp_path}/log'))"
    )
    job = subprocess.Popen([sys.executable, "-c", code])
    pid = int(waitFor(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    job.send_signal(how)
    job.wait(30)
    assert waitFor(lambda: not isAlive(pid))


def waitFor(condition, seconds: float = 30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about")


def isAlive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_log_keeps_its_beginning_and_its_end(tmp_path):
    log = tmp_path / "log"
    log.write_text("first\n" + "x" * 1000 + "\nlast\n\n")
    shortenLog(log, 400)
    text = log.read_text()
    assert text.startswith("first\n")
    assert "bytes left out" in text
    assert lastLine(log) == "last"
    assert len(text) < 500


def test_a_program_that_says_nothing_is_quoted_so(tmp_path):
    (tmp_path / "log").write_bytes(b"\xff\n\n")
    assert lastLine(tmp_path / "log") == "\ufffd"
    (tmp_path / "log").write_bytes(b"\n")
    assert lastLine(tmp_path / "log") == lastLine(tmp_path / "nothing") == "it said nothing"


def test_json_is_not_needed_for_a_command(tmp_path, program):
    """Arguments of the chain are handed over as they stand there, whatever is in them."""
    program('for word in "$@"; do echo "$word"; done')
    run(tmp_path, replace(STEP, arguments=("a b", "$HOME;", json.dumps({"x": 1}))))
    assert (tmp_path / "log").read_text().splitlines()[-3:] == ["a b", "$HOME;", '{"x": 1}']
