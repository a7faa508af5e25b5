"""Methods of RawData/RawDataManager for datasets."""

from __future__ import annotations

from typing import Any

from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations
from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient

from JUNODIRAC.RawDataSystem.Client.DatasetDesk import DatasetDesk
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import COMPONENT as CATALOGUE
from JUNODIRAC.RawDataSystem.Client.DFCDatasets import DFCDatasets
from JUNODIRAC.RawDataSystem.Client.Owner import productionManager
from JUNODIRAC.RawDataSystem.Service.RawDataService import MANAGERS, READERS, RawDataService, answer


class DatasetMethods(RawDataService):
    """Everyone may look, production managers may make and freeze."""

    auth_listDatasets = READERS
    types_listDatasets = [str]

    @answer
    def export_listDatasets(self, typeName: str) -> list[dict[str, Any]]:
        """Datasets of a Type (empty: of all), see :meth:`DatasetDesk.listAll`."""
        return self._datasets().listAll(typeName)

    auth_getDataset = READERS
    types_getDataset = [str]

    @answer
    def export_getDataset(self, name: str) -> dict[str, Any]:
        """One dataset with its blocks, see :meth:`DatasetDesk.show`."""
        return self._datasets().show(name)

    auth_getDatasetPlan = READERS
    types_getDatasetPlan = [str, str, str, str]

    @answer
    def export_getDatasetPlan(self, name: str, typeName: str, first: str, last: str) -> dict[str, Any]:
        """What createDataset would make, see :meth:`DatasetDesk.plan`."""
        return self._datasets().plan(name, typeName, first, last)

    auth_compareDataset = READERS
    types_compareDataset = [str]

    @answer
    def export_compareDataset(self, name: str) -> dict[str, Any]:
        """A dataset against ledger and catalogue, see :meth:`DatasetDesk.check`."""
        return self._datasets().check(name)

    auth_createDataset = MANAGERS
    types_createDataset = [str, str, str, str, str]

    @answer
    def export_createDataset(self, name: str, typeName: str, first: str, last: str, reason: str) -> dict[str, Any]:
        """Make a dataset over the blocks from the first to the last, see :meth:`DatasetDesk.create`.

        :param reason: why, for the journal
        """
        actor = self._manager(reason)
        desk = self._datasets()
        desk.plan(name, typeName, first, last)
        self.ledger.recordJournal(actor.name, actor.group, "createDataset", f"dataset {name}", actor.reason)
        return desk.create(name, typeName, first, last, actor.name)

    auth_freezeDataset = MANAGERS
    types_freezeDataset = [str, str]

    @answer
    def export_freezeDataset(self, name: str, reason: str) -> dict[str, Any]:
        """Fix the content of a dataset, see :meth:`DatasetDesk.freeze`.

        :param reason: why, for the journal
        """
        actor = self._manager(reason)
        desk = self._datasets()
        desk.show(name)
        self.ledger.recordJournal(actor.name, actor.group, "freezeDataset", f"dataset {name}", actor.reason)
        return desk.freeze(name, actor.name)

    def _datasets(self) -> DatasetDesk:
        vo = self._vo()
        folder = Operations(vo=vo or None).getValue("RawData/Datasets/Path", "") or f"/{vo}/datasets"
        client = FileCatalogClient(url=CATALOGUE, **productionManager(vo).clientArguments)
        return DatasetDesk(self.ledger, DFCDatasets(client), folder)
