"""DIRAC's own class finds in the stand-in for OpenSearch what it put there, also after a restart."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request

import pytest
from opensearch_standin.server import make_server

pytestmark = pytest.mark.unit


class Running:
    """The stand-in in a thread, and DIRAC's class that is told of it."""

    def __init__(self, path) -> None:
        self.server = make_server(0, path)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def parameters(self):
        from DIRAC.ConfigurationSystem.Client.ConfigurationData import gConfigurationData
        from DIRAC.WorkloadManagementSystem.DB.JobParametersDB import JobParametersDB

        address = {"Host": "127.0.0.1", "Port": str(self.server.server_address[1])}
        for name, value in (address | {"User": "a", "Password": "b", "SSL": "no", "CRT": "no"}).items():
            gConfigurationData.setOptionInCFG(f"/Systems/WorkloadManagement/Databases/JobParametersDB/{name}", value)
        return JobParametersDB()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def running(tmp_path):
    made = []

    def start() -> Running:
        made.append(Running(tmp_path / "documents.db"))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def value(result):
    assert result["OK"], result
    return result["Value"]


def test_what_was_set_in_several_calls_is_found_together_and_by_name(running):
    database = running().parameters()
    value(database.setJobParameter(12, "HostName", "node", vo="juno"))
    value(database.setJobParameters(12, [("Pilot_Reference", "p"), ("CPU", 3)], vo="juno"))
    found = value(database.getJobParameters([12, 13], "juno"))
    assert {name: found[12][name] for name in ("HostName", "Pilot_Reference", "CPU")} == {
        "HostName": "node",
        "Pilot_Reference": "p",
        "CPU": 3,
    }
    assert found[13] == {}
    assert value(database.getJobParameters(12, "juno", "CPU")) == {12: {"CPU": 3}}


def test_what_was_deleted_is_gone_and_deleting_it_again_is_no_error(running):
    database = running().parameters()
    value(database.setJobParameter(5, "HostName", "node", vo="juno"))
    value(database.deleteJobParameters(5, vo="juno"))
    value(database.deleteJobParameters(5, vo="juno"))
    assert value(database.getJobParameters(5, "juno")) == {5: {}}


def test_a_restart_loses_nothing(running):
    first = running()
    value(first.parameters().setJobParameter(7, "HostName", "node", vo="juno"))
    first.server.shutdown()
    assert value(running().parameters().getJobParameters(7, "juno"))[7]["HostName"] == "node"


def test_a_request_that_it_does_not_know_is_refused_with_its_words(running):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{running().url}/index/_search")
    assert refused.value.code == 501
    assert "/index/_search" in refused.value.read().decode()
