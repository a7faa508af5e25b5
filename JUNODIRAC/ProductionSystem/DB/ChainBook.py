"""Chains and their transformations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from JUNODIRAC.Core.Domain.ChainDescription import StepKind, productionName
from JUNODIRAC.Core.Domain.ChainRecords import (
    ChainRefused,
    ChainScope,
    ChainState,
    StartedChain,
    StepTransformation,
)
from JUNODIRAC.ProductionSystem.DB.ChainBlockBook import ChainBlockBook, readScope, scopeText
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows

_CHAIN_COLUMNS = (
    "ChainID", "Production", "Name", "Version", "OutputVersion", "State", "ProductionID", "Type", "Description", "Scope",
    "CreatedTime", "CreatedBy", "StateTime", "StateBy",
)  # fmt: skip
_STEP_COLUMNS = ("ChainID", "StepNumber", "SE", "Step", "Kind", "TransformationID", "Held", "HeldTime")


class UnknownChain(ChainRefused):
    """There is no such chain."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no chain {name}; dirac-juno-chain list shows those that there are")


@dataclass(frozen=True)
class NewChain:
    """A chain that is to be started.

    :param description: the YAML text
    """

    name: str
    version: str
    typeName: str
    description: str
    scope: ChainScope
    actor: str


class AlreadyStarted(ChainRefused):
    """This version of a chain was started before."""

    def __init__(self, production: str) -> None:
        super().__init__(
            f"this version of the chain was started before, as {production}; give it more blocks with dirac-juno-chain extend"
            f" {production}, or write another version, or --again for a new version of the output"
        )


