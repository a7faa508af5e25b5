"""Attempts on a real database: whatever jobs do at the same moment, each input is in one output, and an output is whole."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from ledgertools import announced, makeFile

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Domain.JobRecords import AttemptState, MadeOutput, TaskInput
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger

pytestmark = pytest.mark.integration
NOW = datetime.now(UTC).replace(microsecond=0)
GUID = "0e0f1c6e-6a2a-5d0c-9d61-3f5f5a4f4c11"
TABLES = ("ChainSteps", "ChainInputs", "Products", "Derivations", "Attempts", "Chains")


class SteppedLedger(ChainLedger):
    """Before each statement of a transaction it asks a gate of the thread."""

    gates = threading.local()

    def select(self, sql, args=(), conn=None):
        self._pass(conn)
        return super().select(sql, args, conn)

    def execute(self, sql, args=(), conn=None):
        self._pass(conn)
        return super().execute(sql, args, conn)

    def _pass(self, conn):
        gate = getattr(self.gates, "gate", None)
        if conn is not None and gate is not None:
            gate(conn)


@pytest.fixture(scope="module")
def chains(ledger) -> ChainLedger:
    return SteppedLedger()


@pytest.fixture
def chainID(chains, typeName) -> int:
    columns = (
        "Production, Name, Version, OutputVersion, State, Type, Description, Scope, CreatedTime, CreatedBy, StateTime, StateBy"
    )
    values = (f"rerec-{typeName}-v1", "rerec", "J1", 1, "Active", typeName, "", "{}", NOW, "prod", NOW, "prod")
    chains.execute(f"INSERT INTO Chains ({columns}) VALUES ({', '.join(['%s'] * len(values))})", values)
    ((number,),) = chains.select("SELECT ChainID FROM Chains WHERE Production = %s", (values[0],))
    yield number
    for table in TABLES:
        chains.execute(f"DELETE FROM {table} WHERE ChainID = %s", (number,))


def parent(number: int) -> TaskInput:
    return TaskInput(f"/in/{number}", number, 1, 10, "0000000a", "PHYSICS.GLOBAL", 5, 5, number, number, 3)


@pytest.fixture
def begin(chains, chainID) -> Callable[..., int]:
    """Begins a new attempt; one that has noted its upload, so that it may commit."""
    jobs = iter(range(1, 10**6))

    def begin(task: int = 1, noted: bool = True) -> int:
        job = next(jobs)
        place = (chainID, 1, 2_000_000_000 + chainID, task)
        attempt = chains.beginAttempt(place, (job, "S", f"h{job}"), AttemptState.RUNNING, lambda number: f"/o/{chainID}/{number}")
        if noted:
            chains.noteUpload(attempt.attemptID, "SE")
        return attempt.attemptID

    return begin


@pytest.fixture
def commit(chains, chainID):
    def commit(attemptID: int, numbers, **changes) -> int:
        made = MadeOutput(f"/o/{chainID}/{attemptID}", GUID, "SE", 99, "0000000b", [3] * len(numbers))
        return chains.commitAttempt(attemptID, replace(made, **changes), [parent(number) for number in numbers])

    return commit


def stateOf(chains, attemptID) -> AttemptState:
    return chains.findAttempt(attemptID).state


def derived(chains, chainID) -> dict[int, list[int]]:
    """Inputs by product, in order."""
    found: dict[int, list[int]] = {}
    sql = "SELECT ProductID, ParentID FROM Derivations WHERE ChainID = %s ORDER BY ProductID, Position"
    for productID, parentID in chains.select(sql, (chainID,)):
        found.setdefault(productID, []).append(parentID)
    return found


def products(chains, chainID) -> set[int]:
    return {number for (number,) in chains.select("SELECT ProductID FROM Products WHERE ChainID = %s", (chainID,))}


def refusal(function, *args, **kwargs) -> JobError:
    with pytest.raises(JobFailure) as caught:
        function(*args, **kwargs)
    return caught.value.error


# ---- one job


def test_the_same_execution_gets_the_same_attempt_and_another_one_a_new_name_for_its_output(chains, chainID):
    place = (chainID, 1, 2_000_000_000 + chainID, 1)

    def begin(host):
        return chains.beginAttempt(place, (42, "SITE", host), AttemptState.RUNNING, lambda number: f"/o/{number}")

    first, again, other = begin("node#1"), begin("node#1"), begin("node#2")
    assert first == again
    assert other.attemptID != first.attemptID
    assert other.outputLFN != first.outputLFN


def test_what_is_committed_is_written_with_its_inputs_in_order(chains, chainID, begin, commit):
    attemptID = begin()
    productID = commit(attemptID, [7, 3, 5])
    assert derived(chains, chainID) == {productID: [7, 3, 5]}
    assert stateOf(chains, attemptID) is AttemptState.COMMITTED
    row = chains.select("SELECT Events, FirstSequence, LastSequence, State FROM Products WHERE ProductID = %s", (productID,))
    assert row == ((9, 7, 5, "Committed"),)


def test_committing_again_changes_nothing_and_something_else_is_refused(chains, chainID, begin, commit):
    attemptID = begin()
    productID = commit(attemptID, [1, 2])
    assert commit(attemptID, [1, 2]) == productID
    assert refusal(commit, attemptID, [2, 1]) is JobError.BAD_TASK
    assert refusal(commit, attemptID, [1, 2], sizeBytes=98) is JobError.BAD_TASK
    assert derived(chains, chainID) == {productID: [1, 2]}


def test_an_input_is_in_one_output_for_ever(chains, chainID, begin, commit):
    first, second = begin(), begin()
    productID = commit(first, [1, 2])
    with pytest.raises(JobFailure) as caught:
        commit(second, [2, 3])
    assert caught.value.error is JobError.REFUSED
    assert caught.value.detail == f"/in/2 is in /o/{chainID}/{first}"
    assert derived(chains, chainID) == {productID: [1, 2]}
    assert products(chains, chainID) == {productID}
    assert stateOf(chains, second) is AttemptState.RUNNING
    # what it could not have is free for others
    assert commit(begin(), [3])


def test_a_dead_attempt_may_do_nothing_but_end(chains, chainID, begin, commit):
    attemptID = begin()
    chains.execute("UPDATE Attempts SET State = 'Dead' WHERE AttemptID = %s", (attemptID,))
    assert refusal(commit, attemptID, [1]) is JobError.DECLARED_DEAD
    assert refusal(chains.noteUpload, attemptID, "SE2") is JobError.DECLARED_DEAD
    assert chains.endAttempt(attemptID, AttemptState.FAILED, 209, "ProgramFailed", "x") is AttemptState.DEAD
    assert stateOf(chains, attemptID) is AttemptState.DEAD
    assert not derived(chains, chainID)


def test_an_attempt_that_has_ended_may_not_commit(chains, chainID, begin, commit):
    attemptID = begin()
    assert chains.endAttempt(attemptID, AttemptState.FAILED, 209, "ProgramFailed", "☂" * 50_000) is AttemptState.FAILED
    assert refusal(commit, attemptID, [1]) is JobError.REFUSED
    assert not products(chains, chainID)


def test_an_attempt_that_is_committed_stays_so(chains, begin, commit):
    attemptID = begin()
    commit(attemptID, [1])
    assert chains.endAttempt(attemptID, AttemptState.FAILED, 216, "Stopped", "") is AttemptState.COMMITTED


def test_only_what_was_said_before_is_committed(chains, chainID, begin, commit):
    silent, other = begin(noted=False), begin()
    assert refusal(commit, silent, [1]) is JobError.BAD_TASK
    assert refusal(commit, other, [1], lfn="/o/elsewhere") is JobError.BAD_TASK
    assert refusal(commit, other, [1], se="SE2") is JobError.BAD_TASK
    assert refusal(commit, 10**12, [1]) is JobError.BAD_TASK
    assert not products(chains, chainID)


def test_each_storage_that_was_tried_is_noted_once(chains, begin):
    attemptID = begin()
    for se in ("SE2", "SE", "SE2"):
        chains.noteUpload(attemptID, se)
    assert chains.findAttempt(attemptID).outputSEs == ("SE", "SE2")


def test_outputs_are_registered_once_and_are_not_left_over_then(chains, chainID, typeName, begin, commit):
    productID = commit(begin(), [1])
    mine = ("p.ChainID = %s", [chainID], 10)
    announced(chains, makeFile(typeName))
    sql = "UPDATE Products SET BlockID = (SELECT BlockID FROM Blocks WHERE Type = %s) WHERE ProductID = %s"
    chains.execute(sql, (typeName, productID))
    (row,) = chains.committedProducts(*mine)
    assert (row["ProductID"], row["Block"], row["TransformationID"]) == (productID, "20230302", 2_000_000_000 + chainID)
    assert chains.recordOutputsRegistered([productID]) == 1
    assert chains.recordOutputsRegistered([productID]) == 0
    assert chains.committedProducts(*mine) == []


# ---- inputs


def test_inputs_are_those_that_the_chain_was_given(chains, chainID, typeName):
    files = [makeFile(typeName, number) for number in (1, 2, 3)]
    announced(chains, *files)
    ids = {lfn: entry.fileID for lfn, entry in _fileIDs(chains, files).items()}
    for file in files[:2]:
        values = (chainID, 1, ids[file.lfn], 77, NOW)
        chains.execute(
            "INSERT INTO ChainInputs (ChainID, StepNumber, FileID, BlockID, AttachedTime) VALUES (%s, %s, %s, %s, %s)", values
        )
    found = chains.ledgerInputs(chainID, 1, [file.lfn for file in files])
    assert sorted(found) == [file.lfn for file in files[:2]]
    one = found[files[0].lfn]
    assert (one.blockID, one.sizeBytes, one.checksum, one.events) == (77, 1000, "0a1b2c3d", 7)
    assert (one.firstRun, one.firstSequence, one.stream) == (123, 1, "Physics.")
    assert chains.ledgerInputs(chainID, 2, list(found)) == {}


def _fileIDs(chains, files):
    for file in files:
        chains.execute(
            "UPDATE Files f JOIN Directories d ON d.DirectoryID = f.DirectoryID SET f.State = 'Registered'"
            " WHERE d.Directory = %s AND f.FileName = %s",
            (file.directory, file.fileName),
        )
    return chains.declaredCopies([file.lfn for file in files])


def test_products_are_inputs_of_later_steps_and_still_known_when_they_were_retired(chains, chainID, begin, commit):
    attemptID = begin()
    commit(attemptID, [1])
    lfn = f"/o/{chainID}/{attemptID}"
    known = chains.productInputs(chainID, 1, [lfn])
    assert known[lfn].events == 3
    chains.execute("UPDATE Products SET State = 'Retired' WHERE ChainID = %s", (chainID,))
    assert chains.productInputs(chainID, 1, [lfn]) == known
    assert chains.productInputs(chainID, 2, [lfn]) == {}


# ---- two jobs at the same moment


class Turns:
    """Lets two threads run one statement at a time, in the order of a list; who waits for a lock is passed over."""

    def __init__(self, order: list[int], kills: dict[int, int], database: ChainLedger) -> None:
        self._order, self._kills, self._database = order, kills, database
        self._may = [threading.Semaphore(0), threading.Semaphore(0)]
        self._arrived = [threading.Semaphore(0), threading.Semaphore(0)]
        self._passed = Counter()

    def gate(self, who: int) -> Callable[[object], None]:
        def gate(conn) -> None:
            self._arrived[who].release()
            self._may[who].acquire(timeout=5)
            self._passed[who] += 1
            if self._kills.get(who) == self._passed[who]:
                self._database.execute(f"KILL {int(conn.thread_id())}")

        return gate

    def run(self, threads: list[threading.Thread]) -> None:
        for who in self._order:
            # it has come to its next statement, or has ended, or waits for a lock that the other one has
            if self._arrived[who].acquire(timeout=0.05):
                self._may[who].release()
        while any(thread.is_alive() for thread in threads):
            for who in (0, 1):
                if self._arrived[who].acquire(timeout=0.01):
                    self._may[who].release()
        for thread in threads:
            thread.join()


def race(chains, order, kills, works) -> list[object]:
    """What each of two works returns or raises."""
    turns = Turns(order, kills, chains)
    results: list[object] = [None, None]

    def run(who: int) -> None:
        SteppedLedger.gates.gate = turns.gate(who)
        try:
            results[who] = works[who]()
        except (JobFailure, TemporaryFailure) as error:
            results[who] = error

    threads = [threading.Thread(target=run, args=(who,)) for who in (0, 1)]
    for thread in threads:
        thread.start()
    turns.run(threads)
    return results


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("inputs", [([1, 2], [1, 2]), ([1, 2], [2, 1]), ([1, 2, 3], [3, 4]), ([5, 1], [1, 5, 9])])
def test_of_two_jobs_with_a_common_input_exactly_one_commits(chains, chainID, begin, commit, inputs, seed):
    chooser = random.Random(f"{inputs} {seed}")
    order = [chooser.randint(0, 1) for _ in range(16)]
    attempts = [begin(), begin()]
    results = race(chains, order, {}, [lambda who=who: commit(attempts[who], inputs[who]) for who in (0, 1)])
    (winner,) = [who for who in (0, 1) if isinstance(results[who], int)]
    loser = results[1 - winner]
    assert isinstance(loser, JobFailure)
    assert loser.error is JobError.REFUSED
    assert derived(chains, chainID) == {results[winner]: inputs[winner]}
    assert products(chains, chainID) == {results[winner]}
    assert [stateOf(chains, attempts[who]) for who in (winner, 1 - winner)] == [AttemptState.COMMITTED, AttemptState.RUNNING]


@pytest.mark.parametrize("seed", range(16))
def test_a_commit_that_dies_anywhere_is_whole_or_nothing_and_never_stops_the_other_one(chains, chainID, begin, commit, seed):
    chooser = random.Random(f"kill {seed}")
    order = [chooser.randint(0, 1) for _ in range(16)]
    inputs = ([1, 2], [2, 3])
    attempts = [begin(), begin()]
    kills = {0: 1 + seed % 8}
    race(chains, order, kills, [lambda who=who: commit(attempts[who], inputs[who]) for who in (0, 1)])
    found = derived(chains, chainID)
    assert products(chains, chainID) == set(found)
    assert len(found) == 1  # either the killed one had ended, or the other one could go on
    ((productID, parents),) = found.items()
    assert parents in inputs
    winner = inputs.index(parents)
    assert stateOf(chains, attempts[winner]) is AttemptState.COMMITTED
    assert stateOf(chains, attempts[1 - winner]) is AttemptState.RUNNING
    # the answer of one that died is asked for again: it is the same, or the refusal
    again = [_again(commit, attempts[who], inputs[who]) for who in (0, 1)]
    assert again[winner] == productID
    assert again[1 - winner] is JobError.REFUSED


def _again(commit, attemptID, numbers):
    try:
        return commit(attemptID, numbers)
    except JobFailure as failure:
        return failure.error


@pytest.mark.parametrize("seed", range(10))
def test_a_job_that_is_declared_dead_while_it_commits_is_one_of_the_two(chains, chainID, begin, commit, seed):
    chooser = random.Random(f"dead {seed}")
    order = [chooser.randint(0, 1) for _ in range(12)]
    attemptID = begin()

    def declareDead() -> int:
        sql = "UPDATE Attempts SET State = 'Dead' WHERE AttemptID = %s AND State = 'Running'"
        return chains.inTransaction(lambda conn: chains.execute(sql, (attemptID,), conn))

    committed, declared = race(chains, order, {}, [lambda: commit(attemptID, [1]), declareDead])
    if declared:
        assert isinstance(committed, JobFailure)
        assert committed.error is JobError.DECLARED_DEAD
        assert (derived(chains, chainID), products(chains, chainID)) == ({}, set())
        assert stateOf(chains, attemptID) is AttemptState.DEAD
    else:
        assert derived(chains, chainID) == {committed: [1]}
        assert stateOf(chains, attemptID) is AttemptState.COMMITTED


def test_of_many_jobs_at_once_none_is_half_committed(chains, chainID, begin, commit):
    chooser = random.Random("many")
    attempts = {begin(): chooser.sample(range(1, 30), chooser.randint(1, 5)) for _ in range(60)}
    waiting = list(attempts)
    troubles = []

    def work() -> None:
        while waiting:
            try:
                attemptID = waiting.pop()
            except IndexError:
                return
            try:
                commit(attemptID, attempts[attemptID])
            except JobFailure as failure:
                if failure.error is not JobError.REFUSED:
                    troubles.append(failure)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    found = derived(chains, chainID)
    assert products(chains, chainID) == set(found)
    assert max(Counter(number for parents in found.values() for number in parents).values()) == 1
    committed = [attemptID for attemptID in attempts if stateOf(chains, attemptID) is AttemptState.COMMITTED]
    assert sorted(found.values()) == sorted(attempts[attemptID] for attemptID in committed)
    # whoever was refused has an input that somebody has
    taken = {number for parents in found.values() for number in parents}
    assert all(taken & set(attempts[attemptID]) for attemptID in attempts)
