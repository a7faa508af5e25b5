"""Who may not change something changes nothing: by no command, and by no method of the service."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from junotestbed.announcer import writeFile
from junotestbed.demo import free_days
from junotestbed.observe import committedOffsets, replicasOf, waitUntil
from junotestbed.traffic import SOURCE, announce, file_name

pytestmark = pytest.mark.system

USERS = ["shifter", "stranger", "outsider"]
_SITE = "JINR-EOS"
SERVICE = Path(__file__).parents[2] / "JUNODIRAC/RawDataSystem/Service"
CALL = """
import json, sys
import DIRAC
DIRAC.initialize(require_auth=False)  # the configuration server refuses somebody unknown too
from DIRAC.Core.Base.Client import Client
client = Client(url=sys.argv[2])
answers = {name: getattr(client, name)(*values) for name, values in json.loads(sys.argv[1]).items()}
print("ANSWERS " + json.dumps({name: [answer["OK"], answer.get("Message", "")] for name, answer in answers.items()}))
"""


@dataclass(frozen=True)
class Target:
    """What somebody may want to change: a block, a refused announcement of it, and a file of it that was never announced."""

    block: str
    quarantineID: int
    forgotten: str
    dataset: str = "test-authorisation"

    def commands(self) -> dict[str, list[str]]:
        why = ["--reason", "try", "--yes"]
        number = str(self.quarantineID)
        return {
            "open": ["dirac-juno-block", "open", self.block, "--type", "Raw", *why],
            "replay": ["dirac-juno-quarantine", "replay", number, *why],
            "waive": ["dirac-juno-quarantine", "waive", number, *why],
            "drop": ["dirac-juno-quarantine", "drop", number, *why],
            "announce": ["dirac-juno-gaps", "--block", self.block, "--type", "Raw", "--announce", *why],
            "create": ["dirac-juno-dataset", "create", "tried", "--type", "Raw", "--from", self.block, "--to", self.block, *why],
            "freeze": ["dirac-juno-dataset", "freeze", self.dataset, *why],
            "close": ["dirac-juno-block", "close", self.block, "--type", "Raw", *why],
            "validate": ["dirac-juno-block", "validate", self.block, "--type", "Raw", *why],
            "pause": ["dirac-juno-block", "pause", "--site", _SITE, *why],
        }

    def calls(self) -> dict[str, list[object]]:
        return {
            "openTransfers": [self.block, "Raw", "try"],
            "replayQuarantined": [[self.quarantineID], "try", True],
            "waiveQuarantined": [[self.quarantineID], "try"],
            "dropQuarantined": [[self.quarantineID], "try"],
            "announceForgotten": ["Raw", [self.forgotten], "try"],
            "createDataset": ["tried", "Raw", self.block, self.block, "try"],
            "freezeDataset": [self.dataset, "try"],
            "closeBlock": [self.block, "Raw", 0, "try"],
            "reopenBlock": [self.block, "Raw", "try"],
            "flushBlock": [self.block, "Raw", "try"],
            "startValidation": ["Raw", self.block, [], "try"],
            "retransferFiles": ["Raw", self.block, [], [], False, "try"],
            "pauseSite": [_SITE, "", "", 0, "try"],
            "resumeSite": [_SITE, "", "", "try"],
            "doubtReplicas": [{_SITE: {self.forgotten: "try"}}],
        }


@pytest.fixture(scope="module")
def target(testbed) -> Iterator[Target]:
    from junotestbed.observe import Database

    (block,) = free_days(testbed.settings, 1)
    good, bad, forgotten = (writeFile(testbed.settings, "Raw", block, file_name("Raw", 7600, n, block)) for n in (1, 2, 3))
    # a younger one might still be on its way, and would not be looked at
    os.utime(testbed.settings.storage / SOURCE.se / "data" / forgotten.path.lstrip("/"), (0, 1_700_000_000))
    announce(testbed.settings, "juno.raw", [(block, good.announcement()), (block, bad.announcement(Checksum="xyz"))])
    query = "SELECT QuarantineID FROM Quarantine WHERE FileName = %s"
    database = Database(testbed)
    waitUntil("the bad one is refused", lambda: database.rows("RawDataDB", query, bad.file_name) != [], 90)
    waitUntil("the good one is registered", lambda: len(replicasOf([good])) == 1, 90)
    made = Target(block, database.rows("RawDataDB", query, bad.file_name)[0][0], forgotten.lfn)
    columns = "Name, Path, Type, FirstBlock, LastBlock, CreatedTime, CreatedBy"
    values = (made.dataset, "/d", "Raw", block, block, datetime.now(UTC), "prod")
    database.rows("RawDataDB", f"INSERT INTO Datasets ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s)", *values)
    yield made
    database.rows("RawDataDB", "DELETE FROM Datasets WHERE Name = %s", made.dataset)


def truth(testbed, database, target: Target) -> dict[str, object]:
    """All that a change would touch; the transfer of the good file and the life of other blocks go on meanwhile, and are none
    of it."""
    return {
        "journal": database.rows("RawDataDB", "SELECT * FROM Journal WHERE Actor <> 'BlockRepairAgent' ORDER BY JournalID"),
        "quarantine": database.rows("RawDataDB", "SELECT QuarantineID, State, ClosedBy FROM Quarantine ORDER BY 1"),
        "files": database.rows("RawDataDB", "SELECT FileID, FileName, State FROM Files ORDER BY 1"),
        "blocks": database.custody()["blocks"],
        "block": database.rows(
            "RawDataDB", "SELECT Type, State, ExpectedFiles FROM Blocks WHERE Block = %s ORDER BY 1", target.block
        ),
        "pauses": database.rows("RawDataDB", "SELECT PauseID, EndedTime FROM Pauses WHERE Actor <> 'BlockRepairAgent'"),
        "doubts": database.rows("RawDataDB", "SELECT * FROM BadReplicas"),
        "looks": database.rows("RawDataDB", "SELECT * FROM Validations WHERE Look = 'Asked'"),
        "transformations": database.rows(
            "TransformationDB",
            "SELECT TransformationID, Status FROM Transformations WHERE Description LIKE %s",
            f"%{target.block}%",
        ),
        "number of transformations": database.rows("TransformationDB", "SELECT COUNT(*) FROM Transformations"),
        "datasets": database.rows("RawDataDB", "SELECT * FROM Datasets ORDER BY Name"),
        "catalogue": database.rows("FileCatalogDB", "SELECT DatasetName, Status FROM FC_MetaDatasets ORDER BY 1"),
        "topic": {p: end for p, (_, end) in committedOffsets(testbed, "juno.raw", "junodirac-Raw").items()},
    }


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("command", sorted(Target("", 0, "").commands()))
def test_a_command_that_changes_something_is_refused_with_a_clear_word_and_changes_nothing(
    testbed, database, target, command, user
):
    before = truth(testbed, database, target)
    environment = testbed.settings.environment(testbed.server.proxy(user))
    done = subprocess.run(target.commands()[command], env=environment, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert re.search("(?i)unauthori[sz]ed|not authori[sz]ed", said), said
    assert "Traceback" not in said
    assert truth(testbed, database, target) == before


@pytest.mark.parametrize("user", USERS)
def test_every_method_that_changes_something_is_refused_and_changes_nothing(testbed, database, target, user):
    before = truth(testbed, database, target)
    environment = testbed.settings.environment(testbed.server.proxy(user))
    url = f"dips://localhost:{testbed.settings.port('RawData/RawDataManager')}/RawData/RawDataManager"
    command = [str(testbed.settings.venv / "bin/python"), "-c", CALL, json.dumps(target.calls()), url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    found = re.search("^ANSWERS (.*)$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    answers = json.loads(found[1])
    assert [name for name, (isOK, _) in answers.items() if isOK] == []
    assert {name for name, (_, message) in answers.items() if "uthori" not in message} == set(), answers
    assert truth(testbed, database, target) == before


def test_the_methods_and_commands_tried_here_are_all_that_change_something():
    sources = "\n".join(path.read_text() for path in SERVICE.glob("*.py"))
    changing = set(re.findall(r"^    auth_(\w+) = (?:MANAGERS|AGENTS)$", sources, re.MULTILINE))
    assert changing == set(Target("", 0, "").calls())
    folders = (SERVICE.parent / "scripts", SERVICE.parent / "Client/BlockVerbs")
    scripts = "\n".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    byPeople = set(re.findall(r"^    auth_(\w+) = MANAGERS$", sources, re.MULTILINE))
    assert [name for name in byPeople if f'"{name}"' not in scripts] == []
