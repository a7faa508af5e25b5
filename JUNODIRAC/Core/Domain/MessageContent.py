"""The JSON object of a message, and the values of its fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from JUNODIRAC.Core.Domain.Reason import Reason

# 18 digits: the most that fits a signed 64-bit column for certain
MAX_INTEGER = 10**18 - 1

_DIGITS = re.compile(r"[0-9]{1,18}")


class BadAnnouncement(Exception):
    """An announcement that cannot be registered as it is.

    :param reason: the code, with sentence and remedy
    :param detail: what is wrong with this one, for a person
    :param fileName: the file it speaks of, where that could be read
    """

    def __init__(self, reason: Reason, detail: str, fileName: str = "") -> None:
        self.reason, self.detail, self.fileName = reason, detail, fileName
        super().__init__(f"{fileName or 'announcement'}: {detail}")


def readObject(payload: bytes) -> dict[str, object]:
    """The object that the bytes are.

    :raises BadAnnouncement: Undecodable or BadField, and nothing else, whatever the bytes are
    """
    if not payload.strip():
        raise BadAnnouncement(Reason.UNDECODABLE, "the message is empty")
    try:
        text = payload.decode("utf-8")
        if text.startswith("\ufeff"):
            raise BadAnnouncement(Reason.UNDECODABLE, "not JSON: it begins with a byte order mark")
        content = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:
            # a lone half of a surrogate pair is a str that no database and no log can write
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise BadAnnouncement(Reason.UNDECODABLE, f"byte {error.start + 1} is not UTF-8") from None
    except UnicodeEncodeError:
        raise BadAnnouncement(Reason.UNDECODABLE, "a \\ud... escape without its other half is not Unicode") from None
    except json.JSONDecodeError as error:
        raise BadAnnouncement(Reason.UNDECODABLE, f"not JSON: {error.msg} at character {error.pos + 1} of {len(text)}") from None
    except RecursionError:
        raise BadAnnouncement(Reason.UNDECODABLE, "the JSON is nested too deeply") from None
    except ValueError:
        # int() refuses numbers of thousands of digits
        raise BadAnnouncement(Reason.UNDECODABLE, "a number in the JSON is too long") from None
    if not isinstance(content, dict):
        raise BadAnnouncement(Reason.UNDECODABLE, f"the JSON is not an object but {shownValue(content)}")
    return content


def _uniqueKeys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadAnnouncement(Reason.BAD_FIELD, f"{shownValue(twice)} stands twice in one object")
    return result


def _noConstant(name: str) -> object:
    raise BadAnnouncement(Reason.BAD_FIELD, f"{name} is not a number in JSON")


def _finiteFloat(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise BadAnnouncement(Reason.BAD_FIELD, f"the number {digits[:40]} is too large")
    return value


# made once: it costs as much as reading an announcement
_DECODER = json.JSONDecoder(object_pairs_hook=_uniqueKeys, parse_constant=_noConstant, parse_float=_finiteFloat)


def shownValue(value: object) -> str:
    """A value for a sentence to a person: ASCII, not long."""
    shown = (
        ascii(value)
        if isinstance(value, str | int | float | None)
        else f"a {'list' if isinstance(value, list) else 'JSON object'}"
    )
    return shown if len(shown) <= 80 else shown[:77] + "..."


def textOf(content: Mapping[str, object], name: str) -> str:
    """:raises BadAnnouncement: if the field is no text, or empty"""
    if name not in content:
        raise BadAnnouncement(Reason.BAD_FIELD, f"{name} is missing")
    value = content[name]
    if not isinstance(value, str) or not value:
        raise BadAnnouncement(Reason.BAD_FIELD, f"{name} must be a text that is not empty, not {shownValue(value)}")
    return value


def integerOf(content: Mapping[str, object], name: str) -> int | None:
    """Numbers from 0, also as a string of digits; 15.0 is 15 because JSON does not tell them apart. null is not given."""
    value = content.get(name)
    if value is None:
        return None
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INTEGER:
        return value
    raise BadAnnouncement(Reason.BAD_FIELD, f"{name} must be a whole number from 0 to {MAX_INTEGER}, not {shownValue(value)}")
