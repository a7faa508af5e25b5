"""Repairs on the running system: what fails goes on by itself, a site is paused without the others, people act by command."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fts3_standin.client import StandinRules
from junotestbed.observe import DESTINATIONS, replicasOf, unpack, waitUntil
from junotestbed.traffic import MadeFile, announce, make_files, site_of, stored_checksum

pytestmark = pytest.mark.integration

CNAF, IN2P3, JINR = DESTINATIONS
WHY = ("--reason", "trying it out", "--yes")


def blockCommand(testbed, *words: str, user: str = "prod") -> subprocess.CompletedProcess:
    environment = testbed.settings.environment(testbed.server.proxy(user))
    return subprocess.run(["dirac-juno-block", *words], env=environment, capture_output=True, text=True, timeout=300)


def typed(testbed, *words: str) -> dict:
    done = blockCommand(testbed, *words, "--json", *WHY)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pathOf(testbed, se: str, file: MadeFile) -> Path:
    """Where a copy lies on the disk of a site."""
    return testbed.settings.storage / se / "data" / f"{site_of(se).path}{file.lfn}".lstrip("/")


class Standin:
    """What FTS3 is asked for, and what goes wrong there."""

    def __init__(self, testbed) -> None:
        self._settings = testbed.settings
        self.rules = StandinRules(testbed.settings.fts3_endpoint)

    def host(self, se: str) -> str:
        return "{}:{}".format(*self._settings.site_address(site_of(se)))

    def attempts(self, file: MadeFile, se: str) -> int:
        host, port = self._settings.site_address(site_of(se))
        there = f"{host}:{port}/{site_of(se).path}/"
        found = (attempt["destination"] for attempt in self.rules.transfers())
        return sum(there in destination and destination.endswith(file.lfn) for destination in found)


@pytest.fixture
def standin(testbed) -> Iterator[Standin]:
    made = Standin(testbed)
    yield made
    made.rules.clear()


def repairOf(database, file: MadeFile, se: str) -> tuple[str, str, int] | None:
    """State, class of error and attempts of a repair."""
    query = (
        "SELECT r.State, r.ErrorClass, r.Attempts FROM Repairs r JOIN Files f USING (FileID) WHERE f.FileName = %s AND r.SE = %s"
    )
    found = database.rows("RawDataDB", query, file.lfn.rpartition("/")[2], se)
    return found[0] if found else None


def statusOf(database, file: MadeFile, se: str) -> str:
    query = (
        "SELECT f.Status FROM TransformationFiles f JOIN DataFiles d USING (FileID) JOIN RawDataDB.BlockTransfers t"
        " USING (TransformationID) WHERE d.LFN = %s AND t.SE = %s"
    )
    found = database.rows("TransformationDB", query, file.lfn, se)
    return found[0][0] if found else ""


def isThere(database, file: MadeFile, se: str) -> bool:
    return se in replicasOf([file]).get(file.lfn, ()) and statusOf(database, file, se) == "Processed"


@pytest.fixture(scope="module")
def day(testbed) -> str:
    from junotestbed.announcer import freeBlocks
    from junotestbed.observe import Database

    return freeBlocks(Database(testbed), 1)[0]


@pytest.fixture(scope="module")
def files(testbed, day) -> Iterator[list[MadeFile]]:
    """An open block of four files that are copied everywhere; two of the copies failed at first, and JINR was paused."""
    standin = Standin(testbed)
    made = make_files(testbed.settings, "Raw", day, 4, 30_000, run=9800)
    typed(testbed, "pause", "--site", JINR)
    standin.rules.add("fail", destination=standin.host(CNAF), lfn=made[0].lfn, count=2, recoverable=False, reason="refused")
    announce(testbed.settings, "juno.raw", [(day, file.announcement()) for file in made])
    try:
        yield made
    finally:
        standin.rules.clear()
        typed(testbed, "resume", "--site", JINR)


def test_a_copy_that_fails_for_good_some_times_is_repaired_and_nothing_goes_to_the_paused_site(
    testbed, day, files, standin, database
):
    others = (CNAF, IN2P3)
    waitUntil("all files there", lambda: all(isThere(database, file, se) for file in files for se in others), 150)
    waitUntil("Repaired", lambda: (repairOf(database, files[0], CNAF) or [""])[0] == "Repaired", 60)
    state, _, attempts = repairOf(database, files[0], CNAF)
    assert (state, attempts) == ("Repaired", 2)
    assert repairOf(database, files[1], CNAF) is None
    journal = database.rows(
        "RawDataDB", "SELECT Action FROM Journal WHERE Object = %s ORDER BY JournalID", f"{files[0].lfn} {CNAF}"
    )
    assert [action for (action,) in journal] == ["repairRetry", "repairRetry"]
    assert sum(standin.attempts(file, JINR) for file in files) == 0
    assert [each["SE"] for each in typed(testbed, "pauses")] == [JINR]
    typed(testbed, "resume", "--site", JINR)
    assert typed(testbed, "pauses") == []
    waitUntil("all files at JINR", lambda: all(isThere(database, file, JINR) for file in files), 90)


def test_a_good_copy_that_is_not_registered_is_adopted_without_a_new_one(testbed, day, files, standin, database):
    from DIRAC.Resources.Catalog.FileCatalog import FileCatalog
    from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

    file = files[1]
    attempts = standin.attempts(file, CNAF)
    query = "SELECT t.TransformationID FROM BlockTransfers t JOIN Blocks b USING (BlockID) WHERE b.Block = %s AND t.SE = %s"
    (transformationID,) = database.rows("RawDataDB", query, day, CNAF)[0]
    assert unpack(FileCatalog().removeReplica({file.lfn: {"SE": CNAF, "PFN": ""}}))["Successful"]
    unpack(TransformationClient().setFileStatusForTransformation(transformationID, "Problematic", [file.lfn], force=True))
    waitUntil("adopted", lambda: isThere(database, file, CNAF), 60)
    waitUntil("Repaired", lambda: (repairOf(database, file, CNAF) or [""])[0] == "Repaired", 60)
    assert standin.attempts(file, CNAF) == attempts


def test_a_truncated_registered_copy_is_replaced_when_a_validation_has_found_it(testbed, day, files, standin, database):
    from JUNODIRAC.Core.Domain.Validation import Difference, Look, Validation, Verdict
    from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

    file = files[2]
    os.truncate(pathOf(testbed, IN2P3, file), 100)
    ledger, now = RawDataDB(), datetime.now(UTC)
    blockID, _ = ledger.findSites("Raw", day)
    counts, names = {Difference.WRONG_SIZE: 1}, {Difference.WRONG_SIZE: (file.lfn,)}
    sizes = (len(files), sum(each.size for each in files), len(files) - 1)
    found = Validation(blockID, IN2P3, Look.ASKED, "test", now, now, Verdict.BAD, *sizes, counts=counts, names=names)
    ledger.recordValidation(found)
    waitUntil("Repaired", lambda: (repairOf(database, file, IN2P3) or [""])[0] == "Repaired", 120)
    waitUntil("there", lambda: isThere(database, file, IN2P3), 60)
    assert stored_checksum(testbed.settings, site_of(IN2P3), file.lfn) == file.checksum
    # XRootD itself lets a copy fail now and then
    assert standin.attempts(file, IN2P3) >= 2
    query = "SELECT r.EndedTime IS NULL FROM BadReplicas r JOIN Files f USING (FileID) WHERE f.FileName = %s AND r.SE = %s"
    assert database.rows("RawDataDB", query, file.lfn.rpartition("/")[2], IN2P3) == [(0,)]


def test_named_files_are_copied_once_more_and_no_others(testbed, day, files, standin, database, tmp_path):
    names = tmp_path / "names"
    names.write_text(f"{files[3].lfn}\n")
    done = blockCommand(testbed, "retransfer", day, "--type", "Raw", "--only-failed", *WHY)
    assert done.returncode == 1
    assert "no file of block" in done.stderr
    before = [standin.attempts(file, CNAF) for file in files]
    started = time.time()
    done = typed(testbed, "retransfer", day, "--type", "Raw", "--site", CNAF, f"--files={names}")
    assert done["Files"] == {CNAF: 1}
    waitUntil("copied", lambda: standin.attempts(files[3], CNAF) > before[3] and isThere(database, files[3], CNAF), 90)
    assert [standin.attempts(file, CNAF) for file in files[:3]] == before[:3]
    assert pathOf(testbed, CNAF, files[3]).stat().st_mtime >= started - 1


def test_people_without_the_right_can_look_but_not_act(testbed, day, files):
    assert blockCommand(testbed, "pauses", user="shifter").returncode == 0
    for words in (("pause", "--site", CNAF), ("resume", "--site", CNAF), ("retransfer", day, "--type", "Raw")):
        done = blockCommand(testbed, *words, *WHY, user="shifter")
        assert (done.returncode, "not authorised" in done.stderr) == (1, True), (words, done.stderr)


def test_mistakes_are_refused_and_change_nothing(testbed, day, files, tmp_path):
    empty = tmp_path / "empty"
    empty.write_text("\n")
    wrong = tmp_path / "wrong"
    wrong.write_text("no-such-file\n")
    for words, why in (
        (("pause", "--site", "NOWHERE"), "no destination of any Type"),
        (("pause", "--site", CNAF, "--for", "soon"), "a time like"),
        (("retransfer", day, "--type", "Raw", "--site", "NOWHERE"), "is not copied to NOWHERE"),
        (("retransfer", day, "--type", "Raw", f"--files={wrong}"), "has no registered file no-such-file"),
        (("retransfer", day, "--type", "Raw", f"--files={empty}"), "names no file"),
    ):
        done = blockCommand(testbed, *words, *WHY)
        assert done.returncode == 1, words
        assert why in done.stderr, done.stderr
    assert not {each["SE"] for each in typed(testbed, "pauses")} & {CNAF, "NOWHERE"}
