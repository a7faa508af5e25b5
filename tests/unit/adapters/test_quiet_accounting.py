"""The accounting is called when there is something to say, and then as DIRAC does."""

import pytest
from DIRAC import S_OK
from DIRAC.AccountingSystem.Client.DataStoreClient import DataStoreClient

from JUNODIRAC.DataManagementSystem.private.QuietAccounting import commitOnlyRecords


@pytest.fixture
def client(monkeypatch):
    made = DataStoreClient()
    made.sent, made.connections = [], 0

    class RPC:
        def commitRegisters(self, records):
            made.sent += records
            return S_OK()

    def connect(**_more):
        made.connections += 1
        return RPC()

    monkeypatch.setattr(made, "_getRPC", connect)
    return made


def put(client, *records):
    client._DataStoreClient__registersList.extend(records)


def test_without_records_nobody_is_called(client):
    commitOnlyRecords(client)
    assert client.commit()["OK"]
    assert client.connections == 0


def test_records_are_sent_as_ever(client):
    commitOnlyRecords(client)
    commitOnlyRecords(client)  # a second time changes nothing
    put(client, "a", "b")
    assert client.commit() == S_OK(2)
    assert (client.sent, client.connections) == (["a", "b"], 1)
    client.commit()
    assert client.connections == 1


def test_a_client_that_keeps_its_records_elsewhere_is_left_alone():
    class Other:
        calls = 0

        def commit(self):
            self.calls += 1
            return S_OK()

    other = Other()
    commitOnlyRecords(other)
    other.commit()
    assert other.calls == 1
