"""What became of the messages of one batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.EndOfBlock import EndOfBlock
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import QuarantinedMessage, WaitingMessage


@dataclass(frozen=True)
class IngestSummary:
    """Each message is in exactly one of registered, duplicate, repeated, quarantined, waiting and block ends.

    :param messages: how many the batch had, with those that waited before
    :param registeredFiles: LFNs that are now in the catalogue and attached to their transfers
    :param duplicateFiles: LFNs announced again by another message, with the same content: nothing was changed
    :param repeatedFiles: LFNs whose very message had its end before, and came again after a crash: nothing was changed
    :param waitingMessages: announcements whose file the source storage does not show yet
    :param openedBlocks: blocks of which something had to be opened
    :param blockEnds: end-of-block announcements, of which some may have been known; those refused now are quarantined
    :param seconds: by stage: decode, lock, ledger, storage, blocks (opening them), catalogue, transfers, status
    :param errors: what the messages that are quarantined as InternalError failed with
    """

    messages: int = 0
    registeredFiles: tuple[str, ...] = ()
    duplicateFiles: tuple[str, ...] = ()
    repeatedFiles: tuple[str, ...] = ()
    quarantinedMessages: tuple[QuarantinedMessage, ...] = ()
    waitingMessages: tuple[WaitingMessage, ...] = ()
    openedBlocks: tuple[Block, ...] = ()
    blockEnds: tuple[EndOfBlock, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    errors: tuple[Exception, ...] = ()

    @classmethod
    def joined(cls, parts: Sequence[IngestSummary]) -> IngestSummary:
        """One summary of batches that were run one after the other."""
        seconds: dict[str, float] = {}
        for part in parts:
            for stage, value in part.seconds.items():
                seconds[stage] = seconds.get(stage, 0.0) + value
        return cls(
            messages=sum(part.messages for part in parts),
            registeredFiles=tuple(lfn for part in parts for lfn in part.registeredFiles),
            duplicateFiles=tuple(lfn for part in parts for lfn in part.duplicateFiles),
            repeatedFiles=tuple(lfn for part in parts for lfn in part.repeatedFiles),
            quarantinedMessages=tuple(item for part in parts for item in part.quarantinedMessages),
            waitingMessages=tuple(item for part in parts for item in part.waitingMessages),
            openedBlocks=tuple(block for part in parts for block in part.openedBlocks),
            blockEnds=tuple(end for part in parts for end in part.blockEnds),
            seconds=seconds,
            errors=tuple(error for part in parts for error in part.errors),
        )

    @property
    def registered(self) -> int:
        """How many files were registered."""
        return len(self.registeredFiles)

    @property
    def duplicates(self) -> int:
        """How many messages were other announcements of known files."""
        return len(self.duplicateFiles)

    @property
    def repeated(self) -> int:
        """How many messages had their end before."""
        return len(self.repeatedFiles)

    @property
    def waiting(self) -> int:
        """How many messages wait for their file."""
        return len(self.waitingMessages)

    @property
    def quarantined(self) -> Mapping[Reason, int]:
        """How many messages were quarantined, by reason."""
        return Counter(item.reason for item in self.quarantinedMessages)

    @property
    def blocksOpened(self) -> int:
        """How many blocks were opened, or got a new destination."""
        return len(self.openedBlocks)
