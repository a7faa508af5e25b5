"""What an audit of a block in a chain finds, and what it says of the block. All times are UTC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class AuditVerdict(StrEnum):
    """One word for the block."""

    EXACT = "Exact"  #: every event of every wanted file is in exactly one output, and all witnesses agree
    OFF = "Off"  #: something is lost, double or wrong: it is named
    UNFINISHED = "Unfinished"  #: nothing is wrong, not all is done
    UNANSWERED = "Unanswered"  #: nothing is known to be wrong, but not everybody told


class AuditLook(StrEnum):
    """Why it was counted."""

    STEP = "Step"  #: a step ended
    ASKED = "Asked"  #: by a person


class Finding(StrEnum):
    """What can be found of a file."""

    # something is wrong
    WITHOUT_DAUGHTER = "InputWithoutDaughter"
    SEVERAL_DAUGHTERS = "InputWithSeveralDaughters"
    GIVEN_UP = "GivenUp"
    WITHOUT_PARENT = "OutputWithoutParent"
    UNKNOWN_PARENT = "ParentIsNoInput"
    WRONG_EVENTS = "EventCountsDiffer"
    WRONG_ORDER = "WrongOrder"
    NOT_CATALOGUED = "NotInCatalogue"
    CATALOGUE_DIFFERS = "CatalogueDiffers"
    MISSING = "MissingOnStorage"
    WRONG_SIZE = "WrongSize"
    WRONG_CHECKSUM = "WrongChecksum"
    NO_PRODUCT = "NoProduct"
    EXTRA = "ExtraOnStorage"
    STILL_THERE = "RetiredButThere"
    MISSING_ANCESTOR = "MissingAncestor"
    WRONG_ANCESTOR = "WrongAncestor"
    MISSING_COPY = "MissingCopy"
    # nobody told
    UNANSWERED = "Unanswered"
    # not done yet
    NOT_ATTACHED = "NotAttached"
    NOT_PROCESSED = "NotProcessed"
    STATUS_BEHIND = "StatusBehind"
    NOT_REGISTERED = "NotRegistered"
    COPY_UNDER_WAY = "CopyUnderWay"
    LEFT_BEHIND = "LeftBehind"
    RETIRING = "Retiring"
    # worth knowing
    WAIVED = "Waived"
    OVERLAP = "Overlap"


#: nothing is wrong with these, and nothing is left to do
REMARKS = frozenset({Finding.WAIVED, Finding.OVERLAP})
UNFINISHED = frozenset(
    {
        Finding.NOT_ATTACHED, Finding.NOT_PROCESSED, Finding.STATUS_BEHIND, Finding.NOT_REGISTERED, Finding.COPY_UNDER_WAY,
        Finding.LEFT_BEHIND, Finding.RETIRING,
    }
)  # fmt: skip
WRONG = frozenset(Finding) - REMARKS - UNFINISHED - {Finding.UNANSWERED}

#: each finding in words, for a count before it
WORDS = {
    Finding.WITHOUT_DAUGHTER: "inputs without daughter",
    Finding.SEVERAL_DAUGHTERS: "inputs with more than one daughter",
    Finding.GIVEN_UP: "given up",
    Finding.WITHOUT_PARENT: "outputs without parent",
    Finding.UNKNOWN_PARENT: "parents that are no input",
    Finding.WRONG_EVENTS: "event counts that differ",
    Finding.WRONG_ORDER: "outputs in the wrong order",
    Finding.NOT_CATALOGUED: "outputs not in the catalogue",
    Finding.CATALOGUE_DIFFERS: "records in the catalogue that differ",
    Finding.MISSING: "replicas that the storage lacks",
    Finding.WRONG_SIZE: "replicas of wrong size",
    Finding.WRONG_CHECKSUM: "replicas with wrong checksum",
    Finding.NO_PRODUCT: "files in the catalogue that are no output",
    Finding.EXTRA: "files on storages that are no output or replica",
    Finding.STILL_THERE: "retired files that are still there",
    Finding.MISSING_ANCESTOR: "missing ancestors",
    Finding.WRONG_ANCESTOR: "wrong ancestors",
    Finding.MISSING_COPY: "missing copies",
    Finding.UNANSWERED: "without an answer",
    Finding.NOT_ATTACHED: "inputs not in the step yet",
    Finding.NOT_PROCESSED: "inputs not processed yet",
    Finding.STATUS_BEHIND: "inputs whose status is behind",
    Finding.NOT_REGISTERED: "outputs not registered yet",
    Finding.COPY_UNDER_WAY: "copies under way",
    Finding.LEFT_BEHIND: "files of jobs that are under way or to be cleaned up",
    Finding.RETIRING: "inputs that are being retired",
    Finding.WAIVED: "waived",
    Finding.OVERLAP: "merged files whose ranges overlap",
}


@dataclass(frozen=True)
class FoundFile:
    """One finding.

    :param step: name of the step; empty where that is not known
    :param lfn: the file; or what did not tell
    """

    kind: Finding
    step: str
    lfn: str
    detail: str

    def toDict(self) -> dict[str, str]:
        """For JSON."""
        return {"Kind": self.kind.value, "Step": self.step, "LFN": self.lfn, "Detail": self.detail}


@dataclass(frozen=True)
class StepCount:
    """One step in numbers.

    :param derived: inputs that are in an output
    :param eventsAnnounced: of the derived inputs; None: not all were announced
    :param eventsRead: by the jobs, of the derived inputs
    :param eventsOut: in the outputs
    :param copies: replicas at the destinations by SE (replicate)
    """

    number: int
    name: str
    kind: str
    inputs: int
    derived: int = 0
    givenUp: int = 0
    waived: int = 0
    outputs: int = 0
    registered: int = 0
    retired: int = 0
    sizeBytes: int = 0
    eventsAnnounced: int | None = None
    eventsRead: int = 0
    eventsOut: int = 0
    copies: Mapping[str, int] = field(default_factory=dict)

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "StepNumber": self.number,
            "Step": self.name,
            "Kind": self.kind,
            "Inputs": self.inputs,
            "Derived": self.derived,
            "GivenUp": self.givenUp,
            "Waived": self.waived,
            "Outputs": self.outputs,
            "Registered": self.registered,
            "Retired": self.retired,
            "SizeBytes": self.sizeBytes,
            "EventsAnnounced": self.eventsAnnounced,
            "EventsRead": self.eventsRead,
            "EventsOut": self.eventsOut,
            "Copies": dict(self.copies),
        }


def verdictOf(kinds: Mapping[Finding, int]) -> AuditVerdict:
    """What is wrong counts, even if not everybody told."""
    if kinds.keys() & WRONG:
        return AuditVerdict.OFF
    if Finding.UNANSWERED in kinds:
        return AuditVerdict.UNANSWERED
    return AuditVerdict.UNFINISHED if kinds.keys() & UNFINISHED else AuditVerdict.EXACT


def sentenceOf(kinds: Mapping[Finding, int]) -> str:
    """The counts of what was found in words, the worst first; "nothing is missing" if there is nothing."""
    told = [f"{kinds[kind]} {WORDS[kind]}" for kind in Finding if kinds.get(kind)]
    return ", ".join(told) or "every event of every file is accounted for"


@dataclass(frozen=True)
class AuditOutcome:
    """What the rules say of one block."""

    steps: Sequence[StepCount]
    findings: Sequence[FoundFile]

    @property
    def kinds(self) -> Mapping[Finding, int]:
        """How many there are of each."""
        return Counter(each.kind for each in self.findings)

    @property
    def verdict(self) -> AuditVerdict:
        return verdictOf(self.kinds)

    @property
    def sentence(self) -> str:
        return sentenceOf(self.kinds)


@dataclass(frozen=True)
class AuditRecord:
    """An audit as it is kept.

    :param counts: whole counts by kind
    :param findings: of each kind the first ones
    """

    chainID: int
    blockID: int
    look: AuditLook
    actor: str
    startedTime: datetime
    endedTime: datetime
    verdict: AuditVerdict
    steps: Sequence[Mapping[str, object]]
    counts: Mapping[Finding, int]
    findings: Sequence[FoundFile]
    endedSteps: int = 0
    production: str = ""
    typeName: str = ""
    block: str = ""
    auditID: int = 0

    @property
    def sentence(self) -> str:
        """In words, for one line."""
        return sentenceOf(self.counts)

    def toDict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "AuditID": self.auditID,
            "Chain": self.production,
            "Type": self.typeName,
            "Block": self.block,
            "Look": self.look.value,
            "Actor": self.actor,
            "StartedTime": self.startedTime.isoformat(timespec="milliseconds"),
            "EndedTime": self.endedTime.isoformat(timespec="milliseconds"),
            "Verdict": self.verdict.value,
            "Sentence": self.sentence,
            "EndedSteps": self.endedSteps,
            "Steps": [dict(step) for step in self.steps],
            "Counts": {kind.value: count for kind, count in self.counts.items()},
            "Findings": [each.toDict() for each in self.findings],
        }


def recordOf(
    outcome: AuditOutcome, chainID: int, blockID: int, look: AuditLook, actor: str, times: tuple[datetime, datetime], most: int,
    endedSteps: int = 0,
) -> AuditRecord:  # fmt: skip
    """The outcome to be kept, with at most so many names of each kind."""
    seen: Counter[Finding] = Counter()
    kept = []
    for each in outcome.findings:
        seen[each.kind] += 1
        if seen[each.kind] <= most:
            kept.append(each)
    steps = [step.toDict() for step in outcome.steps]
    return AuditRecord(chainID, blockID, look, actor, *times, outcome.verdict, steps, dict(seen), kept, endedSteps)
