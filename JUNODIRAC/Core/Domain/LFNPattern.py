"""Recognizes the LFNs of a Type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from JUNODIRAC.Core.Domain.NamePattern import splitTemplate

if TYPE_CHECKING:
    from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy


class LFNPattern:
    """What the LFNs of a Type look like, by its patterns and its LFNRule.

    Fields that stand in several places need not agree, and any campaign will do: the campaign changes, the files stay.
    """

    def __init__(self, policy: TypePolicy) -> None:
        templates = (policy.namePattern.template, policy.directoryPattern.template)
        self._kinds = {field: kind for template in templates for _, field, kind in splitTemplate(template) if field}
        self._whole = {"Directory": policy.directoryPattern.template, "FileName": policy.namePattern.template}
        self._typeName = policy.typeName
        self._expression = re.compile(self._expressionOf(policy.lfnRule.template))

    def matches(self, lfn: str) -> bool:
        """Whether a file of this Type could have this LFN."""
        return self._expression.fullmatch(lfn) is not None

    def _expressionOf(self, template: str) -> str:
        expression = ""
        for literal, field, _ in splitTemplate(template):
            if not field:
                expression += re.escape(literal)
            elif field in self._whole:
                expression += self._expressionOf(self._whole[field])
            elif field == "Type":
                expression += re.escape(self._typeName)
            else:
                kind = self._kinds.get(field, "")
                expression += "[0-9]+" if kind == "d" else f"[0-9]{{{kind}}}" if kind else "[^/]+"
        return expression
