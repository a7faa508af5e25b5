"""Datasets in the DIRAC File Catalog, whose dataset manager keeps the lists of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from JUNODIRAC.Core.Domain.Dataset import FROZEN, FileFacts
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import COMPONENT
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, isUnavailable, valueOrRaise

# the catalogue applies the query of the dataset, and reads the size of each file in it
_CALL_SECONDS = 600


class DFCDatasets:
    """Adds and freezes datasets, and reads their files.

    :param client: DIRAC's FileCatalogClient, acting for the production manager
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def find(self, path: str) -> dict[str, Any] | None:
        """MetaQuery, Status, NumberOfFiles and TotalSize of a dataset, or None.

        :raises ServiceRefusal: if there is one of this name in another directory
        """
        name = _key(path)
        named = valueOrRaise(self._client.getDatasets({name: True}), COMPONENT)["Successful"].get(name, {})
        if name not in named:
            return None
        answer = valueOrRaise(self._client.getDatasetParameters({path: True}), COMPONENT)
        if path not in answer["Successful"]:
            raise ServiceRefusal(
                COMPONENT, f"it has a dataset {name} in another directory than {path}, and tells them apart by name only"
            )
        found: dict[str, Any] = answer["Successful"][path]
        return found

    def add(self, path: str, query: Mapping[str, object]) -> None:
        """Make sure that there is a dataset of this query.

        :raises ServiceRefusal: if there is one of this name with another query, or in another directory
        """
        found = self.find(path)
        if found is None:
            # addDataset fails in DatasetManager where it would have to make the directory
            folder = path.rpartition("/")[0]
            _raiseFailure(valueOrRaise(self._client.createDirectory({folder: True}), COMPONENT), folder)
            # the only change that needs the path
            answer = valueOrRaise(self._client.addDataset({path: dict(query)}, timeout=_CALL_SECONDS), COMPONENT)
            _raiseFailure(answer, path)
        elif found["MetaQuery"] != query:
            raise ServiceRefusal(COMPONENT, f"it has a dataset {path} of {found['MetaQuery']} already; choose another name")

    def freeze(self, path: str) -> None:
        """Fix the list of files to those that the query gives now, also if it was fixed before."""
        self.release(path)
        # or else number, size and hash in the catalogue stay those of the day when the dataset was made
        self._do("updateDataset", path)
        self._do("freezeDataset", path)
        if self._status(path) != FROZEN:
            raise ServiceRefusal(COMPONENT, f"dataset {path} is not frozen, though it was asked for; look at its log")

    def release(self, path: str) -> None:
        """Let the list of files follow the query again."""
        if self._status(path) == FROZEN:
            self._do("releaseDataset", path)

    def files(self, path: str) -> set[str]:
        """LFNs of the files: those of the list if it is frozen, or else those that the query gives."""
        answer = valueOrRaise(self._client.getDatasetFiles({path: True}, timeout=_CALL_SECONDS), COMPONENT)
        _raiseFailure(answer, path)
        return set(answer["Successful"][path])

    def directoryFiles(self, directories: Sequence[str]) -> dict[str, FileFacts]:
        """Size and checksum of the files of some directories, by LFN; a directory that is not there has none."""
        content: dict[str, FileFacts] = {}
        for directory in directories:
            answer = valueOrRaise(self._client.listDirectory(directory, False, timeout=_CALL_SECONDS), COMPONENT)
            for reason in answer["Failed"].values():
                if "no such" not in str(reason).lower() and "not found" not in str(reason).lower():
                    _raiseFailure(answer, directory)
            for lfn, details in answer["Successful"].get(directory, {}).get("Files", {}).items():
                metadata = details["MetaData"]
                content[lfn] = (int(metadata["Size"]), str(metadata.get("Checksum") or ""))
        return content

    def _status(self, path: str) -> str:
        found = self.find(path)
        if found is None:
            raise ServiceRefusal(COMPONENT, f"it has no dataset {path}, though the ledger has; somebody must have removed it")
        return str(found["Status"])

    def _do(self, method: str, path: str) -> None:
        answer = valueOrRaise(getattr(self._client, method)({_key(path): True}, timeout=_CALL_SECONDS), COMPONENT)
        _raiseFailure(answer, path)


def _key(path: str) -> str:
    """What a dataset is called in calls that change it.

    DatasetManager finds a dataset by its path, but then updates the row whose DatasetName, which has no directory, is the
    path: with it freezeDataset answers OK and changes nothing, updateDataset says "Unknown MetaDataset". By its bare name both
    work; therefore a name must be unique in the catalogue, see :meth:`DFCDatasets.find`.
    """
    return path.rpartition("/")[2]


def _raiseFailure(answer: Mapping[str, Any], what: str) -> None:
    for reason in answer["Failed"].values():
        if isUnavailable(str(reason)):
            raise TemporaryFailure(COMPONENT, str(reason))
        raise ServiceRefusal(COMPONENT, f"{what}: {reason}")
