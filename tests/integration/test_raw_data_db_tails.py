"""Which copies of blocks the ledger calls nearly complete."""

from __future__ import annotations

from itertools import count

import pytest

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockState import BlockState

NUMBERS = count(900_000)


@pytest.fixture
def site(ledger, typeName):
    """Makes a block with one site and the counts that BlockAgent would have written."""

    def make(state: BlockState, registered: int, done: int) -> int:
        number = next(NUMBERS)
        ledger.recordBlock(Block(typeName, f"b{number}", f"/juno/{typeName}/b{number}", {"A-SE": number}))
        ledger.execute(
            "UPDATE Blocks b JOIN BlockTransfers t ON t.BlockID = b.BlockID SET t.State = %s, b.RegisteredFiles = %s,"
            " t.DoneFiles = %s WHERE b.Type = %s AND b.Block = %s",
            (state.value, registered, done, typeName, f"b{number}"),
        )
        return number

    return make


def test_a_closed_block_that_lacks_few_files_is_a_tail_and_no_other(ledger, typeName, site):
    lacksFew = site(BlockState.CLOSED, 1000, 990)
    lacksNone = site(BlockState.CLOSED, 1000, 1000)
    hasMoreThanKnown = site(BlockState.CLOSED, 1000, 1001)
    stuck = site(BlockState.PROBLEM, 1000, 999)
    site(BlockState.CLOSED, 1000, 989)
    for state in set(BlockState) - {BlockState.CLOSED, BlockState.PROBLEM}:
        site(state, 1000, 999)
    assert ledger.readTails({typeName: 10}) == [lacksFew, lacksNone, hasMoreThanKnown, stuck]


def test_a_type_without_tails_and_other_types_have_none(ledger, typeName, site):
    site(BlockState.CLOSED, 10, 9)
    assert ledger.readTails({typeName: 0}) == []
    assert ledger.readTails({f"{typeName}x": 10}) == []
    assert ledger.readTails({}) == []
