"""From where files are copied: what the FTS3 stand-in was asked for, with a preference, bad replicas, a ban and a relay."""

from __future__ import annotations

import sqlite3
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count

import pytest
from fts3_standin.client import StandinRules
from junotestbed.faults import options, section
from junotestbed.observe import DESTINATIONS, isComplete, replicasOf, unpack, waitUntil
from junotestbed.settings import SITES
from junotestbed.shell import write
from junotestbed.traffic import SOURCE, MadeFile, announce, copy_to, make_files, site_of, stored_checksum

pytestmark = pytest.mark.integration

IHEP, CNAF, IN2P3, JINR = (site.se for site in SITES)
# of files that are not announced: no receiver and no sweep ever looks there
DAY = "20320101"
RUNS = count(int(time.time()))


class Transfers:
    """What the stand-in was asked for since the test began."""

    def __init__(self, testbed) -> None:
        self._settings = testbed.settings
        self.rules = StandinRules(testbed.settings.fts3_endpoint)
        self._after = max((attempt["attempt_id"] for attempt in self.rules.transfers()), default=0)

    def host(self, se: str) -> str:
        """Storages share a host where there are no network namespaces."""
        return "{}:{}".format(*self._settings.site_address(site_of(se)))

    def of(self, file: MadeFile, target: str) -> list[tuple[str, str | None]]:
        """Source and state of each attempt to copy a file to a storage element."""
        names = {site.se: self._settings.site_address(site) for site in SITES}
        found = []
        for attempt in self.rules.transfers(self._after):
            source, destination = (
                next((se for se, (host, port) in names.items() if f"{host}:{port}/{site_of(se).path}/" in attempt[side]), "?")
                for side in ("source", "destination")
            )
            if destination == target and attempt["destination"].endswith(file.lfn):
                found.append((source, attempt["state"]))
        return found

    def sources(self, files: Sequence[MadeFile], target: str) -> set[str]:
        """All storage elements that copies to this one were asked from."""
        return {source for file in files for source, _ in self.of(file, target)}

    def jobsOf(self, file: MadeFile) -> list[tuple[str, int]]:
        """Activity and priority under which a file was submitted."""
        path = self._settings.run / "fts3/fts3_standin.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT activity, priority FROM files WHERE source LIKE ?", (f"%{file.lfn}",)).fetchall()


@pytest.fixture
def transfers(testbed) -> Iterator[Transfers]:
    made = Transfers(testbed)
    yield made
    made.rules.clear()


@contextmanager
def restarted(testbed, links: Sequence[str], configuration: str) -> Iterator[None]:
    """Agents with a local configuration that overrides the central one; afterwards they are as they were."""
    paths = {link: testbed.settings.dirac_root / f"etc/{link}.cfg" for link in links}
    before = {link: path.read_text() for link, path in paths.items()}
    try:
        testbed.dirac.control("down", *links, wait=60)
        for link, path in paths.items():
            write(path, before[link] + configuration)
        testbed.dirac.control("up", *links)
        yield
    finally:
        testbed.dirac.control("down", *links, wait=60)
        for link, path in paths.items():
            write(path, before[link])
        testbed.dirac.control("up", *links)


def rawData(*content: str) -> str:
    return section("Operations", section("Defaults", section("RawData", *content)))


def chooser(testbed, preferences: dict[str, str] | None = None, **rules: object):
    """The agent that chooses sources, with these rules and an empty memory."""
    sources = section("Sources", options(rules), section("Preferences", options(preferences or {})))
    return restarted(testbed, ["DataManagement_FTS3Agent"], rawData(sources))


def spread(testbed, number: int, *storages: str) -> list[MadeFile]:
    """Files that nobody announced, at these storage elements and in the catalogue."""
    from DIRAC.Resources.Catalog.FileCatalog import FileCatalog
    from DIRAC.Resources.Storage.StorageElement import StorageElement

    files = make_files(testbed.settings, "Raw", DAY, number, 20_000, run=next(RUNS))
    catalogue = FileCatalog()
    for se in (IHEP, *storages):
        urls = unpack(StorageElement(se).getURL([file.lfn for file in files], protocol="root"))["Successful"]
        entries = {}
        for file in files:
            if se != IHEP:
                copyOnwards(testbed, file, se)
            entries[file.lfn] = {"PFN": urls[file.lfn], "SE": se, "Size": file.size, "GUID": str(uuid.uuid4()),
                                 "Checksum": file.checksum, "ChecksumType": "ADLER32"}  # fmt: skip
        done = unpack(catalogue.addFile(entries) if se == IHEP else catalogue.addReplica(entries))
        assert not done["Failed"], done
    return files


