"""Receives the announcements of one Type from Kafka and brings the files on their way.

Each announced file is checked, written to the ledger, registered in the file catalogue and attached to the transfers of its
block, and a status message says so; only then is the offset of its message committed. Beside that the receiver gives a sign
of life every ten seconds, and compares the last days' directories with the ledger from time to time. Install one instance
for each Type, for example RawReceiverAgent and RTRawReceiverAgent, with the option ``Module = DataReceiverAgent``.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN DataReceiverAgent
  :end-before: ##END
  :dedent: 2
  :caption: DataReceiverAgent options
"""

from __future__ import annotations

import gc
import os
import socket
import threading
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import Any

from DIRAC import S_OK
from DIRAC.Core.Base.AgentModule import AgentModule
from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue
from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.IngestBatch import IngestBatch
from JUNODIRAC.RawDataSystem.Client.BackgroundSweep import BackgroundSweep
from JUNODIRAC.RawDataSystem.Client.BatchReceiver import BatchReceiver
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import COMPONENT as CATALOGUE_SERVICE
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import DFCCatalogue, registrationURLs
from JUNODIRAC.RawDataSystem.Client.KafkaConfiguration import KafkaConfiguration, loadKafkaConfiguration
from JUNODIRAC.RawDataSystem.Client.KafkaSource import KafkaSource
from JUNODIRAC.RawDataSystem.Client.Owner import Owner, productionManager
from JUNODIRAC.RawDataSystem.Client.PeriodicTask import PeriodicTask
from JUNODIRAC.RawDataSystem.Client.PromptTransport import usePromptTransport
from JUNODIRAC.RawDataSystem.Client.SourceStorage import SourceStorage
from JUNODIRAC.RawDataSystem.Client.StatusSender import StatusSender
from JUNODIRAC.RawDataSystem.Client.StopGuard import StopGuard
from JUNODIRAC.RawDataSystem.Client.Sweeper import Sweeper
from JUNODIRAC.RawDataSystem.Client.TransformationTransfers import TransformationTransfers
from JUNODIRAC.RawDataSystem.Client.Trouble import Trouble
from JUNODIRAC.RawDataSystem.Client.TypePolicies import loadTypePolicy
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

AGENT_NAME = "RawData/DataReceiverAgent"

_NAME_SUFFIX = "ReceiverAgent"
_HEARTBEAT_SECONDS = 10.0
_FIRST_CYCLE_SECONDS = 9.0
# a batch takes seconds; one that takes longer waits for somebody who does not say so
_LONG_BATCH_SECONDS = 60.0
_SWEEP_PAUSE_SECONDS = 1.0
_SWEEP_NICENESS = 10


