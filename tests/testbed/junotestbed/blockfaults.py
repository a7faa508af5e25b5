"""One block under a fault: announced, closed, watched until it ends, asked why, and compared byte by byte."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fts3_standin.client import StandinRules

from junotestbed.announcer import writeFile
from junotestbed.observe import DESTINATIONS, Database
from junotestbed.settings import SITES
from junotestbed.traffic import MadeFile, announce, file_name, site_of

IHEP, CNAF, IN2P3, JINR = (site.se for site in SITES)
TYPE, TOPIC = "Raw", "juno.raw"
#: as far as a block, or a block at a site, has to be to be at least in this state
REACHED = {
    "Closed": ("Closed", "Replicated", "Validated", "Done", "Problem"),
    "Replicated": ("Replicated", "Validated", "Done"),
    "Validated": ("Validated", "Done"),
    "Done": ("Done",),
    "Problem": ("Problem",),
}
#: so long the slowest case may take, seconds
PATIENCE_SECONDS = 480
# one command at a time: each is a process that loads all of DIRAC, and the testbed needs the machine
_commands = threading.Semaphore(1)


class NotReached(AssertionError):
    """A block did not get where it had to within its time; the message says where it stands."""


@dataclass(frozen=True)
class Standing:
    """Where a block stands at one moment; ``sites`` has state and problem by storage element."""

    state: str = ""
    problem: str = ""
    sites: dict[str, tuple[str, str]] = field(default_factory=dict)

    def site(self, se: str) -> str:
        return self.sites.get(se, ("", ""))[0]

    def __str__(self) -> str:
        at = ", ".join(f"{se} {state}{f' ({problem})' if problem else ''}" for se, (state, problem) in sorted(self.sites.items()))
        return f"{self.state or 'unknown'}{f' ({self.problem})' if self.problem else ''}; {at or 'no sites'}"


class Watch:
    """Reads where all blocks stand, once a second for everybody who waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition()
        self._standings: dict[str, Standing] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="watch")

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ending.set()
        self._thread.join(10)

    def of(self, block: str) -> Standing:
        return self._standings.get(block, Standing())

    def waitFor(self, block: str, what: str, condition: Callable[[Standing], bool], seconds: float) -> Standing:
        """:raises NotReached: after so many seconds"""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self.of(block)), seconds):
                raise NotReached(f"block {block} is not {what} after {seconds:.0f} s: {self.of(block)}")
            return self.of(block)

    def _run(self) -> None:
        import MySQLdb

        query = (
            "SELECT b.Block, b.State, IFNULL(b.Problem, ''), t.SE, t.State, IFNULL(t.Problem, '') FROM Blocks b"
            " LEFT JOIN BlockTransfers t USING (BlockID) WHERE b.Type = %s AND b.Block >= '2040'"
        )
        while not self._ending.wait(1):
            try:
                rows = self._database.rows("RawDataDB", query, TYPE)
            except MySQLdb.Error:
                continue  # one of the faults
            found: dict[str, Standing] = {}
            for block, state, problem, se, siteState, siteProblem in rows:
                standing = found.setdefault(block, Standing(state, problem))
                if se:
                    standing.sites[se] = (siteState, siteProblem)
            with self._changed:
                self._standings = found
                self._changed.notify_all()


