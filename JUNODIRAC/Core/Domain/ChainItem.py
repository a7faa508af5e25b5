"""A description of a chain as it was read, each part with its place in the file, and what is found wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Item:
    """A part of the file.

    :param line: from 1
    :param value: a text as it stands there, also for numbers; a list; pairs of key and value; None for nothing
    """

    line: int
    value: str | list[Item] | list[tuple[Item, Item]] | None

    @property
    def pairs(self) -> list[tuple[Item, Item]] | None:
        """Keys and values if it is a mapping; an empty list is one, too."""
        if not isinstance(self.value, list):
            return None
        pairs = [each for each in self.value if isinstance(each, tuple)]
        return pairs if len(pairs) == len(self.value) else None

    @property
    def elements(self) -> list[Item] | None:
        """Its elements if it is a list; an empty mapping is one, too."""
        if not isinstance(self.value, list):
            return None
        elements = [each for each in self.value if isinstance(each, Item)]
        return elements if len(elements) == len(self.value) else None


@dataclass(frozen=True, order=True)
class ChainError:
    """Something that is wrong with a description.

    :param line: of the file, from 1
    """

    line: int
    problem: str
    remedy: str

    def text(self, fileName: str) -> str:
        """As a compiler says it: ``rerec.yaml:12: problem; remedy``."""
        return f"{fileName}:{self.line}: {self.problem}; {self.remedy}"


class BadChain(ValueError):
    """A description cannot be used.

    :param errors: all that is wrong, in the order of the file
    """

    def __init__(self, fileName: str, errors: Iterable[ChainError]) -> None:
        self.errors = tuple(sorted(set(errors)))
        super().__init__("\n".join(error.text(fileName) for error in self.errors))


def similar(word: str, known: Iterable[str]) -> str:
    """``did you mean X?``, or all that is known."""
    words = sorted(known)
    if not words:
        return "there are none"
    close = get_close_matches(word.lower(), [each.lower() for each in words], n=1)
    if close:
        return f"did you mean {next(each for each in words if each.lower() == close[0])}?"
    return f"known are {', '.join(words)}"


class Findings:
    """Collects errors, so that all of them are told at once."""

    def __init__(self) -> None:
        self.errors: list[ChainError] = []

    def add(self, line: int, problem: str, remedy: str) -> None:
        """One more."""
        self.errors.append(ChainError(line, problem, remedy))


class Section:
    """A mapping with the keys that it may have.

    :param where: what it is in a message, for example ``step rawrec``
    :param item: None if the file does not have it
    :param line: where a missing key is missed
    """

    def __init__(self, where: str, item: Item | None, line: int, keys: Sequence[str], findings: Findings) -> None:
        self.where = where
        self.line = item.line if item else line
        self.findings = findings
        self._items: dict[str, Item] = {}
        self._isBroken = False
        if item is None:
            return
        if item.pairs is None:
            self._isBroken = True
            findings.add(item.line, f"{where} is no mapping", f"write KEY: VALUE lines with {', '.join(keys)}")
            return
        for key, value in item.pairs:
            self._take(key, value, keys)

    def _take(self, key: Item, value: Item, keys: Sequence[str]) -> None:
        name = key.value if isinstance(key.value, str) else ""
        if name not in keys:
            self.findings.add(key.line, f"{self.where}: key '{cut(name)}' is not known", similar(name, keys))
        elif name in self._items:
            first = self._items[name].line
            self.findings.add(key.line, f"{self.where}: {name} stands there twice", f"keep one, the other is in line {first}")
        else:
            self._items[name] = value

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def lineOf(self, key: str) -> int:
        """The line of a key's value; that of the section if it is not there."""
        return self._items[key].line if key in self._items else self.line

    def item(self, key: str, remedy: str = "") -> Item | None:
        """What stands there, if something does.

        :param remedy: what to write if it is missing; empty: it may be missing
        """
        found = self._items.get(key)
        if found is not None and found.value is not None and str(found.value).strip():
            return found
        if remedy and not self._isBroken:
            self.findings.add(self.lineOf(key), f"{self.where} has no {key}", remedy)
        return None

    def wrong(self, key: str, problem: str, remedy: str) -> None:
        """Something is wrong with a key's value."""
        self.findings.add(self.lineOf(key), f"{self.where}: {problem}", remedy)


def cut(text: str, limit: int = 60) -> str:
    """A value of the file in a message: on one line, and not too long."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[:limit]}..."
