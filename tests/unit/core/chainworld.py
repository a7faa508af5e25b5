"""A ledger, a catalogue, a Transformation System and services in memory, for the tests of the feeder of chains."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.ChainBlockFacts import FedBlock, SiteStand, StepCounts
from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, Gate, StepInput, StepKind, StepOutput
from JUNODIRAC.Core.Domain.ChainInputs import ChainFile
from JUNODIRAC.Core.Domain.ChainRecords import ChainBlockState, ChainScope, ChainState, StartedChain, StepTransformation
from JUNODIRAC.Core.Logic.ChainCycle import ChainCycle, ChainLimits
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CNAF, JINR, IHEP = "CNAF-STORM", "JINR-EOS", "IHEP-JUNOEOS"
SITES = {"GRID.CNAF.it": [CNAF], "GRID.JINR.ru": [JINR], "GRID.IHEP.cn": [IHEP]}
CHAIN = 1
LIMITS = ChainLimits(probePeriodSeconds=5, countSeconds=5, refreshSeconds=3600, heldAlarmSeconds=600)
ESD = StepOutput("ESD", "/esd/{Block}", "{Task}{Attempt}")


class Crash(BaseException):
    """The agent is killed here."""


def rerec(*gates: Gate, sites=("GRID.CNAF.it", "GRID.JINR.ru"), wanted: StepInput | None = None) -> ChainDescription:
    """rawrec, then a copy to JINR."""
    steps = (
        ChainStep(1, "rawrec", StepKind.PROCESS, wanted or StepInput("RTRaw"), ESD, sites=sites, gates=frozenset(gates)),
        ChainStep(2, "replicate", StepKind.REPLICATE, StepInput("ESD"), destinations=(JINR,)),
    )
    return ChainDescription("rerec", "J1", f"text {gates} {sites} {wanted}", steps)


@dataclass
class Stored:
    """A registered file."""

    blockID: int
    file: ChainFile
    replicas: set[str] = field(default_factory=set)


@dataclass
class Product:
    """An output of the first step."""

    blockID: int
    lfn: str
    parents: list[int]
    state: str = "Registered"


class ChainWorld:
    """All ports at once. ``crashAt`` counts the calls that change something, and kills the agent in that one, before or after
    it was done."""

    def __init__(self, description: ChainDescription | None = None, scope: ChainScope | None = None) -> None:
        self.description = description or rerec()
        self.scope = scope or ChainScope(blocks=("20300101",))
        self.chainState = ChainState.ACTIVE
        self.steps = [
            StepTransformation(CHAIN, 1, "", "rawrec", StepKind.PROCESS, 11),
            StepTransformation(CHAIN, 2, JINR, "replicate", StepKind.REPLICATE, 12),
        ]
        self.statusOf = {11: "Active", 12: "Active"}
        self.blocks: dict[int, FedBlock] = {}
        self.created: dict[int, datetime] = {}
        self.parents: dict[int, int] = {}
        self.inChain: dict[int, FedBlock] = {}
        self.files: dict[int, Stored] = {}
        self.qualities: dict[int, str] = {}
        self.revision = 0
        self.inputs: dict[tuple[int, int], int] = {}
        self.attached: dict[int, dict[str, str]] = defaultdict(dict)
        self.added: Counter[tuple[int, str]] = Counter()
        self.products: list[Product] = []
        self.givenUp: dict[int, str] = {}
        self.failures: dict[str, str] = {}
        self.down: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.journal: list[tuple[str, str]] = []
        self.looks: dict[int, str] = {}
        self.news: list[str] = []
        self.stopsWhenActive = False
        self.crashAt: int | None = None
        self.crashAfter = False
        self.changes = 0
        self.refused: set[str] = set()
        self.othersBlocks: set[int] = set()
        self.now = NOW
        self.restart()

    # ---- for the tests

    def restart(self) -> None:
        """The agent begins anew, with nothing but the ledger."""
        self.cycle = ChainCycle(
            self, self, self, lambda _text: self.description, self._probe, self._storagesOf, self._complete, lambda: 0.0
        )

    def run(self, seconds: float = 10, limits: ChainLimits = LIMITS):
        """One cycle, some time after the last one."""
        self.now += timedelta(seconds=seconds)
        report = self.cycle.run(limits, self.now)
        self.news += report.news
        return report

    def addBlock(self, blockID=1, name="20300101", state=BlockState.OPEN, typeName="RTRaw", parentID=0, **sites) -> None:
        stands = tuple(SiteStand(se, BlockState.OPEN, 0) for se in (CNAF, JINR))
        block = FedBlock(CHAIN, blockID, typeName, name, state, False, 0, ChainBlockState.WAITING, 0, "", "", 0, 0, stands)
        self.blocks[blockID] = block
        self.created[blockID] = self.now
        if parentID:
            self.parents[blockID] = parentID
        self.setState(state, blockID)

    def setState(self, state: BlockState, blockID=1, **stands: BlockState) -> None:
        """Of a block; of its sites with ``CNAF=...``."""
        names = {"CNAF": CNAF, "JINR": JINR}
        given = {names[short]: value for short, value in stands.items()}
        old = self.blocks[blockID]
        sites = tuple(replace(site, state=given.get(site.se, site.state)) for site in old.sites)
        self.blocks[blockID] = replace(old, blockState=state, isClosed=state is not BlockState.OPEN, sites=sites)

    def register(self, fileID: int, *replicas: str, blockID=1, run=7, stream="Physics.Global") -> None:
        """A file comes, with its replicas."""
        streamType, _, streamName = stream.partition(".")
        self.files[fileID] = Stored(blockID, ChainFile(fileID, f"/rtraw/{fileID}", run, streamType, streamName), set(replicas))
        self._progress(blockID)

    def copy(self, fileID: int, se: str) -> None:
        """A copy comes."""
        self.files[fileID].replicas.add(se)
        self._progress(self.files[fileID].blockID)

    def flag(self, run: int, quality: str) -> None:
        self.qualities[run] = quality
        self.revision += 1

    def process(self, *fileIDs: int, state="Registered") -> None:
        """A job makes one output of these files and does with it what jobs do."""
        blockID = self.files[fileIDs[0]].blockID
        lfn = f"/esd/{'-'.join(map(str, fileIDs))}"
        self.products.append(Product(blockID, lfn, list(fileIDs), state))
        for fileID in fileIDs:
            self.attached[11][f"/rtraw/{fileID}"] = "Processed"
        if state == "Registered":
            self.attached[12][lfn] = "Unused"

    def finishCopies(self) -> None:
        self.attached[12] = dict.fromkeys(self.attached[12], "Processed")

    @property
    def given(self) -> set[int]:
        """Files that the first step has in the Transformation System."""
        return {int(lfn.rpartition("/")[2]) for lfn in self.attached[11]}

    def _progress(self, blockID: int) -> None:
        old = self.blocks[blockID]
        files = [each for each in self.files.values() if each.blockID == blockID]
        sites = tuple(replace(site, doneFiles=sum(site.se in each.replicas for each in files)) for site in old.sites)
        self.blocks[blockID] = replace(old, sites=sites)

    def _change(self, name: str) -> None:
        self.calls[name] += 1
        self.changes += 1

    def _crash(self, isAfter: bool) -> None:
        if self.crashAt is not None and self.changes == self.crashAt and isAfter == self.crashAfter:
            self.crashAt = None
            raise Crash

    def _ask(self, name: str, component: str) -> None:
        self.calls[name] += 1
        if component in self.down:
            raise TemporaryFailure(component, "away")

    def _probe(self, names):
        self.calls["probe"] += 1
        return {name: why for name, why in self.failures.items() if name in names}

    def _storagesOf(self, site):
        if site not in SITES:
            raise TemporaryFailure("Configuration", f"site {site} has no storage element")
        return SITES[site]

    def _complete(self, chain, actor):
        self.calls["complete"] += 1
        self.chainState = ChainState.ACTIVE

    # ---- the ledger

    def readChains(self, states=(), name=""):
        chain = StartedChain(
            CHAIN, "rerec-J1-v1", "rerec", "J1", 1, self.chainState, 5, "RTRaw", self.description.text, self.scope,
            NOW, "prod", NOW, "prod",
        )  # fmt: skip
        return [chain] if self.chainState in states else []

    def chainSteps(self, chainID):
        return list(self.steps)

    def recordDecisions(self, actor, action, reasons):
        self.journal += [(action, name) for name in reasons]

    def missingBlocks(self, chainID, typeName, scope):
        def isWanted(block):
            isNew = scope.eachNewBlock and self.created[block.blockID] >= scope.newSince
            return block.name in scope.blocks or isNew or self.parents.get(block.blockID) in self.inChain

        return {
            block.blockID: block.name
            for block in self.blocks.values()
            if block.typeName == typeName and block.blockID not in self.inChain and isWanted(block)
        }

    def addChainBlocks(self, chainID, blockIDs, actor, now):
        self._change("addChainBlocks")
        self._crash(False)
        added = [blockID for blockID in blockIDs if blockID not in self.inChain and blockID not in self.othersBlocks]
        self.inChain |= {blockID: self.blocks[blockID] for blockID in added}
        self._crash(True)
        return added

    def fedBlocks(self, chainIDs, withDone):
        found = []
        for blockID, kept in self.inChain.items():
            now = self.blocks[blockID]
            each = replace(kept, blockState=now.blockState, isClosed=now.isClosed, sites=now.sites)
            each = replace(each, registeredFiles=self.registeredCounts([blockID])[blockID])
            if withDone or not (each.state is ChainBlockState.DONE and each.blockState is BlockState.DONE):
                found.append(each)
        return found

    def saveBlockLook(self, chainID, blockID, wanted, attached, waits, now):
        self._change("saveBlockLook")
        self._crash(False)
        self.inChain[blockID] = replace(self.inChain[blockID], wantedFiles=wanted, attachedFiles=attached, waits=waits)
        self._crash(True)

    def setChainBlockOutcome(self, block, outcome, now):
        kept = self.inChain[block.blockID]
        if kept.state is not block.state:
            return False
        self.inChain[block.blockID] = replace(kept, state=outcome.state, endedSteps=outcome.endedSteps, problem=outcome.problem)
        return True

    def registeredCounts(self, blockIDs):
        return {blockID: sum(each.blockID == blockID for each in self.files.values()) for blockID in blockIDs}

    def unattachedFiles(self, chainID, stepNumber, blockID):
        self.calls["unattachedFiles"] += 1
        return [
            each.file
            for each in self.files.values()
            if each.blockID == blockID and (stepNumber, each.file.fileID) not in self.inputs
        ]

    def recordChainInputs(self, chainID, stepNumber, blockID, fileIDs, now):
        self._change("recordChainInputs")
        self._crash(False)
        for fileID in fileIDs:
            self.inputs.setdefault((stepNumber, fileID), blockID)
        self._crash(True)

    def inputCounts(self, chainID, blockIDs=None):
        found = defaultdict(Counter)
        for (step, _), blockID in self.inputs.items():
            if blockIDs is None or blockID in blockIDs:
                found[blockID][step] += 1
        return found

    def runQualities(self, runs):
        return {run: self.qualities[run] for run in runs if run in self.qualities}

    def qualityRevision(self):
        return str(self.revision)

    def holdStep(self, step, why, now):
        self._change("holdStep")
        self._crash(False)
        self.steps[step.stepNumber - 1] = replace(step, held=why, heldTime=now)
        self._crash(True)

    def releaseStep(self, step):
        self._change("releaseStep")
        self._crash(False)
        self.steps[step.stepNumber - 1] = replace(step, held="", heldTime=None)
        self._crash(True)

    def stepCounts(self, chainID, blockIDs):
        self.calls["stepCounts"] += 1
        found = {}
        for blockID in blockIDs:
            registered = [each for each in self.products if each.blockID == blockID and each.state == "Registered"]
            done = {parent for each in registered for parent in each.parents}
            lost = {fileID for fileID in self.givenUp if self.files[fileID].blockID == blockID} - done
            found[blockID] = {
                1: StepCounts(
                    settled=len(done | lost),
                    givenUp=sum(self.givenUp[fileID] == "GivenUp" for fileID in lost),
                    unregistered=sum(each.blockID == blockID and each.state == "Committed" for each in self.products),
                )
            }
        return found

    def productCounts(self, chainID, blockIDs=None):
        found = defaultdict(Counter)
        for each in self.products:
            if each.state == "Registered" and (blockIDs is None or each.blockID in blockIDs):
                found[each.blockID][1] += 1
        return found

    def productLFNs(self, chainID, stepNumber):
        yield [each.lfn for each in self.products if each.state == "Registered"]

    def inputLFNs(self, chainID, stepNumber):
        yield [f"/rtraw/{fileID}" for step, fileID in self.inputs if step == stepNumber]

    def unfinishedOfBlocks(self, chainID, stepNumber, sourceNumber, se, lfns):
        return Counter(each.blockID for each in self.products if each.lfn in lfns)

    # ---- the catalogue

    def replicasOf(self, lfns):
        self._ask("replicasOf", "catalogue")
        return {each.file.lfn: each.replicas for each in self.files.values() if each.file.lfn in lfns and each.replicas}

    # ---- the Transformation System

    def attach(self, transformationIDs, lfns):
        if "transformations" in self.down:
            raise TemporaryFailure("transformations", "away")
        self._change("attach")
        self._crash(False)
        added = 0
        failed = {lfn: "no" for lfn in lfns if lfn in self.refused}
        for transformationID in transformationIDs:
            for lfn in lfns:
                if lfn not in failed and lfn not in self.attached[transformationID]:
                    self.attached[transformationID][lfn] = "Unused"
                    self.added[transformationID, lfn] += 1
                    added += 1
        self._crash(True)
        return added, failed

    def statuses(self, transformationIDs):
        return {number: self.statusOf[number] for number in transformationIDs}

    def setStatus(self, transformationID, status):
        self._change("setStatus")
        self._crash(False)
        self.statusOf[transformationID] = status
        self._crash(True)
        if self.stopsWhenActive and status == "Active":
            self.chainState = ChainState.STOPPED

    def fileCounts(self, transformationIDs):
        self.calls["fileCounts"] += 1
        return {number: Counter(self.attached[number].values()) for number in transformationIDs}

    def unfinished(self, transformationID):
        return [lfn for lfn, status in self.attached[transformationID].items() if status != "Processed"]
