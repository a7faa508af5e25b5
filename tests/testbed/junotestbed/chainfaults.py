"""Cases of the fault matrix of chains: jobs, sites, services and agents that end or hang in the middle."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from junotestbed.blockfaults import siteDown
from junotestbed.chainblocks import Attempt, NotReached
from junotestbed.chainmatrix import LOSES, Run, case
from junotestbed.faults import away, frozen, killed
from junotestbed.jobprocesses import killJob, processesOf, send
from junotestbed.observe import unpack
from junotestbed.processfaults import killAll
from junotestbed.settings import SITES

IHEP, CNAF, IN2P3, JINR = (site.se for site in SITES)
SEED = 20260
_MANAGER, _CATALOGUE = "Production_ChainManager", "DataManagement_FileCatalog"
# so long somebody waits for the next job of a block
_JOB_SECONDS = 300


@case("no fault", "none")
def noFault(run: Run) -> None:
    """The rest waits until the block is done."""


# ---- jobs


def atWork(run: Run, seen: set[int], what: str = "another job at work") -> Attempt:
    """The next attempt of the block that began and was not seen before."""

    def find() -> Attempt | None:
        return next((each for each in run.block.attempts("Running") if each.attemptID not in seen), None)

    found = run.block.until(what, find, _JOB_SECONDS, every=0.4)
    seen.add(found.attemptID)
    return found


def stateOf(run: Run, attempt: Attempt) -> str:
    return run.block.database.rows("RawDataDB", "SELECT State FROM Attempts WHERE AttemptID = %s", attempt.attemptID)[0][0]


def programStarted(run: Run, attempt: Attempt) -> bool:
    """Wait until the program of a job is at work; False if the attempt ended before."""

    def look() -> str:
        if any(process.isProgram for process in processesOf(run.testbed.settings, attempt.jobID)):
            return "yes"
        return "" if stateOf(run, attempt) == "Running" else "no"

    return run.block.until("the program of a job", look, 120, every=0.1) == "yes"


@case("programs killed", "the programs of the first three jobs are killed (kill -9) at random times")
def programsKilled(run: Run) -> None:
    chooser, seen, hit = random.Random(SEED), set(), 0
    for _ in range(3):
        attempt = atWork(run, seen)
        if not programStarted(run, attempt):
            continue
        time.sleep(chooser.uniform(0, 2))
        programs = [process for process in processesOf(run.testbed.settings, attempt.jobID) if process.isProgram]
        hit += bool(send(programs, signal.SIGKILL))
    run.facts["programs killed"] = hit


@case("jobs killed", "the first two jobs are killed (kill -9), wrapper and all, at random times")
def jobsKilled(run: Run) -> None:
    chooser, seen, hit = random.Random(SEED + 1), set(), 0
    for _ in range(2):
        attempt = atWork(run, seen)
        time.sleep(chooser.uniform(0, 3))
        hit += bool(killJob(run.testbed.settings, attempt.jobID))
    run.facts["jobs killed"] = hit


@case("job runs twice", "the job of a task is submitted a second time, and both work at once")
def runsTwice(run: Run) -> None:
    """The first one to be at work is held up until the other one is."""
    from DIRAC.WorkloadManagementSystem.Client.JobMonitoringClient import JobMonitoringClient
    from DIRAC.WorkloadManagementSystem.Client.WMSClient import WMSClient

    settings, block = run.testbed.settings, run.block
    job = min(block.until("a first job", block.jobs, _JOB_SECONDS, every=0.3))
    twin = unpack(WMSClient().submitJob(unpack(JobMonitoringClient().getJobJDL(job, True))))

    def ours() -> list[Attempt]:
        return [each for each in block.attempts() if each.jobID in (job, twin)]

    first = block.until("one of them at work", ours, _JOB_SECONDS)[0]
    programStarted(run, first)
    held = processesOf(settings, first.jobID)
    send(held, signal.SIGSTOP)
    try:
        # not so long that it is taken for dead
        with suppress(NotReached):
            block.until("both at work", lambda: len(ours()) == 2, 25)
    finally:
        send(held, signal.SIGCONT)

    def ended() -> list[Attempt]:
        found = ours()
        return found if len(found) == 2 and "Running" not in {each.state for each in found} else []

    states = [f"{each.state} {each.errorName}".strip() for each in block.until("an end of both", ended, _JOB_SECONDS)]
    run.facts["the two attempts"] = " and ".join(states)


@case("dead job comes back", "a job is held up until it was declared dead, and goes on when another one has done its work")
def deadComesBack(run: Run) -> None:
    settings, block = run.testbed.settings, run.block
    attempt = atWork(run, set())
    programStarted(run, attempt)
    held = processesOf(settings, attempt.jobID)
    send(held, signal.SIGSTOP)
    try:
        block.until("declared dead", lambda: stateOf(run, attempt) == "Dead", _JOB_SECONDS, every=1)
        block.until("another one's output", lambda: _doneByAnother(run, attempt), _JOB_SECONDS, every=1)
        # it is the job that comes back first: its wrapper would be told to kill it
        send([process for process in held if not process.isWrapper], signal.SIGCONT)
        time.sleep(10)
    finally:
        send(held, signal.SIGCONT)
    block.until("its end", lambda: not processesOf(settings, attempt.jobID), 90, every=1)
    run.facts["the dead one"] = block.database.rows(
        "RawDataDB", "SELECT CONCAT(State, ' ', Error) FROM Attempts WHERE AttemptID = %s", attempt.attemptID
    )[0][0]


def _doneByAnother(run: Run, attempt: Attempt) -> bool:
    """Whether all tasks of its step have committed outputs by others."""
    made = [lfn for lfn, _, attemptID in run.block.products(attempt.step) if attemptID != attempt.attemptID]
    return len(made) >= 2


# ---- between upload and registration


def caught(run: Run, held: str, moment: Callable[[Attempt], bool], seen: set[int], act: Callable[[Attempt], None]) -> bool:
    """Stop a service as soon as a job's output is on its way to the storage, and do something at the moment after that.

    :param held: the service that does not answer
    :returns: False if the moment was missed
    """
    attempt = atWork(run, seen)
    path = run.block.path(_ownSE(attempt), attempt.lfn)
    run.block.until("the output on its way", lambda: path.exists() or stateOf(run, attempt) != "Running", 120, every=0.002)
    with frozen(run.testbed.dirac.state(held).pid):
        end = time.monotonic() + 8
        while time.monotonic() < end:
            if moment(attempt):
                act(attempt)
                return True
            time.sleep(0.05)
    return False


def _ownSE(attempt: Attempt) -> str:
    return next(site.se for site in SITES if site.dirac_name == attempt.site)


def untilCaught(run: Run, held: str, moment: Callable[[Attempt], bool], act: Callable[[Attempt], None]) -> None:
    seen: set[int] = set()
    # two jobs of the first step, one that merges
    for _ in range(3):
        with run.turn():
            if caught(run, held, moment, seen, act):
                run.facts["caught"] = f"at job {len(seen)} of the block"
                return
    run.facts["caught"] = "no"


def uploadedNotCommitted(run: Run) -> Callable[[Attempt], bool]:
    """Whether the whole file lies there, and nobody was told."""
    sizes: dict[int, list[int]] = {}

    def look(attempt: Attempt) -> bool:
        path = run.block.path(_ownSE(attempt), attempt.lfn)
        known = sizes.setdefault(attempt.attemptID, [])
        known.append(path.stat().st_size if path.exists() else 0)
        # of the same size for a second
        return len(known) > 20 and len(set(known[-20:])) == 1 and known[-1] > 0 and stateOf(run, attempt) == "Running"

    return look


@case("killed after upload", "a job is killed when its output is uploaded, before it can say so", turn=True)
def killedAfterUpload(run: Run) -> None:
    untilCaught(run, _MANAGER, uploadedNotCommitted(run), lambda attempt: _kill(run, attempt))


@case("killed after commit", "a job is killed when its output counts, before it is registered", turn=True)
def killedAfterCommit(run: Run) -> None:
    untilCaught(run, _CATALOGUE, lambda attempt: stateOf(run, attempt) == "Committed", lambda attempt: _kill(run, attempt))


def _kill(run: Run, attempt: Attempt) -> None:
    run.facts["killed"] = f"{killJob(run.testbed.settings, attempt.jobID)} processes"


@case("catalogue away at registration", "the file catalogue goes away for 20 s when an output is to be registered", turn=True)
def catalogueAway(run: Run) -> None:
    def away20(attempt: Attempt) -> None:
        with away(run.testbed.dirac, _CATALOGUE):
            time.sleep(20)

    untilCaught(run, _CATALOGUE, lambda attempt: stateOf(run, attempt) == "Committed", away20)


# ---- sites and inputs


@case("site away during upload", "the storage of a job's site is stopped for 30 s while the job works", turn=True)
def siteAway(run: Run) -> None:
    attempt = atWork(run, set())
    with run.turn():
        run.facts["program at work"] = programStarted(run, attempt)
        with siteDown(run.testbed, _ownSE(attempt)):
            time.sleep(30)
    run.block.until("its end", lambda: stateOf(run, attempt) != "Running", 240, every=1)
    ended = next(each for each in run.block.attempts() if each.attemptID == attempt.attemptID)
    run.facts["tried"] = ", ".join(ended.uploads)
    run.facts["ended"] = f"{ended.state} {ended.errorName}".strip()


def refuseOutputs(run: Run) -> None:
    """The folder of the parts may not be written at the sites of the jobs."""
    for se in (CNAF, JINR):
        folder = run.block.path(se, f"/juno/esd/{run.block.production}/rawrec/{run.block.day}")
        folder.mkdir(parents=True)
        folder.chmod(0o555)


@case("site refuses outputs", "the storages of the jobs' sites refuse what they write", prepare=refuseOutputs)
def siteRefuses(run: Run) -> None:
    run.block.until("two parts", lambda: len(run.block.products("rawrec")) == 2, _JOB_SECONDS, every=1)
    tried = {se for each in run.block.attempts("Committed") for se in each.uploads[-1:] if each.step == "rawrec"}
    run.facts["parts at"] = ", ".join(sorted(tried))


def corruptHere(run: Run) -> None:
    """Whichever site does the work, one of its inputs is wrong."""
    run.block.corrupt(CNAF, run.block.files[0].lfn)
    run.block.corrupt(JINR, run.block.files[1].lfn)


@case("input corrupt at a site", "an input has wrong bytes at the site of its job, not elsewhere", prepare=corruptHere)
def inputCorruptHere(run: Run) -> None:
    """The rest waits until the block is done."""


def corruptEverywhere(run: Run) -> None:
    for site in SITES:
        run.block.corrupt(site.se, run.block.files[0].lfn)


@case("input corrupt everywhere", "an input has wrong bytes at every site", ends=LOSES, prepare=corruptEverywhere)
def inputCorrupt(run: Run) -> None:
    run.facts["corrupt"] = run.block.files[0].file_name


# ---- services and agents


@case("services killed", "JobManager, Matcher, JobStateUpdate and ChainManager are killed (kill -9) while jobs work", turn=True)
def servicesKilled(run: Run) -> None:
    links = [f"WorkloadManagement_{name}" for name in ("JobManager", "Matcher", "JobStateUpdate")]
    links += [_MANAGER, "Transformation_TransformationManager"]
    atWork(run, set())
    with run.turn():
        # some of them may share a process
        links = [link for link in links if run.testbed.dirac.state(link).pid]
        for link in links:
            killed(run.testbed.dirac, link)
    run.facts["killed"] = len(links)


@case("WorkflowTaskAgent killed", "WorkflowTaskAgent is killed while it submits", turn=True)
def workflowTaskAgentKilled(run: Run) -> None:
    # of any block: an agent that is held up by the tasks of one takes none of another
    query = (
        "SELECT COUNT(*) FROM TransformationTasks k JOIN Transformations t USING (TransformationID)"
        " WHERE k.ExternalStatus = 'Reserved' AND t.TransformationName LIKE %s"
    )
    like = f"{run.block.production}-%"
    with run.turn(), ExitStack() as held:
        held.enter_context(frozen(run.testbed.dirac.state("WorkloadManagement_JobManager").pid))
        run.block.until(
            "tasks Reserved", lambda: run.block.database.rows("TransformationDB", query, like) != [(0,)], 120, every=0.1
        )
        killAll(run.testbed.dirac, "Transformation_WorkflowTaskAgent")
    run.facts["killed in the middle"] = "yes"


@case("agents killed", "ChainAgent, ChainRecoveryAgent and TransformationAgent are killed again and again", turn=True)
def agentsKilled(run: Run) -> None:
    chooser = random.Random(SEED + 2)
    links = ["Production_ChainAgent", "Production_ChainRecoveryAgent", "Transformation_TransformationAgent"]
    for _ in range(3):
        for link in links:
            killAll(run.testbed.dirac, link)
        time.sleep(chooser.uniform(8, 14))
    run.facts["killed"] = 3 * len(links)


@case("MariaDB killed", "MariaDB is killed while jobs work, and starts again", turn=True)
def mariadbKilled(run: Run) -> None:
    atWork(run, set())
    with run.turn():
        os.kill(run.testbed.infra.state("mariadb").pid, signal.SIGKILL)
        time.sleep(2)
