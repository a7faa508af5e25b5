"""The fault matrix: a block for each case; all run at the same time, those that stop a process one after the other."""

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
from junotestbed.blockfaults import FaultedBlock, NotReached, Watch, verdictOf
from junotestbed.blockjudge import BlockJudge
from junotestbed.observe import DESTINATIONS, Database

#: how a block has to end
DONE, PROBLEM = "Done", "Problem"
# of the files' names
FIRST_RUN = 60_000


@dataclass
class Outcome:
    """What became of one case.

    :param ended: state of the block at the end
    :param problem: its problem while the fault stood or at the end, in the block's own words
    :param why: what dirac-juno-why said, by moment ("during", "after")
    :param recoverSeconds: from the end of the fault (or its moment) to Done, or to the Problem that says it
    :param siteSeconds: from the announcement to Validated, by storage element
    :param verdict: differences that an independent comparison found at the end
    :param events: changes of state in order, as words
    """

    name: str
    fault: str
    expected: str
    ended: str = ""
    problem: str = ""
    error: str = ""
    why: dict[str, dict] = field(default_factory=dict)
    recoverSeconds: float | None = None
    siteSeconds: dict[str, float | None] = field(default_factory=dict)
    verdict: dict[str, list[str]] = field(default_factory=dict)
    knownBad: list[str] = field(default_factory=list)
    repairs: dict[str, int] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    day: str = ""

    def said(self, moment: str) -> str:
        """What the command gave as the first thing that does not hold, as text to search in."""
        return json.dumps(verdictOf(self.why.get(moment, {})))


@dataclass(frozen=True)
class Case:
    """:param turn: it stops a process of everybody's and needs its own turn"""

    name: str
    fault: str
    ends: str
    act: Callable[[Run], None]
    turn: bool = False


CASES: dict[str, Case] = {}


def case(name: str, fault: str, ends: str = DONE, turn: bool = False) -> Callable:
    """Enters a function into the matrix."""

    def enter(act: Callable[[Run], None]) -> Callable[[Run], None]:
        CASES[name] = Case(name, fault, ends, act, turn)
        return act

    return enter


