"""What people are told of repairs: files that were given up, sites that are paused because of their errors, bad replicas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.Alert import Problem
from JUNODIRAC.Core.Domain.RepairRecords import Pause
from JUNODIRAC.Core.Domain.TransferErrors import POLICIES, ErrorClass

GIVEN_UP, PAUSE, BAD_REPLICA = "givenup", "pause", "badreplica"
REPAIR_KINDS = frozenset({GIVEN_UP, PAUSE, BAD_REPLICA})
_BLOCKS_SHOWN = 5


@dataclass(frozen=True)
class GivenUpSign:
    """Files of one block that were given up at one site: how many by class of error, since when, and what was said of one."""

    se: str
    typeName: str
    block: str
    classes: Mapping[str, int]
    since: datetime
    error: str


@dataclass(frozen=True)
class BadReplicaSign:
    """Replicas at one storage element that are bad: how many, since when, and one of them with what is wrong."""

    se: str
    count: int
    since: datetime
    example: str
    detail: str


@dataclass(frozen=True)
class RepairSigns:
    """What the ledger tells. ``pauses``: the last one of each site that the repair made."""

    givenUp: Sequence[GivenUpSign] = ()
    badReplicas: Sequence[BadReplicaSign] = ()
    pauses: Sequence[Pause] = field(default_factory=tuple)


def repairProblems(signs: RepairSigns, now: datetime) -> Iterator[Problem]:
    """One problem for each site and kind, so that a thousand files are one mail."""
    for se in sorted({sign.se for sign in signs.givenUp}):
        yield _givenUp(se, [sign for sign in signs.givenUp if sign.se == se])
    for pause in signs.pauses:
        if _stands(pause, now):
            yield _paused(pause)
    for bad in signs.badReplicas:
        yield Problem(
            f"{BAD_REPLICA}:{bad.se}",
            "",
            f"{bad.se} has or had replicas with wrong bytes",
            f"{bad.count}, e.g. {bad.example}: {bad.detail}",
            "they are never a source. Where another good replica is known, they are removed and copied again by themselves; look"
            " with dirac-juno-why",
            bad.since,
        )


def _givenUp(se: str, signs: Sequence[GivenUpSign]) -> Problem:
    classes: dict[str, int] = {}
    for sign in signs:
        for name, count in sign.classes.items():
            classes[name] = classes.get(name, 0) + count
    blocks = ", ".join(f"{sign.typeName}/{sign.block}" for sign in signs[:_BLOCKS_SHOWN])
    told = ", ".join(f"{count} {name}" for name, count in sorted(classes.items(), key=lambda item: (-item[1], item[0])))
    most = max(sorted(classes), key=lambda name: classes[name])
    policy = POLICIES[ErrorClass(most) if most in set(ErrorClass) else ErrorClass.UNKNOWN]
    return Problem(
        f"{GIVEN_UP}:{se}",
        "",
        f"files do not get to {se} by themselves",
        f"{told}; blocks {blocks}{', ...' if len(signs) > _BLOCKS_SHOWN else ''}; e.g. {signs[0].error}",
        f"{policy.who}: {policy.remedy}; then"
        f" dirac-juno-block retransfer BLOCK --type TYPE --site {se} --only-failed --reason ...",
        min(sign.since for sign in signs),
    )


def _stands(pause: Pause, now: datetime) -> bool:
    """A pause that ends by itself is not over before its site had as much time again: else mails would come and go with it."""
    if pause.ended is not None or pause.until is None:
        return pause.isOn(now)
    return now < pause.until + min(pause.until - pause.since, timedelta(hours=6))


def _paused(pause: Pause) -> Problem:
    policy = POLICIES[ErrorClass(pause.errorClass)]
    until = f"until {pause.until:%Y-%m-%d %H:%M:%S} UTC" if pause.until else "until somebody resumes"
    return Problem(
        f"{PAUSE}:{pause.se}",
        "",
        f"copies to {pause.se} were paused because of {pause.errorClass}",
        f"{until}: {pause.reason}",
        f"{policy.who}: {policy.remedy}",
        pause.since,
    )
