"""Copies on real storages: whatever is wrong with one is found by name, and a site that is away is waited for."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from junotestbed.blockfaults import siteDown
from junotestbed.observe import DESTINATIONS, unpack, waitUntil
from junotestbed.traffic import MadeFile, announce, copy_to, make_files, site_of

pytestmark = pytest.mark.integration

CNAF, IN2P3, JINR = DESTINATIONS
COUNT = 8
AGENTS = ("RawData_BlockAgent", "RawData_BlockRepairAgent", "RawData_BlockValidationAgent")
WHY = ("--reason", "trying it out", "--yes")


def blockCommand(testbed, *words: str, user: str = "prod") -> subprocess.CompletedProcess:
    environment = testbed.settings.environment(testbed.server.proxy(user))
    command = ["dirac-juno-block", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def validate(testbed, block: str, *switches: str) -> tuple[int, dict[str, dict]]:
    """Exit status, and what was found by site."""
    done = blockCommand(testbed, "validate", block, "--type", "Raw", "--json", *switches, *WHY)
    assert done.stdout, done.stderr
    return done.returncode, {found["SE"]: found for found in json.loads(done.stdout)["Validations"]}


def report(testbed, block: str, user: str = "prod") -> tuple[int, dict]:
    done = blockCommand(testbed, "report", block, "--type", "Raw", "--json", user=user)
    assert done.stdout, done.stderr
    (found,) = json.loads(done.stdout)["Blocks"]
    return done.returncode, found


def statesOf(database, block: str) -> dict[str, str]:
    query = "SELECT t.SE, t.State FROM BlockTransfers t JOIN Blocks b USING (BlockID) WHERE b.Block = %s AND b.Type = 'Raw'"
    return dict(database.rows("RawDataDB", query, block))


def looksOf(database, block: str) -> set[tuple[str, str, str]]:
    """SE, look and verdict of all validations."""
    query = "SELECT v.SE, v.Look, v.Verdict FROM Validations v JOIN Blocks b USING (BlockID) WHERE b.Block = %s"
    return set(database.rows("RawDataDB", query, block))


def pathOf(testbed, se: str, lfn: str) -> Path:
    """Where a copy lies on the disk of a site."""
    return testbed.settings.storage / se / "data" / f"{site_of(se).path}{lfn}".lstrip("/")


@contextmanager
def stopped(testbed, *agents: str) -> Iterator[None]:
    testbed.dirac.control("down", *agents, wait=30)
    try:
        yield
    finally:
        testbed.dirac.control("up", *agents)


@pytest.fixture(scope="module")
def block(testbed) -> tuple[str, list[MadeFile]]:
    """A closed block whose files are copied everywhere; CNAF was away when it was looked at first."""
    from junotestbed.announcer import freeBlocks
    from junotestbed.observe import Database

    database = Database(testbed)
    day = freeBlocks(database, 1)[0]
    files = make_files(testbed.settings, "Raw", day, COUNT, 30_000, run=9700)
    ending = (day, {"EndOfBlock": day, "FileCount": COUNT})
    with stopped(testbed, "RawData_BlockValidationAgent"):
        announce(testbed.settings, "juno.raw", [*((day, file.announcement()) for file in files), ending])
        replicated = dict.fromkeys(DESTINATIONS, "Replicated")
        waitUntil("all sites Replicated", lambda: statesOf(database, day) == replicated, 240)
        testbed.infra.control("down", f"xrootd-{CNAF}")
    return day, files


def test_a_site_that_is_away_is_incomplete_while_the_others_are_validated_and_follows_when_it_is_back(testbed, block, database):
    day, _ = block
    expected = {(CNAF, "First", "Incomplete"), (IN2P3, "First", "Good"), (JINR, "First", "Good")}
    try:
        waitUntil("looked at everywhere", lambda: expected <= looksOf(database, day), 90)
        assert (CNAF, "First", "Bad") not in looksOf(database, day)
        waitUntil("two sites Validated", lambda: statesOf(database, day)[JINR] in ("Validated", "Done"), 60)
        assert statesOf(database, day)[CNAF] == "Replicated"
    finally:
        testbed.infra.control("up", f"xrootd-{CNAF}")
    waitUntil("Done everywhere", lambda: set(statesOf(database, day).values()) == {"Done"}, 180)
    assert {(se, "Second", "Good") for se in DESTINATIONS} <= looksOf(database, day)
    status, found = report(testbed, day)
    assert (status, found["Whole"], found["Declared"], found["Announced"], found["Catalogued"]) == (0, True, COUNT, COUNT, COUNT)
    assert [(site["SE"], site["Files"], site["Missing"]) for site in found["Sites"]] == [(se, COUNT, []) for se in DESTINATIONS]


def test_each_way_in_which_a_copy_can_be_wrong_is_found_by_name(testbed, block):
    from DIRAC.Resources.Catalog.FileCatalog import FileCatalog

    day, files = block
    deleted, truncated, flipped, unregistered = (file.lfn for file in files[:4])
    stray = f"{files[0].directory}/stray.dat"
    replica = unpack(FileCatalog().getReplicas([unregistered]))["Successful"][unregistered][JINR]
    with stopped(testbed, *AGENTS):
        pathOf(testbed, JINR, deleted).unlink()
        os.truncate(pathOf(testbed, JINR, truncated), 100)
        content = pathOf(testbed, JINR, flipped).read_bytes()
        pathOf(testbed, JINR, flipped).write_bytes(bytes(byte ^ 0xFF for byte in content))
        pathOf(testbed, JINR, stray).write_bytes(b"left over")
        assert unpack(FileCatalog().removeReplica({unregistered: {"SE": JINR, "PFN": replica}}))["Successful"]

        status, found = validate(testbed, day)
        assert status == 1
        assert {se: each["Verdict"] for se, each in found.items()} == {CNAF: "Good", IN2P3: "Good", JINR: "Bad"}
        assert found[JINR]["Names"] == {
            "Missing": [deleted],
            "WrongSize": [truncated],
            "WrongChecksum": [flipped],
            "Uncatalogued": [unregistered],
            "Extra": [stray],
        }
        assert (found[JINR]["GoodFiles"], found[JINR]["Files"], found[JINR]["Actor"]) == (COUNT - 4, COUNT, "prod")
        status, told = report(testbed, day)
        assert status == 1
        assert {site["SE"]: site["Missing"] for site in told["Sites"]} == {CNAF: [], IN2P3: [], JINR: [unregistered]}

        for file in (files[0], files[1], files[2]):
            copy_to(testbed.settings, pathOf(testbed, CNAF, file.lfn), site_of(JINR), file.lfn)
        pathOf(testbed, JINR, stray).unlink()
        entry = {"SE": JINR, "PFN": replica}
        assert unpack(FileCatalog().addReplica({unregistered: entry}))["Successful"]
        status, found = validate(testbed, day, "--site", JINR)
        assert (status, found[JINR]["Verdict"], found[JINR]["GoodFiles"]) == (0, "Good", COUNT)


def test_a_look_that_is_asked_for_at_a_site_that_is_away_says_so_and_calls_nothing_missing(testbed, block):
    day, _ = block
    with siteDown(testbed, CNAF):
        status, found = validate(testbed, day)
    assert status == 1
    assert {se: each["Verdict"] for se, each in found.items()} == {CNAF: "Incomplete", IN2P3: "Good", JINR: "Good"}
    assert found[CNAF]["MissingFiles"] == 0
    assert f"storage {CNAF}" in found[CNAF]["Failure"]


def test_everyone_may_read_a_report_and_only_managers_have_a_block_looked_at(testbed, block, database):
    day, _ = block
    assert report(testbed, day, user="shifter")[0] == 0
    before = looksOf(database, day)
    done = blockCommand(testbed, "validate", day, "--type", "Raw", *WHY, user="shifter")
    assert done.returncode == 1
    assert "ProductionManagement" in done.stderr or "not authorised" in done.stderr
    assert looksOf(database, day) == before
    query = "SELECT COUNT(*) FROM Journal WHERE Action = 'validate' AND Object = %s AND Actor = 'prod'"
    assert database.rows("RawDataDB", query, f"Raw/{day} {CNAF}")[0][0] >= 2
