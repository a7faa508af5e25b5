"""Chains, their transformations and their blocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from JUNODIRAC.Core.Domain.ChainDescription import StepKind
from JUNODIRAC.Core.Domain.ChainRecords import (
    ChainBlock,
    ChainBlockState,
    ChainRefused,
    ChainScope,
    ChainState,
    StartedChain,
    StepTransformation,
)
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection

_CHAIN_COLUMNS = (
    "ChainID", "Production", "Name", "Version", "OutputVersion", "State", "ProductionID", "Type", "Description", "Scope",
    "CreatedTime", "CreatedBy", "StateTime", "StateBy",
)  # fmt: skip
_STEP_COLUMNS = ("ChainID", "StepNumber", "SE", "Step", "Kind", "TransformationID", "Held", "HeldTime")
_BLOCK_COLUMNS = (
    "c.ChainID", "c.BlockID", "b.Block", "b.State", "c.State", "c.StateTime", "c.AddedTime", "c.AddedBy", "c.EndedSteps",
    "c.Waits", "c.Problem", "c.WantedFiles", "c.AttachedFiles", "c.CountedTime",
)  # fmt: skip


class UnknownChain(ChainRefused):
    """There is no such chain."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no chain {name}; dirac-juno-chain list shows those that there are")


class ChainBook(LedgerConnection):
    """Reads and writes Chains, ChainSteps and ChainBlocks. Every method may raise TemporaryFailure."""

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

    # ---- steps

    def chainSteps(self, chainID: int) -> list[StepTransformation]:
        """The transformations of a chain, in the order of its steps."""
        sql = f"SELECT {', '.join(_STEP_COLUMNS)} FROM ChainSteps WHERE ChainID = %s ORDER BY StepNumber, SE"
        return [_step(row) for row in self.select(sql, (chainID,))]

    # ---- blocks

    def chainBlocks(self, chainID: int, block: str = "") -> list[ChainBlock]:
        """The blocks of a chain by name.

        :param block: only this one
        """
        sql = (
            f"SELECT {', '.join(_BLOCK_COLUMNS)} FROM ChainBlocks c JOIN Blocks b ON b.BlockID = c.BlockID"
            " WHERE c.ChainID = %s AND %s IN ('', b.Block) ORDER BY b.Block"
        )
        return [_block(row) for row in self.select(sql, (chainID, block))]


def scopeText(scope: ChainScope) -> str:
    """A scope as the table has it."""
    since = scope.newSince.isoformat() if scope.newSince else None
    values = {"Blocks": scope.blocks, "EachNewBlock": scope.eachNewBlock, "NewSince": since, "Datasets": scope.datasets}
    return json.dumps(values)


def _scope(text: str) -> ChainScope:
    values: dict[str, Any] = json.loads(text)
    since = values.get("NewSince")
    return ChainScope(
        tuple(values.get("Blocks", ())),
        bool(values.get("EachNewBlock")),
        datetime.fromisoformat(since) if since else None,
        tuple(values.get("Datasets", ())),
    )


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
        scope=_scope(values["Scope"]),
        createdTime=rows.aware(values["CreatedTime"]),
        createdBy=values["CreatedBy"],
        stateTime=rows.aware(values["StateTime"]),
        stateBy=values["StateBy"],
    )


def _step(row: Sequence[Any]) -> StepTransformation:
    chainID, number, se, step, kind, transformationID, held, heldTime = row
    return StepTransformation(chainID, number, se, step, StepKind(kind), transformationID, held or "", rows.utc(heldTime))


def _block(row: Sequence[Any]) -> ChainBlock:
    chainID, blockID, block, blockState, state, changed, added, addedBy, ended, waits, problem, wanted, attached, counted = row
    return ChainBlock(
        chainID,
        blockID,
        block,
        blockState,
        ChainBlockState(state),
        rows.aware(changed),
        rows.aware(added),
        addedBy,
        ended,
        waits or "",
        problem or "",
        wanted,
        attached,
        rows.utc(counted),
    )