class ChainBook(ChainBlockBook):
    """Reads and writes Chains and ChainSteps. Every method may raise TemporaryFailure."""

    # ---- chains

    def readChains(self, states: Sequence[ChainState] = (), name: str = "") -> list[StartedChain]:
        """Chains in the order of their starts.

        :param states: none: any
        :param name: of the description; empty: any
        """
        sql = f"SELECT {', '.join(_CHAIN_COLUMNS)} FROM Chains WHERE %s IN ('', Name)"
        if states:
            sql += f" AND State IN ({rows.placeholders(len(states))})"
        return [_chain(row) for row in self.select(f"{sql} ORDER BY ChainID", (name, *states))]

    def readChain(self, production: str) -> StartedChain:
        """The chain of a production.

        :raises UnknownChain:
        """
        sql = f"SELECT {', '.join(_CHAIN_COLUMNS)} FROM Chains WHERE Production = %s"
        for row in self.select(sql, (production,)):
            return _chain(row)
        raise UnknownChain(production)

    def chainOfTransformation(self, transformationID: int) -> tuple[StartedChain, StepTransformation]:
        """The chain and the step of a transformation.

        :raises UnknownChain: if it belongs to none
        """
        sql = f"SELECT {', '.join(_STEP_COLUMNS)} FROM ChainSteps WHERE TransformationID = %s"
        for row in self.select(sql, (transformationID,)):
            step = _step(row)
            sql = f"SELECT {', '.join(_CHAIN_COLUMNS)} FROM Chains WHERE ChainID = %s"
            return _chain(self.select(sql, (step.chainID,))[0]), step
        raise UnknownChain(f"of transformation {transformationID}")

    def addChain(self, chain: NewChain, blockIDs: Sequence[int], now: datetime) -> StartedChain:
        """Write down a chain in state Starting with the blocks that its scope names.

        In one transaction that holds the chains of its name and version, so that of two starts at once only one can get a block.

        :raises ChainRefused: if this version was started already, and its scope does not say again; nothing is written then
        """
        chainID = self.inTransaction(lambda conn: self._addChain(chain, list(blockIDs), now, conn))
        return self.chainByID(chainID)

    def _addChain(self, chain: NewChain, blockIDs: list[int], now: datetime, conn: Any) -> int:
        sql = "SELECT Production, OutputVersion FROM Chains WHERE Name = %s AND Version = %s ORDER BY OutputVersion FOR UPDATE"
        others = self.select(sql, (chain.name, chain.version), conn)
        if others and not chain.scope.again:
            raise AlreadyStarted(others[-1][0])
        outputVersion = others[-1][1] + 1 if others else 1
        production = productionName(chain.name, chain.version, outputVersion)
        columns = _CHAIN_COLUMNS[1:]
        values = (
            production, chain.name, chain.version, outputVersion, ChainState.STARTING.value, None, chain.typeName,
            chain.description, scopeText(chain.scope), now, rows.text(chain.actor, 128), now, rows.text(chain.actor, 128),
        )  # fmt: skip
        if self.select("SELECT ChainID FROM Chains WHERE Production = %s FOR UPDATE", (production,), conn):
            raise ChainRefused(f"another chain has the name {production} already; write another name or version")
        self.execute(f"INSERT INTO Chains ({', '.join(columns)}) VALUES ({rows.placeholders(len(columns))})", values, conn)
        ((chainID,),) = self.select("SELECT ChainID FROM Chains WHERE Production = %s", (production,), conn)
        self._insertBlocks(chainID, blockIDs, chain.actor, now, conn)
        return int(chainID)

    def chainByID(self, chainID: int) -> StartedChain:
        """The chain of a number.

        :raises UnknownChain:
        """
        for row in self.select(f"SELECT {', '.join(_CHAIN_COLUMNS)} FROM Chains WHERE ChainID = %s", (chainID,)):
            return _chain(row)
        raise UnknownChain(str(chainID))

    def setProductionID(self, chainID: int, productionID: int) -> None:
        """Write down the number of a chain's production."""
        self.execute("UPDATE Chains SET ProductionID = %s WHERE ChainID = %s", (productionID, chainID))

    def setChainState(self, chainID: int, old: Sequence[ChainState], new: ChainState, actor: str, now: datetime) -> bool:
        """:returns: False, with nothing written, if it is in none of the old states by now"""
        sql = (
            "UPDATE Chains SET State = %s, StateTime = %s, StateBy = %s"
            f" WHERE ChainID = %s AND State IN ({rows.placeholders(len(old))})"
        )
        return self.execute(sql, (new.value, now, rows.text(actor, 128), chainID, *old)) == 1

    # ---- steps

    def recordStep(self, step: StepTransformation) -> None:
        """Write down the transformation of a step; it stays as it is if it is known."""
        columns = ("ChainID", "StepNumber", "SE", "Step", "Kind", "TransformationID")
        values = (step.chainID, step.stepNumber, step.se, step.step, step.kind.value, step.transformationID)
        sql = (
            f"INSERT INTO ChainSteps ({', '.join(columns)}) VALUES ({rows.placeholders(len(columns))})"
            " ON DUPLICATE KEY UPDATE TransformationID = VALUES(TransformationID)"
        )
        self.execute(sql, values)

    def chainSteps(self, chainID: int) -> list[StepTransformation]:
        """The transformations of a chain, in the order of its steps."""
        sql = f"SELECT {', '.join(_STEP_COLUMNS)} FROM ChainSteps WHERE ChainID = %s ORDER BY StepNumber, SE"
        return [_step(row) for row in self.select(sql, (chainID,))]


def _chain(row: Sequence[Any]) -> StartedChain:
    values = dict(zip(_CHAIN_COLUMNS, row, strict=True))
    return StartedChain(
        chainID=values["ChainID"],
        production=values["Production"],
        name=values["Name"],
        version=values["Version"],
        outputVersion=values["OutputVersion"],
        state=ChainState(values["State"]),
        productionID=values["ProductionID"],
        typeName=values["Type"],
        description=values["Description"],
        scope=readScope(values["Scope"]),
        createdTime=rows.aware(values["CreatedTime"]),
        createdBy=values["CreatedBy"],
        stateTime=rows.aware(values["StateTime"]),
        stateBy=values["StateBy"],
    )


def _step(row: Sequence[Any]) -> StepTransformation:
    chainID, number, se, step, kind, transformationID, held, heldTime = row
    return StepTransformation(chainID, number, se, step, StepKind(kind), transformationID, held or "", rows.utc(heldTime))
