"""Outputs of chains that count, and what they were made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from JUNODIRAC.Core.Domain.JobRecords import ProductState, TaskInput
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerDirectories import LedgerDirectories


class ChainProducts(LedgerDirectories):
    """Queries of Products and Derivations; nothing here changes them. Every method may raise TemporaryFailure."""

    # ---- inputs

    def derivedInputs(self, chainID: int, stepNumber: int, parentIDs: Collection[int]) -> dict[int, str]:
        """Those of these inputs of a step that an output has, with its LFN."""
        found: dict[int, str] = {}
        for chunk in rows.chunks(sorted(parentIDs)):
            sql = (
                "SELECT d.ParentID, p.LFN FROM Derivations d JOIN Products p ON p.ProductID = d.ProductID WHERE d.ChainID = %s"
                f" AND d.StepNumber = %s AND d.ParentID IN ({rows.placeholders(len(chunk))})"
            )
            found.update(self.select(sql, (chainID, stepNumber, *chunk)))
        return found

    def ledgerInputs(self, chainID: int, stepNumber: int, lfns: Collection[str]) -> dict[str, TaskInput]:
        """Those of these files that were given to a step, as the ledger has them."""
        found = {}
        for directory, directoryID, names in self._knownNames(lfns):
            for chunk in rows.chunks(names):
                sql = (
                    "SELECT f.FileName, f.FileID, c.BlockID, f.SizeBytes, f.Checksum, f.StreamType, f.StreamName, f.RunNumber,"
                    " f.FileSequence, f.EventCount FROM Files f JOIN ChainInputs c ON c.FileID = f.FileID"
                    " WHERE f.DirectoryID = %s AND c.ChainID = %s AND c.StepNumber = %s"
                    f" AND f.FileName IN ({rows.placeholders(len(chunk))})"
                )
                for name, *values in self.select(sql, (directoryID, chainID, stepNumber, *chunk)):
                    found[f"{directory}/{name}"] = _ledgerInput(f"{directory}/{name}", values)
        return found

    def productInputs(self, chainID: int, sourceNumber: int, lfns: Collection[str]) -> dict[str, TaskInput]:
        """Those of these files that an earlier step of the chain has made.

        Retired ones, too: a job that comes back after its merge has to learn that it is done.
        """
        found = {}
        for chunk in rows.chunks(sorted(lfns)):
            sql = (
                "SELECT LFN, ProductID, BlockID, SizeBytes, Checksum, Stream, FirstRun, LastRun, FirstSequence, LastSequence,"
                " Events FROM Products WHERE ChainID = %s AND StepNumber = %s"
                f" AND LFN IN ({rows.placeholders(len(chunk))})"
            )
            for row in self.select(sql, (chainID, sourceNumber, *chunk)):
                found[row[0]] = TaskInput(*row)
        return found

    def blockName(self, blockID: int) -> str:
        """Name of a block; empty if there is none."""
        found = self.select("SELECT Block FROM Blocks WHERE BlockID = %s", (blockID,))
        return str(found[0][0]) if found else ""

    # ---- what is left to be registered

    def committedProducts(self, condition: str, values: Sequence[Any], limit: int) -> list[Mapping[str, Any]]:
        """Products in state Committed, the oldest first, with their transformation and block.

        :param condition: SQL over Products p
        """
        columns = (
            "ProductID",
            "ChainID",
            "StepNumber",
            "LFN",
            "GUID",
            "SE",
            "SizeBytes",
            "Checksum",
            "Block",
            "TransformationID",
        )
        sql = (
            "SELECT p.ProductID, p.ChainID, p.StepNumber, p.LFN, p.GUID, p.SE, p.SizeBytes, p.Checksum, b.Block,"
            " a.TransformationID FROM Products p JOIN Attempts a ON a.AttemptID = p.AttemptID"
            f" JOIN Blocks b ON b.BlockID = p.BlockID WHERE p.State = %s AND {condition} ORDER BY p.ProductID LIMIT %s"
        )
        found = self.select(sql, (ProductState.COMMITTED.value, *values, limit))
        return [dict(zip(columns, row, strict=True)) for row in found]

    def parentsOf(self, productIDs: Collection[int], ofLedger: bool) -> dict[int, list[str]]:
        """LFNs of what products were made of, in order.

        :param ofLedger: whether they were made of files of the ledger, else of products
        """
        found: dict[int, list[str]] = {productID: [] for productID in productIDs}
        name = "CONCAT(r.Directory, '/', f.FileName)" if ofLedger else "p.LFN"
        tables = (
            "Files f ON f.FileID = d.ParentID JOIN Directories r ON r.DirectoryID = f.DirectoryID"
            if ofLedger
            else "Products p ON p.ProductID = d.ParentID"
        )
        for chunk in rows.chunks(sorted(productIDs)):
            sql = (
                f"SELECT d.ProductID, {name} FROM Derivations d JOIN {tables}"
                f" WHERE d.ProductID IN ({rows.placeholders(len(chunk))}) ORDER BY d.ProductID, d.Position"
            )
            for productID, lfn in self.select(sql, chunk):
                found[productID].append(str(lfn))
        return found


def _ledgerInput(lfn: str, values: Sequence[Any]) -> TaskInput:
    fileID, blockID, sizeBytes, checksum, streamType, streamName, run, sequence, events = values
    stream = f"{streamType or ''}.{streamName or ''}"
    run, sequence = run or 0, sequence or 0
    return TaskInput(lfn, fileID, blockID, sizeBytes or 0, checksum, stream, run, run, sequence, sequence, events)
