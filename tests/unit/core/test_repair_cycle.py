"""The repair of files at a site: what is done to catalogue, storage and transformation, and what is written down."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from JUNODIRAC.Core.Domain.RepairRecords import DeclaredCopy, RepairState
from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.Core.Logic.RepairCycle import RepairCycle
from JUNODIRAC.Core.Logic.RepairFile import RepairOptions
from JUNODIRAC.Core.Logic.RepairPorts import BlockAtSite

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=2)
SE, SOURCE, OTHER = "CNAF-EOS", "IHEP-EOS", "JINR-EOS"
AT = BlockAtSite(1, "Raw", "20230302", SE, 7, SOURCE, maxAttempts=3)
LFN = "/juno/raw/1"
TIMEOUT = "TRANSFER [110] Connection timed out"
GOOD, BAD, GONE = (CopyState.GOOD, "right"), (CopyState.WRONG_CHECKSUM, "adler32 1, declared is 2"), (CopyState.MISSING, "gone")


class World:
    """Ledger, facts and hands at once; the facts change by what the hands do."""

    def __init__(self, *facts: TransferFacts, copies=None):
        self.facts = {each.lfn: each for each in facts}
        self.copies = dict(copies or {})  # (SE, LFN) -> answer
        self.down: set[str] = set()
        self.records, self.bad, self.journal, self.done = {}, {}, [], []

    # ---- the ledger
    def declaredCopies(self, lfns):
        return {lfn: DeclaredCopy(number, 10, "00000002") for number, lfn in enumerate(sorted(self.facts)) if lfn in lfns}

    def readRepairs(self, _blockID, _se, lfns):
        return {lfn: self.records[lfn] for lfn in lfns if lfn in self.records}

    def recordRepairs(self, records):
        names = {declared.fileID: lfn for lfn, declared in self.declaredCopies(self.facts).items()}
        self.records.update({names[each.fileID]: each for each in records})

    def recordDecisions(self, _actor, action, reasons):
        self.journal += [(action, name, reason) for name, reason in reasons.items()]

    def readBadReplicas(self, lfns=None):
        return {lfn: sorted(storages) for lfn, storages in self.bad.items() if lfns is None or lfn in lfns}

    def markBad(self, se, details):
        names = {declared.fileID: lfn for lfn, declared in self.declaredCopies(self.facts).items()}
        for fileID in details:
            self.bad.setdefault(names[fileID], set()).add(se)

    def endBad(self, se, fileIDs):
        names = {declared.fileID: lfn for lfn, declared in self.declaredCopies(self.facts).items()}
        for fileID in fileIDs:
            self.bad.get(names[fileID], set()).discard(se)

    # ---- facts
    def read(self, _transformationID, _se, lfns):
        return {lfn: self.facts[lfn] for lfn in lfns}

    def withCopies(self, facts, declared):
        answers = self.copiesAt(SE, declared)
        return {each.lfn: replace(each, copy=answers[each.lfn][0], copyDetail=answers[each.lfn][1]) for each in facts}

    def copiesAt(self, se, declared):
        if se in self.down:
            raise TemporaryFailure(f"storage {se}", "no answer")
        return {lfn: self.copies.get((se, lfn), GONE) for lfn in declared}

    # ---- hands
    def _change(self, what, lfns, **values):
        self.done += [(what, lfn) for lfn in lfns]
        for lfn in lfns:
            self.facts[lfn] = replace(self.facts[lfn], **values)
        return {}

    def attach(self, _transformationID, lfns):
        return self._change("attach", lfns, fileStatus="Unused")

    def setProcessed(self, _transformationID, lfns):
        return self._change("setProcessed", lfns, fileStatus="Processed")

    def setUnused(self, _transformationID, lfns):
        return self._change("setUnused", lfns, fileStatus="Unused")

    def register(self, _se, lfns):
        return self._change("register", lfns, hasReplica=True)

    def deregister(self, _se, lfns):
        return self._change("deregister", lfns, hasReplica=False)

    def delete(self, se, lfns):
        for lfn in lfns:
            self.copies.pop((se, lfn), None)
        return self._change("delete", lfns)

    def cancelRequests(self, requestIDs):
        self.done += [("cancel", number) for number in sorted(requestIDs)]
        return {}

    # ---- the test's
    def look(self, now=NOW, named=None, isPaused=False, at=AT):
        cycle = RepairCycle(self, self, self, RepairOptions(stuckSeconds=3600))
        return cycle.repair(at, {lfn: (named or {}).get(lfn) for lfn in self.facts}, now, isPaused)

    @property
    def record(self):
        return self.records[LFN]


def failed(**more) -> TransferFacts:
    """A file whose copy failed two days ago."""
    there = {
        "fileStatus": "Problematic", "fileTime": LONG_AGO, "taskID": 1, "taskStatus": "Failed", "requestID": 5,
        "requestStatus": "Failed", "ftsStatus": "Defunct", "ftsError": TIMEOUT, "hasReplica": False, "otherSEs": (SOURCE,),
    }  # fmt: skip
    return TransferFacts(LFN, SE, 7, **(there | more))


def registered(**more) -> TransferFacts:
    return failed(fileStatus="Processed", requestStatus="Done", ftsStatus="Finished", ftsError="", hasReplica=True, **more)


def test_a_failed_copy_is_tried_again_and_that_is_counted_and_written_down():
    world = World(failed())
    world.look()
    assert world.done == [("setUnused", LFN)]
    assert (world.record.attempts, world.record.state, world.record.errorClass) == (1, RepairState.ACTIVE, "Timeout")
    assert world.journal[0][:2] == ("repairRetry", f"{LFN} {SE}")
    assert TIMEOUT in world.journal[0][2]


def test_a_copy_that_failed_just_now_waits_and_the_wait_grows_with_the_attempts():
    world = World(failed(fileTime=NOW))
    world.look()
    assert world.done == []
    assert (world.record.attempts, world.record.action) == (0, "Wait")
    first = world.record.nextTime - NOW
    world.records[LFN] = replace(world.record, attempts=2)
    world.look()
    assert world.record.nextTime - NOW > first
    world.look(now=world.record.nextTime)
    assert world.done == [("setUnused", LFN)]


def test_a_good_copy_that_is_there_is_adopted_without_a_new_one():
    world = World(failed(), copies={(SE, LFN): GOOD})
    world.look()
    assert world.done == [("register", LFN), ("setProcessed", LFN)]
    world.look()
    assert world.record.state is RepairState.REPAIRED


def test_a_registered_wrong_copy_goes_and_is_copied_again_and_is_no_source_until_a_good_one_is_there():
    world = World(registered(), copies={(SE, LFN): BAD, (SOURCE, LFN): GOOD})
    world.look(named={LFN: NOW})
    assert world.done == [("deregister", LFN), ("delete", LFN), ("setUnused", LFN)]
    assert world.bad == {LFN: {SE}}
    assert [action for action, _, _ in world.journal] == ["repairDeregister", "repairRetry"]
    world.facts[LFN] = registered()
    world.look(now=NOW + timedelta(seconds=100))
    assert world.record.state is RepairState.REPAIRED
    assert world.bad == {LFN: set()}


def test_what_a_validation_named_before_the_last_repair_is_not_asked_for_again():
    world = World(registered(), copies={(SE, LFN): BAD, (SOURCE, LFN): GOOD})
    world.look(named={LFN: NOW - timedelta(seconds=1)})
    world.facts[LFN] = registered()
    before = list(world.done)
    world.look(named={LFN: NOW - timedelta(seconds=1)}, now=NOW + timedelta(seconds=100))
    assert world.done == before


def test_the_last_replica_is_never_touched():
    world = World(registered(otherSEs=()), copies={(SE, LFN): BAD})
    world.look(named={LFN: NOW})
    assert world.done == []
    assert world.record.state is RepairState.GIVEN_UP


def test_nothing_is_done_at_the_source():
    world = World(registered(), copies={(SE, LFN): BAD})
    world.look(named={LFN: NOW}, at=replace(AT, sourceSE=SE))
    assert (world.done, world.journal, world.records) == ([], [], {})


def test_of_a_corrupt_source_nothing_is_deleted_and_the_file_ends_at_a_person():
    world = World(failed(ftsError="TRANSFER [84] User and destination CheckSum error"), copies={(SOURCE, LFN): BAD})
    world.look()
    assert world.done == []
    assert (world.record.state, world.record.errorClass) == (RepairState.GIVEN_UP, "SourceCorrupt")
    assert world.bad == {LFN: {SOURCE}}


def test_with_a_corrupt_source_another_replica_is_taken_if_it_is_good():
    error = "TRANSFER [84] User and destination CheckSum error"
    copies = {(SOURCE, LFN): BAD, (OTHER, LFN): GOOD}
    world = World(failed(ftsError=error, otherSEs=(SOURCE, OTHER)), copies=copies)
    world.look()
    assert world.done == [("setUnused", LFN)]
    assert world.bad == {LFN: {SOURCE}}


def test_a_file_that_was_given_up_for_its_source_goes_on_when_that_is_good_again():
    world = World(failed(ftsError="SOURCE [2] No such file or directory"))
    world.look()
    assert (world.record.state, world.record.errorClass) == (RepairState.GIVEN_UP, "SourceMissing")
    told = len(world.journal)
    world.look(now=NOW + timedelta(hours=1))
    assert len(world.journal) == told  # people heard it already
    world.copies[SOURCE, LFN] = GOOD
    world.look(now=NOW + timedelta(hours=2))
    assert world.done == [("setUnused", LFN)]
    assert world.record.state is RepairState.ACTIVE


def test_attempts_end_at_a_person_with_the_reason():
    world, now = World(failed()), NOW
    for _ in range(AT.maxAttempts + 1):
        world.facts[LFN] = failed(fileTime=now)
        now += timedelta(days=1)
        world.look(now=now)
    assert [what for what, _ in world.done] == ["setUnused"] * AT.maxAttempts
    assert (world.record.state, world.record.errorClass) == (RepairState.GIVEN_UP, "Timeout")
    assert world.record.error == TIMEOUT


def test_a_file_that_comes_through_after_all_is_repaired():
    world = World(failed())
    world.look()
    world.facts[LFN] = registered()
    outcome = world.look(now=NOW + timedelta(seconds=60))
    assert world.record.state is RepairState.REPAIRED
    assert outcome.repaired == 1


def test_the_request_of_a_stuck_file_is_cancelled_before_a_new_task_and_one_that_is_gone_is_not():
    stuck = failed(fileStatus="Assigned", requestStatus="Scheduled", ftsStatus="New", ftsError="", taskStatus="Scheduled")
    world = World(stuck)
    world.look()
    assert world.done == [("cancel", 5), ("setUnused", LFN)]
    world = World(replace(stuck, requestStatus="Gone"))
    world.look()
    assert world.done == [("setUnused", LFN)]


def test_a_request_is_left_alone_while_fts_works_on_any_of_its_files():
    stuck = failed(fileStatus="Assigned", requestStatus="Scheduled", ftsStatus="New", taskStatus="Scheduled")
    world = World(replace(stuck, isRequestWorked=True))
    world.look()
    assert (world.done, world.records) == ([], {})


def test_nothing_is_copied_to_a_paused_site_but_good_copies_are_adopted():
    world = World(failed())
    world.look(isPaused=True)
    assert world.done == []
    world.copies[SE, LFN] = GOOD
    world.look(isPaused=True)
    assert world.done == [("register", LFN), ("setProcessed", LFN)]


def test_what_waited_because_nothing_could_be_copied_is_not_stuck():
    stuck = failed(fileStatus="Assigned", requestStatus="Scheduled", ftsStatus="New", taskStatus="Scheduled")
    world = World(stuck)
    cycle = RepairCycle(world, world, world, RepairOptions(stuckSeconds=3600))
    outcome = cycle.repair(AT, {LFN: None}, NOW, False, NOW - timedelta(seconds=3000))
    assert (world.done, outcome.quiet) == ([], [LFN])
    cycle.repair(AT, {LFN: None}, NOW, False, NOW - timedelta(seconds=4000))
    assert world.done == [("cancel", 5), ("setUnused", LFN)]


def test_a_storage_that_does_not_answer_deregisters_nothing():
    world = World(registered())
    world.down.add(SE)
    for step in range(20):
        world.look(named={LFN: NOW + timedelta(days=step)}, now=NOW + timedelta(days=step))
    assert world.done == []
    assert world.record.state is RepairState.GIVEN_UP


def test_a_validation_that_names_a_good_copy_again_and_again_ends_at_a_person():
    world = World(registered(), copies={(SE, LFN): GOOD})
    for step in range(AT.maxAttempts + 1):
        now = NOW + timedelta(hours=step)
        world.look(named={LFN: now}, now=now)
    assert world.done == []
    assert world.record.state is RepairState.GIVEN_UP


def test_a_replica_that_cannot_be_deregistered_is_told():
    world = World(registered(), copies={(SE, LFN): BAD, (SOURCE, LFN): GOOD})
    world.deregister = lambda _se, lfns: dict.fromkeys(lfns, "refused")
    for step in range(AT.maxAttempts):
        world.look(named={LFN: NOW + timedelta(hours=step)}, now=NOW + timedelta(hours=step))
    assert (world.record.state, world.record.error) == (RepairState.GIVEN_UP, "refused")
    assert world.done == []


def test_a_file_that_is_not_in_the_transformation_is_attached():
    world = World(failed(fileStatus=None, taskID=None, taskStatus=None, requestID=None, requestStatus=None, ftsStatus=None))
    world.look()
    assert world.done == [("attach", LFN)]


def test_files_that_are_well_leave_no_trace():
    world = World(registered())
    world.look()
    assert (world.done, world.records, world.journal) == ([], {}, [])


def test_failures_are_handed_on_so_that_a_site_can_be_paused():
    error = "DESTINATION [28] No space left on device"
    outcome = World(failed(ftsError=error, fileTime=NOW)).look()
    assert [(each.errorClass, each.time, each.text) for each in outcome.failures] == [("DestinationFull", NOW, error)]


@pytest.mark.parametrize("attempts", [0, 2])
def test_a_file_that_was_repaired_long_ago_has_all_its_attempts_again(attempts):
    world = World(failed())
    world.look()
    world.facts[LFN] = registered()
    world.look(now=NOW + timedelta(seconds=60))
    world.records[LFN] = replace(world.record, attempts=attempts)
    world.facts[LFN] = failed()
    world.look(now=NOW + timedelta(days=3))
    assert world.record.attempts == 1
