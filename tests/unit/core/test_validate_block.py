"""A look in slices: part results are kept, a storage that goes away is not asked for ever, a block that changes is not judged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from JUNODIRAC.Core.Domain.Validation import Difference, Look, Verdict
from JUNODIRAC.Core.Logic import ValidateBlock as module
from JUNODIRAC.Core.Logic.BlockComparison import CataloguedFile, DeclaredFile
from JUNODIRAC.Core.Logic.Ports import StoredFile, TemporaryFailure
from JUNODIRAC.Core.Logic.ValidateBlock import BlockFiles, BlockLook

pytestmark = pytest.mark.unit

NOW = datetime(2023, 3, 2, 12, tzinfo=UTC)
DIRECTORY = "/juno/d"
GOOD = "0000000a"


def lfns(count):
    return [f"{DIRECTORY}/f{number}" for number in range(count)]


class World:
    """Ledger, catalogue and storage of one block; all is well until a test changes it."""

    def __init__(self, count=10):
        self.declared = {lfn: DeclaredFile(10, GOOD) for lfn in lfns(count)}
        self.known = frozenset()
        self.directories = (DIRECTORY,)
        self.entriesOf = {lfn: CataloguedFile(10, GOOD, True) for lfn in self.declared}
        self.listed = dict.fromkeys(self.declared, 10)
        self.single = {lfn: StoredFile(10) for lfn in self.declared}
        self.sums = {lfn: StoredFile(None, GOOD) for lfn in self.declared}
        self.down = self.catalogueDown = None
        self.askedSums, self.askedSingles, self.checks = [], [], 0

    def blockFiles(self, blockID):
        assert blockID == 7
        return BlockFiles(dict(self.declared), self.known, self.directories)

    def entries(self, directories, asked, se):
        assert se == "SE"
        if self.catalogueDown:
            raise TemporaryFailure("DataManagement/FileCatalog", "away")
        return self.entriesOf

    def _answer(self):
        if self.down:
            raise TemporaryFailure("storage SE", self.down)

    def listSizes(self, directory):
        self._answer()
        return {lfn: size for lfn, size in self.listed.items() if lfn.startswith(f"{directory}/")}

    def sizes(self, asked):
        self._answer()
        self.askedSingles += asked
        return {lfn: self.single.get(lfn, StoredFile(None)) for lfn in asked}

    def checksums(self, asked):
        self._answer()
        self.askedSums.append(list(asked))
        return {lfn: self.sums[lfn] for lfn in asked}

    def check(self, lfn):
        self.checks += 1
        self._answer()


def lookAt(world, filesPerSlice=3):
    return BlockLook(7, "SE", Look.FIRST, (world, world, world), NOW, filesPerSlice)


def finish(look, most=200):
    for _ in range(most):
        if look.isDone:
            return look.validation("agent", NOW)
        look.step()
    raise AssertionError(f"not done after {most} slices")


def namesOf(found):
    return {kind: list(names) for kind, names in found.names.items()}


def test_a_block_that_is_the_same_everywhere_is_good_and_each_checksum_was_asked_once():
    world = World()
    found = finish(lookAt(world))
    assert (found.verdict, found.files, found.goodFiles, found.sizeBytes) == (Verdict.GOOD, 10, 10, 100)
    assert sorted(lfn for part in world.askedSums for lfn in part) == sorted(world.declared)
    assert max(map(len, world.askedSums)) == 3


def test_differences_of_all_kinds_are_named():
    world = World()
    names = lfns(10)
    del world.listed[names[0]]
    world.single[names[0]] = StoredFile(None)
    world.listed[names[1]], world.single[names[1]] = 5, StoredFile(5)
    world.sums[names[2]] = StoredFile(None, "0000000b")
    del world.entriesOf[names[3]]
    world.listed[f"{DIRECTORY}/stray"] = 1
    found = finish(lookAt(world))
    assert namesOf(found) == {
        Difference.MISSING: [names[0]],
        Difference.EXTRA: [f"{DIRECTORY}/stray"],
        Difference.WRONG_SIZE: [names[1]],
        Difference.WRONG_CHECKSUM: [names[2]],
        Difference.UNCATALOGUED: [names[3]],
    }
    assert found.verdict is Verdict.BAD
    assert found.goodFiles == 6


def test_what_a_listing_does_not_show_as_declared_is_asked_for_singly_before_it_is_called_wrong():
    world = World()
    del world.listed[lfns(1)[0]]
    world.listed[lfns(2)[1]] = 5  # the listing is older than the file
    assert finish(lookAt(world)).verdict is Verdict.GOOD
    assert world.askedSingles == lfns(2)


def test_a_storage_that_does_not_answer_at_all_has_lost_nothing():
    world = World()
    world.down = "no route"
    look = lookAt(world)
    found = finish(look)
    assert found.verdict is Verdict.INCOMPLETE
    assert found.counts == {Difference.UNANSWERED: 10}
    assert "no route" in found.failure
    assert look.failure


def test_a_storage_that_goes_away_in_the_middle_keeps_what_it_told_and_is_not_asked_for_the_rest():
    world = World(300)
    look = lookAt(world, filesPerSlice=10)
    while not look.doneFiles:
        look.step()
    world.down = "gone"
    world.sums[lfns(1)[0]] = StoredFile(None, "0000000b")
    found = finish(look, most=3)
    assert found.verdict is Verdict.INCOMPLETE
    assert (found.goodFiles, found.counts[Difference.UNANSWERED]) == (10, 290)


def test_a_storage_that_tells_no_checksum_is_given_up_after_a_few_slices():
    world = World(1000)
    world.sums = dict.fromkeys(world.declared, StoredFile(None, failure="timeout"))
    found = finish(lookAt(world, filesPerSlice=10), most=20)
    assert found.verdict is Verdict.INCOMPLETE
    assert found.counts == {Difference.UNANSWERED: 1000}
    assert world.checks == 3
    assert "timeout" in found.failure


def test_a_file_without_an_answer_is_asked_once_more_after_the_others():
    world = World()
    first = lfns(1)[0]
    answers = [StoredFile(None, failure="stale"), StoredFile(None, GOOD)]
    ask = world.checksums
    world.checksums = lambda asked: {**ask(asked), **({first: answers.pop(0)} if first in asked else {})}
    assert finish(lookAt(world)).verdict is Verdict.GOOD
    assert answers == []
    assert world.askedSums[-1][-1] == first


def test_a_file_that_never_answers_is_unanswered_and_the_others_are_good():
    world = World()
    world.sums[lfns(1)[0]] = StoredFile(None, failure="timeout")
    found = finish(lookAt(world))
    assert (found.verdict, found.goodFiles) == (Verdict.INCOMPLETE, 9)
    assert namesOf(found) == {Difference.UNANSWERED: lfns(1)}
    assert not found.failure


def test_files_for_which_there_was_no_time_come_again_as_long_as_others_are_answered():
    world = World(9)
    ask = world.checksums

    def hurried(asked):
        answer = ask(asked)
        return {
            lfn: file if lfn == asked[0] else StoredFile(None, failure="no time", isAsked=False) for lfn, file in answer.items()
        }

    world.checksums = hurried
    assert finish(lookAt(world)).verdict is Verdict.GOOD


def test_a_storage_that_has_time_for_none_ends_the_look():
    world = World(9)
    world.sums = dict.fromkeys(world.declared, StoredFile(None, failure="no time", isAsked=False))
    assert finish(lookAt(world)).verdict is Verdict.INCOMPLETE


def test_a_catalogue_that_is_away_costs_no_second_round_of_checksums():
    world = World()
    world.catalogueDown = True
    look = lookAt(world)
    for _ in range(20):
        try:
            look.step()
        except TemporaryFailure:
            break
    with pytest.raises(TemporaryFailure):
        look.step()
    asked = len(world.askedSums)
    world.catalogueDown = False
    assert finish(look).verdict is Verdict.GOOD
    assert len(world.askedSums) == asked


@pytest.mark.parametrize("change", ["more", "fewer", "other"])
def test_a_block_that_changes_while_it_is_looked_at_is_not_judged(change):
    world = World()
    look = lookAt(world)
    look.step()
    look.step()
    if change == "more":
        world.declared[f"{DIRECTORY}/late"] = DeclaredFile(1, "1")
    elif change == "fewer":
        del world.declared[lfns(1)[0]]
    else:
        world.declared[lfns(1)[0]] = DeclaredFile(11, GOOD)
    finish(look)
    assert look.isDiscarded


def test_files_of_a_follow_up_block_that_came_meanwhile_are_not_extra():
    world = World()
    late = f"{DIRECTORY}/late"
    look = lookAt(world)
    look.step()
    world.listed[late] = 5
    world.known = frozenset({late})
    assert finish(look).verdict is Verdict.GOOD
    assert not look.isDiscarded


def test_a_follow_up_block_lists_no_directory_and_has_no_extra_files():
    world = World(3)
    world.directories = ()
    world.listed = {f"{DIRECTORY}/of-the-parent": 5}
    assert finish(lookAt(world)).verdict is Verdict.GOOD
    assert sorted(world.askedSingles) == lfns(3)


def test_progress_never_goes_back_and_ends_at_all_files():
    world = World(20)
    look = lookAt(world)
    seen = [0]
    while not look.isDone:
        look.step()
        seen.append(look.doneFiles)
    assert seen == sorted(seen)
    assert seen[-1] == look.total == 20


def test_lists_are_cut_and_counts_are_whole(monkeypatch):
    monkeypatch.setattr(module, "MAX_NAMES", 4)
    monkeypatch.setattr(module, "MAX_DETAILS", 2)
    world = World()
    world.listed, world.single = {}, {}
    found = finish(lookAt(world))
    assert found.counts == {Difference.MISSING: 10}
    assert (len(found.names[Difference.MISSING]), len(found.details)) == (4, 2)


def test_a_listing_alone_calls_no_file_wrong():
    world = World()
    world.listed[lfns(1)[0]] = 5
    del world.listed[lfns(2)[1]]
    look = lookAt(world)
    while not world.askedSingles and not look.failure:
        look.step()
        if look._stage == look._askSizes:
            world.down = "gone"
    assert finish(look).counts == {Difference.UNANSWERED: 10}


def test_a_storage_that_has_no_time_to_tell_any_size_ends_the_look():
    world = World(3)
    world.directories = ()
    world.single = dict.fromkeys(world.declared, StoredFile(None, failure="no time", isAsked=False))
    found = finish(lookAt(world))
    assert found.counts == {Difference.UNANSWERED: 3}
