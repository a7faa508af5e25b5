"""Methods of RawData/RawDataManager for the receivers, for files that are missing, and for those that were forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from DIRAC.Core.Utilities.ReturnValues import SErrorException

from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.Core.Utilities.Moment import momentText
from JUNODIRAC.RawDataSystem.Client.ForgottenFiles import ForgottenFiles
from JUNODIRAC.RawDataSystem.Client.GapFinder import GapFinder
from JUNODIRAC.RawDataSystem.Client.IngestStatus import IngestStatus
from JUNODIRAC.RawDataSystem.Client.KafkaConfiguration import loadKafkaConfiguration
from JUNODIRAC.RawDataSystem.Client.Sweeper import Sweeper
from JUNODIRAC.RawDataSystem.Client.TopicLag import TopicLag
from JUNODIRAC.RawDataSystem.Client.TypePolicies import BadTypeConfiguration
from JUNODIRAC.RawDataSystem.Service.RawDataService import MANAGERS, READERS, RawDataService, answer

_KAFKA_SECONDS = 5.0
_MAX_DAYS = 3660
_MAX_FORGOTTEN = 200


class IngestMethods(RawDataService):
    """Everyone may look, production managers may announce."""

    auth_getIngestStatus = READERS
    types_getIngestStatus = [str, int]

    @answer
    def export_getIngestStatus(self, typeName: str, days: int) -> dict[str, Any]:
        """How the receivers are.

        :param typeName: empty for all
        :param days: files are counted in directories for which announcements came in so many days
        :returns: see :meth:`IngestStatus.look`, and Unavailable
        """
        policies, unavailable = self._policies(typeName)
        status = IngestStatus(self.ledger, self._lagOf, (TemporaryFailure, BadTypeConfiguration))
        return {**status.look(policies, _days(days)), "Unavailable": unavailable + status.unavailable}

    auth_getAlerts = READERS
    types_getAlerts = [bool]

    @answer
    def export_getAlerts(self, withEnded: bool) -> list[dict[str, Any]]:
        """Problems that people were told of, those that stand first.

        :param withEnded: also the last ones that are over
        """
        return [
            {
                "Problem": alert.problem,
                "Type": alert.typeName,
                "Sentence": alert.sentence,
                "Remedy": alert.remedy,
                "Since": momentText(alert.sinceTime),
                "LastSeen": momentText(alert.lastSeenTime),
                "LastMail": momentText(alert.lastMailTime),
                "Ended": momentText(alert.endedTime),
                "Occurrences": alert.occurrences,
            }
            for alert in self.ledger.readAlerts(openOnly=not withEnded)
        ]

    auth_getGaps = READERS
    types_getGaps = [dict]

    @answer
    def export_getGaps(self, selection: dict[str, Any]) -> dict[str, Any]:
        """Missing sequence numbers, and the directories to compare with the storage, one call of compareStorage for each.

        :param selection: Type (empty for all), and one of Block, Run and Days
        :returns: see :meth:`GapFinder.find`, and Unavailable
        """
        block, run, days = str(selection.get("Block") or ""), selection.get("Run"), selection.get("Days")
        chosen: dict[str, Any] = {
            "block": block,
            "run": None if run is None else int(run),
            "days": None if days is None else _days(int(days)),
        }
        if sum(value not in ("", None) for value in chosen.values()) != 1:
            raise SErrorException("choose by exactly one of Block, Run and Days")
        policies, unavailable = self._policies(str(selection.get("Type") or ""))
        found: dict[str, Any] = {"Gaps": [], "Series": 0, "Directories": [], "Unavailable": unavailable}
        for policy in policies.values():
            finder = self._finder(policy)
            for key, value in finder.find(**chosen).items():
                found[key] += value
            found["Unavailable"] += finder.unavailable
        if days is None and not found["Directories"] and not found["Unavailable"]:
            what = f"block {block}" if block else f"run {run}"
            raise SErrorException(f"the ledger knows no file of {what}; look at the list of dirac-juno-block-status")
        return found

    auth_compareStorage = READERS
    types_compareStorage = [str, str]

    @answer
    def export_compareStorage(self, typeName: str, directory: str) -> dict[str, Any]:
        """One directory of the Type's source storage against the ledger, see :meth:`GapFinder.compare`."""
        return self._finder(self._policy(typeName)).compare(directory)

    auth_announceForgotten = MANAGERS
    types_announceForgotten = [str, list, str]

    @answer
    def export_announceForgotten(self, typeName: str, lfns: list[str], reason: str) -> dict[str, Any]:
        """Announce files of the source storage that nobody announced, with the size and adler32 that the storage tells.

        :returns: Done (LFN, Position), Refused (LFN, Why)
        """
        actor = self._manager(reason)
        if len(lfns) > _MAX_FORGOTTEN or not all(isinstance(lfn, str) for lfn in lfns):
            raise SErrorException(f"a list of at most {_MAX_FORGOTTEN} LFNs is needed")
        policy = self._policy(typeName)

        def journal(lfn: str) -> None:
            self.ledger.recordJournal(actor.name, actor.group, "announceForgotten", lfn, actor.reason)

        return ForgottenFiles(policy, self.ledger, self._storage(policy), self._writer()).announce(lfns, actor.name, journal)

    def _finder(self, policy: TypePolicy) -> GapFinder:
        return GapFinder(policy, self.ledger, Sweeper(policy, self._storage(policy), self.ledger))

    def _lagOf(self, policy: TypePolicy) -> Mapping[str, Any]:
        kafka = loadKafkaConfiguration(self._vo())
        return TopicLag(kafka.brokers, kafka.options, _KAFKA_SECONDS).ofGroup(policy.topic, kafka.groupOf(policy.typeName))


def _days(days: int) -> int:
    if not 0 < days <= _MAX_DAYS:
        raise SErrorException(f"a number of days from 1 to {_MAX_DAYS} is needed, not {days}")
    return days
