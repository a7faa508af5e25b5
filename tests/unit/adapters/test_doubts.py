"""What failed copies say against their sources gets to the ledger once."""

from types import SimpleNamespace

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.DataManagementSystem.Agent import FTS3Agent as module
from JUNODIRAC.DataManagementSystem.private.TransferMemory import TransferMemory


def ftsFile(status, error="", attempt=1):
    return SimpleNamespace(
        fileID=1, lfn="/juno/f", targetSE="JINR", attempt=attempt, status=status, error=error,
        FTS_FAILED_STATES=("Failed", "Canceled"), FTS_SUCCESS_STATES=("Finished",),
    )  # fmt: skip


@pytest.fixture
def memory(monkeypatch):
    made = TransferMemory()
    monkeypatch.setattr(module, "transferMemory", made)
    made.chosen(ftsFile("New", attempt=0), "IHEP")
    return made


@pytest.fixture
def told(monkeypatch):
    """What the service was told; its answer is the first of ``answers``."""
    made = SimpleNamespace(calls=[], answers=[])

    def client(**_options):
        return SimpleNamespace(doubtReplicas=lambda doubts: made.calls.append(doubts) or made.answers.pop(0))

    monkeypatch.setattr(module, "RawDataManagerClient", client)
    return made


CHECKSUM = "TRANSFER [84] DESTINATION CHECKSUM MISMATCH checksums do not match"


def test_a_wrong_checksum_puts_the_source_in_doubt_once(memory, told):
    told.answers += [S_OK(1)]
    for _ in range(3):
        memory.filesEnded([ftsFile("Failed", CHECKSUM)])
        module.tellDoubts()
    assert told.calls == [{"IHEP": {"/juno/f": CHECKSUM}}]


def test_doubts_are_kept_while_the_service_is_away(memory, told):
    told.answers += [S_ERROR("away"), S_OK(1)]
    memory.filesEnded([ftsFile("Failed", CHECKSUM)])
    for _ in range(3):
        module.tellDoubts()
    assert told.calls == [{"IHEP": {"/juno/f": CHECKSUM}}] * 2


@pytest.mark.parametrize("error", ["TRANSFER [110] operation timeout", "DESTINATION [28] No space left on device"])
def test_failures_that_say_nothing_of_the_bytes_cast_no_doubt(memory, told, error):
    memory.filesEnded([ftsFile("Failed", error)])
    module.tellDoubts()
    assert told.calls == []