class DataReceiverAgent(AgentModule):
    """Composition root of the receiver: reads the configuration, connects the adapters, runs the cycle."""

    def initialize(self) -> dict[str, Any]:
        """Prepare to connect. Nothing is connected yet.

        An agent whose initialize fails is started again by runit every second, for ever; what is missing at the start is
        waited for in the cycle instead, and said once.
        """
        usePromptTransport()
        # a batch is hundreds of thousands of small objects, among which Python looks for cycles again and again
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)
        self._typeName = self._typeOfInstance()
        self._startedTime = datetime.now(UTC)
        self._stop = threading.Event()
        self._source: KafkaSource | None = None
        self._receiver: BatchReceiver | None = None
        self._beatLedger: RawDataDB | None = None
        self._tasks: list[PeriodicTask] = []
        self._startTrouble = Trouble(self.log, self._number("MaxRetryDelay", 60))
        self._guard = StopGuard(
            self.log, self._number("StopSeconds", 5), self._isAskedToStop, self._onStop, self._unfinished, self._leave
        )
        if threading.current_thread() is threading.main_thread():
            self._guard.arm()
        self.log.notice("Receiver of Type", self._typeName or "unknown")
        return S_OK()

    @convertToReturnValue
    def execute(self) -> None:
        """One bounded cycle of batches; the first one connects, and ends when the backlog is read, or DIRAC's pause over.

        If something is out of order at the end, it fails with that, so that nobody takes the cycle for a good one.
        """
        if not self._tasks:
            self._startTask("Heartbeat", _HEARTBEAT_SECONDS, self._beat, self.log.verbose)
        isFirst = self._receiver is None
        receiver = self._receiver = self._receiver or self._connect()
        # a short first cycle shows soon whether all is well; the next one begins ten seconds after it began
        end = monotonic() + (_FIRST_CYCLE_SECONDS if isFirst else self._number("ConsumeSeconds", 60))
        while monotonic() < end and not self._isStopping():
            receiver.step()
            if isFirst and receiver.readUntil is not None:
                break
        receiver.trouble.raiseIfLasting()

    def finalize(self) -> dict[str, Any]:
        """Leave the consumer group, so that another receiver takes over at once. What is not committed comes again."""
        self._stop.set()
        for task in self._tasks:
            task.stop()
        if self._source is not None:
            self._source.close()
        return S_OK()

    # --------------------------------------------------------------- stopping

    def _onStop(self) -> None:
        """A request to stop: the batch that is being written gets StopSeconds to end. Runs in a thread of its own."""
        self._stop.set()
        self.am_stopExecution()

    def _isAskedToStop(self) -> bool:
        """DIRAC's own way, a file; one that is there before the first cycle is left over, and DIRAC takes it away."""
        return bool(self._tasks) and self.am_checkStopAgentFile()

    def _isStopping(self) -> bool:
        return self._stop.is_set() or self.am_checkStopAgentFile()

    def _unfinished(self) -> str:
        """What is abandoned if the process ends now."""
        pending = self._receiver.pendingMessages if self._receiver is not None else 0
        return f"{pending} messages of the batch that is being written come again" if pending else "no batch is being written"

    def _leave(self) -> None:
        """Leave the consumer group while the main thread is held up elsewhere; never while it may use the consumer itself."""
        if self.am_checkStopAgentFile():
            self.am_removeStopAgentFile()  # DIRAC does so at a clean end; else the next start would stop at once
        if self._source is not None and self._receiver is not None and self._receiver.batchAgeSeconds > 0:
            self._source.close()

    # ------------------------------------------------------------- connecting

    def _connect(self) -> BatchReceiver:
        """Connect everything. If something is out of order, the next cycle tries again."""
        try:
            policy = loadTypePolicy(self._typeName, self._vo())
            owner = productionManager(self._vo())
            kafka = loadKafkaConfiguration(self._vo())
            ledger = RawDataDB(parentLogger=self.log)
            ingest = self._makeIngest(policy, owner, kafka, ledger)
            self._source = self._source or self._makeSource(policy, kafka)
        except Exception as exc:
            self._startTrouble.add(exc)
            raise
        self._startTrouble.end()
        self.log.notice("Receiving", f"{policy.topic} for {policy.sourceSE} as {owner.name} of {owner.group}")
        receiver = BatchReceiver(
            self._source,
            ingest.run,
            partial(ledger.dueWaiting, policy.topic),
            self.log,
            maxMessages=int(self._number("BatchSize", 8000)),
            batchSeconds=self._number("BatchSeconds", 0.3),
            maxDelaySeconds=self._number("MaxRetryDelay", 60),
            wait=self._stop.wait,
        )
        if policy.sweepSeconds:
            self._startSweep(policy, owner, self._source, receiver)
        return receiver

    def _makeIngest(self, policy: TypePolicy, owner: Owner, kafka: KafkaConfiguration, ledger: RawDataDB) -> IngestBatch:
        return IngestBatch(
            policy,
            ledger,
            DFCCatalogue(
                FileCatalogClient(url=CATALOGUE_SERVICE, **owner.clientArguments),
                registrationURLs(owner.vo),
                filesPerCall=int(self._number("FilesPerCall", 1000)),
            ),
            TransformationTransfers(
                TransformationClient(**owner.clientArguments),
                plugin=policy.plugin,
                groupSize=policy.groupSize,
                campaign=policy.campaign,
            ),
            self._makeStorage(policy, owner, int(self._number("StorageThreads", 16))),
            StatusSender(policy, kafka),
            clock=monotonic,
            lanes=int(self._number("Lanes", 2)),
        )

    def _makeStorage(self, policy: TypePolicy, owner: Owner, threads: int) -> SourceStorage:
        return SourceStorage(
            policy.sourceSE,
            owner.vo,
            threads=threads,
            checksumThreads=int(self._number("ChecksumThreads", 4)),
            timeoutSeconds=self._number("StorageSeconds", 60),
        )

    def _makeSource(self, policy: TypePolicy, kafka: KafkaConfiguration) -> KafkaSource:
        return KafkaSource(kafka.brokers, policy.topic, kafka.groupOf(policy.typeName), kafka.options)

    # -------------------------------------------------- beside the main work

    def _startTask(self, name: str, seconds: float, work: Any, say: Any, niceness: int = 0) -> None:
        task = PeriodicTask(name, seconds, work, say, niceness)
        task.start()
        self._tasks.append(task)

    def _beat(self) -> None:
        """Tell the ledger that we live, and what we wait for."""
        if self._beatLedger is None:
            self._beatLedger = RawDataDB(parentLogger=self.log)
        receiver = self._receiver
        trouble, since = (receiver.trouble if receiver is not None else self._startTrouble).current()
        batchAgeSeconds = receiver.batchAgeSeconds if receiver is not None else 0.0
        if receiver is not None and not trouble and batchAgeSeconds > _LONG_BATCH_SECONDS:
            trouble = f"the batch of now, {receiver.pendingMessages} messages, takes {batchAgeSeconds:.0f} s"
        instance = self.am_getModuleParam("fullName").rpartition("/")[2]
        self._beatLedger.recordHeartbeat(
            self._typeName, instance, socket.getfqdn(), os.getpid(), self._startedTime, trouble, since
        )

    def _startSweep(self, policy: TypePolicy, owner: Owner, source: KafkaSource, receiver: BatchReceiver) -> None:
        ledger = RawDataDB(parentLogger=self.log)
        sweep = BackgroundSweep(
            policy.typeName,
            Sweeper(policy, self._makeStorage(policy, owner, 1), ledger),
            ledger,
            self.log,
            days=int(self._number("SweepDays", 2)),
            partitions=lambda: source.partitions,
            readUntil=lambda: receiver.readUntil,
            pause=lambda: self._stop.wait(_SWEEP_PAUSE_SECONDS),
        )
        self._startTask("Sweep", policy.sweepSeconds, sweep.run, self.log.warn, _SWEEP_NICENESS)

    # -------------------------------------------------------------- options

    def _typeOfInstance(self) -> str:
        """Option Type, else the name of the instance without ReceiverAgent: RTRawReceiverAgent receives RTRaw."""
        instance = self.am_getModuleParam("fullName").rpartition("/")[2]
        return self.am_getOption("Type", "") or instance.removesuffix(_NAME_SUFFIX)

    def _vo(self) -> str:
        return self.am_getOption("VO", "")

    def _number(self, option: str, default: float) -> float:
        return float(self.am_getOption(option, default))
