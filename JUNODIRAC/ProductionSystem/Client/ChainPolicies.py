"""What /Operations/.../RawData/Chains says to more than one component."""

from __future__ import annotations

from typing import Any

_SECTION = "RawData/Chains"
#: two days
DEFAULT_ZOMBIE_SECONDS = 172_800.0


def zombieSeconds(operations: Any) -> float:
    """How long after it was declared dead a job may come back and write something.

    :param operations: DIRAC's Operations helper
    """
    return float(operations.getValue(f"{_SECTION}/ZombieSeconds", DEFAULT_ZOMBIE_SECONDS))
