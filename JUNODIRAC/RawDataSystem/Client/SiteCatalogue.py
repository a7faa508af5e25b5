"""What the catalogue has of a block at a site."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from DIRAC.Core.Utilities.List import breakListIntoChunks
from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient

from JUNODIRAC.Core.Logic.BlockComparison import CataloguedFile
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import CATALOGUE

_FILES_PER_CALL = 5000
_NOT_THERE = "no such"


class SiteCatalogue:
    """Implements :class:`JUNODIRAC.Core.Logic.ValidateBlock.LookCatalogue`, and lists replicas.

    Every method raises TemporaryFailure or ServiceRefusal (see DiracAnswer).

    :param client: DIRAC's FileCatalogClient
    """

    def __init__(self, client: Any = None) -> None:
        self._client = client or FileCatalogClient(url=CATALOGUE)

    def entries(self, directories: Sequence[str], lfns: Collection[str], se: str) -> dict[str, CataloguedFile]:
        """Its entries of these files, and of all others in these directories: one call for each directory."""
        found: dict[str, CataloguedFile] = {}
        for directory in directories:
            found.update(self._directory(directory, se))
        inDirectories = tuple(f"{directory}/" for directory in directories)
        others = [lfn for lfn in lfns if lfn not in found and not lfn.startswith(inDirectories)]
        for chunk in breakListIntoChunks(sorted(others), _FILES_PER_CALL):
            found.update(self._files(chunk, se))
        return found

    def replicas(self, directories: Sequence[str]) -> dict[str, frozenset[str]]:
        """The storage elements that have a replica of each file in these directories, by LFN. Files without any are left out."""
        found: dict[str, frozenset[str]] = {}
        for directory in directories:
            answer = valueOrRaise(self._client.getDirectoryReplicas([directory]), CATALOGUE)
            _raiseUnlessNotThere(answer["Failed"])
            for files in answer["Successful"].values():
                found.update((lfn, frozenset(replicas)) for lfn, replicas in files.items())
        return found

    def replicasOf(self, lfns: Sequence[str]) -> dict[str, frozenset[str]]:
        """The same for single files."""
        found: dict[str, frozenset[str]] = {}
        for chunk in breakListIntoChunks(sorted(lfns), _FILES_PER_CALL):
            answer = valueOrRaise(self._client.getReplicas(chunk), CATALOGUE)
            _raiseUnlessNotThere(answer["Failed"])
            found.update((lfn, frozenset(replicas)) for lfn, replicas in answer["Successful"].items())
        return found

    # ---- steps

    def _directory(self, directory: str, se: str) -> dict[str, CataloguedFile]:
        answer = valueOrRaise(self._client.listDirectory([directory], True), CATALOGUE)
        _raiseUnlessNotThere(answer["Failed"])
        files = answer["Successful"].get(directory, {}).get("Files", {})
        return {lfn: _entryOf(details["MetaData"], se in details.get("Replicas", {})) for lfn, details in files.items()}

    def _files(self, lfns: list[str], se: str) -> dict[str, CataloguedFile]:
        metadata = valueOrRaise(self._client.getFileMetadata(lfns), CATALOGUE)
        replicas = self.replicasOf(list(metadata["Successful"]))
        found = {lfn: _entryOf(values, se in replicas.get(lfn, ())) for lfn, values in metadata["Successful"].items()}
        for lfn, reason in metadata["Failed"].items():
            if _NOT_THERE not in str(reason).lower():
                found[lfn] = CataloguedFile(failure=str(reason))
        return found


def _entryOf(metadata: Mapping[str, Any], hasReplica: bool) -> CataloguedFile:
    return CataloguedFile(int(metadata["Size"]), str(metadata["Checksum"]), hasReplica)


def _raiseUnlessNotThere(failed: Mapping[str, str]) -> None:
    for path, reason in failed.items():
        if _NOT_THERE not in str(reason).lower() and "not found" not in str(reason).lower():
            valueOrRaise({"OK": False, "Message": f"{path}: {reason}"}, CATALOGUE)
            raise ServiceRefusal(CATALOGUE, f"{path}: {reason}")
