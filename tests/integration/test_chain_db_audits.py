"""Audits, recovery and retirement on a real database: who is quicker wins once, what is retired is safe, findings are kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from plannedchain import CNAF, JINR, MERGE, NOW, PROCESS, PlannedChain

from JUNODIRAC.Core.Domain.ChainAudit import AuditLook, AuditRecord, AuditVerdict, Finding, FoundFile
from JUNODIRAC.Core.Domain.ChainRecoveryRecords import RecoveryRecord, RecoveryState
from JUNODIRAC.Core.Domain.JobError import JobFailure
from JUNODIRAC.Core.Domain.JobRecords import AttemptState, MadeOutput, TaskInput
from JUNODIRAC.Core.Logic.ChainAuditFacts import AuditedBlock, CatalogueEntry, SiteWitness
from JUNODIRAC.Core.Logic.ChainAuditRules import auditBlock
from JUNODIRAC.Core.Logic.ChainCleaning import ChainCleaning, CleaningOptions
from JUNODIRAC.Core.Logic.ChainRecoveryPorts import StepUnderRecovery
from JUNODIRAC.Core.Logic.ChainRetirement import ChainRetirement, RetiringStep
from JUNODIRAC.Core.Logic.Ports import StoredFile
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger

pytestmark = pytest.mark.integration
GUID = "0e0f1c6e-6a2a-5d0c-9d61-3f5f5a4f4c11"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def chains(ledger) -> ChainLedger:
    return ChainLedger()


@pytest.fixture
def chain(chains, typeName) -> Iterator[PlannedChain]:
    made = PlannedChain(chains, typeName)
    yield made
    made.delete()
    for table in ("Attempts", "Audits"):
        chains.execute(f"DELETE FROM {table} WHERE ChainID = %s", (made.chainID,))
    chains.execute("DELETE FROM Journal WHERE Object LIKE %s", (f"/juno/{typeName}/%",))


def step(chain: PlannedChain, number: int = PROCESS) -> StepUnderRecovery:
    source = None if number == PROCESS else PROCESS
    return StepUnderRecovery(chain.chainID, "m", number, "s", chain.transformation(number), source)


def begin(chain: PlannedChain, task: int = 1, *ses: str) -> int:
    place = (chain.chainID, PROCESS, chain.transformation(PROCESS), task)
    job = (task, "S", f"h{task}")
    attempt = chain.chains.beginAttempt(place, job, AttemptState.RUNNING, lambda number: f"/juno/{chain.typeName}/o/{number}")
    for se in ses:
        chain.chains.noteUpload(attempt.attemptID, se)
    return attempt.attemptID


def commit(chain: PlannedChain, attemptID: int, number: int = 1) -> int:
    made = MadeOutput(f"/juno/{chain.typeName}/o/{attemptID}", GUID, CNAF, 99, "0000000b", [7])
    parent = TaskInput("/x", chain.fileID(number), chain.blockID(), 10, "c", "Physics.", 123, 123, number, number, 7)
    return chain.chains.commitAttempt(attemptID, made, [parent])


# ---- attempts


def test_an_attempt_is_dead_or_committed_and_never_both_whoever_comes_first(chain):
    chain.announce(*range(1, 13))
    outcomes = []
    for number in range(1, 13):
        attemptID, barrier = begin(chain, number, CNAF), threading.Barrier(2)
        found: dict[str, object] = {}

        def job(attemptID=attemptID, number=number, barrier=barrier, found=found):
            barrier.wait()
            try:
                found["product"] = commit(chain, attemptID, number)
            except JobFailure as failure:
                found["refused"] = failure.error.value

        def recovery(attemptID=attemptID, barrier=barrier, found=found):
            barrier.wait()
            found["dead"] = chain.chains.declareDead([attemptID], "job gone")

        threads = [threading.Thread(target=each) for each in (job, recovery)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        isDead = found["dead"] == {attemptID}
        assert isDead is ("product" not in found)
        assert not isDead or found["refused"] == "DeclaredDead"
        known = chain.chains.knownInputs(step(chain), [])
        assert known == {}
        outcomes.append(isDead)
    attempts = chain.chains.attemptsOfTasks(chain.transformation(PROCESS), range(1, 13))
    assert [attempts[number][0].state == "Dead" for number in range(1, 13)] == outcomes


def test_an_attempt_that_has_committed_or_ended_cannot_die(chain):
    chain.announce(1)
    committed, failed = begin(chain, 1, CNAF), begin(chain, 2, CNAF)
    commit(chain, committed)
    chain.chains.endAttempt(failed, AttemptState.FAILED, 209, "ProgramFailed", "exit code 1")
    assert chain.chains.declareDead([committed, failed], "job gone") == set()
    attempts = chain.chains.attemptsOfTasks(chain.transformation(PROCESS), [1, 2])
    assert [(attempts[task][0].state, attempts[task][0].error) for task in (1, 2)] == [
        ("Committed", ""),
        ("Failed", "ProgramFailed"),
    ]


def test_what_a_dead_attempt_wrote_is_looked_for_at_once_then_ever_more_seldom_and_once_when_no_zombie_can_live(chain):
    chain.announce(1)
    dead, clean = begin(chain, 1, CNAF, JINR), begin(chain, 2)
    chain.chains.declareDead([dead, clean], "job gone")
    ((ended,),) = chain.chains.select("SELECT EndedTime FROM Attempts WHERE AttemptID = %s", (dead,))
    ended = ended.replace(tzinfo=UTC)

    def due(age: float) -> set[int]:
        found = chain.chains.attemptsToClean(ended + timedelta(seconds=age), 3600, 10_000)
        return {each.attemptID for each in found} & {dead, clean}

    looks = []
    for age in range(0, 9000, 30):
        if due(age) == {dead}:
            looks.append(age)
            chain.chains.noteCleaned([dead], ended + timedelta(seconds=age))
    assert looks[0] == 0
    assert looks[-1] == 3600
    assert len(looks) <= 9
    assert [each.outputSEs for each in chain.chains.attemptsOfTasks(chain.transformation(PROCESS), [1])[1]] == [(CNAF, JINR)]


def test_of_a_committed_output_only_what_lies_elsewhere_is_removed(chain):
    chain.announce(1, 2)
    spread, single = begin(chain, 1, JINR, CNAF), begin(chain, 2, CNAF)
    commit(chain, spread, 1)
    commit(chain, single, 2)
    deleted: list[tuple[str, str]] = []

    class World:
        def replicas(self, lfns):
            return {lfn: [CNAF] for lfn in lfns}

        def delete(self, se, lfns):
            deleted.extend((se, lfn) for lfn in lfns if chain.typeName in lfn)
            return {}

        def forget(self, lfns):
            assert not [lfn for lfn in lfns if chain.typeName in lfn]
            return {}

    world = World()
    ChainCleaning(chain.chains, world, world, CleaningOptions(limit=10_000)).clean(datetime.now(UTC) + timedelta(seconds=1))
    assert deleted == [(JINR, f"/juno/{chain.typeName}/o/{spread}")]
    assert f"/juno/{chain.typeName}/o/{single}" not in chain.chains.filesUnderWay(chain.chainID, 3600)


# ---- recoveries


def test_what_was_written_down_is_read_again_and_what_a_person_waived_stays_so(chain):
    chain.announce(1)
    lfns = chain.give()
    (lfn, parentID) = next(iter(lfns.items()))
    record = RecoveryRecord(
        chain.chainID, PROCESS, "", parentID, chain.blockID(), lfn, RecoveryState.RECOVERING, 1, "Lost", "job ☂", NOW, NOW,
        NOW + HOUR,
    )  # fmt: skip
    chain.chains.recordRecoveries([record])
    known = chain.chains.knownInputs(step(chain), [lfn])[lfn]
    assert (known.recovery, known.isDerived, known.parentID) == (record, False, parentID)
    later = replace(record, state=RecoveryState.GIVEN_UP, attempts=2, nextTime=None, firstTime=NOW + HOUR)
    chain.chains.recordRecoveries([later])
    assert chain.chains.readRecoveries(chain.chainID, PROCESS, "", [parentID])[parentID] == replace(later, firstTime=NOW)
    assert chain.chains.waiveInputs(chain.chainID, [lfn], NOW) == 1
    chain.chains.recordRecoveries([record])
    assert chain.chains.readRecoveries(chain.chainID, PROCESS, "", [parentID])[parentID].state is RecoveryState.WAIVED
    assert chain.chains.retryInputs(chain.chainID, [lfn], NOW) == 1
    assert chain.chains.readRecoveries(chain.chainID, PROCESS, "", [parentID])[parentID].attempts == 0


def test_what_is_in_an_output_after_all_is_solved(chain):
    chain.announce(1, 2)
    chain.give()
    for number in (1, 2):
        chain.recover(PROCESS, chain.fileID(number), "GivenUp")
    chain.process(1)
    chain.chains.solveDerived()
    found = chain.chains.readRecoveries(chain.chainID, PROCESS, "", [chain.fileID(1), chain.fileID(2)])
    assert [found[chain.fileID(number)].state.value for number in (1, 2)] == ["Solved", "GivenUp"]
    copy = RecoveryRecord(
        chain.chainID, 3, JINR, 5, chain.blockID(), "/x", RecoveryState.RECOVERING, 1, "Timeout", "", NOW, NOW, NOW
    )  # fmt: skip
    chain.chains.recordRecoveries([copy])
    assert chain.chains.openCopies(chain.chainID, 3, JINR) == {"/x": copy}
    chain.chains.recordRecoveries([replace(copy, state=RecoveryState.SOLVED, nextTime=None)])
    assert chain.chains.openCopies(chain.chainID, 3, JINR) == {}


# ---- retirement


class Storages:
    """A catalogue and storages in memory."""

    def __init__(self, good=(), isAway=False) -> None:
        self.good, self.isAway, self.deleted, self.forgotten = set(good), isAway, [], []

    def replicas(self, lfns):
        return {lfn: [CNAF] for lfn in lfns if lfn not in self.forgotten}

    def seenGood(self, declared):
        return self.good & declared.keys()

    def delete(self, se, lfns):
        if self.isAway:
            return dict.fromkeys(lfns, "away")
        self.deleted += lfns
        return {}

    def forget(self, lfns):
        self.forgotten += lfns
        return {}


def statesOf(chain, lfns):
    sql = f"SELECT LFN, State, RetiredTime IS NOT NULL FROM Products WHERE LFN IN ({', '.join(['%s'] * len(lfns))})"
    return {lfn: (state, bool(gone)) for lfn, state, gone in chain.chains.select(sql, lfns)}


def test_inputs_are_retired_only_when_their_merged_file_was_seen_and_no_other_step_wants_them(chain):
    chain.announce(1, 2, 3)
    chain.give()
    parts = chain.process(1, 2, 3)
    chain.merge(parts[:2])
    retiring = RetiringStep(chain.chainID, "m", MERGE, "merge", PROCESS)
    merged = f"{parts[0]}.merged"
    chain.chains.execute("UPDATE Products SET Events = 2 WHERE LFN = %s", (merged,))
    assert ChainRetirement(chain.chains, Storages(), Storages()).mark(retiring, 10) == 0
    wanted = replace(retiring, otherMakers=[PROCESS + 7])
    good = Storages([merged])
    assert ChainRetirement(chain.chains, good, good).mark(wanted, 10) == 0
    assert ChainRetirement(chain.chains, good, good).mark(replace(retiring, destinations=[JINR]), 10) == 0
    chain.chains.execute("UPDATE Products SET Events = 3 WHERE LFN = %s", (merged,))
    assert ChainRetirement(chain.chains, good, good).mark(retiring, 10) == 0
    chain.chains.execute("UPDATE Products SET Events = 2 WHERE LFN = %s", (merged,))
    assert ChainRetirement(chain.chains, good, good).mark(retiring, 10) == 2
    registered = ("Registered", False)
    assert statesOf(chain, [*parts, merged]) == {
        parts[0]: ("Retired", False), parts[1]: ("Retired", False), parts[2]: registered, merged: registered,
    }  # fmt: skip


def test_what_is_marked_is_removed_in_the_end_whatever_breaks_in_between(chain):
    chain.announce(1, 2)
    chain.give()
    parts = chain.process(1, 2)
    chain.chains.execute("UPDATE Products SET State = 'Retired' WHERE ChainID = %s", (chain.chainID,))
    away = Storages(isAway=True)
    ChainRetirement(chain.chains, away, away).remove(10_000)
    assert set(statesOf(chain, parts).values()) == {("Retired", False)}
    back = Storages()
    ChainRetirement(chain.chains, back, back).remove(10_000)
    assert set(parts) <= set(back.deleted)
    assert set(statesOf(chain, parts).values()) == {("Retired", True)}
    ChainRetirement(chain.chains, back, back).remove(10_000)
    assert back.deleted.count(parts[0]) == 1


# ---- audits


def auditedBlock(chain: PlannedChain, text: str) -> AuditedBlock:
    """What the ledger says, with a catalogue, storages and transformations that agree with it."""
    steps = chain.chains.auditedSteps(chain.chainID, readChain(text), chain.blockID())
    products = {each.lfn: each for made in steps for each in made.products if each.state == "Registered"}
    destinations = set(steps[-1].destinations)
    copied = {each.lfn for each in steps[-1].inputs}
    replicas = {lfn: frozenset({each.se, *(destinations if lfn in copied else ())}) for lfn, each in products.items()}
    ancestors: dict[str, dict[str, int]] = {}
    for made in steps:
        names, own = {each.parentID: each.lfn for each in made.inputs}, {each.productID: each.lfn for each in made.products}
        for each in made.derivations:
            above = ancestors.setdefault(own[each.productID], {})
            above[names[each.parentID]] = 1
            above.update({lfn: depth + 1 for lfn, depth in ancestors.get(names[each.parentID], {}).items()})
    sites = {
        se: SiteWitness(
            {lfn: StoredFile(each.sizeBytes, each.checksum) for lfn, each in products.items() if se in replicas[lfn]},
            frozenset(lfn for lfn in products if se in replicas[lfn]),
        )
        for se in {se for names in replicas.values() for se in names}
    }
    told = [
        replace(made, statuses={se: {each.lfn: "Processed" for each in made.inputs} for se in (made.destinations or ("",))})
        for made in steps
    ]
    entries = {lfn: CatalogueEntry(each.sizeBytes, each.checksum, replicas[lfn]) for lfn, each in products.items()}
    return AuditedBlock(chain.chainID, chain.blockID(), "m", chain.typeName, "b1", told, entries, ancestors, sites)


@pytest.fixture
def ended(chain) -> PlannedChain:
    chain.announce(1, 2, 3)
    chain.chains.execute(
        "UPDATE Files f JOIN Directories d ON d.DirectoryID = f.DirectoryID SET f.EventCount = 1 WHERE d.BlockID = %s",
        (chain.blockID(),),
    )
    chain.give()
    parts = chain.process(1, 2, 3)
    chain.merge(parts)
    sql = "UPDATE Products SET Events = 3, LastSequence = 3 WHERE ChainID = %s AND StepNumber = %s"
    chain.chains.execute(sql, (chain.chainID, MERGE))
    return chain


def textOf(chain: PlannedChain) -> str:
    ((text,),) = chain.chains.select("SELECT Description FROM Chains WHERE ChainID = %s", (chain.chainID,))
    return str(text)


def test_the_ledger_of_a_block_that_ended_well_is_exact_and_one_row_less_is_off(ended):
    text = textOf(ended)
    outcome = auditBlock(auditedBlock(ended, text))
    assert (outcome.verdict, outcome.findings) == (AuditVerdict.EXACT, [])
    assert [(made.inputs, made.outputs, made.eventsOut) for made in outcome.steps] == [(3, 3, 3), (3, 1, 3), (1, 0, 0)]
    good = auditedBlock(ended, text)
    ended.chains.execute("DELETE FROM Derivations WHERE ChainID = %s AND Position = 1 LIMIT 1", (ended.chainID,))
    steps = ended.chains.auditedSteps(ended.chainID, readChain(text), ended.blockID())
    lost = [replace(made, statuses=before.statuses) for made, before in zip(steps, good.steps, strict=True)]
    kinds = auditBlock(replace(good, steps=lost)).kinds
    assert Finding.WITHOUT_DAUGHTER in kinds
    assert Finding.WRONG_EVENTS in kinds


def test_a_file_that_was_given_and_one_that_was_not_are_both_wanted(chain):
    chain.announce(1, 2)
    chain.give()
    chain.announce(3)
    made = chain.chains.auditedSteps(chain.chainID, readChain(textOf(chain)), chain.blockID())[0]
    assert [each.isAttached for each in sorted(made.inputs, key=lambda each: each.first)] == [True, True, False]


def test_the_newest_audit_of_each_block_is_found_and_is_as_it_was_kept(chain):
    chain.announce(1)
    found = FoundFile(Finding.WITHOUT_DAUGHTER, "rawrec", "/a", "why ☂")
    record = AuditRecord(
        chain.chainID, chain.blockID(), AuditLook.STEP, "agent", NOW, NOW + timedelta(seconds=1), AuditVerdict.OFF,
        [{"Step": "rawrec", "Inputs": 1}], {Finding.WITHOUT_DAUGHTER: 1}, [found], 1,
    )  # fmt: skip
    first = chain.chains.recordAudit(record)
    assert chain.chains.namedByAudits(chain.chainID, "rawrec") == ["/a"]
    exact = replace(record, verdict=AuditVerdict.EXACT, counts={}, findings=[], endedSteps=2)
    second = chain.chains.recordAudit(exact)
    newest = chain.chains.newestAudits([chain.blockID()])[chain.chainID, chain.blockID()]
    assert newest == replace(exact, auditID=second, production=newest.production, typeName=chain.typeName, block="b1")
    assert [each.auditID for each in chain.chains.readAudits(chain.chainID, chain.blockID())] == [second, first]
    assert chain.chains.namedByAudits(chain.chainID, "rawrec") == []
    assert json.loads(json.dumps(newest.toDict()))["Verdict"] == "Exact"
    (target,) = chain.chains.auditTargets(newest.production)
    assert target == (newest.production, chain.typeName, "b1")
    assert chain.chains.auditTargets("b1", newest.production, chain.typeName) == [target]
    assert chain.chains.auditTargets("b1", "nochain", chain.typeName) == []


def test_blocks_whose_steps_ended_are_due_until_they_are_done(chain):
    chain.announce(1)
    key = (chain.chainID, chain.blockID())
    assert key not in {row[:2] for row in chain.chains.endedBlocks()}
    chain.chains.execute("UPDATE ChainBlocks SET EndedSteps = 1 WHERE ChainID = %s", (chain.chainID,))
    assert (*key, 1, False) in chain.chains.endedBlocks()
    chain.chains.execute("UPDATE ChainBlocks SET EndedSteps = 2 WHERE ChainID = %s", (chain.chainID,))
    assert (*key, 2, True) in chain.chains.endedBlocks()
    chain.chains.execute("UPDATE ChainBlocks SET State = 'Done' WHERE ChainID = %s", (chain.chainID,))
    assert key not in {row[:2] for row in chain.chains.endedBlocks()}


# ---- explanations


def test_the_way_of_a_file_and_of_its_outputs_is_read_from_the_ledger(ended):
    chains = ended.chains
    lfn, fileID = min(ended.give().items()) if ended.give() else (None, ended.fileID(1))
    sql = (
        "SELECT CONCAT(d.Directory, '/', f.FileName) FROM Files f JOIN Directories d ON d.DirectoryID = f.DirectoryID"
        " WHERE f.FileID = %s"
    )
    lfn = lfn or chains.select(sql, (fileID,))[0][0]
    assert chains.chainFile(lfn) == (fileID, ended.blockID(), ended.typeName, "b1")
    (production,) = chains.chainIDs(ended.blockID())
    part = chains.chainDaughter(ended.chainID, PROCESS, fileID)
    merged = chains.chainDaughter(ended.chainID, MERGE, part.productID)
    assert (part.lfn, merged.events) == (ended.partOf(1), 3)
    assert type(part.jobID) is int  # DIRAC sends no decimal numbers
    chainID, blockID, typeName, block, made = chains.chainOutput(merged.lfn)
    assert (chainID, blockID, typeName, block, made) == (ended.chainID, ended.blockID(), ended.typeName, "b1", merged)
    assert chains.chainOutput("/nothing") is None
    assert chains.chainFile("/nothing/at/all") is None
    assert chains.lastAudits(ended.blockID()) == {}
    record = AuditRecord(
        ended.chainID, ended.blockID(), AuditLook.ASKED, "zhang", NOW, NOW, AuditVerdict.OFF, [], {Finding.EXTRA: 2}, []
    )  # fmt: skip
    chains.recordAudit(record)
    line = chains.lastAudits(ended.blockID())[production]
    assert (line.verdict, line.sentence) == ("Off", "2 files on storages that are no output or replica")
