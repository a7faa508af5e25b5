"""A report: every file that is missing has a name, and a block is whole only if nothing is left to say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.BlockReport import BlockReport, ReportedBlock, ReportedSite, UnregisteredFile
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Validation import Difference, Look, Validation, Verdict

pytestmark = pytest.mark.unit

NOW = datetime(2023, 3, 2, tzinfo=UTC)
LFNS = ["/d/a", "/d/b", "/d/c"]
BLOCK = ReportedBlock(
    blockID=1,
    typeName="Raw",
    name="20230302",
    state="Done",
    expectedFiles=3,
    registered=dict.fromkeys(LFNS, 10),
    sites=(ReportedSite("A", "Done"), ReportedSite("B", "Done")),
)
EVERYWHERE = dict.fromkeys(LFNS, frozenset({"A", "B", "SOURCE"}))


def test_a_block_with_all_its_files_everywhere_is_whole():
    told = BlockReport(BLOCK, EVERYWHERE).toDict()
    assert (told["Whole"], told["Problems"]) == (True, [])
    assert (told["Declared"], told["Announced"], told["Registered"], told["Catalogued"]) == (3, 3, 3, 3)
    assert [(site["SE"], site["Files"], site["Bytes"]) for site in told["Sites"]] == [("A", 3, 30), ("B", 3, 30)]


def test_a_file_that_is_not_at_a_site_is_named_there():
    told = BlockReport(BLOCK, {**EVERYWHERE, "/d/b": {"A"}}).toDict()
    assert {site["SE"]: site["Missing"] for site in told["Sites"]} == {"A": [], "B": ["/d/b"]}
    assert told["Sites"][1]["Bytes"] == 20
    assert told["Problems"] == ["1 files are missing at B"]
    assert not told["Whole"]


def test_a_file_that_the_catalogue_does_not_have_is_named():
    told = BlockReport(BLOCK, {lfn: EVERYWHERE[lfn] for lfn in LFNS[:2]}).toDict()
    assert (told["Catalogued"], told["NotCatalogued"]) == (2, ["/d/c"])
    assert not told["Whole"]


@pytest.mark.parametrize(
    ("state", "isWhole", "announced"),
    [
        (FileState.ANNOUNCED, False, 4),
        (FileState.WAITING, False, 4),
        (FileState.QUARANTINED, False, 4),
        (FileState.WAIVED, True, 4),
        (FileState.DROPPED, True, 3),
    ],
)
def test_a_file_that_is_not_registered_counts_unless_a_person_gave_it_up(state, isWhole, announced):
    block = replace(BLOCK, unregistered=(UnregisteredFile("/d/x", state, 5, "ZeroSize", "empty"),), expectedFiles=announced)
    told = BlockReport(block, EVERYWHERE).toDict()
    assert (told["Whole"], told["Announced"]) == (isWhole, announced)
    assert told["NotRegistered"] == [{"LFN": "/d/x", "State": state, "SizeBytes": 5, "Code": "ZeroSize", "Detail": "empty"}]


@pytest.mark.parametrize(("declared", "problem"), [(5, "2 of 5 declared"), (1, "2 files more"), (None, ""), (3, "")])
def test_the_declared_number_has_to_be_met_where_there_is_one(declared, problem):
    problems = BlockReport(replace(BLOCK, expectedFiles=declared), EVERYWHERE).problems()
    assert len(problems) == bool(problem)
    assert all(each.startswith(problem) for each in problems)


def test_a_bad_validation_is_told_though_no_replica_is_missing():
    counts = {Difference.WRONG_CHECKSUM: 1}
    bad = Validation(1, "A", Look.AGAIN, "agent", NOW, NOW, Verdict.BAD, 3, 30, 2, counts)
    told = BlockReport(replace(BLOCK, sites=(ReportedSite("A", "Closed", validation=bad),)), EVERYWHERE).toDict()
    assert told["Problems"] == ["the last validation at A is bad: 2 of 3 files good, 1 with wrong checksum"]


def test_without_the_catalogue_nothing_is_called_missing_and_nothing_whole():
    told = BlockReport(BLOCK, None, ("DataManagement/FileCatalog is not available",)).toDict()
    assert (told["Whole"], told["Catalogued"]) == (False, None)
    assert [(site["Files"], site["Bytes"], site["Missing"]) for site in told["Sites"]] == [(None, None, [])] * 2


@given(st.dictionaries(st.sampled_from([*LFNS, "/other"]), st.sets(st.sampled_from(["A", "B", "SOURCE"]))))
def test_at_each_site_every_registered_file_is_either_there_or_named(replicas):
    told = BlockReport(BLOCK, replicas).toDict()
    for site in told["Sites"]:
        assert site["Files"] + len(site["Missing"]) == 3
        assert set(site["Missing"]) == {lfn for lfn in LFNS if site["SE"] not in replicas.get(lfn, ())}
    assert told["Whole"] == all({"A", "B"} <= replicas.get(lfn, set()) for lfn in LFNS)
