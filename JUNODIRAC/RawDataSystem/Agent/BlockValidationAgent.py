"""Proves the copies of blocks: compares ledger, catalogue and storage file by file, and writes down what it finds.

It looks at a block at a site when all files were copied (First), again some time later (Second), and from time to time
after that (Again). It changes no state: BlockAgent does so by what is written down, and BlockRepairAgent repairs the files
that are named. Each site has a thread and a budget of its own, so that a slow or dead storage holds up no other. What a
cycle does not finish goes on in the next one; after a restart a block is looked at anew. One instance is enough; a second
one would do the same work twice.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN BlockValidationAgent
  :end-before: ##END
  :dedent: 2
  :caption: BlockValidationAgent options
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from DIRAC import S_OK
from DIRAC.ConfigurationSystem.Client.Helpers.CSGlobals import getVO
from DIRAC.Core.Base.AgentModule import AgentModule
from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue

from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Domain.Validation import Look, Validation, Verdict
from JUNODIRAC.Core.Logic.LooksDue import DueLook, SiteToLookAt, lookNeeded
from JUNODIRAC.Core.Logic.ValidateBlock import BlockLook
from JUNODIRAC.RawDataSystem.Client import SiteStorage as storages
from JUNODIRAC.RawDataSystem.Client.SiteCatalogue import SiteCatalogue
from JUNODIRAC.RawDataSystem.Client.SiteLooks import Patience, SiteLooks
from JUNODIRAC.RawDataSystem.Client.SiteStorage import SiteStorage
from JUNODIRAC.RawDataSystem.Client.SourceStorage import SourceStorage
from JUNODIRAC.RawDataSystem.Client.TypePolicies import loadEachTypePolicy
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

AGENT_NAME = "RawData/BlockValidationAgent"
_STOP_GRACE_SECONDS = 2.0
_NEVER = datetime.min.replace(tzinfo=UTC)
# blocks that are Done for long need not be found within a cycle
_MAX_DONE_SCAN_SECONDS = 3600.0


class BlockValidationAgent(AgentModule):
    """Composition root: finds what is due, and gives each site its time."""

    def initialize(self) -> dict[str, Any]:
        """Prepare. The database is connected in the first cycle that finds it."""
        self._ledger: RawDataDB | None = None
        self._sites: dict[str, SiteLooks] = {}
        self._policies: dict[str, TypePolicy] = {}
        self._doneSites: dict[str, list[SiteToLookAt]] = {}
        self._nextDoneScan: dict[str, datetime] = {}
        self._lastStarts: dict[str, datetime] = {}
        return S_OK()

    def finalize(self) -> dict[str, Any]:
        """End after the slices of now."""
        for site in self._sites.values():
            site.stop()
        return S_OK()

    @convertToReturnValue
    def execute(self) -> None:
        """One bounded cycle: find what is due, let all sites work on it at the same time, sum up."""
        started = datetime.now(UTC)
        until = started + timedelta(seconds=self._number("SecondsPerCycle", 50))
        ledger = self._openLedger()
        self._loadPolicies()
        due = self._findDue(ledger, started)
        working = self._startSites(ledger, due, until)
        for site in working:
            site.join((until - datetime.now(UTC)).total_seconds() + _STOP_GRACE_SECONDS)
        outcomes = [found for site in self._sites.values() for found in site.takeOutcomes()]
        self._forget(outcomes)
        self._sumUp(due, outcomes)

    # -------------------------------------------------------------- what is due

    def _openLedger(self) -> RawDataDB:
        if self._ledger is None:
            self._ledger = RawDataDB(parentLogger=self.log)
        return self._ledger

    def _loadPolicies(self) -> None:
        """Read the Types; of one that is wrong the last good policy holds on."""
        good, bad = loadEachTypePolicy(self._vo())
        for reason in bad.values():
            self.log.error("A Type cannot be used:", reason)
        self._policies = {name: policy for name, policy in self._policies.items() if name in bad} | good

    def _findDue(self, ledger: RawDataDB, now: datetime) -> dict[str, list[DueLook]]:
        """What has to be looked at, by SE: first looks before second ones, and those before blocks that were Done."""
        sites = [site for site in ledger.sitesToValidate() if site.typeName in self._policies]
        newest = ledger.newestValidations(sorted({site.blockID for site in sites}), conclusiveOnly=True)
        due: dict[str, list[DueLook]] = defaultdict(list)
        for site in sites:
            policy = self._policies[site.typeName]
            look = lookNeeded(site, newest.get(site.key), policy.secondLookSeconds, now)
            if look:
                due[site.se].append(DueLook(site, look))
        for looks in due.values():
            looks.sort(key=lambda each: each.look is not Look.FIRST)
        again = {site.key: site for site in (*ledger.doneSitesWithBadReplicas(), *self._dueAgain(ledger, now))}
        for site in again.values():
            if site.typeName in self._policies:
                due[site.se].append(DueLook(site, Look.AGAIN))
        return due

    def _dueAgain(self, ledger: RawDataDB, now: datetime) -> list[SiteToLookAt]:
        """Blocks that are Done for long. They are searched for now and then: there are more of them every day."""
        for name, policy in self._policies.items():
            seconds = policy.lookAgainSeconds
            if not seconds:
                self._doneSites.pop(name, None)
            elif now >= self._nextDoneScan.get(name, now):
                self._doneSites[name] = ledger.doneSitesToValidate(name, now - timedelta(seconds=seconds))
                self._nextDoneScan[name] = now + timedelta(seconds=min(_MAX_DONE_SCAN_SECONDS, seconds / 10))
        return [site for sites in self._doneSites.values() for site in sites]

    def _forget(self, outcomes: list[Validation]) -> None:
        """What was looked at with a clear answer is not due again before the next search."""
        seen = {(found.blockID, found.se) for found in outcomes if found.isConclusive}
        self._doneSites = {name: [site for site in sites if site.key not in seen] for name, sites in self._doneSites.items()}

    # -------------------------------------------------------------- the sites

    def _startSites(self, ledger: RawDataDB, due: dict[str, list[DueLook]], until: datetime) -> list[SiteLooks]:
        """Let sites work; those that wait for their storage since the last cycle count for nothing."""
        working: list[SiteLooks] = []
        now = datetime.now(UTC)
        for se in sorted(due, key=lambda name: (self._lastStarts.get(name, _NEVER), name)):
            if len(working) >= self._number("SitesAtOnce", 10):
                break
            if se not in self._sites:
                self._sites[se] = self._makeSite(ledger, se)
            if self._sites[se].start(due[se], until):
                working.append(self._sites[se])
                self._lastStarts[se] = now
        return working

    def _makeSite(self, ledger: RawDataDB, se: str) -> SiteLooks:
        rate = float(self.am_getOption("ChecksumsPerSecond", storages.CHECKSUMS_PER_SECOND))
        asked = SourceStorage(
            se,
            self._vo() or getVO(),
            threads=self._number("StorageThreads", storages.STORAGE_THREADS),
            checksumThreads=self._number("ChecksumThreads", storages.CHECKSUM_THREADS),
            timeoutSeconds=self._number("StorageSeconds", 60),
        )
        sides = (ledger, SiteCatalogue(), SiteStorage(asked, rate))
        inSlice = storages.filesPerSlice(rate)

        def makeLook(due: DueLook, now: datetime) -> BlockLook:
            return BlockLook(due.site.blockID, se, due.look, sides, now, inSlice)

        patience = Patience(self._number("RetrySeconds", 300), self._number("MaxRetrySeconds", 21600))
        return SiteLooks(se, makeLook, ledger, self.log, AGENT_NAME.rpartition("/")[2], patience)

    def _sumUp(self, due: dict[str, list[DueLook]], outcomes: list[Validation]) -> None:
        counts = {verdict: sum(found.verdict is verdict for found in outcomes) for verdict in Verdict}
        left = max(0, sum(map(len, due.values())) - len(outcomes))
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        inWork = "; ".join(site.progress for site in self._sites.values() if site.progress)
        self.log.info(f"Looks: {told}, {left} left", inWork)

    # -------------------------------------------------------------- options

    def _vo(self) -> str:
        vo: str = self.am_getOption("VO", "")
        return vo

    def _number(self, option: str, default: int) -> int:
        return int(self.am_getOption(option, default))
