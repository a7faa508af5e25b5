"""The FTS3 plugin as DIRAC loads and calls it: the configuration's rules decide, and what went wrong is remembered."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from DIRAC import S_ERROR, S_OK
from DIRAC.Core.Utilities.TimeUtilities import DiracTime
from DIRAC.DataManagementSystem.Agent import FTS3Agent as diracAgentModule
from DIRAC.DataManagementSystem.Client.FTS3File import FTS3File
from DIRAC.DataManagementSystem.Client.FTS3Job import FTS3Job
from DIRAC.DataManagementSystem.private import FTS3Utilities

from JUNODIRAC.DataManagementSystem.Agent.FTS3Agent import FTS3Agent
from JUNODIRAC.DataManagementSystem.private import TransferMemory as memoryModule
from JUNODIRAC.DataManagementSystem.private.FTS3Plugins import JUNOFTS3Plugin as pluginModule
from JUNODIRAC.RawDataSystem.Client.PauseBook import PauseBook, SitePause

pytestmark = pytest.mark.unit

FRAGMENT = (Path(__file__).parents[3] / "etc/rawdata-operations.cfg").read_text()
LFN = "/juno/raw/2023/0302/Daq.1.Phy.main.tag.20230302101010.0001.dat"
RTRAW = "/juno/rtraw/2023/0302/RTRaw.1.Phy.main.tag.20230302101010.0001.rtraw"
ALL = ("IHEP-JUNOEOS", "CNAF-STORM", "IN2P3-DCACHE")
TARGET = "JINR-EOS"


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """A memory of the test's own."""
    made = memoryModule.TransferMemory()
    monkeypatch.setattr(pluginModule, "transferMemory", made)
    monkeypatch.setattr("JUNODIRAC.DataManagementSystem.Agent.FTS3Agent.transferMemory", made)
    return made


@pytest.fixture(autouse=True)
def book(monkeypatch):
    """Pauses and bad replicas; changed by the test."""
    said: dict[str, list] = {"pauses": [], "bad": []}

    def ask(what):
        return lambda: dict(said[what]) if what == "bad" else list(said[what])

    made = PauseBook(ask("pauses"), ask("bad"))
    made._pauses._validSeconds = made._bad._validSeconds = 0
    monkeypatch.setattr(pluginModule, "pauseBook", made)
    return said


@pytest.fixture
def statusOf(monkeypatch):
    """Status of storage elements, as RSS has them; changed by the test."""
    found: dict[str, dict[str, bool]] = {}

    class Storage:
        def __init__(self, name, vo=None):
            self.name = name

        def status(self):
            return found.get(self.name, {"Read": True, "Write": True})

    monkeypatch.setattr(pluginModule, "StorageElement", Storage)
    return found


@pytest.fixture
def plugin(configuration, statusOf):
    """Loads the shipped fragment with changed lines, and gives the plugin as DIRAC's factory makes it."""

    def load(**options: str):
        text = FRAGMENT
        options = {"RetryWaitScale": "0"} | options
        for option, value in options.items():
            preference = option.startswith("Preferences_")
            if preference:
                line = f"        Preferences\n        {{\n          {option[12:].replace('_', '-')} = {value}"
                text = text.replace("        Preferences\n        {", line)
            else:
                before, found, after = text.partition(f"\n        {option} =")
                assert found, option
                text = f"{before}{found} {value}\n{after.partition(chr(10))[2]}"
        configuration(text)
        return FTS3Utilities.getFTS3Plugin()

    return load


def ftsFile(lfn: str = LFN, fileID: int = 1, ageSeconds: float = 0, **attributes) -> FTS3File:
    made = FTS3File()
    made.lfn, made.fileID, made.targetSE = lfn, fileID, TARGET
    made.lastUpdate = DiracTime.utcnow() - timedelta(seconds=ageSeconds)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def choices(plugin, file: FTS3File | None = None, storages=ALL, allowed=None) -> set[str]:
    return {plugin.selectSourceSE(file or ftsFile(fileID=1), dict.fromkeys(storages, True), allowed) for _ in range(40)}


