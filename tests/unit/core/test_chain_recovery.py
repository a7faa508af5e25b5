"""The recovery of chains against jobs that die, vanish and come back at any time: each input in one output, no file too many."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.ChainRecoveryRecords import RecoveryPolicy, RecoveryState
from JUNODIRAC.Core.Logic.ChainCleaning import ChainCleaning, CleaningOptions
from JUNODIRAC.Core.Logic.ChainRecovery import ChainRecovery, RecoveryOptions
from JUNODIRAC.Core.Logic.ChainRecoveryPorts import AttemptFacts, KnownInput, StepUnderRecovery, TaskFile, TaskJob

pytestmark = pytest.mark.unit

NOW = datetime(2030, 1, 1, tzinfo=UTC)
STEP = StepUnderRecovery(1, "rerec-J24-v1", 1, "rawrec", 77)
STUCK, ZOMBIE = 300.0, 3600.0
SITES = ("IHEP-EOS", "CNAF-STORM")


@dataclass
class Job:
    """A job: what the WMS says of it, and what its process does, which is not the same."""

    jobID: int
    taskID: int
    lfns: list[str]
    status: str | None = "Waiting"
    isAlive: bool = True
    step: int = 0
    attemptID: int = 0
    ses: list[str] = field(default_factory=list)


class World:
    """Ledger, Transformation System, WMS and storages in memory, with the promises that the real ones keep."""

    def __init__(self, names: list[str], chance: random.Random) -> None:
        self.chance, self.now = chance, NOW
        self.files = {lfn: TaskFile(lfn, "Unused", 0, NOW) for lfn in names}
        self.jobs_: dict[int, Job] = {}
        self.attempts: dict[int, AttemptFacts] = {}
        self.cleaned: dict[int, datetime] = {}
        self.ended: dict[int, datetime] = {}
        self.products: dict[str, str] = {}
        self.derived: dict[str, str] = {}
        self.recoveries: dict[str, object] = {}
        self.storage: set[tuple[str, str]] = set()
        self.catalogue: dict[str, set[str]] = {}
        self.journal: list[str] = []
        self.isTold = True

    # ---- what happens

    def plan(self) -> None:
        """Tasks and jobs for what is unused."""
        unused = [lfn for lfn, file in self.files.items() if file.status == "Unused"]
        while unused:
            group = [unused.pop(0) for _ in range(min(self.chance.randint(1, 3), len(unused)))]
            number = len(self.jobs_) + 1
            self.jobs_[number] = Job(number, number, group)
            self.files.update({lfn: TaskFile(lfn, "Assigned", number, self.now) for lfn in group})

    def work(self, job: Job) -> None:
        """The process of a job does its next step."""
        ended = self.ended.get(job.attemptID)
        if not job.isAlive or (ended and self.now > ended + timedelta(seconds=ZOMBIE)):
            return
        job.status = "Running" if job.status == "Waiting" else job.status
        [self.begin, self.note, self.write, self.commit, self.register, self.end][job.step](job)

    def begin(self, job: Job) -> None:
        isOurs = all(self.files[lfn].taskID == job.taskID and self.files[lfn].status == "Assigned" for lfn in job.lfns)
        if not isOurs or any(lfn in self.derived for lfn in job.lfns):
            job.step = 5
            return
        job.attemptID = len(self.attempts) + 1
        lfn = f"/juno/esd/t{job.taskID}.a{job.attemptID}.esd"
        self.attempts[job.attemptID] = AttemptFacts(job.attemptID, job.taskID, job.jobID, "Running", "", "", self.now, lfn)
        job.step += 1

    def note(self, job: Job) -> None:
        attempt = self.attempts[job.attemptID]
        if attempt.state != "Running":
            job.step = 5
            return
        job.ses.append(self.chance.choice(SITES))
        self.attempts[job.attemptID] = replace(attempt, outputSEs=tuple(dict.fromkeys(job.ses)), lastTime=self.now)
        job.step += 1

    def write(self, job: Job) -> None:
        self.storage.add((job.ses[-1], self.attempts[job.attemptID].outputLFN))
        job.step += -1 if self.chance.random() < 0.2 else 1  # the upload failed half way: another storage

    def commit(self, job: Job) -> None:
        attempt = self.attempts[job.attemptID]
        if attempt.state != "Running" or any(lfn in self.derived for lfn in job.lfns):
            if self.chance.random() < 0.5:
                self.storage = {each for each in self.storage if each[1] != attempt.outputLFN}
            job.step = 5
            return
        self.attempts[job.attemptID] = replace(attempt, state="Committed", lastTime=self.now)
        self.ended[job.attemptID] = self.now
        self.products[attempt.outputLFN] = job.ses[-1]
        self.derived.update(dict.fromkeys(job.lfns, attempt.outputLFN))
        job.step += 1

    def register(self, job: Job) -> None:
        lfn = self.attempts[job.attemptID].outputLFN
        self.catalogue[lfn] = {self.products[lfn]}
        self.files.update({name: replace(self.files[name], status="Processed", changedTime=self.now) for name in job.lfns})
        job.step += 1

    def end(self, job: Job) -> None:
        attempt = self.attempts.get(job.attemptID)
        if attempt and attempt.state == "Running":
            self.attempts[job.attemptID] = replace(attempt, state="Failed", error="ProgramFailed", lastTime=self.now)
            self.ended[job.attemptID] = self.now
        job.isAlive, job.status = False, "Done" if job.status != "Failed" else "Failed"

    def harm(self, job: Job) -> None:
        """What the WMS says is wrong, the process is gone, or both."""
        kind = self.chance.randrange(5)
        if kind in (0, 1):
            job.status = self.chance.choice(["Failed", "Stalled", "Killed", None])
        if kind in (1, 2):
            job.isAlive = False
            job.status = self.chance.choice(["Failed", "Done", "Stalled", None])
        if kind == 3 and not job.isAlive:
            job.isAlive = True  # back from the dead
        if kind == 4 and job.step < 5:
            job.step = 5

    # ---- facts

    def unsettledFiles(self, transformationID, limit):
        return [file for file in self.files.values() if file.status in ("Assigned", "Problematic")]

    def filesNamed(self, transformationID, lfns):
        return [self.files[lfn] for lfn in lfns]

    def jobs(self, transformationID, taskIDs):
        told = {each: self.jobs_[each].status if self.isTold else "" for each in taskIDs}
        return {each: TaskJob(each, "Submitted", each, told[each]) for each in taskIDs}

    def jobStatuses(self, jobIDs):
        return {each: (self.jobs_[each].status, "") for each in jobIDs if self.jobs_[each].status} if self.isTold else None

    def replicas(self, lfns):
        return {lfn: set(self.catalogue[lfn]) for lfn in lfns if lfn in self.catalogue}

    # ---- hands

    def setStatus(self, transformationID, status, lfns):
        self.files.update({lfn: replace(self.files[lfn], status=status, changedTime=self.now) for lfn in lfns})
        return {}

    def delete(self, se, lfns):
        if self.chance.random() < 0.2:
            return dict.fromkeys(lfns, "the storage is away")
        assert not [lfn for lfn in lfns if self.products.get(lfn) == se], "an output that counts was deleted"
        self.storage -= {(se, lfn) for lfn in lfns}
        return {}

    def forget(self, lfns):
        for lfn in lfns:
            self.catalogue.pop(lfn, None)
        return {}

    # ---- book

    def knownInputs(self, step, lfns):
        return {
            lfn: KnownInput(lfn, number, 2, lfn in self.derived, self.recoveries.get(lfn))
            for number, lfn in enumerate(self.files)
            if lfn in lfns
        }

    def attemptsOfTasks(self, transformationID, taskIDs):
        return {each: [a for a in self.attempts.values() if a.taskID == each] for each in taskIDs}

    def silentAttempts(self, before, limit):
        return [each for each in self.attempts.values() if each.state == "Running" and each.lastTime < before]

    def declareDead(self, attemptIDs, detail):
        # a job that is quicker
        for job in self.jobs_.values():
            if job.attemptID in attemptIDs and job.isAlive and job.step == 3 and self.chance.random() < 0.5:
                self.commit(job)
        dead = {each for each in attemptIDs if self.attempts[each].state == "Running"}
        for each in dead:
            self.attempts[each] = replace(self.attempts[each], state="Dead", error="Lost", detail=detail)
            self.ended[each] = self.now
        return dead

    def recordRecoveries(self, records):
        self.recoveries.update({each.lfn: each for each in records})

    def recordDecisions(self, actor, action, reasons):
        self.journal += [f"{action} {name}: {why}" for name, why in reasons.items()]

    def attemptsToClean(self, now, zombieSeconds, limit):
        found = []
        for number, each in self.attempts.items():
            isSpread = each.state == "Committed" and len(each.outputSEs) > 1
            if each.outputSEs and (each.state in ("Failed", "Refused", "Dead") or isSpread):
                last = self.cleaned.get(number)
                if last is None or last < self.ended[number] + timedelta(seconds=zombieSeconds):
                    found.append(each)
        return found

    def productsOf(self, lfns):
        return {lfn: self.products[lfn] for lfn in lfns if lfn in self.products}

    def noteCleaned(self, attemptIDs, now):
        self.cleaned.update(dict.fromkeys(attemptIDs, now))


def recover(world: World, attempts: int = 1000) -> None:
    options = RecoveryOptions(STUCK, policy=RecoveryPolicy(attempts, 10.0, 100.0))
    ChainRecovery(world, world, world, options).recover(STEP, world.unsettledFiles(77, 1000), world.now)
    cleaning = ChainCleaning(world, world, world, CleaningOptions(STUCK, ZOMBIE))
    cleaning.buryLost(world.now)
    cleaning.clean(world.now)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 10**9), count=st.integers(1, 6), length=st.integers(10, 200))
def test_whatever_dies_or_comes_back_each_input_is_in_one_output_and_no_other_file_is_left(seed, count, length):
    chance = random.Random(seed)
    world = World([f"/juno/rtraw/{number}.rtraw" for number in range(count)], chance)
    for _ in range(length):
        world.now += timedelta(seconds=chance.choice([1, 20, 200]))
        world.plan()
        job = chance.choice(list(world.jobs_.values())) if world.jobs_ else None
        what = chance.random()
        world.isTold = chance.random() > 0.1
        if job and what < 0.6:
            world.work(job)
        elif job and what < 0.75:
            world.harm(job)
        else:
            recover(world)
    world.isTold = True
    for _ in range(200):  # calm: every process that is alive ends, no new harm
        for job in list(world.jobs_.values()):
            for _ in range(20):
                world.work(job)
            if not job.isAlive and job.status in ("Waiting", "Running", "Stalled"):
                job.status = "Failed"
        world.now += timedelta(seconds=400)
        world.plan()
        recover(world)
        isSettled = all(file.status == "Processed" for file in world.files.values())
        if isSettled and all(world.now > ended + timedelta(seconds=ZOMBIE + 1000) for ended in world.ended.values()):
            break
    assert all(file.status == "Processed" for file in world.files.values())
    assert world.derived.keys() == world.files.keys()
    assert sum(each.state == "Committed" for each in world.attempts.values()) == len(world.products)
    assert {lfn for _, lfn in world.storage} == set(world.products)
    assert world.storage == {(se, lfn) for lfn, se in world.products.items()}
    assert not [each for each in world.attempts.values() if each.state == "Running"]
    assert not [line for line in world.journal if "chainGiveUp" in line]


def test_an_input_that_fails_every_time_ends_at_a_person_with_its_error():
    world = World(["/juno/rtraw/0.rtraw"], random.Random(1))
    for _ in range(60):
        world.now += timedelta(seconds=400)
        world.plan()
        for job in world.jobs_.values():
            world.work(job)
            job.step = 5
            world.work(job)
            job.status = "Failed"
        recover(world, attempts=3)
    record = world.recoveries["/juno/rtraw/0.rtraw"]
    assert (record.state, record.attempts, record.error) == (RecoveryState.GIVEN_UP, 3, "ProgramFailed")
    assert world.files["/juno/rtraw/0.rtraw"].status == "Problematic"
    assert len(world.jobs_) == 3
    assert sum("chainGiveUp" in line for line in world.journal) == 1


def test_a_dry_run_says_what_it_would_do_and_does_nothing():
    world = World(["/juno/rtraw/0.rtraw"], random.Random(1))
    world.plan()
    world.work(world.jobs_[1])
    world.jobs_[1].status = "Failed"
    before = (dict(world.files), dict(world.attempts))
    options = RecoveryOptions(STUCK, isDry=True)
    outcome = ChainRecovery(world, world, world, options).recover(STEP, world.unsettledFiles(77, 10), NOW + timedelta(hours=1))
    assert outcome.actions["Bury"] >= 1
    assert (world.files, world.attempts) == before
    assert not world.journal


def test_nothing_is_decided_while_the_wms_does_not_tell():
    world = World(["/juno/rtraw/0.rtraw"], random.Random(1))
    world.plan()
    world.work(world.jobs_[1])
    world.isTold, world.now = False, NOW + timedelta(days=2)
    recover(world)
    assert world.attempts[1].state == "Running"
    assert not world.journal


def test_a_task_of_a_step_that_is_held_waits_without_a_job():
    world = World(["/juno/rtraw/0.rtraw"], random.Random(1))
    world.plan()
    world.jobs = lambda transformationID, taskIDs: {each: TaskJob(each, "Created", 0, None) for each in taskIDs}
    recovery = ChainRecovery(world, world, world, RecoveryOptions(STUCK, 600.0))
    later = NOW + timedelta(days=1)
    recovery.recover(replace(STEP, isHeld=True), world.unsettledFiles(77, 10), later)
    assert world.files["/juno/rtraw/0.rtraw"].status == "Assigned"
    recovery.recover(STEP, world.unsettledFiles(77, 10), later)
    assert world.files["/juno/rtraw/0.rtraw"].status == "Unused"


def test_of_a_group_only_the_input_that_the_job_named_is_given_up():
    names = [f"/juno/rtraw/{number}.rtraw" for number in range(3)]
    world = World(names, random.Random(1))
    world.jobs_[1] = Job(1, 1, names, status="Failed")
    world.files = {lfn: TaskFile(lfn, "Assigned", 1, NOW) for lfn in names}
    detail = f"{names[1]}; CNAF-STORM: adler32 0000000b, not 0000000a"
    world.attempts[1] = AttemptFacts(1, 1, 1, "Failed", "InputCorrupt", detail, NOW, "/o", ())
    world.ended[1] = NOW
    recover(world, attempts=5)
    found = {lfn: (each.state, each.attempts) for lfn, each in world.recoveries.items()}
    again = (RecoveryState.RECOVERING, 0)
    assert found == {names[0]: again, names[1]: (RecoveryState.GIVEN_UP, 1), names[2]: again}
    world.now += timedelta(seconds=1000)
    recover(world, attempts=5)
    assert [world.files[lfn].status for lfn in names] == ["Unused", "Problematic", "Unused"]
