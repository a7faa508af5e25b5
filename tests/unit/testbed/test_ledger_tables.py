"""A state folder of an older version is upgraded or refused in words, never half used."""

from __future__ import annotations

import pytest
from junotestbed import ledger_tables
from junotestbed.ledger_tables import upgrade
from junotestbed.settings import Settings, TestbedError

pytestmark = pytest.mark.unit


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("JUNO_TESTBED_PORT_BASE", "23000")
    made = Settings(tmp_path / "state")
    made.choose(False)
    return made


@pytest.fixture
def client(monkeypatch) -> list[str]:
    """The statements that were sent to the database."""
    sent: list[str] = []
    monkeypatch.setattr(ledger_tables, "run", lambda _command, env, stdin: sent.append(stdin))
    return sent


def ledgerLacks(monkeypatch, *answers: list[str]) -> None:
    remaining = list(answers)
    monkeypatch.setattr(ledger_tables, "lacking", lambda _settings: remaining.pop(0))


def test_a_ledger_of_this_version_is_left_alone(settings, client, monkeypatch):
    ledgerLacks(monkeypatch, [])
    assert not upgrade(settings)
    assert client == []


def test_an_older_ledger_gets_the_missing_tables_first_and_then_the_missing_columns(settings, client, monkeypatch):
    ledgerLacks(monkeypatch, ["table Alerts", "column Files.WaitingTime"], [])
    assert upgrade(settings)
    assert ["CREATE TABLE" in client[0], "ALTER TABLE" in client[1]] == [True, True]


def test_what_an_upgrade_does_not_bring_is_named_with_the_command_that_helps(settings, client, monkeypatch):
    ledgerLacks(monkeypatch, ["column Files.New"], ["column Files.New"])
    with pytest.raises(TestbedError, match="(?s)column Files.New.*scripts/testbed wipe") as refused:
        upgrade(settings)
    assert str(settings.run) in str(refused.value)


def test_an_upgrade_that_fails_says_why_and_which_command_helps(settings, monkeypatch):
    ledgerLacks(monkeypatch, ["column Files.New"])

    def fails(*_command, **_arguments):
        raise TestbedError("Duplicate entry")

    monkeypatch.setattr(ledger_tables, "run", fails)
    with pytest.raises(TestbedError, match="(?s)Duplicate entry.*scripts/testbed wipe"):
        upgrade(settings)
