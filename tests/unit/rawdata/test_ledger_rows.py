from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import Message, QuarantinedMessage
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerSchema import missingFrom, schemaText, wantedColumns


@given(st.text())
def test_a_text_is_always_utf8_and_never_too_long(value):
    assert len(rows.text(value, 10).encode("utf-8").decode("utf-8")) <= 10


@given(st.one_of(st.integers(), st.text(), st.none(), st.text(alphabet="0123456789")))
def test_a_number_is_one_that_the_column_holds_or_none(value):
    found = rows.number(value)
    assert found is None or 0 <= found < 2**63
    if isinstance(value, int) and 0 <= value < 2**63:
        assert found == value


@given(st.lists(st.integers(0, 3_000_000), max_size=60))
def test_payload_chunks_hold_every_message_once_in_order_within_the_limit(sizes):
    items = [QuarantinedMessage(Message("t", 0, n, bytes(size)), "Raw", Reason.BAD_NAME, "") for n, size in enumerate(sizes)]
    chunks = list(rows.payloadChunks(items))
    assert [item for chunk in chunks for item in chunk] == items
    for chunk in chunks:
        assert len(chunk) == 1 or sum(len(item.message.payload) for item in chunk) <= rows.PAYLOAD_BYTES_PER_STATEMENT


def test_names_are_grouped_by_directory_in_the_order_of_the_key_without_repetition():
    lfns = ["/b/2", "/a/1", "/b/1", "/b/2", "/unknown/1"]
    assert rows.groupNames(lfns, {"/a": 9, "/b": 3}) == [("/b", 3, ["1", "2"]), ("/a", 9, ["1"])]


def test_a_file_whose_names_no_column_takes_is_not_storable():
    good = RawFile("Raw", "/juno", "a.dat", "20230302")
    assert rows.storable(good)
    for bad in (
        RawFile("Raw", "/juno", "a" * 256, "20230302"),
        RawFile("Raw", "/juno", "\ud800", "20230302"),
        RawFile("Raw", "/juno", "a.dat", "b" * 129),
        RawFile("Raw", "/juno", "", "20230302"),
        RawFile("Raw", "/juno", "ä.dat", "20230302"),
        RawFile("Raw", "/juno", "a.dat ", "20230302"),
        RawFile("Raw", "/juno ", "a.dat", "20230302"),
        RawFile("Raw", "/juno", "a.dat", "20230302 "),
    ):
        assert not rows.storable(bad)


def test_offsets_come_sorted_and_once_by_partition():
    positions = [("t", 1, 9), ("t", 0, 5), ("t", 1, 3), ("t", 1, 9)]
    assert rows.offsetsByPartition(positions) == {("t", 0): [5], ("t", 1): [3, 9]}


def test_a_reason_of_another_version_is_kept_in_the_detail():
    assert rows.reasonOf("ZeroSize", "x") == (Reason.ZERO_SIZE, "x")
    assert rows.reasonOf("Strange", "x") == (Reason.INTERNAL_ERROR, "Strange: x")


def test_the_schema_names_every_column_and_the_states_of_a_file():
    wanted = wantedColumns(schemaText())
    assert "Files" in wanted
    assert set(FileState) == set(re.findall(r"'(\w+)'", wanted["Files"]["State"]))
    for columns, table in (
        (rows.ANNOUNCED_COLUMNS, "Files"),
        (rows.QUARANTINE_COLUMNS, "Quarantine"),
        (rows.WAITING_COLUMNS, "Waiting"),
    ):
        assert set(columns) <= set(wanted[table])


def test_a_missing_table_column_or_state_is_named_and_more_than_is_wanted_is_not():
    wanted = {"Files": {"FileID": "", "State": "ENUM('A', 'B')"}, "Runs": {"RunNumber": ""}}
    complete = [
        ("Files", "FileID", "bigint"),
        ("Files", "State", "enum('A','B','C')"),
        ("Runs", "RunNumber", "int"),
        ("X", "y", ""),
    ]
    assert missingFrom(complete, wanted) == []
    assert missingFrom([("Files", "State", "enum('A')")], wanted) == [
        "column Files.FileID",
        "value B of column Files.State",
        "table Runs",
    ]


def test_no_statement_of_the_scripts_is_cut_by_a_semicolon_in_a_comment_or_a_text():
    for name in ("RawDataDB.sql", "RawDataDB-upgrade.sql"):
        for statement in schemaText(name).split(";")[:-1]:
            code = "\n".join(line for line in statement.splitlines() if not line.startswith("--")).strip()
            assert code.startswith(("CREATE TABLE IF NOT EXISTS", "ALTER TABLE", "UPDATE", "INSERT INTO")), statement
