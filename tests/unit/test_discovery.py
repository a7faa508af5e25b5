"""DIRAC finds what this extension adds, and every command says what it does."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from DIRAC.Core.Base.private.ModuleLoader import ModuleLoader
from DIRAC.Core.Utilities.Extensions import (
    extensionsByPriority,
    findAgents,
    findDatabases,
    findServices,
    findSystems,
    getExtensionMetadata,
)

COMMANDS = sorted(
    entry.name
    for entry in importlib.metadata.distribution("JUNODIRAC").entry_points
    if entry.group == "console_scripts" and entry.name.startswith("dirac-juno-")
)


def test_the_extension_comes_before_dirac():
    extensions = extensionsByPriority()
    assert extensions.index("JUNODIRAC") < extensions.index("DIRAC")
    assert getExtensionMetadata("JUNODIRAC")["primary_extension"] is True


def test_dirac_finds_our_systems():
    assert set(findSystems("JUNODIRAC")) >= {
        "RawDataSystem",
        "TransformationSystem",
        "DataManagementSystem",
        "RequestManagementSystem",
        "ProductionSystem",
    }


def test_dirac_finds_our_agents():
    assert set(findAgents("JUNODIRAC")) >= {
        ("RawDataSystem", "DataReceiverAgent"),
        ("TransformationSystem", "RequestTaskAgent"),
        ("TransformationSystem", "WorkflowTaskAgent"),
        ("DataManagementSystem", "FTS3Agent"),
    }


def test_dirac_finds_our_services_and_database():
    assert {
        ("RawDataSystem", "RawDataManagerHandler"),
        ("ProductionSystem", "ChainManagerHandler"),
        ("WorkloadManagementSystem", "JobManagerHandler"),
    } <= set(findServices("JUNODIRAC"))
    assert ("RawDataSystem", "RawDataDB.sql") in findDatabases("JUNODIRAC")


@pytest.mark.parametrize(
    "name",
    [
        "RawData/DataReceiverAgent",
        "Transformation/RequestTaskAgent",
        "Transformation/WorkflowTaskAgent",
        "DataManagement/FTS3Agent",
        "RequestManagement/CleanReqDBAgent",
    ],
)
def test_dirac_loads_our_agent_and_not_its_own(name):
    loader = ModuleLoader("Agent", lambda module: f"/Systems/nowhere/{module}")
    assert loader.loadModule(name)["OK"]
    assert loader.getModules()[name]["classObj"].__module__.startswith("JUNODIRAC.")


def test_no_folder_of_the_package_is_invisible():
    import JUNODIRAC

    root = Path(JUNODIRAC.__file__).parent
    folders = {path.parent for path in root.rglob("*.py")} | {path.parent for path in root.rglob("*.cfg")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_dirac_gets_the_version_as_a_text_which_each_job_reports():
    from DIRAC.Core.Utilities.Version import getCurrentVersion

    assert getCurrentVersion() == {"OK": True, "Value": importlib.metadata.version("JUNODIRAC")}


def test_there_are_commands():
    assert {"dirac-juno-block-status", "dirac-juno-file-history"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_answers_help(command, tmp_path):
    program = shutil.which(command, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program, f"{command} is not installed; pip install the package again"
    done = subprocess.run(
        [program, "-h"], capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert command in done.stdout or "Usage" in done.stdout


def test_no_two_modules_of_tests_have_the_same_name():
    """They are no packages: pytest would refuse to run all of them together, and run each folder alone without a word."""
    tests = Path(__file__).parents[1]
    names = [path.name for path in tests.rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_nothing_is_imported_from_conftest_of_which_there_are_several():
    """Which of them the name means depends on what was collected before: shared helpers live in modules of their own."""
    importing = re.compile(r"^\s*(from|import) conftest\b", re.MULTILINE)
    assert [path.name for path in Path(__file__).parents[1].rglob("*.py") if importing.search(path.read_text())] == []
