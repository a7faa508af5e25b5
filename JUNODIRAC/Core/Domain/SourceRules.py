"""What the configuration says of the sources of copies: preferences, the relay, and what "recent" means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_RELAY_PATIENCE_SECONDS = 1800
DEFAULT_RECENT_SECONDS = 3600
DEFAULT_PREFERENCE = "Default"
DEFAULT_RETRY_WAIT_SCALE = 1.0

# a week: whoever waits longer for a relay has forgotten it
_MAX_SECONDS = 7 * 86400


class BadSourceRules(ValueError):
    """An option of ``RawData/Sources`` that cannot be used: names it, its value, what is wrong and what to write."""

    def __init__(self, option: str, value: str, reason: str, remedy: str) -> None:
        self.option, self.value, self.reason, self.remedy = option, value, reason, remedy
        super().__init__(f"RawData/Sources/{option} = '{value}': {reason}; {remedy}")


@dataclass(frozen=True)
class SourceRules:
    """
    :param preferences: for a destination the storage elements to copy from, best first; ``Default`` for all others
    :param relaySE: gets its copy over the long link, and gives it on; empty: none
    :param relayFor: destinations that wait for the copy of the relay
    :param relayPatienceSeconds: how long a file waits for it
    :param recentSeconds: how far back copies count in the ranking of the links
    :param retryWaitScale: the waits of :mod:`TransferErrors` between two attempts of a request are multiplied by this
    :raises BadSourceRules: for values that contradict each other
    """

    preferences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    relaySE: str = ""
    relayFor: frozenset[str] = frozenset()
    relayPatienceSeconds: int = DEFAULT_RELAY_PATIENCE_SECONDS
    recentSeconds: int = DEFAULT_RECENT_SECONDS
    retryWaitScale: float = DEFAULT_RETRY_WAIT_SCALE

    @classmethod
    def fromOptions(cls, options: Mapping[str, str], preferences: Mapping[str, str]) -> SourceRules:
        """Read the options of the section and of its section ``Preferences``; lists are separated by commas.

        :raises BadSourceRules: naming option, value, reason and remedy
        """
        return cls(
            preferences={target: _names(names) for target, names in preferences.items()},
            relaySE=options.get("RelaySE", "").strip(),
            relayFor=frozenset(_names(options.get("RelayFor", ""))),
            relayPatienceSeconds=_seconds(options, "RelayPatienceSeconds", DEFAULT_RELAY_PATIENCE_SECONDS),
            recentSeconds=_seconds(options, "RecentSeconds", DEFAULT_RECENT_SECONDS),
            retryWaitScale=_scale(options, "RetryWaitScale", DEFAULT_RETRY_WAIT_SCALE),
        )

    def __post_init__(self) -> None:
        for target, names in self.preferences.items():
            option, shown = f"Preferences/{target}", ", ".join(names)
            if target in names:
                raise BadSourceRules(option, shown, "nothing is copied from a storage element to itself", "take it out")
            if len(set(names)) < len(names):
                raise BadSourceRules(option, shown, "a storage element stands twice", "name each once")
        shown = ", ".join(sorted(self.relayFor))
        if self.relayFor and not self.relaySE:
            raise BadSourceRules("RelayFor", shown, "RelaySE is empty", "name the relay, or leave RelayFor empty")
        if "," in self.relaySE:
            raise BadSourceRules("RelaySE", self.relaySE, "it is not one storage element", "name one")
        if self.relaySE in self.relayFor:
            raise BadSourceRules("RelayFor", shown, f"{self.relaySE} is the relay itself", "take it out")

    def preferredFor(self, target: str) -> tuple[str, ...]:
        """The storage elements that a destination prefers to copy from, best first."""
        return self.preferences.get(target, self.preferences.get(DEFAULT_PREFERENCE, ()))

    def hasRelay(self, target: str) -> bool:
        """Whether this destination takes its copies from the relay."""
        return bool(self.relaySE) and target in self.relayFor


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _seconds(options: Mapping[str, str], option: str, default: int) -> int:
    text = options.get(option, str(default)).strip()
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > _MAX_SECONDS:
        raise BadSourceRules(
            option, text, f"it is no whole number from 0 to {_MAX_SECONDS}", f"use seconds, for example {default}"
        )
    return int(text)


def _scale(options: Mapping[str, str], option: str, default: float) -> float:
    text = options.get(option, str(default)).strip()
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", text):
        raise BadSourceRules(option, text, "it is no number from 0 to 9999", f"use a factor, for example {default}")
    return float(text)
