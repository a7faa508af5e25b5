"""A large batch is worked on in parts at the same time, and ends as one that is worked on in one part."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from fakes import World, announcement, messages_of, raw_name

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Logic.IngestBatch import IngestBatch
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure

pytestmark = pytest.mark.unit

FILES = 1600
LANES = 3


def run(world: World, messages, lanes: int):
    outside = (world.ledger, world.catalogue, world.transformations, world.storage, world.announcer)
    return IngestBatch(world.policy, *outside, lanes=lanes).run(messages, world.now)


def mixed():
    """Good files of two days, with repetitions, contradictions and bad ones far from and near to what they belong to."""
    contents: list[object] = [announcement(n, day="0302" if n % 3 else "0303") for n in range(FILES)]
    for n in range(0, FILES, 40):
        contents[n + 7] = contents[n]
        contents.insert(n // 2, announcement(n, day="0302" if n % 3 else "0303", Checksum="ffffffff"))
    contents[5] = b"\xff not JSON"
    contents[1200] = announcement(1200, FileSize=0)
    return messages_of(contents)


def outcome(world: World) -> dict[str, object]:
    """What a person sees; which of two days was opened first decides about numbers alone."""
    found = world.snapshot()
    found["rows"] = {lfn: replace(row, announcedTime=None, registeredTime=None, quarantinedTime=None)
                     for lfn, row in found["rows"].items()}  # fmt: skip
    return found


def test_a_batch_ends_alike_in_one_part_and_in_several() -> None:
    one, several = World(), World()
    summaries = [run(one, mixed(), 1), run(several, mixed(), LANES)]
    assert outcome(several) == outcome(one)
    assert sorted(summaries[1].registeredFiles) == sorted(summaries[0].registeredFiles)
    assert sorted(summaries[1].duplicateFiles) == sorted(summaries[0].duplicateFiles)
    assert summaries[1].quarantined == summaries[0].quarantined
    several.check_truth(mixed())


def test_each_block_is_opened_once_whichever_parts_have_its_files() -> None:
    world = World()
    summary = run(world, mixed(), LANES)
    assert sorted(block.name for block in summary.openedBlocks) == ["20230302", "20230303"]
    assert len(world.transformations.names) == 2 * len(world.policy.destinations)


def test_a_part_that_fails_holds_the_whole_batch_and_a_repetition_completes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    register, lastFile = world.catalogue.registerFiles, raw_name(FILES - 1)

    def registerFiles(files, sourceSE):
        if any(file.lfn.endswith(lastFile) for file in files):
            raise TemporaryFailure("DataManagement/FileCatalog", "away")
        return register(files, sourceSE)

    with monkeypatch.context() as patch:
        patch.setattr(world.catalogue, "registerFiles", registerFiles)
        with pytest.raises(TemporaryFailure, match="away"):
            run(world, mixed(), LANES)
    assert not world.announcer.said
    run(world, mixed(), LANES)
    world.check_truth(mixed())
    assert FileState.ANNOUNCED not in {row.state for row in world.ledger.rows.values()}


def test_parts_are_worked_on_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    register, meeting = world.catalogue.registerFiles, threading.Barrier(LANES, timeout=20)

    def registerFiles(files, sourceSE):
        if len(files) > 100:
            meeting.wait()
        return register(files, sourceSE)

    monkeypatch.setattr(world.catalogue, "registerFiles", registerFiles)
    assert run(world, messages_of([announcement(n) for n in range(FILES)]), LANES).registered == FILES
