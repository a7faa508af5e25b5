"""Methods of RawData/RawDataManager for announcements that were refused."""

from __future__ import annotations

from typing import Any

from DIRAC.Core.Utilities.ReturnValues import SErrorException

from JUNODIRAC.Core.Domain.QuarantineState import QuarantineState
from JUNODIRAC.RawDataSystem.Client.QuarantineDesk import QuarantineDesk
from JUNODIRAC.RawDataSystem.Service.RawDataService import MANAGERS, READERS, RawDataService, answer

_MAX_LIMIT = 10_000
_MAX_CHANGES = 1000


class QuarantineMethods(RawDataService):
    """Everyone may look, production managers decide."""

    auth_listQuarantine = READERS
    types_listQuarantine = [dict, int]

    @answer
    def export_listQuarantine(self, filters: dict[str, Any], limit: int) -> dict[str, Any]:
        """Refused announcements, see :meth:`QuarantineDesk.records`.

        :param limit: at most so many, the newest
        """
        return self._desk().records(filters, min(max(limit, 1), _MAX_LIMIT))

    auth_getQuarantined = READERS
    types_getQuarantined = [int]

    @answer
    def export_getQuarantined(self, quarantineID: int) -> dict[str, Any]:
        """Everything of one refused announcement, its message included (PayloadBase64)."""
        return self._desk().record(quarantineID)

    auth_replayQuarantined = MANAGERS
    types_replayQuarantined = [list, str, bool]

    @answer
    def export_replayQuarantined(self, quarantineIDs: list[int], reason: str, again: bool) -> dict[str, Any]:
        """Put messages into the topics of their Types again, byte for byte.

        :param again: also those that were closed before
        :returns: Done (ids whose message Kafka confirmed), Refused (ID, Why)
        """
        actor = self._manager(reason)
        return self._desk().replay(_numbers(quarantineIDs), again, "replayQuarantined", actor).toDict()

    auth_waiveQuarantined = MANAGERS
    types_waiveQuarantined = [list, str]

    @answer
    def export_waiveQuarantined(self, quarantineIDs: list[int], reason: str) -> dict[str, Any]:
        """Give files up: their blocks can be complete without them.

        :returns: Done (ids), Refused (ID, Why)
        """
        actor = self._manager(reason)
        desk = self._desk()
        return desk.close(_numbers(quarantineIDs), QuarantineState.WAIVED, "waiveQuarantined", actor).toDict()

    auth_dropQuarantined = MANAGERS
    types_dropQuarantined = [list, str]

    @answer
    def export_dropQuarantined(self, quarantineIDs: list[int], reason: str) -> dict[str, Any]:
        """Declare announcements mistakes.

        :returns: Done (ids), Refused (ID, Why)
        """
        actor = self._manager(reason)
        desk = self._desk()
        return desk.close(_numbers(quarantineIDs), QuarantineState.DROPPED, "dropQuarantined", actor).toDict()

    def _desk(self) -> QuarantineDesk:
        return QuarantineDesk(self.ledger, lambda typeName: self._policy(typeName).topic, self._writer)


def _numbers(quarantineIDs: list[Any]) -> list[int]:
    if len(quarantineIDs) > _MAX_CHANGES or not all(isinstance(number, int) for number in quarantineIDs):
        raise SErrorException(f"a list of at most {_MAX_CHANGES} record numbers is needed")
    return list(quarantineIDs)
