"""From a source of messages to ingested batches: offsets last, and patience while something is out of order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Protocol

from JUNODIRAC.Core.Logic.IngestSummary import IngestSummary
from JUNODIRAC.Core.Logic.Ports import Message, WaitingMessage
from JUNODIRAC.RawDataSystem.Client.Trouble import Trouble

_IDLE_SECONDS = 1.0  # longest wait for a message, and so for a request to stop to be seen
# a batch of this size may have been cut before it was full
_LARGE_BATCH_BYTES = 8_000_000
# so few that they do not make a batch much longer
_MOST_DUE = 2000
_WAITING_SECONDS = 5.0  # time between two questions for waiting messages that are due


class MessageSource(Protocol):
    """Where messages come from; see :class:`JUNODIRAC.RawDataSystem.Client.KafkaSource.KafkaSource`."""

    @property
    def partitions(self) -> frozenset[int]: ...

    def consumeBatch(self, maxMessages: int, fillSeconds: float, idleSeconds: float) -> list[Message]: ...

    def keepAlive(self) -> None: ...

    def stillOwned(self, messages: Sequence[Message]) -> list[Message]: ...

    def commit(self, messages: Sequence[Message]) -> None: ...


class BatchReceiver:
    """Consumes, ingests and commits one batch at a time.

    A batch that fails stays in memory and is tried again after a growing, jittered delay; nothing of it is committed
    before it went through. What stands for hours is said once at its beginning and once at its end. Messages that wait for
    their file come along with a batch, or alone where no others come.

    :param ingest: brings a batch to its end (``IngestBatch.run``)
    :param dueWaiting: waiting messages of some partitions that are due at a time, at most so many
    :param log: a DIRAC logger
    :param maxMessages: size of a batch
    :param batchSeconds: longest wait for a batch to fill up after its first message
    :param maxDelaySeconds: longest time between two attempts
    :param wait: sleeps for some seconds, less if the program is asked to stop (``threading.Event.wait``)
    :param now: seconds that never go back
    :param utcNow: the time, UTC
    """

    def __init__(
        self,
        source: MessageSource,
        ingest: Callable[[Sequence[Message], datetime, Sequence[WaitingMessage]], IngestSummary],
        dueWaiting: Callable[[Sequence[int], datetime, int], list[WaitingMessage]],
        log: Any,
        maxMessages: int,
        batchSeconds: float,
        maxDelaySeconds: float,
        wait: Callable[[float], object],
        now: Callable[[], float] = monotonic,
        utcNow: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._source = source
        self._ingest = ingest
        self._dueWaiting = dueWaiting
        self._log = log
        self._maxMessages = max(1, maxMessages)
        self._batchSeconds = batchSeconds
        self._wait = wait
        self._now = now
        self._utcNow = utcNow
        self._pending: list[Message] = []
        self._waiting: list[WaitingMessage] = []
        self._summary: IngestSummary | None = None  # of the pending batch, once only its commit is missing
        self._nextWaitingLook = 0.0
        self._readUntil: datetime | None = None
        self._batchSince: float | None = None
        self.trouble = Trouble(log, maxDelaySeconds, now)

    @property
    def pendingMessages(self) -> int:
        """How many messages are being ingested now. May be asked from any thread."""
        return len(self._pending) + len(self._waiting)

    @property
    def batchAgeSeconds(self) -> float:
        """For how long the batch of now has been worked on without a pause. May be asked from any thread."""
        since = self._batchSince
        return 0.0 if since is None else self._now() - since

    @property
    def readUntil(self) -> datetime | None:
        """The announcements that came before this time are ingested, if the last look was right; None if there was none yet."""
        return self._readUntil

    def step(self) -> None:
        """One batch, or one short wait. Takes a second, or as long as DIRAC's services take to answer."""
        if self.trouble.remainingSeconds() > 0:
            self._source.keepAlive()
            self._dropLost()
            self._wait(min(_IDLE_SECONDS, self.trouble.remainingSeconds()))
            return
        try:
            self._dropLost()
            asked = self._utcNow()
            isEmptied = False
            if not self.pendingMessages:
                isEmptied = self._gather()
            if self.pendingMessages:
                self._finishPending()
            if isEmptied:
                self._readUntil = asked
        except Exception as exc:  # noqa: BLE001 whatever it is: the batch is not committed, so it must not be left out
            self.trouble.add(exc)
        else:
            self.trouble.end()

    def _gather(self) -> bool:
        """Get a new batch.

        :returns: whether there was nothing more to get
        """
        isReading = bool(self._source.partitions)
        self._waiting = self._takeDue()
        # messages that are due must not wait for others
        idleSeconds = 0.0 if self._waiting else _IDLE_SECONDS
        self._pending = self._source.consumeBatch(self._maxMessages, self._batchSeconds, idleSeconds)
        isFull = len(self._pending) >= self._maxMessages or sum(map(_sizeOf, self._pending)) >= _LARGE_BATCH_BYTES
        return isReading and not isFull and not self._waiting

    def _takeDue(self) -> list[WaitingMessage]:
        partitions = sorted(self._source.partitions)
        if not partitions or self._now() < self._nextWaitingLook:
            return []
        limit = min(self._maxMessages, _MOST_DUE)
        due = self._dueWaiting(partitions, self._utcNow(), limit)
        # the next ones at once, if there may be more
        self._nextWaitingLook = self._now() + (0.0 if len(due) >= limit else _WAITING_SECONDS)
        return due

    def _finishPending(self) -> None:
        if self._summary is None:
            started = self._batchSince = self._now()
            try:
                self._summary = self._ingest(self._pending, self._utcNow(), self._waiting)
            finally:
                self._batchSince = None
            self._logSummary(self._summary, self._now() - started)
        if self._pending:
            self._source.commit(self._pending)
        self._pending, self._waiting, self._summary = [], [], None

    def _dropLost(self) -> None:
        """Forget messages of partitions that were given to another receiver, which gets them again."""
        kept = self._source.stillOwned(self._pending)
        owned = self._source.partitions
        waiting = [item for item in self._waiting if item.message.partition in owned]
        lost = self.pendingMessages - len(kept) - len(waiting)
        if lost:
            self._log.notice("Partitions were taken over by another receiver", f"{lost} messages left to it")
            self._pending, self._waiting, self._summary = kept, waiting, None

    def _logSummary(self, summary: IngestSummary, seconds: float) -> None:
        for item in summary.quarantinedMessages:
            place = f"{item.message.topic}[{item.message.partition}]@{item.message.offset}"
            name = item.file.lfn if item.file else item.fileName or "(no name)"
            self._log.warn("Quarantined", f"{name}: {item.reason}: {item.detail}; {item.reason.remedy} ({place})")
        for error in summary.errors:
            self._log.exception("A message made the receiver fail; it is quarantined:", lException=error)
        for block in summary.openedBlocks:
            transfers = ", ".join(f"{se} = {number}" for se, number in block.transfers.items())
            where = f"with late files of {block.parent}" if block.parent else f"in {block.directory}"
            self._log.notice("Block opened", f"{block.typeName} {block.name} {where}; transfers {transfers}")
        for end in summary.blockEnds:
            self._log.notice("End of block announced", f"{end.block} has {end.fileCount} files")
        reasons = ", ".join(f"{reason} {count}" for reason, count in summary.quarantined.items())
        known = summary.duplicates + summary.repeated
        ends = f", {len(summary.blockEnds)} end(s) of block" if summary.blockEnds else ""
        stages = ", ".join(f"{stage} {spent:.3f}" for stage, spent in summary.seconds.items())
        self._log.notice(
            "Batch",
            f"{summary.messages} messages: {summary.registered} registered, {known} known already, "
            f"{len(summary.quarantinedMessages)} quarantined{f' ({reasons})' if reasons else ''}, {summary.waiting} waiting{ends}"
            f" in {seconds:.2f} s{f' ({stages})' if stages else ''}",
        )


def _sizeOf(message: Message) -> int:
    return len(message.payload)
