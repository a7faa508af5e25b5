"""Gives the files of blocks to the steps of a chain, each once, as soon as the gates let them through.

Cheap where nothing changed: the files of a block are looked at again when the numbers or states change on which the gates
depend, and now and then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.ChainBlockFacts import FedBlock, ledgerSteps
from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, Gate
from JUNODIRAC.Core.Domain.ChainInputs import ChainFile, Wait, WaitKind, isWanted, qualityWait, siteWait, waitsText
from JUNODIRAC.Core.Domain.ChainRecords import StepTransformation
from JUNODIRAC.Core.Logic.ChainPorts import FeedCatalogue, FeedLedger, FeedTransformations, SiteStorages

FILES_PER_CALL = 5000


class FeedFailure(Exception):
    """Files could not be given to a step; they are given again later.

    :param failed: why, by LFN
    """

    def __init__(self, step: str, failed: Mapping[str, str]) -> None:
        lfn, why = min(failed.items())
        super().__init__(f"{len(failed)} file(s) were not attached to step {step}, for example {lfn}: {why}")


@dataclass(frozen=True)
class ChainContext:
    """A chain in this cycle.

    :param steps: its transformations
    :param down: storage elements that do not answer, and why
    """

    chainID: int
    production: str
    description: ChainDescription
    steps: Sequence[StepTransformation]
    down: Mapping[str, str] = field(default_factory=dict)

    def transformationIDs(self, stepNumber: int) -> list[int]:
        """Those of a step."""
        return [each.transformationID for each in self.steps if each.stepNumber == stepNumber]


@dataclass
class BlockLook:
    """What the last look at a block found.

    :param signature: what it depended on
    :param waiting: files that wait, by number of the step
    """

    signature: tuple[object, ...]
    time: datetime
    waiting: dict[int, int]
    attached: int


class ChainFeeder:
    """Remembers the last look at each block; after a restart each is looked at once."""

    def __init__(
        self, ledger: FeedLedger, catalogue: FeedCatalogue, transformations: FeedTransformations, storagesOf: SiteStorages
    ) -> None:
        self._ledger, self._catalogue, self._transformations = ledger, catalogue, transformations
        self._storagesOf = storagesOf
        self._looks: dict[tuple[int, int], BlockLook] = {}
        self._quality: tuple[str, dict[int, str]] = ("", {})

    def lookOf(self, block: FedBlock) -> BlockLook | None:
        """The last good look at a block."""
        return self._looks.get(block.key)

    def isDue(self, chain: ChainContext, block: FedBlock, registered: int, now: datetime, refreshSeconds: float) -> bool:
        """Whether something changed since the last look, or it was long ago."""
        look = self._looks.get(block.key)
        if look is None or now - look.time >= timedelta(seconds=refreshSeconds):
            return True
        return look.signature != self._signature(chain, block, registered)

    def feed(self, chain: ChainContext, block: FedBlock, registered: int, now: datetime) -> int:
        """Give the steps what may go in, and write down what waits.

        :param registered: number of registered files of the block, counted before
        :returns: how many files were given
        :raises FeedFailure: if the Transformation System did not take files that the ledger says it has
        """
        signature = self._signature(chain, block, registered)
        waits: Counter[tuple[str, Wait]] = Counter()
        waiting: dict[int, int] = {}
        given = 0
        failures: list[FeedFailure] = []
        for step in ledgerSteps(chain.description):
            if step.input.typeName != block.typeName:
                continue
            passed, kept = self._sort(chain, step, block)
            given += len(passed)
            failed = self._give(chain, step, block, passed, now)
            failures += [FeedFailure(step.name, failed)] if failed else []
            waits.update({(step.name, wait): count for wait, count in kept.items()})
            waiting[step.number] = sum(kept.values())
        attached = self._attached(block)
        text = waitsText(waits, block.name)
        self._ledger.saveBlockLook(*block.key, sum(waiting.values()) + attached, attached, text, now)
        if failures:
            raise failures[0]
        self._looks[block.key] = BlockLook(signature, now, waiting, attached)
        return given

    def forget(self, keep: set[tuple[int, int]]) -> None:
        """Forget the looks at all other blocks."""
        self._looks = {key: look for key, look in self._looks.items() if key in keep}

    # ---- steps

    def _sort(self, chain: ChainContext, step: ChainStep, block: FedBlock) -> tuple[list[ChainFile], Counter[Wait]]:
        """Those of the files that were not given to a step yet that may go in, and why the others wait."""
        kept: Counter[Wait] = Counter()
        candidates = []
        files = self._ledger.unattachedFiles(chain.chainID, step.number, block.blockID)
        qualities = self._qualities({file.run for file in files if file.run is not None})
        for file in files:
            quality = qualities.get(file.run, "") if file.run is not None else ""
            if not isWanted(step.input, file, quality):
                continue
            wait = qualityWait(step, file, quality)
            if wait:
                kept[wait] += 1
            else:
                candidates.append(file)
        passed = self._atSites(chain, step, block, candidates, kept)
        return passed, kept

    def _atSites(
        self, chain: ChainContext, step: ChainStep, block: FedBlock, files: list[ChainFile], kept: Counter[Wait]
    ) -> list[ChainFile]:
        """Those of the files that are where the step can read them. The catalogue is asked only where that matters."""
        closed = self._closedStorages(chain, step, block)
        shut = [wait for wait in closed.values() if wait is not None]
        if files and len(shut) == len(closed):
            kept[_joined(shut)] += len(files)
            return []
        passed = []
        replicas = self._catalogue.replicasOf([file.lfn for file in files]) if files else {}
        for file in files:
            wait = siteWait(closed, replicas.get(file.lfn, ()))
            if wait:
                kept[wait] += 1
            else:
                passed.append(file)
        return passed

    def _closedStorages(self, chain: ChainContext, step: ChainStep, block: FedBlock) -> dict[str, Wait | None]:
        """Why files at each storage element of the step's sites may not go in; None where they may."""
        stands = {site.se: site for site in block.sites}
        closed: dict[str, Wait | None] = {}
        for se in sorted({se for site in step.sites for se in self._storagesOf(site)}):
            wait = None
            if Gate.STORAGE in step.gates and se in chain.down:
                wait = Wait(WaitKind.STORAGE_DOWN, se, f" ({chain.down[se]})")
            elif Gate.BLOCK_VALIDATED in step.gates:
                # the storage where files arrive is no destination: there the block itself stands for it
                isValidated, state = (
                    (stands[se].isValidated, stands[se].state) if se in stands else (block.isValidated, block.blockState)
                )
                wait = None if isValidated else Wait(WaitKind.NOT_VALIDATED, se, f" (it is {state} there)")
            closed[se] = wait
        return closed

    def _give(
        self, chain: ChainContext, step: ChainStep, block: FedBlock, files: list[ChainFile], now: datetime
    ) -> dict[str, str]:
        """First the ledger, then the Transformation System: a crash in between is found by the comparison of their numbers."""
        failed: dict[str, str] = {}
        ordered = sorted(files, key=lambda file: file.fileID)
        for start in range(0, len(ordered), FILES_PER_CALL):
            chunk = ordered[start : start + FILES_PER_CALL]
            self._ledger.recordChainInputs(chain.chainID, step.number, block.blockID, [file.fileID for file in chunk], now)
            _, notTaken = self._transformations.attach(chain.transformationIDs(step.number), [file.lfn for file in chunk])
            failed.update(notTaken)
        return failed

    # ---- details

    def _attached(self, block: FedBlock) -> int:
        return sum(self._ledger.inputCounts(block.chainID, [block.blockID]).get(block.blockID, {}).values())

    def _signature(self, chain: ChainContext, block: FedBlock, registered: int) -> tuple[object, ...]:
        return (
            chain.description.text,
            block.blockState,
            registered,
            tuple((site.se, site.state, site.doneFiles) for site in block.sites),
            tuple(sorted(chain.down)),
            self._quality[0],
        )

    def noteQualities(self) -> None:
        """Once a cycle: whether runs were flagged since the last one."""
        revision = self._ledger.qualityRevision()
        if revision != self._quality[0]:
            self._quality = (revision, {})

    def _qualities(self, runs: set[int]) -> dict[int, str]:
        known = self._quality[1]
        new = runs - known.keys()
        if new:
            known |= dict.fromkeys(new, "") | self._ledger.runQualities(new)
        return known


def _joined(waits: list[Wait]) -> Wait:
    """One wait for all storage elements, of the kind that most have."""
    kind = Counter(wait.kind for wait in waits).most_common(1)[0][0]
    same = [wait for wait in waits if wait.kind is kind]
    return Wait(kind, " or ".join(wait.about for wait in same), same[0].detail if len(same) == 1 else "")