RELAY = {"RelaySE": "CNAF-STORM", "RelayFor": TARGET, "RelayPatienceSeconds": "600"}


def test_dirac_loads_the_plugin_that_the_shipped_fragment_names(plugin):
    assert isinstance(plugin(), pluginModule.JUNOFTS3Plugin)


def test_without_rules_any_source_is_taken_but_never_the_target(plugin):
    made = plugin()
    assert choices(made) == set(ALL)
    assert choices(made, storages=(TARGET, "CNAF-STORM")) == {"CNAF-STORM"}
    with pytest.raises(ValueError, match="No valid replicas"):
        choices(made, storages=(TARGET,))


def test_the_preferred_source_is_taken_and_the_next_where_it_is_not_among_the_active_replicas(plugin):
    made = plugin(Preferences_JINR_EOS="CNAF-STORM, IN2P3-DCACHE")
    assert choices(made) == {"CNAF-STORM"}
    assert choices(made, storages=("IHEP-JUNOEOS", "IN2P3-DCACHE")) == {"IN2P3-DCACHE"}
    assert choices(made, storages=("IHEP-JUNOEOS",)) == {"IHEP-JUNOEOS"}


def test_the_sources_of_the_request_are_respected(plugin):
    made = plugin(Preferences_JINR_EOS="CNAF-STORM")
    assert choices(made, allowed=["IHEP-JUNOEOS", "IN2P3-DCACHE"]) == {"IHEP-JUNOEOS", "IN2P3-DCACHE"}
    with pytest.raises(ValueError, match="No valid replicas"):
        choices(made, allowed=["JINR-EOS"])


def test_a_bad_source_is_left_by_every_destination_and_a_failed_one_by_its_own(plugin):
    made = plugin(Preferences_Default="CNAF-STORM")
    assert choices(made) == {"CNAF-STORM"}
    failed = ftsFile(status="Failed", attempt=1, error="TRANSFER [84] CheckSum error")
    assert choices(made, failed) == {"IHEP-JUNOEOS", "IN2P3-DCACHE"}
    assert choices(made, ftsFile(fileID=5)) == {"IHEP-JUNOEOS", "IN2P3-DCACHE"}
    assert choices(made, ftsFile(fileID=2, targetSE="IN2P3-DCACHE")) == {"IHEP-JUNOEOS"}
    assert choices(made, ftsFile(LFN + "x", fileID=3)) == {"CNAF-STORM"}


def test_a_source_of_wrong_bytes_is_not_used_again_although_dirac_gave_the_file_up_at_once(plugin, monkeypatch):
    """As FTS3 answers: a wrong checksum is final. The next request is another FTS3 file."""
    monkeypatch.setattr(diracAgentModule.FTS3Agent, "_treatOperation", lambda _self, operation: (operation, S_OK()))
    made = plugin(Preferences_Default="CNAF-STORM")
    files = [ftsFile(fileID=1), ftsFile(LFN + "x", fileID=2)]
    for file in files:
        assert choices(made, file) == {"CNAF-STORM"}
    files[0].status, files[0].attempt, files[0].error = "Defunct", 1, "DESTINATION [5] CHECKSUM MISMATCH"
    files[1].status, files[1].attempt = "Finished", 1
    operation = type("Operation", (), {"ftsFiles": files})()
    assert FTS3Agent.__new__(FTS3Agent)._treatOperation(operation) == (operation, S_OK())
    assert "CNAF-STORM" not in choices(made, ftsFile(fileID=3))
    assert choices(made, ftsFile(LFN + "x", fileID=4)) == {"CNAF-STORM"}


def test_what_was_learned_outlives_a_change_of_the_configuration(plugin):
    assert choices(plugin(Preferences_Default="CNAF-STORM")) == {"CNAF-STORM"}
    failed = ftsFile(status="Failed", attempt=1, error="TRANSFER [110] timeout")
    assert "CNAF-STORM" not in choices(plugin(Preferences_Default="CNAF-STORM"), failed)


# ---- the record of links


