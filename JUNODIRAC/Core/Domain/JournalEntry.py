"""What people changed by command, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class JournalEntry:
    """One change.

    :param objectName: what was changed: an LFN, a block, or for a refused announcement :func:`quarantineObject`
    """

    time: datetime
    actor: str
    group: str
    action: str
    objectName: str
    reason: str


def quarantineObject(quarantineID: int, lfn: str = "") -> str:
    """How the journal calls a refused announcement. It starts with the LFN, so that the journal of a file has it too."""
    return f"{lfn} quarantine {quarantineID}".strip()
