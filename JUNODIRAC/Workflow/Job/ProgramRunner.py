"""Starts the program of a step by the contract of programs, and knows how it ended."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Workflow.Job.JobState import JobStep

#: of its log, for people: the beginning and the end are kept
MAX_LOG_BYTES = 4_000_000
_TAIL_BYTES = 4096
_MAX_LINE_CHARS = 500
_KILL_SECONDS = 10
_PR_SET_PDEATHSIG = 1
# loaded here: between fork and exec there is no loading
_LIBC = ctypes.CDLL(None)
#: how a shell says that what it ran was ended by a signal
_SHELL_SIGNALS = range(129, 129 + 31)


def programCommand(step: JobStep, inputs: Sequence[Path], output: Path, summary: Path) -> list[str]:
    """What is started; the step's own arguments come last.

    :raises JobFailure: if there is no such program
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    program = shutil.which(step.executable, path=path)
    if program is None:
        raise JobFailure(JobError.PROGRAM_MISSING, f"{step.executable} is not in {path}")
    files = ["--input", *map(str, inputs), "--output", str(output), "--summary", str(summary)]
    return [program, *files, "--cores", str(step.cores), "--memory-mb", str(step.memoryMB), *step.arguments]


def runProgram(command: Sequence[str], log: Path) -> None:
    """Run a program to its end; it dies with this process, and all that it started with it if this process has the time.

    :param log: gets all that it says
    :raises JobFailure: if it cannot be started, fails or is killed
    """
    with log.open("ab") as stream:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, preexec_fn=_dieToo
            )
        except OSError as error:
            raise JobFailure(JobError.PROGRAM_MISSING, f"{command[0]} cannot be started: {error.strerror}") from error
        try:
            code = process.wait()
        except BaseException:
            _end(process)
            raise
    shortenLog(log)
    name = Path(command[0]).name
    if code < 0 or code in _SHELL_SIGNALS:
        number = -code if code < 0 else code - 128
        raise JobFailure(JobError.PROGRAM_KILLED, f"{name} by signal {number}{_signalName(number)}; {lastLine(log)}")
    if code:
        raise JobFailure(JobError.PROGRAM_FAILED, f"{name} ended with exit code {code}: {lastLine(log)}")


def lastLine(log: Path) -> str:
    """The last line of a log that is not empty, cut to what fits into a status."""
    with suppress(OSError), log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = [line.strip() for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
        if lines:
            return lines[-1][-_MAX_LINE_CHARS:]
    return "it said nothing"


def shortenLog(log: Path, maxBytes: int = MAX_LOG_BYTES) -> None:
    """Take the middle out of a log that is too long for the output sandbox."""
    sizeBytes = log.stat().st_size
    if sizeBytes <= maxBytes:
        return
    with log.open("rb") as stream:
        beginning = stream.read(maxBytes // 4)
        stream.seek(sizeBytes - maxBytes // 2)
        end = stream.read()
    gap = f"\n... {sizeBytes - len(beginning) - len(end)} bytes left out ...\n".encode()
    log.write_bytes(beginning + gap + end)


def _dieToo() -> None:
    """In the new process: a group of its own, and the kernel kills it when the job dies, however that happens."""
    os.setpgid(0, 0)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_KILL_SECONDS)
            return


def _signalName(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""
