"""A start leaves one production with its transformations, wherever it was cut short; stop and resume keep what gates hold."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dirac_doubles import Breaker, Cut, FakeFields, FakeProductions, FakeTransformations

from JUNODIRAC.Core.Domain.ChainRecords import ChainScope, ChainState, StartedChain
from JUNODIRAC.ProductionSystem.Client.ChainProductions import ChainProductions
from JUNODIRAC.ProductionSystem.Client.ChainStarter import ChainStarter
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = (Path(__file__).parents[3] / "etc/chains/rerec-merge.yaml").read_text()
NAME = "rerec-merge-J24.1-v1"
NAMES = [f"{NAME}-rawrec", f"{NAME}-merge", *(f"{NAME}-replicate-{se}" for se in ("IHEP-JUNOEOS", "CNAF-STORM", "JINR-EOS"))]


class FakeLedger:
    """One chain, of which only one may be at work at a time."""

    def __init__(self) -> None:
        self.chain = StartedChain(
            7,
            NAME,
            "rerec-merge",
            "J24.1",
            1,
            ChainState.STARTING,
            None,
            "RTRaw",
            TEXT,
            ChainScope(("b1",)),
            NOW,
            "ada",
            NOW,
            "ada",
        )
        self.steps = {}
        self.held: list[str] = []

    @contextmanager
    def holdBlocks(self, names, seconds):
        assert not self.held
        self.held = [name for _, name in names]
        yield
        self.held = []

    def chainByID(self, chainID):
        return self.chain

    def setProductionID(self, chainID, productionID):
        self.chain = replace(self.chain, productionID=productionID)

    def recordStep(self, step):
        self.steps[step.stepNumber, step.se] = step

    def chainSteps(self, chainID):
        return [self.steps[key] for key in sorted(self.steps)]

    def setChainState(self, chainID, old, new, actor, now):
        if self.chain.state in old:
            self.chain = replace(self.chain, state=new, stateBy=actor)


class World:
    def __init__(self) -> None:
        self.breaker = Breaker()
        self.transformations = FakeTransformations(self.breaker)
        self.productions = FakeProductions(self.breaker, self.transformations)
        self.fields = FakeFields()
        self.ledger = FakeLedger()

    def starter(self) -> ChainStarter:
        """As a new process has it."""
        self.ledger.held = []
        adapter = ChainProductions(self.productions, self.transformations, self.fields)
        return ChainStarter(self.ledger, adapter, lambda chain, step: f"workflow of {step.name}")

    def start(self, at: int = 0, after: bool = False) -> StartedChain:
        self.breaker.at, self.breaker.after, self.breaker.calls = at, after, 0
        return self.starter().complete(self.ledger.chain, "ada")

    def statuses(self) -> dict[str, str]:
        return {row["TransformationName"]: row["Status"] for row in self.transformations.rows.values()}


def checkWhole(world: World) -> None:
    """One production with the five transformations, linked, at work, each written down."""
    chain = world.ledger.chain
    assert chain.state is ChainState.ACTIVE
    assert [row["ProductionName"] for row in world.productions.rows.values()] == [NAME]
    assert chain.productionID in world.productions.rows
    assert world.productions.rows[chain.productionID]["Status"] == "Active"
    assert world.statuses() == dict.fromkeys(NAMES, "Active")
    byName = {row["TransformationName"]: number for number, row in world.transformations.rows.items()}
    rawrec, merge, *copies = (byName[name] for name in NAMES)
    wanted = [(rawrec, ()), (merge, (rawrec,)), *((copy, (merge,)) for copy in copies)]
    assert sorted(world.productions.links[chain.productionID]) == sorted(wanted)
    assert sorted(step.transformationID for step in world.ledger.steps.values()) == sorted(byName.values())
    for number, row in world.transformations.rows.items():
        assert row["Chain"] == NAME, number
        assert row["StepNumber"] in "123"


def test_a_start_makes_a_production_with_one_transformation_for_each_step_and_destination():
    world = World()
    started = world.start()
    assert started.state is ChainState.ACTIVE
    checkWhole(world)
    rows = {row["TransformationName"]: row for row in world.transformations.rows.values()}
    kinds = [(rows[name]["Type"], rows[name]["Plugin"]) for name in NAMES]
    copy = ("Replication", "BlockTransfer")
    assert kinds == [("DataReconstruction", "ChainProcess"), ("Merge", "ChainMerge"), copy, copy, copy]
    assert [rows[name]["Body"] for name in NAMES[:2]] == ["workflow of rawrec", "workflow of merge"]
    jinr = rows[f"{NAME}-replicate-JINR-EOS"]
    assert (jinr["TargetSE"], jinr["GroupSize"], jinr["MaxWaitSeconds"], jinr["SettleSeconds"]) == ("JINR-EOS", 50, "60", "3")
    assert world.fields.names == {"Block", "Type", "Chain", "Step"}
    assert json.loads(world.productions.rows[1]["Description"])[NAMES[1]] == {"step": "merge", "parentStep": [NAMES[0]]}


def test_steps_find_their_input_by_metadata_but_for_the_first_which_gates_stand_before():
    world = World()
    world.start()
    numbers = {row["TransformationName"]: number for number, row in world.transformations.rows.items()}
    queries = world.transformations.queries
    assert (numbers[NAMES[0]], "Input") not in queries
    parts = {"Type": "ESDPart", "Chain": NAME, "Step": "rawrec"}
    assert queries[numbers[NAMES[0]], "Output"] == queries[numbers[NAMES[1]], "Input"] == parts
    merged = {"Type": "ESD", "Chain": NAME, "Step": "merge"}
    assert [queries[numbers[name], "Input"] for name in NAMES[2:]] == [merged] * 3


def test_a_copy_goes_to_the_target_of_its_task_with_the_priority_of_its_step():
    """As DIRAC makes a request of a body, and a transfer of a request."""
    from DIRAC.DataManagementSystem.Client.FTS3Operation import FTS3TransferOperation
    from DIRAC.TransformationSystem.Client.RequestTasks import RequestTasks

    world = World()
    world.start()
    body = next(row["Body"] for row in world.transformations.rows.values() if row["TransformationName"] == NAMES[-1])
    task = {"InputData": ["/juno/a", "/juno/b"], "TargetSE": "JINR-EOS"}
    request = RequestTasks._buildOperationsBodyForTask(json.loads(body), task, "ada", "juno_prod")
    (operation,) = request
    request.RequestID, operation.OperationID = 1, 2
    assert (operation.Type, operation.TargetSE, [file.LFN for file in operation]) == (
        "ReplicateAndRegister", "JINR-EOS", ["/juno/a", "/juno/b"],
    )  # fmt: skip
    transfer = FTS3TransferOperation.fromRMSObjects(request, operation)
    assert (transfer.priority, transfer.activity) == (3, None)


def changes() -> int:
    """How many calls of a start change something."""
    world = World()
    world.start()
    return world.breaker.calls


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, changes() + 1))
def test_a_start_that_dies_at_any_call_is_completed_without_doubles(at, after):
    world = World()
    with pytest.raises(Cut):
        world.start(at, after)
    assert world.ledger.chain.state is ChainState.STARTING
    world.start()
    checkWhole(world)
    world.start()
    assert world.breaker.calls == 0


def test_a_start_that_dies_again_and_again_is_completed_in_the_end():
    world = World()
    for _ in range(200):
        try:
            world.start(at=2)
            break
        except Cut:
            continue
    checkWhole(world)


def test_nothing_works_before_all_of_it_is_there():
    world = World()
    for at in range(1, changes() + 1):
        world = World()
        with pytest.raises(Cut):
            world.start(at)
        isAtWork = "Active" in world.statuses().values()
        assert not isAtWork or len(world.productions.links[1]) == len(NAMES)


def test_a_transformation_of_this_name_that_is_another_one_is_refused_and_left_alone():
    world = World()
    options = {"body": "", "groupSize": 1, "inputMetaQuery": None, "outputMetaQuery": None}
    number = world.transformations._add(NAMES[0], "Replication", "Broadcast", options)["Value"]
    world.transformations.rows[number] |= {"Status": "Active", "Chain": "another"}
    with pytest.raises(ServiceRefusal, match=r"its Chain is another, not rerec-merge-J24\.1-v1; rename it"):
        world.start()
    assert world.transformations.rows[number]["Chain"] == "another"
    assert world.ledger.chain.state is ChainState.STARTING


def test_stop_and_resume_switch_all_transformations_and_the_production():
    world = World()
    world.start()
    world.starter().stop(world.ledger.chain, "bob")
    assert world.ledger.chain.state is ChainState.STOPPED
    assert set(world.statuses().values()) == {"Stopped"}
    assert world.productions.rows[1]["Status"] == "Stopped"
    world.starter().resume(world.ledger.chain, "bob")
    checkWhole(world)
    assert {row["AgentType"] for row in world.transformations.rows.values()} == {"Automatic"}


def test_what_a_gate_holds_stays_held_by_stop_and_resume():
    world = World()
    world.start()
    world.ledger.steps[1, ""] = replace(world.ledger.steps[1, ""], held="catalogue-up: away")
    world.starter().stop(world.ledger.chain, "bob")
    world.starter().resume(world.ledger.chain, "bob")
    assert world.statuses() == {name: "Stopped" if name == NAMES[0] else "Active" for name in NAMES}


@pytest.mark.parametrize("verb", ["stop", "resume"])
def test_a_stop_or_resume_that_died_is_done_by_the_next_one(verb):
    for at in range(1, 8):
        world = World()
        world.start()
        if verb == "resume":
            world.starter().stop(world.ledger.chain, "bob")
        world.breaker.at, world.breaker.after, world.breaker.calls = at, True, 0
        try:
            getattr(world.starter(), verb)(world.ledger.chain, "bob")
        except Cut:
            world.breaker.at = 0
            getattr(world.starter(), verb)(world.ledger.chain, "bob")
        assert set(world.statuses().values()) == {"Stopped" if verb == "stop" else "Active"}
        assert world.ledger.chain.state is (ChainState.STOPPED if verb == "stop" else ChainState.ACTIVE)
