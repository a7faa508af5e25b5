"""What people are told of chains: what was given up, by chain and step, so that a thousand files are one mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from JUNODIRAC.Core.Domain.Alert import Problem
from JUNODIRAC.Core.Domain.JobError import JobError
from JUNODIRAC.Core.Domain.TransferErrors import POLICIES, ErrorClass

CHAIN = "chain"


@dataclass(frozen=True)
class ChainSign:
    """Inputs, or copies (``se`` not empty), of one step that were given up: how many by error, since when, and one of them."""

    production: str
    step: str
    se: str
    errors: Mapping[str, int]
    since: datetime
    example: str
    detail: str


def chainProblems(signs: Sequence[ChainSign]) -> Iterator[Problem]:
    """One problem for each step of a chain, and for each destination."""
    for sign in signs:
        told = ", ".join(f"{count} {name}" for name, count in sorted(sign.errors.items(), key=lambda item: (-item[1], item[0])))
        most = max(sorted(sign.errors), key=lambda name: sign.errors[name])
        what = f"copies of step {sign.step} to {sign.se}" if sign.se else f"inputs of step {sign.step}"
        yield Problem(
            f"{CHAIN}:{sign.production} {sign.step} {sign.se}".strip(),
            "",
            f"{what} of chain {sign.production} were given up",
            f"{told}; e.g. {sign.example}: {sign.detail}",
            f"{_remedyOf(most)}; dirac-juno-audit {sign.production} names them all",
            sign.since,
        )


def _remedyOf(error: str) -> str:
    for job in JobError:
        if job.value == error:
            return f"{job.actor}: {job.remedy}"
    policy = POLICIES[ErrorClass(error) if error in set(ErrorClass) else ErrorClass.UNKNOWN]
    return f"{policy.who}: {policy.remedy}"
