"""Chains as they are started, stopped and refused by command, on DIRAC's own services."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from junotestbed.chainblocks import PHYSICS, TYPE, ChainedBlock
from junotestbed.observe import Database, waitUntil

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
REASON = ("--reason", "integration test", "--yes")
STEPS = ["rawrec", "merge", "replicate-CNAF-STORM", "replicate-IHEP-JUNOEOS", "replicate-JINR-EOS"]


class Chain:
    """A chain of which no file goes into a step, because its runs are never flagged."""

    def __init__(self, testbed, folder: Path) -> None:
        from junotestbed.announcer import freeBlocks

        self.testbed, self.database = testbed, Database(testbed)
        self.version = f"I{int(time.time())}"
        self.production = f"rerec-merge-{self.version}-v1"
        self.file = folder / "chain.yaml"
        text = (ROOT / "etc/chains/rerec-merge.yaml").read_text().replace("version: J24.1", f"version: {self.version}")
        self.file.write_text(text.replace("gates: [catalogue-up, storage-up]", "gates: [run-good]", 1))
        self.blocks = [ChainedBlock(testbed, day) for day in freeBlocks(self.database, 2)]
        for number, block in enumerate(self.blocks):
            block.make(91_000 + number, PHYSICS, 1, events=2)
            block.announce(close=False)
        waitUntil(
            "the blocks are known",
            lambda: len(self.ledger("SELECT 1 FROM Blocks WHERE Type = %s AND Block IN %s", TYPE, self.days)) == 2,
            60,
        )

    @property
    def days(self) -> list[str]:
        return [block.day for block in self.blocks]

    def ledger(self, query: str, *values):
        return self.database.rows("RawDataDB", query, *values)

    def type(self, *words: str, user: str = "prod", status: int = 0) -> str:
        """What a command says."""
        settings = self.testbed.settings
        done = subprocess.run(
            ["dirac-juno-chain", *words],
            env=settings.environment(settings.proxies / f"{user}.pem"), capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, day: str, *more: str, status: int = 0) -> str:
        return self.type("start", str(self.file), "--blocks", day, *more, *REASON, status=status)

    def statuses(self, production: str) -> dict[str, str]:
        query = "SELECT TransformationName, Status FROM Transformations WHERE TransformationName LIKE %s"
        found = self.database.rows("TransformationDB", query, f"{production}-%")
        return {name.removeprefix(f"{production}-"): status for name, status in found}


@pytest.fixture(scope="module")
def chain(testbed, tmp_path_factory):
    from junotestbed.forgetting import forgetBlock, forgetChain

    made = Chain(testbed, tmp_path_factory.mktemp("chain"))
    try:
        yield made
    finally:
        for number in (1, 2, 3):
            forgetChain(made.database, f"rerec-merge-{made.version}-v{number}")
        for day in made.days:
            forgetBlock(made.database, day)


@pytest.fixture(scope="module")
def started(chain):
    """What the first start said."""
    return chain.start(chain.days[0])


def test_a_check_compares_with_the_configuration(chain, tmp_path):
    assert "is good" in chain.type("check", "rerec", str(chain.file))
    bad = tmp_path / "bad.yaml"
    bad.write_text(chain.file.read_text().replace("DIRAC.CNAF.it", "DIRAC.CNFA.it").replace("type: RTRaw", "type: RTRAW"))
    said = chain.type("check", str(bad), status=1)
    assert "site DIRAC.CNFA.it is not in /Resources/Sites; did you mean DIRAC.CNAF.it?" in said
    assert "RTRAW is no Type of /Operations/.../RawData/Types; did you mean RTRaw?" in said


def test_who_may_not_change_anything_is_refused_before_anything_is_made(chain):
    said = chain.type("start", str(chain.file), "--blocks", chain.days[0], *REASON, user="shifter", status=1)
    assert "not authorised" in said or "may not" in said
    assert chain.statuses(chain.production) == {}


def test_a_start_makes_a_production_whose_transformations_belong_to_the_production_manager_and_are_linked(chain, started):
    assert f"chain {chain.production} is Active" in started
    assert f"writes to /juno/esd/{chain.production}/merge/<Block>" in started
    query = (
        "SELECT TransformationName, TransformationID, Type, Plugin, Author, AuthorGroup, AgentType, Status FROM Transformations"
        " WHERE TransformationName LIKE %s"
    )
    rows = chain.database.rows("TransformationDB", query, f"{chain.production}-%")
    assert {row[0].removeprefix(f"{chain.production}-") for row in rows} == set(STEPS)
    assert {row[4:] for row in rows} == {("prod", "juno_prod", "Automatic", "Active")}
    numbers = {row[0].removeprefix(f"{chain.production}-"): row[1] for row in rows}
    query = (
        "SELECT l.TransformationID, l.ParentTransformationID, p.Status FROM ProductionTransformationLinks l"
        " JOIN Productions p USING (ProductionID) WHERE p.ProductionName = %s"
    )
    links = chain.database.rows("ProductionDB", query, chain.production)
    wanted = {(numbers["rawrec"], -1, "Active"), (numbers["merge"], numbers["rawrec"], "Active")}
    assert set(links) == wanted | {(numbers[step], numbers["merge"], "Active") for step in STEPS[2:]}
    ((state, blocks),) = chain.ledger(
        "SELECT c.State, COUNT(*) FROM Chains c JOIN ChainBlocks USING (ChainID) WHERE Production = %s GROUP BY 1",
        chain.production,
    )
    assert (state, blocks) == ("Active", 1)


def test_the_same_block_twice_is_refused_and_makes_nothing(chain, started):
    said = chain.start(chain.days[0], status=1)
    assert f"block {chain.days[0]} is in {chain.production} already" in said
    assert "--again" in said
    said = chain.start(chain.days[1], status=1)
    assert f"dirac-juno-chain extend {chain.production}" in said
    assert chain.ledger("SELECT COUNT(*) FROM Chains WHERE Version = %s", chain.version) == [(1,)]


def test_again_is_another_production_that_writes_elsewhere(chain, started):
    said = chain.start(chain.days[0], "--again")
    second = f"rerec-merge-{chain.version}-v2"
    assert f"AGAIN: block {chain.days[0]} went through {chain.production}" in said
    assert f"writes to /juno/esd/{second}/rawrec/<Block>" in said
    assert chain.statuses(second) == dict.fromkeys(STEPS, "Active")


def test_stop_and_resume_switch_the_production_and_all_its_transformations(chain, started):
    def everything():
        ((production,),) = chain.database.rows(
            "ProductionDB", "SELECT Status FROM Productions WHERE ProductionName = %s", chain.production
        )
        ((state,),) = chain.ledger("SELECT State FROM Chains WHERE Production = %s", chain.production)
        return {production, state, *chain.statuses(chain.production).values()}

    chain.type("stop", chain.production, *REASON)
    assert everything() == {"Stopped"}
    assert "Stopped" in chain.type("list")
    chain.type("resume", chain.production, *REASON)
    assert everything() == {"Active"}


def test_an_extension_adds_blocks_and_the_status_shows_them(chain, started):
    said = chain.type("extend", chain.production, "--blocks", ",".join(chain.days), *REASON)
    assert "1 blocks were added" in said
    status = json.loads(chain.type("status", chain.production, "--json").partition("\nNOT COMPLETE")[0])
    assert [block["Block"] for block in status["Blocks"]] == sorted(chain.days)
    assert [(step["Step"], len(step["Transformations"])) for step in status["Steps"]] == [
        ("rawrec", 1),
        ("merge", 1),
        ("replicate", 3),
    ]
    assert chain.production in chain.type("status", chain.production, "--block", chain.days[1])


def test_each_change_is_in_the_journal_with_who_and_why(chain, started):
    query = "SELECT DISTINCT Action FROM Journal WHERE Object = %s AND Actor = 'prod' AND Reason = 'integration test'"
    actions = {action for (action,) in chain.ledger(query, f"chain {chain.production}")}
    assert {"startChain", "stopChain", "resumeChain", "extendChain"} <= actions


def test_a_start_that_dies_in_the_middle_is_completed_by_the_same_command(chain, started):
    """Of the way in which it is made: that the service died is put into the ledger by hand here."""
    third = f"rerec-merge-{chain.version}-v3"
    # what such a start leaves behind: the row, the production, and a transformation without what comes after it
    chain.start(chain.days[1], "--again")
    chain.ledger("UPDATE Chains SET State = 'Starting' WHERE Production = %s", third)
    ((number,),) = chain.ledger("SELECT ChainID FROM Chains WHERE Production = %s", third)
    chain.ledger("DELETE FROM ChainSteps WHERE ChainID = %s", number)
    said = chain.start(chain.days[1], "--again")
    assert f"this completes the start of {third}" in said
    assert chain.statuses(third) == dict.fromkeys(STEPS, "Active")
    assert chain.database.rows("ProductionDB", "SELECT COUNT(*) FROM Productions WHERE ProductionName = %s", third) == [(1,)]
    assert chain.ledger("SELECT COUNT(*) FROM ChainSteps WHERE ChainID = %s", number) == [(5,)]
