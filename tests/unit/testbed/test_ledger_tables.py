"""A state folder of an older version is upgraded or refused in words, never half used."""

from __future__ import annotations

import pytest
from junotestbed import ledger_tables
from junotestbed.ledger_tables import missing_tables, wanted_tables
from junotestbed.settings import Settings, TestbedError

pytestmark = pytest.mark.unit


@pytest.fixture
def wanted() -> dict[str, set[str]]:
    return wanted_tables(ledger_tables._SQL.read_text())


@pytest.fixture
def ledger(monkeypatch, wanted) -> dict[str, set[str]]:
    tables = {name: set(columns) for name, columns in wanted.items()}
    monkeypatch.setattr(ledger_tables, "existing_tables", lambda _settings: tables)
    return tables


def test_every_table_of_the_schema_is_seen_with_its_columns(wanted):
    assert len(wanted) == ledger_tables._SQL.read_text().count("CREATE TABLE")
    assert {"FileID", "State", "ClosedTime"} <= wanted["Files"]
    assert not any("KEY" in column for columns in wanted.values() for column in columns)
    assert wanted["Runs"] == {"RunNumber", "DirectoryID"}


def test_a_ledger_of_this_version_lacks_nothing(ledger, tmp_path):
    assert missing_tables(Settings(tmp_path)) == []


def test_tables_that_are_not_there_are_named_to_be_made(ledger, tmp_path):
    del ledger["Sweeps"], ledger["Alerts"]
    assert missing_tables(Settings(tmp_path)) == ["Alerts", "Sweeps"]


def test_a_table_without_a_column_is_refused_with_its_name_and_the_command(ledger, tmp_path):
    ledger["Files"].remove("WaitingTime")
    with pytest.raises(TestbedError, match="Files.*WaitingTime.*scripts/testbed wipe") as refused:
        missing_tables(Settings(tmp_path))
    assert str(tmp_path) in str(refused.value)
