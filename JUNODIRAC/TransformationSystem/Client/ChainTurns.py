"""Which transformations of chains have something to plan, and which merely have files that wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from DIRAC import gLogger
from DIRAC.Core.Utilities.ReturnValues import SErrorException, returnValueOrRaise

from JUNODIRAC.ProductionSystem.Client.ChainManagerClient import ChainManagerClient

#: plugins of transformations whose tasks the service of chains plans
CHAIN_PLUGINS = frozenset({"ChainProcess", "ChainMerge"})
# a look at thousands of files that wait is followed by a rest so many times as long
_REST_PER_SECOND = 10.0
_TIMEOUT_SECONDS = 30

Turns = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class _Look:
    """A transformation at its last turn.

    :param time: at its end
    """

    files: int
    stamp: str
    time: float
    tookSeconds: float


def _askTurns(transformationIDs: Collection[int]) -> Turns:
    client = ChainManagerClient(timeout=_TIMEOUT_SECONDS)
    found: Turns = returnValueOrRaise(client.getPlanTurns(sorted(transformationIDs)))
    return found


class ChainTurns:
    """A chain's files may wait for hours: for the others of their group, for their copies, for their block to be closed.

    A transformation has its turn when the number of its free files changed, or what the service knows of its blocks, or when it
    had none for as long as the service says. What takes long has it less often, unless a block was opened or closed.
    """

    def __init__(
        self, askTurns: Callable[[Collection[int]], Turns] = _askTurns, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._askTurns, self._now = askTurns, now
        self._log: Any = gLogger.getSubLogger(self.__class__.__name__)
        self._looks: dict[int, _Look] = {}
        self._stamps: dict[int, str] = {}
        self._isAway = False

    def due(self, files: Mapping[int, int]) -> set[int]:
        """Those that have their turn; none while the service does not answer, which the log tells once.

        :param files: number of free files by transformation, of all that have any
        """
        self._looks = {number: look for number, look in self._looks.items() if number in files}
        if not files:
            return set()
        try:
            turns = self._askTurns(files)
        except SErrorException as error:
            if not self._isAway:
                self._log.warn("No tasks of chains are made:", str(error))
            self._isAway = True
            return set()
        if self._isAway:
            self._log.info("Tasks of chains are made again")
        self._isAway = False
        return {number for number in files if str(number) in turns and self._isDue(number, files[number], turns[str(number)])}

    def looked(self, transformationID: int, files: int, tookSeconds: float) -> None:
        """It had its turn."""
        self._looks[transformationID] = _Look(files, self._stamps.get(transformationID, ""), self._now(), tookSeconds)

    def _isDue(self, number: int, files: int, turn: Mapping[str, Any]) -> bool:
        self._stamps[number] = turn["Stamp"]
        last = self._looks.get(number)
        if last is None or turn["Stamp"] != last.stamp:
            return True
        passedSeconds = self._now() - last.time
        if passedSeconds < last.tookSeconds * _REST_PER_SECOND:
            return False
        return files != last.files or passedSeconds >= turn["LookSeconds"]
