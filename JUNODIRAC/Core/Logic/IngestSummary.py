"""What became of the messages of one batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import QuarantinedMessage


@dataclass(frozen=True)
class IngestSummary:
    """Each message is in exactly one of ``registeredFiles``, ``duplicateFiles``, ``quarantinedMessages``.

    :param messages: how many the batch had
    :param registeredFiles: LFNs that are now in the catalogue and attached to their transfers
    :param duplicateFiles: LFNs announced again with the same content, or messages seen before: nothing was changed
    :param openedBlocks: blocks of which something had to be opened
    """

    messages: int = 0
    registeredFiles: tuple[str, ...] = ()
    duplicateFiles: tuple[str, ...] = ()
    quarantinedMessages: tuple[QuarantinedMessage, ...] = field(default=())
    openedBlocks: tuple[Block, ...] = ()

    @property
    def registered(self) -> int:
        """How many files were registered."""
        return len(self.registeredFiles)

    @property
    def duplicates(self) -> int:
        """How many messages changed nothing."""
        return len(self.duplicateFiles)

    @property
    def quarantined(self) -> Mapping[Reason, int]:
        """How many messages were quarantined, by reason."""
        return Counter(item.reason for item in self.quarantinedMessages)

    @property
    def blocksOpened(self) -> int:
        """How many blocks were opened, or got a new destination."""
        return len(self.openedBlocks)
