"""The fault matrix of chains: small blocks in one chain, one for each case, all under way at the same time."""

from __future__ import annotations

import json
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from junotestbed.announcer import freeBlocks
from junotestbed.chainblocks import PHYSICS, ChainedBlock, NotReached, typed
from junotestbed.chainfacts import JudgedChain
from junotestbed.forgetting import forgetFlags
from junotestbed.observe import Database

EXACT, LOSES = "Exact", "Off"
DESTINATIONS = ("IHEP-JUNOEOS", "CNAF-STORM", "JINR-EOS")
FIRST_RUN = 70_000
FILES, EVENTS = 4, 40
#: so long the slowest case may take, seconds
PATIENCE_SECONDS = 480
#: and so long the removal of what nobody needs any more
CLEANING_SECONDS = 60
#: between the releases of blocks whose cases stop a process of everybody's
_APART_SECONDS = 12
CHAIN = """\
name: faults
version: {version}
description: small blocks under faults
steps:
  - name: rawrec
    kind: process
    executable: juno-rawrec
    arguments: [--event-seconds, "0.03"]
    cpu-time: 1 h
    input: {{type: RTRaw}}
    output:
      type: ESDPart
      directory: /juno/esd/{{Chain}}-{{Version}}-v{{OutputVersion}}/{{Step}}/{{Block}}
      failover: [IHEP-JUNOEOS]
    group: {{files: 2}}
    max-wait: 1 s
    sites: [DIRAC.CNAF.it, DIRAC.JINR.ru]
    gates: [run-good]
  - name: merge
    kind: merge
    executable: juno-merge
    cpu-time: 1 h
    input: {{type: ESDPart}}
    output:
      type: ESD
      directory: /juno/esd/{{Chain}}-{{Version}}-v{{OutputVersion}}/{{Step}}/{{Block}}
      failover: [IHEP-JUNOEOS]
    retire: remove
  - name: replicate
    kind: replicate
    input: {{type: ESD}}
    destinations: [IHEP-JUNOEOS, CNAF-STORM, JINR-EOS]
    max-wait: 1 s
"""


@dataclass
class Outcome:
    """What became of one case.

    :param expected: verdict of the audit at the end
    :param after: audit by the command at the end
    :param verdict: differences that the independent judge found at the end
    :param judged: the judge's sentence
    :param attempts: how many attempts of the block's tasks ended in which state, with which error
    """

    name: str
    fault: str
    expected: str
    day: str = ""
    ended: str = ""
    problem: str = ""
    error: str = ""
    after: dict = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    verdict: dict[str, list[str]] = field(default_factory=dict)
    judged: str = ""
    attempts: dict[str, int] = field(default_factory=dict)
    recoveries: dict[str, int] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)
    releasedSeconds: float | None = None
    endedSeconds: float | None = None


@dataclass(frozen=True)
class Case:
    """:param prepare: done before the files may go into the chain
    :param turn: it stops a process of everybody's
    """

    name: str
    fault: str
    ends: str
    act: Callable[[Run], None]
    prepare: Callable[[Run], None] | None = None
    turn: bool = False


CASES: dict[str, Case] = {}


def case(name: str, fault: str, ends: str = EXACT, prepare: Callable[[Run], None] | None = None, turn: bool = False) -> Callable:
    """Enters a function into the matrix."""

    def enter(act: Callable[[Run], None]) -> Callable[[Run], None]:
        CASES[name] = Case(name, fault, ends, act, prepare, turn)
        return act

    return enter


