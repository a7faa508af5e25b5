"""Feeding a chain on the running system: files wait at gates and go in when they open, a service that is away holds a step.

The step is for a site without a worker node, so no job of it runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from junotestbed.chainblocks import PHYSICS, ChainedBlock, typed
from junotestbed.faults import away
from junotestbed.observe import Database, waitUntil

pytestmark = pytest.mark.integration

RUN = 72_000
CHAIN = """
name: gated
version: {version}
steps:
  - name: rawrec
    kind: process
    executable: juno-rawrec
    input: {{type: RTRaw, runs: {run}}}
    output: {{type: ESD}}
    sites: [DIRAC.IHEP.cn]
    gates: [run-good, catalogue-up]
"""
_SURE = ("--reason", "integration test", "--yes")


@dataclass
class Story:
    """What was seen, in the order of time."""

    block: ChainedBlock
    version: str = field(default_factory=lambda: f"T{int(time.time())}")
    seen: dict[str, object] = field(default_factory=dict)

    @property
    def production(self) -> str:
        return f"gated-{self.version}-v1"

    def registered(self) -> int:
        """Files of the block that are registered."""
        sql = "SELECT COUNT(*) FROM Files JOIN Directories d USING (DirectoryID) WHERE d.Directory = %s AND State = 'Registered'"
        return self.block.database.rows("RawDataDB", sql, self.block.directory)[0][0]

    def given(self) -> int:
        """Files that the step has."""
        sql = (
            "SELECT COUNT(*) FROM TransformationFiles f JOIN Transformations t USING (TransformationID)"
            " WHERE t.TransformationName = %s"
        )
        return self.block.database.rows("TransformationDB", sql, f"{self.production}-rawrec")[0][0]

    def step(self) -> tuple[str, str]:
        """The status of its transformation, and why it is held."""
        sql = (
            "SELECT t.Status, s.Held FROM RawDataDB.ChainSteps s JOIN Transformations t USING (TransformationID)"
            " WHERE t.TransformationName = %s"
        )
        status, held = self.block.database.rows("TransformationDB", sql, f"{self.production}-rawrec")[0]
        return status, held or ""

    def chain(self, testbed) -> dict:
        """What the status of the block says of the chain."""
        blocks = answered(testbed, "dirac-juno-block-status", self.block.day, "--type", "RTRaw")["Blocks"]
        (found,) = [chain for chain in blocks[0]["Chains"] if chain["Chain"] == self.production]
        return found


def answered(testbed, *words: str) -> dict:
    """The JSON document that a command answers."""
    done = typed(testbed, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def story(testbed, tmp_path_factory) -> Iterator[Story]:
    from junotestbed.announcer import freeBlocks
    from junotestbed.forgetting import forgetBlock, forgetChain

    database = Database(testbed)
    told = Story(ChainedBlock(testbed, freeBlocks(database, 1)[0]))
    try:
        tell(testbed, told, tmp_path_factory.mktemp("chain") / "gated.yaml")
        yield told
    finally:
        database.rows("RawDataDB", "DELETE FROM RunQuality WHERE RunNumber = %s", RUN)
        forgetChain(database, told.production)
        forgetBlock(database, told.block.day)


def tell(testbed, story: Story, path) -> None:
    block, seen = story.block, story.seen
    path.write_text(CHAIN.format(version=story.version, run=RUN))
    block.announce([*block.make(RUN, PHYSICS, 2), *block.make(RUN + 1, PHYSICS, 1)], close=False)
    waitUntil("registered", lambda: story.registered() == 3, 120)
    answered(testbed, "dirac-juno-chain", "start", str(path), "--blocks", block.day, *_SURE)
    waitUntil("files wait for the flag", lambda: "to be flagged good" in " ".join(story.chain(testbed)["Waits"]), 60)
    seen["waiting"] = story.chain(testbed), story.given()
    seen["flag"] = answered(testbed, "dirac-juno-run", "flag", str(RUN), "--quality", "good", *_SURE)
    waitUntil("the files went in", lambda: story.given() > 0, 60)
    block.announce(block.make(RUN, PHYSICS, 1, first=3), close=False)
    waitUntil("a later file went in by itself", lambda: story.given() > 2, 60)
    seen["given"] = story.given(), story.step()
    with away(testbed.dirac, "DataManagement_FileCatalog"):
        waitUntil("the step is held", lambda: bool(story.step()[1]) and story.step()[0] == "Stopped", 60)
        seen["held"] = story.step()
    waitUntil("the step goes on", lambda: story.step() == ("Active", ""), 90)
    waitUntil("nothing waits", lambda: not story.chain(testbed)["Waits"], 60)
    seen["end"] = story.chain(testbed), story.given()


def test_files_of_a_run_that_nobody_flagged_wait_and_say_what_to_do(story):
    chain, given = story.seen["waiting"]
    assert given == 0
    assert (chain["State"], chain["Wanted"], chain["Attached"]) == ("Waiting", 2, 0)
    wait = f"rawrec: 2 files wait for run {RUN} to be flagged good: dirac-juno-run flag {RUN} --quality good"
    assert chain["Waits"] == [wait]


def test_the_flag_says_which_files_it_sets_free_and_they_go_in_as_those_that_come_later(story):
    (effect,) = [each for each in story.seen["flag"]["Chains"] if each["Production"] == story.production]
    assert (effect["Files"], effect["Given"], effect["Effect"]) == (2, 0, "Free")
    assert story.seen["given"] == (3, ("Active", ""))
    assert story.seen["end"][1] == 3


def test_a_step_is_held_while_the_catalogue_is_away_and_goes_on_by_itself(story):
    status, held = story.seen["held"]
    assert status == "Stopped"
    assert held.startswith("catalogue-up: the file catalogue does not answer: ")
    rows = story.block.database.rows(
        "RawDataDB", "SELECT Action FROM Journal WHERE Object = %s ORDER BY JournalID", f"{story.production} rawrec"
    )
    assert [action for (action,) in rows] == ["holdStep", "releaseStep"]


def test_a_file_that_the_query_does_not_take_is_not_wanted(story):
    chain, _ = story.seen["end"]
    assert (chain["Wanted"], chain["Attached"], chain["State"]) == (3, 3, "Running")
