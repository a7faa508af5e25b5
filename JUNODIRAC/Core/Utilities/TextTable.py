"""Tables and numbers for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_STYLES = {"": "", "good": "\033[32m", "busy": "\033[33m", "bad": "\033[31m", "dim": "\033[2m", "head": "\033[1m"}
_RESET = "\033[0m"
_BYTES_PER_LINE = 16
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


def printable(text: str, keep: str = "") -> str:
    """The text with what a terminal would obey, or could not show, written as escapes: names and messages come from anywhere.

    :param keep: characters that stay as they are
    """
    return "".join(char if char.isprintable() or char in keep else char.encode("unicode_escape").decode("ascii") for char in text)


def cut(text: str, maxChars: int) -> str:
    """The text, or its start and three dots."""
    return text if len(text) <= maxChars else f"{text[: maxChars - 3]}..."


def hexDump(payload: bytes, maxBytes: int = 4096) -> str:
    """Sixteen bytes a line: position, hexadecimal, and those that are ASCII."""
    lines = []
    for start in range(0, min(len(payload), maxBytes), _BYTES_PER_LINE):
        piece = payload[start : min(start + _BYTES_PER_LINE, maxBytes)]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        lines.append(f"{start:08x}  {piece.hex(' '):<{3 * _BYTES_PER_LINE}} {shown}")
    if len(payload) > maxBytes:
        lines.append(f"... {len(payload) - maxBytes} bytes more")
    return "\n".join(lines)
