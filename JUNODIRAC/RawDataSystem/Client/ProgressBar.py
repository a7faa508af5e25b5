"""How far some long work is, on stderr: bars that move on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

_WIDTH = 30
_SHARE_PER_LINE = 0.1

#: name, how much is done, of how much; 0 of 0 stands for work that has not begun
Part = tuple[str, int, int]


class ProgressBar:
    """Several parts at once.

    :param what: what is counted, for example ``files``
    """

    def __init__(self, what: str, out: TextIO | None = None) -> None:
        self._what = what
        self._out = out or sys.stderr
        self._lines = 0
        self._told: dict[str, float] = {}

    def show(self, parts: Sequence[Part]) -> None:
        """Show where the parts are now."""
        if self._out.isatty():
            up = f"\033[{self._lines}A" if self._lines else ""
            self._out.write(up + "".join(f"\033[2K{self._bar(*part)}\n" for part in parts))
            self._lines = len(parts)
        else:
            for name, done, total in parts:
                self._tell(name, done, total)
        self._out.flush()

    def _bar(self, name: str, done: int, total: int) -> str:
        filled = _WIDTH * done // total if total else 0
        return f"{name:<20} [{'#' * filled}{'.' * (_WIDTH - filled)}] {done} of {total} {self._what}"

    def _tell(self, name: str, done: int, total: int) -> None:
        share = done / total if total else 0.0
        if total and (share >= self._told.get(name, 0.0) + _SHARE_PER_LINE or (share == 1 and self._told.get(name) != 1)):
            self._told[name] = share
            self._out.write(f"{name}: {done} of {total} {self._what}\n")
