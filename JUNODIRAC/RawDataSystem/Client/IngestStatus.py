"""How the receivers are: Kafka's offsets beside what the ledger knows of each Type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.BlockStatus import Usage
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LedgerRecords import AlertRecord, OldestFile, RateRecord, ReceiverRecord, SweepRecord
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.Core.Utilities.Moment import momentText

_SHORT_MINUTES = 5
_LONG_MINUTES = 60


class IngestLedger(Protocol):
    """What is asked of the ledger; see :class:`JUNODIRAC.RawDataSystem.DB.LedgerIngest.LedgerIngest`."""

    def countStates(self, days: int) -> Mapping[str, Mapping[FileState, Usage]]: ...

    def countQuarantine(self) -> Mapping[str, Mapping[str, int]]: ...

    def lastAnnouncements(self) -> Mapping[str, datetime]: ...

    def oldestWaiting(self) -> Mapping[str, OldestFile]: ...

    def oldestAnnounced(self, days: int) -> Mapping[str, OldestFile]: ...

    def readRates(self, typeName: str, minutes: int) -> Sequence[RateRecord]: ...

    def readReceivers(self, typeName: str = "") -> Sequence[ReceiverRecord]: ...

    def readSweeps(self, typeName: str = "") -> Sequence[SweepRecord]: ...

    def readAlerts(self) -> Sequence[AlertRecord]: ...


class IngestStatus:
    """One look; ``unavailable`` collects what could not be asked.

    :param lagOf: topic, group, lag and partitions of a Type, see :meth:`TopicLag.ofGroup`; may raise
    :param explained: exceptions of ``lagOf`` that say what is wrong
    :param now: the time, UTC
    """

    def __init__(
        self,
        ledger: IngestLedger,
        lagOf: Callable[[TypePolicy], Mapping[str, Any]],
        explained: tuple[type[Exception], ...] = (TemporaryFailure,),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ledger = ledger
        self._lagOf = lagOf
        self._explained = explained
        self._now = now
        self.unavailable: list[str] = []

    def look(self, policies: Mapping[str, TypePolicy], days: int) -> dict[str, Any]:
        """All that is known of these Types.

        :param days: files are counted in directories for which announcements came in so many days
        :returns: Time, Days, Types and Alerts
        :raises TemporaryFailure: if the ledger does not answer
        """
        now = self._now()
        states, quarantine = self._ledger.countStates(days), self._ledger.countQuarantine()
        lasts = self._ledger.lastAnnouncements()
        waiting, announced = self._ledger.oldestWaiting(), self._ledger.oldestAnnounced(days)
        types = []
        for name, policy in sorted(policies.items()):
            types.append(
                {
                    "Type": name,
                    **self._lag(policy),
                    "FilesPerSecond": self._rates(name, now),
                    "LastAnnouncement": momentText(lasts.get(name)),
                    "States": {state.value: usage.files for state, usage in states.get(name, {}).items()},
                    "OldestWaiting": _oldest(waiting.get(name), now),
                    "OldestAnnounced": _oldest(announced.get(name), now),
                    "Quarantine": dict(quarantine.get(name, {})),
                    "Receivers": [_receiver(receiver, now) for receiver in self._ledger.readReceivers(name)],
                    "LastSweep": _sweep(self._ledger.readSweeps(name)),
                }
            )
        alerts = [_alert(alert) for alert in self._ledger.readAlerts() if alert.typeName in ("", *policies)]
        return {"Time": momentText(now), "Days": days, "Types": types, "Alerts": alerts}

    def _lag(self, policy: TypePolicy) -> dict[str, Any]:
        if not self.unavailable:  # the same Kafka would not answer for the next Type either
            try:
                return dict(self._lagOf(policy))
            except self._explained as error:
                self.unavailable.append(str(error))
        return {"Topic": policy.topic, "Group": None, "Lag": None, "Partitions": []}

    def _rates(self, typeName: str, now: datetime) -> dict[str, float]:
        """Files a second: those that were brought to an end as registered, over whole minutes that are past, and this one."""
        rates = self._ledger.readRates(typeName, _LONG_MINUTES)

        def over(minutes: int) -> float:
            since = now - timedelta(minutes=minutes)
            return round(sum(rate.registered for rate in rates if rate.minute > since) / (60 * minutes), 3)

        return {"FiveMinutes": over(_SHORT_MINUTES), "Hour": over(_LONG_MINUTES)}


def _oldest(file: OldestFile | None, now: datetime) -> dict[str, Any] | None:
    if file is None:
        return None
    return {"LFN": file.lfn, "Since": momentText(file.since), "AgeSeconds": int((now - file.since).total_seconds())}


def _receiver(receiver: ReceiverRecord, now: datetime) -> dict[str, Any]:
    return {
        "Instance": receiver.instance,
        "Host": receiver.host,
        "PID": receiver.pid,
        "StartedTime": momentText(receiver.startedTime),
        "HeartbeatTime": momentText(receiver.heartbeatTime),
        "HeartbeatAgeSeconds": int((now - receiver.heartbeatTime).total_seconds()),
        "Trouble": receiver.trouble,
        "TroubleSince": momentText(receiver.troubleSince),
    }


def _sweep(sweeps: Sequence[SweepRecord]) -> dict[str, Any] | None:
    """The newest; they come oldest first."""
    if not sweeps:
        return None
    last = sweeps[-1]
    return {
        "Time": momentText(last.time),
        "Directory": last.directory,
        "OnStorage": last.onStorage,
        "InLedger": last.inLedger,
        "NeverAnnounced": last.neverAnnounced,
        "NotOnStorage": last.notOnStorage,
    }


def _alert(alert: AlertRecord) -> dict[str, Any]:
    return {
        "Problem": alert.problem,
        "Type": alert.typeName,
        "Since": momentText(alert.sinceTime),
        "LastSeen": momentText(alert.lastSeenTime),
        "LastMail": momentText(alert.lastMailTime),
        "Sentence": alert.sentence,
        "Remedy": alert.remedy,
        "Occurrences": alert.occurrences,
    }