def test_a_link_on_which_jobs_failed_is_left_for_one_that_works(plugin, monkeypatch):
    """As the agent sees jobs end, through DIRAC's own monitoring of a job."""

    def monitor(self, **_more):
        self.status = "Failed"
        state = "FINISHED" if self.sourceOfServer == "CNAF-STORM" else "FAILED"
        files = [{"file_state": state, "filesize": 1, "tx_duration": 1}] * 5
        self._fillAccountingDicts({"files": files, "job_metadata": {"sourceSE": self.sourceOfServer, "targetSE": TARGET}})
        return S_OK({})

    monkeypatch.setattr(FTS3Job, "monitor", monitor)
    agent = FTS3Agent.__new__(FTS3Agent)
    agent.getFTS3Context = lambda *_args, **_more: S_OK("context")
    agent.fts3db = type("DB", (), {"updateFileStatus": lambda *_a, **_m: S_OK(), "updateJobStatus": lambda *_a: S_OK()})()
    agent.dataOpSender = type("Sender", (), {"sendData": lambda *_args, **_more: S_OK()})()
    for source in ALL[:2]:
        job = FTS3Job()
        job.jobID, job.sourceOfServer = 1, source
        job.submitTime = job.lastUpdate = DiracTime.utcnow()
        assert agent._monitorJob(job)[1]["OK"]
    made = plugin()
    assert choices(made, storages=ALL[:2]) == {"CNAF-STORM"}
    assert choices(made, ftsFile(targetSE="elsewhere"), storages=ALL[:2]) == set(ALL[:2])


def test_a_job_that_could_not_be_looked_at_says_nothing_of_its_link(monkeypatch, memory):
    agent = FTS3Agent.__new__(FTS3Agent)
    answer = ("job", S_ERROR("no context"))
    monkeypatch.setattr(diracAgentModule.FTS3Agent, "_monitorJob", lambda _self, _job: answer)
    fromDatabase = FTS3Job.__new__(FTS3Job)  # SQLAlchemy does not call __init__
    assert agent._monitorJob(fromDatabase) == answer
    assert not memory._records._links


# ---- the relay


def test_a_file_waits_for_the_relay_and_takes_its_copy(plugin):
    made = plugin(**RELAY)
    with pytest.raises(ValueError, match="Waits for the copy at CNAF-STORM"):
        choices(made, storages=("IHEP-JUNOEOS",))
    assert choices(made) == {"CNAF-STORM"}
    assert choices(made, ftsFile(targetSE="IN2P3-DCACHE"), storages=("IHEP-JUNOEOS",)) == {"IHEP-JUNOEOS"}


