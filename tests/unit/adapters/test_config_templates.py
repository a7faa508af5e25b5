"""Installing a component takes DIRAC's template with our changes, and our own for our agents."""

import pytest
from DIRAC.FrameworkSystem.Client.ComponentInstaller import gComponentInstaller


def options(system, component, **special):
    result = gComponentInstaller.getComponentCfg("agent", system, component, ["JUNODIRAC", "DIRAC"], special)
    assert result["OK"], result["Message"]
    return result["Value"].getAsDict(f"Systems/{system}/Agents/{component}")


@pytest.mark.parametrize(
    ("system", "component", "ours", "stock"),
    [
        ("DataManagement", "FTS3Agent", {"MonitoringDelay": "2", "PollingTime": "10"}, {"MaxFilesPerJob": "100"}),
        ("Transformation", "RequestTaskAgent", {"MonitorTasks": "yes", "MonitorFiles": "yes"}, {"SubmitTasks": "yes"}),
        ("Transformation", "WorkflowTaskAgent", {"BulkSubmission": "True", "MonitorFiles": ""}, {"SubmitTasks": "yes"}),
        ("Transformation", "TransformationAgent", {"PollingTime": "10", "MaxCycles": "0"}, {}),
        ("RequestManagement", "RequestExecutingAgent", {"MaxProcess": "10"}, {"BulkRequest": "300"}),
        ("RequestManagement", "CleanReqDBAgent", {"KickGraceSeconds": "3600"}, {"KickLimit": "10000"}),
    ],
)
def test_our_options_go_over_those_of_dirac(system, component, ours, stock):
    installed = options(system, component)
    assert ours.items() <= installed.items()
    assert stock.items() <= installed.items()


def test_raw_data_go_through_fts_only():
    handlers = options("RequestManagement", "RequestExecutingAgent")["OperationHandlers"]
    assert (handlers["ReplicateAndRegister"]["FTSMode"], handlers["ReplicateAndRegister"]["DMMode"]) == ("True", "False")
    assert "RegisterReplica" in handlers
    assert "Location" in handlers["ReplicateAndRegister"]


def test_the_plugin_module_of_the_transformation_agent_can_be_imported():
    from importlib import import_module

    module = import_module(options("Transformation", "TransformationAgent")["PluginLocation"])
    assert hasattr(module.TransformationPlugin, "_BlockTransfer")


@pytest.mark.parametrize("instance", ["RawReceiverAgent", "RTRawReceiverAgent"])
def test_receivers_install_with_and_without_naming_the_module(instance):
    named, unnamed = options("RawData", instance, Module="DataReceiverAgent"), options("RawData", instance)
    for installed in (named, unnamed):
        assert (installed["Module"], installed["MaxCycles"]) == ("DataReceiverAgent", "0")
    assert named["ConsumeSeconds"] == "60"
