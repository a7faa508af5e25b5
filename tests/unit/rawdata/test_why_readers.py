"""What is gathered for an explanation: everything that answers, and the names of those that do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.BlockStatus import DirectoryUsage, LedgerBlock, TransferState, Usage
from JUNODIRAC.Core.Domain.Explanation import LinkState
from JUNODIRAC.Core.Domain.FileHistory import CatalogueRecord, LedgerFile, QuarantineRecord
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.Core.Domain.RepairRecords import Pause, RepairRecord, RepairState
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Explain import explainFile
from JUNODIRAC.Core.Logic.ExplainBlock import explainBlock
from JUNODIRAC.Core.Logic.Ports import StoredFile, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.BlockOpener import UnknownBlock
from JUNODIRAC.RawDataSystem.Client.TransferFactsReader import Clients
from JUNODIRAC.RawDataSystem.Client.WhyBlock import SeveralTypes, WhyBlock
from JUNODIRAC.RawDataSystem.Client.WhyFile import UnknownFile, WhyFile, WrongSite
from JUNODIRAC.RawDataSystem.Client.WhySources import WhySources

pytestmark = pytest.mark.unit

SE = "CNAF-STORM"
THEN = datetime(2023, 3, 2, 12, tzinfo=UTC)
NOW = datetime(2023, 3, 2, 12, 1, tzinfo=UTC)
NAIVE = THEN.replace(tzinfo=None)
POLICY = TypePolicy.fromOptions(
    "Raw",
    {
        "Topic": "juno.raw",
        "SourceSE": "IHEP-JUNOEOS",
        "Destinations": f"{SE}, JINR-EOS",
        "Campaign": "Test",
        "EOSRoot": "/eos",
        "NamePattern": "{RunNumber:d}.dat",
        "DirectoryPattern": "/juno/raw/{Year:4}/{MonthDay:4}",
        "BlockRule": "{Year}{MonthDay}",
    },
)
DIRECTORY = "/juno/raw/2023/0302"
LFNS = [f"{DIRECTORY}/{number}.dat" for number in range(1, 5)]
LFN = LFNS[0]
FILE = LedgerFile(LFN, "Raw", "20230302", FileState.REGISTERED, 10, "0000000a", None, {}, "juno.raw", 0, 4, THEN, THEN, {SE: 7})
SITE = LivingSite(SE, 7, BlockState.OPEN, THEN)
BLOCK = LivingBlock(1, "Raw", "20230302", DIRECTORY, BlockState.OPEN, THEN, (SITE,), openedTime=THEN)
SHOWN = LedgerBlock("Raw", "20230302", DIRECTORY, "Open", THEN, {FileState.REGISTERED: 4}, {}, {SE: 7})
RECORD = CatalogueRecord(10, "0000000a", "AprioriGood", THEN, {"IHEP-JUNOEOS": "root://x"})


class Ledger:
    """The ledger, with answers that a test replaces."""

    def __init__(self, **answers):
        self.answers = {
            "readFile": FILE,
            "readBlocks": [SHOWN],
            "readBlockID": 1,
            "readLivingBlocksByID": [BLOCK],
            "readReceivers": [],
            "readWaitingOf": None,
            "readQuarantineByName": (),
            "readRepairs": {},
            "listRepairs": {},
            "readPauses": [],
            "newestValidations": {},
            "announcedTimes": (THEN, None),
            "readDirectories": [DIRECTORY],
            "readQuarantineList": [],
            "countQuarantineList": {},
            "readRegistered": LFNS,
            "firstSamples": {},
            **answers,
        }

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.answers[name]


class Services:
    """DIRAC's services; the methods in ``down`` do not answer."""

    def __init__(self, *down, statuses=None, replicas=()):
        self.down = down
        self.statuses = statuses if statuses is not None else {LFN: "Assigned"}
        self.there = set(replicas)

    def __getattribute__(self, name):
        if name.startswith(("get", "peek")) and name in object.__getattribute__(self, "down"):
            return lambda *args, **kwargs: S_ERROR("Can't connect to it: connection refused")
        return object.__getattribute__(self, name)

    def getTransformationFiles(self, condDict, columns=None):
        rows = [
            {"LFN": lfn, "Status": status, "LastUpdate": NAIVE, "ErrorCount": 0, "TaskID": 3 if status != "Unused" else 0}
            for lfn, status in self.statuses.items()
        ]
        wanted = [row for row in rows if row["LFN"] in condDict.get("LFN", self.statuses)]
        return S_OK([row for row in wanted if row["Status"] in condDict.get("Status", row["Status"])])

    def getTransformationTasks(self, condDict):
        row = {"TaskID": 3, "ExternalStatus": "Submitted", "ExternalID": "41", "LastUpdateTime": NAIVE}
        return S_OK([row] if 3 in condDict["TaskID"] else [])

    def getBulkRequestStatus(self, wanted):
        return S_OK(dict.fromkeys(wanted, "Scheduled"))

    def peekRequest(self, _):
        files = [SimpleNamespace(LFN=lfn, Status="Scheduled", Error="") for lfn in self.statuses]

        class Many(list):
            OperationID, Error, LastUpdate = 55, "", NAIVE

        return S_OK(Many([Many(files)]))

    def getOperationsFromRMSOpID(self, _):
        files = [
            SimpleNamespace(lfn=lfn, status="Active", ftsGUID="a-b", attempt=1, lastUpdate=NAIVE, error="")
            for lfn in self.statuses
        ]
        return S_OK([SimpleNamespace(ftsJobs=[SimpleNamespace(ftsGUID="a-b", ftsServer="https://fts")], ftsFiles=files)])

    def getReplicas(self, lfns, allStatus):
        return S_OK({"Successful": {lfn: {SE: "x"} if lfn in self.there else {} for lfn in lfns}, "Failed": {}})