@pytest.mark.parametrize(
    "changes",
    [
        {"ageSeconds": 601},
        {"ageSeconds": -100},
        {"attempt": 1},
        {"lastUpdate": None},
        {"lfn": "/juno/other/file"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_file_does_not_wait_beyond_the_patience_after_an_attempt_or_without_a_copy_to_wait_for(plugin, changes):
    assert choices(plugin(**RELAY), ftsFile(**changes), storages=("IHEP-JUNOEOS",)) == {"IHEP-JUNOEOS"}


def test_a_file_does_not_wait_for_a_relay_that_its_type_does_not_send_to(plugin):
    made = plugin(**RELAY | {"RelaySE": "ELSEWHERE"})
    assert choices(made, storages=("IHEP-JUNOEOS",)) == {"IHEP-JUNOEOS"}


@pytest.mark.parametrize("status", [{"Read": False, "Write": True}, {"Read": True, "Write": False}, {}])
def test_a_file_does_not_wait_for_a_relay_that_is_banned(plugin, statusOf, status):
    statusOf["CNAF-STORM"] = status
    assert choices(plugin(**RELAY), storages=("IHEP-JUNOEOS",)) == {"IHEP-JUNOEOS"}


def test_a_file_does_not_wait_for_a_relay_that_its_request_does_not_allow(plugin):
    made = plugin(**RELAY)
    assert choices(made, storages=("IHEP-JUNOEOS",), allowed=["IHEP-JUNOEOS"]) == {"IHEP-JUNOEOS"}
    with pytest.raises(ValueError, match="Waits"):
        choices(made, storages=("IHEP-JUNOEOS",), allowed=["IHEP-JUNOEOS", "CNAF-STORM"])


def test_rules_that_cannot_be_used_stop_no_copy(plugin):
    assert choices(plugin(RelayFor=TARGET)) == set(ALL)
    assert choices(plugin(RelayPatienceSeconds="soon")) == set(ALL)


# ---- activity and priority


class Operation:
    def __init__(self, lfn: str, priority: int | None = None):
        self.ftsFiles, self.priority = [ftsFile(lfn)] if lfn else [], priority


@pytest.mark.parametrize(
    ("lfn", "given", "activity", "priority"),
    [
        (LFN, None, "Data Consolidation", 5),
        (LFN, 1, "Data Consolidation", 1),
        (RTRAW, None, None, 3),
        ("/juno/other/file", None, None, None),
        ("", None, None, None),
    ],
)
def test_activity_and_priority_are_those_of_the_files_type(configuration, lfn, given, activity, priority):
    changed = FRAGMENT.replace("FTSActivity =", "FTSActivity = Data Consolidation", 1)
    configuration(changed.replace("FTSPriority = 3", "FTSPriority = 5", 1))
    operation = Operation(lfn, given)
    assert FTS3Utilities.getFTS3Plugin().inferFTSActivity(operation, None, None) == activity
    assert operation.priority == priority


def test_a_type_that_is_configured_badly_takes_nothing_from_the_others(configuration):
    configuration(FRAGMENT.replace("FTSPriority = 3", "FTSPriority = 9", 1))
    made = FTS3Utilities.getFTS3Plugin()
    raw, rtraw = Operation(LFN), Operation(RTRAW)
    made.inferFTSActivity(raw, None, None)
    made.inferFTSActivity(rtraw, None, None)
    assert (raw.priority, rtraw.priority) == (None, 3)


# ---- pauses, bad replicas, failures


def test_nothing_is_copied_to_a_paused_site_and_elsewhere_everything(plugin, book):
    made = plugin()
    book["pauses"] = [SitePause("CNAF-STORM", "no room")]
    assert choices(made) == set(ALL)
    book["pauses"] = [SitePause(TARGET, "no room")]
    with pytest.raises(ValueError, match="JINR-EOS is paused: no room"):
        choices(made)
    book["pauses"] = []
    assert choices(made) == set(ALL)


def test_a_pause_of_one_block_stops_its_files_alone(plugin, book):
    made = plugin()
    book["pauses"] = [SitePause(TARGET, "why", transformationID=5, directories=("/juno/raw/2023/0302",))]
    with pytest.raises(ValueError, match="paused"):
        choices(made)
    assert choices(made, file=ftsFile(lfn=RTRAW)) == set(ALL)


def test_a_bad_replica_is_never_a_source_and_without_another_there_is_none(plugin, book):
    made = plugin(Preferences_Default="CNAF-STORM")
    book["bad"] = [(LFN, ["CNAF-STORM"])]
    assert choices(made) == {"IHEP-JUNOEOS", "IN2P3-DCACHE"}
    with pytest.raises(ValueError, match=r"\['CNAF-STORM'\] are known to be bad"):
        choices(made, storages=("CNAF-STORM",))


def test_a_file_that_failed_just_now_waits_and_longer_after_each_attempt(plugin):
    made = plugin(RetryWaitScale="1.0")
    error = "TRANSFER [110] Connection timed out"  # 30 s, 60 s, 120 s ...
    failed = {"status": "Failed", "error": error}
    with pytest.raises(ValueError, match="Waits 30 s after attempt 1"):
        choices(made, file=ftsFile(ageSeconds=25, attempt=1, **failed))
    assert choices(made, file=ftsFile(ageSeconds=35, attempt=1, **failed)) <= set(ALL)
    with pytest.raises(ValueError, match="Waits 120 s after attempt 3"):
        choices(made, file=ftsFile(ageSeconds=100, attempt=3, **failed))
    assert choices(made, file=ftsFile(ageSeconds=0)) == set(ALL)
