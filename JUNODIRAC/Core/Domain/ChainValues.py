"""The values of a description: texts, names, numbers, sizes, times, lists. What is wrong goes to the section's findings."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TypeVar

from JUNODIRAC.Core.Domain.ChainDescription import RunRange
from JUNODIRAC.Core.Domain.ChainItem import Item, Section, cut, similar

_Word = TypeVar("_Word", bound=StrEnum)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
NAME_REMEDY = "write letters, digits, dots, dashes and underscores, beginning with a letter or digit"
MAX_RUN = 2**32 - 1
MAX_BYTES = 10**13

_NUMBER = re.compile(r"[0-9]{1,18}")
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(B|kB|MB|GB|TB)?")
_SIZE_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_TIME = re.compile(r"([0-9]{1,12}) ?(s|min|h|d)?")
_TIME_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_RUNS = re.compile(r"([0-9]{1,10})(?: ?- ?([0-9]{1,10}))?")


def text(section: Section, key: str, default: str = "", remedy: str = "") -> str:
    """A text.

    :param remedy: see Section.item
    """
    item = section.item(key, remedy)
    if item is None:
        return default
    if not isinstance(item.value, str):
        section.wrong(key, f"{key} is a list or a mapping", "write one text")
        return default
    return item.value.strip()


def name(section: Section, key: str, maxChars: int, remedy: str = "") -> str:
    """A text that can be part of other names."""
    value = text(section, key, "", remedy)
    if value and not NAME.fullmatch(value):
        section.wrong(key, f"{key} '{cut(value)}' has other characters", NAME_REMEDY)
    elif len(value) > maxChars:
        section.wrong(key, f"{key} is {len(value)} characters long", f"write at most {maxChars}")
    else:
        return value
    return ""


def whole(section: Section, key: str, default: int, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``."""
    value = text(section, key, str(default))
    if _NUMBER.fullmatch(value) and low <= int(value) <= high:
        return int(value)
    section.wrong(key, f"{key} is '{cut(value)}'", f"write a whole number from {low} to {high}")
    return default


def size(section: Section, key: str, default: int | None) -> int | None:
    """Bytes."""
    value = text(section, key, "")
    if not value:
        return default
    found = _SIZE.fullmatch(value)
    sizeBytes = round(float(found[1]) * _SIZE_UNITS[found[2] or "B"]) if found else 0
    if 1 <= sizeBytes <= MAX_BYTES:
        return sizeBytes
    section.wrong(
        key, f"{key} is '{cut(value)}'", "write a size with its unit (B, kB, MB, GB, TB), for example 1 GB, at most 10 TB"
    )
    return default


def seconds(section: Section, key: str, default: int, low: int, high: int) -> int:
    """A length of time."""
    value = text(section, key, str(default))
    found = _TIME.fullmatch(value)
    length = int(found[1]) * _TIME_UNITS[found[2] or "s"] if found else -1
    if low <= length <= high:
        return length
    limits = f"from {_timeText(low)} to {_timeText(high)}"
    section.wrong(key, f"{key} is '{cut(value)}'", f"write a time {limits} with its unit (s, min, h, d), for example 10 min")
    return default


def _timeText(length: int) -> str:
    unit = next(unit for unit in ("d", "h", "min", "s") if length % _TIME_UNITS[unit] == 0)
    return f"{length // _TIME_UNITS[unit]} {unit}" if length else "0 s"


def word(section: Section, key: str, words: type[_Word], default: _Word, remedy: str = "") -> _Word:
    """One word of some."""
    value = text(section, key, default.value, remedy)
    found = next((each for each in words if each.value == value), None)
    if found is None:
        section.wrong(key, f"{key} '{cut(value)}' is not known", similar(value, [each.value for each in words]))
    return found or default


def words(section: Section, key: str, remedy: str = "") -> tuple[str, ...]:
    """A list of texts, each once; one text stands for a list of one."""
    item = section.item(key, remedy)
    if item is None:
        return ()
    values = [each.strip() for each in _texts(section, key, item)]
    for value in sorted({each for each in values if values.count(each) > 1}):
        section.wrong(key, f"{key} has '{cut(value)}' more than once", "write it once")
    if not any(values) and item.value == []:
        section.wrong(key, f"{key} is empty", remedy or "write something, or take the line away")
    return tuple(dict.fromkeys(each for each in values if each))


def texts(section: Section, key: str) -> tuple[str, ...]:
    """A list of texts as they stand there; a text is cut at its blanks."""
    item = section.item(key)
    if item is None:
        return ()
    if isinstance(item.value, str):
        return tuple(item.value.split())
    return tuple(_texts(section, key, item))


def runs(section: Section, key: str) -> tuple[RunRange, ...]:
    """Runs and ranges of runs."""
    ranges = []
    for value in (part.strip() for each in words(section, key) for part in each.split(",")):
        found = _RUNS.fullmatch(value)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if first <= last <= MAX_RUN:
            ranges.append(RunRange(first, last))
        else:
            section.wrong(key, f"{key} has '{cut(value)}'", "write runs and ranges of them, for example 1000-1999, 2005")
    return tuple(ranges)


def _texts(section: Section, key: str, item: Item) -> list[str]:
    elements = [item] if isinstance(item.value, str) else item.elements
    if elements is not None and all(isinstance(each.value, str) and each.value.strip() for each in elements):
        return [str(each.value) for each in elements]
    section.wrong(key, f"{key} has something in it that is no text, or an empty one", "write a list of texts, for example [A, B]")
    return []
