from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.BlockStatus import (
    DirectoryUsage,
    LedgerBlock,
    SiteStatus,
    TransferState,
    Usage,
    assembleBlockStatus,
    usageOf,
)
from JUNODIRAC.Core.Domain.FileState import FileState

COUNTS = {FileState.REGISTERED: 10, FileState.WAIVED: 1, FileState.DROPPED: 2}
BLOCK = LedgerBlock("Raw", "20230302", "/juno/raw/2023/0302", "Open", None, COUNTS, {FileState.REGISTERED: 1000}, {"JINR-EOS": 7})


def usage(files: int) -> dict[str, DirectoryUsage]:
    return {BLOCK.directory: DirectoryUsage(Usage(10, 1000), {"JINR-EOS": Usage(files, 100 * files)})}


def statusOf(done: int, **files: int):
    (status,) = assembleBlockStatus([BLOCK], usage(done), {7: TransferState("Active", files)})
    return status


def test_a_site_is_complete_when_all_files_have_a_replica_and_are_processed():
    status = statusOf(10, Processed=10)
    assert status.complete
    assert status.sites[0].percent == 100.0
    assert status.sites[0].doneBytes == 1000


@pytest.mark.parametrize(
    ("done", "files"),
    [
        (9, {"Processed": 10}),
        (11, {"Processed": 10}),
        (10, {"Processed": 9}),
        (10, {"Processed": 9, "Assigned": 1}),
        (10, {"Processed": 10, "Problematic": 1}),
        (10, {}),
    ],
)
def test_a_site_is_not_complete_while_replicas_or_transformation_lack_or_exceed_something(done, files):
    assert not statusOf(done, **files).complete


@pytest.mark.parametrize("state", FileState)
def test_a_block_is_complete_only_when_each_file_is_registered_or_was_given_up_by_a_person(state):
    counts = {FileState.REGISTERED: 10, **({state: 1} if state is not FileState.REGISTERED else {})}
    block = LedgerBlock(**{**vars(BLOCK), "fileCounts": counts})
    (status,) = assembleBlockStatus([block], usage(10), {7: TransferState("Active", {"Processed": 10})})
    assert status.sites[0].complete
    assert status.complete == (state in (FileState.REGISTERED, FileState.WAIVED, FileState.DROPPED))


def test_a_block_counts_its_files_in_every_state():
    document = statusOf(10, Processed=10).toDict()
    assert {state.value: document[state.value] for state in FileState if state is not FileState.REGISTERED} == {
        "Announced": 0,
        "Waiting": 0,
        "Quarantined": 0,
        "Waived": 1,
        "Dropped": 2,
    }


def test_a_block_without_destinations_or_files_is_not_complete():
    empty = LedgerBlock("Raw", "x", "/juno/x", "Open", None, transfers={"JINR-EOS": 7})
    nowhere = LedgerBlock("Raw", "y", "/juno/y", "Known", None, COUNTS)
    for status in assembleBlockStatus([empty, nowhere], {}, {7: TransferState("Active")}):
        assert not status.complete


def test_what_could_not_be_asked_is_none_and_never_complete():
    (status,) = assembleBlockStatus([BLOCK], None, None)
    document = status.toDict()
    site = document["Sites"][0]
    assert (document["Catalogued"], site["Done"], site["Percent"], site["TransformationStatus"]) == (None, None, None, None)
    assert not status.complete


def test_a_directory_that_the_catalogue_lacks_is_empty_and_a_lost_transformation_is_named():
    (status,) = assembleBlockStatus([BLOCK], {}, {})
    assert (status.sites[0].done, status.catalogued, status.sites[0].transfer.status) == (0, Usage(0, 0), "Deleted")


def test_a_status_is_one_json_document():
    document = json.loads(json.dumps(statusOf(9, Processed=9).toDict()))
    assert (document["Files"], document["Waived"], document["Sites"][0]["Percent"]) == (10, 1, 90.0)


@given(st.integers(1, 10**8), st.data())
def test_100_percent_is_shown_only_when_every_file_is_there(files, data):
    done = data.draw(st.integers(0, files))
    site = SiteStatus("JINR-EOS", 7, files, done, 0, None)
    assert (site.percent == 100.0) == (done == files)


def test_late_files_are_counted_with_the_follow_up_block_and_not_with_the_block_of_their_directory():
    sizes = {"/juno/raw/2023/0302/a": 100, "/juno/raw/2023/0302/b": 50, "/juno/raw/2023/0302/lost": 7}
    late = usageOf(sizes, {"/juno/raw/2023/0302/a": ["IHEP", "JINR-EOS"], "/juno/raw/2023/0302/b": ["IHEP"]})
    assert late == DirectoryUsage(Usage(2, 150), {"IHEP": Usage(2, 150), "JINR-EOS": Usage(1, 100)})
    whole = DirectoryUsage(Usage(12, 1150), {"IHEP": Usage(12, 1150), "JINR-EOS": Usage(11, 1100), "CNAF": Usage(10, 1000)})
    assert whole - late == DirectoryUsage(
        Usage(10, 1000), {"IHEP": Usage(10, 1000), "JINR-EOS": Usage(10, 1000), "CNAF": Usage(10, 1000)}
    )


def test_a_follow_up_block_is_found_by_its_name_where_others_are_by_their_directory():
    follow = LedgerBlock("Raw", "20230302-late1", "", "Open", None, COUNTS, {}, {"JINR-EOS": 8}, ownLateFiles={"/x": 1})
    usages = usage(10) | {follow.place: DirectoryUsage(Usage(1, 1), {"JINR-EOS": Usage(1, 1)})}
    parent, late = assembleBlockStatus([BLOCK, follow], usages, {})
    assert [parent.sites[0].done, late.sites[0].done] == [10, 1]
