"""A block of 60 files of two runs and two streams goes through the shipped chain with merging, and every event is counted."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from junotestbed.chainblocks import CALIBRATION, PHYSICS, TYPE, ChainedBlock, typed
from junotestbed.chaindemo import DESTINATIONS, SMALL, shippedChain
from junotestbed.chainfacts import JudgedChain
from junotestbed.chainjudge import ChainVerdict

pytestmark = pytest.mark.system

GOOD_RUN, LATER_RUN = 71_000, 71_001
STREAMS = (PHYSICS, CALIBRATION)
PER_STREAM, LATE = 15, 4
_REASON = ("--reason", "system test", "--yes")


#: a gate more, and groups wait for what comes late
GATED = {
    "gates: [catalogue-up, storage-up]": "gates: [run-good, catalogue-up, storage-up]",
    "max-wait: 10 s": "max-wait: 5 min",
}


@dataclass
class Story:
    """What was typed and what was seen, in the order of time."""

    block: ChainedBlock
    said: dict[str, object] = field(default_factory=dict)
    seen: dict[str, object] = field(default_factory=dict)
    verdict: ChainVerdict = field(default_factory=ChainVerdict)
    seconds: float = 0.0

    @property
    def production(self) -> str:
        return self.block.production


@pytest.fixture(scope="module")
def story(testbed) -> Iterator[Story]:
    """The whole of it; the audits are kept in ``run/chains`` of the state folder."""
    from junotestbed.announcer import freeBlocks
    from junotestbed.forgetting import forgetBlock, forgetChain, forgetFlags
    from junotestbed.observe import Database

    database = Database(testbed)
    forgetFlags(database, (GOOD_RUN, LATER_RUN))
    told = Story(ChainedBlock(testbed, freeBlocks(database, 1)[0]))
    try:
        tell(testbed, told)
        yield told
    finally:
        forgetChain(database, told.production)
        forgetBlock(database, told.block.day)


def tell(testbed, story: Story) -> None:
    block, started = story.block, time.monotonic()
    folder = testbed.settings.run / "chains"
    folder.mkdir(exist_ok=True)
    version = f"T{int(time.time())}"
    path = folder / f"rerec-merge-{version}.yaml"
    path.write_text(shippedChain(version, SMALL | GATED))

    def say(name: str, *words: str):
        story.said[name] = typed(testbed, *words)
        return story.said[name]

    # all but the last ones of the later run
    late = []
    for stream in STREAMS:
        block.make(GOOD_RUN, stream, PER_STREAM)
        late += block.make(LATER_RUN, stream, PER_STREAM)[-LATE:]
    block.announce([file for file in block.files if file not in late], close=False)
    known = "SELECT COUNT(*) FROM Blocks WHERE Type = %s AND Block = %s"
    block.until("the block is known", lambda: block.database.rows("RawDataDB", known, TYPE, block.day) == [(1,)])
    say("check", "dirac-juno-chain", "check", str(path))
    start = ("dirac-juno-chain", "start", str(path), "--blocks", block.day, *_REASON)
    say("start", *start)
    block.production = f"rerec-merge-{version}-v1"
    say("second start", *start)
    say("flag", "dirac-juno-run", "flag", str(GOOD_RUN), "--quality", "good", *_REASON)

    block.until("an output of the good run", block.products, 240, every=1)
    early = 2 * (2 * PER_STREAM - LATE)
    for se in ("CNAF-STORM", "JINR-EOS"):
        block.until(f"all at {se}", lambda se=se: block.filesAt(se) >= early, 120, every=1)
    story.seen["attached"] = attachedOf(block)
    say("why held", "dirac-juno-why", block.files[-1 - LATE].lfn, "--json")
    say("status", "dirac-juno-chain", "status", block.production, "--json")
    audit(testbed, story, folder, "before")

    say("flag later", "dirac-juno-run", "flag", str(LATER_RUN), "--quality", "good", *_REASON)
    block.announce(late)
    block.waitFor("Done", "Problem", seconds=420)
    story.seconds = time.monotonic() - started
    audit(testbed, story, folder, "after")
    say("status after", "dirac-juno-chain", "status", block.production)
    say("why done", "dirac-juno-why", block.day, "--type", TYPE)
    story.verdict = block.verdict(JudgedChain(block.production, destinations=DESTINATIONS))
    (folder / "judge.txt").write_text(f"{story.verdict.toText()}\nafter {story.seconds:.0f} s\n")


def attachedOf(block: ChainedBlock) -> dict[int, int]:
    """Files of each run that the chain has taken."""
    query = (
        "SELECT SUBSTRING_INDEX(SUBSTRING_INDEX(f.FileName, '.', 2), '.', -1), COUNT(*) FROM ChainInputs"
        " JOIN Files f USING (FileID) JOIN Chains c USING (ChainID) WHERE c.Production = %s GROUP BY 1"
    )
    return {int(run): number for run, number in block.database.rows("RawDataDB", query, block.production)}


def audit(testbed, story: Story, folder: Path, moment: str) -> None:
    """As people read it, and as programs do."""
    words = ("dirac-juno-audit", story.block.day, "--type", TYPE)
    text, asJSON = typed(testbed, *words), typed(testbed, *words, "--last", "--json")
    story.said[f"audit {moment}"], story.said[f"audit {moment} as JSON"] = text, asJSON
    (folder / f"audit-{moment}.txt").write_text(text.stdout + text.stderr)
    (folder / f"audit-{moment}.json").write_text(asJSON.stdout)


def auditIn(story: Story, moment: str) -> dict:
    done = story.said[f"audit {moment} as JSON"]
    assert done.stdout, done.stderr
    return json.loads(done.stdout)["Audits"][0]


def test_the_shipped_chain_is_checked_and_started_with_one_command_each(story):
    for name in ("check", "start", "flag", "flag later"):
        done = story.said[name]
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_second_start_of_the_same_block_in_the_same_version_is_refused_and_says_how_it_can_be_done(story):
    done = story.said["second start"]
    assert done.returncode != 0
    assert story.production in done.stdout + done.stderr
    assert "--again" in done.stdout + done.stderr


def test_files_of_a_run_that_nobody_has_flagged_are_held_back_and_the_others_go_on(story):
    assert story.seen["attached"] == {GOOD_RUN: 2 * PER_STREAM}
    assert str(LATER_RUN) in story.said["why held"].stdout, story.said["why held"].stdout
    assert "flag" in story.said["why held"].stdout, story.said["why held"].stdout


def test_the_audit_in_the_middle_says_that_nothing_is_wrong_and_not_all_is_done(story):
    done = story.said["audit before"]
    assert done.returncode == 2, done.stdout + done.stderr
    assert auditIn(story, "before")["Verdict"] == "Unfinished"


def test_at_the_end_the_audit_is_exact_and_counts_every_event_through_every_step(story):
    done = story.said["audit after"]
    assert done.returncode == 0, done.stdout + done.stderr
    found = auditIn(story, "after")
    assert found["Verdict"] == "Exact"
    events = sum(len(file.events) for file in story.block.inputs)
    steps = {step["Step"]: step for step in found["Steps"]}
    for name in ("rawrec", "merge"):
        assert {steps[name][count] for count in ("EventsAnnounced", "EventsRead", "EventsOut")} == {events}, steps[name]
    merged = steps["merge"]["Outputs"]
    assert steps["rawrec"]["Inputs"] == steps["rawrec"]["Derived"] == 4 * PER_STREAM
    assert steps["replicate"]["Copies"] == dict.fromkeys(DESTINATIONS, merged)


def test_an_independent_judge_finds_each_event_in_exactly_one_merged_file_everywhere(story):
    assert story.verdict.problems == {}, story.verdict.toText()
    assert story.verdict.events == story.verdict.eventsMerged == sum(len(file.events) for file in story.block.inputs)


def test_jobs_ran_at_both_sites_and_no_task_was_needed_twice(story):
    attempts = story.block.attempts()
    assert {each.site for each in attempts if each.step == "rawrec"} == {"DIRAC.CNAF.it", "DIRAC.JINR.ru"}
    assert {each.state for each in attempts} == {"Committed"}
    assert len({(each.step, each.taskID) for each in attempts}) == len(attempts)


def test_groups_are_as_large_as_the_chain_asks_for_at_most_and_few(story):
    """There is one more where a file was at another site than the rest of its stream when its turn came."""
    query = (
        "SELECT p.LFN, COUNT(*) FROM Products p JOIN Derivations d USING (ProductID) JOIN Chains c ON c.ChainID = p.ChainID"
        " WHERE c.Production = %s GROUP BY 1"
    )
    counts = dict(story.block.database.rows("RawDataDB", query, story.production))
    parts = [n for lfn, n in counts.items() if "/rawrec/" in lfn]
    merged = [n for lfn, n in counts.items() if "/merge/" in lfn]
    assert sum(parts) == 4 * PER_STREAM
    assert max(parts) == 5
    assert len(parts) <= 16
    assert sum(merged) == len(parts)
    assert 4 <= len(merged) <= 8


def test_status_and_why_say_that_the_block_is_done(story):
    assert re.search(rf"{story.block.day}.*Done", story.said["status after"].stdout), story.said["status after"].stdout
    assert story.said["why done"].returncode == 0
