"""ReplicateAndRegister without questions to the storages."""

import pytest
from DIRAC import S_OK
from DIRAC.DataManagementSystem.Agent.RequestOperations import ReplicateAndRegister as diracModule
from DIRAC.RequestManagementSystem.Client.File import File
from DIRAC.RequestManagementSystem.Client.Operation import Operation
from DIRAC.RequestManagementSystem.private.RequestTask import RequestTask

from JUNODIRAC.DataManagementSystem.Agent.RequestOperations.ReplicateAndRegister import ReplicateAndRegister

LFN = "/juno/raw/2023/0302/f"


@pytest.fixture
def replicate(monkeypatch):
    """The operation for one file; a question to a storage or a look into the file is noted."""
    asked = []
    monkeypatch.setattr(diracModule, "StorageElement", lambda se: asked.append(se))
    monkeypatch.setattr(diracModule.ReplicateAndRegister, "_filterReplicas", lambda *_: S_OK(asked.append("looked into") or {}))
    made = ReplicateAndRegister.__new__(ReplicateAndRegister)
    made.operation = Operation()
    made.operation.addFile(File({"LFN": LFN}))
    made.asked = asked
    return made


def filtered(made, replicas):
    answer = made._filterReplicas(made.operation[0], {"Successful": {LFN: dict.fromkeys(replicas, "")}, "Failed": {}})
    assert answer["OK"]
    return answer["Value"]


def test_replicas_of_the_catalogue_are_sources_without_a_question_to_their_storages(replicate):
    found = filtered(replicate, ["IHEP-JUNOEOS", "CNAF-STORM"])
    assert sorted(found["Valid"]) == ["CNAF-STORM", "IHEP-JUNOEOS"]
    # DIRAC reads these, too
    assert not any(found[other] for other in ("NoMetadata", "NoReplicas", "Bad", "NoPFN"))
    assert replicate.asked == []


def test_the_sources_of_the_request_are_obeyed(replicate):
    replicate.operation.SourceSE = "CNAF-STORM"
    assert filtered(replicate, ["IHEP-JUNOEOS", "CNAF-STORM"])["Valid"] == ["CNAF-STORM"]


def test_a_file_without_a_usable_replica_is_looked_into_as_dirac_does(replicate):
    filtered(replicate, [])
    replicate.operation.SourceSE = "JINR-EOS"
    filtered(replicate, ["IHEP-JUNOEOS"])
    assert replicate.asked == ["looked into", "looked into"]


def test_the_configured_location_is_a_handler_that_the_agent_can_load():
    from test_config_templates import options

    location = options("RequestManagement", "RequestExecutingAgent")["OperationHandlers"]["ReplicateAndRegister"]["Location"]
    assert RequestTask.loadHandler(None, location) is ReplicateAndRegister
