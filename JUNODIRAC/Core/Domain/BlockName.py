"""The names that the blocks of a Type can have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from JUNODIRAC.Core.Domain.NamePattern import NameMismatch, NamePattern, PatternError, splitTemplate
from JUNODIRAC.Core.Domain.Rule import Rule

# the characters of all names, see FileResolver, and as many as the catalogue's metadata and the ledger's column hold
_PLAIN = re.compile(r"[A-Za-z0-9._+=:@,~-]{1,128}")
_LATE = "-late"


class BlockName:
    """Reads a block's name back with the rule that makes it.

    :param rule: BlockRule of the Type
    :param directoryPattern: says of what kind the fields are
    :param given: values that are the same for all blocks of the Type
    """

    def __init__(self, rule: Rule, directoryPattern: NamePattern, given: Mapping[str, str]) -> None:
        kinds = {field: kind for _, field, kind in splitTemplate(directoryPattern.template) if field}
        template = "".join(
            literal or given.get(field) or f"{{{field}:{kinds[field]}}}".replace(":}", "}")
            for literal, field, _ in splitTemplate(rule.template)
        )
        self._pattern: NamePattern | None = None
        with suppress(PatternError):  # two free fields side by side, or one of them twice: such names cannot be read back
            self._pattern = NamePattern(template, directory=True)

    def fits(self, name: str) -> bool:
        """Whether a block of the Type can be called so."""
        if not _PLAIN.fullmatch(name):
            return False
        if self._pattern is None:
            return True
        try:
            self._pattern.parse(name)
        except NameMismatch:
            return False
        return True


def followUpName(parent: str, newest: str = "") -> str:
    """``20230302-late1`` for ``20230302``, and so on.

    :param newest: the name of the parent's last follow-up block, if it has one
    """
    number = newest.removeprefix(parent + _LATE)
    return f"{parent}{_LATE}{int(number) + 1 if number.isdigit() else 1}"
