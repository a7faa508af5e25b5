"""What the catalogue has of a chain's outputs: their records, whatever else lies in their directories, and ancestors in bulk."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from DIRAC.Core.Utilities.List import breakListIntoChunks
from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient

from JUNODIRAC.Core.Logic.ChainAuditFacts import CatalogueEntry
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, valueOrRaise
from JUNODIRAC.RawDataSystem.Client.SiteCatalogue import SiteCatalogue
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import CATALOGUE

_FILES_PER_CALL = 1000
# of an ancestor that was removed since, the catalogue knows a number and no name
_NAMELESS = "ancestor LFN"
_NOT_THERE = ("no such", "not found", "does not exist")


class AuditCatalogue:
    """Every method raises TemporaryFailure or ServiceRefusal (see DiracAnswer).

    :param client: DIRAC's FileCatalogClient
    """

    def __init__(self, client: Any = None) -> None:
        self._client = client or FileCatalogClient(url=CATALOGUE)

    def entries(self, directories: Collection[str], lfns: Collection[str]) -> dict[str, CatalogueEntry]:
        """The records of all files in these directories, and of these files wherever they are."""
        found: dict[str, CatalogueEntry] = {}
        for directory in sorted(directories):
            found.update(self._directory(directory))
        inside = tuple(f"{directory}/" for directory in directories)
        others = sorted(lfn for lfn in lfns if lfn not in found and not (inside and lfn.startswith(inside)))
        for chunk in breakListIntoChunks(others, _FILES_PER_CALL):
            found.update(self._files(chunk))
        return found

    def ancestors(self, lfns: Collection[str]) -> dict[str, Mapping[str, int]]:
        """The depth of each ancestor by its LFN; files that the catalogue does not have are left out."""
        found: dict[str, Mapping[str, int]] = {}
        for chunk in breakListIntoChunks(sorted(lfns), _FILES_PER_CALL):
            answer = valueOrRaise(self._client.getFileAncestors(chunk, []), CATALOGUE)
            for lfn, reason in answer["Failed"].items():
                if _NAMELESS in str(reason):
                    found[lfn] = {}
                else:
                    _raiseUnlessNotThere({lfn: reason})
            found.update(
                {lfn: {name: int(depth) for name, depth in above.items()} for lfn, above in answer["Successful"].items()}
            )
        return found

    # ---- steps

    def _directory(self, directory: str) -> dict[str, CatalogueEntry]:
        answer = valueOrRaise(self._client.listDirectory([directory], True), CATALOGUE)
        _raiseUnlessNotThere(answer["Failed"])
        files = answer["Successful"].get(directory, {}).get("Files", {})
        return {lfn: _entryOf(details["MetaData"], details.get("Replicas", {})) for lfn, details in files.items()}

    def _files(self, lfns: Sequence[str]) -> dict[str, CatalogueEntry]:
        metadata = valueOrRaise(self._client.getFileMetadata(lfns), CATALOGUE)
        replicas = SiteCatalogue(self._client).replicasOf(list(metadata["Successful"]))
        found = {lfn: _entryOf(values, replicas.get(lfn, ())) for lfn, values in metadata["Successful"].items()}
        for lfn, reason in metadata["Failed"].items():
            if not _isNotThere(reason):
                found[lfn] = CatalogueEntry(0, "", frozenset(), str(reason))
        return found


def _entryOf(metadata: Mapping[str, Any], replicas: Collection[str]) -> CatalogueEntry:
    return CatalogueEntry(int(metadata["Size"]), str(metadata["Checksum"]), frozenset(replicas))


def _isNotThere(reason: object) -> bool:
    return any(words in str(reason).lower() for words in _NOT_THERE)


def _raiseUnlessNotThere(failed: Mapping[str, object]) -> None:
    for path, reason in failed.items():
        if not _isNotThere(reason):
            valueOrRaise({"OK": False, "Message": f"{path}: {reason}"}, CATALOGUE)
            raise ServiceRefusal(CATALOGUE, f"{path}: {reason}")
