"""Cases of the fault matrix in which copies, storages or FTS jobs go wrong: each touches the copies of its own block alone."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from junotestbed.blockfaults import CNAF, IHEP, IN2P3, JINR, FaultedBlock
from junotestbed.faultmatrix import PROBLEM, Run, case
from junotestbed.observe import replicasOf

#: how long a fault that goes away by itself stands
FAULT_SECONDS = 45


@case("no fault", "none")
def noFault(run: Run) -> None:
    run.block.announce()
    run.over()
    run.block.waitFor("Done")


# ---- sites


@case("site refuses", f"CNAF refuses every copy for {FAULT_SECONDS} s")
def siteRefuses(run: Run) -> None:
    block = run.block
    reason = "[ERROR] Server responded with an error: [3011] Unable to open file; connection refused"
    with block.rule("fail", CNAF, reason=reason, phase="DESTINATION", code=111):
        block.announce()
        block.waitFor("Validated", se=JINR)
        run.ask("during", "refused", se=CNAF)
    run.over()
    block.waitFor("Done")


@case("site times out", f"copies to IN2P3 time out for {FAULT_SECONDS} s")
def siteTimesOut(run: Run) -> None:
    block = run.block
    reason = "[gfalt_copy_file][perform_local_copy] operation timeout after 600 seconds"
    with block.rule("fail", IN2P3, reason=reason, code=110, delay_seconds=3):
        block.announce()
        block.registered()
        time.sleep(FAULT_SECONDS)
        run.ask("during", "timeout", "timed out", se=IN2P3)
    run.over()
    block.waitFor("Done")


@contextmanager
def fullDirectory(block: FaultedBlock, se: str, sizeBytes: int) -> Iterator[list[str]]:
    """A small file system of its own in the place of the block's directory at a site, as that site's XRootD sees it.

    :returns: the command that enters the site's mounts, for :func:`enlarge`
    """
    pid = block.testbed.infra.state(f"xrootd-{se}").pid
    folder = block.path(se)
    folder.mkdir(parents=True, exist_ok=True)
    enter = ["nsenter", "-t", str(pid), "-m", "--"]
    subprocess.run(
        [*enter, "mount", "-t", "tmpfs", "-o", f"size={sizeBytes}", "tmpfs", str(folder)], check=True, capture_output=True
    )
    block.roots[se] = Path(f"/proc/{pid}/root")
    try:
        yield enter
    finally:
        # what lies there stays there: the block is looked at again later
        with tempfile.TemporaryDirectory() as kept:
            shutil.copytree(block.path(se), kept, dirs_exist_ok=True)
            del block.roots[se]
            subprocess.run([*enter, "umount", str(folder)], check=True, capture_output=True)
            shutil.copytree(kept, folder, dirs_exist_ok=True)


@case("destination full", "the disk at IN2P3 is full, later there is room")
def destinationFull(run: Run) -> None:
    block = run.block
    with fullDirectory(block, IN2P3, 8192) as enter:
        block.announce()
        block.waitFor("Closed")
        run.ask("during", "full", "space", "no room", se=IN2P3)
        subprocess.run([*enter, "mount", "-o", "remount,size=16M", str(block.path(IN2P3, physical=True))], check=True)
        run.over()
        block.waitFor("Done")


@case("no permission", "the directory at JINR may not be written, later it may")
def noPermission(run: Run) -> None:
    block = run.block
    folder = block.path(JINR)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o555)
    pauses = "SELECT COUNT(*) FROM Pauses WHERE SE = %s AND ErrorClass = 'DestinationDenied' AND SinceTime > FROM_UNIXTIME(%s)"
    try:
        block.announce()
        block.until(
            "the site is paused", lambda: block.database.rows("RawDataDB", pauses, JINR, block.announcedAt) != [(0,)], 240
        )
        block.facts["the site is paused"] = "yes"
        run.ask("during", "permission", "let us write", se=JINR)
    finally:
        folder.chmod(0o755)
    run.over()
    block.waitFor("Done")


# ---- copies


@case("truncated", "three copies arrive truncated at CNAF, and FTS3 calls them finished")
def truncated(run: Run) -> None:
    wrongCopies(run, "truncate", CNAF, "size")


@case("wrong bytes", "three copies arrive at JINR with wrong bytes, and FTS3 calls them finished")
def wrongBytes(run: Run) -> None:
    wrongCopies(run, "corrupt", JINR, "checksum")


def wrongCopies(run: Run, action: str, se: str, word: str) -> None:
    block = run.block
    with block.rule(action, se, count=3):
        block.announce()
        run.over()
        block.foundBad(se)
        run.ask("during", word, se=se)
        block.waitFor("Done")


@case("lasting failure", "one file cannot be copied to CNAF, for a reason that nobody knows", ends=PROBLEM)
def lastingFailure(run: Run) -> None:
    block = run.block
    block.makeFiles()
    with block.rule("fail", CNAF, block.files[0], reason="something that nobody has seen before", recoverable=False):
        block.announce()
        run.over()
        block.waitFor("Problem")
        run.ask("during", "nobody has seen", se=CNAF)
        block.waitFor("Validated", se=JINR)


# ---- sources


@case("source corrupt", "a source file's bytes change after its registration, and there is no other replica", ends=PROBLEM)
def sourceCorrupt(run: Run) -> None:
    block = run.block
    block.makeFiles()
    # until its bytes are wrong no copy of it is made
    with block.rule("hang", file=block.files[0]):
        block.announce()
        block.registered()
        block.corrupt(IHEP, block.files[0])
    run.over()
    block.waitFor("Problem")
    run.ask("during", "corrupt", "checksum")


@case("source missing", "a source file is gone after its registration, and there is no other replica", ends=PROBLEM)
def sourceMissing(run: Run) -> None:
    block = run.block
    block.makeFiles()
    with block.rule("hang", file=block.files[0]):
        block.announce()
        block.registered()
        block.path(IHEP, block.files[0]).unlink()
    run.over()
    block.waitFor("Problem")
    run.ask("during", "missing", "no such file")


@case("another source", "a source file's bytes change after CNAF has it: the others take it from there")
def anotherSource(run: Run) -> None:
    block = run.block
    block.makeFiles()
    file = block.files[0]
    with block.rule("hang", JINR, file), block.rule("hang", IN2P3, file):
        block.announce()
        block.until("CNAF has it", lambda: CNAF in replicasOf([file]).get(file.lfn, ()), 300, every=2)
        block.corrupt(IHEP, file)
    run.over()
    block.waitFor("Done")


# ---- FTS3


@case("FTS forgets a job", "FTS3 takes a job for IN2P3 and forgets it at once")
def ftsForgets(run: Run) -> None:
    forgotten(run, "forget")


@case("FTS loses a job", "FTS3 makes the copies to IN2P3 and knows nothing of the job afterwards")
def ftsLoses(run: Run) -> None:
    forgotten(run, "lose_job")


def forgotten(run: Run, action: str) -> None:
    block = run.block
    with block.rule(action, IN2P3, count=1):
        block.announce()
        run.over()
        block.waitFor("Done")


@case("FTS refuses jobs", f"FTS3 answers 503 to every job for CNAF for {FAULT_SECONDS} s")
def ftsRefuses(run: Run) -> None:
    block = run.block
    with block.rule("refuse_submission", CNAF):
        block.announce()
        block.registered()
        time.sleep(FAULT_SECONDS)
        run.ask("during", "FTS3Agent", se=CNAF)
    run.over()
    block.waitFor("Done")


# ---- behind the catalogue's back


@case("replica deleted after Done", "a replica at CNAF is deleted behind the catalogue's back after Done")
def deletedAfterDone(run: Run) -> None:
    block = run.block
    block.announce()
    block.waitFor("Done")
    block.path(CNAF, block.files[0]).unlink()
    foundAndMended(run, CNAF, "missing")


@case("replica corrupted after Done", "a replica at JINR gets wrong bytes behind the catalogue's back after Done")
def corruptedAfterDone(run: Run) -> None:
    block = run.block
    block.announce()
    block.waitFor("Done")
    block.corrupt(JINR, block.files[0])
    foundAndMended(run, JINR, "checksum")


def foundAndMended(run: Run, se: str, word: str) -> None:
    """Somebody has the block looked at again; from there it goes by itself."""
    block = run.block
    run.over()
    done = block.block("validate")
    block.facts["validate"] = f"exit {done.returncode}"
    block.watch.waitFor(block.day, "back from Done", lambda s: s.state != "Done", 60)
    run.ask("during", word, se=se)
    block.waitFor("Done")


@case("late cleanup", "a late cleanup deletes a good copy at IN2P3 between the first and the second look")
def lateCleanup(run: Run) -> None:
    block = run.block
    block.announce()
    block.waitFor("Validated", se=IN2P3)
    block.path(IN2P3, block.files[-1]).unlink()
    run.over()
    block.until("found by the second look", lambda: any(new == "Closed" for se, old, new, _ in block.events()
                if (se, old) == (IN2P3, "Validated")), 180, every=2)  # fmt: skip
    run.ask("during", "missing", se=IN2P3)
    block.waitFor("Done")


# ---- what was declared


@case(
    "file never announced",
    "one file fewer comes than the end-of-block announcement declares, and an operator closes the block",
    ends=PROBLEM,
)
def neverAnnounced(run: Run) -> None:
    block = run.block
    block.announce(declared=block.count + 1)
    block.registered()
    run.over()
    done = block.block("close")
    block.facts["close"] = f"exit {done.returncode}"
    block.waitFor("Problem")
    run.ask("during", "declared", "expected", "announced")
