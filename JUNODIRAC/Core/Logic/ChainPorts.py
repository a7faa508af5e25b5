"""What the feeding of chains needs from the outside, as small protocols. Every method may raise TemporaryFailure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from JUNODIRAC.Core.Domain.ChainBlockFacts import BlockOutcome, FedBlock, StepCounts
from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription
from JUNODIRAC.Core.Domain.ChainInputs import ChainFile
from JUNODIRAC.Core.Domain.ChainRecords import ChainScope, ChainState, StartedChain, StepTransformation

#: reads the text of a description; raises what says what is wrong with it
ChainReader = Callable[[str], ChainDescription]
#: asks whether services answer: why not, by the name of each that does not
Prober = Callable[[Collection[str]], Mapping[str, str]]
#: completes a chain whose start was cut short, in the name of an actor
Completer = Callable[[StartedChain, str], object]
#: the storage elements of a DIRAC site
SiteStorages = Callable[[str], Collection[str]]


class FeedLedger(Protocol):
    """The ledger of chains."""

    def readChains(self, states: Sequence[ChainState] = (), name: str = "") -> list[StartedChain]:
        """Chains in these states."""

    def chainSteps(self, chainID: int) -> list[StepTransformation]:
        """The transformations of a chain."""

    def recordDecisions(self, actor: str, action: str, reasons: Mapping[str, str]) -> None:
        """A row in the journal for each object."""

    # ---- blocks

    def missingBlocks(self, chainID: int, typeName: str, scope: ChainScope) -> dict[int, str]:
        """Blocks of the scope that the chain does not have yet, follow-up blocks of its blocks included: name by BlockID."""

    def addChainBlocks(self, chainID: int, blockIDs: Sequence[int], actor: str, now: datetime) -> list[int]:
        """Give blocks to a chain, but for those that went through this version of it in another production already.

        :returns: those that it did not have, and has now
        """

    def fedBlocks(self, chainIDs: Sequence[int], withDone: bool) -> list[FedBlock]:
        """The blocks of these chains.

        :param withDone: also those that are Done in the chain and Done themselves
        """

    def saveBlockLook(self, chainID: int, blockID: int, wanted: int, attached: int, waits: str, now: datetime) -> None:
        """Keep what the last look found."""

    def setChainBlockOutcome(self, block: FedBlock, outcome: BlockOutcome, now: datetime) -> bool:
        """Keep a new state and number of ended steps.

        :returns: False, with nothing written, if somebody else has changed it meanwhile
        """

    # ---- files

    def registeredCounts(self, blockIDs: Sequence[int]) -> dict[int, int]:
        """Number of registered files of these blocks, counted now."""

    def unattachedFiles(self, chainID: int, stepNumber: int, blockID: int) -> list[ChainFile]:
        """The registered files of a block that were not given to a step."""

    def recordChainInputs(self, chainID: int, stepNumber: int, blockID: int, fileIDs: Sequence[int], now: datetime) -> None:
        """Write down that files are given to a step; those that were stay as they are."""

    def inputCounts(self, chainID: int, blockIDs: Sequence[int] | None = None) -> dict[int, dict[int, int]]:
        """How many files each step was given, by BlockID and number of the step; of all blocks without ``blockIDs``."""

    def runQualities(self, runs: Collection[int]) -> dict[int, str]:
        """The words for those of these runs that were flagged."""

    def qualityRevision(self) -> str:
        """Another text whenever a run was flagged since."""

    # ---- steps

    def holdStep(self, step: StepTransformation, why: str, now: datetime) -> None:
        """Write down that a step is held."""

    def releaseStep(self, step: StepTransformation) -> None:
        """Write down that it is not."""

    def stepCounts(self, chainID: int, blockIDs: Sequence[int]) -> dict[int, dict[int, StepCounts]]:
        """How far blocks are in each step, by BlockID and number of the step, without inputs and copies."""

    def productCounts(self, chainID: int, blockIDs: Sequence[int] | None = None) -> dict[int, dict[int, int]]:
        """Number of registered (or retired) products, by BlockID and number of the step; of all blocks without ``blockIDs``."""

    # ---- what may have got lost

    def productLFNs(self, chainID: int, stepNumber: int) -> Iterator[Sequence[str]]:
        """LFNs of registered products, without retired ones, in pieces."""

    def inputLFNs(self, chainID: int, stepNumber: int) -> Iterator[Sequence[str]]:
        """LFNs of the files that a step was given, in pieces."""

    def unfinishedOfBlocks(
        self, chainID: int, stepNumber: int, sourceNumber: int, se: str, lfns: Collection[str]
    ) -> dict[int, int]:
        """How many of these copies each block waits for, by BlockID; those that were given up or waived do not count.

        :param sourceNumber: the step whose products they are
        """


class FeedCatalogue(Protocol):
    """The file catalogue."""

    def replicasOf(self, lfns: Sequence[str]) -> Mapping[str, Collection[str]]:
        """The storage elements that have each file; files without any are left out."""


class FeedTransformations(Protocol):
    """The transformations of chains."""

    def attach(self, transformationIDs: Sequence[int], lfns: Sequence[str]) -> tuple[int, Mapping[str, str]]:
        """Give files to transformations; what they have stays as it is.

        :returns: how many were new to one of them, and why others could not be attached
        """

    def statuses(self, transformationIDs: Collection[int]) -> Mapping[int, str]:
        """Their status."""

    def setStatus(self, transformationID: int, status: str) -> None:
        """Change it, in the name of the production manager."""

    def fileCounts(self, transformationIDs: Collection[int]) -> Mapping[int, Mapping[str, int]]:
        """Number of files by status, for each of them."""

    def unfinished(self, transformationID: int) -> Collection[str]:
        """LFNs of the files that are not Processed."""
