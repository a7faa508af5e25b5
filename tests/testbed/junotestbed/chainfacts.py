"""What catalogue, Transformation System and disks have of a block in a chain: from tables and bytes, not asked of services."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from junotestbed.chainjudge import ChainFacts, Damaged, Entry, InputFile, StoredFile, eventsOf
from junotestbed.observe import Database
from junotestbed.settings import SITES, Settings, Site

_ENTRIES = (
    "SELECT f.FileID, CONCAT(d.DirName, '/', f.FileName), f.Size, IFNULL(i.Checksum, '') FROM FC_Files f"
    " JOIN FC_DirectoryLevelTree d USING (DirID) LEFT JOIN FC_FileInfo i USING (FileID) WHERE d.DirName LIKE %s"
)
_REPLICAS = (
    "SELECT f.FileID, s.SEName FROM FC_Files f JOIN FC_DirectoryLevelTree d USING (DirID)"
    " JOIN FC_Replicas USING (FileID) JOIN FC_StorageElements s USING (SEID) WHERE d.DirName LIKE %s"
)
_ANCESTORS = (
    "SELECT f.FileID, CONCAT(x.DirName, '/', p.FileName) FROM FC_Files f JOIN FC_DirectoryLevelTree d USING (DirID)"
    " JOIN FC_FileAncestors a USING (FileID) JOIN FC_Files p ON p.FileID = a.AncestorID"
    " JOIN FC_DirectoryLevelTree x ON x.DirID = p.DirID WHERE d.DirName LIKE %s"
)
_STATUSES = (
    "SELECT t.TransformationName, d.LFN, f.Status FROM Transformations t JOIN AdditionalParameters p USING (TransformationID)"
    " JOIN TransformationFiles f USING (TransformationID) JOIN DataFiles d USING (FileID)"
    " WHERE p.ParameterName = 'Chain' AND p.ParameterValue = %s AND f.Status != 'Processed'"
)


@dataclass(frozen=True)
class JudgedChain:
    """What a chain has to do with a block.

    :param production: name of the chain's production, which stands in the directories of its outputs before step and block
    :param destinations: where merged files have to be
    """

    production: str
    merged: str = "merge"
    parts: tuple[str, ...] = ("rawrec",)
    retires: bool = True
    destinations: tuple[str, ...] = ()


def collect(testbed, judged: JudgedChain, block: str, inputs: Sequence[InputFile]) -> ChainFacts:
    """Read everything once."""
    database, where = Database(testbed), f"%/{judged.production}/%/{block}"
    return ChainFacts(
        inputs,
        _entries(database, where),
        list(_stored(testbed.settings, judged.production, block)),
        judged.merged,
        judged.parts,
        judged.retires,
        judged.destinations,
        _unsettled(database, judged.production, block, inputs),
    )


def _entries(database: Database, where: str) -> list[Entry]:
    replicas, ancestors = defaultdict(set), defaultdict(set)
    for found, query in ((replicas, _REPLICAS), (ancestors, _ANCESTORS)):
        for fileID, value in database.rows("FileCatalogDB", query, where):
            found[fileID].add(value)
    return [
        Entry(lfn, stepOf(lfn), int(size), checksum, frozenset(replicas[fileID]), frozenset(ancestors[fileID]))
        for fileID, lfn, size, checksum in database.rows("FileCatalogDB", _ENTRIES, where)
    ]


def stepOf(lfn: str) -> str:
    """The name of the step, which is the folder above that of the block."""
    return lfn.split("/")[-3]


def diskOf(settings: Settings, site: Site) -> Path:
    """Where LFNs begin on the disk of a site."""
    return settings.storage / site.se / "data" / site.path.lstrip("/")


def _stored(settings: Settings, production: str, block: str) -> Iterator[StoredFile]:
    for site in SITES:
        root = diskOf(settings, site)
        for path in sorted(root.glob(f"juno/*/{production}/*/{block}/*")):
            content, lfn = path.read_bytes(), f"/{path.relative_to(root)}"
            events, damage = (), ""
            try:
                events = eventsOf(content, isReconstructed=True)
            except Damaged as error:
                damage = str(error)
            yield StoredFile(site.se, lfn, stepOf(lfn), len(content), f"{zlib.adler32(content):08x}", events, damage)


def _unsettled(database: Database, production: str, block: str, inputs: Sequence[InputFile]) -> list[str]:
    own, inside = {file.lfn for file in inputs}, f"/{production}/"
    rows = database.rows("TransformationDB", _STATUSES, production)
    return [f"{lfn} is {status} in {name}" for name, lfn, status in rows if lfn in own or (inside in lfn and f"/{block}/" in lfn)]
