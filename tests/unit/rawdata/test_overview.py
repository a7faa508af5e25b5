from __future__ import annotations

from datetime import UTC, datetime

from JUNODIRAC.Core.Domain.BlockStatus import DirectoryUsage, LedgerBlock, TransferState, Usage
from JUNODIRAC.Core.Domain.FileHistory import CatalogueRecord, Event, LedgerFile
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.Overview import Overview

T0 = datetime(2023, 3, 2, 12, tzinfo=UTC)
LFN = "/juno/raw/Daq.1.dat"
FILE = LedgerFile(
    LFN,
    "Raw",
    "20230302",
    FileState.REGISTERED,
    1,
    "0a1b2c3d",
    None,
    {},
    "juno.raw",
    0,
    4,
    T0,
    T0,
    {"JINR-EOS": 7, "CNAF-STORM": 8},
)
BLOCKS = [LedgerBlock("Raw", name, f"/juno/{name}", "Open", None, transfers={"JINR-EOS": 7}) for name in ("a", "b", "c")]


class Monitor:
    """DIRAC's services; those named in ``down`` do not answer."""

    def __init__(self, *down: str) -> None:
        self.down = down
        self.calls: list[str] = []

    def __getattr__(self, name):
        def call(*args):
            self.calls.append(name)
            if name in self.down:
                raise TemporaryFailure(name, "connection refused")
            return self.answer(name, args)

        return call

    def answer(self, name, args):
        row = {"TransformationID": 7, "Status": "Assigned", "TaskID": 3}
        task = {**row, "ExternalStatus": "Waiting", "ExternalID": "41", "TargetSE": "JINR-EOS"}
        return {
            "blockUsages": {"/juno/a": DirectoryUsage(Usage(1, 1))},
            "transferStates": {7: TransferState("Active")},
            "catalogueRecord": CatalogueRecord(1, "0a1b2c3d", "AprioriGood", T0, {"IHEP-JUNOEOS": "root://x"}),
            "transferFiles": [row],
            "tasks": [task],
            "requestEvents": ([Event(T0, "request", f"request {args[0]}")], [55]),
            "ftsEvents": [Event(T0, "FTS3", f"operation {args[0]}")],
        }[name]


def test_all_blocks_cost_one_call_to_each_service():
    monitor = Monitor()
    assert len(Overview(monitor).blockStatus(BLOCKS)) == 3
    assert monitor.calls == ["blockUsages", "transferStates"]


def test_blocks_are_shown_with_what_is_known_when_a_service_is_away():
    overview = Overview(Monitor("transferStates"))
    first = overview.blockStatus(BLOCKS)[0]
    assert first.catalogued == Usage(1, 1)
    assert first.sites[0].transfer is None
    assert overview.unavailable == ["transferStates is not available: connection refused"]


def test_a_history_follows_the_file_from_the_ledger_to_the_fts_job():
    overview = Overview(Monitor())
    events = overview.fileHistory(LFN, FILE, ())
    assert {event.source for event in events} == {"ledger", "catalogue", "transformation", "task", "request", "FTS3"}
    assert any("operation 55" in event.what for event in events)
    assert any("not attached to transformation 8" in event.what for event in events)
    assert overview.unavailable == []


def test_a_history_names_every_service_that_is_away_and_shows_the_rest():
    overview = Overview(Monitor("catalogueRecord", "ftsEvents"))
    events = overview.fileHistory(LFN, FILE, ())
    assert {event.source for event in events} == {"ledger", "transformation", "task", "request"}
    assert [text.split()[0] for text in overview.unavailable] == ["catalogueRecord", "ftsEvents"]
