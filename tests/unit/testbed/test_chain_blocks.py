"""Files of events as the testbed makes them, and finding the processes of jobs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from junotestbed.chainblocks import eventFile
from junotestbed.chainjudge import eventsOf
from junotestbed.jobprocesses import killJob, processesOf
from junotestbed.settings import Settings

pytestmark = pytest.mark.unit


def test_a_made_file_has_the_events_that_were_asked_for_and_the_same_seed_gives_the_same_bytes():
    content = eventFile(7, range(3, 6), seed=1)
    assert [event[:2] for event in eventsOf(content, isReconstructed=False)] == [(7, 3), (7, 4), (7, 5)]
    assert content == eventFile(7, range(3, 6), seed=1) != eventFile(7, range(3, 6), seed=2)


def test_the_stand_in_for_the_reconstruction_keeps_what_the_judge_knows_an_event_by(tmp_path):
    from JUNODIRAC.Workflow.Programs.RawRec import run

    (tmp_path / "in").write_bytes(eventFile(7, range(20), seed=1))
    assert run(["--input", f"{tmp_path}/in", "--output", f"{tmp_path}/out", "--summary", f"{tmp_path}/summary"]) == 0
    before, after = (tmp_path / "in").read_bytes(), (tmp_path / "out").read_bytes()
    assert eventsOf(before, isReconstructed=False) == eventsOf(after, isReconstructed=True)


def test_all_processes_of_a_job_are_found_and_killed_and_those_of_others_are_not(tmp_path):
    settings = Settings(tmp_path)
    folders = {job: settings.workers / "DIRAC.CNAF.it" / str(job) for job in (1, 12)}
    for folder in folders.values():
        folder.mkdir(parents=True)
    sleep = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    started = [subprocess.Popen(sleep, cwd=folders[job], stdout=subprocess.PIPE) for job in (1, 1, 12)]
    for process in started:
        process.stdout.readline()
    try:
        assert {process.pid for process in processesOf(settings, 1)} == {process.pid for process in started[:2]}
        assert killJob(settings, 1) >= 2
        assert [process.wait(10) for process in started[:2]] == [-9, -9]
        assert started[2].poll() is None
    finally:
        for process in started:
            process.kill()
            process.wait()
            process.stdout.close()