class Monitor:
    def __init__(self, services, done=0):
        self.services = services
        self.done = done

    def _answer(self, method, component, value):
        if method in self.services.down:
            raise TemporaryFailure(component, "connection refused")
        return value

    def transferStates(self, numbers):
        counts = {}
        for status in self.services.statuses.values():
            counts[status] = counts.get(status, 0) + 1
        states = {number: TransferState("Active", counts) for number in numbers}
        return self._answer("getTransformationFiles", "Transformation/TransformationManager", states)

    def blockUsages(self, blocks):
        usage = DirectoryUsage(Usage(4, 40), {SE: Usage(self.done, 10 * self.done)})
        usages = {block.place: usage for block in blocks}
        return self._answer("getReplicas", "DataManagement/FileCatalog", usages)

    def catalogueRecord(self, _):
        return self._answer("getReplicas", "DataManagement/FileCatalog", RECORD)


class Storage:
    def __init__(self, stored=None):
        self.stored = stored

    def look(self, lfns, withChecksum=()):
        if self.stored is None:
            raise TemporaryFailure("storage", "connection refused")
        return dict.fromkeys(lfns, self.stored)


def sourcesOf(ledger=None, services=None, storage=None, done=0, lag=0):
    services = services or Services()

    def lagOf(_):
        if lag is None:
            raise TemporaryFailure("Kafka at x", "no broker answers")
        return {"Lag": lag}

    clients = Clients(services, services, services, services)
    found = storage or Storage(StoredFile(None))
    return WhySources(ledger or Ledger(), Monitor(services, done), clients, lambda _: found, lagOf)


def explainedFile(sources, se=SE):
    reader = WhyFile(sources, {"Raw": POLICY}, NOW)
    origin = reader.origin(LFN)
    return explainFile(origin, reader.sites(origin, se), NOW)


def explainedBlock(sources, se=SE):
    return explainBlock(WhyBlock(sources, {"Raw": POLICY}, NOW).facts("20230302", "Raw", se), NOW)


# ---- files


def test_a_file_is_followed_through_all_services_to_the_storage():
    verdict = explainedFile(sourcesOf()).verdict
    assert verdict.link.code == "Copying"
    assert verdict.link.ids["JobID"] == "a-b"


