"""What becomes of a file that comes after its block was closed, and what closes a block."""

from __future__ import annotations

from enum import StrEnum


class LateFiles(StrEnum):
    """The Type's policy for late files."""

    APPEND = "Append"  #: to the block, which goes back to Closed and is replicated and validated again
    FOLLOW_UP = "FollowUp"  #: into a block of their own, ``<Block>-late1``; the closed block stays as it is
    QUARANTINE = "Quarantine"  #: refused as LateFile; a person decides


class CloseBy(StrEnum):
    """What closes a block, beside an operator, who always may."""

    QUIET = "Quiet"  #: a quiet time after its day has passed; an end-of-block announcement, too
    END_OF_BLOCK = "EndOfBlock"  #: an end-of-block announcement, when the declared number of files is there
    OPERATOR = "Operator"  #: nothing else
