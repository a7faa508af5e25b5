"""Progress for people while a benchmark runs, and its result as a table."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

_STARTED = time.monotonic()


def say(line: str) -> None:
    """Progress, with the seconds since the start."""
    print(f"{time.monotonic() - _STARTED:6.1f} s  {line}", file=sys.stderr, flush=True)


def showTable(result: Mapping[str, object]) -> str:
    """One line for each value; what is nested gets a dotted name."""
    rows = list(_flat("", result))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}s}  {value}" for name, value in rows)


def _flat(prefix: str, values: Mapping[str, object]):
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            yield from _flat(name, value)
        else:
            yield name, f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
