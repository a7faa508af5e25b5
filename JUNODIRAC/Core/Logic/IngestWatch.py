"""Which problems there are, judged by what was observed. Nothing is asked here and no clock is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.Alert import Problem
from JUNODIRAC.Core.Domain.LedgerRecords import ReceiverRecord, SweepRecord
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.ChainWatch import CHAIN, ChainSign, chainProblems
from JUNODIRAC.Core.Logic.RepairWatch import REPAIR_KINDS, RepairSigns, repairProblems
from JUNODIRAC.Core.Utilities.Moment import ageText

RATE, CONFLICT, SILENCE = "quarantine", "conflict", "silence"
RECEIVER, TROUBLE, SWEEP, SERVICE, CONFIGURATION = "receiver", "trouble", "sweep", "service", "configuration"
# what cannot be judged while the ledger does not answer
LEDGER_KINDS = frozenset({RATE, CONFLICT, SILENCE, RECEIVER, TROUBLE, SWEEP, CHAIN}) | REPAIR_KINDS
_REASONS_SHOWN = 3
_NAMES_SHOWN = 5


@dataclass(frozen=True)
class Thresholds:
    """From when on something is a problem: seconds, a share between 0 and 1, a number of messages."""

    windowSeconds: float
    quarantineShare: float
    quarantineMinimum: int
    receiverSilenceSeconds: float
    troubleSeconds: float
    serviceDownSeconds: float


@dataclass(frozen=True)
class RateSign:
    """What the announcements of one Type came to within the window; ``reasons``: refused ones by code."""

    messages: int
    quarantined: int
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ConflictSign:
    """Conflicts of one Type that nobody has decided: how many (at least one), the time of the oldest, the newest names."""

    count: int
    since: datetime
    names: Sequence[str] = ()


@dataclass(frozen=True)
class LedgerSigns:
    """What the ledger tells. ``lastAnnouncements``: when the last one of each Type was received."""

    rates: Mapping[str, RateSign] = field(default_factory=dict)
    conflicts: Mapping[str, ConflictSign] = field(default_factory=dict)
    lastAnnouncements: Mapping[str, datetime] = field(default_factory=dict)
    receivers: Sequence[ReceiverRecord] = ()
    sweeps: Sequence[SweepRecord] = ()
    repairs: RepairSigns = field(default_factory=RepairSigns)
    chains: Sequence[ChainSign] = ()


@dataclass(frozen=True)
class ServiceSign:
    """A service that does not answer: its name, since when, what it or the network said, and how to look after it."""

    name: str
    downSince: datetime
    error: str
    remedy: str


@dataclass(frozen=True)
class Observations:
    """Everything that was observed in one cycle.

    :param ledger: None if the ledger did not answer
    :param services: those that do not answer now
    :param silenceLimitsSeconds: by configured Type, 0 for none. A receiver of another Type may be gone: its Type was given up
    :param badTypes: what is wrong with the configuration of the Types; empty if nothing
    :param watchedSince: since when the ledger could be read without a break: while it could not, nothing could be written
        into it either, so what is older in it is not yet late
    """

    now: datetime
    watchedSince: datetime
    ledger: LedgerSigns | None
    services: Sequence[ServiceSign] = ()
    silenceLimitsSeconds: Mapping[str, float] = field(default_factory=dict)
    badTypes: str = ""


def findProblems(seen: Observations, limits: Thresholds, standing: AbstractSet[str]) -> list[Problem]:
    """All problems of this cycle.

    :param standing: keys of the problems that stand already: these end later than they begin, so that none comes and goes
    """
    problems = list(_serviceProblems(seen, limits, standing))
    if seen.badTypes:
        problems.append(_badConfiguration(seen))
    if seen.ledger is not None:
        problems += _rateProblems(seen, seen.ledger, limits, standing)
        problems += _conflictProblems(seen.ledger)
        problems += _silenceProblems(seen, seen.ledger, standing)
        problems += _receiverProblems(seen, seen.ledger, limits, standing)
        problems += _sweepProblems(seen.ledger)
        problems += repairProblems(seen.ledger.repairs, seen.now)
        problems += chainProblems(seen.ledger.chains)
    return problems


def unknownKinds(seen: Observations) -> frozenset[str]:
    """Kinds of problems of which this cycle could see nothing: none of them has ended because it was not seen."""
    return LEDGER_KINDS if seen.ledger is None else frozenset()


def _serviceProblems(seen: Observations, limits: Thresholds, standing: AbstractSet[str]) -> Iterator[Problem]:
    for service in seen.services:
        key = f"{SERVICE}:{service.name}"
        downSeconds = (seen.now - service.downSince).total_seconds()
        if downSeconds >= limits.serviceDownSeconds or key in standing:
            yield Problem(key, "", f"{service.name} does not answer", service.error, service.remedy, service.downSince)


def _badConfiguration(seen: Observations) -> Problem:
    sentence = "the configuration of the Types is wrong"
    remedy = "correct it; the receivers and this watch take it up by themselves"
    return Problem(f"{CONFIGURATION}:Types", "", sentence, seen.badTypes, remedy, seen.now)


def _rateProblems(seen: Observations, ledger: LedgerSigns, limits: Thresholds, standing: AbstractSet[str]) -> Iterator[Problem]:
    for typeName, rate in sorted(ledger.rates.items()):
        key = f"{RATE}:{typeName}"
        share = rate.quarantined / rate.messages if rate.messages else 0.0
        limit, least = limits.quarantineShare, limits.quarantineMinimum
        if key in standing:
            limit, least = limit / 2, 1
        if rate.quarantined < least or share <= limit:
            continue
        common = sorted(rate.reasons.items(), key=lambda item: (-item[1], item[0]))[:_REASONS_SHOWN]
        told = "; ".join(f"{code} {count} ({sentenceOf(code)})" for code, count in common)
        yield Problem(
            key,
            typeName,
            f"too many announcements of Type {typeName} are refused",
            f"{rate.quarantined} of {rate.messages} ({100 * share:.0f} %) in the last {ageText(limits.windowSeconds)}"
            f"{f'; most often: {told}' if told else ''}",
            f"look at them with: dirac-juno-quarantine list --type {typeName} --since {int(limits.windowSeconds)}s",
            seen.now,
        )


def _conflictProblems(ledger: LedgerSigns) -> Iterator[Problem]:
    for typeName, conflict in sorted(ledger.conflicts.items()):
        shown = conflict.names[:_NAMES_SHOWN]
        names = ", ".join(shown) + (", ..." if conflict.count > len(shown) else "")
        yield Problem(
            f"{CONFLICT}:{typeName}",
            typeName,
            f"files of Type {typeName} were announced again with another size or checksum",
            f"{conflict.count}: {names}; nothing was overwritten",
            "find out which of the two is right, then drop or replay the announcement: "
            f"dirac-juno-quarantine list --type {typeName} --code {Reason.CONFLICT}",
            conflict.since,
        )


def _silenceProblems(seen: Observations, ledger: LedgerSigns, standing: AbstractSet[str]) -> Iterator[Problem]:
    for typeName, limitSeconds in sorted(seen.silenceLimitsSeconds.items()):
        key = f"{SILENCE}:{typeName}"
        last = ledger.lastAnnouncements.get(typeName)
        since = last or seen.watchedSince
        silentSeconds = (seen.now - since).total_seconds()
        if limitSeconds <= 0 or silentSeconds < limitSeconds or _mayBeLate(seen, limitSeconds, key in standing):
            continue
        lastText = f"the last one came at {_time(last)}, {ageText(silentSeconds)} ago" if last else "none ever came"
        yield Problem(
            key,
            typeName,
            f"no file of Type {typeName} is announced",
            f"{lastText}; people are told after {ageText(limitSeconds)}",
            f"look at its receiver with: dirac-juno-ingest-status --type {typeName}; if that is well, ask the producer",
            since,
        )


def _mayBeLate(seen: Observations, limitSeconds: float, isStanding: bool) -> bool:
    """Whether the ledger was back too short a time ago for somebody to have written a sign of life into it."""
    return not isStanding and (seen.now - seen.watchedSince).total_seconds() < limitSeconds


def _receiverProblems(
    seen: Observations, ledger: LedgerSigns, limits: Thresholds, standing: AbstractSet[str]
) -> Iterator[Problem]:
    for typeName in sorted({receiver.typeName for receiver in ledger.receivers}):
        if seen.silenceLimitsSeconds and typeName not in seen.silenceLimitsSeconds:
            continue
        receivers = [receiver for receiver in ledger.receivers if receiver.typeName == typeName]
        newest = max(receivers, key=lambda receiver: receiver.heartbeatTime)
        oldest = seen.now - timedelta(seconds=limits.receiverSilenceSeconds)
        if newest.heartbeatTime < oldest:
            if not _mayBeLate(seen, limits.receiverSilenceSeconds, f"{RECEIVER}:{typeName}" in standing):
                yield _silentReceiver(seen, newest)
            continue
        troubled = [
            (receiver.troubleSince, receiver)
            for receiver in receivers
            if receiver.heartbeatTime >= oldest and receiver.trouble and receiver.troubleSince
        ]
        if troubled:
            since, receiver = min(troubled, key=lambda item: item[0])
            if (seen.now - since).total_seconds() >= limits.troubleSeconds and not _isExplained(receiver, seen.services):
                yield _troubledReceiver(receiver, since)


def _silentReceiver(seen: Observations, receiver: ReceiverRecord) -> Problem:
    name = f"RawData {receiver.instance.rpartition('/')[2]}"
    ago = ageText((seen.now - receiver.heartbeatTime).total_seconds())
    return Problem(
        f"{RECEIVER}:{receiver.typeName}",
        receiver.typeName,
        f"the receiver of Type {receiver.typeName} gives no sign of life",
        f"the last one of {receiver.instance} on {receiver.host} was at {_time(receiver.heartbeatTime)}, {ago} ago;"
        " announcements wait in Kafka",
        f"read its log and start it again on {receiver.host}: dirac-restart-component {name};"
        " a Type that is given up is taken out of the configuration",
        receiver.heartbeatTime,
    )


def _troubledReceiver(receiver: ReceiverRecord, since: datetime) -> Problem:
    return Problem(
        f"{TROUBLE}:{receiver.typeName}",
        receiver.typeName,
        f"the receiver of Type {receiver.typeName} does not get on",
        f"{receiver.instance} on {receiver.host}: {receiver.trouble}; announcements wait in Kafka",
        f"put right what it says; it goes on by itself. See: dirac-juno-ingest-status --type {receiver.typeName}",
        since,
    )


def _isExplained(receiver: ReceiverRecord, services: Sequence[ServiceSign]) -> bool:
    """Whether the receiver waits for a service of which people are told, or soon will be."""
    return any(service.name in receiver.trouble for service in services)


def _sweepProblems(ledger: LedgerSigns) -> Iterator[Problem]:
    for typeName in sorted({sweep.typeName for sweep in ledger.sweeps}):
        wrong = [s for s in ledger.sweeps if s.typeName == typeName and (s.neverAnnounced or s.notOnStorage)]
        if not wrong:
            continue
        shown = sorted(wrong, key=lambda sweep: sweep.time, reverse=True)[:_NAMES_SHOWN]
        told = "; ".join(f"{s.directory}: {s.neverAnnounced} never announced, {s.notOnStorage} not on the storage" for s in shown)
        yield Problem(
            f"{SWEEP}:{typeName}",
            typeName,
            f"storage and ledger of Type {typeName} do not have the same files",
            told + ("; ..." if len(wrong) > len(shown) else ""),
            "look with: dirac-juno-gaps --days 3; with --announce it announces those that were forgotten",
            min(sweep.time for sweep in wrong),
        )


def sentenceOf(code: str) -> str:
    """The sentence of a reason's code; the code itself, if a later version wrote it."""
    return next((reason.sentence for reason in Reason if reason == code), code)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
