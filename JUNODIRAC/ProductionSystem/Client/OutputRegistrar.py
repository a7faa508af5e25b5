"""Brings outputs that count into the catalogue and on to the next steps: a job its own one, the recovery what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from JUNODIRAC.Core.Domain.JobRecords import CommittedOutput
from JUNODIRAC.Core.Logic.Ports import BulkResult, CatalogueFile, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import COMPONENT as CATALOGUE
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import DFCCatalogue, registrationURLs
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, isUnavailable, valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransformationTransfers import COMPONENT as TRANSFORMATIONS
from JUNODIRAC.RawDataSystem.Client.TransformationTransfers import TransformationTransfers

SERVICE = "Production/ChainManager"
_PROCESSED = "Processed"
_DUPLICATE = "duplicate"
_REMEDY = "another chain writes there, or it was made by hand; give the step's output another directory, or remove the metadata"


class OutputRegistrar:
    """Each step of it may be repeated, by anyone, at the same time: nothing is there twice afterwards.

    :param catalogue: DIRAC's FileCatalogClient, and the other clients, acting for the production manager
    :param transformations: DIRAC's TransformationClient
    :param chains: client of Production/ChainManager
    :param fileURLs: gives the PFN of each LFN at an SE
    """

    def __init__(
        self, catalogue: Any, transformations: Any, chains: Any, fileURLs: Callable[[str, Sequence[str]], Mapping[str, str]]
    ) -> None:
        self._client, self._transformations, self._chains = catalogue, transformations, chains
        self._catalogue = DFCCatalogue(catalogue, fileURLs)
        self._attacher = TransformationTransfers(transformations, plugin="", groupSize=0, campaign="")

    @classmethod
    def of(cls, vo: str, clientArguments: Mapping[str, Any] | None = None) -> OutputRegistrar:
        """With DIRAC's own clients.

        :param clientArguments: see :class:`JUNODIRAC.RawDataSystem.Client.Owner.Owner`; a job's proxy needs none
        """
        from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        from JUNODIRAC.ProductionSystem.Client.ChainManagerClient import ChainManagerClient

        arguments = dict(clientArguments or {})
        return cls(
            FileCatalogClient(url=CATALOGUE, **arguments),
            TransformationClient(**arguments),
            ChainManagerClient(**arguments),
            registrationURLs(vo),
        )

    def register(self, outputs: Sequence[CommittedOutput]) -> BulkResult:
        """Register outputs, with their ancestors of all depths, and give them to the next steps.

        :returns: LFNs, and what the catalogue or the Transformation System said against others
        :raises TemporaryFailure: if a service does not answer; what was done till then is done
        """
        failed = self._openDirectories(outputs)
        good = [each for each in outputs if each.lfn not in failed]
        for action in (self._addFiles, self._addAncestors, self._attach, self._endInputs):
            failed.update(action(good))
            good = [each for each in good if each.lfn not in failed]
        if good:
            valueOrRaise(self._chains.registeredOutput([each.productID for each in good]), SERVICE)
        return BulkResult(tuple(each.lfn for each in good), failed)

    # ---- the steps; each returns the LFNs that failed, and why

    def _openDirectories(self, outputs: Sequence[CommittedOutput]) -> dict[str, str]:
        failed = {}
        for directory, mine in _by(outputs, lambda each: each.directory):
            try:
                self._openDirectory(directory, mine[0].metadata)
            except ServiceRefusal as error:
                failed.update(dict.fromkeys((each.lfn for each in mine), str(error)))
        return failed

    def _openDirectory(self, directory: str, metadata: Mapping[str, str]) -> None:
        try:
            self._catalogue.openDirectory(directory, metadata, _REMEDY)
        except ServiceRefusal:
            # two jobs that make a new directory at the same moment hinder each other once
            self._catalogue.openDirectory(directory, metadata, _REMEDY)

    def _addFiles(self, outputs: Sequence[CommittedOutput]) -> dict[str, str]:
        failed: dict[str, str] = {}
        for se, mine in _by(outputs, lambda each: each.se):
            files = [CatalogueFile(each.lfn, each.sizeBytes, each.checksum, each.guid) for each in mine]
            failed.update(self._catalogue.registerFiles(files, se).failed)
        return failed

    def _addAncestors(self, outputs: Sequence[CommittedOutput]) -> dict[str, str]:
        """The catalogue adds the parents' own ancestors, one deeper."""
        wanted = {each.lfn: {"Ancestors": list(each.parents)} for each in outputs if each.parents}
        if not wanted:
            return {}
        answer = valueOrRaise(self._client.addFileAncestors(wanted), CATALOGUE)
        failed = {lfn: str(reason) for lfn, reason in answer["Failed"].items()}
        _raiseIfAway(CATALOGUE, failed.values())
        repeated = [each for each in outputs if _DUPLICATE in failed.get(each.lfn, "").lower()]
        if repeated:
            known = valueOrRaise(self._client.getFileAncestors([each.lfn for each in repeated], [1]), CATALOGUE)["Successful"]
            for each in repeated:
                if set(each.parents) <= set(known.get(each.lfn, ())):
                    failed.pop(each.lfn)
        return {lfn: f"its ancestors could not be set: {reason}" for lfn, reason in failed.items()}

    def _attach(self, outputs: Sequence[CommittedOutput]) -> dict[str, str]:
        failed: dict[str, str] = {}
        for takers, mine in _by([each for each in outputs if each.takers], lambda each: each.takers):
            failed.update(self._attacher.attachFiles(takers, [each.lfn for each in mine]).failed)
        return failed

    def _endInputs(self, outputs: Sequence[CommittedOutput]) -> dict[str, str]:
        for transformationID, mine in _by(outputs, lambda each: each.transformationID):
            parents = [lfn for each in mine for lfn in each.parents]
            result = self._transformations.setFileStatusForTransformation(transformationID, _PROCESSED, parents)
            valueOrRaise(result, TRANSFORMATIONS)
        return {}


def _by(outputs: Iterable[CommittedOutput], key: Callable[[CommittedOutput], Any]) -> list[tuple[Any, list[CommittedOutput]]]:
    return [(value, list(mine)) for value, mine in groupby(sorted(outputs, key=key), key)]


def _raiseIfAway(component: str, reasons: Iterable[str]) -> None:
    for reason in reasons:
        if isUnavailable(reason):
            raise TemporaryFailure(component, reason)
