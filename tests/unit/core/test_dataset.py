from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.Dataset import (
    ContentHash,
    Dataset,
    differences,
    directoryGroups,
    isDatasetName,
    namesText,
    pack,
    unpack,
)

pytestmark = pytest.mark.unit

NAMES = st.text(alphabet="ab-0Z.", min_size=1, max_size=4)
DIRECTORIES = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


@given(st.dictionaries(DIRECTORIES, st.lists(NAMES, max_size=4, unique=True), max_size=6))
def test_the_hash_is_that_of_all_sorted_lines_however_the_files_lie_in_directories(tree):
    content = {f"{directory}/{name}": (7, "0a1b2c3d") for directory, names in tree.items() for name in names}
    # a file cannot have the path of a directory
    content = {lfn: facts for lfn, facts in content.items() if not any(d == lfn or d.startswith(f"{lfn}/") for d in tree)}
    contentHash = ContentHash()
    seen = []
    for group in directoryGroups(tree):
        seen += group
        contentHash.add({lfn: facts for lfn, facts in content.items() if lfn.rpartition("/")[0] in group})
    lines = sorted(f"{lfn} 7 0a1b2c3d\n".encode() for lfn in content)
    assert sorted(seen) == sorted(tree)
    assert contentHash.value == hashlib.sha256(b"".join(lines)).hexdigest()
    assert (contentHash.files, contentHash.sizeBytes) == (len(content), 7 * len(content))


def test_a_directory_that_is_not_inside_another_is_read_on_its_own():
    assert list(directoryGroups(["/a/b/c", "/a/b-x", "/a/b", "/a/b/d"])) == [["/a/b-x"], ["/a/b", "/a/b/c", "/a/b/d"]]


def test_files_that_come_out_of_order_are_refused_rather_than_hashed():
    contentHash = ContentHash()
    contentHash.add({"/b/1": (1, "00000001")})
    with pytest.raises(ValueError, match="does not come after"):
        contentHash.add({"/a/1": (1, "00000001")})


@given(st.dictionaries(st.text(alphabet="ab /\x85", min_size=1), st.tuples(st.integers(0, 2**62), st.just("0a1b2c3d"))))
def test_what_is_packed_comes_out_as_it_was(content):
    assert unpack(pack(ContentHash().add(content))) == content


def test_each_kind_of_difference_is_named_with_what_was_and_is():
    wanted = {"/d/1": (1, "0000000a"), "/d/2": (2, "0000000b"), "/d/3": (3, "0000000c"), "/d/4": (4, "0000000d")}
    found = {"/d/0": (9, "00000009"), "/d/1": (1, "A"), "/d/2": (3, "0000000b"), "/d/3": (3, "000000ff")}
    told = [(each.lfn, each.kind, each.wanted, each.found) for each in differences("Ledger", wanted, found)]
    assert told == [
        ("/d/0", "Added", None, (9, "00000009")),
        ("/d/2", "Changed", (2, "0000000b"), (3, "0000000b")),
        ("/d/3", "Changed", (3, "0000000c"), (3, "000000ff")),
        ("/d/4", "Missing", (4, "0000000d"), None),
    ]


@pytest.mark.parametrize(
    ("name", "isGood"), [("first-week_2.0", True), ("", False), ("a/b", False), ("a*", False), ("x" * 129, False)]
)
def test_a_name_that_the_catalogue_would_misread_is_none(name, isGood):
    assert isDatasetName(name) is isGood


def test_the_query_takes_both_ends_of_the_range():
    dataset = Dataset(1, "d", "/juno/datasets/d", "Raw", "20230301", "20230307", None, "prod")
    assert dataset.query == {"Type": "Raw", "Block": {">=": "20230301", "<=": "20230307"}}


def test_a_sentence_names_a_few_and_counts_the_rest():
    assert namesText(["a", "b"]) == "a, b"
    assert namesText(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
