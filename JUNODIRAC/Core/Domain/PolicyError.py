"""An option of a Type that cannot be used."""

from __future__ import annotations


class PolicyError(ValueError):
    """Names the option, its value, what is wrong with it, and what to write instead."""

    def __init__(self, typeName: str, option: str, value: str, reason: str, remedy: str) -> None:
        self.typeName, self.option, self.value, self.reason, self.remedy = typeName, option, value, reason, remedy
        super().__init__(f"RawData/Types/{typeName}/{option} = '{value}': {reason}; {remedy}")
