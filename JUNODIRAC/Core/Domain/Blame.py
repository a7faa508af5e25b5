"""Whether the reason of a failed copy speaks against its source."""

from __future__ import annotations

import re
from enum import StrEnum

_WRONG_BYTES = re.compile(
    r"checksums?\b.{0,80}(mismatch|error|differ|do not match)|(wrong|bad) checksum", re.IGNORECASE | re.DOTALL
)
_GONE = re.compile(r"^SOURCE \[2\]", re.IGNORECASE)
_NOT_THE_SOURCE = re.compile(r"^DESTINATION\b|^Job \S+ not found$", re.IGNORECASE)


class Blame(StrEnum):
    """What a failure says of the source."""

    NONE = "None"  #: it lies with the destination, or with FTS3
    FAILED = "Failed"  #: it may lie with the source or the link
    BAD = "Bad"  #: the bytes were wrong, or the replica is not there


def blameOf(error: str) -> Blame:
    """Read a reason of FTS3, which begins with the phase: ``SOURCE [2] No such file or directory``.

    A wrong checksum is noticed at the destination, but most likely comes from the source.
    """
    if _WRONG_BYTES.search(error) or _GONE.search(error):
        return Blame.BAD
    if _NOT_THE_SOURCE.search(error):
        return Blame.NONE
    return Blame.FAILED
