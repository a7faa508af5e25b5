"""The main job, live: files are made, announced, catalogued, copied and proved until every block is done at every site."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import TYPE_CHECKING

from junotestbed.settings import SITES, Settings, TestbedError
from junotestbed.traffic import MadeFile, announce, make_files, site_of, stored_checksum

if TYPE_CHECKING:
    from junotestbed.testbed import Testbed

TOPICS = {"Raw": "juno.raw", "RTRaw": "juno.rtraw"}
FIRST_DAY = date(2023, 3, 2)


def demo(testbed: Testbed, arguments: argparse.Namespace) -> int:
    """:returns: 0 only if every file is, with the right checksum, at every site"""
    size = check(arguments)
    settings = testbed.settings
    days = free_days(settings, arguments.blocks)
    raw = f"{arguments.files} files in each of the RAW blocks {', '.join(days)}"
    print(f"\n{raw} and {2 * arguments.files} in the RTRAW block {days[0]}, {size} bytes a file\n")
    started = time.monotonic()
    # The first half is announced, then the second half is written while the first is on its way already: a block is
    # transferred and grows at the same time.
    made = produce(settings, days, arguments.files // 2, size, 1)
    made += produce(settings, days, arguments.files - arguments.files // 2, size, 1 + arguments.files // 2)
    expected = {key: sum((file.type_name, file.block) == key for file in made) for key in {(f.type_name, f.block) for f in made}}
    for (type_name, day), count in expected.items():
        announce(settings, TOPICS[type_name], [(day, {"EndOfBlock": day, "FileCount": count})])
    print(f"announced {len(made)} files in {time.monotonic() - started:.1f} s; the last one just now\n")
    complete = follow(settings, expected, arguments.timeout)
    state = "every block is done: complete, and proved twice," if complete else "NOT DONE"
    print(f"\n{state} {time.monotonic() - started:.1f} s after the start\n", flush=True)
    subprocess.run(["dirac-juno-block-status"], env=operator(settings), check=False)
    show_catalogue(settings)
    right = compare(settings, made)
    print(f"\ndemo {'passed' if complete and right else 'FAILED'}: {len(made)} files, {len(made) * len(SITES)} replicas")
    return 0 if complete and right else 1


def check(arguments: argparse.Namespace) -> int:
    """:returns: size of a file in bytes
    :raises TestbedError: if the demo could not be made with these arguments
    """
    if arguments.blocks < 1 or arguments.files < 1:
        raise TestbedError("--blocks and --files must be at least 1")
    return parse_size(arguments.size)


def parse_size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([kMG]?)", text)
    if not match or int(match[1]) == 0:
        raise TestbedError(f"--size {text}: give a number of bytes above 0 with an optional k, M or G")
    return int(match[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[match[2]]


def operator(settings: Settings) -> dict[str, str]:
    return settings.environment(settings.proxies / "prod.pem")


def block_status(settings: Settings) -> list[dict]:
    """What ``dirac-juno-block-status --json`` says; the command is what a user has, so the demo looks through it too."""
    done = subprocess.run(
        ["dirac-juno-block-status", "--json"], env=operator(settings), capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        raise TestbedError(f"dirac-juno-block-status failed: {done.stderr.strip() or done.stdout.strip()}")
    return json.loads(done.stdout)["Blocks"]


def free_days(settings: Settings, count: int) -> list[str]:
    """Days without a block so far, so that one demo after the other makes blocks of its own."""
    known = {block["Block"] for block in block_status(settings)}
    days, day = [], FIRST_DAY
    while len(days) < count:
        name = day.strftime("%Y%m%d")
        if name not in known:
            days.append(name)
        day += timedelta(days=1)
    return days


def produce(settings: Settings, days: list[str], count: int, size: int, first: int) -> list[MadeFile]:
    """Write files for each block and announce them."""
    made: list[MadeFile] = []
    run = 7750
    for number, day in enumerate(days):
        made += make_files(settings, "Raw", day, count, size, run + number, first)
    made += make_files(settings, "RTRaw", days[0], 2 * count, size, run, 2 * first - 1)
    for type_name, topic in TOPICS.items():
        files = [file for file in made if file.type_name == type_name]
        announce(settings, topic, [(file.block, file.announcement()) for file in files])
    return made


def follow(settings: Settings, expected: dict[tuple[str, str], int], timeout: float) -> bool:
    """Show the progress until everything is done.

    :returns: False if it is not within the timeout
    """
    started = time.monotonic()
    live = sys.stdout.isatty()
    shown: list[str] = []
    while True:
        blocks = {(b["Type"], b["Block"]): b for b in block_status(settings)}
        rows = [progress(key, blocks.get(key), files) for key, files in sorted(expected.items())]
        seconds = time.monotonic() - started
        lines = [line for line, _ in rows]
        if live:
            # over the lines of the time before
            back = f"\033[{len(shown) + 1}F" if shown else ""
            print(back + "\n".join(f"{line}\033[K" for line in [f"{seconds:5.0f} s", *lines]), flush=True)
        else:
            for line in [line for line in lines if line not in shown]:
                print(f"{seconds:5.0f} s  {line}", flush=True)
        shown = lines
        if all(complete for _, complete in rows):
            return True
        if seconds > timeout:
            return False
        time.sleep(3)


def progress(key: tuple[str, str], block: dict | None, files: int) -> tuple[str, bool]:
    """One block as a line, and whether it is done and complete with the expected number of files at all its sites."""
    name = f"{key[0]} {key[1]}"
    if block is None:
        return f"{name}: -", False
    sites = {site["SE"]: site for site in block["Sites"]}
    parts = [f"{se.split('-')[0]} {site['Done']}/{files}" for se, site in sorted(sites.items())]
    complete = bool(sites) and all(site["Complete"] and site["Files"] == files for site in sites.values())
    return f"{name}: " + " ".join([*parts, block["State"]]), complete and block["State"] == "Done"


def show_catalogue(settings: Settings) -> None:
    """Logical size and replicas at each SE, as the catalogue's own command gives them."""
    commands = "size -l /juno/raw\nsize -l /juno/rtraw\nexit\n"
    done = subprocess.run(
        ["dirac-dms-filecatalog-cli", "-f", "FileCatalog"],
        env=operator(settings),
        input=commands,
        capture_output=True,
        text=True,
        timeout=120,
    )
    print(done.stdout if not done.returncode else done.stdout + done.stderr)


