"""Methods of RawData/RawDataManager for the states of blocks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from DIRAC.Core.Utilities.ReturnValues import SErrorException
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.Core.Utilities.Moment import momentText
from JUNODIRAC.RawDataSystem.Client.BlockLifeDesk import BlockLifeDesk
from JUNODIRAC.RawDataSystem.Client.BlockTransformations import BlockTransformations
from JUNODIRAC.RawDataSystem.Client.Owner import productionManager
from JUNODIRAC.RawDataSystem.Service.RawDataService import MANAGERS, READERS, RawDataService, answer


class BlockLifeMethods(RawDataService):
    """Everyone may look, production managers may change."""

    auth_getLifePlan = READERS
    types_getLifePlan = [str, str, str, int]

    @answer
    def export_getLifePlan(self, verb: str, blockName: str, typeName: str, expected: int) -> dict[str, Any]:
        """What closeBlock, reopenBlock or flushBlock would do, see :meth:`BlockLifeDesk.plan`.

        :param verb: close, reopen or flush
        :param expected: for close: how many files the block shall have; 0: as declared
        """
        return self._lifeDesk(isWriter=False).plan(verb, typeName, blockName, expected)

    auth_closeBlock = MANAGERS
    types_closeBlock = [str, str, int, str]

    @answer
    def export_closeBlock(self, blockName: str, typeName: str, expected: int, reason: str) -> dict[str, Any]:
        """Close an open block; files that come later are late.

        :param expected: how many files it shall have, whatever was declared; 0: as declared
        :returns: Block, Type, OldState, State, ExpectedFiles
        """
        actor = self._manager(reason)
        return self._lifeDesk().close(typeName, blockName, expected, actor, datetime.now(UTC))

    auth_reopenBlock = MANAGERS
    types_reopenBlock = [str, str, str]

    @answer
    def export_reopenBlock(self, blockName: str, typeName: str, reason: str) -> dict[str, Any]:
        """Make a block take files on again; returns as closeBlock."""
        actor = self._manager(reason)
        return self._lifeDesk().reopen(typeName, blockName, actor)

    auth_flushBlock = MANAGERS
    types_flushBlock = [str, str, str]

    @answer
    def export_flushBlock(self, blockName: str, typeName: str, reason: str) -> dict[str, Any]:
        """Have files that wait for companions sent out now; returns as closeBlock, and Flushed, files by SE."""
        actor = self._manager(reason)
        return self._lifeDesk().flush(typeName, blockName, actor)

    auth_getBlockEvents = READERS
    types_getBlockEvents = [str, str]

    @answer
    def export_getBlockEvents(self, blockName: str, typeName: str) -> list[dict[str, Any]]:
        """The changes of state of a block and of it at its sites, oldest first: Time, SE (empty: the block), From, To, Actor,
        Reason."""
        blockID = self.ledger.blockIDOf(typeName, blockName)
        if blockID is None:
            raise SErrorException(f"the ledger knows no block {blockName} of Type {typeName}; see dirac-juno-block-status")
        return [
            {
                "Time": momentText(event.time),
                "SE": event.se,
                "From": event.fromState,
                "To": event.toState,
                "Actor": event.actor,
                "Reason": event.reason,
            }
            for event in self.ledger.readBlockEvents(blockID)
        ]

    def _lifeDesk(self, isWriter: bool = True) -> BlockLifeDesk:
        reader = TransformationClient()
        writer = TransformationClient(**productionManager(self._vo()).clientArguments) if isWriter else reader
        return BlockLifeDesk(self.ledger, BlockTransformations(reader, writer))
