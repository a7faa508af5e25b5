"""Retires inputs of merges: only after the merged file is registered, was seen on a storage, and every event of them is in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from JUNODIRAC.Core.Logic.ChainRecovery import ACTOR


@dataclass(frozen=True)
class RetirableInput:
    """An input of a merged file.

    :param events: of the input as an output of its own step
    :param eventsRead: by the job that merged it
    """

    productID: int
    lfn: str
    events: int
    eventsRead: int
    state: str


@dataclass(frozen=True)
class MergedFile:
    """A merged file that is registered, with all its inputs."""

    productID: int
    lfn: str
    sizeBytes: int
    checksum: str
    events: int
    inputs: Sequence[RetirableInput]


@dataclass(frozen=True)
class RetiringStep:
    """A merge whose policy is to remove its inputs.

    :param otherMakers: numbers of other steps of kind process or merge that take the same inputs
    :param destinations: storage elements to which other steps copy them
    """

    chainID: int
    production: str
    stepNumber: int
    step: str
    sourceNumber: int
    otherMakers: Sequence[int] = ()
    destinations: Sequence[str] = ()


class RetirementBook(Protocol):
    """The ledger."""

    def mergedToRetire(self, step: RetiringStep, limit: int) -> Sequence[MergedFile]:
        """Merged files with inputs that are not retired yet, the oldest first."""

    def underived(self, chainID: int, stepNumber: int, productIDs: Collection[int]) -> set[int]:
        """Those of these that a step has not put into an output yet."""

    def markRetired(self, productIDs: Collection[int]) -> int:
        """Registered -> Retired; from now on they are no input of anything. How many were Registered."""

    def retiring(self, limit: int) -> Mapping[str, Sequence[str]]:
        """Retired outputs that were not removed yet, with the storage elements to which their jobs wrote."""

    def noteRetired(self, lfns: Collection[str]) -> None:
        """These are removed."""

    def recordDecisions(self, actor: str, action: str, reasons: Mapping[str, str]) -> None:
        """A row in the journal for each object."""


class RetirementFacts(Protocol):
    """Catalogue and storages."""

    def replicas(self, lfns: Collection[str]) -> Mapping[str, Collection[str]]:
        """Storage elements of those of these files that the catalogue has."""

    def seenGood(self, declared: Mapping[str, tuple[int, str]]) -> set[str]:
        """Those of these files of which a storage has a replica with this size and checksum, asked now."""


class RetirementHands(Protocol):
    """With the rights of the production manager. Each returns the files that it did not work for, and why."""

    def delete(self, se: str, lfns: Sequence[str]) -> Mapping[str, str]:
        """Remove what lies on a storage; what is not there is no failure."""

    def forget(self, lfns: Sequence[str]) -> Mapping[str, str]:
        """Remove the records from the catalogue; what is not there is no failure."""


class ChainRetirement:
    """Two halves, each of which may be repeated: what is merged is marked, and what is marked is removed."""

    def __init__(self, book: RetirementBook, facts: RetirementFacts, hands: RetirementHands) -> None:
        self._book, self._facts, self._hands = book, facts, hands

    def mark(self, step: RetiringStep, limit: int, isDry: bool = False) -> int:
        """Mark the inputs of merged files that are safe.

        :returns: how many inputs
        """
        merged = [each for each in self._book.mergedToRetire(step, limit) if isWhole(each)]
        if not merged:
            return 0
        good = self._facts.seenGood({each.lfn: (each.sizeBytes, each.checksum) for each in merged})
        inputs = {
            one.productID: (one.lfn, each.lfn) for each in merged if each.lfn in good for one in each.inputs if _isLeft(one)
        }
        wanted = self._wantedElsewhere(step, inputs)
        free = {productID: names for productID, names in inputs.items() if productID not in wanted}
        if free and not isDry:
            reasons = {
                lfn: f"it is in {into}, which a storage has, whole: step {step.step} of {step.production}"
                for lfn, into in free.values()
            }
            self._book.recordDecisions(ACTOR, "chainRetire", reasons)
            self._book.markRetired(list(free))
        return len(free)

    def _wantedElsewhere(self, step: RetiringStep, inputs: Mapping[int, tuple[str, str]]) -> set[int]:
        wanted: set[int] = set()
        for number in step.otherMakers:
            wanted |= self._book.underived(step.chainID, number, list(inputs))
        if step.destinations:
            replicas = self._facts.replicas([lfn for lfn, _ in inputs.values()])
            needed = set(step.destinations)
            wanted |= {key for key, (lfn, _) in inputs.items() if not needed <= set(replicas.get(lfn, ()))}
        return wanted

    def remove(self, limit: int, isDry: bool = False) -> tuple[int, list[str]]:
        """Remove what is marked: first the bytes, then the record, then it is noted.

        :returns: how many, and what did not work, in words
        """
        marked = self._book.retiring(limit)
        if not marked or isDry:
            return len(marked), []
        replicas = self._facts.replicas(list(marked))
        places: dict[str, list[str]] = {}
        for lfn, tried in marked.items():
            for se in {*tried, *replicas.get(lfn, ())}:
                places.setdefault(se, []).append(lfn)
        failed = {lfn: f"{se}: {why}" for se, lfns in sorted(places.items()) for lfn, why in self._hands.delete(se, lfns).items()}
        failed |= self._hands.forget([lfn for lfn in marked if lfn in replicas and lfn not in failed])
        done = [lfn for lfn in marked if lfn not in failed]
        self._book.noteRetired(done)
        return len(done), [f"{lfn} could not be removed: {why}" for lfn, why in failed.items()]


def isWhole(merged: MergedFile) -> bool:
    """Whether every event of every input is in it."""
    isEach = all(each.events == each.eventsRead for each in merged.inputs)
    return isEach and sum(each.eventsRead for each in merged.inputs) == merged.events and bool(merged.inputs)


def _isLeft(one: RetirableInput) -> bool:
    return one.state == "Registered"