def copyOnwards(testbed, file: MadeFile, se: str) -> None:
    source = testbed.settings.site_url(SOURCE) + file.lfn
    target = testbed.settings.site_url(site_of(se)) + file.lfn
    subprocess.run(["xrdcp", "-s", "-f", "-p", source, target], check=True, capture_output=True, timeout=120)


def requestCopies(files: Sequence[MadeFile], target: str) -> None:
    """As the Transformation System does it, without a transformation."""
    from DIRAC.RequestManagementSystem.Client.File import File
    from DIRAC.RequestManagementSystem.Client.Operation import Operation
    from DIRAC.RequestManagementSystem.Client.ReqClient import ReqClient
    from DIRAC.RequestManagementSystem.Client.Request import Request

    operation = Operation()
    operation.Type, operation.TargetSE = "ReplicateAndRegister", target
    for made in files:
        file = File()
        file.LFN, file.Size, file.Checksum, file.ChecksumType = made.lfn, made.size, made.checksum, "ADLER32"
        operation.addFile(file)
    request = Request()
    request.RequestName = f"sources-{uuid.uuid4()}"
    request.addOperation(operation)
    unpack(ReqClient().putRequest(request, useFailoverProxy=False))


def waitForCopies(files: Sequence[MadeFile], target: str, seconds: float = 180) -> None:
    waitUntil(f"replicas at {target}", lambda: all(target in at for at in replicasOf(files).values()), seconds)


def setReading(testbed, se: str, status: str) -> None:
    command = ["dirac-rss-set-status", "--element", "Resource", "--name", se, "--statusType", "ReadAccess",
               "--status", status, "--reason", "test"]  # fmt: skip
    env = testbed.settings.environment(testbed.server.proxy("admin"))
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert not done.returncode, done.stdout + done.stderr


# ---- ranking


def test_without_a_preference_copies_come_from_everywhere_and_with_one_from_there(testbed, transfers):
    files = spread(testbed, 12, CNAF, IN2P3)
    with chooser(testbed):
        requestCopies(files, JINR)
        waitForCopies(files, JINR)
    assert len(transfers.sources(files, JINR)) > 1
    preferred = spread(testbed, 6, CNAF, IN2P3)
    with chooser(testbed, {JINR: f"{IN2P3}, {IHEP}"}):
        requestCopies(preferred, JINR)
        waitForCopies(preferred, JINR)
    assert transfers.sources(preferred, JINR) == {IN2P3}
    for file in preferred:
        assert stored_checksum(testbed.settings, site_of(JINR), file.lfn) == file.checksum


def test_a_preferred_storage_element_that_is_banned_is_not_asked(testbed, transfers):
    files = spread(testbed, 6, CNAF, IN2P3)
    setReading(testbed, CNAF, "Banned")
    try:
        # the agent begins with the present status; it keeps it for a minute
        with chooser(testbed, {JINR: f"{CNAF}, {IN2P3}"}):
            requestCopies(files, JINR)
            waitForCopies(files, JINR)
    finally:
        setReading(testbed, CNAF, "Active")
    assert transfers.sources(files, JINR) == {IN2P3}


def test_a_replica_that_the_catalogue_calls_bad_is_not_asked_for(testbed, transfers):
    from DIRAC.Resources.Catalog.FileCatalog import FileCatalog

    bad, good = spread(testbed, 2, CNAF, IN2P3)
    answer = unpack(FileCatalog().setReplicaStatus({bad.lfn: {"SE": CNAF, "Status": "Probing"}}))
    assert not answer["Failed"], answer
    with chooser(testbed, {JINR: f"{CNAF}, {IN2P3}"}):
        requestCopies([bad, good], JINR)
        waitForCopies([bad, good], JINR)
    assert transfers.sources([bad], JINR) == {IN2P3}
    assert transfers.sources([good], JINR) == {CNAF}


