"""Three sides of a block at a site: each file is good or differs in exactly one way, and silence is never taken for absence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.Validation import Difference, Verdict
from JUNODIRAC.Core.Logic.BlockComparison import CataloguedFile, DeclaredFile, compareBlock
from JUNODIRAC.Core.Logic.Ports import StoredFile

pytestmark = pytest.mark.unit

LFN = "/juno/raw/f1"
DECLARED = DeclaredFile(10, "0000000a")
ENTRY = CataloguedFile(10, "0000000A", True)
STORED = StoredFile(10, "0000000a")


def compare(entry=ENTRY, stored=STORED, **more):
    catalogued = {} if entry is None else {LFN: entry}
    return compareBlock({LFN: DECLARED}, catalogued, {} if stored is None else {LFN: stored}, **more)


def kinds(found):
    return {kind: list(lfns) for kind, lfns in found.differences.items()}


def test_a_file_that_is_the_same_on_all_three_sides_is_good():
    found = compare()
    assert (found.verdict, found.goodFiles, found.files, found.sizeBytes) == (Verdict.GOOD, 1, 1, 10)
    assert kinds(found) == {}


@pytest.mark.parametrize(
    ("entry", "stored", "kind", "verdict"),
    [
        (ENTRY, StoredFile(None), Difference.MISSING, Verdict.BAD),
        (None, StoredFile(None), Difference.MISSING, Verdict.BAD),
        (ENTRY, StoredFile(9, "0000000a"), Difference.WRONG_SIZE, Verdict.BAD),
        (None, StoredFile(9, failure="no checksum"), Difference.WRONG_SIZE, Verdict.BAD),
        (ENTRY, StoredFile(10, "0000000b"), Difference.WRONG_CHECKSUM, Verdict.BAD),
        (None, STORED, Difference.UNCATALOGUED, Verdict.BAD),
        (CataloguedFile(10, "0000000a", False), STORED, Difference.UNCATALOGUED, Verdict.BAD),
        (CataloguedFile(11, "0000000a", True), STORED, Difference.UNCATALOGUED, Verdict.BAD),
        (CataloguedFile(10, "0000000b", True), STORED, Difference.UNCATALOGUED, Verdict.BAD),
        (ENTRY, None, Difference.UNANSWERED, Verdict.INCOMPLETE),
        (ENTRY, StoredFile(None, failure="timeout"), Difference.UNANSWERED, Verdict.INCOMPLETE),
        (None, StoredFile(None, failure="timeout"), Difference.UNANSWERED, Verdict.INCOMPLETE),
        (ENTRY, StoredFile(10, failure="timeout"), Difference.UNANSWERED, Verdict.INCOMPLETE),
        (ENTRY, StoredFile(10), Difference.UNANSWERED, Verdict.INCOMPLETE),
        (CataloguedFile(failure="query failed"), STORED, Difference.UNANSWERED, Verdict.INCOMPLETE),
    ],
)
def test_what_is_wrong_with_a_file_has_a_name(entry, stored, kind, verdict):
    found = compare(entry, stored)
    assert kinds(found) == {kind: [LFN]}
    assert found.verdict is verdict
    assert found.goodFiles == 0
    assert found.details[LFN]


@pytest.mark.parametrize(
    ("catalogued", "stored"),
    [
        ({}, {"/x": StoredFile(1)}),
        ({"/x": CataloguedFile(1, "1", True)}, {}),
        ({"/x": CataloguedFile(1, "1", True)}, {"/x": STORED}),
    ],
)
def test_what_lies_at_the_site_without_being_registered_is_extra_on_whichever_side_it_is_seen(catalogued, stored):
    found = compareBlock({}, catalogued, stored)
    assert kinds(found) == {Difference.EXTRA: ["/x"]}
    assert found.verdict is Verdict.BAD


def test_a_file_of_a_follow_up_block_in_the_same_directory_is_not_extra():
    assert compareBlock({}, {"/x": ENTRY}, {"/x": STORED}, known={"/x"}).verdict is Verdict.GOOD


def test_an_entry_without_a_replica_here_is_not_extra():
    assert compareBlock({}, {"/x": CataloguedFile(1, "1", False)}, {}).verdict is Verdict.GOOD


def test_a_storage_that_did_not_answer_leaves_even_an_empty_block_incomplete():
    assert compareBlock({}, {}, {}, failure="storage X is not available").verdict is Verdict.INCOMPLETE


def test_what_is_wrong_counts_though_not_everything_was_told():
    declared = {LFN: DECLARED, "/other": DECLARED}
    found = compareBlock(declared, {LFN: ENTRY, "/other": ENTRY}, {LFN: StoredFile(None)}, failure="away")
    assert found.verdict is Verdict.BAD
    assert kinds(found) == {Difference.MISSING: [LFN], Difference.UNANSWERED: ["/other"]}
    assert found.details["/other"] == "away"


names = st.sampled_from([f"/d/{number}" for number in range(6)])
checksums = st.sampled_from(["", "1", "00000001", "00000002"])
sizes = st.integers(0, 2)
texts = st.sampled_from(["", "failed"])
declaredSides = st.dictionaries(names, st.builds(DeclaredFile, sizes, checksums))
cataloguedSides = st.dictionaries(names, st.builds(CataloguedFile, sizes, checksums, st.booleans(), texts))
storedSides = st.dictionaries(names, st.builds(StoredFile, st.none() | sizes, checksums, texts))


@given(declaredSides, cataloguedSides, storedSides, st.sets(names), texts)
def test_every_file_counts_in_exactly_one_kind_or_is_good(declared, catalogued, stored, known, failure):
    found = compareBlock(declared, catalogued, stored, known, failure)
    named = [lfn for lfns in found.differences.values() for lfn in lfns]
    assert len(named) == len(set(named))
    extra = set(found.differences.get(Difference.EXTRA, ()))
    assert not extra & (declared.keys() | known)
    assert found.goodFiles + len(named) - len(extra) == len(declared) == found.files
    assert set(named) - extra <= declared.keys()
    assert found.details.keys() == set(named)
    assert (found.verdict is Verdict.GOOD) == (not named and not failure)


@given(declaredSides, cataloguedSides, storedSides, st.sets(names))
def test_only_a_file_of_which_the_storage_says_that_it_is_not_there_is_missing(declared, catalogued, stored, known):
    found = compareBlock(declared, catalogued, stored, known)
    for lfn in found.differences.get(Difference.MISSING, ()):
        assert stored[lfn].sizeBytes is None
        assert not stored[lfn].failure
    for lfn in declared.keys() - stored.keys():
        assert lfn in found.differences[Difference.UNANSWERED]