class Run:
    """One case while it runs."""

    def __init__(self, case: Case, block: FaultedBlock) -> None:
        self.case, self.block = case, block
        # set from the beginning where nobody has to wait for it
        self.turnEnded = threading.Event()
        if not case.turn:
            self.turnEnded.set()
        self.outcome = Outcome(case.name, case.fault, case.ends, day=block.day)
        self.faultEndedAt: float | None = None

    def over(self) -> None:
        """The fault has ended (or happened), from now on it recovers."""
        self.faultEndedAt = time.time()

    def ask(self, moment: str, *words: str, se: str = "", seconds: float = 150) -> None:
        """Ask dirac-juno-why, of one site if it is named, until it says one of the words."""
        self.outcome.why[moment] = self.block.whyUntil(words, seconds, se) if words else self.block.why(se)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else stops a process before its end; what follows may overlap with the next case."""
        yield
        self.turnEnded.set()


class Matrix:
    """Runs cases and keeps what became of them."""

    def __init__(self, testbed, cases: Sequence[Case], say: Callable[[str], None] = print) -> None:
        self.testbed, self.cases, self._say = testbed, cases, say
        self.database = Database(testbed)
        self.outcomes: dict[str, Outcome] = {}
        self._started = time.monotonic()

    def run(self) -> dict[str, Outcome]:
        """Those that run together first, so that a stopped process disturbs only those that want it."""
        days = freeBlocks(self.database, len(self.cases))
        with Watch(self.database) as watch:
            blocks = [FaultedBlock(self.testbed, watch, day, FIRST_RUN + number) for number, day in enumerate(days)]
            pairs = list(zip(self.cases, blocks, strict=True))
            for turns in (False, True):
                self._runTogether([Run(*pair) for pair in pairs if pair[0].turn is turns])
        return self.outcomes

    def _runTogether(self, runs: Sequence[Run]) -> None:
        threads = [threading.Thread(target=self._runCase, args=(run,), name=run.outcome.name, daemon=True) for run in runs]
        for thread, run in zip(threads, runs, strict=True):
            thread.start()
            run.turnEnded.wait()
        for thread in threads:
            thread.join()

    def _runCase(self, run: Run) -> None:
        outcome = self.outcomes[run.outcome.name] = run.outcome
        try:
            run.case.act(run)
        except NotReached as late:
            outcome.error = str(late)
        except Exception:  # noqa: BLE001 whatever happens in one case, the others go on and this one is reported
            outcome.error = traceback.format_exc()[-3000:]
        run.turnEnded.set()
        try:
            self._conclude(run)
        except Exception:  # noqa: BLE001 see above
            outcome.error += traceback.format_exc()[-3000:]
        seconds = time.monotonic() - self._started
        wrong = outcome.error or outcome.verdict
        self._say(f"{seconds:6.1f} s  {outcome.name}: {outcome.ended} {outcome.problem} {wrong or ''}".rstrip())

    def _conclude(self, run: Run) -> None:
        block, outcome = run.block, run.outcome
        standing = block.watch.of(block.day)
        outcome.ended = standing.state
        outcome.problem = outcome.problem or standing.problem
        events = block.events()
        last = [at for se, _, new, at in events if not se and new == outcome.ended]
        start = run.faultEndedAt or block.announcedAt
        outcome.recoverSeconds = round(last[-1] - start, 1) if last and start else None
        outcome.siteSeconds = {se: block.secondsTo("Validated", se, last=True) for se in DESTINATIONS}
        first = block.announcedAt
        outcome.events = [f"{at - first:.0f} s {se or 'block'} {old} > {new}" for se, old, new, at in events]
        outcome.repairs, outcome.facts = block.repairs(), block.facts
        verdict = BlockJudge(block).judge()
        outcome.verdict, outcome.knownBad = verdict.problems, verdict.knownBad
        if "after" not in outcome.why:
            run.ask("after")

    # ---- the record

    def record(self, folder: Path) -> None:
        """``block_faults.json`` with everything and ``block_faults.md`` with the table."""
        folder.mkdir(parents=True, exist_ok=True)
        outcomes = [asdict(self.outcomes[case.name]) for case in self.cases if case.name in self.outcomes]
        (folder / "block_faults.json").write_text(json.dumps(outcomes, indent=2, default=str) + "\n")
        (folder / "block_faults.md").write_text(self.toMarkdown())

    def toMarkdown(self) -> str:
        """Fault, what happened, time to recover, and the time to Validated at each site."""
        sites = [se.split("-")[0] for se in DESTINATIONS]
        lines = [
            f"| fault | end | what happened | recovered after (s) | Validated after (s) at {', '.join(sites)} | why, meanwhile |",
            "|---|---|---|---|---|---|",
        ]
        for case in self.cases:
            outcome = self.outcomes.get(case.name)
            if outcome:
                lines.append("| " + " | ".join(_cell(text) for text in _row(outcome)) + " |")
        return "\n".join(lines) + "\n"


def _row(outcome: Outcome) -> list[str]:
    # what a person has to put right is not there yet
    wrong = outcome.verdict if outcome.expected == DONE else outcome.verdict.get("wrong")
    isRight = outcome.ended == outcome.expected and not wrong and not outcome.error
    end = outcome.ended if isRight else f"**{outcome.ended or 'unknown'}**"
    happened = [f"{number} x {what}" for what, number in outcome.repairs.items()]
    happened += [f"{name}: {value}" for name, value in outcome.facts.items()]
    happened += [f"known as bad: {name}" for name in outcome.knownBad]
    happened += [outcome.problem] if outcome.problem else []
    happened += [f"{len(names)} {kind}" for kind, names in outcome.verdict.items()]
    happened += [outcome.error.strip().splitlines()[-1]] if outcome.error else []
    seconds = " / ".join("-" if s is None else f"{s:.0f}" for s in outcome.siteSeconds.values())
    recovered = "-" if outcome.recoverSeconds is None else f"{outcome.recoverSeconds:.0f}"
    return [outcome.fault, end, "; ".join(happened) or "-", recovered, seconds, whyInWords(outcome.why.get("during", {}))]


def whyInWords(answer: dict) -> str:
    """The sentence of an answer that tells what does not hold, and who has to act."""
    verdict = verdictOf(answer)
    at = f" at {verdict['SE']}" if verdict.get("SE") else ""
    return (
        f"{verdict.get('Code')}{at}: {verdict.get('Text')} [{verdict.get('Actor')}]"
        if verdict.get("Code")
        else str(verdict or "-")
    )


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "/").strip() or "-"
