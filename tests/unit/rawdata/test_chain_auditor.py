"""The auditor: everyone is asked, in an order in which what goes on meanwhile is never taken for wrong; then who acts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from DIRAC import S_ERROR, S_OK, gLogger

from JUNODIRAC.Core.Domain.ChainAudit import AuditLook, AuditRecord, AuditVerdict, Finding
from JUNODIRAC.Core.Domain.ChainDescription import StepKind
from JUNODIRAC.Core.Domain.ChainRecords import ChainBlock, ChainBlockState, ChainScope, ChainState, StartedChain
from JUNODIRAC.Core.Logic.ChainAuditFacts import AuditedDerivation, AuditedInput, AuditedProduct, AuditedStep, CatalogueEntry
from JUNODIRAC.Core.Logic.Ports import StoredFile, TemporaryFailure
from JUNODIRAC.ProductionSystem.Client.AskedAudits import AskedAudits
from JUNODIRAC.ProductionSystem.Client.AuditCatalogue import AuditCatalogue
from JUNODIRAC.ProductionSystem.Client.BackgroundAudits import BackgroundAudits, isDue, stateAfter
from JUNODIRAC.ProductionSystem.Client.ChainAuditor import AuditTask, ChainAuditor
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.ProductionSystem.Client.ChainRecoveryRound import ChainRecoveryRound, RoundOptions, retiringSteps

pytestmark = pytest.mark.unit
NOW = datetime(2030, 1, 1, tzinfo=UTC)
TEXT = """
name: rerec
version: J1
steps:
  - name: rawrec
    kind: process
    executable: juno-rawrec
    input: {type: RTRaw}
    output: {type: ESD}
    sites: [DIRAC.CNAF.it]
