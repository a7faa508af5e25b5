"""Who may not change something of chains changes nothing: by no command, and by no method of ChainManager."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from junotestbed.observe import Database

pytestmark = pytest.mark.system

USERS = ["shifter", "stranger", "outsider"]
ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "JUNODIRAC/ProductionSystem/Service"
CHAIN = ROOT / "etc/chains/rerec.yaml"
# makes nothing whole: what is refused is refused before anybody looks whether there is such a chain
LFN = "/juno/rtraw/2031/0101/RTRaw.1.PHYSICS.GLOBAL_TRIGGER.TESTBED.20310101000000.0001.rtraw"
CALL = """
import json, sys
import DIRAC
DIRAC.initialize(require_auth=False)  # the configuration server refuses somebody unknown too
from DIRAC.Core.Base.Client import Client
client = Client(url=sys.argv[2])
answers = {name: getattr(client, name)(*values) for name, values in json.loads(sys.argv[1]).items()}
print("ANSWERS " + json.dumps({name: [answer["OK"], answer.get("Message", "")] for name, answer in answers.items()}))
"""
TABLES = (
    "Chains", "ChainSteps", "ChainBlocks", "ChainInputs", "Attempts", "Products", "Derivations", "Recoveries", "RunQuality",
    "Journal",
)  # fmt: skip


def commands() -> dict[str, list[str]]:
    why = ["--reason", "try", "--yes"]
    return {
        "start": ["dirac-juno-chain", "start", str(CHAIN), "--each-new-block", *why],
        "flag": ["dirac-juno-run", "flag", "4711", "--quality", "good", *why],
    }


def calls() -> dict[str, list[object]]:
    output = {"LFN": LFN, "GUID": "", "SE": "CNAF-STORM", "SizeBytes": 1, "Checksum": "00000001"}
    return {
        "startChain": [CHAIN.read_text(), str(CHAIN), {"EachNewBlock": True}, "try"],
        "extendChain": ["rerec-J24.1-v1", {"EachNewBlock": True}, "try"],
        "stopChain": ["rerec-J24.1-v1", "try"],
        "resumeChain": ["rerec-J24.1-v1", "try"],
        "waiveInputs": ["rerec-J24.1-v1", [LFN], False, "try"],
        "flagRuns": [[4711], "good", "try"],
        "beginTask": [1, 1, 1, "DIRAC.CNAF.it", "try"],
        "noteUpload": [1, "CNAF-STORM"],
        "commitOutput": [1, output, [{"LFN": LFN, "Events": 1}]],
        "endAttempt": [1, 1, "ProgramFailed", "try"],
        "registeredOutput": [[1]],
        "listUnregistered": [0, 1],
        "planTasks": [1, {LFN: ["CNAF-STORM"]}],
        "getPlanTurns": [[1]],
    }


def truth(testbed) -> dict[str, object]:
    database = Database(testbed)
    found: dict[str, object] = {table: database.rows("RawDataDB", f"SELECT COUNT(*) FROM {table}") for table in TABLES}
    found["states"] = database.rows("RawDataDB", "SELECT ChainID, State, StateBy FROM Chains ORDER BY 1")
    found["attempts"] = database.rows("RawDataDB", "SELECT AttemptID, State, OutputSEs FROM Attempts ORDER BY 1")
    found["productions"] = database.rows("ProductionDB", "SELECT COUNT(*) FROM Productions")
    return found


@pytest.fixture(scope="module", autouse=True)
def quiet(testbed):
    """Chains of other tests stand still, so that nothing but these calls could have changed anything."""
    agents = ("Production_ChainAgent", "Production_ChainRecoveryAgent", "RawData_BlockRepairAgent")
    testbed.dirac.control("down", *agents, wait=30)
    yield
    testbed.dirac.control("up", *agents)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("command", sorted(commands()))
def test_a_command_that_changes_chains_is_refused_with_a_clear_word_and_changes_nothing(testbed, command, user):
    before = truth(testbed)
    environment = testbed.settings.environment(testbed.server.proxy(user))
    done = subprocess.run(commands()[command], env=environment, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert re.search("(?i)unauthori[sz]ed|not authori[sz]ed|may not", said), said
    assert "Traceback" not in said
    assert truth(testbed) == before


@pytest.mark.parametrize("user", USERS)
def test_every_method_that_changes_chains_is_refused_and_changes_nothing(testbed, user):
    before = truth(testbed)
    environment = testbed.settings.environment(testbed.server.proxy(user))
    url = f"dips://localhost:{testbed.settings.port('Production/ChainManager')}/Production/ChainManager"
    command = [str(testbed.settings.venv / "bin/python"), "-c", CALL, json.dumps(calls()), url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    found = re.search("^ANSWERS (.*)$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    answers = json.loads(found[1])
    assert [name for name, (isOK, _) in answers.items() if isOK] == []
    assert {name for name, (_, message) in answers.items() if "uthori" not in message} == set(), answers
    assert truth(testbed) == before


def test_the_methods_tried_here_are_all_that_change_something():
    sources = "\n".join(path.read_text() for path in SERVICE.glob("*.py"))
    assert set(re.findall(r"^    auth_(\w+) = (?:MANAGERS|AGENTS)$", sources, re.MULTILINE)) == set(calls())
