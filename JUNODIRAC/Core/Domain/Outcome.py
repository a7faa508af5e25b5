"""What a status message says of an announcement."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """The end of an announcement. A file that waits for its storage has none yet."""

    REGISTERED = "Registered"
    QUARANTINED = "Quarantined"
    DUPLICATE = "Duplicate"
