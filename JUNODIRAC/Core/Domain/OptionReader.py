"""Reads the options of a Type's section, and says what is wrong with one that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from JUNODIRAC.Core.Domain.NamePattern import NamePattern, PatternError
from JUNODIRAC.Core.Domain.PolicyError import PolicyError
from JUNODIRAC.Core.Domain.Rule import Rule

_Choice = TypeVar("_Choice", bound=StrEnum)


class OptionReader:
    """Every method takes the name of an option.

    :param options: as they stand in the configuration; those that we do not know are left alone
    :param defaults: for options that are not there; one that is there and empty is empty
    """

    def __init__(self, typeName: str, options: Mapping[str, str], defaults: Mapping[str, str]) -> None:
        self._typeName = typeName
        self._defaults = defaults
        self._values = {**defaults, **{name: str(value).strip() for name, value in options.items()}}

    def text(self, option: str) -> str:
        """The text; empty if there is none."""
        return self._values.get(option, "")

    def needed(self, option: str) -> str:
        """:raises PolicyError: if it is missing or empty"""
        value = self.text(option)
        if not value:
            raise self._refusal(option, "it is missing or empty", f"set it in the section of {self._typeName}")
        return value

    def names(self, option: str) -> tuple[str, ...]:
        """A list that is separated by commas.

        :raises PolicyError: if it is missing or empty
        """
        return tuple(name.strip() for name in self.needed(option).split(",") if name.strip())

    def pattern(self, option: str, directory: bool = False) -> NamePattern:
        """:raises PolicyError: if it is missing, or no pattern"""
        template = self.needed(option)
        try:
            return NamePattern(template.rstrip("/") if directory else template, directory=directory)
        except PatternError as error:
            raise self._refusal(option, str(error), "write fields as {Name}, {Name:d} or {Name:4}") from None

    def rule(self, option: str) -> Rule:
        """:raises PolicyError: if it is missing, or no rule"""
        try:
            return Rule(self.needed(option))
        except PatternError as error:
            raise self._refusal(option, str(error), "write fields as {Name}") from None

    def ruleOrNone(self, option: str) -> Rule | None:
        """:raises PolicyError: if it is no rule"""
        return self.rule(option) if self.text(option) else None

    def number(self, option: str) -> int:
        """:raises PolicyError: if it is not a whole number of at most 18 digits"""
        text = self.text(option)
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise self._refusal(option, "it is not a whole number", f"use one, for example {self._defaults[option]}")
        return int(text)

    def share(self, option: str) -> float:
        """:raises PolicyError: if it is not a number from 0 to 1"""
        text = self.text(option)
        if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?", text) or float(text) > 1:
            raise self._refusal(option, "it is no share", f"use a number from 0 to 1, for example {self._defaults[option]}")
        return float(text)

    def choice(self, option: str, choices: type[_Choice]) -> _Choice:
        """:raises PolicyError: if it is none of the choices"""
        try:
            return choices(self.text(option))
        except ValueError:
            raise self._refusal(option, "there is no such choice", f"use {' or '.join(choices)}") from None

    def _refusal(self, option: str, reason: str, remedy: str) -> PolicyError:
        return PolicyError(self._typeName, option, self.text(option), reason, remedy)
