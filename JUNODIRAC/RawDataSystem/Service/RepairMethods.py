"""Methods of RawData/RawDataManager for repairs, pauses of sites, and copies that people want once more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from DIRAC.Core.Utilities.ReturnValues import SErrorException

from JUNODIRAC.Core.Domain.RepairRecords import Pause
from JUNODIRAC.RawDataSystem.Client.BlockOpener import UnknownBlock
from JUNODIRAC.RawDataSystem.Client.DiracHands import DiracHands
from JUNODIRAC.RawDataSystem.Client.Owner import productionManager
from JUNODIRAC.RawDataSystem.Client.RetransferDesk import BadSelection, RetransferDesk, SitePlan
from JUNODIRAC.RawDataSystem.Client.TransferFactsReader import TransferFactsReader
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import CATALOGUE
from JUNODIRAC.RawDataSystem.Service.RawDataService import AGENTS, MANAGERS, READERS, RawDataService, answer

_MAX_NAMES = 100_000
_MAX_PAUSE_SECONDS = 365 * 86400


class RepairMethods(RawDataService):
    """Everyone may look, production managers act."""

    # ---- pauses

    auth_getPauses = READERS
    types_getPauses = []  # type: ignore[var-annotated]

    @answer
    def export_getPauses(self) -> list[dict[str, Any]]:
        """The pauses that hold: SE, Since, Until (or empty), Actor, Reason, ErrorClass of one that the repair made; and of one
        that is about one block alone Type, Block, TransformationID and Directories."""
        return [self._pauseDict(pause) for pause in self.ledger.readPauses(datetime.now(UTC))]

    auth_pauseSite = MANAGERS
    types_pauseSite = [str, str, str, int, str]

    @answer
    def export_pauseSite(self, se: str, typeName: str, blockName: str, seconds: int, reason: str) -> None:
        """Copy nothing to a storage element until somebody resumes.

        :param blockName: of this block only; empty for all
        :param seconds: ends by itself after so many; 0: never
        :param reason: why, for the journal and for whoever asks
        """
        actor = self._manager(reason)
        if not 0 <= seconds <= _MAX_PAUSE_SECONDS:
            raise SErrorException(f"a pause lasts from 0 (until it is ended) to {_MAX_PAUSE_SECONDS} seconds, not {seconds}")
        blockID = self._pausedBlock(se, typeName, blockName)
        what = f"{typeName}/{blockName} {se}" if blockName else se
        self.ledger.recordJournal(actor.name, actor.group, "pauseSite", what, actor.reason)
        self.ledger.endPauses(se, blockID, actor.name)  # one pause, the last one asked for
        until = datetime.now(UTC) + timedelta(seconds=seconds) if seconds else None
        self.ledger.addPause(se, blockID, until, actor.name, actor.reason)

    auth_resumeSite = MANAGERS
    types_resumeSite = [str, str, str, str]

    @answer
    def export_resumeSite(self, se: str, typeName: str, blockName: str, reason: str) -> int:
        """End the pauses of a storage element, those that the repair made included.

        :param blockName: of this block only; empty: of all blocks together; a pause of a single block is ended by its name
        :returns: how many there were
        """
        actor = self._manager(reason)
        blockID = self._pausedBlock(se, typeName, blockName)
        what = f"{typeName}/{blockName} {se}" if blockName else se
        self.ledger.recordJournal(actor.name, actor.group, "resumeSite", what, actor.reason)
        return self.ledger.endPauses(se, blockID, actor.name)

    # ---- bad replicas

    auth_getBadReplicas = READERS
    types_getBadReplicas = []  # type: ignore[var-annotated]

    @answer
    def export_getBadReplicas(self) -> dict[str, list[str]]:
        """Storage elements with replicas that are never a source, by LFN."""
        return self.ledger.readBadReplicas()

    auth_doubtReplicas = AGENTS
    types_doubtReplicas = [dict]

    @answer
    def export_doubtReplicas(self, failures: dict[str, dict[str, str]]) -> int:
        """Failed copies speak against replicas: they are no source until the repair has asked their storages.

        :param failures: why, by storage element and LFN; files that the ledger does not have are left out
        :returns: how many are in doubt now
        """
        return sum(self.ledger.doubtReplicas(se, dict(list(files.items())[:_MAX_NAMES])) for se, files in failures.items())

    # ---- copies once more

    auth_getRetransferPlan = READERS
    types_getRetransferPlan = [str, str, list, list, bool]

    @answer
    def export_getRetransferPlan(
        self, typeName: str, blockName: str, sites: list[str], names: list[str], onlyFailed: bool
    ) -> list[dict[str, Any]]:
        """What retransferFiles would do, for each site: SE, TransformationID, Files, SizeBytes, Registered (files whose replica
        is taken out of the catalogue first), Kept (LFNs whose only replica it is), UnderWay (files that are copied already) and
        Requests (how many are cancelled)."""
        return [plan.toDict() for plan in self._plans(typeName, blockName, sites, names, onlyFailed)]

    auth_retransferFiles = MANAGERS
    types_retransferFiles = [str, str, list, list, bool, str]

    @answer
    def export_retransferFiles(
        self, typeName: str, blockName: str, sites: list[str], names: list[str], onlyFailed: bool, reason: str
    ) -> dict[str, int]:
        """Copy files of a block once more.

        :param sites: empty for all to which the block is copied
        :param names: LFNs or file names; empty for all files of the block
        :param onlyFailed: only those that were given up, are problematic, or have no replica there
        :param reason: why, for the journal
        :returns: number of files by SE
        """
        actor = self._manager(reason)
        plans = self._plans(typeName, blockName, sites, names, onlyFailed)
        what = f"{typeName}/{blockName} {' '.join(plan.se for plan in plans)}"
        self.ledger.recordJournal(actor.name, actor.group, "retransferFiles", what, actor.reason)
        hands = DiracHands.of(productionManager(self._vo()))

        def journal(name: str) -> None:
            self.ledger.recordJournal(actor.name, actor.group, "retransferFile", name, actor.reason)

        desk = self._retransferDesk(typeName)
        return {plan.se: desk.carryOut(plan, hands, journal, actor.name, actor.reason) for plan in plans}

    # ---- details

    def _plans(self, typeName: str, blockName: str, sites: list[str], names: list[str], onlyFailed: bool) -> list[SitePlan]:
        if len(names) > _MAX_NAMES or not all(isinstance(name, str) for name in (*names, *sites)):
            raise SErrorException(f"a list of at most {_MAX_NAMES} names is needed")
        try:
            return self._retransferDesk(typeName).plan(blockName, sites, names, onlyFailed)
        except BadSelection as error:
            raise SErrorException(str(error)) from error

    def _retransferDesk(self, typeName: str) -> RetransferDesk:
        from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        vo = self._vo()
        reader = TransferFactsReader(storageOf=lambda se: self._storageAt(se, vo))
        clients = (FileCatalogClient(url=CATALOGUE), TransformationClient())
        return RetransferDesk(self.ledger, *clients, self._policy(typeName), reader.copiesAt)

    def _pausedBlock(self, se: str, typeName: str, blockName: str) -> int:
        """The id of the block, or 0 for all. A storage element that no Type copies to is most likely a mistake."""
        policies, _ = self._policies(typeName)
        known = sorted({name for policy in policies.values() for name in policy.destinations})
        if not blockName:
            if se not in known:
                raise SErrorException(f"{se} is no destination of any Type; these are: {', '.join(known)}")
            return 0
        found = self.ledger.findSites(typeName, blockName)
        if found is None:
            raise UnknownBlock(typeName, blockName)
        blockID, sites = found
        if se not in (*sites, *known):
            raise SErrorException(f"block {blockName} of Type {typeName} is not copied to {se}, but to {', '.join(sites)}")
        return blockID

    def _pauseDict(self, pause: Pause) -> dict[str, Any]:
        found: dict[str, Any] = {
            "SE": pause.se,
            "Type": pause.typeName,
            "Block": pause.block,
            "Since": pause.since.isoformat(timespec="seconds"),
            "Until": pause.until.isoformat(timespec="seconds") if pause.until else "",
            "Actor": pause.actor,
            "Reason": pause.reason,
            "ErrorClass": pause.errorClass,
            "TransformationID": None,
            "Directories": [],
        }
        if pause.blockID:
            block = self.ledger.findBlock(pause.typeName, pause.block)
            found["TransformationID"] = block.transfers.get(pause.se, 0) if block else 0
            found["Directories"] = self.ledger.readDirectories(pause.typeName, pause.block)
        return found
