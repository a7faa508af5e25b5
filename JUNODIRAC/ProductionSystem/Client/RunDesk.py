"""What people say of runs, and what that does to chains."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.ChainBlockFacts import ledgerSteps
from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, Gate
from JUNODIRAC.Core.Domain.ChainRecords import ChainState, StartedChain
from JUNODIRAC.Core.Domain.RunQuality import GOOD, RunFlag, RunStep, checkQuality, readRuns
from JUNODIRAC.Core.Utilities.Moment import momentText


class Ledger(Protocol):
    """See :class:`RunQualities` and :class:`ChainBook`."""

    def readChains(self, states: Sequence[ChainState] = (), name: str = "") -> list[StartedChain]: ...
    def runQualities(self, runs: Collection[int]) -> dict[int, str]: ...
    def flagRuns(self, runs: Collection[int], quality: str, actor: str, reason: str, now: datetime) -> None: ...
    def readRunFlags(self, quality: str = "", runs: Collection[int] = (), limit: int = 10_000) -> list[RunFlag]: ...
    def runSteps(self, runs: Collection[int]) -> list[RunStep]: ...
    def knownRuns(self, runs: Collection[int]) -> set[int]: ...


class RunDesk:
    """Works on the ledger of chains.

    :param others: words for qualities that the configuration adds
    :param reader: of descriptions of chains
    """

    def __init__(self, ledger: Ledger, others: Sequence[str], reader: Callable[[str], ChainDescription]) -> None:
        self._ledger, self._others, self._reader = ledger, others, reader

    def plan(self, words: Sequence[str], quality: str) -> dict[str, Any]:
        """What a flag would change.

        :param words: runs and ranges of runs
        :returns: Quality, Runs, Changed (runs of which something else was said), Before (how many were flagged with which word),
            Unknown (runs without a file), Chains (Production, Step, Runs, Files, Given, Effect: of files that were not given)
        :raises BadRuns: if the runs or the word cannot be taken
        """
        checkQuality(quality, self._others)
        runs = readRuns(words)
        flagged = self._ledger.runQualities(runs)
        before: dict[str, int] = {}
        for word in flagged.values():
            before[word] = before.get(word, 0) + 1
        changed = [run for run in runs if flagged.get(run) != quality]
        return {
            "Quality": quality,
            "Runs": runs,
            "Changed": changed,
            "Before": before,
            "Unknown": sorted(set(runs) - self._ledger.knownRuns(runs)),
            "Chains": self._effects(changed, quality),
        }

    def flag(self, words: Sequence[str], quality: str, actor: str, reason: str, now: datetime) -> dict[str, Any]:
        """Say it.

        :returns: see :meth:`plan`
        """
        plan = self.plan(words, quality)
        self._ledger.flagRuns(plan["Runs"], quality, actor, reason, now)
        return plan

    def listAll(self, quality: str, words: Sequence[str]) -> list[dict[str, Any]]:
        """What was said: Run, Quality, Time, Actor, Reason each."""
        flags = self._ledger.readRunFlags(quality, readRuns(words) if words else ())
        return [
            {
                "Run": flag.run,
                "Quality": flag.quality,
                "Time": momentText(flag.time),
                "Actor": flag.actor,
                "Reason": flag.reason,
            }
            for flag in flags
        ]

    # ---- steps

    def _effects(self, runs: Sequence[int], quality: str) -> list[dict[str, Any]]:
        """What happens to files of these runs in the steps of chains to which a flag means something."""
        chains = {chain.production: chain for chain in self._ledger.readChains((ChainState.ACTIVE, ChainState.STOPPED))}
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for each in self._ledger.runSteps(runs) if runs else ():
            step = self._stepOf(chains.get(each.production), each.step)
            if step is None:
                continue
            known = found.setdefault(
                (each.production, each.step),
                {"Production": each.production, "Step": step.name, "Runs": 0, "Files": 0, "Given": 0},
            )
            known |= {"Runs": known["Runs"] + 1, "Files": known["Files"] + each.files, "Given": known["Given"] + each.given}
            known["Effect"] = effectOf(step, quality)
        return list(found.values())

    def _stepOf(self, chain: StartedChain | None, number: int) -> ChainStep | None:
        """A step that takes files of the ledger and asks for the quality of runs."""
        steps = ledgerSteps(self._reader(chain.description)) if chain else ()
        wanted = [step for step in steps if step.number == number and (step.input.qualities or Gate.RUN_GOOD in step.gates)]
        return wanted[0] if wanted else None


def effectOf(step: ChainStep, quality: str) -> str:
    """What a flag does to files that a step was not given: Free (they may go in), Wait, or Leave (they are not wanted)."""
    if step.input.qualities and quality not in step.input.qualities:
        return "Leave"
    return "Free" if Gate.RUN_GOOD not in step.gates or quality == GOOD else "Wait"
