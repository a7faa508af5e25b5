"""Inputs and copies that a person gives up, or has tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from JUNODIRAC.Core.Domain.ChainRecoveryRecords import RecoveryState
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection


@dataclass(frozen=True)
class TroubledInput:
    """An input of a step, or a copy of it, that is recovered, given up or waived.

    :param se: of a copy; empty for an input of a job
    """

    stepNumber: int
    se: str
    lfn: str
    block: str
    state: str
    attempts: int
    error: str
    detail: str
    lastTime: datetime


class ChainWaivers(LedgerConnection):
    """Reads and changes Recoveries. Every method may raise TemporaryFailure."""

    def troubledInputs(self, chainID: int, lfns: Sequence[str] = ()) -> list[TroubledInput]:
        """What did not work by itself and is not solved, the oldest first.

        :param lfns: only these; none: all
        """
        sql = (
            "SELECT r.StepNumber, r.SE, r.LFN, b.Block, r.State, r.Attempts, r.Error, r.Detail, r.LastTime FROM Recoveries r"
            " JOIN Blocks b ON b.BlockID = r.BlockID WHERE r.ChainID = %s AND r.State <> %s"
        )
        args: list[Any] = [chainID, RecoveryState.SOLVED.value]
        if lfns:
            sql += f" AND r.LFN IN ({rows.placeholders(len(lfns))})"
            args += lfns
        found = self.select(f"{sql} ORDER BY r.FirstTime, r.LFN", args)
        return [
            TroubledInput(number, se, lfn, block, state, attempts, error, detail, rows.aware(last))
            for number, se, lfn, block, state, attempts, error, detail, last in found
        ]

    def waiveInputs(self, chainID: int, lfns: Sequence[str], now: datetime) -> int:
        """The steps go on without these files, or their copies.

        :returns: how many inputs and copies were not waived before
        """
        sql = (
            "UPDATE Recoveries SET State = %s, NextTime = NULL, LastTime = %s"
            f" WHERE ChainID = %s AND State IN (%s, %s) AND LFN IN ({rows.placeholders(len(lfns))})"
        )
        old = (RecoveryState.RECOVERING.value, RecoveryState.GIVEN_UP.value)
        return self.execute(sql, (RecoveryState.WAIVED.value, now, chainID, *old, *lfns))

    def retryInputs(self, chainID: int, lfns: Sequence[str], now: datetime) -> int:
        """Files that were waived or given up are tried again, from the beginning.

        :returns: how many inputs and copies
        """
        sql = (
            "UPDATE Recoveries SET State = %s, Attempts = 0, NextTime = %s, LastTime = %s"
            f" WHERE ChainID = %s AND State IN (%s, %s) AND LFN IN ({rows.placeholders(len(lfns))})"
        )
        old = (RecoveryState.WAIVED.value, RecoveryState.GIVEN_UP.value)
        return self.execute(sql, (RecoveryState.RECOVERING.value, now, now, chainID, *old, *lfns))
