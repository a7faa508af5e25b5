"""Files that are completed after their block was closed."""

from __future__ import annotations

from collections.abc import Sequence

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockName import followUpName
from JUNODIRAC.Core.Domain.BlockState import CLOSED_TO_FILES
from JUNODIRAC.Core.Domain.LateFiles import LateFiles
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.BatchState import Round
from JUNODIRAC.Core.Logic.Candidate import Candidate
from JUNODIRAC.Core.Logic.Ports import Ledger

_NAMED = 5  # files of which the reason of an event tells


class LateArrivals:
    """Decides by the policy of the Type what becomes of late files.

    Asked under the lock of the blocks and before the rows of the files are written: a file that the ledger has as Announced came
    in time, and a crash between the two costs a repetition.
    """

    def __init__(self, policy: TypePolicy, ledger: Ledger) -> None:
        self._policy = policy
        self._ledger = ledger

    def run(self, current: Round) -> None:
        """Look at the block of each file that is about to get its row; what was found out of blocks is noted in the round."""
        newcomers: dict[str, list[Candidate]] = {}
        for leader in current.carried():
            if leader.isNew:
                newcomers.setdefault(leader.file.block, []).append(leader)
        for name, members in newcomers.items():
            block = self._ledger.findBlock(self._policy.typeName, name)
            if block is None:
                continue
            current.blocks[name] = block
            if block.state in CLOSED_TO_FILES:
                self._settle(block, members, current)

    def _settle(self, block: Block, late: Sequence[Candidate], current: Round) -> None:
        if self._policy.lateFiles is LateFiles.QUARANTINE:
            detail = f"block {block.name} is {block.state}"
            current.refused |= {each.key: (Reason.LATE_FILE, f"{each.lfn} is late: {detail}") for each in late}
        elif self._policy.lateFiles is LateFiles.FOLLOW_UP:
            newest = self._ledger.findFollowUp(block.typeName, block.name)
            if newest is None or newest.state in CLOSED_TO_FILES:
                name = followUpName(block.name, newest.name if newest else "")
            else:
                name = newest.name
            for each in late:
                each.followUp = name
        else:
            self._ledger.takeBack(block.typeName, block.name, _why(late))


def _why(late: Sequence[Candidate]) -> str:
    named = [f"{each.file.fileName} ({'/'.join(map(str, each.message.position))})" for each in late[:_NAMED]]
    more = f" and {len(late) - _NAMED} more" if len(late) > _NAMED else ""
    return f"late files: {', '.join(named)}{more}"
