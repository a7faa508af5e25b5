"""SIGTERM ends the receiver whatever its main thread waits for."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from JUNODIRAC.RawDataSystem.Client.StopGuard import StopGuard


class Bench:
    def __init__(self, log, stopSeconds, leave=lambda: None):
        self.stopped, self.exits = threading.Event(), []
        self.guard = StopGuard(log, stopSeconds, lambda: False, self.stopped.set, lambda: "7 messages", leave, self.exits.append)


def test_a_main_thread_that_does_not_end_is_ended_and_what_it_leaves_is_said(log):
    left = []
    bench = Bench(log, 0.0, lambda: left.append(True))
    bench.guard.stop()
    assert bench.stopped.is_set()
    assert left == [True]
    assert bench.exits == [0]
    assert "7 messages" in log.at("warn")[0]


def test_a_main_thread_that_ends_in_time_is_left_alone(log):
    bench = Bench(log, 60.0)
    bench.guard.disarm()
    bench.guard.stop()
    assert bench.exits == []
    assert log.lines == []


def test_leaving_that_fails_does_not_keep_the_process(log):
    def leave():
        raise RuntimeError("broker gone")

    bench = Bench(log, 0.0, leave)
    bench.guard.stop()
    assert bench.exits == [0]


def test_leaving_that_hangs_does_not_keep_the_process(log, monkeypatch):
    monkeypatch.setattr("JUNODIRAC.RawDataSystem.Client.StopGuard._LEAVE_SECONDS", 0.05)
    release, hasLeft, leftAtExit = threading.Event(), threading.Event(), []

    def leave():
        release.wait(20)
        hasLeft.set()

    bench = Bench(log, 0.0, leave)
    bench.guard._exitProcess = lambda _status: leftAtExit.append(hasLeft.is_set())
    bench.guard.stop()
    release.set()
    assert leftAtExit == [False]


@pytest.mark.parametrize("isFile", [False, True])
def test_a_process_that_hangs_in_a_library_is_ended_by_the_signal_or_the_file(isFile, tmp_path):
    # a C call that holds the main thread and that no Python handler interrupts
    program = """
import ctypes, os, sys
sys.path[:0] = {path!r}
from JUNODIRAC.RawDataSystem.Client.StopGuard import StopGuard
class Log:
    def __getattr__(self, _level):
        return lambda *texts: print(*texts)
def asked():
    return os.path.exists({file!r})
StopGuard(Log(), 0.1, asked, lambda: print("asked to stop"), lambda: "a batch", lambda: print("left")).arm()
print("ready", flush=True)
while True:
    ctypes.CDLL(None).sleep(60)
"""
    file = tmp_path / "stop_agent"
    source = program.format(path=sys.path, file=str(file))
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        if isFile:
            file.touch()
        else:
            os.kill(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "asked to stop" in output
    assert "a batch" in output
    assert "left" in output
