"""Which blocks at which sites have to be validated now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Validation import Look, Validation


@dataclass(frozen=True)
class SiteToLookAt:
    """A block at a site, with the times at which its states were entered, UTC."""

    blockID: int
    typeName: str
    block: str
    se: str
    state: BlockState
    replicatedTime: datetime | None = None
    validatedTime: datetime | None = None
    doneTime: datetime | None = None

    @property
    def key(self) -> tuple[int, str]:
        """What identifies it."""
        return self.blockID, self.se

    def __str__(self) -> str:
        return f"{self.typeName} {self.block} at {self.se}"


@dataclass(frozen=True)
class DueLook:
    """A block at a site that has to be looked at, and why."""

    site: SiteToLookAt
    look: Look


def lookNeeded(site: SiteToLookAt, newest: Validation | None, secondLookSeconds: int, now: datetime) -> Look | None:
    """Why a block has to be looked at, or None. Those that are Done are chosen by the ledger.

    A look that told good or bad, and that began after its time had come, is enough: the states then change by it.

    :param newest: the newest validation there, whoever asked for it
    """
    since: datetime | None
    if site.state is BlockState.REPLICATED:
        look, since = Look.FIRST, site.replicatedTime
    elif site.state is BlockState.VALIDATED:
        look, since = Look.SECOND, secondLookTime(site, secondLookSeconds)
    else:
        return None
    if since is not None and now <= since:
        return None
    isEnough = newest is not None and newest.isConclusive and (since is None or newest.startedTime > since)
    return None if isEnough else look


def secondLookTime(site: SiteToLookAt, secondLookSeconds: int) -> datetime | None:
    """From when on a look counts as the second one."""
    return site.validatedTime and site.validatedTime + timedelta(seconds=secondLookSeconds)
