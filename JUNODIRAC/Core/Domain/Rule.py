"""A template that only writes: LFNRule, BlockRule, TransformationRule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from JUNODIRAC.Core.Domain.NamePattern import PatternError, fieldsOf, splitTemplate


@dataclass(frozen=True)
class Rule:
    """Literal text with ``{Field}`` placeholders.

    :raises PatternError: for a template with a brace out of place, or a placeholder that has a kind (``{Field:d}``)
    """

    template: str

    def __post_init__(self) -> None:
        if not self.template:
            raise PatternError(self.template, 0, "an empty rule")
        for _, field, kind in splitTemplate(self.template):
            if kind:
                raise PatternError(
                    self.template, self.template.index(f"{{{field}:"), f"write {{{field}}}: kinds belong in patterns"
                )

    @property
    def fields(self) -> frozenset[str]:
        """Names of the fields that it needs."""
        return frozenset(fieldsOf([self.template]))

    def format(self, values: Mapping[str, str]) -> str:
        """The text with these values; values that the rule does not use are ignored.

        :raises KeyError: if a field has no value
        """
        # safe: the template was checked to hold nothing but plain {Field} placeholders
        return self.template.format_map(values)
