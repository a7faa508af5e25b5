"""Holds back whole steps of chains while a service that they need does not answer, and lets them go on when it does.

A held step is written down first and stopped then; it is made active first and the note is taken back then. So a crash in
between leaves a note and never a stopped transformation that nobody knows of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.ChainDescription import SERVICE_GATES, ChainStep, Gate
from JUNODIRAC.Core.Domain.ChainRecords import ChainState, StepTransformation
from JUNODIRAC.Core.Logic.ChainFeeder import ChainContext
from JUNODIRAC.Core.Logic.ChainPorts import FeedLedger, FeedTransformations, Prober, SiteStorages

ACTOR = "ChainAgent"
#: what is asked beside storage elements, which go by ``storage <SE>``
CATALOGUE, CONDITIONS, STORAGE = "catalogue", "conditions", "storage "
# a service that comes and goes must not start jobs in between
_ANSWERS_IN_A_ROW = 2
_WORDS = {CATALOGUE: "the file catalogue", CONDITIONS: "the conditions service"}
_ACTIVE, _STOPPED = "Active", "Stopped"


class ServiceAnswers:
    """What services said when they were last asked.

    :param prober: asks them
    """

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._inARow: dict[str, int] = {}
        self.failures: dict[str, str] = {}
        self._nextTime: datetime | None = None

    def ask(self, names: Collection[str], now: datetime, periodSeconds: float) -> bool:
        """Ask them, if it is time to.

        :returns: whether they were asked
        """
        if self._nextTime is not None and now < self._nextTime and set(names) <= self._inARow.keys():
            return False
        failures = self._prober(names)
        self.failures = dict(failures)
        self._inARow = {name: 0 if name in failures else self._inARow.get(name, 0) + 1 for name in names}
        self._nextTime = now + timedelta(seconds=periodSeconds)
        return True

    def isBack(self, name: str) -> bool:
        """Whether it has answered often enough to be relied on again."""
        return self._inARow.get(name, 0) >= _ANSWERS_IN_A_ROW

    @property
    def downStorages(self) -> dict[str, str]:
        """Storage elements that do not answer, and why."""
        return {name.removeprefix(STORAGE): why for name, why in self.failures.items() if name.startswith(STORAGE)}


class ChainHolds:
    """Switches the transformations of steps."""

    def __init__(
        self, ledger: FeedLedger, transformations: FeedTransformations, answers: ServiceAnswers, storagesOf: SiteStorages
    ) -> None:
        self._ledger, self._transformations, self._answers = ledger, transformations, answers
        self._storagesOf = storagesOf

    def needs(self, chain: ChainContext) -> set[str]:
        """The services that the steps of a chain need by their gates."""
        return {name for row in chain.steps for group in self._groups(_stepOf(chain, row), row) for name in group}

    def run(self, chain: ChainContext, now: datetime) -> list[str]:
        """Hold and release the steps of a chain by the last answers.

        :returns: what was done, in words
        """
        wanted: list[tuple[StepTransformation, str]] = []
        for row in chain.steps:
            groups = self._groups(_stepOf(chain, row), row)
            why = self._reason(groups)
            if why or (row.held and all(any(map(self._answers.isBack, group)) for group in groups)):
                wanted.append((row, why))
        statuses = self._transformations.statuses([row.transformationID for row, _ in wanted]) if wanted else {}
        news = []
        for row, why in wanted:
            status = statuses.get(row.transformationID, "")
            said = self._hold(chain, row, why, status, now) if why else self._release(chain, row, status)
            if said:
                news.append(said)
        return news

    # ---- steps

    def _hold(self, chain: ChainContext, row: StepTransformation, why: str, status: str, now: datetime) -> str:
        """Stop an active transformation. One that somebody stopped is his."""
        if status != _ACTIVE:
            return ""
        name = _nameOf(chain, row)
        if not row.held:
            self._ledger.recordDecisions(ACTOR, "holdStep", {name: why})
            self._ledger.holdStep(row, why, now)
        self._transformations.setStatus(row.transformationID, _STOPPED)
        return "" if row.held else f"{name} is held: {why}"

    def _release(self, chain: ChainContext, row: StepTransformation, status: str) -> str:
        name = _nameOf(chain, row)
        self._ledger.recordDecisions(
            ACTOR, "releaseStep", {name: f"it is not held any more, what it waited for answers: {row.held}"}
        )
        if status == _STOPPED:
            self._transformations.setStatus(row.transformationID, _ACTIVE)
            # a person who stops a chain says so first and stops its transformations then: he must not be overtaken
            if chain.chainID not in {each.chainID for each in self._ledger.readChains((ChainState.ACTIVE,))}:
                self._transformations.setStatus(row.transformationID, _STOPPED)
        self._ledger.releaseStep(row)
        return f"{name} goes on: what it waited for answers again"

    def _groups(self, step: ChainStep, row: StepTransformation) -> list[tuple[str, ...]]:
        """What must answer: of each group one at least."""
        groups: list[tuple[str, ...]] = []
        if Gate.CATALOGUE in step.gates:
            groups.append((CATALOGUE,))
        if Gate.CONDITIONS in step.gates:
            groups.append((CONDITIONS,))
        if Gate.STORAGE in step.gates:
            storages = [row.se] if row.se else sorted({se for site in step.sites for se in self._storagesOf(site)})
            groups.append(tuple(f"{STORAGE}{se}" for se in storages))
        return [group for group in groups if group]

    def _reason(self, groups: Iterable[Sequence[str]]) -> str:
        """Why a step has to be held, empty if it has not to."""
        failures = self._answers.failures
        down = [group for group in groups if all(name in failures for name in group)]
        return "; ".join(f"{_gateOf(group[0])}: {_words(group, failures)}" for group in down)


def hasServiceGates(step: ChainStep) -> bool:
    """Whether a step depends on services."""
    return bool(step.gates & SERVICE_GATES)


def _stepOf(chain: ChainContext, row: StepTransformation) -> ChainStep:
    return chain.description.steps[row.stepNumber - 1]


def _gateOf(name: str) -> Gate:
    return {CATALOGUE: Gate.CATALOGUE, CONDITIONS: Gate.CONDITIONS}.get(name, Gate.STORAGE)


def _words(group: Sequence[str], failures: Mapping[str, str]) -> str:
    return ", ".join(f"{_WORDS.get(name, name)} does not answer: {failures[name]}" for name in group)


def _nameOf(chain: ChainContext, row: StepTransformation) -> str:
    """As the journal has it."""
    return " ".join(part for part in (chain.production, row.step, row.se) if part)
