"""What was decided of a batch so far. Nothing of it lives longer than the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.EndOfBlock import EndOfBlock
from JUNODIRAC.Core.Domain.Outcome import Outcome
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Candidate import Candidate
from JUNODIRAC.Core.Logic.Delivery import BlockEnd, Delivery
from JUNODIRAC.Core.Logic.IngestSummary import IngestSummary
from JUNODIRAC.Core.Logic.Ports import IngestCounts, QuarantinedMessage, StatusMessage, WaitingMessage

Position = tuple[str, int, int]


@dataclass
class Round:
    """The first usable announcement of each file, the later ones of the same file, and what went wrong with the first.

    :param leaders: by their keys, as the rest
    :param refused: why a leader goes into quarantine
    :param missing: why the storage could not confirm a leader, which may change
    :param unasked: those of the missing ones for which there was no time to ask
    :param settled: names of files that were quarantined at once
    :param postponed: those for which the ledger has to be asked again first
    :param blocks: what the ledger said of the blocks of new files, by name
    """

    leaders: dict[str, Candidate] = field(default_factory=dict)
    followers: list[Candidate] = field(default_factory=list)
    refused: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    missing: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    unasked: set[str] = field(default_factory=set)
    settled: dict[str, str] = field(default_factory=dict)
    postponed: dict[str, list[Candidate]] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)

    def carried(self) -> list[Candidate]:
        """Leaders that nothing was found against."""
        stopped = self.refused.keys() | self.missing.keys()
        if not stopped:
            return list(self.leaders.values())
        return [leader for key, leader in self.leaders.items() if key not in stopped]


class BatchState:
    """Outcomes of single messages, each with its status message.

    :param typeName: the Type of all of them
    :param deliveries: the messages
    """

    def __init__(self, typeName: str, deliveries: Sequence[Delivery]) -> None:
        self._typeName = typeName
        self.registered: list[str] = []
        self.duplicates: list[str] = []
        self.repeated: list[str] = []
        self.quarantined: list[QuarantinedMessage] = []
        self.waiting: list[WaitingMessage] = []
        self.deadLetters: list[QuarantinedMessage] = []
        self.openedBlocks: list[Block] = []
        self.blockEnds: list[EndOfBlock] = []
        self.statuses: dict[Position, StatusMessage] = {}
        # messages that the ledger may have as waiting
        self.mayWait: set[Position] = {each.message.position for each in deliveries if each.since is not None}
        self._registeredBytes = 0
        self._recordedQuarantines = 0

    def addRegistered(self, candidate: Candidate) -> None:
        """It was registered now.

        If a crash had left it behind, it stands for the message that the ledger names. That one will come again.
        """
        self.registered.append(candidate.lfn)
        self._registeredBytes += candidate.sizeBytes or 0
        isAnothers = candidate.isUnfinished and not candidate.isOwnRow
        self._say(Outcome.DUPLICATE if isAnothers else Outcome.REGISTERED, candidate)

    def addRepeated(self, candidate: Candidate) -> None:
        """It was registered before, and its message came again."""
        self.repeated.append(candidate.lfn)
        self._say(Outcome.REGISTERED, candidate)

    def addQuarantinedBefore(self, candidate: Candidate, reason: Reason, detail: str) -> None:
        """It was quarantined before, and its message came again."""
        self.repeated.append(candidate.lfn)
        self._say(Outcome.QUARANTINED, candidate, reason, detail)

    def addDuplicate(self, candidate: Candidate) -> None:
        """Another message has announced the same."""
        self.duplicates.append(candidate.lfn)
        self._say(Outcome.DUPLICATE, candidate)

    def addQuarantined(self, item: QuarantinedMessage, end: EndOfBlock | None = None) -> None:
        """It goes into quarantine; see :meth:`takeQuarantines`.

        :param end: what it says, if it is about the end of a block
        """
        self.quarantined.append(item)
        fileName = "" if end is not None else item.fileName
        self.statuses[item.message.position] = StatusMessage(
            Outcome.QUARANTINED, item.message, item.typeName, fileName, item.file, item.reason, item.detail, end
        )

    def addEnd(self, item: BlockEnd, outcome: Outcome, reason: Reason | None = None, detail: str = "") -> None:
        """The end of a block is in the ledger, by this message or another, or was refused before."""
        self.blockEnds.append(item.end)
        self.statuses[item.message.position] = StatusMessage(
            outcome, item.message, self._typeName, reason=reason, detail=detail, end=item.end
        )

    def _say(self, outcome: Outcome, candidate: Candidate, reason: Reason | None = None, detail: str = "") -> None:
        message = candidate.message
        self.statuses[message.position] = StatusMessage(
            outcome, message, self._typeName, candidate.announcement.fileName, candidate.fileInBlock, reason, detail
        )

    def absorb(self, other: BatchState) -> None:
        """Take over the outcomes of a part of the batch, whose quarantines are recorded."""
        self.registered += other.registered
        self.duplicates += other.duplicates
        self.repeated += other.repeated
        # in front of those that are still to be recorded
        at = self._recordedQuarantines
        self.quarantined[at:at] = other.quarantined
        self._recordedQuarantines += len(other.quarantined)
        self.waiting += other.waiting
        self.deadLetters += other.deadLetters
        self.openedBlocks += other.openedBlocks
        self.blockEnds += other.blockEnds
        self.statuses |= other.statuses
        self.mayWait |= other.mayWait
        self._registeredBytes += other._registeredBytes

    def takeQuarantines(self) -> list[QuarantinedMessage]:
        """Those that were added since the last time."""
        items = self.quarantined[self._recordedQuarantines :]
        self._recordedQuarantines = len(self.quarantined)
        return items

    def noLongerWaiting(self) -> list[Position]:
        """Messages that waited, and have their end now."""
        return sorted(self.mayWait - {item.message.position for item in self.waiting})

    def counts(self, newMessages: int) -> IngestCounts:
        """For the rates of the Type.

        :param newMessages: those of the batch that came from Kafka
        """
        return IngestCounts(
            messages=newMessages,
            registered=len(self.registered),
            duplicates=len(self.duplicates),
            quarantined=len(self.quarantined),
            waiting=len(self.waiting),
            registeredBytes=self._registeredBytes,
        )

    def summary(self, messages: int, seconds: dict[str, float], errors: tuple[Exception, ...] = ()) -> IngestSummary:
        """All that for people and programs."""
        return IngestSummary(
            messages=messages,
            registeredFiles=tuple(self.registered),
            duplicateFiles=tuple(self.duplicates),
            repeatedFiles=tuple(self.repeated),
            quarantinedMessages=tuple(self.quarantined),
            waitingMessages=tuple(self.waiting),
            openedBlocks=tuple(self.openedBlocks),
            blockEnds=tuple(self.blockEnds),
            seconds=seconds,
            errors=errors,
        )
