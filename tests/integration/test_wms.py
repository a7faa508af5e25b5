"""DIRAC's WMS on the testbed: a job runs at the site of its input, as its owner, and what is not allowed is refused."""

from __future__ import annotations

import subprocess
import time
import zlib

import pytest
from junotestbed.observe import unpack, waitUntil
from junotestbed.settings import SITES
from junotestbed.shell import tail
from junotestbed.traffic import site_of, stored_checksum

pytestmark = pytest.mark.integration

NODES = [site for site in SITES if site.processors]
# reads its input, asks a service of ours and writes the input backwards to the storage of its site
PAYLOAD = """#!/usr/bin/env python
import os, sys
from DIRAC.Core.Base.Script import Script
Script.parseCommandLine()
from DIRAC import siteName
from DIRAC.Core.Security.ProxyInfo import getProxyInfo
from DIRAC.Core.Utilities.ReturnValues import returnValueOrRaise as value
from DIRAC.DataManagementSystem.Client.DataManager import DataManager
from JUNODIRAC.RawDataSystem.Client.RawDataManagerClient import RawDataManagerClient

name, output, se = Script.getPositionalArgs()
content = open(name, "rb").read()
open(os.path.basename(output), "wb").write(content[::-1])
value(RawDataManagerClient().listDatasets("Raw"))
done = value(DataManager().putAndRegister(output, os.path.basename(output), se))
proxy = value(getProxyInfo())
print(siteName(), os.environ["DIRACSITE"], proxy["username"], proxy["group"], len(content), done["Failed"], flush=True)
sys.exit(3 if done["Failed"] else 0)
"""


def statuses(jobs: list[int]) -> dict[int, str]:
    from DIRAC.WorkloadManagementSystem.Client.JobMonitoringClient import JobMonitoringClient

    return {job: row["Status"] for job, row in unpack(JobMonitoringClient().getJobsStatus(jobs)).items()}


def waitForEnd(jobs: list[int], seconds: float) -> dict[int, str]:
    waitUntil("the jobs end", lambda: set(statuses(jobs).values()) <= {"Done", "Failed", "Killed"}, seconds)
    return statuses(jobs)


def newJob(site, **changes: str):
    from DIRAC.Interfaces.API.Job import Job

    job = Job(stdout="std.out", stderr="std.err")
    job.setName("wms-test")
    job.setDestination(site.dirac_name)
    job.setCPUTime(1000)
    job.setOutputSandbox(["std.out", "std.err", "payload.log"])
    return job


def submitted(job) -> int:
    from DIRAC.Interfaces.API.Dirac import Dirac

    return int(unpack(Dirac().submitJob(job)))


def test_a_job_reads_its_input_at_its_site_and_writes_there_as_the_production_manager(testbed, tmp_path):
    from DIRAC.DataManagementSystem.Client.DataManager import DataManager

    payload = tmp_path / "payload.py"
    payload.write_text(PAYLOAD)
    jobs, outputs = {}, {}
    for site in NODES:
        name = f"wms-{time.time_ns()}.in"
        content = f"input of {site.se} {name}".encode()
        local = tmp_path / name
        local.write_bytes(content)
        lfn = f"/juno/wms/{name}"
        assert not unpack(DataManager().putAndRegister(lfn, str(local), site.se))["Failed"]
        outputs[site] = (lfn.replace(".in", ".out"), f"{zlib.adler32(content[::-1]):08x}")
        job = newJob(site)
        job.setExecutable("payload.py", arguments=f"{name} {outputs[site][0]} {site.se}", logFile="payload.log")
        job.setInputSandbox([str(payload)])
        job.setInputData([lfn])
        jobs[site] = submitted(job)
    ended = waitForEnd(list(jobs.values()), 180)
    for site, job in jobs.items():
        folder = testbed.settings.workers / site.dirac_name / str(job)
        assert ended[job] == "Done", tail(folder / "payload.log", 40)
        said = (folder / "payload.log").read_text()
        assert f"{site.dirac_name} {site.dirac_name} prod juno_prod" in said
        lfn, checksum = outputs[site]
        assert stored_checksum(testbed.settings, site_of(site.se), lfn) == checksum


def test_a_job_that_asks_for_eight_processors_gets_them(testbed):
    job = newJob(NODES[0])
    job.setNumberOfProcessors(8)
    job.setExecutable("/bin/sh", arguments="-c env", logFile="payload.log")
    number = submitted(job)
    assert waitForEnd([number], 180) == {number: "Done"}
    folder = testbed.settings.workers / NODES[0].dirac_name / str(number)
    assert "DIRAC_JOB_PROCESSORS=8\n" in (folder / "payload.log").read_text()


def test_who_has_no_right_to_submit_is_refused_and_no_job_is_made(testbed, command_as, database):
    before = database.rows("JobDB", "SELECT COUNT(*) FROM Jobs")
    done = command_as("stranger", "dirac-wms-job-submit")
    assert done.returncode != 0
    assert "not authorized" in done.stdout.lower() or "rights" in done.stdout.lower(), done.stdout
    assert database.rows("JobDB", "SELECT COUNT(*) FROM Jobs") == before


@pytest.fixture
def command_as(testbed, tmp_path):
    """Submits a small job as a user, by DIRAC's own command."""
    jdl = tmp_path / "job.jdl"
    jdl.write_text('[ Executable = "/bin/true"; JobName = "refused"; CPUTime = 100; ]')

    def run(user: str, command: str) -> subprocess.CompletedProcess:
        env = testbed.settings.environment(testbed.server.proxy(user))
        return subprocess.run(
            [command, str(jdl)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
        )

    return run
