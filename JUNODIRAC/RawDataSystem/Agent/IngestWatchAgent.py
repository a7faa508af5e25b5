"""Watches over ingest and mails people when something is wrong: once a problem and period, and once when it is over.

What it looks at: the share of refused announcements, conflicts, Types of which nothing is announced, receivers without a
sign of life or in trouble, services that do not answer, and what the comparisons of storage and ledger found. It needs no
receiver and no service to do so, and goes on while the ledger or the Notification service is away. One instance is enough.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN IngestWatchAgent
  :end-before: ##END
  :dedent: 2
  :caption: IngestWatchAgent options
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from DIRAC import S_OK
from DIRAC.ConfigurationSystem.Client.Helpers.CSGlobals import getVO
from DIRAC.Core.Base.AgentModule import AgentModule
from DIRAC.Core.Utilities.ReturnValues import convertToReturnValue

from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.AlertBook import AlertBook
from JUNODIRAC.Core.Logic.IngestWatch import LedgerSigns, Observations, ServiceSign, Thresholds, findProblems, unknownKinds
from JUNODIRAC.RawDataSystem.Client import WatchedServices
from JUNODIRAC.RawDataSystem.Client.AlertMail import AlertMail
from JUNODIRAC.RawDataSystem.Client.AlertTeller import AlertTeller
from JUNODIRAC.RawDataSystem.Client.Probes import Probes
from JUNODIRAC.RawDataSystem.Client.TypePolicies import loadEachTypePolicy
from JUNODIRAC.RawDataSystem.DB.LedgerWatch import LedgerWatch

AGENT_NAME = "RawData/IngestWatchAgent"
_PROBE_SECONDS = 20


class IngestWatchAgent(AgentModule):
    """Composition root of the watch: observes, judges, tells."""

    def initialize(self) -> dict[str, Any]:
        """Prepare. Nothing is connected yet: what is away at the start is what the watch is there for."""
        self._watchedSince: datetime | None = None
        self._book = AlertBook()
        self._teller = AlertTeller(self._book, AlertMail(self.log), self.log)
        self._probes = Probes(self._number("ProbeSeconds", _PROBE_SECONDS))
        self._policies: dict[str, TypePolicy] = {}
        self._downSince: dict[str, datetime] = {}
        self._ledger: LedgerWatch | None = None
        return S_OK()

    @convertToReturnValue
    def execute(self) -> None:
        """One bounded cycle: observe, judge, write down, tell."""
        now, limits = datetime.now(UTC), self._thresholds()
        badTypes = self._loadPolicies()
        signs, failures = self._readLedger(now, limits)
        failures |= self._probes.run(self._services())
        seen = Observations(
            now=now,
            watchedSince=self._watchedSince or now,
            ledger=signs,
            services=self._servicesDown(failures, now),
            silenceLimitsSeconds={name: policy.silenceAlarmSeconds for name, policy in self._policies.items()},
            badTypes=badTypes,
        )
        problems = findProblems(seen, limits, self._book.standing)
        self._teller.note(problems, unknownKinds(seen), now)
        # before the mail, so that a crash forgets nothing, and after it, so that a restart repeats nothing
        self._save()
        self._teller.tell(now, self._number("MailPeriodSeconds", 21600), self._number("MaxRetryDelay", 600), self._vo())
        self._save()

    # -------------------------------------------------------------- observing

    def _loadPolicies(self) -> str:
        """Read the Types; of one that is wrong the last good policy holds on.

        :returns: what is wrong
        """
        good, bad = loadEachTypePolicy(self._vo())
        known = {name: policy for name, policy in self._policies.items() if name in bad}
        self._policies = known | good
        return "; ".join(bad.values())

    def _readLedger(self, now: datetime, limits: Thresholds) -> tuple[LedgerSigns | None, dict[str, str]]:
        """What the ledger tells, or its failure."""
        try:
            if self._ledger is None:
                self._ledger = LedgerWatch(parentLogger=self.log)
            self._book.load(self._ledger)
            since = now - timedelta(seconds=limits.windowSeconds)
            signs = self._ledger.readSigns(self._policies.keys(), since, now)
            self._watchedSince = self._watchedSince or now
            return signs, {}
        except Exception as exc:  # noqa: BLE001 whatever it is: people are told of it
            self._watchedSince = None
            return None, {WatchedServices.LEDGER: str(exc)}

    def _save(self) -> None:
        if self._ledger is None:
            return
        try:
            self._book.save(self._ledger)
        except Exception as exc:  # noqa: BLE001 the next cycle finds it away, and tries again
            self.log.warn("Alerts are kept in memory until the ledger is back:", str(exc))

    def _services(self) -> dict[str, WatchedServices.Probe]:
        return WatchedServices.probes(
            self.am_getOption("Services", list(WatchedServices.DEFAULT_SERVICES)),
            list(self._policies.values()) if self.am_getOption("WatchStorages", True) else [],
            self._vo() or getVO(),
            self._number("ProbeSeconds", _PROBE_SECONDS),
        )

    def _servicesDown(self, failures: dict[str, str], now: datetime) -> list[ServiceSign]:
        self._downSince = {name: self._downSince.get(name, now) for name in failures}
        return [
            ServiceSign(name, self._downSince[name], error, WatchedServices.remedyOf(name))
            for name, error in sorted(failures.items())
        ]

    # -------------------------------------------------------------- options

    def _thresholds(self) -> Thresholds:
        return Thresholds(
            windowSeconds=self._number("QuarantineWindowSeconds", 3600),
            quarantineShare=float(self.am_getOption("QuarantineShare", 0.1)),
            quarantineMinimum=self._number("QuarantineMinimum", 10),
            receiverSilenceSeconds=self._number("ReceiverSilenceSeconds", 300),
            troubleSeconds=self._number("TroubleSeconds", 600),
            serviceDownSeconds=self._number("ServiceDownSeconds", 300),
        )

    def _vo(self) -> str:
        vo: str = self.am_getOption("VO", "")
        return vo

    def _number(self, option: str, default: int) -> int:
        return int(self.am_getOption(option, default))
