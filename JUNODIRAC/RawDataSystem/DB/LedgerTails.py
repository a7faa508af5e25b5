"""Which copies of blocks are nearly complete."""

from __future__ import annotations

from collections.abc import Mapping

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection

# copies are outstanding, and no further file is expected
_UNFINISHED = (BlockState.CLOSED.value, BlockState.PROBLEM.value)


class LedgerTails(LedgerConnection):
    """Reads the counts that BlockAgent keeps."""

    def readTails(self, tailFiles: Mapping[str, int]) -> list[int]:
        """Transformations of closed blocks that lack a few files at their site.

        :param tailFiles: Type -> how many at most; 0: this Type has no tails
        """
        found: list[int] = []
        for typeName, most in tailFiles.items():
            if most <= 0:
                continue
            # no difference, which could not be below zero: the columns are unsigned
            sql = (
                "SELECT t.TransformationID FROM BlockTransfers t JOIN Blocks b ON b.BlockID = t.BlockID"
                " WHERE t.State IN %s AND b.Type = %s AND b.RegisteredFiles <= t.DoneFiles + %s ORDER BY t.TransformationID"
            )
            found += [number for (number,) in self.select(sql, (_UNFINISHED, typeName, most))]
        return found
