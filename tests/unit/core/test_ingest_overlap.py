"""Catalogue and Transformation System work at the same time, and nothing is taken for done before both have it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from fakes import World, announcement, messages_of
from fakes import lfn_of as lfn

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Logic.Ports import BulkResult, CatalogueFile, TemporaryFailure

pytestmark = pytest.mark.unit

FILES = 2100  # in three parts
# only a failing test waits so long
LONG_SECONDS = 20


def batch():
    return messages_of([announcement(sequence) for sequence in range(FILES)])


def test_files_are_registered_while_those_before_them_are_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    register, attach = world.catalogue.registerFiles, world.transformations.attachFiles
    secondIsRegistered = threading.Event()
    registered: list[int] = []

    def registerFiles(files: Sequence[CatalogueFile], sourceSE: str) -> BulkResult:
        registered.append(len(files))
        if len(registered) == 2:
            secondIsRegistered.set()
        return register(files, sourceSE)

    def attachFiles(transformationIDs: Sequence[int], lfns: Sequence[str]) -> BulkResult:
        assert secondIsRegistered.wait(LONG_SECONDS)
        return attach(transformationIDs, lfns)

    monkeypatch.setattr(world.catalogue, "registerFiles", registerFiles)
    monkeypatch.setattr(world.transformations, "attachFiles", attachFiles)
    assert world.run(batch()).registered == FILES
    assert sum(registered) == FILES


def test_no_file_is_attached_before_it_is_in_the_catalogue_nor_registered_before_it_is_attached(monkeypatch) -> None:
    world = World()
    attach, record = world.transformations.attachFiles, world.ledger.recordRegistered
    inCatalogue: set[str] = set()
    attached: set[str] = set()
    register = world.catalogue.registerFiles

    def registerFiles(files: Sequence[CatalogueFile], sourceSE: str) -> BulkResult:
        result = register(files, sourceSE)
        inCatalogue.update(result.successful)
        return result

    def attachFiles(transformationIDs: Sequence[int], lfns: Sequence[str]) -> BulkResult:
        assert inCatalogue >= set(lfns)
        result = attach(transformationIDs, lfns)
        attached.update(result.successful)
        return result

    def recordRegistered(lfns: Sequence[str]) -> None:
        assert attached >= set(lfns)
        record(lfns)

    monkeypatch.setattr(world.catalogue, "registerFiles", registerFiles)
    monkeypatch.setattr(world.transformations, "attachFiles", attachFiles)
    monkeypatch.setattr(world.ledger, "recordRegistered", recordRegistered)
    assert world.run(batch()).registered == FILES


def test_a_failure_to_attach_some_files_holds_the_batch_and_a_repetition_completes_it(monkeypatch) -> None:
    world = World()
    attach = world.transformations.attachFiles
    calls: list[int] = []

    def attachFiles(transformationIDs: Sequence[int], lfns: Sequence[str]) -> BulkResult:
        calls.append(len(lfns))
        if len(calls) == 2:
            raise TemporaryFailure("Transformation/TransformationManager", "away")
        return attach(transformationIDs, lfns)

    monkeypatch.setattr(world.transformations, "attachFiles", attachFiles)
    with pytest.raises(TemporaryFailure, match="away"):
        world.run(batch())
    assert {row.state for row in world.ledger.rows.values()} == {FileState.ANNOUNCED}
    assert world.run(batch()).registered == FILES
    assert world.ledger.rows[lfn(FILES - 1)].state == FileState.REGISTERED
