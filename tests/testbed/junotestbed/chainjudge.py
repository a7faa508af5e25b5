"""Whether a chain has every event of a block exactly once: from bytes and tables alone, without any code of ours."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise

#: run, event number, and SHA-256 of the data that the detector's side had of it, which the stand-in for the reconstruction keeps
Event = tuple[int, int, bytes]

MAGIC = b"JUNO-EVENTS 1\n"
_HEAD, _CRC = struct.Struct("<IQI"), struct.Struct("<I")
_END_RUN = 0xFFFFFFFF
#: so many names of each kind are told
_TOLD = 10


class Damaged(Exception):
    """These bytes are no whole file of event records."""


def eventsOf(content: bytes, isReconstructed: bool) -> tuple[Event, ...]:
    """The events of a file in the order in which they stand in it; each record's CRC is checked.

    :raises Damaged: if it is cut or damaged
    """
    if not content.startswith(MAGIC):
        raise Damaged("no header")
    events: list[Event] = []
    at = len(MAGIC)
    while True:
        if at + _HEAD.size > len(content):
            raise Damaged(f"cut at byte {at}")
        run, event, length = _HEAD.unpack_from(content, at)
        end = at + _HEAD.size + length
        if end + _CRC.size > len(content):
            raise Damaged(f"cut in the record at byte {at}")
        if zlib.crc32(content[at:end]) != _CRC.unpack_from(content, end)[0]:
            raise Damaged(f"wrong CRC of the record at byte {at}")
        at = end + _CRC.size
        if run == _END_RUN:
            if event != len(events) or length or at != len(content):
                raise Damaged(f"{len(events)} records, {len(content) - at} bytes after the end of {event} records")
            return tuple(events)
        payload = content[end - length : end]
        events.append((run, event, payload[:32] if isReconstructed else hashlib.sha256(payload).digest()))


def told(event: Event) -> str:
    """For people."""
    return f"event {event[1]} of run {event[0]}"


@dataclass(frozen=True)
class InputFile:
    """A file that went in, as its generator made it."""

    lfn: str
    stream: str
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Entry:
    """A file as the catalogue has it.

    :param step: that wrote it, by its directory
    :param ancestors: LFNs, of any depth, that are in the catalogue
    """

    lfn: str
    step: str
    sizeBytes: int
    checksum: str
    replicas: frozenset[str]
    ancestors: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StoredFile:
    """A file on the disk of a storage element.

    :param events: empty if they cannot be read
    :param damage: why they cannot be
    """

    se: str
    lfn: str
    step: str
    sizeBytes: int
    checksum: str
    events: tuple[Event, ...] = ()
    damage: str = ""


@dataclass(frozen=True)
class ChainFacts:
    """All that is known of a block in a chain, by those who look from outside.

    :param merged: the step whose output counts
    :param parts: the steps before it, whose outputs it takes
    :param retires: whether parts have to be gone at the end
    :param unsettled: files of its transformations that are in no final state
    """

    inputs: Sequence[InputFile]
    entries: Sequence[Entry]
    stored: Sequence[StoredFile]
    merged: str
    parts: Sequence[str] = ()
    retires: bool = False
    destinations: Sequence[str] = ()
    unsettled: Sequence[str] = ()

    @cached_property
    def owner(self) -> dict[Event, InputFile]:
        """Of which file each event is.

        :raises ValueError: if two files have an event
        """
        owner: dict[Event, InputFile] = {}
        for file in self.inputs:
            for event in file.events:
                if owner.setdefault(event, file) is not file:
                    other = owner[event].lfn
                    raise ValueError(f"{told(event)} is in {file.lfn} and in {other}: nobody could tell one from the other")
        return owner

    @cached_property
    def disks(self) -> Mapping[tuple[str, str], StoredFile]:
        """By storage element and LFN."""
        return {(file.se, file.lfn): file for file in self.stored}

    def outputs(self, step: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.step == step]

    def isGood(self, entry: Entry, se: str) -> bool:
        """Whether there is what the catalogue says."""
        stored = self.disks.get((se, entry.lfn))
        return stored is not None and (stored.sizeBytes, stored.checksum) == (entry.sizeBytes, entry.checksum)

    def eventsIn(self, entry: Entry) -> tuple[Event, ...]:
        """As the first good replica has them; none without one."""
        good = [se for se in sorted(entry.replicas) if self.isGood(entry, se)]
        return self.disks[good[0], entry.lfn].events if good else ()


@dataclass
class ChainVerdict:
    """What is not as it must be, each with names.

    :param lost: files that went in, of which merged files lack events
    :param partly: those of them of which they have some
    :param twice: files that went in, of which merged files have events more than once
    :param foreign: merged files with events that no file had
    :param disorder: files whose events are not in order, or of several streams
    :param overlap: merged files of one stream whose ranges overlap
    :param wrong: replicas of the catalogue that a storage does not have, or has with other bytes
    :param missing: merged files without a replica at a destination
    :param ancestors: files whose ancestors in the catalogue are not those whose events they have
    :param orphans: files on storages that the catalogue does not know there
    :param notRetired: parts that should be gone
    :param parts: of the steps before: files that went in, that are not in exactly one part
    :param unsettled: files of transformations in no final state
    """

    events: int = 0
    eventsMerged: int = 0
    inputs: int = 0
    mergedFiles: int = 0
    lost: list[str] = field(default_factory=list)
    partly: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    disorder: list[str] = field(default_factory=list)
    overlap: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    ancestors: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    notRetired: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)

    @property
    def problems(self) -> dict[str, list[str]]:
        """By kind; empty if everything is exact."""
        return {name: found for name, found in vars(self).items() if isinstance(found, list) and found}

    def toText(self) -> str:
        """One line of counts, then each problem with its first names."""
        what, out = f"{self.inputs} files with {self.events} events in", f"{self.mergedFiles} with {self.eventsMerged} out"
        lines = [f"{what}, {out}: {'OFF' if self.problems else 'exact'}"]
        for kind, names in self.problems.items():
            lines += [f"{kind} {len(names)}", *(f"  {name}" for name in names[:_TOLD])]
        return "\n".join(lines)


def judge(facts: ChainFacts) -> ChainVerdict:
    """Compare all with all."""
    verdict = ChainVerdict(inputs=len(facts.inputs), events=len(facts.owner), unsettled=list(facts.unsettled))
    merged = facts.outputs(facts.merged)
    verdict.mergedFiles = len(merged)
    _judgeEvents(facts, merged, verdict)
    _judgeRanges(facts, merged, verdict)
    _judgeReplicas(facts, merged, verdict)
    _judgeParts(facts, verdict)
    for entry in facts.entries:
        _judgeOrder(facts, entry, verdict)
        _judgeAncestors(facts, entry, verdict)
    return verdict


def _judgeEvents(facts: ChainFacts, merged: Sequence[Entry], verdict: ChainVerdict) -> None:
    """Each event of each file is in one merged file, and nothing else is."""
    found: Counter[Event] = Counter()
    for entry in merged:
        events = facts.eventsIn(entry)
        found.update(events)
        unknown = [event for event in events if event not in facts.owner]
        if unknown:
            verdict.foreign.append(f"{entry.lfn}: {len(unknown)} events, the first is {told(unknown[0])}")
    verdict.eventsMerged = found.total()
    for file in facts.inputs:
        lacking = [event for event in file.events if not found[event]]
        double = [event for event in file.events if found[event] > 1]
        if lacking:
            verdict.lost.append(file.lfn)
        if lacking and len(lacking) < len(file.events):
            verdict.partly.append(f"{file.lfn}: {len(lacking)} of {len(file.events)} events, the first is {told(lacking[0])}")
        if double:
            verdict.twice.append(f"{file.lfn}: {len(double)} of {len(file.events)} events, the first is {told(double[0])}")


def _judgeOrder(facts: ChainFacts, entry: Entry, verdict: ChainVerdict) -> None:
    """Inside a file events ascend, and are of one stream."""
    events = facts.eventsIn(entry)
    for before, after in pairwise(events):
        if before[:2] >= after[:2]:
            verdict.disorder.append(f"{entry.lfn}: {told(after)} follows {told(before)}")
            break
    streams = {facts.owner[event].stream for event in events if event in facts.owner}
    if len(streams) > 1:
        verdict.disorder.append(f"{entry.lfn} has events of {', '.join(sorted(streams))}")


def _judgeRanges(facts: ChainFacts, merged: Sequence[Entry], verdict: ChainVerdict) -> None:
    """The merged files of a stream follow each other."""
    ranges: dict[str, list[tuple[Event, Event, str]]] = defaultdict(list)
    for entry in merged:
        events = [event for event in facts.eventsIn(entry) if event in facts.owner]
        if events:
            ranges[facts.owner[events[0]].stream].append((min(events), max(events), entry.lfn))
    for found in ranges.values():
        ordered = sorted(found)
        for (_, last, lfn), (first, _, other) in pairwise(ordered):
            if first[:2] <= last[:2]:
                verdict.overlap.append(f"{other} begins with {told(first)}, {lfn} ends with {told(last)}")


def _judgeReplicas(facts: ChainFacts, merged: Sequence[Entry], verdict: ChainVerdict) -> None:
    """What the catalogue offers is there, merged files are where they are wanted, and nothing else lies about."""
    registered = {(se, entry.lfn) for entry in facts.entries for se in entry.replicas}
    for entry in facts.entries:
        verdict.wrong += [_wrongReplica(facts, entry, se) for se in sorted(entry.replicas) if not facts.isGood(entry, se)]
        damage = {facts.disks[se, entry.lfn].damage for se in entry.replicas if facts.isGood(entry, se)} - {""}
        verdict.wrong += [f"{entry.lfn}: {what}" for what in sorted(damage)]
        if not entry.replicas:
            verdict.wrong.append(f"{entry.lfn} is in the catalogue without a replica")
    for entry in merged:
        verdict.missing += [f"{entry.lfn} at {se}" for se in facts.destinations if se not in entry.replicas]
    verdict.orphans += [f"{lfn} at {se}" for se, lfn in sorted(facts.disks.keys() - registered)]


def _wrongReplica(facts: ChainFacts, entry: Entry, se: str) -> str:
    stored = facts.disks.get((se, entry.lfn))
    there = f"{stored.sizeBytes} bytes, adler32 {stored.checksum}" if stored else "nothing"
    return f"{entry.lfn} at {se}: {there}, the catalogue says {entry.sizeBytes} bytes, adler32 {entry.checksum}"


def _judgeAncestors(facts: ChainFacts, entry: Entry, verdict: ChainVerdict) -> None:
    """The catalogue names the files whose events a file has, and of parts that are still there those that it was made of."""
    events = set(facts.eventsIn(entry))
    known = {file.lfn for file in facts.inputs}
    whose = {facts.owner[event].lfn for event in events if event in facts.owner}
    if entry.step == facts.merged:
        parts = [part for step in facts.parts for part in facts.outputs(step)]
        whose |= {part.lfn for part in parts if events & set(facts.eventsIn(part))}
        known |= {part.lfn for part in parts}
    elif entry.step not in facts.parts:
        return
    verdict.ancestors += [f"{entry.lfn} lacks {lfn}" for lfn in sorted(whose - entry.ancestors)]
    verdict.ancestors += [f"{entry.lfn} has {lfn} without its events" for lfn in sorted((entry.ancestors & known) - whose)]


def _judgeParts(facts: ChainFacts, verdict: ChainVerdict) -> None:
    """Parts that were merged are gone, or each file's events are in exactly one."""
    for step in facts.parts:
        parts = facts.outputs(step)
        if facts.retires:
            verdict.notRetired += [entry.lfn for entry in parts]
        else:
            found = Counter(chain.from_iterable(facts.eventsIn(part) for part in parts))
            lost = set(verdict.lost)
            bad = [file.lfn for file in facts.inputs if {found[event] for event in file.events} - {1} and file.lfn not in lost]
            verdict.parts += [f"{lfn} is not exactly once in the outputs of {step}" for lfn in bad]
