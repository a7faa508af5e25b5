"""One round of the recovery of chains: each chain's steps, outputs that nobody registered, leftovers, retirement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, Retirement, StepKind
from JUNODIRAC.Core.Domain.ChainRecords import ChainState, StartedChain, StepTransformation
from JUNODIRAC.Core.Domain.ChainRecoveryRecords import RecoveryState
from JUNODIRAC.Core.Domain.JobRecords import CommittedOutput
from JUNODIRAC.Core.Logic.ChainCleaning import ChainCleaning, CleaningOptions
from JUNODIRAC.Core.Logic.ChainRecovery import ChainRecovery, RecoveryOptions
from JUNODIRAC.Core.Logic.ChainRecoveryPorts import StepOutcome, StepUnderRecovery, TaskFile
from JUNODIRAC.Core.Logic.ChainRetirement import ChainRetirement, RetiringStep
from JUNODIRAC.Core.Logic.CopyRecovery import CopiesUnderRecovery, CopyRecovery, WantedCopy
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure
from JUNODIRAC.ProductionSystem.Client.ChainHands import ChainHands
from JUNODIRAC.ProductionSystem.Client.ChainManagerClient import ChainManagerClient
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.ProductionSystem.Client.ChainRecoveryFacts import ChainRecoveryFacts
from JUNODIRAC.ProductionSystem.Client.OutputRegistrar import OutputRegistrar
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise
from JUNODIRAC.RawDataSystem.Client.DiracHands import DiracHands
from JUNODIRAC.RawDataSystem.Client.TransferFactsReader import TransferFactsReader

SERVICE = "Production/ChainManager"
_COPIES_AT_ONCE = 200


@dataclass(frozen=True)
class RoundOptions:
    """How it is done.

    :param filesPerStep: inputs of one step in one round
    :param registerAfterSeconds: an output that is committed for so long is registered here
    :param copyAttempts: of one file to one destination
    """

    recovery: RecoveryOptions = RecoveryOptions()  # noqa: RUF009 frozen
    cleaning: CleaningOptions = CleaningOptions()  # noqa: RUF009 frozen
    filesPerStep: int = 20_000
    outputsPerRound: int = 500
    registerAfterSeconds: float = 300.0
    copyAttempts: int = 5
    copyStuckSeconds: float = 3600.0
    timeScale: float = 1.0


@dataclass
class RoundTools:
    """With what it is done."""

    facts: ChainRecoveryFacts
    hands: ChainHands
    copyFacts: TransferFactsReader
    copyHands: DiracHands
    registrar: OutputRegistrar
    chains: Any = field(default_factory=ChainManagerClient)


class ChainRecoveryRound:
    """What fails for one step or one part holds up no other: it is told of, and tried again in the next round."""

    def __init__(self, ledger: ChainLedger, tools: RoundTools, options: RoundOptions, log: Any) -> None:
        self._ledger, self._tools, self._options, self._log = ledger, tools, options, log
        self._isDry = options.recovery.isDry
        self.counts: Counter[str] = Counter()

    def run(self, now: datetime, isInTime: Callable[[], bool], first: str = "") -> str:
        """All parts, as long as there is time.

        :param first: the part with which it begins: that for which the last round had no time
        :returns: the part for which there was no time; empty: all is done
        """
        parts: list[tuple[str, Callable[[], None]]] = []
        for chain, description in self._chains():
            steps = self._ledger.chainSteps(chain.chainID)
            parts += [
                (f"{chain.production} {each.step} {each.se}".strip(), self._partOf(chain, description, each, now))
                for each in steps
            ]
            parts += [(f"{chain.production} {each.step}", self._retiring(each)) for each in retiringSteps(chain, description)]
        parts += [
            ("outputs", self._registerLeft),
            ("lost jobs", lambda: self._bury(now)),
            ("leftovers", lambda: self._clean(now)),
        ]
        parts += [("solved", self._solveDerived), ("retirement", self._removeRetired)]
        begin = next((index for index, (name, _) in enumerate(parts) if name == first), 0)
        for name, part in [*parts[begin:], *parts[:begin]]:
            if not isInTime():
                self._log.info("The next round begins with", name)
                return name
            try:
                part()
            except (TemporaryFailure, Refusal) as error:
                self.counts["failed"] += 1
                self._log.error(f"Recovery of {name}:", str(error))
        return ""

    def _chains(self) -> Iterator[tuple[StartedChain, ChainDescription]]:
        for chain in self._ledger.readChains([ChainState.ACTIVE, ChainState.STOPPED]):
            yield chain, readChain(chain.description)

    # ---- steps

    def _partOf(
        self, chain: StartedChain, description: ChainDescription, made: StepTransformation, now: datetime
    ) -> Callable[[], None]:
        step = description.steps[made.stepNumber - 1]
        source = description.source(step)
        number = source.number if source else None
        if step.kind is StepKind.REPLICATE:
            copies = CopiesUnderRecovery(
                chain.chainID, chain.production, step.number, step.name, number, made.se, made.transformationID
            )
            return lambda: self._recoverCopies(copies, now)
        isHeld = bool(made.held) or chain.state is not ChainState.ACTIVE
        inputs = StepUnderRecovery(chain.chainID, chain.production, step.number, step.name, made.transformationID, number, isHeld)
        return lambda: self._recoverInputs(inputs, now)

    def _recoverInputs(self, step: StepUnderRecovery, now: datetime) -> None:
        files = {each.lfn: each for each in self._tools.facts.unsettledFiles(step.transformationID, self._options.filesPerStep)}
        named = [lfn for lfn in self._ledger.namedByAudits(step.chainID, step.step) if lfn not in files]
        files.update((each.lfn, each) for each in self._tools.facts.filesNamed(step.transformationID, named))
        if not files:
            return
        recovery = ChainRecovery(self._ledger, self._tools.facts, self._tools.hands, self._options.recovery)
        self._told(f"{step.production} {step.step}", recovery.recover(step, list(files.values()), now))

    def _recoverCopies(self, step: CopiesUnderRecovery, now: datetime) -> None:
        self._solveCopies(step)
        files = self._tools.facts.unsettledFiles(step.transformationID, self._options.filesPerStep)
        troubled = [each for each in files if each.status != "Assigned" or self._isStuck(each, now)][:_COPIES_AT_ONCE]
        if not troubled or step.sourceNumber is None:
            return
        known = self._ledger.wantedCopies(step.chainID, step.sourceNumber, [each.lfn for each in troubled])
        ids = [productID for productID, *_ in known.values()]
        recoveries = self._ledger.readRecoveries(step.chainID, step.stepNumber, step.se, ids)
        wanted = [
            WantedCopy(lfn, productID, blockID, sizeBytes, checksum, recoveries.get(productID))
            for lfn, (productID, blockID, sizeBytes, checksum) in known.items()
        ]
        recovery = CopyRecovery(
            self._ledger,
            self._tools.copyFacts,
            self._tools.copyHands,
            lambda transformationID, lfns: self._tools.hands.setStatus(transformationID, "Problematic", lfns),
            self._options.copyAttempts,
            self._options.copyStuckSeconds,
            self._options.timeScale,
            self._isDry,
        )
        self._told(f"{step.production} {step.step} {step.se}", recovery.recover(step, wanted, now))

    def _solveCopies(self, step: CopiesUnderRecovery) -> None:
        """What was written down of copies that are there by now is over."""
        known = self._ledger.openCopies(step.chainID, step.stepNumber, step.se)
        if not known or self._isDry:
            return
        told = self._tools.facts.filesNamed(step.transformationID, list(known))
        there = [known[each.lfn] for each in told if each.status == "Processed"]
        self._ledger.recordRecoveries([replace(each, state=RecoveryState.SOLVED, nextTime=None) for each in there])

    def _isStuck(self, file: TaskFile, now: datetime) -> bool:
        return file.changedTime is None or (now - file.changedTime).total_seconds() > self._options.copyStuckSeconds

    def _told(self, where: str, outcome: StepOutcome) -> None:
        self.counts.update(outcome.actions)
        did = {name: count for name, count in outcome.actions.items() if name not in ("Settled", "Wait") and count}
        if did:
            self._log.info(f"{where}:", ", ".join(f"{name} {count}" for name, count in sorted(did.items())))
        for failure in outcome.failures:
            self._log.warn(f"{where}:", failure)

    # ---- what jobs left

    def _registerLeft(self) -> None:
        answer = self._tools.chains.listUnregistered(self._options.registerAfterSeconds, self._options.outputsPerRound)
        left = [CommittedOutput.fromAnswer(each) for each in valueOrRaise(answer, SERVICE)]
        if not left or self._isDry:
            self.counts["Unregistered"] += len(left)
            return
        self._ledger.recordDecisions(
            "ChainRecoveryAgent", "chainRegister", {each.lfn: "its job had not registered it" for each in left}
        )
        result = self._tools.registrar.register(left)
        self.counts["Registered"] += len(left) - len(result.failed)
        for lfn, why in result.failed.items():
            self._log.error(f"Output {lfn} could not be registered:", why)

    def _solveDerived(self) -> None:
        if not self._isDry:
            self.counts["Solved"] += self._ledger.solveDerived()

    def _bury(self, now: datetime) -> None:
        self.counts["Bury"] += self._cleaning().buryLost(now)

    def _clean(self, now: datetime) -> None:
        looked, failures = self._cleaning().clean(now)
        self.counts["Looked for leftovers"] += looked
        for failure in failures:
            self._log.warn("Leftovers:", failure)

    def _cleaning(self) -> ChainCleaning:
        return ChainCleaning(self._ledger, self._tools.facts, self._tools.hands, self._options.cleaning)

    # ---- retirement

    def _retiring(self, step: RetiringStep) -> Callable[[], None]:
        def mark() -> None:
            self.counts["Retire"] += self._retirement().mark(step, self._options.outputsPerRound, self._isDry)

        return mark

    def _removeRetired(self) -> None:
        removed, failures = self._retirement().remove(self._options.outputsPerRound, self._isDry)
        self.counts["Removed"] += removed
        for failure in failures:
            self._log.warn("Retirement:", failure)

    def _retirement(self) -> ChainRetirement:
        return ChainRetirement(self._ledger, self._tools.facts, self._tools.hands)


def retiringSteps(chain: StartedChain, description: ChainDescription) -> list[RetiringStep]:
    """The merges whose inputs are removed, and who else takes these."""
    found = []
    for step in description.steps:
        source = description.source(step)
        if step.kind is not StepKind.MERGE or step.retirement is not Retirement.REMOVE or source is None:
            continue
        others: Sequence[ChainStep] = [each for each in description.takers(source) if each is not step]
        makers = [each.number for each in others if each.kind is not StepKind.REPLICATE]
        destinations = [se for each in others for se in each.destinations]
        found.append(RetiringStep(chain.chainID, chain.production, step.number, step.name, source.number, makers, destinations))
    return found
