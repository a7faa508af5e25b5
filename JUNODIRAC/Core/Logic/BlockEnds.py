"""End-of-block announcements of a batch: how many files each block shall have."""

from __future__ import annotations

from collections.abc import Sequence

from JUNODIRAC.Core.Domain.Outcome import Outcome
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.BatchState import BatchState
from JUNODIRAC.Core.Logic.Delivery import BlockEnd
from JUNODIRAC.Core.Logic.Ports import Ledger, QuarantinedMessage


class BlockEnds:
    """Records them, the first of a block alone. What becomes of files does not depend on them, nor they on files."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def run(self, ends: Sequence[BlockEnd], typeName: str, state: BatchState) -> None:
        """Bring each to its end, in their order. One that had its end before has it again."""
        if not ends:
            return
        quarantinedBefore = self._ledger.findQuarantined([each.message.position for each in ends])
        for each in ends:
            end, position = each.end, each.message.position
            if position in quarantinedBefore:
                state.addEnd(each, Outcome.QUARANTINED, *quarantinedBefore[position])
                continue
            known = self._ledger.recordExpected(typeName, end.block, end.fileCount, position)
            if known.position == position:
                state.addEnd(each, Outcome.REGISTERED)
            elif known.fileCount == end.fileCount:
                state.addEnd(each, Outcome.DUPLICATE)
            else:
                detail = f"block {end.block} was announced with {known.fileCount} files before, and now with {end.fileCount}"
                item = QuarantinedMessage(each.message, typeName, Reason.CONFLICT, detail, fileName=end.title)
                state.addQuarantined(item, end)
