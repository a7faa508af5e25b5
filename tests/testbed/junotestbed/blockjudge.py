"""Whether ledger, catalogue and storage say the same of a block: by tables and bytes on disks, without our code."""

from __future__ import annotations

import zlib
from collections import defaultdict
from dataclasses import dataclass, field

from junotestbed.blockfaults import TYPE, FaultedBlock
from junotestbed.observe import DESTINATIONS
from junotestbed.settings import SITES


@dataclass
class BlockVerdict:
    """What is not as it must be, each with names.

    :param lost: files without a replica at a destination
    :param wrong: replicas that the catalogue offers, whose bytes are wrong or not there
    :param knownBad: the same, but excluded as sources by the ledger
    :param extra: files at a destination that no table knows
    :param unsettled: files of the ledger or of a transformation that are in no final state
    """

    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    knownBad: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)

    @property
    def problems(self) -> dict[str, list[str]]:
        return {name: found for name, found in vars(self).items() if found and name != "knownBad"}


class BlockJudge:
    """Compares one block file by file."""

    def __init__(self, block: FaultedBlock) -> None:
        self._block = block
        self._rows = block.database.rows

    def judge(self) -> BlockVerdict:
        verdict = BlockVerdict()
        self._judgeLedger(verdict)
        self._judgeReplicas(verdict)
        self._judgeDisks(verdict)
        self._judgeTransfers(verdict)
        return verdict

    def _judgeLedger(self, verdict: BlockVerdict) -> None:
        query = (
            "SELECT f.FileName, f.State, f.SizeBytes, f.Checksum FROM Files f JOIN Directories USING (DirectoryID)"
            " JOIN Blocks b USING (BlockID) WHERE b.Block = %s AND b.Type = %s"
        )
        found = {row[0]: row[1:] for row in self._rows("RawDataDB", query, self._block.day, TYPE)}
        for file in self._block.files:
            if found.get(file.file_name) != ("Registered", file.size, file.checksum):
                verdict.unsettled.append(f"{file.file_name} is {found.get(file.file_name)} in the ledger")

    def _judgeReplicas(self, verdict: BlockVerdict) -> None:
        """Every replica in the catalogue has the right bytes, and every destination has one of every file."""
        replicas, bad = self._replicas(), self._badReplicas()
        for file in self._block.files:
            for se in sorted(set(DESTINATIONS) - replicas[file.file_name]):
                verdict.lost.append(f"{file.file_name} has no replica at {se}")
            for se in sorted(replicas[file.file_name]):
                path = self._block.path(se, file)
                content = path.read_bytes() if path.is_file() else b""
                if (len(content), f"{zlib.adler32(content):08x}") != (file.size, file.checksum):
                    what = "wrong bytes" if content else "nothing"
                    names = verdict.knownBad if (file.file_name, se) in bad else verdict.wrong
                    names.append(f"{file.file_name} at {se}: {what}")

    def _replicas(self) -> dict[str, set[str]]:
        query = (
            "SELECT f.FileName, s.SEName FROM FC_Files f JOIN FC_DirectoryLevelTree d USING (DirID)"
            " JOIN FC_Replicas USING (FileID) JOIN FC_StorageElements s USING (SEID) WHERE d.DirName = %s"
        )
        found: dict[str, set[str]] = defaultdict(set)
        for name, se in self._rows("FileCatalogDB", query, self._block.files[0].directory):
            found[name].add(se)
        return found

    def _badReplicas(self) -> set[tuple[str, str]]:
        query = (
            "SELECT f.FileName, r.SE FROM BadReplicas r JOIN Files f USING (FileID) JOIN Directories USING (DirectoryID)"
            " JOIN Blocks b USING (BlockID) WHERE b.Block = %s AND b.Type = %s AND r.EndedTime IS NULL"
        )
        return {tuple(row) for row in self._rows("RawDataDB", query, self._block.day, TYPE)}

    def _judgeDisks(self, verdict: BlockVerdict) -> None:
        known = {file.file_name for file in self._block.files}
        for site in SITES:
            folder = self._block.path(site.se)
            present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
            verdict.extra += [f"{name} at {site.se}" for name in sorted(present - known)]

    def _judgeTransfers(self, verdict: BlockVerdict) -> None:
        query = (
            "SELECT p.ParameterValue, d.LFN, tf.Status FROM Transformations t"
            " JOIN TransformationFiles tf USING (TransformationID) JOIN DataFiles d USING (FileID)"
            " JOIN AdditionalParameters p USING (TransformationID)"
            " WHERE p.ParameterName = 'TargetSE' AND t.Description LIKE %s AND tf.Status != 'Processed'"
        )
        for se, lfn, status in self._rows("TransformationDB", query, f"{TYPE} block {self._block.day} to %"):
            verdict.unsettled.append(f"{lfn.rpartition('/')[2]} is {status} in the transformation to {se}")
