"""One batch of announcements: from Kafka messages to files that are catalogued and on their way.

Every step may be repeated. The caller commits the offsets only after :meth:`IngestBatch.run` returned, so whatever stops it
in between costs a repetition of the batch, never a file and never a duplicate. What becomes of a message does not depend on
where the batches are cut: a batch ends as if its messages had come one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime

from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.BatchState import BatchState
from JUNODIRAC.Core.Logic.BlockEnds import BlockEnds
from JUNODIRAC.Core.Logic.BlockIngest import BlockIngest
from JUNODIRAC.Core.Logic.Candidate import Candidate
from JUNODIRAC.Core.Logic.Delivery import BlockEnd, Delivery, gatherDeliveries
from JUNODIRAC.Core.Logic.IngestRound import IngestRound
from JUNODIRAC.Core.Logic.IngestSummary import IngestSummary
from JUNODIRAC.Core.Logic.Isolation import Failed, Isolation
from JUNODIRAC.Core.Logic.LateArrivals import LateArrivals
from JUNODIRAC.Core.Logic.Ports import (
    Announcer,
    Catalogue,
    Ledger,
    Message,
    QuarantinedMessage,
    Refusal,
    Storage,
    TemporaryFailure,
    Transformations,
    WaitingMessage,
)
from JUNODIRAC.Core.Logic.ReadMessages import endOf, internalError, readMessages
from JUNODIRAC.Core.Logic.Stopwatch import Stopwatch
from JUNODIRAC.Core.Logic.StorageCheck import StorageCheck

# fewer would spend their time on calls instead of files
_FILES_IN_LANE = 500


class IngestBatch:
    """Brings batches of announcements of one Type into ledger, catalogue and transfers, and says what became of them.

    :param policy: of the Type whose topic the messages are from
    :param clock: seconds that never go back, for the times by stage; without it they are 0
    :param lanes: into how many parts, which are worked on at the same time, a large batch is cut. What becomes of a file does
        not depend on the others
    """

    def __init__(
        self,
        policy: TypePolicy,
        ledger: Ledger,
        catalogue: Catalogue,
        transformations: Transformations,
        storage: Storage,
        announcer: Announcer,
        clock: Callable[[], float] = lambda: 0.0,
        lanes: int = 1,
    ) -> None:
        self._policy = policy
        self._ledger = ledger
        self._announcer = announcer
        self._clock = clock
        self._lanes = max(1, lanes)
        # kept, because each of its threads has connections of its own
        self._workers = ThreadPoolExecutor(self._lanes, thread_name_prefix="lane")
        self._blocks = BlockIngest(policy, ledger, catalogue, transformations)
        self._storageCheck = StorageCheck(policy, storage)
        self._lateArrivals = LateArrivals(policy, ledger)
        self._blockEnds = BlockEnds(ledger)
        self._isolation = Isolation(self._ingest, self._giveUp)

    def run(self, messages: Sequence[Message], now: datetime, waiting: Sequence[WaitingMessage] = ()) -> IngestSummary:
        """Bring every message to its end (registered, duplicate or quarantined), or let it wait for its file.

        When this returns, everything is durable, status messages included; only then commit the offsets.

        :param now: UTC
        :param waiting: messages that are due to be tried again
        :raises TemporaryFailure: somebody did not answer; commit nothing and run the same messages again later
        :raises Refusal: a service refuses everything; the same
        :raises Exception: an error that is not the fault of single messages, see :class:`Isolation`; the same
        """
        deliveries = gatherDeliveries(messages, waiting)
        if not deliveries:
            return IngestSummary()
        return self._isolation.run(deliveries, now)

    def _ingest(self, deliveries: Sequence[Delivery], now: datetime) -> IngestSummary:
        watch = Stopwatch(self._clock)
        state = BatchState(self._policy.typeName, deliveries)
        with watch.stage("decode"):
            candidates, ends = readMessages(deliveries, self._policy, state)
        with ExitStack() as held:
            self._holdBlocks(candidates, ends, held, watch)
            with watch.stage("ledger"):
                self._blockEnds.run(ends, self._policy.typeName, state)
            self._carryThrough(candidates, state, watch, now)
            self._finish(deliveries, state, watch)
        return state.summary(len(deliveries), watch.seconds)

    def _carryThrough(self, candidates: Sequence[Candidate], state: BatchState, watch: Stopwatch, now: datetime) -> None:
        """Bring the candidates to their end, some parts of a large batch at the same time.

        :raises Exception: the first that one of the lanes failed with, when all of them are at rest
        """
        lanes = _byFile(candidates, self._lanes)
        if len(lanes) < 2:
            outcomes = [self._runLane(lane, now) for lane in lanes]
        else:
            running = [self._workers.submit(self._runLane, lane, now) for lane in lanes]
            wait(running)
            outcomes = [each.result() for each in running]
        for laneState, laneWatch in outcomes:
            state.absorb(laneState)
            watch.absorb(laneWatch)

    def _runLane(self, candidates: list[Candidate], now: datetime) -> tuple[BatchState, Stopwatch]:
        state, watch = BatchState(self._policy.typeName, []), Stopwatch(self._clock)
        oneRound = IngestRound(self._ledger, self._storageCheck, self._lateArrivals, self._blocks, watch)
        while candidates:
            candidates = oneRound.run(candidates, state, now)
        return state, watch

    def _holdBlocks(self, candidates: Sequence[Candidate], ends: Sequence[BlockEnd], held: ExitStack, watch: Stopwatch) -> None:
        """Until the batch is over no other receiver touches its blocks. In one order for all, so that none waits crosswise."""
        names = {candidate.file.block for candidate in candidates} | {each.end.block for each in ends}
        blocks = sorted((self._policy.typeName, name) for name in names)
        if blocks:
            with watch.stage("lock"):
                held.enter_context(self._ledger.holdBlocks(blocks))

    def _finish(self, deliveries: Sequence[Delivery], state: BatchState, watch: Stopwatch) -> None:
        """Make the end of each message durable, then tell it.

        A message that waited is forgotten last: Kafka does not bring it again, so this alone makes a crash before it harmless.
        """
        with watch.stage("ledger"):
            quarantines = state.takeQuarantines()
            if quarantines:
                self._ledger.recordQuarantined(quarantines)
            newMessages = sum(delivery.since is None for delivery in deliveries)
            self._ledger.recordCounts(self._policy.typeName, state.counts(newMessages))
        statuses = [state.statuses[position] for each in deliveries if (position := each.message.position) in state.statuses]
        if statuses:
            with watch.stage("status"):
                self._announcer.send(statuses, state.deadLetters)
        ended = state.noLongerWaiting()
        if ended:
            with watch.stage("ledger"):
                self._ledger.endWaiting(ended)

    # ---- messages that make the program fail, see Isolation

    def _giveUp(self, failed: Failed) -> IngestSummary:
        """Quarantine them, each for itself."""
        parts = []
        for delivery, error in failed:
            item = internalError(delivery.message, error, self._policy)
            try:
                parts.append(self._giveUpOne(delivery, item, error))
            except (TemporaryFailure, Refusal):
                raise
            except Exception:  # noqa: BLE001 perhaps the ledger cannot write this very row; the message is kept without it
                parts.append(self._giveUpOne(delivery, replace(item, file=None), error))
        return IngestSummary.joined(parts)

    def _giveUpOne(self, delivery: Delivery, item: QuarantinedMessage, error: Exception) -> IngestSummary:
        watch = Stopwatch(self._clock)
        state = BatchState(self._policy.typeName, [delivery])
        state.addQuarantined(item, endOf(delivery.message))
        with ExitStack() as held:
            if item.file is not None:
                held.enter_context(self._ledger.holdBlocks([(item.file.typeName, item.file.block)]))
            self._finish([delivery], state, watch)
        return state.summary(1, watch.seconds, (error,))


def _byFile(candidates: Sequence[Candidate], lanes: int) -> list[list[Candidate]]:
    """The candidates in at most so many parts of about the same size; those of one file stay together, in their order.

    Neighbours stay together too, because the database locks what lies between rows that are inserted.
    """
    files: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        files.setdefault(candidate.key, []).append(candidate)
    members = list(files.values())
    size = max(_FILES_IN_LANE, -(-len(members) // lanes))
    return [[candidate for each in members[start : start + size] for candidate in each] for start in range(0, len(members), size)]
