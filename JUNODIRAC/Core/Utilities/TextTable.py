"""Tables and numbers for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_STYLES = {"": "", "good": "\033[32m", "busy": "\033[33m", "bad": "\033[31m", "dim": "\033[2m", "head": "\033[1m"}
_RESET = "\033[0m"
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


@dataclass(frozen=True)
class Cell:
    """A text with a meaning for its colour: good, busy, bad, dim or head."""

    text: str
    style: str = ""


def renderTable(titles: Sequence[str], rows: Sequence[Sequence[Cell]], numbers: Sequence[str], colour: bool) -> str:
    """Columns with a blank line's width between them.

    :param numbers: titles of the columns that are aligned to the right
    :param colour: whether to write ANSI colours
    """
    lines = [[Cell(title, "head") for title in titles], *rows]
    widths = [max(len(line[index].text) for line in lines) for index in range(len(titles))]
    rendered = []
    for line in lines:
        cells = []
        for title, width, cell in zip(titles, widths, line, strict=True):
            padded = cell.text.rjust(width) if title in numbers else cell.text.ljust(width)
            cells.append(paint(padded, cell.style, colour))
        rendered.append("  ".join(cells).rstrip())
    return "\n".join(rendered)


def paint(text: str, style: str, colour: bool) -> str:
    """The text in its colour, or as it is."""
    return f"{_STYLES[style]}{text}{_RESET}" if colour and style else text


def formatBytes(sizeBytes: int | None) -> str:
    """A size in powers of 1000 with three digits at most before the point: ``45.1 TB``."""
    if sizeBytes is None:
        return "?"
    value, unit = float(sizeBytes), 0
    # 999.95 would be rounded to 1000.0
    while value >= 999.95 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{sizeBytes} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"
