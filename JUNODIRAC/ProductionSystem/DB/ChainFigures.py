"""What chains made, in numbers, for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection


@dataclass(frozen=True)
class MadeInStep:
    """What a step made of a block.

    :param outputs: those that count, retired ones included
    :param derived: inputs that are in them
    :param eventsIn: read of these inputs
    """

    outputs: int = 0
    retired: int = 0
    derived: int = 0
    eventsIn: int = 0
    eventsOut: int = 0
    sizeBytes: int = 0


class ChainFigures(LedgerConnection):
    """Counts. Every method may raise TemporaryFailure."""

    def madeInSteps(self, chainID: int) -> dict[tuple[int, int], MadeInStep]:
        """By BlockID and number of the step."""
        sql = (
            "SELECT BlockID, StepNumber, COUNT(*), SUM(State = 'Retired'), SUM(Events), SUM(SizeBytes)"
            " FROM Products WHERE ChainID = %s GROUP BY 1, 2"
        )
        read = (
            "SELECT p.BlockID, p.StepNumber, COUNT(*), SUM(d.Events) FROM Products p JOIN Derivations d USING (ProductID)"
            " WHERE p.ChainID = %s GROUP BY 1, 2"
        )
        inputs = {(block, step): (int(count), int(events)) for block, step, count, events in self.select(read, (chainID,))}
        return {
            (block, step): MadeInStep(int(outputs), int(retired), *inputs.get((block, step), (0, 0)), int(events), int(sizeBytes))
            for block, step, outputs, retired, events, sizeBytes in self.select(sql, (chainID,))
        }

    def runningAttempts(self, chainID: int) -> dict[int, int]:
        """How many executions of tasks are at work, by number of the step."""
        sql = "SELECT StepNumber, COUNT(*) FROM Attempts WHERE ChainID = %s AND State = 'Running' GROUP BY 1"
        return dict(self.select(sql, (chainID,)))

    def derivedSince(self, chainID: int, since: datetime) -> dict[int, int]:
        """How many inputs got into an output since then, by number of the step."""
        sql = (
            "SELECT p.StepNumber, COUNT(*) FROM Products p JOIN Derivations d USING (ProductID)"
            " WHERE p.ChainID = %s AND p.CommittedTime >= %s GROUP BY 1"
        )
        return dict(self.select(sql, (chainID, since)))

    def troubledCounts(self, chainID: int) -> dict[tuple[int, int, str], int]:
        """How many inputs and copies are Recovering, GivenUp or Waived, by BlockID, number of the step and state."""
        sql = (
            "SELECT BlockID, StepNumber, State, COUNT(*) FROM Recoveries"
            " WHERE ChainID = %s AND State <> 'Solved' GROUP BY 1, 2, 3"
        )
        return {(block, step, state): count for block, step, state, count in self.select(sql, (chainID,))}
