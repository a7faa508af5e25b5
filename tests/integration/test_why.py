"""dirac-juno-why on the real system: what is all right, what waits, what does not hold; who acts, and what to type."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fts3_standin.client import StandinRules
from junotestbed.announcer import writeFile
from junotestbed.observe import waitUntil
from junotestbed.traffic import SOURCE, MadeFile, announce, file_name, site_of

pytestmark = pytest.mark.integration

FAULTY, PAUSED = "CNAF-STORM", "JINR-EOS"
COUNT = 4


def run(testbed, *command: str) -> subprocess.CompletedProcess:
    environment = testbed.settings.environment(testbed.server.proxy("prod"))
    return subprocess.run(list(command), env=environment, capture_output=True, text=True, timeout=300)


def why(testbed, *arguments: str) -> tuple[int, dict]:
    """Exit status and answer."""
    done = run(testbed, "dirac-juno-why", *arguments, "--json")
    return done.returncode, json.loads(done.stdout or "{}")


def verdictAt(testbed, name: str, se: str = "") -> tuple[int, dict]:
    status, answer = why(testbed, name, *(["--site", se] if se else []), *([] if name.startswith("/") else ["--type", "Raw"]))
    return status, answer.get("Verdict", {})


def waitForCode(testbed, name: str, se: str, *codes: str, seconds: float = 150) -> tuple[int, dict]:
    found: list[tuple[int, dict]] = []

    def isThere() -> bool:
        found[:] = [verdictAt(testbed, name, se)]
        return found[0][1].get("Code") in codes

    waitUntil(f"{name} at {se or 'all sites'} is {' or '.join(codes)}, it is {found}", isThere, seconds)
    return found[0]


def storedPath(testbed, file: MadeFile) -> Path:
    return testbed.settings.storage / SOURCE.se / "data" / file.path.strip("/")


@contextmanager
def pausedSite(testbed, se: str) -> Iterator[None]:
    words = ("dirac-juno-block", "{}", "--site", se, "--reason", "network work", "--yes")
    assert run(testbed, *(word.format("pause") for word in words)).returncode == 0
    try:
        yield
    finally:
        run(testbed, *(word.format("resume") for word in words))


@pytest.fixture(scope="module")
def files(testbed) -> Iterator[list[MadeFile]]:
    """Files of a day of their own: two go everywhere but to a site that fails and one that is paused, one is refused, one is
    never announced."""
    from junotestbed.announcer import freeBlocks
    from junotestbed.observe import Database

    day = freeBlocks(Database(testbed), 1)[0]
    names = [file_name("Raw", 7901, number, day) for number in range(1, COUNT + 1)]
    made = [writeFile(testbed.settings, "Raw", day, name) for name in names]
    host = "{}:{}".format(*testbed.settings.site_address(site_of(FAULTY)))
    rules = StandinRules(testbed.settings.fts3_endpoint)
    rule = {
        "destination": host,
        "lfn": f"*/{day[:4]}/{day[4:]}/*",
        "phase": "DESTINATION",
        "code": 13,
        "reason": "Permission denied",
    }
    with pausedSite(testbed, PAUSED), rules.rule("fail", **rule):
        messages = [made[0].announcement(), made[1].announcement(), made[2].announcement(FileSize=1)]
        announce(testbed.settings, "juno.raw", [(day, message) for message in messages])
        yield made
    run(testbed, "dirac-juno-block", "resume", "--site", FAULTY, "--reason", "the test is over", "--yes")
    run(testbed, "dirac-juno-quarantine", "drop", "--block", day, "--reason", "the test is over", "--yes")
    storedPath(testbed, made[3]).unlink()


def test_a_file_that_arrived_is_all_right(testbed, files):
    status, found = waitForCode(testbed, files[0].lfn, "IN2P3-DCACHE", "AllRight")
    assert (status, found["State"], found["Command"]) == (0, "holds", None)


def test_a_file_whose_copy_fails_names_attempt_class_and_the_site_that_has_to_act(testbed, files):
    status, found = waitForCode(testbed, files[0].lfn, FAULTY, "CopyFailed", "CopyingAgain", "FileProblematic")
    assert (status, found["State"], found["Actor"]) == (1, "broken", f"site administrator of {FAULTY}")
    assert "Permission denied" in found["Text"]
    assert "DestinationDenied" in found["Text"]
    assert found["Command"].startswith("dirac-juno-block r")


def test_a_file_for_a_paused_site_waits_and_says_who_paused_it_and_why(testbed, files):
    status, found = waitForCode(testbed, files[0].lfn, PAUSED, "SitePaused")
    assert (status, found["State"]) == (0, "waits")
    assert f"{PAUSED} is paused by prod until somebody resumes it: network work" in found["Text"]


def test_a_quarantined_file_shows_its_reason_and_the_number_to_type(testbed, files):
    status, found = waitForCode(testbed, files[2].lfn, "", "Quarantined")
    assert (status, found["Link"], found["Actor"]) == (1, "ledger", "source (DAQ)")
    assert "another size than announced" in found["Text"]
    number = found["Command"].split()[2]
    shown = run(testbed, "dirac-juno-quarantine", "show", number, "--json")
    assert json.loads(shown.stdout)["LFN"] == files[2].lfn


def test_a_file_that_nobody_announced_is_found_on_the_storage_with_the_command_that_announces_it(testbed, files):
    status, found = waitForCode(testbed, files[3].lfn, "", "NeverAnnounced")
    assert (status, found["Link"]) == (1, "announcement")
    assert found["Command"].startswith(f"dirac-juno-gaps --block {files[3].block} --type Raw --announce")


def test_a_block_tells_of_all_that_holds_it_up_site_by_site(testbed, files):
    waitForCode(testbed, files[0].lfn, FAULTY, "CopyFailed", "CopyingAgain", "FileProblematic")
    status, answer = why(testbed, files[0].block, "--type", "Raw")
    assert status == 1
    assert answer["Verdict"]["Code"] == "Quarantined"
    sites = {site["SE"]: site for site in answer["Sites"]}
    assert sites[PAUSED]["Verdict"]["Code"] == "SitePaused"
    assert sites[PAUSED]["Standings"][0]["Files"] == 2
    assert sites[FAULTY]["Verdict"]["Actor"] == f"site administrator of {FAULTY}"
    assert sites["IN2P3-DCACHE"]["Verdict"]["State"] == "waits"
    assert answer["Unavailable"] == []


def test_a_service_that_is_down_is_named_and_the_other_links_are_told(testbed, files):
    waitForCode(testbed, files[0].lfn, "IN2P3-DCACHE", "AllRight")
    service = "DataManagement_FileCatalog"
    testbed.dirac.control("down", service, wait=30)
    try:
        status, answer = why(testbed, files[0].lfn, "--site", "IN2P3-DCACHE")
    finally:
        testbed.dirac.control("up", service)
    assert (status, answer["Verdict"]["State"]) == (1, "unknown")
    assert answer["Verdict"]["Command"] == "dirac-restart-component DataManagement FileCatalog"
    assert any("DataManagement/FileCatalog is not available" in text for text in answer["Unavailable"])
    assert "holds" in {link["State"] for link in answer["Sites"][0]["Chain"] if link["Link"] == "task"}


def test_what_nobody_knows_ends_with_status_2(testbed):
    assert run(testbed, "dirac-juno-why", "19000101").returncode == 2
    assert run(testbed, "dirac-juno-why", "/no/such/file").returncode == 2
