"""What the recovery of chains does to transformations, catalogue and storages, for the production manager."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from DIRAC.Core.Utilities.List import breakListIntoChunks

from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise
from JUNODIRAC.RawDataSystem.Client.Owner import Owner
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import CATALOGUE, TRANSFORMATIONS

# DIRAC's client asks for the status of all files of a call before it sets it
_FILES_PER_CALL = 1000
_NOT_THERE = ("no such file", "not exist", "does not exist", "enoent", "[error] server responded with an error: [3011]")


class ChainHands:
    """Implements :class:`JUNODIRAC.Core.Logic.ChainRecoveryPorts.RecoveryHands`.

    :param transformations: DIRAC's TransformationClient, and the other clients, acting for the production manager
    :param storageElement: DIRAC's storage element of a name; what is deleted is deleted with the proxy of the process
    """

    def __init__(self, transformations: Any, catalogue: Any, storageElement: Callable[[str], Any]) -> None:
        self._transformations, self._catalogue, self._storageElement = transformations, catalogue, storageElement

    @classmethod
    def of(cls, owner: Owner) -> ChainHands:
        """With DIRAC's own clients."""
        from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
        from DIRAC.Resources.Storage.StorageElement import StorageElement
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        arguments = owner.clientArguments
        return cls(
            TransformationClient(**arguments),
            FileCatalogClient(url=CATALOGUE, **arguments),
            lambda se: StorageElement(se, vo=owner.vo),
        )

    def setStatus(self, transformationID: int, status: str, lfns: Sequence[str]) -> Mapping[str, str]:
        """See :meth:`RecoveryHands.setStatus`. Forced: DIRAC takes nothing back from Processed, and counts to MaxReset."""
        for chunk in breakListIntoChunks(list(lfns), _FILES_PER_CALL):
            wanted = dict.fromkeys(chunk, status)
            answer = self._transformations.setFileStatusForTransformation(transformationID, newLFNsStatus=wanted, force=True)
            valueOrRaise(answer, TRANSFORMATIONS)
        return {}

    def delete(self, se: str, lfns: Sequence[str]) -> Mapping[str, str]:
        """See :meth:`RecoveryHands.delete`."""
        if not lfns:
            return {}
        result = self._storageElement(se).removeFile(list(lfns))
        if not result["OK"]:
            return dict.fromkeys(lfns, str(result["Message"]))
        return {lfn: str(why) for lfn, why in result["Value"]["Failed"].items() if not _isNotThere(why)}

    def forget(self, lfns: Sequence[str]) -> Mapping[str, str]:
        """See :meth:`RecoveryHands.forget`."""
        if not lfns:
            return {}
        failed: dict[str, str] = {}
        for chunk in breakListIntoChunks(list(lfns), _FILES_PER_CALL):
            answer = valueOrRaise(self._catalogue.removeFile(chunk), CATALOGUE)
            failed.update({lfn: str(why) for lfn, why in answer["Failed"].items() if not _isNotThere(why)})
        return failed


def _isNotThere(why: object) -> bool:
    return any(words in str(why).lower() for words in _NOT_THERE)
