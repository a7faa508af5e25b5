"""When a block has to be looked at: once when it was copied, once later, and never because of an answer that is still open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Validation import Look, Validation, Verdict
from JUNODIRAC.Core.Logic.LooksDue import SiteToLookAt, lookNeeded

pytestmark = pytest.mark.unit

T0 = datetime(2023, 3, 2, tzinfo=UTC)
DAY = 86400
SITE = SiteToLookAt(1, "Raw", "20230302", "SE", BlockState.REPLICATED, replicatedTime=T0)
VALIDATED = replace(SITE, state=BlockState.VALIDATED, validatedTime=T0 + timedelta(hours=1))


def at(hours):
    return T0 + timedelta(hours=hours)


def validation(hours, verdict=Verdict.GOOD, look=Look.FIRST):
    return Validation(1, "SE", look, "agent", at(hours), at(hours), verdict, 1, 1, 1)


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        (None, Look.FIRST),
        (validation(-1), Look.FIRST),  # of the time before it was copied again
        (validation(1, Verdict.INCOMPLETE), Look.FIRST),
        (validation(1), None),
        (validation(1, Verdict.BAD), None),
        (validation(1, look=Look.ASKED), None),
    ],
)
def test_a_block_that_was_copied_is_looked_at_until_there_is_a_clear_answer(newest, expected):
    assert lookNeeded(SITE, newest, DAY, at(2)) == expected


@pytest.mark.parametrize(
    ("hours", "newest", "expected"),
    [
        (2, validation(0.5), None),
        (24.9, validation(0.5), None),
        (25.1, validation(0.5), Look.SECOND),
        (26, validation(2, look=Look.ASKED), Look.SECOND),  # it came too early to count
        (26, validation(25.5, Verdict.INCOMPLETE), Look.SECOND),
        (26, validation(25.5), None),
        (26, validation(25.5, Verdict.BAD), None),
        (26, None, Look.SECOND),
    ],
)
def test_a_validated_block_is_looked_at_a_second_time_after_its_time(hours, newest, expected):
    assert lookNeeded(VALIDATED, newest, DAY, at(hours)) == expected


@given(st.sampled_from(BlockState), st.none() | st.sampled_from(Verdict), st.floats(0, 100))
def test_blocks_in_other_states_are_left_alone(state, verdict, hours):
    site = replace(VALIDATED, state=state)
    needed = lookNeeded(site, verdict and validation(0, verdict), DAY, at(hours))
    if state not in (BlockState.REPLICATED, BlockState.VALIDATED):
        assert needed is None
