"""The policies of the Types, read from the configuration."""

from __future__ import annotations

from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations

from JUNODIRAC.Core.Domain.PolicyError import PolicyError
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy

_TYPES = "RawData/Types"


class BadTypeConfiguration(Exception):
    """A Type's section is missing or cannot be used; says where in the configuration, what and what to do.

    :param path: the section or option in the configuration
    :param reason: what is wrong, and the remedy
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(f"{path}: {reason}")


def loadTypePolicy(typeName: str, vo: str = "") -> TypePolicy:
    """The policy of one Type.

    :raises BadTypeConfiguration: if its section is missing or wrong
    """
    operations = Operations(vo=vo or None)
    section = f"{_TYPES}/{typeName}"
    options = operations.getOptionsDict(section)
    if not options["OK"] or not options["Value"]:
        known = ", ".join(sorted(operations.getSections(_TYPES).get("Value", []))) or "none"
        raise BadTypeConfiguration(
            _where(vo, section), f"there is no such section; make it, or correct the Type's name (configured Types: {known})"
        )
    try:
        return TypePolicy.fromOptions(typeName, options["Value"])
    except PolicyError as exc:
        raise BadTypeConfiguration(
            _where(vo, f"{section}/{exc.option}"), f"'{exc.value}' cannot be used: {exc.reason}; {exc.remedy}"
        ) from exc


def loadTypePolicies(vo: str = "") -> dict[str, TypePolicy]:
    """The policies of all configured Types, by name.

    :raises BadTypeConfiguration: if one of them is wrong, or there is none
    """
    names = Operations(vo=vo or None).getSections(_TYPES)
    if not names["OK"] or not names["Value"]:
        raise BadTypeConfiguration(_where(vo, _TYPES), "no Type is configured; make a section for each, for example Raw")
    return {name: loadTypePolicy(name, vo) for name in names["Value"]}


def loadEachTypePolicy(vo: str = "") -> tuple[dict[str, TypePolicy], dict[str, str]]:
    """The policies of the Types that are configured well, and what is wrong with the others, each by name.

    If there is no Type at all, that stands under the empty name.
    """
    names = Operations(vo=vo or None).getSections(_TYPES)
    if not names["OK"] or not names["Value"]:
        return {}, {"": f"{_where(vo, _TYPES)}: no Type is configured; make a section for each, for example Raw"}
    good: dict[str, TypePolicy] = {}
    bad: dict[str, str] = {}
    for name in names["Value"]:
        try:
            good[name] = loadTypePolicy(name, vo)
        except BadTypeConfiguration as exc:
            bad[name] = str(exc)
    return good, bad


def _where(vo: str, path: str) -> str:
    """Where a person looks for it: the VO's own section overrides the Defaults."""
    return f"/Operations/{vo or 'Defaults'}/{path}"