def test_a_file_that_arrived_is_asked_of_the_storage():
    services = Services(statuses={LFN: "Processed"}, replicas=[LFN])
    assert (
        explainedFile(sourcesOf(services=services, storage=Storage(StoredFile(10, "0000000a")))).verdict.link.code == "AllRight"
    )
    assert explainedFile(sourcesOf(services=services, storage=Storage(StoredFile(None)))).verdict.link.code == "CopyMissing"
    away = sourcesOf(services=services, storage=Storage())
    verdict = explainedFile(away).verdict
    assert (verdict.state, verdict.link.code) == (LinkState.UNKNOWN, "StorageDown")
    assert away.unavailable == {f"storage {SE}": "connection refused"}


@pytest.mark.parametrize(
    ("method", "service"),
    [
        ("getTransformationFiles", "Transformation/TransformationManager"),
        ("getTransformationTasks", "Transformation/TransformationManager"),
        ("getBulkRequestStatus", "RequestManagement/ReqManager"),
        ("peekRequest", "RequestManagement/ReqManager"),
        ("getOperationsFromRMSOpID", "DataManagement/FTS3Manager"),
        ("getReplicas", "DataManagement/FileCatalog"),
    ],
)
def test_a_service_that_is_away_is_named_and_the_other_links_are_there(method, service):
    sources = sourcesOf(services=Services(method))
    explanation = explainedFile(sources)
    assert explanation.verdict.state is LinkState.UNKNOWN
    assert service in explanation.verdict.link.text
    assert service in sources.unavailable
    assert len(explanation.sites[0].links) > 5
    assert explanation.shared.links[0].state is LinkState.HOLDS


def test_a_file_that_the_ledger_does_not_know_is_looked_for_on_the_source_and_in_kafka():
    ledger = Ledger(readFile=None)
    lies = sourcesOf(ledger, storage=Storage(StoredFile(10)))
    verdict = explainedFile(lies).verdict
    assert verdict.link.code == "NeverAnnounced"
    assert "--block 20230302 --type Raw" in verdict.link.action.command
    assert explainedFile(sourcesOf(ledger)).verdict.link.code == "NeverWritten"
    assert explainedFile(sourcesOf(ledger, lag=5)).verdict.link.code == "ReceiverTrouble"
    silent = explainedFile(sourcesOf(ledger, lag=None)).verdict
    assert (silent.link.code, silent.state) == ("KafkaUnknown", LinkState.UNKNOWN)
    assert "no broker answers" in silent.link.text


def test_a_name_that_no_type_has_is_not_looked_for_unless_it_was_refused():
    reader = WhyFile(sourcesOf(Ledger(readFile=None)), {"Raw": POLICY}, NOW)
    with pytest.raises(UnknownFile, match="no Type's files are called so"):
        reader.origin("/juno/other/a.dat")
    record = QuarantineRecord("Raw", "a.dat", "BadName", "no", "juno.raw", 0, 1, b"", "", None, THEN, 5)
    reader = WhyFile(sourcesOf(Ledger(readFile=None, readQuarantineByName=(record,))), {"Raw": POLICY}, NOW)
    assert explainFile(reader.origin("/juno/other/a.dat"), (), NOW).verdict.link.code == "Quarantined"


def test_a_pause_of_the_site_and_a_given_up_file_are_known():
    pause = Pause(1, SE, 0, THEN, None, "zhang", "work")
    paused = sourcesOf(Ledger(readPauses=[replace(pause, se="JINR-EOS"), pause]), Services(statuses={LFN: "Unused"}))
    assert explainedFile(paused).verdict.link.code == "SitePaused"
    record = RepairRecord(1, SE, 9, RepairState.GIVEN_UP, "x", "GiveUp", "Timeout", "timed out", 10, THEN, THEN)
    assert explainedFile(sourcesOf(Ledger(readRepairs={LFN: record}))).verdict.link.code == "GivenUp"


def test_sites_without_a_transfer_are_told_and_others_are_refused():
    assert {chain.se for chain in explainedFile(sourcesOf(), "").sites} == {SE, "JINR-EOS"}
    with pytest.raises(WrongSite, match="CNAF-STORM, JINR-EOS"):
        explainedFile(sourcesOf(), "MSU")


