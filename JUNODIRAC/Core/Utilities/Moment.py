"""Moments and ages as people type and read them. All times are UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_AGE = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhdw])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class BadMoment(ValueError):
    """A text that is neither a time nor an age."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"'{text}' is not a time: write a UTC time such as 2023-03-02 or 2023-03-02T14:30:00, or an age such as 90m, 6h or 2d"
        )


def readMoment(text: str, now: datetime) -> datetime:
    """The moment that a person means: a UTC time, or an age counted back from ``now``.

    :raises BadMoment: for anything else
    """
    age = _AGE.fullmatch(text)
    try:
        if age:
            return now - timedelta(seconds=int(age["number"]) * _UNIT_SECONDS[age["unit"]])
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise BadMoment(text) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def ageText(seconds: float) -> str:
    """An age with its two largest units: ``2 d 3 h``, ``45 s``."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit in "dhms":
        number, left = divmod(left, _UNIT_SECONDS[unit])
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def momentText(moment: datetime | None) -> str | None:
    """ISO 8601 with milliseconds and offset, for JSON."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else None


def shortText(isoText: str | None) -> str:
    """What :func:`momentText` wrote, to the second and without the offset, for a table."""
    return str(isoText or "-")[:19].replace("T", " ")
