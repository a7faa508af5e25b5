"""What the repair does to DIRAC's catalogue, transformations and requests, and to storages, for the production manager."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import registrationURLs
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, valueOrRaise
from JUNODIRAC.RawDataSystem.Client.Owner import Owner
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import CATALOGUE, REQUESTS, TRANSFORMATIONS
from JUNODIRAC.RawDataSystem.Client.TransformationTransfers import TransformationTransfers

# DIRAC's client asks for the status of all files of a call before it sets it
_FILES_PER_CALL = 1000


class DiracHands:
    """Implements :class:`JUNODIRAC.Core.Logic.RepairPorts.RepairHands`.

    :param transformations: DIRAC's TransformationClient, and the other clients, acting for the production manager
    :param fileURLs: gives the PFN of each LFN at an SE
    :param storageElement: DIRAC's storage element of a name; what is deleted is deleted with the proxy of the process
    """

    def __init__(
        self,
        transformations: Any,
        catalogue: Any,
        requests: Any,
        fileURLs: Callable[[str, Sequence[str]], Mapping[str, str]],
        storageElement: Callable[[str], Any],
    ) -> None:
        self._transformations, self._catalogue, self._requests = transformations, catalogue, requests
        self._fileURLs, self._storageElement = fileURLs, storageElement

    @classmethod
    def of(cls, owner: Owner) -> DiracHands:
        """With DIRAC's own clients."""
        from DIRAC.RequestManagementSystem.Client.ReqClient import ReqClient
        from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
        from DIRAC.Resources.Storage.StorageElement import StorageElement
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        arguments = owner.clientArguments
        return cls(
            TransformationClient(**arguments),
            FileCatalogClient(url=CATALOGUE, **arguments),
            ReqClient(**arguments),
            registrationURLs(owner.vo),
            lambda se: StorageElement(se, vo=owner.vo),
        )

    # ---- the transformation

    def attach(self, transformationID: int, lfns: Sequence[str]) -> Mapping[str, str]:
        """Put files into a transformation."""
        transfers = TransformationTransfers(self._transformations, plugin="", groupSize=0, campaign="")
        return transfers.attachFiles([transformationID], lfns).failed

    def setProcessed(self, transformationID: int, lfns: Sequence[str]) -> Mapping[str, str]:
        """They are where they should be."""
        return self._setStatus(transformationID, "Processed", lfns)

    def setUnused(self, transformationID: int, lfns: Sequence[str]) -> Mapping[str, str]:
        """Forced: DIRAC takes nothing back from Processed and MaxReset, and counts to MaxReset otherwise."""
        return self._setStatus(transformationID, "Unused", lfns)

    def _setStatus(self, transformationID: int, status: str, lfns: Sequence[str]) -> Mapping[str, str]:
        for start in range(0, len(lfns), _FILES_PER_CALL):
            wanted = dict.fromkeys(lfns[start : start + _FILES_PER_CALL], status)
            answer = self._transformations.setFileStatusForTransformation(transformationID, newLFNsStatus=wanted, force=True)
            valueOrRaise(answer, TRANSFORMATIONS)
        return {}

    # ---- the catalogue

    def register(self, se: str, lfns: Sequence[str]) -> Mapping[str, str]:
        """Add the replicas to the catalogue."""
        urls = self._fileURLs(se, lfns)
        return self._inCatalogue("addReplica", {lfn: {"PFN": urls[lfn], "SE": se} for lfn in lfns})

    def deregister(self, se: str, lfns: Sequence[str]) -> Mapping[str, str]:
        """Remove the replicas from the catalogue."""
        return self._inCatalogue("removeReplica", {lfn: {"SE": se} for lfn in lfns})

    def _inCatalogue(self, method: str, entries: dict[str, dict[str, str]]) -> Mapping[str, str]:
        if not entries:
            return {}
        answer = valueOrRaise(getattr(self._catalogue, method)(entries), CATALOGUE)
        return {lfn: str(why) for lfn, why in answer["Failed"].items()}

    # ---- the rest

    def delete(self, se: str, lfns: Sequence[str]) -> Mapping[str, str]:
        """Remove what lies on the storage. That it did not work is no failure: the next copy overwrites it."""
        result = self._storageElement(se).removeFile(list(lfns))
        if not result["OK"]:
            return dict.fromkeys(lfns, str(result["Message"]))
        return {lfn: str(why) for lfn, why in result["Value"]["Failed"].items()}

    def cancelRequests(self, requestIDs: Collection[int]) -> Mapping[int, str]:
        """Cancel requests; FTS3Agent then cancels their jobs."""
        failed = {}
        for requestID in sorted(requestIDs):
            try:
                valueOrRaise(self._requests.cancelRequest(requestID), REQUESTS)
            except ServiceRefusal as error:
                failed[requestID] = error.detail
        return failed