def compare(settings: Settings, made: list[MadeFile]) -> bool:
    """Ask every storage for the adler32 of its copy of every file, and the catalogue for the replicas."""
    from DIRAC import initialize

    initialize()
    from DIRAC.Resources.Catalog.FileCatalog import FileCatalog

    result = FileCatalog().getReplicas([file.lfn for file in made])
    if not result["OK"]:
        raise TestbedError(f"the catalogue does not answer: {result['Message']}")
    replicas = result["Value"]["Successful"]
    wrong = [f"{file.lfn} is not in the catalogue" for file in made if file.lfn not in replicas]
    for file in made:
        missing = {site.se for site in SITES} - set(replicas.get(file.lfn, {}))
        wrong += [f"{file.lfn} has no replica at {se}" for se in sorted(missing) if file.lfn in replicas]
    tasks = [(file, se) for file in made for se in replicas.get(file.lfn, {})]
    with ThreadPoolExecutor(8) as pool:
        checksums = list(pool.map(lambda task: stored_checksum(settings, site_of(task[1]), task[0].lfn), tasks))
    for (file, se), checksum in zip(tasks, checksums, strict=True):
        if checksum != file.checksum:
            wrong.append(f"{file.lfn} at {se} has adler32 {checksum or '(none)'}, its source {file.checksum}")
    for line in wrong[:20]:
        print(f"  {line}")
    print(f"adler32 asked of the storages: {len(tasks)} replicas, {len(wrong)} problems")
    return not wrong