@dataclass
class FaultedBlock:
    """One block of small files, which nobody but its case touches."""

    testbed: object
    watch: Watch
    day: str
    run: int
    count: int = 6
    files: list[MadeFile] = field(default_factory=list)
    announcedAt: float = 0.0
    facts: dict[str, object] = field(default_factory=dict)
    #: where the disk of a storage element is seen, if not from here
    roots: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.database = Database(self.testbed)
        self.rules = StandinRules(self.testbed.settings.fts3_endpoint)

    # ---- what comes in

    def makeFiles(self) -> None:
        """Files onto the source storage."""
        names = [file_name(TYPE, self.run, number, self.day) for number in range(1, self.count + 1)]
        self.files = [writeFile(self.testbed.settings, TYPE, self.day, name) for name in names]

    def announce(self, close: bool = True, declared: int | None = None) -> None:
        """Announcements onto the topic, the end-of-block announcement after them; the files are made first if need be."""
        if not self.files:
            self.makeFiles()
        messages: list[tuple[str, dict | bytes]] = [(self.day, file.announcement()) for file in self.files]
        if close:
            messages.append((self.day, self.ending(declared)))
        announce(self.testbed.settings, TOPIC, messages)
        self.announcedAt = time.time()

    def ending(self, declared: int | None = None) -> dict:
        return {"EndOfBlock": self.day, "FileCount": self.count if declared is None else declared}

    def close(self) -> None:
        announce(self.testbed.settings, TOPIC, [(self.day, self.ending())])

    # ---- faults

    @property
    def glob(self) -> str:
        """Pattern of the stand-in's rules for all its files."""
        return f"/juno/{TYPE.lower()}/{self.day[:4]}/{self.day[4:]}/*"

    def rule(self, action: str, se: str = "*", file: MadeFile | None = None, **fields: object) -> AbstractContextManager[str]:
        """A rule of the stand-in for this block's copies, or those of one file, to one storage element."""
        destination = se if se == "*" else "{}:{}".format(*self.testbed.settings.site_address(site_of(se)))
        return self.rules.rule(action, destination=destination, lfn=file.lfn if file else self.glob, **fields)

    def path(self, se: str, file: MadeFile | None = None, physical: bool = False) -> Path:
        """Of a file, or of the block's directory, on the disk of a site.

        :param physical: as the site itself sees it
        """
        site = site_of(se)
        path = self.testbed.settings.storage / se / "data" / site.path.lstrip("/") / f"juno/{TYPE.lower()}"
        path = path / self.day[:4] / self.day[4:]
        if se in self.roots and not physical:
            path = self.roots[se] / path.relative_to("/")
        return path / file.file_name if file else path

    def corrupt(self, se: str, file: MadeFile) -> None:
        """Other bytes of the same size."""
        path = self.path(se, file)
        content = path.read_bytes()
        path.write_bytes(bytes(byte ^ 0xFF for byte in content))

    # ---- waiting

    def waitFor(self, state: str, seconds: float = PATIENCE_SECONDS, se: str = "") -> Standing:
        """Until the block, or the block at a site, is at least in this state."""
        at = f"{state} at {se}" if se else state
        reached = REACHED[state]
        return self.watch.waitFor(self.day, at, lambda s: (s.site(se) if se else s.state) in reached, seconds)

    def waitForEnd(self, seconds: float = PATIENCE_SECONDS) -> Standing:
        return self.watch.waitFor(self.day, "Done or a Problem", lambda s: s.state in ("Done", "Problem"), seconds)

    def until(self, what: str, condition: Callable[[], object], seconds: float = 120, every: float = 0.3) -> None:
        """:raises NotReached: after so many seconds"""
        import MySQLdb

        end = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except MySQLdb.Error:
                pass
            if time.monotonic() > end:
                raise NotReached(f"block {self.day}: after {seconds:.0f} s still not: {what}; {self.watch.of(self.day)}")
            time.sleep(every)

    def registered(self) -> None:
        """Wait until the ledger has all files Registered."""
        query = (
            "SELECT COUNT(*) FROM Files JOIN Directories USING (DirectoryID) JOIN Blocks USING (BlockID)"
            " WHERE Block = %s AND Type = %s AND Files.State = 'Registered'"
        )
        self.until(
            "registered", lambda: self.database.rows("RawDataDB", query, self.day, TYPE) == [(self.count,)], 240, every=0.5
        )

    def foundBad(self, se: str) -> None:
        """Wait until a validation has found differences at a site."""
        query = (
            "SELECT COUNT(*) FROM Validations JOIN Blocks USING (BlockID)"
            " WHERE Block = %s AND Type = %s AND SE = %s AND Verdict = 'Bad'"
        )
        self.until("found by a validation", lambda: self.database.rows("RawDataDB", query, self.day, TYPE, se) != [(0,)], 300, 1)

    # ---- commands

    def command(self, *words: str, seconds: float = 120) -> subprocess.CompletedProcess:
        settings = self.testbed.settings
        env = settings.environment(settings.proxies / "prod.pem")
        with _commands:
            return subprocess.run(list(words), env=env, capture_output=True, text=True, timeout=seconds)

    def block(self, verb: str, *switches: str) -> subprocess.CompletedProcess:
        """``dirac-juno-block VERB``, as the production manager types it."""
        words = ("dirac-juno-block", verb, self.day, "--type", TYPE, *switches)
        return self.command(*words, "--reason", "fault matrix", "--yes")

    def why(self, se: str = "") -> dict:
        """What ``dirac-juno-why`` says of the block, or of the block at a site."""
        site = ("--site", se) if se else ()
        done = self.command("dirac-juno-why", self.day, "--type", TYPE, "--json", *site)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {"Error": (done.stderr or done.stdout).strip()[-600:]}

    def whyUntil(self, words: tuple[str, ...], seconds: float, se: str = "") -> dict:
        """Ask until one of the words stands in the verdict; the last answer in any case."""
        end = time.monotonic() + seconds
        while True:
            answer = self.why(se)
            if any(word.lower() in json.dumps(verdictOf(answer)).lower() for word in words) or time.monotonic() > end:
                return answer
            time.sleep(4)

    # ---- what the ledger remembers

    def events(self) -> list[tuple[str, str, str, float]]:
        """SE, old state, new state and time of each change of state."""
        query = (
            "SELECT e.SE, e.FromState, e.ToState, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', e.Time) / 1e6 FROM BlockEvents e"
            " JOIN Blocks b USING (BlockID) WHERE b.Block = %s AND b.Type = %s ORDER BY e.EventID"
        )
        return [(*row[:3], float(row[3])) for row in self.database.rows("RawDataDB", query, self.day, TYPE)]

    def secondsTo(self, state: str, se: str = "", last: bool = False) -> float | None:
        """From the announcement to when this state was first (or last) entered."""
        times = [at for where, _, new, at in self.events() if (where, new) == (se, state)]
        return round((times[-1] if last else times[0]) - self.announcedAt, 1) if times else None

    def repairs(self) -> dict[str, int]:
        """How many files had which class of error and action."""
        query = (
            "SELECT r.SE, r.State, r.ErrorClass, r.Action, COUNT(*) FROM Repairs r JOIN Blocks b USING (BlockID)"
            " WHERE b.Block = %s AND b.Type = %s GROUP BY 1, 2, 3, 4"
        )
        rows = self.database.rows("RawDataDB", query, self.day, TYPE)
        return {" ".join(part for part in row[:4] if part): row[4] for row in rows}


def verdictOf(answer: dict) -> dict:
    """The first thing that does not hold, of what ``dirac-juno-why`` said."""
    return answer.get("Verdict") or answer


@contextmanager
def siteDown(testbed, se: str) -> Iterator[None]:
    """A site whose storage is stopped."""
    name = f"xrootd-{se}"
    testbed.infra.control("down", name)
    try:
        yield
    finally:
        testbed.infra.control("up", name)


def otherDestinations(se: str) -> list[str]:
    return [other for other in DESTINATIONS if other != se]