class Run:
    """One case while it runs; ``number`` is that of its run, too."""

    #: held by who stops a process of everybody's
    stopping = threading.Lock()

    def __init__(self, case: Case, block: ChainedBlock, number: int) -> None:
        self.case, self.block, self.run = case, block, FIRST_RUN + number
        self.outcome = Outcome(case.name, case.fault, case.ends, day=block.day)

    @property
    def facts(self) -> dict[str, object]:
        return self.outcome.facts

    @property
    def testbed(self):
        return self.block.testbed

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else stops a process meanwhile."""
        with self.stopping:
            yield


def auditsOf(testbed, production: str) -> dict[str, dict]:
    """By block, what ``dirac-juno-audit CHAIN --json`` says; with the exit code of the command."""
    done = typed(testbed, "dirac-juno-audit", production, "--json", seconds=300)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"dirac-juno-audit {production}: {done.stdout}{done.stderr}") from None
    return {each["Block"]: {**each, "ExitCode": done.returncode} for each in answer["Audits"]}


class ChainMatrix:
    """Runs cases and keeps what became of them.

    :param production: name of the chain's production, once it is started
    """

    def __init__(self, testbed, cases: Sequence[Case], say: Callable[[str], None] = print) -> None:
        self.testbed, self.cases, self._say = testbed, cases, say
        self.database = Database(testbed)
        self.outcomes: dict[str, Outcome] = {}
        self.production = ""
        self._started = time.monotonic()

    def run(self) -> dict[str, Outcome]:
        """All blocks are filled and copied together; then files go into the chain as their runs are flagged."""
        # what an earlier matrix let in
        forgetFlags(self.database, range(FIRST_RUN, FIRST_RUN + len(self.cases)))
        days = freeBlocks(self.database, len(self.cases))
        runs = [Run(case, ChainedBlock(self.testbed, day), n) for n, (case, day) in enumerate(zip(self.cases, days, strict=True))]
        for run in runs:
            run.block.make(run.run, PHYSICS, FILES, EVENTS)
            run.block.announce()
        self._startChain(runs)
        self._untilCopied(runs)
        threads = self._release([run for run in runs if not run.case.turn])
        for run in [run for run in runs if run.case.turn]:
            threads += self._release([run])
            time.sleep(_APART_SECONDS)
        for thread in threads:
            thread.join()
        self._concludeAll(runs)
        return self.outcomes

    def _startChain(self, runs: Sequence[Run]) -> None:
        version = f"T{int(time.time())}"
        path = self.testbed.settings.run / "chains" / f"faults-{version}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(CHAIN.format(version=version))
        self.production = f"faults-{version}-v1"
        known = "SELECT COUNT(*) FROM Blocks WHERE Type = 'RTRaw' AND Block IN ({})"
        marks = ", ".join(["%s"] * len(runs))
        days = [run.block.day for run in runs]
        runs[0].block.until(
            "all blocks known", lambda: self.database.rows("RawDataDB", known.format(marks), *days) == [(len(runs),)], 120
        )
        started = typed(self.testbed, "dirac-juno-chain", "start", str(path), "--blocks", ",".join(days),
                        "--reason", "fault matrix", "--yes")  # fmt: skip
        assert not started.returncode, started.stdout + started.stderr
        for run in runs:
            run.block.production = self.production
        self.say(f"{self.production} started over {len(runs)} blocks")

    def _untilCopied(self, runs: Sequence[Run]) -> None:
        """Jobs run where copies are, and a case that changes one wants it to be there."""
        for run in runs:
            for se in DESTINATIONS:
                run.block.until(f"copied to {se}", lambda run=run, se=se: run.block.filesAt(se) == FILES, 240, every=1)
        self.say("all files are where jobs are")

    def _release(self, runs: Sequence[Run]) -> list[threading.Thread]:
        """Prepare cases, let their files go into the chain, and begin to act."""
        if not runs:
            return []
        for run in runs:
            self.outcomes[run.outcome.name] = run.outcome
            if run.case.prepare:
                run.case.prepare(run)
        words = ["dirac-juno-run", "flag", *(str(run.run) for run in runs), "--quality", "good"]
        flagged = typed(self.testbed, *words, "--reason", "fault matrix", "--yes")
        assert not flagged.returncode, flagged.stdout + flagged.stderr
        for run in runs:
            run.outcome.releasedSeconds = self.seconds
        threads = [threading.Thread(target=self._act, args=(run,), name=run.outcome.name, daemon=True) for run in runs]
        for thread in threads:
            thread.start()
        return threads

    def _act(self, run: Run) -> None:
        outcome = run.outcome
        try:
            run.case.act(run)
            outcome.ended = run.block.waitFor("Done" if run.case.ends == EXACT else "Problem", seconds=PATIENCE_SECONDS)
        except NotReached as late:
            outcome.error = str(late)
        except Exception:  # noqa: BLE001 whatever happens in one case, the others go on and this one is reported
            outcome.error = traceback.format_exc()[-3000:]
        outcome.endedSeconds = self.seconds
        self.say(f"{outcome.name}: {outcome.ended} {outcome.facts or ''} {outcome.error}".rstrip())

    def _concludeAll(self, runs: Sequence[Run]) -> None:
        """First the judge, since what is cleaned up later may take its time; then the command, once for all."""
        for run in runs:
            self._conclude(run)
        audits = auditsOf(self.testbed, self.production)
        for run in runs:
            outcome = run.outcome
            outcome.after = audits.get(run.block.day, {})
            said = f"{outcome.name}: {outcome.ended}, audit {outcome.after.get('Verdict')}, judge {outcome.verdict or 'exact'}"
            self.say(f"{said} {outcome.error}".rstrip())

    def _conclude(self, run: Run) -> None:
        block, outcome = run.block, run.outcome
        try:
            outcome.ended, _, _, outcome.problem = block.standing()
            for each in block.attempts():
                what = f"{each.step} {each.state} {each.errorName}".rstrip()
                outcome.attempts[what] = outcome.attempts.get(what, 0) + 1
            outcome.recoveries = block.recoveries()
            verdict = block.settledVerdict(JudgedChain(self.production, destinations=DESTINATIONS), CLEANING_SECONDS)
            outcome.verdict, outcome.judged, outcome.lost = verdict.problems, verdict.toText(), verdict.lost
        except Exception:  # noqa: BLE001 see above
            outcome.error += traceback.format_exc()[-3000:]

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self._started, 1)

    def say(self, line: str) -> None:
        self._say(f"{self.seconds:6.1f} s  {line}")

    # ---- the record

    def record(self, folder: Path) -> None:
        """``chain_faults.json`` with everything and ``chain_faults.md`` with the table."""
        folder.mkdir(parents=True, exist_ok=True)
        outcomes = [asdict(self.outcomes[case.name]) for case in self.cases if case.name in self.outcomes]
        (folder / "chain_faults.json").write_text(json.dumps(outcomes, indent=2, default=str) + "\n")
        (folder / "chain_faults.md").write_text(self.toMarkdown())

    def toMarkdown(self) -> str:
        """Fault, what happened, what the audit and the judge say."""
        lines = ["| fault | end | audit | judge | attempts | what happened | s |", "|---|---|---|---|---|---|---|"]
        for case in self.cases:
            outcome = self.outcomes.get(case.name)
            if outcome:
                lines.append("| " + " | ".join(_cell(text) for text in _row(outcome)) + " |")
        return "\n".join(lines) + "\n"


def _row(outcome: Outcome) -> list[str]:
    audit = outcome.after
    happened = [f"{name}: {value}" for name, value in outcome.facts.items()]
    happened += [f"{number} x {what}" for what, number in outcome.recoveries.items()]
    happened += [outcome.problem] if outcome.problem else []
    happened += [outcome.error.strip().splitlines()[-1]] if outcome.error else []
    judged = outcome.judged.replace("\n", "; ")
    attempts = ", ".join(f"{number} {what}" for what, number in outcome.attempts.items())
    times = (outcome.releasedSeconds, outcome.endedSeconds)
    took = f"{times[1] - times[0]:.0f}" if None not in times else "-"
    said = f"{audit.get('Verdict', 'none')}: {audit.get('Sentence', audit.get('Error', ''))}"
    return [outcome.fault, outcome.ended or "unknown", said, judged, attempts, "; ".join(happened) or "-", took]


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "/").strip() or "-"
