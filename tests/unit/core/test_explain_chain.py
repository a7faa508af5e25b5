"""Why something is where it is in a chain: one verdict for everything, who acts, and a command where somebody has to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.BlockInChain import BlockInChain
from JUNODIRAC.Core.Domain.ChainWhyFacts import (
    AuditLine,
    BlockChainFacts,
    ChainAttemptFacts,
    ChainProductFacts,
    ChainRecoveryFacts,
    ChainStepFacts,
    FileChainFacts,
)
from JUNODIRAC.Core.Domain.Explanation import LinkState, Role, Stage
from JUNODIRAC.Core.Domain.JobError import JobError, WhoActs
from JUNODIRAC.Core.Domain.TransferErrors import ErrorClass
from JUNODIRAC.Core.Logic.ExplainChain import explainBlockInChain, explainFileInChain

pytestmark = pytest.mark.unit
NOW = datetime(2030, 1, 1, tzinfo=UTC)
AT = BlockInChain("rerec-J1-v1", "Active", "Running", 1, 3, 60, 60)
BLOCK = BlockChainFacts("20230302", AT)
STEP = ChainStepFacts(1, "rawrec", "process", "/a", 7, status="Assigned", statusTime=NOW, taskID=4)
FILE = FileChainFacts("/a", "20230302", AT, (STEP,))
ATTEMPT = ChainAttemptFacts("Running", 99, "DIRAC.CNAF.it", NOW)
PRODUCT = ChainProductFacts(5, "/esd", 1, "Registered", "CNAF-STORM", 10, NOW, NOW, 99, "DIRAC.CNAF.it")
LOST = ChainRecoveryFacts("GivenUp", 5, "InputCorrupt", "adler32 differs", NOW)


def withStep(**changes) -> FileChainFacts:
    return replace(FILE, steps=(replace(STEP, **changes),))


@pytest.mark.parametrize(
    ("facts", "state", "code"),
    [
        (withStep(isAttached=False), LinkState.WAITS, "NotGivenYet"),
        (withStep(status=""), LinkState.WAITS, "NotInTransformation"),
        (withStep(status="Unused"), LinkState.WAITS, "WaitsForTask"),
        (withStep(held="catalogue-up: no answer"), LinkState.WAITS, "StepHeld"),
        (withStep(), LinkState.WAITS, "WaitsForJob"),
        (withStep(attempt=ATTEMPT, jobStatus="Running (Application)"), LinkState.WAITS, "AttemptRunning"),
        (withStep(attempt=replace(ATTEMPT, state="Failed", error="NoRoom")), LinkState.WAITS, "AttemptFailed"),
        (withStep(recovery=replace(LOST, state="Recovering", nextTime=NOW)), LinkState.WAITS, "WaitsForAttempt"),
        (withStep(recovery=LOST), LinkState.BROKEN, "GivenUp"),
        (withStep(recovery=replace(LOST, state="Waived")), LinkState.HOLDS, "AllRight"),
        (withStep(status=None), LinkState.UNKNOWN, "NotTold"),
        (withStep(product=PRODUCT, status="Processed"), LinkState.HOLDS, "AllRight"),
        (withStep(product=replace(PRODUCT, state="Committed")), LinkState.WAITS, "NotRegistered"),
        (withStep(kind="replicate", se="JINR-EOS", hasCopy=False), LinkState.WAITS, "CopyUnderWay"),
        (withStep(kind="replicate", se="JINR-EOS", hasCopy=True), LinkState.HOLDS, "AllRight"),
        (withStep(kind="replicate", se="JINR-EOS", hasCopy=None), LinkState.UNKNOWN, "NotTold"),
        (withStep(kind="replicate", se="JINR-EOS", hasCopy=False, recovery=LOST), LinkState.BROKEN, "GivenUp"),
        (replace(FILE, steps=(), made=replace(PRODUCT, state="Retired")), LinkState.HOLDS, "AllRight"),
        (replace(FILE, steps=(), made=replace(PRODUCT, state="Committed")), LinkState.WAITS, "NotRegistered"),
    ],
)
def test_where_a_file_stands_is_said_by_one_word(facts, state, code):
    verdict = explainFileInChain(facts).verdict
    assert (verdict.state, verdict.link.code) == (state, code)


def test_of_what_was_given_up_it_is_said_who_acts_and_how_it_is_tried_again():
    link = explainFileInChain(withStep(recovery=LOST)).verdict.link
    assert link.action.role is Role.DATA_MANAGER
    assert "dirac-juno-chain waive rerec-J1-v1 /a --undo" in link.action.command
    assert JobError.INPUT_CORRUPT.remedy in link.text
    full = withStep(recovery=replace(LOST, error="NoRoom"), attempt=ATTEMPT)
    assert explainFileInChain(full).verdict.link.action.party == "DIRAC.CNAF.it"
    assert JobError.NO_ROOM.actor is WhoActs.SITE


@pytest.mark.parametrize(
    ("facts", "state", "stage"),
    [
        (BLOCK, LinkState.WAITS, Stage.CHAIN),
        (replace(BLOCK, inChain=replace(AT, waits="rawrec: 60 files wait")), LinkState.WAITS, Stage.STEP),
        (replace(BLOCK, inChain=replace(AT, chainState="Stopped")), LinkState.WAITS, Stage.STEP),
        (replace(BLOCK, inChain=replace(AT, state="Problem", problem="Audit: 1 given up")), LinkState.BROKEN, Stage.CHAIN),
        (replace(BLOCK, inChain=replace(AT, state="Done")), LinkState.HOLDS, Stage.CHAIN),
        (
            BlockChainFacts("20230302", replace(AT, state="Done"), AuditLine("Off", "1 given up", NOW)),
            LinkState.BROKEN,
            Stage.AUDIT,
        ),
    ],
)
def test_where_a_block_stands_is_said_by_one_link(facts, state, stage):
    found = explainBlockInChain(facts)
    assert (found.verdict.state, found.verdict.link.stage) == (state, stage)
    assert found.toDict()["Production"] == "rerec-J1-v1"


errors = st.sampled_from([*(each.value for each in JobError), *(each.value for each in ErrorClass), "", "new"])
recoveries = st.none() | st.builds(
    ChainRecoveryFacts,
    st.sampled_from(["Recovering", "GivenUp", "Waived"]), st.integers(0, 5), errors, st.just("why"), st.just(NOW),
    st.sampled_from([None, NOW + timedelta(hours=1)]),
)  # fmt: skip
attempts = st.none() | st.builds(
    ChainAttemptFacts,
    st.sampled_from(["Running", "Committed", "Failed", "Refused", "Dead"]), st.just(9), st.sampled_from(["", "S"]), st.just(NOW),
    errors,
)  # fmt: skip
products = st.none() | st.builds(
    lambda state: replace(PRODUCT, state=state), st.sampled_from(["Committed", "Registered", "Retired"])
)
steps = st.builds(
    ChainStepFacts,
    number=st.integers(1, 3), name=st.just("s"), kind=st.sampled_from(["process", "merge", "replicate"]), lfn=st.just("/a"),
    transformationID=st.just(7), se=st.sampled_from(["", "JINR-EOS"]), held=st.sampled_from(["", "gate"]),
    isAttached=st.booleans(), status=st.sampled_from([None, "", "Unused", "Assigned", "Processed", "Problematic"]),
    taskID=st.integers(0, 1), jobStatus=st.sampled_from(["", "Done ()"]), attempt=attempts, recovery=recoveries, product=products,
    hasCopy=st.sampled_from([None, True, False]),
)  # fmt: skip


@given(st.lists(steps, max_size=4), products)
def test_everything_has_a_verdict_and_a_command_where_somebody_has_to_act(found, made):
    explained = explainFileInChain(replace(FILE, steps=tuple(found), made=made))
    verdict = explained.verdict
    if verdict.state is LinkState.BROKEN:
        assert verdict.link.action.role is not Role.NOBODY
    assert all(link.state is LinkState.HOLDS for link in explained.links) is (verdict.state is LinkState.HOLDS)
