"""RTRaw blocks of event records for chains, and what the tables say of their jobs and outputs."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from junotestbed.chainfacts import JudgedChain, collect, diskOf
from junotestbed.chainjudge import MAGIC, ChainVerdict, InputFile, eventsOf, judge
from junotestbed.observe import Database
from junotestbed.traffic import SOURCE, MadeFile, announce, site_of

TYPE, TOPIC = "RTRaw", "juno.rtraw"
PHYSICS, CALIBRATION = "PHYSICS.GLOBAL_TRIGGER", "CALIB.LASER"
# one command at a time: each is a process that loads all of DIRAC, and the testbed needs the machine
_commands = threading.Semaphore(1)


class NotReached(AssertionError):
    """Something did not come about within its time; the message says where it stands."""


def eventFile(run: int, numbers: Sequence[int], seed: int) -> bytes:
    """A file of events with random data of 40 to 400 bytes."""
    chooser = random.Random(seed)

    def record(run: int, number: int, payload: bytes) -> bytes:
        body = struct.pack("<IQI", run, number, len(payload)) + payload
        return body + struct.pack("<I", zlib.crc32(body))

    records = [record(run, number, chooser.randbytes(chooser.randint(40, 400))) for number in numbers]
    return MAGIC + b"".join(records) + record(0xFFFFFFFF, len(records), b"")


@dataclass(frozen=True)
class Attempt:
    """One execution of a task, as the ledger has it; ``errorName`` as in docs/chains.rst."""

    attemptID: int
    step: str
    taskID: int
    jobID: int
    site: str
    state: str
    lfn: str
    uploads: tuple[str, ...]
    errorName: str
    detail: str


@dataclass
class ChainedBlock:
    """One block of event files, which nobody but its test touches."""

    testbed: object
    day: str
    production: str = ""
    files: list[MadeFile] = field(default_factory=list)
    inputs: list[InputFile] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = Database(self.testbed)

    @property
    def directory(self) -> str:
        return f"/juno/{TYPE.lower()}/{self.day[:4]}/{self.day[4:]}"

    # ---- what goes in

    def make(self, run: int, stream: str, count: int, events: int = 20, first: int = 1) -> list[MadeFile]:
        """Files onto the disk of the source storage; events are numbered through the stream of the run."""
        made = []
        for sequence in range(first, first + count):
            numbers = range((sequence - 1) * events + 1, sequence * events + 1)
            name = f"RTRaw.{run}.{stream}.TESTBED.{self.day}120000.{sequence:04d}.rtraw"
            content = eventFile(run, numbers, zlib.crc32(name.encode()))
            file = MadeFile(TYPE, self.day, name, self.directory, len(content), f"{zlib.adler32(content):08x}")
            path = diskOf(self.testbed.settings, SOURCE) / file.lfn.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self.inputs.append(InputFile(file.lfn, stream, eventsOf(content, isReconstructed=False)))
            made.append(file)
        self.files += made
        return made

    def announce(self, files: Sequence[MadeFile] | None = None, close: bool = True) -> None:
        """Announce files, all of them if none are told; with the announcement of the block's end after them."""
        counts = {file.lfn: len(file.events) for file in self.inputs}
        wanted = self.files if files is None else files
        messages: list[tuple[str, dict | bytes]] = [(self.day, file.announcement(EventCount=counts[file.lfn])) for file in wanted]
        if close:
            messages.append((self.day, {"EndOfBlock": self.day, "FileCount": len(self.files)}))
        announce(self.testbed.settings, TOPIC, messages)

    def path(self, se: str, lfn: str) -> Path:
        """Where a file lies on the disk of a site."""
        return diskOf(self.testbed.settings, site_of(se)) / lfn.lstrip("/")

    def corrupt(self, se: str, lfn: str) -> None:
        """Other bytes of the same size."""
        path = self.path(se, lfn)
        path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))

    # ---- what the tables say

    def filesAt(self, se: str) -> int:
        """How many files have a replica there."""
        query = (
            "SELECT COUNT(*) FROM FC_Files f JOIN FC_DirectoryLevelTree d USING (DirID) JOIN FC_Replicas USING (FileID)"
            " JOIN FC_StorageElements s USING (SEID) WHERE d.DirName = %s AND s.SEName = %s"
        )
        return self.database.rows("FileCatalogDB", query, self.directory, se)[0][0]

    def standing(self) -> tuple[str, int, str, str]:
        """In the chain: state, steps that ended, what it waits for, problem."""
        query = (
            "SELECT b.State, b.EndedSteps, IFNULL(b.Waits, ''), IFNULL(b.Problem, '') FROM ChainBlocks b"
            " JOIN Chains USING (ChainID)"
            " JOIN Blocks k USING (BlockID) WHERE Production = %s AND k.Block = %s AND k.Type = %s"
        )
        rows = self.database.rows("RawDataDB", query, self.production, self.day, TYPE)
        return rows[0] if rows else ("", 0, "", "")

    def jobs(self) -> set[int]:
        """Jobs of the tasks that have files of the block now."""
        query = (
            "SELECT DISTINCT t.ExternalID FROM TransformationTasks t JOIN TransformationFiles f USING (TransformationID, TaskID)"
            " JOIN DataFiles d USING (FileID) JOIN AdditionalParameters p USING (TransformationID)"
            " WHERE p.ParameterName = 'Chain' AND p.ParameterValue = %s AND (d.LFN LIKE %s OR d.LFN LIKE %s)"
        )
        like = (f"{self.directory}/%", f"%/{self.production}/%/{self.day}/%")
        found = self.database.rows("TransformationDB", query, self.production, *like)
        return {int(row[0]) for row in found if str(row[0]).isdigit() and int(row[0])}

    def attempts(self, *states: str) -> list[Attempt]:
        """Of the block's tasks, in the order in which they began."""
        query = (
            "SELECT a.AttemptID, s.Step, a.TaskID, a.JobID, a.Site, a.State, a.OutputLFN, a.OutputSEs, a.Error, a.Detail"
            " FROM Attempts a JOIN Chains c USING (ChainID) JOIN ChainSteps s USING (TransformationID)"
            " WHERE c.Production = %s ORDER BY a.AttemptID"
        )
        rows = self.database.rows("RawDataDB", query, self.production)
        every = [Attempt(*row[:7], tuple(json.loads(row[7] or "[]")), *row[8:]) for row in rows]
        # one that was refused at once has no output
        tasks = {(each.step, each.taskID) for each in every if f"/{self.day}/" in each.lfn}
        found = [each for each in every if (each.step, each.taskID) in tasks]
        return [each for each in found if not states or each.state in states]

    def products(self, step: str = "") -> list[tuple[str, str, int]]:
        """LFN, state and attempt of the outputs that count."""
        query = (
            "SELECT p.LFN, p.State, p.AttemptID FROM Products p JOIN Chains c USING (ChainID) JOIN Blocks k USING (BlockID)"
            " WHERE c.Production = %s AND k.Block = %s AND k.Type = %s AND p.LFN LIKE %s ORDER BY p.ProductID"
        )
        return self.database.rows("RawDataDB", query, self.production, self.day, TYPE, f"%/{step or '%'}/{self.day}/%")

    def recoveries(self) -> dict[str, int]:
        """How many inputs and copies had which error, and what became of them."""
        query = (
            "SELECT r.SE, r.Error, r.State, COUNT(*) FROM Recoveries r JOIN Chains c USING (ChainID)"
            " JOIN Blocks k USING (BlockID)"
            " WHERE c.Production = %s AND k.Block = %s AND k.Type = %s GROUP BY 1, 2, 3"
        )
        rows = self.database.rows("RawDataDB", query, self.production, self.day, TYPE)
        return {" ".join(part for part in row[:3] if part): row[3] for row in rows}

    # ---- waiting

    def until(self, what: str, condition: Callable[[], object], seconds: float = 120, every: float = 0.3):
        """What the condition gave.

        :raises NotReached: after so many seconds
        """
        import MySQLdb

        end = time.monotonic() + seconds
        while True:
            try:
                found = condition()
                if found:
                    return found
            except MySQLdb.Error:
                pass  # one of the faults
            if time.monotonic() > end:
                raise NotReached(f"block {self.day}: after {seconds:.0f} s still not: {what}; in the chain {self._told()}")
            time.sleep(every)

    def waitFor(self, *states: str, seconds: float = 400) -> str:
        """Until the block has one of these states in the chain."""
        self.until(f"{' or '.join(states)} in the chain", lambda: self.standing()[0] in states, seconds, every=1)
        return self.standing()[0]

    def _told(self) -> str:
        import MySQLdb

        try:
            tried = [f"{each.step} {each.taskID} {each.state} {each.errorName}".rstrip() for each in self.attempts()]
            return f"{self.standing()}, attempts: {', '.join(tried) or 'none'}"
        except MySQLdb.Error as error:
            return str(error)

    # ---- commands and judgement

    def command(self, *words: str, seconds: float = 180) -> subprocess.CompletedProcess:
        return typed(self.testbed, *words, seconds=seconds)

    def verdict(self, judged: JudgedChain) -> ChainVerdict:
        """What the independent judge says."""
        return judge(collect(self.testbed, judged, self.day, self.inputs))

    def settledVerdict(self, judged: JudgedChain, seconds: float) -> ChainVerdict:
        """The same, when what only waits for its removal has been removed; after so many seconds in any case."""
        end = time.monotonic() + seconds
        while True:
            verdict = self.verdict(judged)
            if set(verdict.problems) - {"orphans", "notRetired"} or not verdict.problems or time.monotonic() > end:
                return verdict
            time.sleep(2)


def typed(testbed, *words: str, seconds: float = 180) -> subprocess.CompletedProcess:
    """A command as the production manager types it."""
    settings = testbed.settings
    env = settings.environment(settings.proxies / "prod.pem")
    with _commands:
        return subprocess.run(list(words), env=env, capture_output=True, text=True, timeout=seconds)
