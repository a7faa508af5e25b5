"""The command that shows the main job: what it prints is true, and it fails when a single copy is wrong."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from pathlib import Path

import pytest
from fts3_standin.client import StandinRules
from junotestbed.observe import DESTINATIONS, waitUntil
from junotestbed.settings import SITES, Settings, Site
from junotestbed.traffic import SOURCE, site_of

pytestmark = pytest.mark.system

FILES = {"Raw": 4, "RTRaw": 8}
SIZE_BYTES = 50_000


def dayOf(output: str) -> str:
    return re.search(r"in each of the RAW blocks (\d{8})", output)[1]


def blockRows(output: str, day: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """Files, done and per cent of the block table's rows of this day, by Type and SE."""
    rows = re.findall(rf"^{day}\s+(\w+)\s+(\S+)\s+(\d+)\s+(\d+)\s+([\d.]+)\s", output, re.MULTILINE)
    return {(typeName, se): tuple(rest) for typeName, se, *rest in rows}


def replicaCounts(listing: str) -> dict[str, Counter]:
    """Replicas and bytes at each SE from ``size -l``, by the folder's name."""
    counts = {}
    for part in listing.split("directory: /juno/")[1:]:
        rows = re.findall(r"^\s*\d+\s+(\S+)\s+([\d,]+)\s+(\d+)\s*$", part, re.MULTILINE)
        counts[part.split()[0]] = Counter({se: int(number) for se, _, number in rows}) + Counter(
            {f"{se} bytes": int(size.replace(",", "")) for se, size, _ in rows}
        )
    return counts


def onDisk(settings: Settings, site: Site, typeName: str, day: str) -> dict[str, Path]:
    """The files of a block on a storage's disk, by name, as nobody but the disk knows them."""
    folder = settings.storage / site.se / "data" / site.path.strip("/") / "juno" / typeName.lower() / day[:4] / day[4:]
    return {path.name: path for path in folder.iterdir()}


def statesOf(database, day: str) -> set[str]:
    return {state for (state,) in database.rows("RawDataDB", "SELECT State FROM Blocks WHERE Block = %s", day)}


def checksums(settings: Settings, site: Site, typeName: str, day: str) -> dict[str, str]:
    return {name: f"{zlib.adler32(path.read_bytes()):08x}" for name, path in onDisk(settings, site, typeName, day).items()}


def test_the_demo_ends_with_status_0_and_every_block_at_100_per_cent_at_every_destination(demo):
    assert demo.returncode == 0, demo.output
    expected = {(typeName, se): (str(n), str(n), "100.0") for typeName, n in FILES.items() for se in DESTINATIONS}
    assert blockRows(demo.output, dayOf(demo.output)) == expected, demo.output


def test_the_demo_lists_the_same_sizes_and_replicas_at_all_four_storage_elements(demo):
    before, after = replicaCounts(demo.before), replicaCounts(demo.output)
    for typeName, files in FILES.items():
        folder = typeName.lower()
        grown = after[folder] - before.get(folder, Counter())
        assert {site.se: grown[site.se] for site in SITES} == {site.se: files for site in SITES}, demo.output
        assert {grown[f"{site.se} bytes"] for site in SITES} == {files * SIZE_BYTES}, demo.output


def test_the_demo_says_that_it_compared_every_replica_and_found_no_problem(demo):
    files = sum(FILES.values())
    assert f"{files * len(SITES)} replicas, 0 problems" in demo.output
    assert f"demo passed: {files} files, {files * len(SITES)} replicas" in demo.output


@pytest.mark.parametrize("typeName", FILES)
def test_the_copies_on_the_storages_disks_have_the_checksums_of_the_sources(testbed, demo, typeName):
    day = dayOf(demo.output)
    source = checksums(testbed.settings, SOURCE, typeName, day)
    assert len(source) == FILES[typeName]
    assert len(set(source.values())) == len(source)
    for path in onDisk(testbed.settings, SOURCE, typeName, day).values():
        assert path.stat().st_size == SIZE_BYTES
    for se in DESTINATIONS:
        assert checksums(testbed.settings, site_of(se), typeName, day) == source, se


@pytest.mark.parametrize("words", [["--size", "5x"], ["--blocks", "0"], ["--files", "-1"]])
def test_a_demo_that_cannot_be_made_is_refused_before_anything_is_started(command, words):
    done = command("demo", *words)
    assert done.returncode == 2
    assert words[0] in done.output
    assert "up already" not in done.output


def test_the_demo_fails_and_names_the_files_when_wrong_bytes_come_to_one_destination_though_success_is_reported(
    testbed, command, database
):
    settings, site = testbed.settings, site_of("IN2P3-DCACHE")
    if not settings.has_standin:
        pytest.skip("needs the FTS3 stand-in")
    host, port = settings.site_address(site)
    rules = StandinRules(settings.fts3_endpoint)
    # every time: what the validation finds is repaired by another copy
    with rules.rule("corrupt", destination=f"{host}:{port}"):
        done = command("demo", "--blocks", "1", "--files", "1", "--size", "10k", "--timeout", "90", timeoutSeconds=400)
    day = dayOf(done.output)
    assert done.returncode != 0, done.output
    assert "NOT DONE" in done.output
    assert "demo FAILED" in done.output
    for typeName, count in {"Raw": 1, "RTRaw": 2}.items():
        names = list(onDisk(settings, SOURCE, typeName, day))
        assert len(names) == count
        for name in names:
            lfn = f"/juno/{typeName.lower()}/{day[:4]}/{day[4:]}/{name}"
            wrong = rf"{re.escape(lfn)} (at {site.se} has adler32|has no replica at {site.se})"
            assert re.search(wrong, done.output), done.output
    assert not statesOf(database, day) & {"Validated", "Done"}
    # when copies are good again it is repaired without a hand, or a person is asked if that came too late
    waitUntil("an end", lambda: statesOf(database, day) <= {"Done", "Problem"}, 300)
