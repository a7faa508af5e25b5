"""BlockTransfer: full groups at once, no tail for ever, no copy of what is there."""

from datetime import UTC, datetime, timedelta

import pytest
from DIRAC import S_OK

from JUNODIRAC.RawDataSystem.Client.PauseBook import PauseBook, SitePause
from JUNODIRAC.TransformationSystem.Agent import TransformationPlugin as pluginModule
from JUNODIRAC.TransformationSystem.Agent.TransformationPlugin import TransformationPlugin

TARGET = "JINR-EOS"


@pytest.fixture(autouse=True)
def noPauses(monkeypatch):
    """There is no service to ask."""
    monkeypatch.setattr(pluginModule, "pauseBook", PauseBook(list, dict))


class Client:
    def __init__(self):
        self.processed = []

    def setFileStatusForTransformation(self, transformationID, status, lfns):
        assert (transformationID, status) == (7, "Processed")
        self.processed += lfns
        return S_OK({})


class Manager:
    """A DataManager with the catalogue's present replicas."""

    def __init__(self, replicas=None):
        self.replicas = replicas or {}
        self.asked = []

    def getReplicas(self, lfns, getUrl):
        self.asked += lfns
        return S_OK({"Successful": {lfn: self.replicas.get(lfn, {}) for lfn in lfns}, "Failed": {}})


def run(data, agesSeconds=None, client=None, manager=None, **parameters):
    client, manager = client or Client(), manager or Manager()
    plugin = TransformationPlugin("BlockTransfer", transClient=client, dataManager=manager, fc=object())
    plugin.setParameters({"TransformationID": 7, "TargetSE": TARGET, "GroupSize": 3, "Status": "Active", **parameters})
    plugin.setInputData(data)
    now = datetime.now(UTC).replace(tzinfo=None)  # as the service gives it
    plugin.setTransformationFiles(
        [
            {"LFN": lfn, "LastUpdate": now - timedelta(seconds=(agesSeconds or {}).get(lfn, 0)), "InsertedTime": now}
            for lfn in data
        ]
    )
    result = plugin.run()
    assert result["OK"]
    return result["Value"]


def atSource(count):
    return {f"/f{number}": ["IHEP-JUNOEOS"] for number in range(count)}


def test_full_groups_go_to_the_target_at_once_and_the_rest_waits():
    tasks = run(atSource(7), MaxWaitSeconds=60)
    assert [(se, len(lfns)) for se, lfns in tasks] == [(TARGET, 3), (TARGET, 3)]


def test_a_lone_file_does_not_wait_for_others_that_do_not_come():
    assert run(atSource(1), {"/f0": 4}) == [(TARGET, ["/f0"])]
    assert run(atSource(1), {"/f0": 1}) == []
    assert run(atSource(1), {"/f0": 4}, SettleSeconds=10) == []


def test_a_tail_goes_when_its_oldest_file_has_waited():
    assert run(atSource(2), {"/f1": 61}, MaxWaitSeconds=60) == [(TARGET, ["/f1", "/f0"])]
    assert run(atSource(2), {"/f1": 50}, MaxWaitSeconds=60) == []


def test_flush_sends_the_tail():
    assert [len(lfns) for _, lfns in run(atSource(4), Status="Flush")] == [3, 1]


@pytest.mark.parametrize(("option", "other"), [("MaxWaitSeconds", "SettleSeconds"), ("SettleSeconds", "MaxWaitSeconds")])
@pytest.mark.parametrize("waitSeconds", [10, 1000])
def test_the_wait_is_that_of_the_type_unless_the_transformation_has_its_own(configuration, option, other, waitSeconds):
    options = f"{option} = {waitSeconds}\n{other} = 1000\n"
    configuration(f"Operations\n{{\nDefaults\n{{\nRawData\n{{\nTypes\n{{\nRaw\n{{\n{options}}}\n}}\n}}\n}}\n}}\n")
    assert bool(run(atSource(1), {"/f0": 100}, DataType="Raw")) == (waitSeconds == 10)
    assert run(atSource(1), {"/f0": 100}, DataType="Raw", **{option: "50"})


def test_a_file_that_the_target_has_is_processed_without_a_copy():
    client, manager = Client(), Manager({"/f0": {"IHEP-JUNOEOS": "", TARGET: ""}})
    data = {**atSource(3), "/f0": ["IHEP-JUNOEOS", TARGET]}
    tasks = run(data, client=client, manager=manager, Status="Flush")
    assert client.processed == ["/f0"]
    assert tasks == [(TARGET, ["/f1", "/f2"])]


def test_a_replica_that_only_the_cache_knows_is_copied():
    client, manager = Client(), Manager({"/f0": {"IHEP-JUNOEOS": ""}})
    tasks = run({"/f0": ["IHEP-JUNOEOS", TARGET]}, client=client, manager=manager, Status="Flush")
    assert client.processed == []
    assert tasks == [(TARGET, ["/f0"])]


def test_the_catalogue_is_not_asked_for_files_that_are_not_at_the_target():
    manager = Manager()
    run(atSource(50), manager=manager)
    assert manager.asked == []


def test_the_plugins_of_dirac_are_there_too():
    assert hasattr(TransformationPlugin, "_Broadcast")


def test_no_group_is_made_while_the_target_is_paused_but_present_files_are_processed(monkeypatch):
    pauses = [SitePause(TARGET, "no room")]
    monkeypatch.setattr(pluginModule, "pauseBook", PauseBook(lambda: list(pauses), dict))
    client, manager = Client(), Manager({"/f0": {TARGET: "pfn"}})
    data = atSource(7) | {"/f0": ["IHEP-JUNOEOS", TARGET]}
    assert run(data, client=client, manager=manager, MaxWaitSeconds=0) == []
    assert client.processed == ["/f0"]
    monkeypatch.setattr(pluginModule, "pauseBook", PauseBook(lambda: [SitePause(TARGET, "why", transformationID=8)], dict))
    assert sum(len(lfns) for _, lfns in run(atSource(7), MaxWaitSeconds=0)) == 7
    monkeypatch.setattr(pluginModule, "pauseBook", PauseBook(lambda: [SitePause(TARGET, "why", transformationID=7)], dict))
    assert run(atSource(7), MaxWaitSeconds=0) == []
