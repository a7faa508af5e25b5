"""Receives the announcements of one Type from Kafka and brings the files on their way.

Each announced file is written to the ledger, registered in the file catalogue and attached to the transfers of its block;
only then is the offset of its message committed. Install one instance for each Type, for example RawReceiverAgent and
RTRawReceiverAgent, with the option ``Module = DataReceiverAgent``.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN DataReceiverAgent
  :end-before: ##END
  :dedent: 2
  :caption: DataReceiverAgent options
"""

from __future__ import annotations

import signal
import threading
from time import monotonic
from typing import Any

from DIRAC import S_OK
from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations
from DIRAC.Core.Base.AgentModule import AgentModule
from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue
from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.IngestBatch import IngestBatch
from JUNODIRAC.RawDataSystem.Client.BatchReceiver import BatchReceiver, Trouble
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import COMPONENT as CATALOGUE_SERVICE
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import DFCCatalogue, registrationURLs
from JUNODIRAC.RawDataSystem.Client.KafkaSource import KafkaSource
from JUNODIRAC.RawDataSystem.Client.Owner import Owner, productionManager
from JUNODIRAC.RawDataSystem.Client.SourceStorage import SourceStorage
from JUNODIRAC.RawDataSystem.Client.TransformationTransfers import TransformationTransfers
from JUNODIRAC.RawDataSystem.Client.TypePolicies import BadTypeConfiguration, loadTypePolicy
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

AGENT_NAME = "RawData/DataReceiverAgent"

_NAME_SUFFIX = "ReceiverAgent"
_KAFKA = "RawData/Kafka"


class DataReceiverAgent(AgentModule):
    """Composition root of the receiver: reads the configuration, connects the adapters, runs the cycle."""

    def initialize(self) -> dict[str, Any]:
        """Prepare to connect. Nothing is connected yet.

        An agent whose initialize fails is started again by runit every second, for ever; what is missing at the start is
        waited for in the cycle instead, and said once.
        """
        self._typeName = self._typeOfInstance()
        self._stop = threading.Event()
        self._source: KafkaSource | None = None
        self._receiver: BatchReceiver | None = None
        self._startTrouble = Trouble(self.log, self._number("MaxRetryDelay", 60))
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._onTerminate)
        self.log.notice("Receiver of Type", self._typeName or "unknown")
        return S_OK()

    @convertToReturnValue
    def execute(self) -> None:
        """One bounded cycle of batches; the first one only connects.

        If something is out of order at the end, it fails with that, so that nobody takes the cycle for a good one.
        """
        if self._receiver is None:
            self._receiver = self._connect()
            return
        end = monotonic() + self._number("ConsumeSeconds", 60)
        while monotonic() < end and not self._isStopping():
            self._receiver.step()
        self._receiver.trouble.raiseIfLasting()

    def finalize(self) -> dict[str, Any]:
        """Leave the consumer group, so that another receiver takes over at once. What is not committed comes again."""
        if self._source is not None:
            self._source.close()
        return S_OK()

    # --------------------------------------------------------------- stopping

    def _onTerminate(self, _signal: int, _frame: Any) -> None:
        """SIGTERM: finish the batch that is being written, then end."""
        self._stop.set()
        self.am_stopExecution()

    def _isStopping(self) -> bool:
        return self._stop.is_set() or self.am_checkStopAgentFile()

    # ------------------------------------------------------------- connecting

    def _connect(self) -> BatchReceiver:
        """Connect everything. If something is out of order, the next cycle tries again."""
        try:
            policy = loadTypePolicy(self._typeName, self._vo())
            owner = productionManager(self._vo())
            ingest = self._makeIngest(policy, owner)
            self._source = self._source or self._makeSource(policy)
        except Exception as exc:
            self._startTrouble.add(exc)
            raise
        self._startTrouble.end()
        self.log.notice("Receiving", f"{policy.topic} for {policy.sourceSE} as {owner.name} of {owner.group}")
        return BatchReceiver(
            self._source,
            ingest.run,
            self.log,
            maxMessages=self._number("BatchSize", 1000),
            batchSeconds=self._number("BatchSeconds", 1),
            maxDelaySeconds=self._number("MaxRetryDelay", 60),
            wait=self._stop.wait,
        )

    def _makeIngest(self, policy: TypePolicy, owner: Owner) -> IngestBatch:
        return IngestBatch(
            policy,
            RawDataDB(parentLogger=self.log),
            DFCCatalogue(
                FileCatalogClient(url=CATALOGUE_SERVICE, **owner.clientArguments),
                registrationURLs(owner.vo),
                filesPerCall=self._number("FilesPerCall", 1000),
            ),
            TransformationTransfers(
                TransformationClient(**owner.clientArguments),
                plugin=policy.plugin,
                groupSize=policy.groupSize,
                campaign=policy.campaign,
            ),
            SourceStorage(policy.sourceSE, owner.vo, threads=self._number("StorageThreads", 8)),
        )

    def _makeSource(self, policy: TypePolicy) -> KafkaSource:
        operations = Operations(vo=self._vo() or None)
        brokers = ",".join(operations.getValue(f"{_KAFKA}/Brokers", []))
        if not brokers:
            path = f"/Operations/{self._vo() or 'Defaults'}/{_KAFKA}/Brokers"
            raise BadTypeConfiguration(path, "is empty; give host:port of the Kafka brokers")
        prefix = operations.getValue(f"{_KAFKA}/GroupPrefix", "junodirac")
        options = operations.getOptionsDict(f"{_KAFKA}/Options").get("Value") or {}
        return KafkaSource(brokers, policy.topic, f"{prefix}-{policy.typeName}", options)

    # -------------------------------------------------------------- options

    def _typeOfInstance(self) -> str:
        """Option Type, else the name of the instance without ReceiverAgent: RTRawReceiverAgent receives RTRaw."""
        instance = self.am_getModuleParam("fullName").rpartition("/")[2]
        return self.am_getOption("Type", "") or instance.removesuffix(_NAME_SUFFIX)

    def _vo(self) -> str:
        return self.am_getOption("VO", "")

    def _number(self, option: str, default: int) -> int:
        return int(self.am_getOption(option, default))
