"""File name and directory patterns: what a name says, and the name that says it.

A template is literal text with placeholders:

===========  =====================================================================================
``{F}``      one or more characters except ``/``, blanks and braces, and in a file name except ``.``
``{F:d}``    one or more digits
``{F:4}``    exactly 4 digits (any number from 1 to 99)
===========  =====================================================================================

Values are strings and stay as they are written (``0302`` is not 302), so that parsing and formatting are inverses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_PLACEHOLDER = re.compile(r"\{(?P<field>[A-Za-z][A-Za-z0-9_]*)(?::(?P<kind>d|[1-9][0-9]?))?\}")
_FIELD_OF_NAME = r"[^./\s{}]+"
_FIELD_OF_DIRECTORY = r"[^/\s{}]+"


class PatternError(ValueError):
    """A template that cannot be used: it says which, where and why.

    :param position: index of the character at fault, counted from 0
    """

    def __init__(self, template: str, position: int, why: str) -> None:
        self.template, self.position, self.why = template, position, why
        super().__init__(f"{why} (at character {position + 1} of '{template}')")


class NameMismatch(ValueError):
    """A text that does not follow its pattern, or values that the pattern cannot express."""

    def __init__(self, text: str, template: str, why: str) -> None:
        self.text, self.template, self.why = text, template, why
        super().__init__(why)


def splitTemplate(template: str) -> list[tuple[str, str, str]]:
    """Cut a template into its pieces.

    :returns: for each piece (literal text, field, kind); literal pieces have no field, free fields no kind
    :raises PatternError: for a brace that belongs to no placeholder
    """
    pieces: list[tuple[str, str, str]] = []
    position = 0
    while position < len(template):
        if template[position] in "{}":
            match = _PLACEHOLDER.match(template, position)
            if not match:
                raise PatternError(template, position, "a brace that is not part of {Field}, {Field:d} or {Field:4}")
            pieces.append(("", match["field"], match["kind"] or ""))
            position = match.end()
        else:
            end = next((i for i in range(position, len(template)) if template[i] in "{}"), len(template))
            pieces.append((template[position:end], "", ""))
            position = end
    return pieces


def fieldsOf(templates: Iterable[str]) -> set[str]:
    """Names of all fields in these templates."""
    return {field for template in templates for _, field, _ in splitTemplate(template) if field}


class NamePattern:
    """A template that reads and writes file names, or with ``directory`` the paths of directories.

    :param template: see the module
    :param directory: the fields may contain dots
    :raises PatternError: for a template that cannot be used
    """

    def __init__(self, template: str, directory: bool = False) -> None:
        self.template = template
        self.directory = directory
        free = _FIELD_OF_DIRECTORY if directory else _FIELD_OF_NAME
        kinds: dict[str, str] = {}
        expression = ""
        previousIsOpen = False
        position = 0
        for literal, field, kind in splitTemplate(template):
            isOpen = bool(field) and kind in ("", "d")
            if isOpen and previousIsOpen:
                raise PatternError(template, position, f"nothing separates {{{field}}} from the field before it")
            if field in kinds:
                raise PatternError(template, position, f"{{{field}}} stands here twice")
            if field:
                kinds[field] = kind
                expression += f"(?P<{field}>{_expressionOf(kind, free)})"
                position += len(field) + 2 + (len(kind) + 1 if kind else 0)
            else:
                expression += re.escape(literal)
                position += len(literal)
            previousIsOpen = isOpen
        if not kinds and not template:
            raise PatternError(template, 0, "an empty pattern")
        self._kinds = kinds
        self._expression = re.compile(expression)

    def __repr__(self) -> str:
        return f"NamePattern({self.template!r}, directory={self.directory})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamePattern) and (self.template, self.directory) == (other.template, other.directory)

    def __hash__(self) -> int:
        return hash((self.template, self.directory))

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields, in order of appearance."""
        return tuple(self._kinds)

    @property
    def plainTemplate(self) -> str:
        """The template with every placeholder as ``{Field}``, as rules write them."""
        return _PLACEHOLDER.sub(lambda match: f"{{{match['field']}}}", self.template)

    def parse(self, text: str) -> dict[str, str]:
        """Read the fields of a name.

        :raises NameMismatch: if the text does not follow the pattern
        """
        match = self._expression.fullmatch(text)
        if match is None:
            raise NameMismatch(text, self.template, f"'{text}' does not follow '{self.template}'")
        return match.groupdict()

    def format(self, fields: Mapping[str, str]) -> str:
        """Write the name that has these fields; fields that the pattern does not know are ignored.

        :raises NameMismatch: if a field is missing, does not fit its kind, or the name would be read differently
        """
        wanted: dict[str, str] = {}
        for field, kind in self._kinds.items():
            if field not in fields:
                raise NameMismatch("", self.template, f"no value for {{{field}}} of '{self.template}'")
            wanted[field] = fields[field]
            free = _FIELD_OF_DIRECTORY if self.directory else _FIELD_OF_NAME
            if not re.fullmatch(_expressionOf(kind, free), fields[field]):
                raise NameMismatch(
                    fields[field], self.template, f"'{fields[field]}' is not {_describe(kind, self.directory)} for {{{field}}}"
                )
        text = self.plainTemplate.format_map(wanted)
        if self.parse(text) != wanted:
            # for example {A}_{B} with A="x", B="y_z": one name, two readings
            raise NameMismatch(text, self.template, f"'{text}' would be read with other fields than {wanted}")
        return text


def _expressionOf(kind: str, free: str) -> str:
    if kind == "":
        return free
    return "[0-9]+" if kind == "d" else f"[0-9]{{{kind}}}"


def _describe(kind: str, directory: bool) -> str:
    if kind == "":
        return "a text without slash, blank and brace" if directory else "a text without dot, slash, blank and brace"
    return "a number" if kind == "d" else f"a number of {kind} digits"
