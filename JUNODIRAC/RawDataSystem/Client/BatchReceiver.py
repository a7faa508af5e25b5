"""From a source of messages to ingested batches: offsets last, and patience while something is out of order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import uniform
from time import monotonic
from typing import Any, Protocol

from JUNODIRAC.Core.Logic.IngestSummary import IngestSummary
from JUNODIRAC.Core.Logic.Ports import Message, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal
from JUNODIRAC.RawDataSystem.Client.TypePolicies import BadTypeConfiguration

FIRST_DELAY_SECONDS = 1.0
# Errors that say what is wrong and what to do; a traceback would only hide it.
_SPEAKING = (ServiceRefusal, BadTypeConfiguration)


class MessageSource(Protocol):
    """Where messages come from; see :class:`JUNODIRAC.RawDataSystem.Client.KafkaSource.KafkaSource`."""

    def consumeBatch(self, maxMessages: int, timeoutSeconds: float) -> list[Message]: ...

    def keepAlive(self) -> None: ...

    def stillOwned(self, messages: Sequence[Message]) -> list[Message]: ...

    def commit(self, messages: Sequence[Message]) -> None: ...


class BatchReceiver:
    """Consumes, ingests and commits one batch at a time.

    A batch that fails stays in memory and is tried again after a growing, jittered delay; nothing of it is committed
    before it went through. What stands for hours is said once at its beginning and once at its end.

    :param ingest: brings a batch to its end (``IngestBatch.run``)
    :param log: a DIRAC logger
    :param maxMessages: size of a batch
    :param batchSeconds: longest wait for a batch to fill up
    :param maxDelaySeconds: longest time between two attempts
    :param wait: sleeps for some seconds, less if the program is asked to stop (``threading.Event.wait``)
    """

    def __init__(
        self,
        source: MessageSource,
        ingest: Callable[[Sequence[Message]], IngestSummary],
        log: Any,
        maxMessages: int,
        batchSeconds: float,
        maxDelaySeconds: float,
        wait: Callable[[float], object],
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._source = source
        self._ingest = ingest
        self._log = log
        self._maxMessages = maxMessages
        self._batchSeconds = batchSeconds
        self._wait = wait
        self._now = now
        self._pending: list[Message] = []
        self._summary: IngestSummary | None = None  # of the pending batch, once only its commit is missing
        self.trouble = Trouble(log, maxDelaySeconds, now)

    def step(self) -> None:
        """One batch, or one short wait. Takes a few seconds, or as long as DIRAC's services take to answer."""
        if self.trouble.remainingSeconds() > 0:
            self._source.keepAlive()
            self._dropLost()
            self._wait(min(self._batchSeconds, self.trouble.remainingSeconds()))
            return
        try:
            self._dropLost()
            if not self._pending:
                self._pending = self._source.consumeBatch(self._maxMessages, self._batchSeconds)
            if self._pending:
                self._finishPending()
        except Exception as exc:  # noqa: BLE001 whatever it is: the batch is not committed, so it must not be left out
            self.trouble.add(exc)
        else:
            self.trouble.end()

    def _finishPending(self) -> None:
        if self._summary is None:
            started = self._now()
            self._summary = self._ingest(self._pending)
            self._logSummary(self._summary, self._now() - started)
        self._source.commit(self._pending)
        self._pending, self._summary = [], None

    def _dropLost(self) -> None:
        """Forget messages of partitions that were given to another receiver, which gets them again."""
        kept = self._source.stillOwned(self._pending)
        if len(kept) < len(self._pending):
            self._log.notice(
                "Partitions were taken over by another receiver", f"{len(self._pending) - len(kept)} messages left to it"
            )
            self._pending, self._summary = kept, None

    def _logSummary(self, summary: IngestSummary, seconds: float) -> None:
        for item in summary.quarantinedMessages:
            place = f"{item.message.topic}[{item.message.partition}]@{item.message.offset}"
            name = item.file.lfn if item.file else item.fileName or "(no name)"
            self._log.warn("Quarantined", f"{name}: {item.reason}: {item.detail}; {item.reason.remedy} ({place})")
        for block in summary.openedBlocks:
            transfers = ", ".join(f"{se} = {number}" for se, number in block.transfers.items())
            self._log.notice("Block opened", f"{block.typeName} {block.name} in {block.directory}; transfers {transfers}")
        reasons = ", ".join(f"{reason} {count}" for reason, count in summary.quarantined.items())
        self._log.notice(
            "Batch",
            f"{summary.messages} messages: {summary.registered} registered, {summary.duplicates} known already, "
            f"{len(summary.quarantinedMessages)} quarantined{f' ({reasons})' if reasons else ''} in {seconds:.2f} s",
        )


class Trouble:
    """Something that is out of order: when to try again, and what to say of it."""

    def __init__(self, log: Any, maxDelaySeconds: float, now: Callable[[], float] = monotonic) -> None:
        self._log = log
        self._maxDelaySeconds = maxDelaySeconds
        self._now = now
        self._kind = ""
        self._last: Exception | None = None
        self._attempts = 0
        self._since = 0.0
        self._nextAttempt = 0.0

    def add(self, exc: Exception) -> None:
        """Note a failure; says so if it is the first, or of another kind than the one before."""
        kind = exc.component if isinstance(exc, TemporaryFailure) else repr(exc)
        if not self._attempts:
            self._since = self._now()
        if kind != self._kind:
            if isinstance(exc, TemporaryFailure):
                self._log.warn("Waiting, nothing is lost or committed meanwhile:", str(exc))
            elif isinstance(exc, _SPEAKING):
                self._log.error("Stopped until it is put right, nothing is lost:", str(exc))
            else:
                self._log.exception("Stopped by an error, nothing is lost; tried again until it is put right:", lException=exc)
        self._kind, self._last = kind, exc
        self._attempts += 1
        delaySeconds = min(self._maxDelaySeconds, FIRST_DELAY_SECONDS * 2 ** min(self._attempts - 1, 30))
        # jitter, so that receivers that were stopped by the same thing do not come back at the same moment
        self._nextAttempt = self._now() + delaySeconds * uniform(0.5, 1.0)

    def end(self) -> None:
        """All is well; says so if it was not."""
        if self._attempts:
            self._log.notice("Going on", f"after {self._now() - self._since:.0f} s and {self._attempts} failed attempts")
        self._kind, self._last, self._attempts, self._nextAttempt = "", None, 0, 0.0

    def raiseIfLasting(self) -> None:
        """Raise the last failure, if all is not well."""
        if self._last is not None:
            raise self._last

    def remainingSeconds(self) -> float:
        """Time until the next attempt."""
        return max(0.0, self._nextAttempt - self._now()) if self._attempts else 0.0
