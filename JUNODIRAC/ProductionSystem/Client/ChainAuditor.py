"""Audits a block in a chain: asks ledger, catalogue, Transformation System and storages, lets the rules judge, writes it down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from DIRAC.Core.Utilities.List import breakListIntoChunks

from JUNODIRAC.Core.Domain.ChainAudit import AuditLook, AuditRecord, recordOf
from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, StepKind
from JUNODIRAC.Core.Domain.ChainRecords import StartedChain, StepTransformation
from JUNODIRAC.Core.Domain.JobRecords import outputDirectory
from JUNODIRAC.Core.Logic.ChainAuditFacts import RETIRED, AuditedBlock, AuditedProduct, AuditedStep, CatalogueEntry, SiteWitness
from JUNODIRAC.Core.Logic.ChainAuditRules import auditBlock
from JUNODIRAC.Core.Logic.Ports import Refusal, StoredFile, TemporaryFailure
from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import TRANSFORMATIONS

#: names kept of each finding; the counts are whole
KEPT_NAMES = 200
_FILES_PER_CALL = 1000
_MAX_SITES = 8


class AuditLedger(Protocol):
    """See :class:`JUNODIRAC.ProductionSystem.DB.ChainAudits.ChainAudits`."""

    def auditedSteps(self, chainID: int, chain: ChainDescription, blockID: int) -> list[AuditedStep]: ...

    def chainSteps(self, chainID: int) -> list[StepTransformation]: ...

    def filesUnderWay(self, chainID: int, zombieSeconds: float) -> frozenset[str]: ...

    def storagesTried(self, chainID: int) -> set[str]: ...

    def recordAudit(self, found: AuditRecord) -> int: ...


class AuditStorage(Protocol):
    """See :class:`JUNODIRAC.RawDataSystem.Client.SiteStorage.SiteStorage`."""

    def listSizes(self, directory: str) -> Mapping[str, int]: ...

    def sizes(self, lfns: Sequence[str]) -> Mapping[str, StoredFile]: ...

    def checksums(self, lfns: Sequence[str]) -> Mapping[str, StoredFile]: ...


@dataclass
class AuditProgress:
    """How far an audit is, for who waits for it."""

    phase: str = "ledger"
    done: int = 0
    total: int = 0

    def toDict(self) -> dict[str, Any]:
        """For JSON."""
        return {"Phase": self.phase, "Done": self.done, "Total": self.total}


@dataclass(frozen=True)
class AuditTask:
    """What is to be audited."""

    chain: StartedChain
    blockID: int
    typeName: str
    block: str
    look: AuditLook = AuditLook.ASKED
    actor: str = ""
    endedSteps: int = 0
    progress: AuditProgress = field(default_factory=AuditProgress)


class ChainAuditor:
    """Each witness that does not answer is told of in the audit; none holds up the others.

    :param catalogue: see :class:`JUNODIRAC.ProductionSystem.Client.AuditCatalogue.AuditCatalogue`
    :param transformations: DIRAC's TransformationClient
    :param storageOf: gives the storage of a name
    :param zombieSeconds: after which no dead job can be alive any more
    :param checksumsPerCall: so that progress can be told
    """

    def __init__(
        self,
        ledger: AuditLedger,
        catalogue: Any,
        transformations: Any,
        storageOf: Callable[[str], AuditStorage],
        zombieSeconds: float,
        checksumsPerCall: int = 100,
    ) -> None:
        self._ledger, self._catalogue, self._transformations = ledger, catalogue, transformations
        self._storageOf, self._zombieSeconds, self._checksumsPerCall = storageOf, zombieSeconds, checksumsPerCall

    def audit(self, task: AuditTask) -> AuditRecord:
        """Look at everything, and keep what was found.

        :raises TemporaryFailure: if the ledger does not answer
        """
        started = datetime.now(UTC)
        outcome = auditBlock(self.gather(task))
        times = (started, datetime.now(UTC))
        record = recordOf(
            outcome, task.chain.chainID, task.blockID, task.look, task.actor, times, KEPT_NAMES, endedSteps=task.endedSteps
        )
        record = replace(record, production=task.chain.production, typeName=task.typeName, block=task.block)
        return replace(record, auditID=self._ledger.recordAudit(record))

    def gather(self, task: AuditTask) -> AuditedBlock:
        """What all witnesses say, in an order in which a chain that goes on meanwhile looks unfinished, but never wrong: what
        the transformations call Processed is in the ledger by then, and what is written later is known to be new."""
        chain = readChain(task.chain.description)
        chainID, failures = task.chain.chainID, []  # type: int, list[str]
        underWay = self._ledger.filesUnderWay(chainID, self._zombieSeconds)
        statuses = self._statusesOf(chainID, self._ledger.auditedSteps(chainID, chain, task.blockID))
        steps = [
            replace(step, statuses=statuses[step.number]) for step in self._ledger.auditedSteps(chainID, chain, task.blockID)
        ]
        directories = directoriesOf(task.chain, chain, task.block)
        task.progress.phase = "catalogue"
        catalogue = self._ask(failures, lambda: self._entries(steps, directories))
        products = {each.lfn for step in steps for each in step.products}
        ancestors = self._ask(failures, lambda: self._catalogue.ancestors([lfn for lfn in catalogue or () if lfn in products]))
        storages = self._storages(task, steps, directories, catalogue or {})
        later = {each.lfn: each for step in self._ledger.auditedSteps(chainID, chain, task.blockID) for each in step.products}
        underWay |= self._ledger.filesUnderWay(chainID, self._zombieSeconds) | (later.keys() - products)
        return AuditedBlock(
            chainID,
            task.blockID,
            task.chain.production,
            task.typeName,
            task.block,
            [replace(step, products=[_orRetired(each, later) for each in step.products]) for step in steps],
            catalogue,
            ancestors,
            storages,
            underWay,
            tuple(failures),
        )

    # ---- catalogue and transformations

    @staticmethod
    def _ask(failures: list[str], question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (TemporaryFailure, Refusal) as error:
            failures.append(str(error))
            return None

    def _entries(self, steps: Sequence[AuditedStep], directories: Sequence[str]) -> dict[str, CatalogueEntry]:
        named = {each.lfn for step in steps for each in step.products}
        named |= {each.lfn for step in steps if step.kind is StepKind.REPLICATE for each in step.inputs}
        found: dict[str, CatalogueEntry] = self._catalogue.entries(directories, named)
        return found

    def _statusesOf(self, chainID: int, steps: Sequence[AuditedStep]) -> dict[int, dict[str, Mapping[str, str] | None]]:
        """By number of the step and SE."""
        lfns = {step.number: [each.lfn for each in step.inputs] for step in steps}
        found: dict[int, dict[str, Mapping[str, str] | None]] = {step.number: {} for step in steps}
        for made in self._ledger.chainSteps(chainID):
            if made.stepNumber in found:
                found[made.stepNumber][made.se] = self._statuses(made.transformationID, lfns[made.stepNumber])
        return found

    def _statuses(self, transformationID: int, lfns: Sequence[str]) -> dict[str, str] | None:
        found: dict[str, str] = {}
        try:
            for chunk in breakListIntoChunks(sorted(lfns), _FILES_PER_CALL):
                condition = {"TransformationID": transformationID, "LFN": chunk}
                answer = self._transformations.getTransformationFiles(condDict=condition, columns=["LFN", "Status"])
                found.update((row["LFN"], row["Status"]) for row in valueOrRaise(answer, TRANSFORMATIONS))
        except (TemporaryFailure, Refusal):
            return None
        return found

    # ---- storages

    def _storages(
        self,
        task: AuditTask,
        steps: Sequence[AuditedStep],
        directories: Sequence[str],
        catalogue: Mapping[str, CatalogueEntry],
    ) -> dict[str, SiteWitness]:
        wanted: dict[str, set[str]] = defaultdict(set)
        products = {each.lfn: each for step in steps for each in step.products}
        for lfn, product in products.items():
            for se in catalogue[lfn].replicas if lfn in catalogue else (product.se,):
                wanted[se].add(lfn)
        for se in self._ledger.storagesTried(task.chain.chainID) | {se for step in steps for se in step.destinations}:
            wanted.setdefault(se, set())
        task.progress.phase, task.progress.total = "storages", sum(map(len, wanted.values()))
        places = sorted({*directories, *(lfn.rpartition("/")[0] for lfn in products)})
        with ThreadPoolExecutor(_MAX_SITES, thread_name_prefix="audit") as pool:
            looks = {se: pool.submit(self._lookAt, task, se, places, sorted(lfns)) for se, lfns in wanted.items()}
            return {se: look.result() for se, look in looks.items()}

    def _lookAt(self, task: AuditTask, se: str, directories: Sequence[str], lfns: Sequence[str]) -> SiteWitness:
        files: dict[str, StoredFile] = {}
        listed: dict[str, int] | None = None
        try:
            storage = self._storageOf(se)
            seen: dict[str, int] = {}
            for directory in directories:
                seen.update(storage.listSizes(directory))
            listed = seen
            files = {lfn: StoredFile(seen[lfn]) for lfn in lfns if lfn in seen}
            files.update(storage.sizes([lfn for lfn in lfns if lfn not in seen]))
            there = [lfn for lfn in lfns if files[lfn].sizeBytes is not None]
            for chunk in breakListIntoChunks(there, self._checksumsPerCall):
                for lfn, answer in storage.checksums(chunk).items():
                    files[lfn] = replace(files[lfn], checksum=answer.checksum, failure=answer.failure)
                task.progress.done += len(chunk)
            task.progress.done += len(lfns) - len(there)
        except (TemporaryFailure, Refusal) as error:
            return SiteWitness(files, None if listed is None else frozenset(listed), str(error))
        return SiteWitness(files, frozenset(listed))


def _orRetired(product: AuditedProduct, later: Mapping[str, AuditedProduct]) -> AuditedProduct:
    """What was retired while it was looked for."""
    now = later.get(product.lfn, product)
    return now if now.state == RETIRED else product


def directoriesOf(started: StartedChain, chain: ChainDescription, block: str) -> list[str]:
    """Where the outputs of a chain lie for a block."""
    return sorted(outputDirectory(started, step, block) for step in chain.steps if step.output)