# ---- blocks


def test_the_unfinished_files_of_a_block_are_looked_at():
    services = Services(
        statuses={LFNS[0]: "Processed", LFNS[1]: "Assigned", LFNS[2]: "Unused", LFNS[3]: "Unused"}, replicas=LFNS[:1]
    )
    chain = explainedBlock(sourcesOf(services=services, done=1)).sites[0]
    assert {(each.code, each.files) for each in chain.standings} == {("WaitsForGroup", 2), ("Copying", 1)}
    assert chain.example in LFNS[2:]
    assert "1 of 4 files" in chain.verdict.link.text


def test_files_that_are_not_attached_or_lost_their_replica_are_found():
    missing = Services(statuses=dict.fromkeys(LFNS[:3], "Processed"), replicas=LFNS[:3])
    chain = explainedBlock(sourcesOf(services=missing, done=3)).sites[0]
    assert (chain.example, chain.standings[0].code) == (LFNS[3], "NotAttached")
    lost = Services(statuses=dict.fromkeys(LFNS, "Processed"), replicas=LFNS[:2])
    chain = explainedBlock(sourcesOf(services=lost, done=2)).sites[0]
    assert {(each.code, each.files) for each in chain.standings} == {("ReplicaGone", 2)}


def test_a_block_whose_files_are_all_there_asks_for_no_file():
    services = Services("peekRequest", statuses=dict.fromkeys(LFNS, "Processed"), replicas=LFNS)
    sources = sourcesOf(services=services, done=4)
    assert explainedBlock(sources).sites[0].standings == ()
    assert sources.unavailable == {}


def test_given_up_files_are_grouped_and_quarantined_ones_have_their_newest_record():
    def record(errorClass, error):
        return RepairRecord(1, SE, 9, RepairState.GIVEN_UP, "x", "GiveUp", errorClass, error, 10, THEN, THEN)

    repairs = {SE: {LFNS[0]: record("Timeout", ""), LFNS[1]: record("Timeout", "timed out"), LFNS[2]: record("Banned", "no")}}
    refused = QuarantineRecord("Raw", "5.dat", "ZeroSize", "empty", "juno.raw", 0, 1, b"", "", None, THEN, 5, block="20230302")
    shown = replace(SHOWN, fileCounts={FileState.REGISTERED: 4, FileState.QUARANTINED: 2})
    ledger = Ledger(listRepairs=repairs, readBlocks=[shown], readQuarantineList=[refused], countQuarantineList={"ZeroSize": 2})
    facts = WhyBlock(sourcesOf(ledger), {"Raw": POLICY}, NOW).facts("20230302", "Raw", SE)
    assert [(each.errorClass, each.files, each.error) for each in facts.sites[0].givenUp] == [
        ("Banned", 1, "no"),
        ("Timeout", 2, "timed out"),
    ]
    assert [(each.reason, each.files) for each in facts.refused] == [("ZeroSize", 2)]


@pytest.mark.parametrize("method", ["getTransformationFiles", "getReplicas"])
def test_a_block_is_explained_as_far_as_services_answer(method):
    sources = sourcesOf(services=Services(method))
    explanation = explainedBlock(sources)
    assert explanation.verdict.state is LinkState.UNKNOWN
    assert len(sources.unavailable) == 1


def test_blocks_that_are_not_known_or_not_one_are_refused():
    with pytest.raises(UnknownBlock):
        explainedBlock(sourcesOf(Ledger(readBlocks=[])))
    with pytest.raises(SeveralTypes, match="RTRaw, Raw"):
        explainedBlock(sourcesOf(Ledger(readBlocks=[SHOWN, replace(SHOWN, typeName="RTRaw")])))


def test_the_time_to_go_comes_from_the_recent_rate():
    services = Services(statuses={LFNS[0]: "Processed", **dict.fromkeys(LFNS[1:], "Unused")}, replicas=LFNS[:1])
    facts = WhyBlock(sourcesOf(services=services, done=1), {"Raw": POLICY}, NOW).facts("20230302", "Raw", SE)
    assert facts.sites[0].etaSeconds == 180.0