def test_a_source_with_wrong_bytes_is_left_after_one_job_and_by_every_destination(testbed, transfers, tmp_path):
    corrupt, good = spread(testbed, 2, CNAF)
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"x" * corrupt.size)
    copy_to(testbed.settings, wrong, site_of(CNAF), corrupt.lfn)
    with chooser(testbed, {"Default": CNAF}):
        requestCopies([corrupt, good], JINR)
        waitForCopies([good], JINR)
        waitUntil("the copy of wrong bytes has failed", lambda: (CNAF, "FAILED") in transfers.of(corrupt, JINR), 60)
        # where FTS3 calls it final DIRAC gives the file up, and somebody asks again
        again = time.monotonic() + 60
        while time.monotonic() < again and JINR not in replicasOf([corrupt])[corrupt.lfn]:
            time.sleep(2)
        if JINR not in replicasOf([corrupt])[corrupt.lfn]:
            requestCopies([corrupt], JINR)
        waitForCopies([corrupt], JINR)
        requestCopies([corrupt, good], IN2P3)
        waitForCopies([corrupt, good], IN2P3)
    tried = [source for source, _ in transfers.of(corrupt, JINR)]
    assert tried[0] == CNAF
    assert tried[-1] == IHEP
    assert CNAF not in transfers.sources([corrupt], IN2P3)
    assert transfers.sources([good], JINR) == {CNAF}
    for target in (JINR, IN2P3):
        assert stored_checksum(testbed.settings, site_of(target), corrupt.lfn) == corrupt.checksum


def test_a_link_on_which_copies_failed_is_left_for_one_that_works(testbed, transfers):
    first, second = spread(testbed, 16, IN2P3), spread(testbed, 10, IN2P3)
    with chooser(testbed):
        with transfers.rules.rule("fail", source=transfers.host(IN2P3), destination=transfers.host(JINR)):
            requestCopies(first, JINR)
            waitForCopies(first, JINR, 300)
        requestCopies(second, JINR)
        waitForCopies(second, JINR)
    assert (IN2P3, "FAILED") in [attempt for file in first for attempt in transfers.of(file, JINR)]
    assert transfers.sources(second, JINR) == {IHEP}


# ---- the relay


def announceFiles(testbed, day: str, number: int, run: int) -> list[MadeFile]:
    files = make_files(testbed.settings, "Raw", day, number, 20_000, run=run)
    announce(testbed.settings, "juno.raw", [(file.block, file.announcement()) for file in files])
    return files


def test_with_a_relay_one_copy_takes_the_long_link_and_the_others_come_from_the_relay(testbed, transfers, freshDay):
    with chooser(testbed, RelaySE=CNAF, RelayFor=f"{IN2P3}, {JINR}", RelayPatienceSeconds=600):
        files = announceFiles(testbed, freshDay, 4, 9801)
        waitUntil("complete", lambda: isComplete(testbed, "Raw", freshDay, 4), 300)
    assert transfers.sources(files, CNAF) == {IHEP}
    assert transfers.sources(files, IN2P3) == {CNAF}
    assert transfers.sources(files, JINR) == {CNAF}


def test_when_the_relay_is_slow_the_others_do_not_wait_longer_than_their_patience(testbed, transfers, freshDay):
    with chooser(testbed, RelaySE=CNAF, RelayFor=f"{IN2P3}, {JINR}", RelayPatienceSeconds=20):
        with transfers.rules.rule("hang", destination=transfers.host(CNAF)):
            files = announceFiles(testbed, freshDay, 3, 9802)
            others = [se for se in DESTINATIONS if se != CNAF]
            waitUntil("the others have it", lambda: isComplete(testbed, "Raw", freshDay, 3, others), 240)
            assert replicasOf(files) == {file.lfn: {IHEP, *others} for file in files}
        waitUntil("the relay has it, too", lambda: isComplete(testbed, "Raw", freshDay, 3), 240)
    assert transfers.sources(files, IN2P3) == {IHEP}
    assert transfers.sources(files, JINR) == {IHEP}


# ---- activity and priority


def test_activity_and_priority_of_the_type_reach_fts3(testbed, transfers, database):
    files = spread(testbed, 1)
    raw = section("Types", section("Raw", options({"FTSActivity": "Data Consolidation", "FTSPriority": 5})))
    # it is the agent of requests that asks for the activity
    with restarted(testbed, ["RequestManagement_RequestExecutingAgent"], rawData(raw)):
        requestCopies(files, JINR)
        waitForCopies(files, JINR)
    query = "SELECT activity, priority FROM Operations JOIN Files USING (operationID) WHERE lfn = %s"
    assert database.rows("FTS3DB", query, files[0].lfn) == [("Data Consolidation", 5)]
    (asked,) = transfers.jobsOf(files[0])
    assert asked == ("Data Consolidation", 5)
