"""The states of blocks and sites, their times and what is to be expected, beside what the status of blocks tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.BlockInChain import BlockInChain
from JUNODIRAC.Core.Domain.BlockProgress import RATE_WINDOW, BlockOutlook, Sample, outlookOf
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.BlockStatus import BlockStatus
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Utilities.Moment import momentText

_ORDER = (BlockState.OPEN, BlockState.CLOSED, BlockState.REPLICATED, BlockState.VALIDATED, BlockState.DONE)
_TIMES = {
    "ClosedTime": (BlockState.CLOSED, "closedTime"),
    "ReplicatedTime": (BlockState.REPLICATED, "replicatedTime"),
    "ValidatedTime": (BlockState.VALIDATED, "validatedTime"),
    "DoneTime": (BlockState.DONE, "doneTime"),
}


class SampleLedger(Protocol):
    """What is asked of the ledger."""

    def firstSamples(self, blockIDs: Sequence[int], since: datetime) -> dict[tuple[int, str], Sample]: ...
    def blockChains(self, blockIDs: Sequence[int]) -> dict[int, list[BlockInChain]]: ...


def statusDocuments(
    statuses: Sequence[BlockStatus], ledger: SampleLedger, policies: Mapping[str, TypePolicy], now: datetime
) -> list[dict[str, Any]]:
    """For JSON: :meth:`BlockStatus.toDict` of each block with its outlook and its chains."""
    copying = [status.block.life.blockID for status in statuses if status.block.life and not status.complete]
    samples = ledger.firstSamples(copying, now - RATE_WINDOW) if copying else {}
    chains = ledger.blockChains([status.block.life.blockID for status in statuses if status.block.life])
    return [
        _document(status, samples, policies.get(status.block.typeName), now) | {"Chains": _chainDocuments(status, chains)}
        for status in statuses
    ]


def _chainDocuments(status: BlockStatus, chains: Mapping[int, Sequence[BlockInChain]]) -> list[dict[str, Any]]:
    life = status.block.life
    return [each.toDict() for each in chains.get(life.blockID, ())] if life else []


def _document(
    status: BlockStatus, samples: Mapping[tuple[int, str], Sample], policy: TypePolicy | None, now: datetime
) -> dict[str, Any]:
    document: dict[str, Any] = status.toDict()
    life = status.block.life
    if life is None:
        return document
    files = status.block.fileCounts.get(FileState.REGISTERED, 0)
    done = {site.se: site.done for site in status.sites}
    mine = {site.se: samples[life.blockID, site.se] for site in life.sites if (life.blockID, site.se) in samples}
    outlook = outlookOf(life, files, done, mine, policy, now)
    for site in document["Sites"]:
        site |= _siteDocument(outlook, site["SE"], now)
    return document | {
        "ExpectedFiles": life.expectedFiles,
        "ClosedBy": life.closedBy,
        **_lifeDocument(life),
        **_outlookDocument(outlook.etaTime, outlook.overdueSince, now),
    }


def _siteDocument(outlook: BlockOutlook, se: str, now: datetime) -> dict[str, Any]:
    site = outlook.sites.get(se)
    if site is None:
        return {}
    rate = None if site.filesPerSecond is None else round(site.filesPerSecond, 4)
    return {
        "State": site.life.state.value,
        **_lifeDocument(site.life),
        "ProgressTime": momentText(site.life.progressTime),
        "RateFilesPerSecond": rate,
        **_outlookDocument(site.etaTime, site.overdueSince, now),
    }


def _lifeDocument(life: LivingBlock | LivingSite) -> dict[str, Any]:
    """The times of the states that it has reached; what was reached before it went back is in its events."""
    rank = _ORDER.index(life.state) if life.state in _ORDER else 1
    times = {
        key: momentText(getattr(life, name)) if _ORDER.index(state) <= rank else None for key, (state, name) in _TIMES.items()
    }
    isProblem = life.state is BlockState.PROBLEM
    return times | {
        "ProblemTime": momentText(life.problemTime) if isProblem else None,
        "Problem": life.problem if isProblem else "",
    }


def _outlookDocument(etaTime: datetime | None, overdueSince: datetime | None, now: datetime) -> dict[str, Any]:
    return {
        "ETATime": momentText(etaTime),
        "ETASeconds": None if etaTime is None else round((etaTime - now).total_seconds()),
        "Overdue": overdueSince is not None,
        "OverdueSince": momentText(overdueSince),
    }
