"""Flagging runs: which runs and words are taken, what a flag does to chains, and the command."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, Gate, StepInput, StepKind
from JUNODIRAC.Core.Domain.ChainRecords import ChainState
from JUNODIRAC.Core.Domain.RunQuality import MOST_RUNS, BadRuns, RunFlag, RunStep, readRuns, runsText
from JUNODIRAC.ProductionSystem.Client.RunDesk import RunDesk, effectOf
from JUNODIRAC.ProductionSystem.scripts import dirac_juno_run
from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

pytestmark = pytest.mark.unit
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def step(*gates: Gate, qualities: tuple[str, ...] = ()) -> ChainStep:
    taken = StepInput("RTRaw", qualities=qualities)
    return ChainStep(1, "rawrec", StepKind.PROCESS, taken, gates=frozenset(gates))


class Ledger:
    """Run 7 was bad, run 8 good; 7 and 9 have files in two chains."""

    def __init__(self):
        self.flags = {7: "bad", 8: "good"}
        self.written = []

    def readChains(self, states=(), name=""):
        assert states == (ChainState.ACTIVE, ChainState.STOPPED)
        return [SimpleNamespace(production=name, description=name) for name in ("gated", "free")]

    def runQualities(self, runs):
        return {run: self.flags[run] for run in runs if run in self.flags}

    def knownRuns(self, runs):
        return set(runs) & {7, 8, 9}

    def runSteps(self, runs):
        files = {7: (10, 4), 9: (5, 0)}
        return [RunStep(name, 1, run, *files[run]) for name in ("gated", "free") for run in runs if run in files]

    def flagRuns(self, runs, quality, actor, reason, now):
        self.written.append((list(runs), quality, actor, reason, now))

    def readRunFlags(self, quality="", runs=(), limit=10_000):
        return [RunFlag(run, word, NOW, "prod", "why") for run, word in self.flags.items() if quality in ("", word)]


def reader(text: str) -> ChainDescription:
    return ChainDescription(text, "1", text, (step(Gate.RUN_GOOD) if text == "gated" else step(),))


@pytest.fixture
def desk() -> RunDesk:
    return RunDesk(Ledger(), ["noisy"], reader)


@pytest.mark.parametrize(("words", "runs"), [(["7"], [7]), (["9", "7-8", "8"], [7, 8, 9]), ([" 5-5 "], [5]), (["0007"], [7])])
def test_runs_are_numbers_and_ranges_in_any_order(words, runs):
    assert readRuns(words) == runs


@pytest.mark.parametrize("words", [[], ["x"], ["7,8"], ["-7"], ["8-7"], ["1-999999"], ["٣"], [f"1-{MOST_RUNS}", "99999999"]])
def test_what_is_no_run_is_refused_and_says_why(words):
    with pytest.raises(BadRuns) as refused:
        readRuns(words)
    assert "write" in str(refused.value) or "fewer" in str(refused.value)


def test_runs_are_shown_as_they_are_typed():
    assert runsText([7, 8, 9, 11, 20, 21]) == "7-9, 11, 20-21"


def test_a_plan_says_what_changes_and_which_files_of_which_chains_it_sets_free(desk):
    plan = desk.plan(["7-10"], "good")
    assert plan["Changed"] == [7, 9, 10]
    assert plan["Before"] == {"bad": 1, "good": 1}
    assert plan["Unknown"] == [10]
    assert plan["Chains"] == [{"Production": "gated", "Step": "rawrec", "Runs": 2, "Files": 15, "Given": 4, "Effect": "Free"}]
    text = dirac_juno_run.planText(plan, "would flag")
    assert "would flag 4 run(s) good: 7-10" in text
    assert "chain gated, step rawrec: 11 files go in that waited, or will when they come; 4 went in before and stay" in text


def test_a_word_that_nobody_knows_is_refused_and_changes_nothing(desk):
    with pytest.raises(BadRuns, match="take one of good, bad, unknown, noisy"):
        desk.flag(["7"], "goood", "prod", "why", NOW)
    assert desk._ledger.written == []


def test_a_flag_is_written_with_who_and_why(desk):
    desk.flag(["7-8"], "noisy", "prod", "why", NOW)
    assert desk._ledger.written == [([7, 8], "noisy", "prod", "why", NOW)]


@pytest.mark.parametrize(
    ("one", "quality", "effect"),
    [
        (step(Gate.RUN_GOOD), "good", "Free"),
        (step(Gate.RUN_GOOD), "bad", "Wait"),
        (step(qualities=("fair",)), "fair", "Free"),
        (step(qualities=("fair",)), "good", "Leave"),
        (step(Gate.RUN_GOOD, qualities=("fair", "good")), "fair", "Wait"),
    ],
)
def test_what_a_flag_does_to_files_that_wait(one, quality, effect):
    assert effectOf(one, quality) == effect


class Command:
    """A command line that agrees or not."""

    def __init__(self, *arguments, agrees=True, **switches):
        self.arguments, self.switches, self.agrees = list(arguments), switches, agrees
        self.out, self.said, self.isTerminal = [], [], False

    @property
    def wantsJSON(self):
        return "json" in self.switches

    def switch(self, name, default=""):
        return self.switches.get(name, default)

    needed = switch

    def confirm(self, question):
        if not self.agrees:
            raise CommandError("nothing was changed")

    def warn(self, text):
        self.said.append(text)

    def write(self, text):
        self.out.append(text)

    writeJSON = write


@pytest.fixture
def calls(monkeypatch, desk):
    made = []

    def call(method, *args):
        made.append(method)
        return {
            "getRunFlagPlan": lambda: desk.plan(*args),
            "flagRuns": lambda: desk.flag(args[0], args[1], "prod", args[2], NOW),
            "listRunFlags": lambda: desk.listAll(*args),
        }[method]()

    monkeypatch.setattr("JUNODIRAC.ProductionSystem.Client.ChainCommand.callChains", call)
    return made


def test_nothing_is_flagged_without_a_yes(calls):
    with pytest.raises(CommandError):
        dirac_juno_run.runVerb(Command("flag", "7", agrees=False, quality="good", reason="why"))
    assert calls == ["getRunFlagPlan"]


def test_a_flag_is_shown_before_and_after(calls):
    command = Command("flag", "7", quality="good", reason="why")
    assert dirac_juno_run.runVerb(command) == 0
    assert calls == ["getRunFlagPlan", "flagRuns"]
    assert command.said[0].startswith("would flag 1 run(s) good: 7")
    assert command.out[0].startswith("flagged 1 run(s) good: 7")


def test_the_list_has_a_line_for_each_run_and_is_json_when_asked(calls):
    command = Command("list", quality="bad")
    dirac_juno_run.runVerb(command)
    assert "7  bad" in command.out[0]
    asJSON = Command("list", json="")
    dirac_juno_run.runVerb(asJSON)
    assert [each["Run"] for each in asJSON.out[0]] == [7, 8]
