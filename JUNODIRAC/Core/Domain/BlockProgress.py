"""How fast blocks get to their sites, when they will be there, and which are overdue. All times are UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from JUNODIRAC.Core.Domain.BlockClosing import dayOf
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.LateFiles import CloseBy
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy

#: what counts for a rate
RATE_WINDOW = timedelta(hours=1)
_MAX_ETA = timedelta(days=3650)
_MOMENTS = ("closedTime", "replicatedTime", "validatedTime", "doneTime", "problemTime")


@dataclass(frozen=True)
class Sample:
    """How many files a site had at some time."""

    time: datetime
    files: int


@dataclass(frozen=True)
class SiteOutlook:
    """What is to be expected of a block at a site. None: it cannot be said, or there is nothing to expect.

    :param overdueSince: when it should have got further; None: it is in time, or Done
    """

    life: LivingSite
    filesPerSecond: float | None = None
    etaTime: datetime | None = None
    overdueSince: datetime | None = None


@dataclass(frozen=True)
class BlockOutlook:
    """The same of a block as a whole: it is there with the last of its sites."""

    life: LivingBlock
    sites: Mapping[str, SiteOutlook] = field(default_factory=dict)
    etaTime: datetime | None = None
    overdueSince: datetime | None = None


def filesPerSecond(site: LivingSite, done: int, first: Sample | None, now: datetime) -> float | None:
    """The recent rate of a site.

    :param done: files there now
    :param first: its first sample within the window
    :returns: None if nothing came, or it cannot be said
    """
    if site.createdTime > now - RATE_WINDOW:
        first = Sample(site.createdTime, 0)
    if first is None or done <= first.files:
        return None
    return (done - first.files) / max((now - first.time).total_seconds(), 1.0)


def etaOf(missing: int, rate: float | None, now: datetime) -> datetime | None:
    """When all files will be there if it goes on like this; None if nothing is missing, or nothing moves."""
    if missing <= 0 or not rate:
        return None
    seconds = missing / rate
    return now + timedelta(seconds=seconds) if seconds < _MAX_ETA.total_seconds() else None


def siteOverdueSince(
    block: LivingBlock, site: LivingSite, isAllThere: bool, policy: TypePolicy, now: datetime
) -> datetime | None:
    """When a site that is not Done should have made progress.

    :param isAllThere: whether all files of the block are there
    """
    if not policy.overdueSeconds or site.state in (BlockState.DONE, BlockState.KNOWN):
        return None
    last = max(_moments(site, block.openedTime, site.progressTime, site.createdTime))
    if site.state is BlockState.OPEN:
        last = max(last, block.activeTime or last)
        if isAllThere:
            last = max(last, _closingTime(block, policy) or last)
    if site.state is BlockState.VALIDATED:
        last += timedelta(seconds=policy.secondLookSeconds)
    return _passed(last, policy, now)


def blockOverdueSince(block: LivingBlock, policy: TypePolicy, now: datetime) -> datetime | None:
    """The same of the block itself, when none of its sites is: its own files have no end."""
    if not policy.overdueSeconds or block.state not in (BlockState.CLOSED, BlockState.PROBLEM):
        return None
    siteTimes = [moment for site in block.sites for moment in _moments(site, site.progressTime)]
    return _passed(max([*_moments(block, block.openedTime, block.activeTime, block.createdTime), *siteTimes]), policy, now)


def _passed(last: datetime, policy: TypePolicy, now: datetime) -> datetime | None:
    due = last + timedelta(seconds=policy.overdueSeconds)
    return due if due < now else None


def _moments(each: LivingBlock | LivingSite, *more: datetime | None) -> list[datetime]:
    found = [getattr(each, name) for name in _MOMENTS]
    return [moment for moment in (*found, *more) if moment is not None]


def _closingTime(block: LivingBlock, policy: TypePolicy) -> datetime | None:
    """When an open block that has all its files can be closed by its Type at the earliest."""
    day: date | None = dayOf(policy, block.directory) if block.directory else None
    if policy.closeBy is not CloseBy.QUIET or day is None:
        return None
    return datetime.combine(day, time(), UTC) + timedelta(days=1, seconds=policy.quietSeconds)


def outlookOf(
    block: LivingBlock,
    files: int,
    done: Mapping[str, int | None],
    firstSamples: Mapping[str, Sample],
    policy: TypePolicy | None,
    now: datetime,
) -> BlockOutlook:
    """What is to be expected of a block and its sites.

    :param files: of the block
    :param done: replicas by SE; None: not known
    :param firstSamples: the first within the window, by SE
    :param policy: of its Type; None: it is not configured, and nothing is overdue
    """
    sites = {}
    for site in block.sites:
        there = done.get(site.se)
        rate = None if there is None else filesPerSecond(site, there, firstSamples.get(site.se), now)
        isAllThere = there is not None and there >= files
        sites[site.se] = SiteOutlook(
            life=site,
            filesPerSecond=rate,
            etaTime=None if there is None else etaOf(files - there, rate, now),
            overdueSince=siteOverdueSince(block, site, isAllThere, policy, now) if policy else None,
        )
    unfinished = [each.etaTime for se, each in sites.items() if (done.get(se) or 0) < files]
    etas = [eta for eta in unfinished if eta is not None]
    overdue = [each.overdueSince for each in sites.values() if each.overdueSince is not None]
    own = blockOverdueSince(block, policy, now) if policy else None
    return BlockOutlook(
        life=block,
        sites=sites,
        etaTime=max(etas) if etas and len(etas) == len(unfinished) else None,
        overdueSince=min(overdue) if overdue else own,
    )
