"""What the ledger tells beside files and blocks. All times are UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class ReceiverRecord:
    """The last sign of life of a receiver.

    :param trouble: what it waits for; empty if it waits for nothing
    """

    typeName: str
    instance: str
    host: str
    pid: int
    startedTime: datetime
    heartbeatTime: datetime
    trouble: str = ""
    troubleSince: datetime | None = None


@dataclass(frozen=True)
class RateRecord:
    """What one minute brought for a Type."""

    typeName: str
    minute: datetime
    messages: int
    registered: int
    duplicates: int
    quarantined: int
    waiting: int
    registeredBytes: int
    lastTime: datetime


@dataclass(frozen=True)
class OldestFile:
    """The file of a Type that stands longest in a state, and since when."""

    lfn: str
    since: datetime


@dataclass(frozen=True)
class SweepRecord:
    """The last comparison of a directory of the source storage with the ledger.

    :param differences: lists of names; they may be cut, the numbers are not
    """

    typeName: str
    directory: str
    time: datetime
    onStorage: int
    inLedger: int
    neverAnnounced: int
    notOnStorage: int
    differences: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class AlertRecord:
    """A problem that people are told of; ``endedTime`` is None as long as it stands.

    :param problem: its key: the same problem is one record however often it is seen
    :param typeName: empty if it is not a problem of one Type
    """

    alertID: int
    problem: str
    typeName: str
    sentence: str
    remedy: str
    sinceTime: datetime
    lastSeenTime: datetime
    lastMailTime: datetime | None = None
    endedTime: datetime | None = None
    occurrences: int = 1
