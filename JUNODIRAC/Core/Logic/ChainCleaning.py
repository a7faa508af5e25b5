"""What dead jobs left behind: attempts are declared dead, and their files removed, again and again until none can be alive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from JUNODIRAC.Core.Domain.ChainRecoveryTable import OVER, JobAt, jobAt
from JUNODIRAC.Core.Logic.ChainRecovery import ACTOR
from JUNODIRAC.Core.Logic.ChainRecoveryPorts import AttemptFacts, RecoveryBook, RecoveryFacts, RecoveryHands


class CleaningBook(RecoveryBook, Protocol):
    """The ledger."""

    def attemptsToClean(self, now: datetime, zombieSeconds: float, limit: int) -> Sequence[AttemptFacts]:
        """Attempts that are over, that may have written something, and that are to be looked at now."""

    def productsOf(self, lfns: Collection[str]) -> Mapping[str, str]:
        """Those of these files that are outputs that count, with the storage element where each was written."""

    def noteCleaned(self, attemptIDs: Collection[int], now: datetime) -> None:
        """What these may have left behind was looked for."""


class CleaningFacts(RecoveryFacts, Protocol):
    """The WMS and the catalogue."""

    def replicas(self, lfns: Collection[str]) -> Mapping[str, Collection[str]]:
        """Storage elements of those of these files that the catalogue has."""


@dataclass(frozen=True)
class CleaningOptions:
    """How it is done.

    :param stuckSeconds: how long nothing may be heard of an attempt before its job is asked for
    :param zombieSeconds: after which no process of a dead job can be alive
    :param limit: attempts in one cycle
    """

    stuckSeconds: float = 1800.0
    zombieSeconds: float = 172_800.0
    limit: int = 500
    isDry: bool = False


class ChainCleaning:
    """Removes nothing that counts: an output that is committed, and its replicas, stay."""

    def __init__(self, book: CleaningBook, facts: CleaningFacts, hands: RecoveryHands, options: CleaningOptions) -> None:
        self._book, self._facts, self._hands, self._options = book, facts, hands, options

    def buryLost(self, now: datetime) -> int:
        """Declare attempts dead whose jobs are over, though others may have done their inputs long ago.

        :returns: how many
        """
        before = now - timedelta(seconds=self._options.stuckSeconds)
        running = self._book.silentAttempts(before, self._options.limit)
        statuses = self._facts.jobStatuses({each.jobID for each in running}) if running else {}
        if statuses is None:
            return 0
        lost: dict[int, str] = {}
        for each in running:
            told = statuses.get(each.jobID)
            where = jobAt(each.jobID, "", told[0] if told else None)
            if where in OVER or where is JobAt.STALLED:
                lost[each.attemptID] = f"job {each.jobID} is {told[0] if told else 'unknown to the WMS'}"
        if lost and not self._options.isDry:
            self._book.recordDecisions(ACTOR, "chainBury", {f"attempt {key}": text for key, text in lost.items()})
            return sum(len(self._book.declareDead([key], text)) for key, text in lost.items())
        return len(lost)

    def clean(self, now: datetime) -> tuple[int, list[str]]:
        """Remove what attempts that are over may have written.

        :returns: how many attempts were looked at, and what did not work, in words
        """
        attempts = self._book.attemptsToClean(now, self._options.zombieSeconds, self._options.limit)
        if not attempts or self._options.isDry:
            return len(attempts), []
        lfns = [each.outputLFN for each in attempts]
        replicas = self._facts.replicas(lfns)
        # after the catalogue: what is committed meanwhile is known here
        products = self._book.productsOf(lfns)
        toDelete: dict[str, list[str]] = defaultdict(list)
        for each in attempts:
            kept = {products[each.outputLFN], *replicas.get(each.outputLFN, ())} if each.outputLFN in products else set()
            for se in each.outputSEs:
                if se not in kept:
                    toDelete[se].append(each.outputLFN)
        failed = {
            lfn: f"{se}: {why}" for se, names in sorted(toDelete.items()) for lfn, why in self._hands.delete(se, names).items()
        }
        # the record goes last: as long as it is there, the file is found
        strange = [lfn for lfn in replicas if lfn not in products and lfn not in failed]
        elsewhere = {lfn: [se for se in replicas[lfn] if lfn not in toDelete.get(se, ())] for lfn in strange}
        for se in sorted({se for names in elsewhere.values() for se in names}):
            failed.update(self._hands.delete(se, [lfn for lfn, names in elsewhere.items() if se in names]))
        failed.update(self._hands.forget([lfn for lfn in strange if lfn not in failed]))
        if strange:
            text = "a job that is over had registered it, and it is no output that counts"
            self._book.recordDecisions(ACTOR, "chainForget", dict.fromkeys(strange, text))
        self._book.noteCleaned([each.attemptID for each in attempts if each.outputLFN not in failed], now)
        return len(attempts), [f"{lfn} could not be removed: {why}" for lfn, why in failed.items()]
