from __future__ import annotations

import pytest
from DIRAC.Core.DISET.RequestHandler import RequestHandler

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockStatus import LedgerBlock
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.QuarantineDesk import DeskOutcome
from JUNODIRAC.RawDataSystem.Service import IngestMethods, QuarantineMethods
from JUNODIRAC.RawDataSystem.Service import RawDataManagerHandler as module
from JUNODIRAC.RawDataSystem.Service import RawDataService as base
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

    def __getattr__(self, name):
        raise AssertionError(f"{name} was called")


@pytest.fixture
def makeHandler(monkeypatch):
    opened: list[Block] = []

    class Opener:
        def __init__(self, *_args) -> None:
            pass

        def open(self, block):
            opened.append(block)
            return {"Directory": block.directory, "Transfers": {"JINR-EOS": 7}, "Files": 1}

    monkeypatch.setattr(base, "loadTypePolicy", lambda typeName, vo: None)
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
    names = [name for name in dir(RawDataManagerHandler) if name.startswith("export_") and not hasattr(RequestHandler, name)]
    methods = [name.removeprefix("export_") for name in names]
    assert {"getBlockStatus", "openTransfers", "listQuarantine", "announceForgotten"} <= set(methods)
    for method in methods:
        isReading = method.startswith(("get", "list", "compare"))
        # what agents tell, with the certificate of their host
        managers = ["TrustedHost", "ProductionManagement"] if method == "doubtReplicas" else ["ProductionManagement"]
        assert getattr(RawDataManagerHandler, f"auth_{method}") == (["authenticated"] if isReading else managers)
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


CHANGES = {
    "replayQuarantined": ([1], "because", False),
    "waiveQuarantined": ([1], "because"),
    "dropQuarantined": ([1], "because"),
    "announceForgotten": ("Raw", ["/juno/raw/x.dat"], "because"),
    "closeBlock": ("20230302", "Raw", 0, "because"),
    "reopenBlock": ("20230302", "Raw", "because"),
    "flushBlock": ("20230302", "Raw", "because"),
    "startValidation": ("Raw", "20230302", [], "because"),
    "pauseSite": ("JINR-EOS", "", "", 0, "because"),
    "resumeSite": ("JINR-EOS", "", "", "because"),
    "retransferFiles": ("Raw", "20230302", [], [], False, "because"),
    "createDataset": ("week", "Raw", "20230301", "20230307", "because"),
    "freezeDataset": ("week", "because"),
}


def test_the_changing_methods_are_all_tried_below():
    managed = {name.removeprefix("auth_") for name in dir(RawDataManagerHandler) if name.startswith("auth_")}
    managed = {name for name in managed if getattr(RawDataManagerHandler, f"auth_{name}") == ["ProductionManagement"]}
    assert managed == {*CHANGES, "openTransfers"}


@pytest.mark.parametrize("method", CHANGES)
def test_no_change_of_any_kind_is_made_for_a_caller_without_the_right(makeHandler, method):
    result = getattr(makeHandler(SHIFTER), f"export_{method}")(*CHANGES[method])
    assert not result["OK"]
    assert "ProductionManagement" in result["Message"]


@pytest.mark.parametrize("method", CHANGES)
def test_no_change_of_any_kind_is_made_without_a_reason(makeHandler, method):
    arguments = [" " if argument == "because" else argument for argument in CHANGES[method]]
    assert "reason" in getattr(makeHandler(MANAGER), f"export_{method}")(*arguments)["Message"]


def test_what_was_done_and_refused_reaches_the_caller_by_id(makeHandler, monkeypatch):
    seen = []

    class Desk:
        def close(self, ids, state, action, actor):
            seen.append((ids, state.value, action, actor.name, actor.group, actor.reason))
            return DeskOutcome([1], {2: "no"})

    monkeypatch.setattr(QuarantineMethods.QuarantineMethods, "_desk", lambda self: Desk())
    result = makeHandler(MANAGER).export_waiveQuarantined([1, 2], " lost ")
    assert result["Value"] == {"Done": [1], "Refused": [{"ID": 2, "Why": "no"}]}
    assert seen == [([1, 2], "Waived", "waiveQuarantined", "prod", "juno_prod", "lost")]


@pytest.mark.parametrize("numbers", [list(range(1001)), ["1; DROP TABLE"]])
def test_a_list_of_ids_has_a_limit_and_holds_numbers(makeHandler, numbers):
    assert "record numbers" in makeHandler(MANAGER).export_dropQuarantined(numbers, "because")["Message"]


@pytest.mark.parametrize("selection", [{}, {"Block": "a", "Run": 1}, {"Days": 0}])
def test_gaps_are_looked_for_by_exactly_one_choice(makeHandler, selection):
    assert not makeHandler(SHIFTER).export_getGaps(selection)["OK"]


def test_a_type_that_is_badly_configured_does_not_hide_the_others(makeHandler, monkeypatch):
    monkeypatch.setattr(base, "loadEachTypePolicy", lambda vo: ({"Raw": None}, {"Bad": "Types/Bad: no Topic"}))
    monkeypatch.setattr(IngestMethods.IngestStatus, "look", lambda self, policies, days: {"Types": sorted(policies)})
    answer = makeHandler(SHIFTER).export_getIngestStatus("", 7)["Value"]
    assert answer == {"Types": ["Raw"], "Unavailable": ["Types/Bad: no Topic"]}
