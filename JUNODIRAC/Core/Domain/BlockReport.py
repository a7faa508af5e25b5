"""What became of a block's files: declared = announced = catalogued = at each site, and every file that is missing, by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Validation import Validation, Verdict


@dataclass(frozen=True)
class UnregisteredFile:
    """A file of which announcements came and that is not registered, and why.

    :param code: of the reason; empty if there is none
    """

    lfn: str
    state: FileState
    sizeBytes: int | None = None
    code: str = ""
    detail: str = ""

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "LFN": self.lfn,
            "State": self.state.value,
            "SizeBytes": self.sizeBytes,
            "Code": self.code,
            "Detail": self.detail,
        }


@dataclass(frozen=True)
class ReportedSite:
    """A block at a destination, as the ledger has it.

    :param validation: the newest one
    """

    se: str
    state: str
    problem: str = ""
    validation: Validation | None = None


@dataclass(frozen=True)
class ReportedBlock:
    """A block as the ledger has it.

    :param parent: of a follow-up block, the block whose late files it has
    :param expectedFiles: what an end-of-block announcement declared; None: nobody did
    :param registered: size in bytes by LFN
    """

    blockID: int
    typeName: str
    name: str
    state: str
    parent: str = ""
    problem: str = ""
    directories: Sequence[str] = ()
    expectedFiles: int | None = None
    registered: Mapping[str, int] = field(default_factory=dict)
    unregistered: Sequence[UnregisteredFile] = ()
    sites: Sequence[ReportedSite] = ()

    def countOf(self, *states: FileState) -> int:
        """How many files that are not registered are in one of these states."""
        return sum(file.state in states for file in self.unregistered)

    @property
    def announcedFiles(self) -> int:
        """Files that were announced. An announcement that was dropped was a mistake, and does not count."""
        return len(self.registered) + len(self.unregistered) - self.countOf(FileState.DROPPED)


@dataclass(frozen=True)
class BlockReport:
    """A block with what the catalogue says of it.

    :param replicas: SEs that have a replica, by LFN, of these and perhaps of other files; None: it did not answer
    """

    block: ReportedBlock
    replicas: Mapping[str, Collection[str]] | None
    unavailable: Sequence[str] = ()

    @property
    def uncatalogued(self) -> list[str]:
        """Registered files of which the catalogue has no replica anywhere."""
        return [] if self.replicas is None else sorted(lfn for lfn in self.block.registered if not self.replicas.get(lfn))

    def missingAt(self, se: str) -> list[str]:
        """Registered files without a replica there."""
        replicas = self.replicas
        return [] if replicas is None else sorted(lfn for lfn in self.block.registered if se not in replicas.get(lfn, ()))

    def problems(self) -> list[str]:
        """What is not as it should be, in words; none: the block is whole at all its sites."""
        block, found = self.block, []
        lacking = 0 if block.expectedFiles is None else block.expectedFiles - block.announcedFiles
        if lacking > 0:
            found.append(f"{lacking} of {block.expectedFiles} declared files were never announced")
        elif lacking < 0:
            found.append(f"{-lacking} files more were announced than the {block.expectedFiles} that were declared")
        open_ = len(block.unregistered) - block.countOf(FileState.WAIVED, FileState.DROPPED)
        if open_:
            found.append(f"{open_} announced files are not registered")
        if self.uncatalogued:
            found.append(f"{len(self.uncatalogued)} registered files have no replica in the catalogue")
        if not block.sites:
            found.append("it is copied to no site")
        for site in block.sites:
            missing = len(self.missingAt(site.se))
            if missing:
                found.append(f"{missing} files are missing at {site.se}")
            if site.validation and site.validation.verdict is Verdict.BAD:
                found.append(f"the last validation at {site.se} is bad: {site.validation.summary}")
        return found + [f"not available: {text}" for text in self.unavailable]

    def toDict(self) -> dict[str, object]:
        """For JSON. None stands for what could not be asked."""
        block, problems, isKnown = self.block, self.problems(), self.replicas is not None
        return {
            "Block": block.name,
            "Type": block.typeName,
            "State": block.state,
            "Problem": block.problem,
            "FollowUpOf": block.parent,
            "Declared": block.expectedFiles,
            "Announced": block.announcedFiles,
            "Registered": len(block.registered),
            "RegisteredBytes": sum(block.registered.values()),
            "Catalogued": len(block.registered) - len(self.uncatalogued) if isKnown else None,
            "Waived": block.countOf(FileState.WAIVED),
            "Dropped": block.countOf(FileState.DROPPED),
            "Whole": not problems,
            "Problems": problems,
            "NotRegistered": [file.toDict() for file in block.unregistered],
            "NotCatalogued": self.uncatalogued,
            "Sites": [self._siteDict(site, isKnown) for site in block.sites],
            "Unavailable": list(self.unavailable),
        }

    def _siteDict(self, site: ReportedSite, isKnown: bool) -> dict[str, object]:
        registered, missing = self.block.registered, self.missingAt(site.se)
        sizeBytes = sum(registered.values()) - sum(registered[lfn] for lfn in missing)
        return {
            "SE": site.se,
            "State": site.state,
            "Problem": site.problem,
            "Files": len(registered) - len(missing) if isKnown else None,
            "Bytes": sizeBytes if isKnown else None,
            "Missing": missing,
            "Validation": site.validation.toDict() if site.validation else None,
        }
