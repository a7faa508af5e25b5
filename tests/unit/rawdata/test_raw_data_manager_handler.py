from __future__ import annotations

import pytest

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockStatus import LedgerBlock
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Service import RawDataManagerHandler as module
from JUNODIRAC.RawDataSystem.Service.RawDataManagerHandler import RawDataManagerHandler

MANAGER = {"username": "prod", "group": "juno_prod", "properties": ["NormalUser", "ProductionManagement"]}
SHIFTER = {"username": "shifter", "group": "juno_shifter", "properties": ["NormalUser"]}


class Ledger:
    def __init__(self) -> None:
        self.journal: list[tuple] = []

    def recordJournal(self, *line) -> None:
        self.journal.append(line)

    def countBlocks(self, blockName, typeName) -> int:
        if blockName == "away":
            raise TemporaryFailure("RawData/RawDataDB", "gone")
        return 0 if blockName == "unknown" else 1

    def readBlocks(self, blockName, typeName, limit):
        return [LedgerBlock("Raw", blockName, "", "Known", None)]

    def countQuarantine(self):
        return {}


@pytest.fixture
def makeHandler(monkeypatch):
    opened: list[Block] = []

    class Opener:
        def __init__(self, *_args) -> None:
            pass

        def open(self, block):
            opened.append(block)
            return {"Directory": block.directory, "Transfers": {"JINR-EOS": 7}, "Files": 1}

    monkeypatch.setattr(module, "loadTypePolicy", lambda typeName, vo: None)
    monkeypatch.setattr(module, "productionManager", lambda vo: None)
    monkeypatch.setattr(module, "BlockOpener", Opener)
    monkeypatch.setattr(module, "knownBlock", lambda ledger, policy, name: Block("Raw", name, "/juno/raw"))

    def make(credentials):
        handler = object.__new__(RawDataManagerHandler)  # DIRAC's constructor needs a transport
        handler.getRemoteCredentials = lambda: credentials
        handler.ledger = Ledger()
        handler.opened = opened
        return handler

    return make


def test_every_method_says_in_code_who_may_call_it_and_changes_need_production_management():
    methods = [name.removeprefix("export_") for name in vars(RawDataManagerHandler) if name.startswith("export_")]
    assert methods
    for method in methods:
        isReading = method.startswith("get")
        assert getattr(RawDataManagerHandler, f"auth_{method}") == (["authenticated"] if isReading else ["ProductionManagement"])
        assert hasattr(RawDataManagerHandler, f"types_{method}")


def test_opening_transfers_is_journalled_with_who_and_why(makeHandler):
    handler = makeHandler(MANAGER)
    result = handler.export_openTransfers("20230302", "Raw", "new site")
    assert result["OK"]
    assert result["Value"]["Transfers"] == {"JINR-EOS": 7}
    assert handler.ledger.journal == [("prod", "juno_prod", "openTransfers", "Raw/20230302", "new site")]


def test_a_caller_without_production_management_changes_nothing_even_if_the_configuration_lets_him_in(makeHandler):
    handler = makeHandler(SHIFTER)
    result = handler.export_openTransfers("20230302", "Raw", "because")
    assert not result["OK"]
    assert "ProductionManagement" in result["Message"]
    assert handler.ledger.journal == []
    assert handler.opened == []


def test_a_change_without_a_reason_is_refused(makeHandler):
    handler = makeHandler(MANAGER)
    assert "reason" in handler.export_openTransfers("20230302", "Raw", "  ")["Message"]
    assert handler.opened == []


def test_an_unknown_block_is_named_with_a_remedy(makeHandler):
    message = makeHandler(SHIFTER).export_getBlockStatus("unknown", "Raw")["Message"]
    assert message.startswith("the ledger knows no block unknown of Type Raw")
    assert "dirac-juno-block-status" in message


def test_a_failure_reaches_the_caller_in_its_own_words(makeHandler):
    message = makeHandler(SHIFTER).export_getBlockStatus("away", "")["Message"]
    assert message == "RawData/RawDataDB is not available: gone"
