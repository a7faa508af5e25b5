"""A block at a site, file by file: what the ledger declares, what the catalogue has, what the storage has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from JUNODIRAC.Core.Domain.Validation import Difference, Verdict
from JUNODIRAC.Core.Logic.Ports import StoredFile

Finding = tuple[Difference, str]


@dataclass(frozen=True)
class DeclaredFile:
    """A registered file of the ledger; the checksum is an adler32."""

    sizeBytes: int
    checksum: str


@dataclass(frozen=True)
class CataloguedFile:
    """A file's entry in the catalogue.

    :param hasReplica: at the site in question
    :param failure: why the catalogue did not tell; empty if it did
    """

    sizeBytes: int = 0
    checksum: str = ""
    hasReplica: bool = False
    failure: str = ""


@dataclass(frozen=True)
class Comparison:
    """The outcome: each declared file is good, or stands under one kind; extra files are others.

    :param differences: LFNs by kind, in order; only kinds that occur
    :param details: by LFN, what is wrong in words
    :param failure: why the storage did not tell of more
    """

    files: int
    sizeBytes: int
    goodFiles: int
    differences: Mapping[Difference, tuple[str, ...]] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""

    @property
    def verdict(self) -> Verdict:
        """What is wrong counts, even if not everything was told."""
        if self.differences.keys() - {Difference.UNANSWERED}:
            return Verdict.BAD
        if self.differences or self.failure:
            return Verdict.INCOMPLETE
        return Verdict.GOOD


def compareBlock(
    declared: Mapping[str, DeclaredFile],
    catalogued: Mapping[str, CataloguedFile],
    stored: Mapping[str, StoredFile],
    known: Collection[str] = (),
    failure: str = "",
) -> Comparison:
    """Compare the three sides.

    :param declared: the registered files of the block, by LFN
    :param catalogued: the catalogue's entries, of the block and of all else in its directories; none: it has no entry
    :param stored: what the storage says, of the block and of all else in its directories; none: it was not asked
    :param known: registered files of other blocks that may lie in these directories
    :param failure: why the storage was not asked for all
    """
    found: dict[Difference, list[str]] = {}
    details: dict[str, str] = {}
    for lfn, file in declared.items():
        finding = differenceOf(file, catalogued.get(lfn), stored.get(lfn), failure)
        if finding:
            found.setdefault(finding[0], []).append(lfn)
            details[lfn] = finding[1]
    for lfn, detail in _extraFiles(declared.keys() | set(known), catalogued, stored):
        found.setdefault(Difference.EXTRA, []).append(lfn)
        details[lfn] = detail
    wrong = sum(len(lfns) for kind, lfns in found.items() if kind is not Difference.EXTRA)
    return Comparison(
        files=len(declared),
        sizeBytes=sum(file.sizeBytes for file in declared.values()),
        goodFiles=len(declared) - wrong,
        differences={kind: tuple(sorted(found[kind])) for kind in Difference if kind in found},
        details=details,
        failure=failure,
    )


def differenceOf(
    declared: DeclaredFile, catalogued: CataloguedFile | None, stored: StoredFile | None, failure: str = ""
) -> Finding | None:
    """What is wrong with one registered file, or None. The bytes come first: a wrong copy is wrong whatever the catalogue says.

    :param stored: the storage's answer; None: it was not asked
    :param failure: why it was not asked
    """
    if stored is None or (stored.sizeBytes is None and stored.failure):
        return Difference.UNANSWERED, (stored.failure if stored else failure) or "the storage was not asked for it"
    if stored.sizeBytes is None:
        return Difference.MISSING, "it is not on the storage"
    if stored.sizeBytes != declared.sizeBytes:
        return Difference.WRONG_SIZE, f"the storage has {stored.sizeBytes} bytes, not {declared.sizeBytes}"
    if not stored.checksum:
        return Difference.UNANSWERED, stored.failure or failure or "the storage told no checksum"
    if not _isSame(stored.checksum, declared.checksum):
        return Difference.WRONG_CHECKSUM, f"the storage has adler32 {stored.checksum}, not {declared.checksum}"
    return _catalogueDifference(declared, catalogued)


def _catalogueDifference(declared: DeclaredFile, catalogued: CataloguedFile | None) -> Finding | None:
    if catalogued is None:
        return Difference.UNCATALOGUED, "the catalogue has no such file"
    if catalogued.failure:
        return Difference.UNANSWERED, f"the catalogue did not tell: {catalogued.failure}"
    if catalogued.sizeBytes != declared.sizeBytes:
        return Difference.UNCATALOGUED, f"the catalogue has {catalogued.sizeBytes} bytes, not {declared.sizeBytes}"
    if not _isSame(catalogued.checksum, declared.checksum):
        return Difference.UNCATALOGUED, f"the catalogue has adler32 {catalogued.checksum}, not {declared.checksum}"
    if not catalogued.hasReplica:
        return Difference.UNCATALOGUED, "the catalogue has no replica here"
    return None


def _extraFiles(
    known: Collection[str], catalogued: Mapping[str, CataloguedFile], stored: Mapping[str, StoredFile]
) -> Iterable[tuple[str, str]]:
    onStorage = {lfn for lfn, file in stored.items() if file.sizeBytes is not None and lfn not in known}
    inCatalogue = {lfn for lfn, file in catalogued.items() if file.hasReplica and lfn not in known}
    for lfn in onStorage | inCatalogue:
        where = "on the storage and in the catalogue" if lfn in onStorage & inCatalogue else None
        where = where or ("on the storage" if lfn in onStorage else "in the catalogue")
        yield lfn, f"it is {where}, and no registered file of the ledger"


def _isSame(checksum: str, other: str) -> bool:
    return checksum.lower().zfill(8) == other.lower().zfill(8)
