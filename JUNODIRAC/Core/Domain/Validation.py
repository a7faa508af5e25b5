"""What is found when ledger, catalogue and storage are compared for a block at a site. All times are UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Difference(StrEnum):
    """How a file is not as the ledger declares it. A file has one of them at most."""

    MISSING = "Missing"  #: the storage says that there is no such file
    EXTRA = "Extra"  #: on the storage, or as a replica in the catalogue, but no registered file of the ledger
    WRONG_SIZE = "WrongSize"
    WRONG_CHECKSUM = "WrongChecksum"
    UNCATALOGUED = "Uncatalogued"  #: a good copy of which the catalogue has no replica, or another size or checksum
    UNANSWERED = "Unanswered"  #: the storage or the catalogue did not tell; never to be taken for missing


class Verdict(StrEnum):
    """Good: all is as declared. Bad: something is not. Incomplete: nothing is wrong, but not everything was told."""

    GOOD = "Good"
    BAD = "Bad"
    INCOMPLETE = "Incomplete"


class Look(StrEnum):
    """Why a block was looked at."""

    FIRST = "First"
    SECOND = "Second"
    AGAIN = "Again"  #: when it was Done for long
    ASKED = "Asked"  #: by a person


@dataclass(frozen=True)
class Validation:
    """One comparison, with whole counts and lists of names that may be cut.

    :param actor: the agent, or the user who asked
    :param files: registered files of the block; each is good or has one difference other than Extra
    :param sizeBytes: their declared size
    :param names: LFNs by kind
    :param details: what is wrong in words, by LFN
    :param failure: why the storage did not tell, where that is not one file's matter
    """

    blockID: int
    se: str
    look: Look
    actor: str
    startedTime: datetime
    endedTime: datetime
    verdict: Verdict
    files: int
    sizeBytes: int
    goodFiles: int
    counts: Mapping[Difference, int] = field(default_factory=dict)
    names: Mapping[Difference, Sequence[str]] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    validationID: int = 0

    @property
    def isConclusive(self) -> bool:
        """Whether it says how the block is."""
        return self.verdict is not Verdict.INCOMPLETE

    @property
    def summary(self) -> str:
        """In words, for one line."""
        found = [f"{self.counts[kind]} {_WORDS[kind]}" for kind in Difference if self.counts.get(kind)]
        text = ", ".join([f"{self.goodFiles} of {self.files} files good", *found])
        return f"{text}; {self.failure}" if self.failure else text

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "ValidationID": self.validationID,
            "SE": self.se,
            "Look": self.look.value,
            "Actor": self.actor,
            "StartedTime": self.startedTime.isoformat(timespec="milliseconds"),
            "EndedTime": self.endedTime.isoformat(timespec="milliseconds"),
            "Verdict": self.verdict.value,
            "Files": self.files,
            "SizeBytes": self.sizeBytes,
            "GoodFiles": self.goodFiles,
            **{f"{kind.value}Files": self.counts.get(kind, 0) for kind in Difference},
            "Names": {kind.value: list(names) for kind, names in self.names.items()},
            "Details": dict(self.details),
            "Failure": self.failure,
            "Summary": self.summary,
        }


_WORDS = {
    Difference.MISSING: "missing",
    Difference.EXTRA: "extra",
    Difference.WRONG_SIZE: "of wrong size",
    Difference.WRONG_CHECKSUM: "with wrong checksum",
    Difference.UNCATALOGUED: "not in the catalogue as they are",
    Difference.UNANSWERED: "without an answer",
}
