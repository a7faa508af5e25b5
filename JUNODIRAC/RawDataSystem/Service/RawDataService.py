"""What the methods of the service RawData/RawDataManager share: the ledger, the callers' rights, clean failures."""

from __future__ import annotations

import functools
import threading
from typing import Any

from DIRAC import S_ERROR, S_OK
from DIRAC.ConfigurationSystem.Client.Config import gConfig
from DIRAC.ConfigurationSystem.Client.Helpers.Registry import getVOForGroup
from DIRAC.Core.DISET.RequestHandler import RequestHandler
from DIRAC.Core.Security.Properties import SecurityProperty
from DIRAC.Core.Utilities.ReturnValues import SErrorException, convertToReturnValue, returnValueOrRaise
from DIRAC.Core.Utilities.Shifter import setupShifterProxyInEnv

from JUNODIRAC.Core.Domain.ChainRecords import ChainRefused
from JUNODIRAC.Core.Domain.QuarantineState import CannotClose
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.OpenBlock import BlockMismatch
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.BlockLifeDesk import CannotChangeBlock
from JUNODIRAC.RawDataSystem.Client.BlockOpener import UnknownBlock
from JUNODIRAC.RawDataSystem.Client.DatasetDesk import DatasetRefused
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal
from JUNODIRAC.RawDataSystem.Client.GapFinder import WrongDirectory
from JUNODIRAC.RawDataSystem.Client.KafkaConfiguration import loadKafkaConfiguration
from JUNODIRAC.RawDataSystem.Client.QuarantineDesk import Actor, UnknownRecord
from JUNODIRAC.RawDataSystem.Client.SourceStorage import SourceStorage
from JUNODIRAC.RawDataSystem.Client.TopicWriter import TopicWriter
from JUNODIRAC.RawDataSystem.Client.TypePolicies import BadTypeConfiguration, loadEachTypePolicy, loadTypePolicy
from JUNODIRAC.RawDataSystem.DB.RawDataDB import LedgerMismatch, RawDataDB

READERS = ["authenticated"]
MANAGERS = [SecurityProperty.PRODUCTION_MANAGEMENT.value]
# DIRAC's agents work with the host's certificate
AGENTS = [SecurityProperty.TRUSTED_HOST.value, *MANAGERS]

# Failures that explain themselves: their text goes to the caller as it is, without Python's decoration.
EXPLAINED = (
    TemporaryFailure,
    ServiceRefusal,
    BadTypeConfiguration,
    UnknownBlock,
    BlockMismatch,
    LedgerMismatch,
    UnknownRecord,
    CannotClose,
    WrongDirectory,
    DatasetRefused,
    CannotChangeBlock,
    ChainRefused,
)


def answer(func: Any) -> Any:
    """``convertToReturnValue`` with clean messages for failures that explain themselves."""

    @functools.wraps(func)
    def explained(self: Any, *args: Any) -> Any:
        try:
            return func(self, *args)
        except EXPLAINED as error:
            raise SErrorException(str(error)) from error

    return convertToReturnValue(explained)


class RawDataService(RequestHandler):
    """Base of the classes that hold the service's methods."""

    ledger: RawDataDB
    _storages: dict[tuple[str, str], SourceStorage] = {}
    _storagesLock = threading.Lock()

    @classmethod
    def initializeHandler(cls, serviceInfoDict: dict[str, Any]) -> Any:
        """Connect to the ledger."""
        try:
            cls.ledger = RawDataDB(parentLogger=cls.log)
        except RuntimeError as error:
            return S_ERROR(str(error))
        return S_OK()

    # ---- who asks

    def _managerCredentials(self) -> dict[str, Any]:
        """The caller, who must be a production manager whatever the configuration's Authorization section says."""
        credentials: dict[str, Any] = self.getRemoteCredentials()
        if SecurityProperty.PRODUCTION_MANAGEMENT not in credentials.get("properties", []):
            group = credentials.get("group", "none")
            raise SErrorException(
                f"group {group} may not change blocks or files: this needs the property {MANAGERS[0]};"
                " use a proxy of a group that has it (dirac-proxy-init -g GROUP)"
            )
        return credentials

    def _manager(self, reason: str) -> Actor:
        """The caller with his reason, who must be a production manager.

        :raises SErrorException: if he is none, or gave no reason
        """
        credentials = self._managerCredentials()
        if not reason.strip():
            raise SErrorException("a change needs a reason, which is kept in the journal")
        return Actor(credentials.get("username", "unknown"), credentials.get("group", "unknown"), reason.strip())

    def _vo(self) -> str:
        group = self.getRemoteCredentials().get("group", "")
        return str(getVOForGroup(group) or gConfig.getValue("/DIRAC/VirtualOrganization", ""))

    # ---- what is needed to answer

    def _policy(self, typeName: str) -> TypePolicy:
        return loadTypePolicy(typeName, self._vo())

    def _policies(self, typeName: str) -> tuple[dict[str, TypePolicy], list[str]]:
        """The policies of one Type, or of all that are configured well, and what is wrong with the others."""
        if typeName:
            return {typeName: self._policy(typeName)}, []
        good, bad = loadEachTypePolicy(self._vo())
        return good, sorted(bad.values())

    def _storage(self, policy: TypePolicy) -> SourceStorage:
        """The Type's source storage."""
        return self._storageAt(policy.sourceSE, self._vo())

    def _storageAt(self, seName: str, vo: str) -> SourceStorage:
        """A storage; made once, since it keeps threads and connections."""
        shifter = self.srv_getCSOption("shifterProxy", "")
        if shifter:
            returnValueOrRaise(setupShifterProxyInEnv(shifter))
        key = (seName, vo)
        with self._storagesLock:
            if key not in self._storages:
                self._storages[key] = SourceStorage(*key)
            return self._storages[key]

    def _writer(self) -> TopicWriter:
        kafka = loadKafkaConfiguration(self._vo())
        return TopicWriter(kafka.brokers, kafka.options)
