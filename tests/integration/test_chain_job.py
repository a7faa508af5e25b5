"""Real jobs at a real site: an announced file becomes a registered ESD with every event, and what is wrong has its code."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from junotestbed.announcer import freeBlocks
from junotestbed.chainblocks import PHYSICS, ChainedBlock
from junotestbed.chainjudge import eventsOf
from junotestbed.forgetting import forgetBlock, forgetChain
from junotestbed.observe import Database
from junotestbed.traffic import announce

pytestmark = pytest.mark.integration

SITE_SE, SOURCE_SE = "CNAF-STORM", "IHEP-JUNOEOS"
RUN = 72_000
CHAIN = """
name: jobs
version: {version}
steps:
  - name: rawrec
    kind: process
    executable: juno-rawrec
    input: {{type: RTRaw}}
    output:
      type: ESD
      directory: /juno/esd/{{Chain}}-{{Version}}-v{{OutputVersion}}/{{Step}}/{{Block}}
    group: {{files: 1}}
    max-wait: 2 s
    sites: [DIRAC.CNAF.it]
"""


@pytest.fixture(scope="module")
def block(testbed) -> Iterator[ChainedBlock]:
    """Three files in a chain: one as it should be, one that is corrupt at the site, one announced with wrong events."""
    database = Database(testbed)
    made = ChainedBlock(testbed, freeBlocks(database, 1)[0])
    try:
        _tell(testbed, made)
        yield made
    finally:
        forgetChain(database, made.production)
        forgetBlock(database, made.day)


def _tell(testbed, block: ChainedBlock) -> None:
    good, corrupt, wrong = block.make(RUN, PHYSICS, 3)
    block.announce([good, corrupt], close=False)
    announce(testbed.settings, "juno.rtraw", [(block.day, wrong.announcement(EventCount=7))])
    block.until("all copied to the site", lambda: block.filesAt(SITE_SE) == 3, 240)
    block.corrupt(SITE_SE, corrupt.lfn)
    version = f"T{int(time.time())}"
    block.production = f"jobs-{version}-v1"
    path = testbed.settings.run / f"{block.production}.yaml"
    path.write_text(CHAIN.format(version=version))
    start = ("dirac-juno-chain", "start", str(path), "--blocks", block.day, "--reason", "test", "--yes")
    done = block.command(*start)
    assert done.returncode == 0, done.stdout + done.stderr
    block.until("two outputs are registered", lambda: [row[1] for row in block.products()] == ["Registered"] * 2, 240, every=1)
    block.until("one job failed", lambda: block.attempts("Failed"), 240, every=1)


def _parents(block, lfn: str) -> list[tuple[str, int]]:
    """Ancestors in the file catalogue, and how deep."""
    query = (
        "SELECT CONCAT(d.DirName, '/', f.FileName), a.AncestorDepth FROM FC_FileAncestors a"
        " JOIN FC_Files f ON f.FileID = a.AncestorID JOIN FC_DirectoryLevelTree d USING (DirID)"
        " JOIN FC_Files c ON c.FileID = a.FileID"
        " JOIN FC_DirectoryLevelTree e ON e.DirID = c.DirID WHERE CONCAT(e.DirName, '/', c.FileName) = %s"
    )
    return [tuple(row) for row in block.database.rows("FileCatalogDB", query, lfn)]


def test_every_event_of_an_input_is_in_its_output_on_the_disk_of_the_site(block):
    made = {}
    for lfn, _, _ in block.products():
        ((parent, _),) = _parents(block, lfn)
        made[parent] = eventsOf(block.path(SITE_SE, lfn).read_bytes(), isReconstructed=True)
    assert made == {each.lfn: each.events for each in block.inputs[:2]}


def test_a_replica_that_is_corrupt_at_the_site_costs_no_job(block):
    assert len(block.attempts("Committed")) == 2
    assert {each.site for each in block.attempts()} == {"DIRAC.CNAF.it"}
    query = (
        "SELECT d.Directory, f.FileName, r.SE FROM BadReplicas r JOIN Files f USING (FileID)"
        " JOIN Directories d USING (DirectoryID) WHERE d.Directory = %s"
    )
    told = [(f"{directory}/{name}", se) for directory, name, se in block.database.rows("RawDataDB", query, block.directory)]
    assert told == [(block.files[1].lfn, SITE_SE)]


def test_the_directory_of_the_outputs_says_what_they_are(block):
    directory = block.products()[0][0].rpartition("/")[0]
    query = "SELECT Value FROM FC_Meta_{} JOIN FC_DirectoryLevelTree d USING (DirID) WHERE d.DirName = %s"
    fields = ("Block", "Type", "Chain", "Step")
    found = {field: block.database.rows("FileCatalogDB", query.format(field), directory) for field in fields}
    expected = {"Block": block.day, "Type": "ESD", "Chain": block.production, "Step": "rawrec"}
    assert {field: rows[0][0] for field, rows in found.items()} == expected


def test_inputs_whose_output_counts_are_processed_and_no_others(block):
    query = (
        "SELECT d.LFN, f.Status FROM TransformationFiles f JOIN DataFiles d USING (FileID)"
        " JOIN AdditionalParameters p USING (TransformationID) WHERE p.ParameterName = 'Chain' AND p.ParameterValue = %s"
    )
    statuses = dict(block.database.rows("TransformationDB", query, block.production))
    wrong = block.files[2].lfn
    assert {lfn for lfn, status in statuses.items() if status == "Processed"} == set(statuses) - {wrong}
    assert len(statuses) == 3


def test_a_job_that_fails_says_why_and_leaves_nothing(block):
    failed = block.attempts("Failed")[0]
    assert failed.errorName == "EventsDiffer"
    assert f"{block.files[2].lfn} was announced with 7 events, 20 were read" in failed.detail
    assert not failed.uploads
    query = "SELECT Status, ApplicationStatus FROM Jobs WHERE JobID = %s"

    def ended():
        ((status, text),) = block.database.rows("JobDB", query, failed.jobID)
        return text if status == "Failed" else ""

    assert "EventsDiffer" in block.until("the job failed", ended, 60)
