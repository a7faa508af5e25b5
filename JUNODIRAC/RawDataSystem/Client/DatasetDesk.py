"""What can be done with datasets: made over a range of blocks, looked at, frozen, and checked against what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Dataset import (
    DYNAMIC,
    FROZEN,
    ContentHash,
    Dataset,
    DatasetBlock,
    Difference,
    FileFacts,
    differences,
    directoryGroups,
    isDatasetName,
    namesText,
    pack,
    unpack,
)
from JUNODIRAC.Core.Utilities.Moment import momentText

# of a list that is sent to a person; the counts are whole
_MAX_DIFFERENCES = 10_000


class DatasetRefused(Exception):
    """A dataset cannot be made, found or frozen; nothing was changed."""


class Ledger(Protocol):
    """See :class:`LedgerDatasets`."""

    def addDataset(self, dataset: Dataset) -> bool: ...
    def readDatasets(self, name: str = "", typeName: str = "") -> list[Dataset]: ...
    def datasetBlocks(self, typeName: str, first: str, last: str) -> list[DatasetBlock]: ...
    def datasetDirectories(self, typeName: str, first: str, last: str) -> list[str]: ...
    def registeredFiles(self, directories: Sequence[str], conn: Any = None) -> dict[str, FileFacts]: ...
    def freezeDataset(
        self,
        datasetID: int,
        frozenBy: str,
        parts: Callable[[Any], Iterable[tuple[str, bytes]]],
        summary: Callable[[], tuple[str, int, int]],
    ) -> bool: ...
    def partDirectories(self, datasetID: int) -> list[str]: ...
    def readPart(self, datasetID: int, directory: str) -> bytes | None: ...


class Catalogue(Protocol):
    """See :class:`DFCDatasets`."""

    def add(self, path: str, query: dict[str, object]) -> None: ...
    def freeze(self, path: str) -> None: ...
    def release(self, path: str) -> None: ...
    def files(self, path: str) -> set[str]: ...
    def directoryFiles(self, directories: Sequence[str]) -> dict[str, FileFacts]: ...


class DatasetDesk:
    """Works on the ledger and the catalogue, a group of directories at a time.

    :param folder: the catalogue's directory in which datasets are made
    """

    def __init__(self, ledger: Ledger, catalogue: Catalogue, folder: str) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._folder = folder.rstrip("/")

    def plan(self, name: str, typeName: str, first: str, last: str) -> dict[str, Any]:
        """What a dataset would be, in the form of :meth:`show`.

        :raises DatasetRefused: if it cannot be made
        """
        if not isDatasetName(name):
            raise DatasetRefused(
                f"'{name}' cannot be the name of a dataset: take letters, digits, dots, dashes and underscores, 128 at most"
            )
        if first > last:
            raise DatasetRefused(f"the first block {first} comes after the last one {last}: exchange them")
        if self._ledger.readDatasets(name):
            raise DatasetRefused(f"there is a dataset {name} already: choose another name, or look at it with show")
        dataset = Dataset(0, name, f"{self._folder}/{name}", typeName, first, last, None, "")
        plan = self._shown(dataset)
        if not plan["Blocks"]:
            raise DatasetRefused(
                f"the ledger knows no block of Type {typeName} from {first} to {last}: compare with dirac-juno-block-status"
            )
        return plan

    def create(self, name: str, typeName: str, first: str, last: str, actor: str) -> dict[str, Any]:
        """Make a dataset whose content follows its blocks.

        :returns: see :meth:`show`
        :raises DatasetRefused: if it cannot be made
        """
        self.plan(name, typeName, first, last)
        dataset = Dataset(0, name, f"{self._folder}/{name}", typeName, first, last, None, actor)
        # first where a repetition finds it again: what was cut short here is completed by the same command
        self._catalogue.add(dataset.path, dataset.query)
        if not self._ledger.addDataset(dataset):
            raise DatasetRefused(f"somebody else has just made a dataset {name}: look at it with show")
        return self.show(name)

    def listAll(self, typeName: str = "") -> list[dict[str, Any]]:
        """All datasets in the form of :meth:`show`, but with the number of Blocks."""
        shown = [self._shown(dataset) for dataset in self._ledger.readDatasets(typeName=typeName)]
        return [{**each, "Blocks": len(each["Blocks"])} for each in shown]

    def show(self, name: str) -> dict[str, Any]:
        """Name, Path, Type, FirstBlock, LastBlock, State (Dynamic or Frozen), Created, CreatedBy, Frozen, FrozenBy,
        ContentHash, Files, SizeBytes, NotDone (names of blocks), and Blocks: Block, State, Parent, Files, SizeBytes each.

        Files and SizeBytes of a frozen dataset are those of its list, those of a block are today's.
        """
        return self._shown(self._dataset(name))

    def freeze(self, name: str, actor: str) -> dict[str, Any]:
        """Fix the content of a dataset, in the catalogue and, with its hash, in the ledger.

        :returns: see :meth:`show`
        :raises DatasetRefused: if it is frozen, or ledger and catalogue have different files
        """
        dataset = self._dataset(name)
        if dataset.isFrozen:
            raise DatasetRefused(f"dataset {name} is frozen since {momentText(dataset.frozenTime)}: nothing is left to do")
        directories = self._directories(dataset)
        self._catalogue.freeze(dataset.path)
        listed = self._catalogue.files(dataset.path)
        writer = _Writer(self._ledger, directories, listed)
        try:
            isMine = self._ledger.freezeDataset(dataset.datasetID, actor, writer.parts, writer.summary)
        except DatasetRefused:
            self._catalogue.release(dataset.path)
            raise
        if not isMine:
            raise DatasetRefused(f"somebody else has just frozen dataset {name}: look at it with show")
        return self.show(name)

    def check(self, name: str) -> dict[str, Any]:
        """Compare a dataset with what there is: a frozen one with ledger, catalogue and its list there, another one's ledger
        with the catalogue.

        :returns: Name, State, Matches, ContentHash, Files and SizeBytes (what it should be), HashNow, FilesNow and
            SizeBytesNow (by the ledger), Counts (by where and kind), Differences (LFN, Where, Kind, Wanted, Found), which are cut
        """
        dataset = self._dataset(name)
        wantedHash, nowHash = ContentHash(), ContentHash()
        listed = self._catalogue.files(dataset.path)
        found: list[Difference] = []
        counts: dict[str, dict[str, int]] = {}
        for wanted, now, there in self._views(dataset):
            wantedHash.add(wanted)
            nowHash.add(now)
            each = (differences("Ledger", wanted, now) if dataset.isFrozen else []) + differences("Catalogue", wanted, there)
            # a dynamic list is made of what the catalogue has now: what that lacks is said already
            expected = wanted if dataset.isFrozen else {lfn: facts for lfn, facts in wanted.items() if lfn in there}
            each += [Difference(lfn, "DatasetList", "Missing", facts) for lfn, facts in expected.items() if lfn not in listed]
            listed.difference_update(wanted, () if dataset.isFrozen else there)
            _count(each, found, counts)
        _count([Difference(lfn, "DatasetList", "Added") for lfn in sorted(listed)], found, counts)
        return {
            "Name": name,
            "State": FROZEN if dataset.isFrozen else DYNAMIC,
            "Matches": not counts and dataset.contentHash in ("", nowHash.value),
            "ContentHash": dataset.contentHash or wantedHash.value,
            "Files": wantedHash.files,
            "SizeBytes": wantedHash.sizeBytes,
            "HashNow": nowHash.value,
            "FilesNow": nowHash.files,
            "SizeBytesNow": nowHash.sizeBytes,
            "Counts": counts,
            "Differences": [_differenceDict(each) for each in found],
        }

    # ---- steps

    def _dataset(self, name: str) -> Dataset:
        found = self._ledger.readDatasets(name) if name else []
        if not found:
            raise DatasetRefused(f"there is no dataset {name}: see dirac-juno-dataset list")
        return found[0]

    def _directories(self, dataset: Dataset) -> list[str]:
        return self._ledger.datasetDirectories(dataset.typeName, dataset.firstBlock, dataset.lastBlock)

    def _views(self, dataset: Dataset) -> Iterator[tuple[dict[str, FileFacts], dict[str, FileFacts], dict[str, FileFacts]]]:
        """What should be, what the ledger has, and what the catalogue has, of a group of directories at a time."""
        directories = self._directories(dataset)
        frozen = self._ledger.partDirectories(dataset.datasetID) if dataset.isFrozen else []
        for group in directoryGroups([*directories, *frozen]):
            now, there = self._ledger.registeredFiles(group), self._catalogue.directoryFiles(group)
            if not dataset.isFrozen:
                yield now, now, there
                continue
            parts = [self._ledger.readPart(dataset.datasetID, directory) for directory in group]
            yield {lfn: facts for part in parts if part for lfn, facts in unpack(part).items()}, now, there

    def _shown(self, dataset: Dataset) -> dict[str, Any]:
        blocks = self._ledger.datasetBlocks(dataset.typeName, dataset.firstBlock, dataset.lastBlock)
        return {
            "Name": dataset.name,
            "Path": dataset.path,
            "Type": dataset.typeName,
            "FirstBlock": dataset.firstBlock,
            "LastBlock": dataset.lastBlock,
            "State": FROZEN if dataset.isFrozen else DYNAMIC,
            "Created": momentText(dataset.createdTime),
            "CreatedBy": dataset.createdBy,
            "Frozen": momentText(dataset.frozenTime),
            "FrozenBy": dataset.frozenBy,
            "ContentHash": dataset.contentHash,
            "Files": dataset.files if dataset.isFrozen else sum(block.files for block in blocks),
            "SizeBytes": dataset.sizeBytes if dataset.isFrozen else sum(block.sizeBytes for block in blocks),
            "NotDone": [block.name for block in blocks if block.state != BlockState.DONE],
            "Blocks": [_blockDict(block) for block in blocks],
        }


class _Writer:
    """Gives the parts of a dataset, and compares them with the catalogue's list on the way."""

    def __init__(self, ledger: Ledger, directories: Sequence[str], listed: set[str]) -> None:
        self._ledger = ledger
        self._directories = directories
        self._listed = listed
        self._hash = ContentHash()

    def parts(self, conn: Any) -> Iterator[tuple[str, bytes]]:
        """By the first directory of each group.

        :raises DatasetRefused: at the end, if ledger and catalogue have different files
        """
        self._hash, unlisted, rest = ContentHash(), [], set(self._listed)
        for group in directoryGroups(self._directories):
            content = self._ledger.registeredFiles(group, conn)
            unlisted += [lfn for lfn in content if lfn not in rest]
            rest.difference_update(content)
            yield group[0], pack(self._hash.add(content))
        for lfns, words in (
            (unlisted, "are in the ledger and not in the catalogue"),
            (sorted(rest), "are in the catalogue and not registered in the ledger"),
        ):
            if lfns:
                raise DatasetRefused(
                    f"not frozen: {len(lfns)} file(s) {words} ({namesText(lfns)}). If files are coming in, wait for their"
                    " blocks to be Done; or else see dirac-juno-file-history of one of them"
                )

    def summary(self) -> tuple[str, int, int]:
        """Hash, files and bytes."""
        return self._hash.value, self._hash.files, self._hash.sizeBytes


def _count(each: list[Difference], found: list[Difference], counts: dict[str, dict[str, int]]) -> None:
    for one in each:
        kinds = counts.setdefault(one.where, {})
        kinds[one.kind] = kinds.get(one.kind, 0) + 1
    found += each[: max(0, _MAX_DIFFERENCES - len(found))]


def _blockDict(block: DatasetBlock) -> dict[str, Any]:
    values = asdict(block)
    return {
        "Block": values["name"],
        "State": values["state"],
        "Parent": values["parent"],
        "Files": values["files"],
        "SizeBytes": values["sizeBytes"],
    }


def _differenceDict(each: Difference) -> dict[str, Any]:
    def facts(values: FileFacts | None) -> dict[str, Any] | None:
        return None if values is None else {"SizeBytes": values[0], "Checksum": values[1]}

    return {"LFN": each.lfn, "Where": each.where, "Kind": each.kind, "Wanted": facts(each.wanted), "Found": facts(each.found)}
