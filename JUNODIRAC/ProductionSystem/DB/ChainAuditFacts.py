"""What the ledger says of a block in a chain, for its audit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, StepKind
from JUNODIRAC.Core.Domain.ChainInputs import ChainFile, isWanted
from JUNODIRAC.Core.Logic.ChainAuditFacts import (
    AuditedDerivation,
    AuditedInput,
    AuditedProduct,
    AuditedRecovery,
    AuditedStep,
)
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerBlockFiles import LedgerBlockFiles

_FILE_COLUMNS = (
    "f.FileID, d.Directory, f.FileName, f.EventCount, f.RunNumber, f.FileSequence, COALESCE(f.StreamType, ''),"
    " COALESCE(f.StreamName, '')"
)


class ChainAuditFacts(LedgerBlockFiles):
    """Queries; nothing here changes the ledger. Every method may raise TemporaryFailure."""

    def auditedSteps(self, chainID: int, chain: ChainDescription, blockID: int) -> list[AuditedStep]:
        """Each step of a chain for one block; without what the Transformation System says."""
        files: dict[str, list[AuditedInput]] = {}
        products = {step.number: self._products(chainID, blockID, step.number) for step in chain.steps if step.output}
        recoveries = self._recoveries(chainID, blockID)
        found = []
        for step in chain.steps:
            source = chain.source(step)
            if source is None:
                inputs = files[step.name] = self._files(chainID, blockID, step)
            else:
                inputs = [_inputOf(each) for each in products[source.number] if _isWantedProduct(step, each)]
            own = products.get(step.number, [])
            found.append(
                AuditedStep(
                    step.number,
                    step.name,
                    step.kind,
                    inputs,
                    own,
                    self._derivations(chainID, step, inputs, own),
                    step.destinations,
                    {(parentID, se): each for (number, parentID, se), each in recoveries.items() if number == step.number},
                )
            )
        return found

    def filesUnderWay(self, chainID: int, zombieSeconds: float) -> frozenset[str]:
        """Outputs that attempts may be writing still, or that were not looked for to the end since they were over."""
        sql = (
            "SELECT OutputLFN FROM Attempts WHERE ChainID = %s AND OutputLFN <> '' AND (EndedTime IS NULL OR CleanedTime IS NULL"
            " OR CleanedTime < EndedTime + INTERVAL %s SECOND)"
        )
        return frozenset(lfn for (lfn,) in self.select(sql, (chainID, int(zombieSeconds))))

    def storagesTried(self, chainID: int) -> set[str]:
        """Storage elements to which jobs of a chain may have written, as the lists that the attempts have."""
        sql = "SELECT DISTINCT OutputSEs FROM Attempts WHERE ChainID = %s AND OutputSEs <> ''"
        return {se for (text,) in self.select(sql, (chainID,)) for se in json.loads(text)}

    # ---- steps

    def _files(self, chainID: int, blockID: int, step: ChainStep) -> list[AuditedInput]:
        """The registered files that the step wants by its conditions, and those that it was given."""
        sql = "SELECT FileID FROM ChainInputs WHERE ChainID = %s AND BlockID = %s AND StepNumber = %s"
        attached = {int(fileID) for (fileID,) in self.select(sql, (chainID, blockID, step.number))}
        qualities = dict(self.select("SELECT RunNumber, Quality FROM RunQuality")) if step.input.qualities else {}
        found: dict[int, AuditedInput] = {}
        for _, *row in self._filesOf([blockID], _FILE_COLUMNS, "f.State = 'Registered'"):
            each = _fileOf(row, attached)
            named = ChainFile(each.parentID, each.lfn, row[4], row[6], row[7])
            if each.parentID in attached or isWanted(step.input, named, qualities.get(row[4], "")):
                found[each.parentID] = each
        for chunk in rows.chunks(sorted(attached - found.keys())):
            sql = (
                f"SELECT {_FILE_COLUMNS} FROM Files f JOIN Directories d ON d.DirectoryID = f.DirectoryID"
                f" WHERE f.FileID IN ({rows.placeholders(len(chunk))})"
            )
            found.update((int(row[0]), _fileOf(row, attached)) for row in self.select(sql, chunk))
        return sorted(found.values(), key=lambda each: (each.stream, each.first, each.lfn))

    def _products(self, chainID: int, blockID: int, stepNumber: int) -> list[AuditedProduct]:
        sql = (
            "SELECT ProductID, LFN, SE, SizeBytes, Checksum, Events, Stream, FirstRun, FirstSequence, LastRun, LastSequence,"
            " State, RetiredTime FROM Products WHERE ChainID = %s AND BlockID = %s AND StepNumber = %s"
            " ORDER BY Stream, FirstRun, FirstSequence, ProductID"
        )
        return [_productOf(row) for row in self.select(sql, (chainID, blockID, stepNumber))]

    def _derivations(
        self, chainID: int, step: ChainStep, inputs: Sequence[AuditedInput], products: Sequence[AuditedProduct]
    ) -> list[AuditedDerivation]:
        """Those of the inputs and those of the outputs: one without the other is what an audit looks for."""
        if step.kind is StepKind.REPLICATE:
            return []
        found: dict[tuple[int, int], AuditedDerivation] = {}
        for column, ids in (
            ("ParentID", [each.parentID for each in inputs]),
            ("ProductID", [each.productID for each in products]),
        ):
            for chunk in rows.chunks(ids):
                sql = (
                    "SELECT ParentID, ProductID, Position, Events FROM Derivations WHERE ChainID = %s AND StepNumber = %s"
                    f" AND {column} IN ({rows.placeholders(len(chunk))})"
                )
                for row in self.select(sql, (chainID, step.number, *chunk)):
                    found[row[0], row[1]] = AuditedDerivation(*row)
        return list(found.values())

    def _recoveries(self, chainID: int, blockID: int) -> dict[tuple[int, int, str], AuditedRecovery]:
        sql = (
            "SELECT StepNumber, ParentID, SE, State, Attempts, Error, Detail FROM Recoveries WHERE ChainID = %s AND BlockID = %s"
            " AND State <> 'Solved'"
        )
        found: Iterable[Sequence[Any]] = self.select(sql, (chainID, blockID))
        return {(number, parentID, se): AuditedRecovery(*others) for number, parentID, se, *others in found}


def _fileOf(row: Sequence[Any], attached: set[int]) -> AuditedInput:
    fileID, directory, name, events, run, sequence, streamType, streamName = row
    place = (int(run or 0), int(sequence or 0))
    isAttached = int(fileID) in attached
    return AuditedInput(int(fileID), f"{directory}/{name}", events, f"{streamType}.{streamName}", place, place, isAttached)


def _productOf(row: Sequence[Any]) -> AuditedProduct:
    productID, lfn, se, sizeBytes, checksum, events, stream, *places, state, retiredTime = row
    first, last = (places[0], places[1]), (places[2], places[3])
    isGone = retiredTime is not None
    return AuditedProduct(productID, lfn, se, sizeBytes, checksum, events, stream, first, last, state, isGone)


def _inputOf(product: AuditedProduct) -> AuditedInput:
    """A product is given to the next step by the job itself: what is not in its transformation is told by that."""
    return AuditedInput(product.productID, product.lfn, product.events, product.stream, product.first, product.last)


def _isWantedProduct(step: ChainStep, product: AuditedProduct) -> bool:
    streamType, _, streamName = product.stream.partition(".")
    return isWanted(step.input, ChainFile(product.productID, product.lfn, product.first[0], streamType, streamName), "")