"""
CHAIN = StartedChain(
    1, "rerec-J1-v1", "rerec", "J1", 1, ChainState.ACTIVE, 5, "RTRaw", TEXT, ChainScope(), NOW, "prod", NOW, "prod"
)  # fmt: skip
DIRECTORY = "/juno/chains/rerec-J1-v1/rawrec/b1"
LFN, SE = f"{DIRECTORY}/1.esd", "CNAF-STORM"
INPUT = AuditedInput(7, "/in/1", 3, "Physics.a", (1, 1), (1, 1))
PRODUCT = AuditedProduct(9, LFN, SE, 100, "0000000a", 3, "Physics.a", (1, 1), (1, 1))
STEP = AuditedStep(1, "rawrec", StepKind.PROCESS, [INPUT], [PRODUCT], [AuditedDerivation(7, 9, 0, 3)])
TASK = AuditTask(CHAIN, 2, "RTRaw", "b1")


class World:
    """Ledger, catalogue, transformations and one storage."""

    def __init__(self) -> None:
        self.steps = [STEP]
        self.kept: list[AuditRecord] = []
        self.files = {LFN: 100}
        self.status, self.entries = "Processed", {LFN: CatalogueEntry(100, "0000000a", frozenset({SE}))}
        self.onListing = lambda: None
        self.isAway = False

    def auditedSteps(self, chainID, chain, blockID):
        return list(self.steps)

    def chainSteps(self, chainID):
        return [SimpleNamespace(stepNumber=1, se="", transformationID=77)]

    def filesUnderWay(self, chainID, zombieSeconds):
        return frozenset()

    def storagesTried(self, chainID):
        return {SE}

    def recordAudit(self, found):
        self.kept.append(found)
        return 33

    def entriesOf(self, directories, named):
        assert directories == [DIRECTORY]
        return dict(self.entries)

    def ancestors(self, lfns):
        return {lfn: {"/in/1": 1} for lfn in lfns}

    def getTransformationFiles(self, condDict, columns):
        if self.status is None:
            return S_ERROR("Transformation service is away: Can't connect")
        return S_OK([{"LFN": lfn, "Status": self.status} for lfn in condDict["LFN"]])

    def listSizes(self, directory):
        if self.isAway:
            raise TemporaryFailure("storage", "away")
        self.onListing()
        return dict(self.files)

    def sizes(self, lfns):
        return {lfn: StoredFile(None) for lfn in lfns}

    def checksums(self, lfns):
        return {lfn: StoredFile(None, "0000000a") for lfn in lfns}

    def audit(self) -> AuditRecord:
        catalogue = SimpleNamespace(entries=self.entriesOf, ancestors=self.ancestors)
        return ChainAuditor(self, catalogue, self, lambda se: self, 60.0).audit(TASK)


def test_all_witnesses_are_asked_and_the_outcome_is_kept():
    world = World()
    record = world.audit()
    assert (record.verdict, record.auditID, record.block) == (AuditVerdict.EXACT, 33, "b1")
    assert world.kept[0].steps[0]["EventsOut"] == 3
    world.files = {}
    assert world.audit().counts == {Finding.MISSING: 1}


def test_an_output_that_is_committed_while_the_storages_are_looked_at_is_no_extra_file():
    world = World()
    new = f"{DIRECTORY}/2.esd"

    def commit() -> None:
        world.steps = [replace(STEP, products=[PRODUCT, replace(PRODUCT, productID=10, lfn=new)])]
        world.files[new] = 100

    world.onListing = commit
    assert world.audit().verdict is AuditVerdict.UNFINISHED


def test_who_does_not_answer_is_told_of_and_holds_up_no_other():
    world = World()
    world.status = None
    assert world.audit().verdict is AuditVerdict.UNANSWERED
    world = World()
    world.isAway = True
    record = world.audit()
    assert record.verdict is AuditVerdict.UNANSWERED
    assert "away" in record.findings[0].detail


def test_ancestors_of_what_was_removed_since_have_no_name_and_are_no_failure():
    failed = dict.fromkeys(["/a", "/b"], "Failed to get the ancestor LFN")
    answer = S_OK({"Successful": {"/a": {"/x": 1}}, "Failed": failed})
    client = SimpleNamespace(getFileAncestors=lambda lfns, depths: answer)
    assert AuditCatalogue(client).ancestors(["/a", "/b"]) == {"/a": {"/x": 1}, "/b": {}}


def test_a_directory_that_no_job_has_written_to_yet_is_empty_and_no_failure():
    answer = S_OK({"Successful": {}, "Failed": {"/out": "Directory does not exist: /out"}})
    assert AuditCatalogue(SimpleNamespace(listDirectory=lambda paths, verbose: answer)).entries(["/out"], []) == {}


# ---- by itself


def record(verdict: AuditVerdict, ended: int = 1, seconds: float = 0) -> AuditRecord:
    end = NOW - timedelta(seconds=seconds)
    return AuditRecord(1, 2, AuditLook.STEP, "a", end, end, verdict, [], {}, [], ended)


@pytest.mark.parametrize(
    ("last", "ended", "isLast", "due"),
    [
        (None, 1, False, True),
        (record(AuditVerdict.EXACT, 1), 1, False, False),
        (record(AuditVerdict.EXACT, 1), 2, False, True),
        (record(AuditVerdict.OFF, 1, 10), 1, False, False),
        (record(AuditVerdict.OFF, 1, 100), 1, False, True),
        (record(AuditVerdict.EXACT, 3, 100), 3, True, True),
        (record(AuditVerdict.EXACT, 3, 10), 3, True, False),
    ],
)
def test_a_block_is_audited_once_for_each_step_and_again_until_it_is_done(last, ended, isLast, due):
    assert isDue(last, ended, isLast, NOW, 60.0) is due


def test_an_exact_audit_of_the_last_step_is_done_and_what_is_off_is_a_problem_until_it_is_not():
    running, problem, done = ChainBlockState.RUNNING, ChainBlockState.PROBLEM, ChainBlockState.DONE
    exact, off = record(AuditVerdict.EXACT), replace(record(AuditVerdict.OFF), counts={Finding.EXTRA: 1})
    assert stateAfter(exact, True, running, "") == (done, "")
    assert stateAfter(exact, False, running, "") is None
    assert stateAfter(off, True, running, "")[0] is problem
    assert stateAfter(exact, False, problem, "Audit: 1 missing") == (running, "")
    assert stateAfter(exact, False, problem, "Held: for an hour") is None
    assert stateAfter(record(AuditVerdict.UNANSWERED), True, running, "") is None


class Ledger:
    """What BackgroundAudits asks."""

    def __init__(self) -> None:
        self.block = ChainBlock(1, 2, "b1", "Done", ChainBlockState.RUNNING, NOW, NOW, "prod", 1)
        self.audits: dict[tuple[int, int], AuditRecord] = {}
        self.journal: list[str] = []

    def readChains(self):
        return [CHAIN]

    def chainBlocks(self, chainID, block=""):
        return [self.block]

    def endedBlocks(self):
        return [] if self.block.state is ChainBlockState.DONE else [(1, 2, self.block.endedSteps, True)]

    def newestAudits(self, blockIDs=(), chainID=0):
        return self.audits

    def setChainBlockState(self, chainID, blockID, old, new, now, problem=""):
        assert old is self.block.state
        self.block = replace(self.block, state=new, problem=problem)
        return True

    def recordDecisions(self, actor, action, reasons):
        self.journal += [f"{action} {name}: {why}" for name, why in reasons.items()]


def test_a_block_whose_last_step_ended_is_done_by_its_exact_audit_and_is_not_audited_again():
    ledger, world = Ledger(), World()
    catalogue = SimpleNamespace(entries=world.entriesOf, ancestors=world.ancestors)
    audits = BackgroundAudits(ledger, lambda: ChainAuditor(world, catalogue, world, lambda se: world, 60.0), 60.0, gLogger)
    assert audits.start(NOW) == 1
    audits.join(30)
    assert ledger.block.state is ChainBlockState.DONE
    assert audits.start(NOW) == 0
    assert len(ledger.journal) == 1


def test_who_asks_for_a_block_that_is_looked_at_already_waits_for_that():
    import threading

    gate, asked = threading.Event(), AskedAudits()

    def work(task):
        gate.wait(30)
        return record(AuditVerdict.EXACT)

    token = asked.start(TASK, work)
    assert asked.start(TASK, work) == token
    assert not asked.progress(token)["Ended"]
    gate.set()
    while not asked.progress(token)["Ended"]:
        pass
    assert asked.progress(token)["Audit"]["Verdict"] == "Exact"
    assert asked.start(TASK, work) != token


# ---- rounds


class Steps:
    """A ledger with nothing to do."""

    def __init__(self) -> None:
        self.looked: list[str] = []

    def readChains(self, states=()):
        return [CHAIN]

    def chainSteps(self, chainID):
        return [SimpleNamespace(stepNumber=1, se="", step="rawrec", transformationID=77, held="")]

    def namedByAudits(self, chainID, step):
        self.looked.append(step)
        return []

    def solveDerived(self):
        self.looked.append("solved")
        return 0

    def retiring(self, limit):
        self.looked.append("retiring")
        return {}

    def silentAttempts(self, before, limit):
        self.looked.append("lost")
        return []

    def attemptsToClean(self, now, zombieSeconds, limit):
        self.looked.append("leftovers")
        return []


def test_what_a_round_had_no_time_for_comes_first_in_the_next_one():
    ledger = Steps()
    tools = SimpleNamespace(
        facts=SimpleNamespace(unsettledFiles=lambda *_: [], filesNamed=lambda *_: []),
        hands=None,
        chains=SimpleNamespace(listUnregistered=lambda *_: ledger.looked.append("outputs") or S_OK([])),
    )
    first = ""
    for _ in range(6):
        time = iter([True, False])
        first = ChainRecoveryRound(ledger, tools, RoundOptions(), gLogger).run(NOW, lambda time=time: next(time), first)
    assert sorted(ledger.looked) == sorted(["rawrec", "outputs", "lost", "leftovers", "solved", "retiring"])
    assert ChainRecoveryRound(ledger, tools, RoundOptions(), gLogger).run(NOW, lambda: True) == ""


def test_only_a_merge_that_removes_its_inputs_retires_and_waits_for_all_others_that_take_them():
    text = (Path(__file__).parents[3] / "etc/chains/rerec-merge.yaml").read_text()
    (step,) = retiringSteps(CHAIN, readChain(text))
    assert (step.step, step.sourceNumber, list(step.otherMakers), list(step.destinations)) == ("merge", 1, [], [])
    assert retiringSteps(CHAIN, readChain(text.replace("retire: remove", "retire: keep"))) == []
