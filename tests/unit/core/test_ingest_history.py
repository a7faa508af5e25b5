"""Whatever happens over time, and wherever the receiver dies: the end is that of a receiver that took one message at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from fakes import Killed, World, announcement, end_of_block, lfn_of, messages_of, raw_name, raw_policy
from hypothesis import given, settings
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import Message

pytestmark = pytest.mark.unit

GRACE_SECONDS = 100
CHECKSUMS = ["00000001", "00000002"]
SIZES = [0, 10, 20, 99]
MAX_SIZE = 50
NAMES = st.tuples(st.integers(1, 3), st.sampled_from(["global", "global", "GLOBAL"]))


@dataclass
class Phase:
    """Some time passes, something outside changes, blocks are closed or opened again, people give files up, messages come."""

    seconds: int = 0
    contents: list[object] = field(default_factory=list)
    stored: dict[str, tuple[int, str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    refused: set[tuple[str, str]] = field(default_factory=set)
    unattached: set[str] = field(default_factory=set)
    closed: dict[str, FileState] = field(default_factory=dict)
    blocks: dict[str, BlockState] = field(default_factory=dict)

    def begin(self, world: World) -> None:
        world.now += timedelta(seconds=self.seconds)
        world.storage.files = dict(self.stored)
        world.storage.broken = set(self.broken)
        world.catalogue.refused = set(self.refused)
        world.transformations.refused = set(self.unattached)
        for name, blockState in self.blocks.items():
            world.ledger.move_block(name, blockState)
        # a row is Waiting or Quarantined while one announcement of its file waits and another was refused, whichever was last
        waiting = {item.file.lfn for item in world.ledger.waiting.values()}
        for lfn, state in self.closed.items():
            row = world.ledger.rows.get(lfn)
            if row is not None and row.state == FileState.QUARANTINED and lfn not in waiting:
                world.ledger.close(lfn, state)


CONTENTS = st.one_of(
    st.builds(
        lambda name, day, checksum, size: announcement(day=day, FileName=raw_name(*name), Checksum=checksum, FileSize=size),
        NAMES,
        st.sampled_from(["0302", "0303"]),
        st.sampled_from([*CHECKSUMS, "bad"]),
        st.sampled_from([None, *SIZES]),
    ),
    st.just(b"junk"),
    st.builds(end_of_block, st.integers(0, 2), st.sampled_from(["20230302", "20230303", "2023-03-02"])),
)
LFNS = NAMES.map(lambda name: lfn_of(name[0], stream=name[1]))
BLOCKS = st.sampled_from(["20230302", "20230302", "20230303", "20230302-late1", "20230302-late2", "20230303-late1"])
BLOCK_STATES = st.sampled_from([state for state in BlockState if state is not BlockState.KNOWN])
PHASES = st.builds(
    Phase,
    seconds=st.sampled_from([0, 15, GRACE_SECONDS]),
    contents=st.lists(CONTENTS, max_size=6),
    stored=st.dictionaries(LFNS, st.tuples(st.sampled_from(SIZES), st.sampled_from(CHECKSUMS))),
    broken=st.sets(LFNS, max_size=1),
    refused=st.sets(st.tuples(LFNS, st.sampled_from(CHECKSUMS)), max_size=1),
    unattached=st.sets(LFNS, max_size=1),
    closed=st.dictionaries(LFNS, st.sampled_from([FileState.WAIVED, FileState.DROPPED]), max_size=2),
    blocks=st.dictionaries(BLOCKS, BLOCK_STATES, max_size=4),
)
POLICIES = st.fixed_dictionaries(
    {
        "StorageCheck": st.sampled_from(["Size", "None"]),
        "ChecksumCheck": st.sampled_from(["Ask", "Sample", "Trust"]),
        "ChecksumSampleShare": st.just("0.5"),
        "GraceSeconds": st.sampled_from(["0", str(GRACE_SECONDS)]),
        "MaxSizeBytes": st.just(str(MAX_SIZE)),
        "LateFiles": st.sampled_from(["Append", "FollowUp", "Quarantine"]),
    }
)


def numbered(phases: list[Phase]) -> list[tuple[Phase, list[Message]]]:
    starts = itertools.accumulate([0, *(len(phase.contents) for phase in phases)])
    return [(phase, messages_of(phase.contents, start)) for phase, start in zip(phases, starts, strict=False)]


def play_one_by_one(world: World, phases: list[tuple[Phase, list[Message]]]) -> None:
    for phase, messages in phases:
        phase.begin(world)
        for item in world.due():
            world.receiver().run([], world.now, [item])
        for message in messages:
            world.run([message])


def play_disturbed(world: World, phases: list[tuple[Phase, list[Message]]], lengths: Iterator[int], kills: list[int]) -> None:
    """In batches, in one process until it dies."""
    receiver = world.receiver()
    for phase, messages in phases:
        phase.begin(world)
        remaining, runs = messages, 0
        while remaining or world.due():
            runs += 1
            assert runs < 100, "it never comes to its end"
            length = next(lengths, 12)
            batch = remaining[:length]
            world.steps.count, world.steps.kill_at = 0, kills.pop() if kills else None
            try:
                receiver.run(batch, world.now, world.due())
            except Killed:
                lengths = itertools.chain([length], lengths)
                receiver = world.receiver()
            else:
                remaining = remaining[len(batch) :]


@settings(max_examples=600)
@given(
    phases=st.lists(PHASES, min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 6), max_size=12),
    kills=st.lists(st.integers(1, 70), max_size=4),
    policy=POLICIES,
)
def test_the_end_does_not_depend_on_where_batches_are_cut_or_who_died(phases, cuts, kills, policy) -> None:
    story = numbered([*phases, Phase(seconds=GRACE_SECONDS, stored=phases[-1].stored)])
    one_by_one, disturbed = World(raw_policy(**policy)), World(raw_policy(**policy))
    play_one_by_one(one_by_one, story)
    play_disturbed(disturbed, story, iter(cuts), kills)
    everything = [message for _, messages in story for message in messages]
    one_by_one.check_truth(everything)
    disturbed.transformations.pull(disturbed.catalogue)
    one_by_one.transformations.pull(one_by_one.catalogue)
    disturbed.check_truth(everything)
    assert disturbed.snapshot() == one_by_one.snapshot()
    assert Reason.INTERNAL_ERROR not in {item.reason for item in disturbed.ledger.quarantine.values()}
