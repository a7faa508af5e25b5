"""Block transfers: one transformation for each, whatever happened before."""

import errno

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal
from JUNODIRAC.RawDataSystem.Client.TransformationTransfers import TransformationTransfers

BLOCK = Block("Raw", "20230302", "/juno/raw/2023/0302")
NAME = "Commissioning-20230302-JINR-EOS"


class FakeTS:
    """A TransformationManager in memory that can stop answering after some calls."""

    def __init__(self):
        self.transformations = {}
        self.queries = {}
        self.attached = {}
        self.chunks = []
        self.callsLeft = 1000

    def _call(self):
        self.callsLeft -= 1
        return None if self.callsLeft >= 0 else S_ERROR("Connection closed by peer")

    def getTransformations(self, condDict, extraParams):
        found = [
            dict(each) for each in self.transformations.values() if each["TransformationName"] == condDict["TransformationName"]
        ]
        return self._call() or S_OK(found)

    def addTransformation(self, name, _text, _longText, kind, plugin, agentType, _mask, **more):
        if error := self._call():
            return error
        number = len(self.transformations) + 1
        self.transformations[number] = {
            "TransformationID": number,
            "TransformationName": name,
            "Type": kind,
            "Plugin": plugin,
            "AgentType": agentType,
            "Status": "New",
            "GroupSize": more["groupSize"],
            "TransformationGroup": more["transformationGroup"],
            "Body": more["body"],
        }
        if error := self._call():  # died before the query was written
            return error
        if more["inputMetaQuery"]:
            self.queries[number] = dict(more["inputMetaQuery"])
        return S_OK(number)

    def getTransformationMetaQuery(self, number, _kind):
        if error := self._call():
            return error
        return S_OK(self.queries[number]) if number in self.queries else S_ERROR(errno.ENOENT, "No MetaQuery found")

    def createTransformationMetaQuery(self, number, query, _kind):
        if error := self._call():
            return error
        self.queries[number] = dict(query)
        return S_OK()

    def deleteTransformationMetaQuery(self, number, _kind):
        if error := self._call():
            return error
        del self.queries[number]
        return S_OK()

    def setTransformationParameter(self, number, name, value):
        if error := self._call():
            return error
        if name == "Type":
            return S_ERROR("Can not update the 'Type' transformation parameter")
        self.transformations[number][name] = value
        return S_OK()

    def addFilesToTransformations(self, numbers, lfns):
        if error := self._call():
            return error
        self.chunks.append(len(lfns))
        refused = {lfn: "twin" for lfn in lfns if lfn.endswith("twin")}
        for number in numbers:
            self.attached.setdefault(number, []).extend(lfn for lfn in lfns if lfn not in refused)
        return S_OK({"Successful": dict.fromkeys((lfn for lfn in lfns if lfn not in refused), "Added"), "Failed": refused})


def transfers(client, **more):
    return TransformationTransfers(client, plugin="BlockTransfer", groupSize=50, campaign="Commissioning", **more)


def isComplete(client):
    (found,) = client.transformations.values()
    parameters = {key: found.get(key) for key in ("Status", "TargetSE", "Block", "DataType")}
    expected = {"Status": "Active", "TargetSE": "JINR-EOS", "Block": "20230302", "DataType": "Raw"}
    return parameters == expected and list(client.queries.values()) == [{"Block": "20230302", "Type": "Raw"}]


def test_a_transfer_is_an_active_replication_with_its_block_as_query():
    client = FakeTS()
    number = transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME)
    assert isComplete(client)
    made = client.transformations[number]
    assert (made["Type"], made["Plugin"], made["AgentType"], made["Body"]) == ("Replication", "BlockTransfer", "Automatic", "")
    assert (made["GroupSize"], made["TransformationGroup"]) == (50, "Commissioning")


def test_opening_again_gives_the_same_transformation():
    client = FakeTS()
    assert transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME) == transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME)
    assert len(client.transformations) == 1


@pytest.mark.parametrize("calls", range(8))
def test_a_transfer_that_a_crash_left_half_made_is_completed(calls):
    client = FakeTS()
    client.callsLeft = calls
    with pytest.raises(TemporaryFailure):
        transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME)
    client.callsLeft = 1000
    transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME)
    assert isComplete(client)


@pytest.mark.parametrize(
    "block", [Block("Raw", "20230302-late1", "", parent="20230302"), Block("Raw", "20230302", "/x", hasFollowUps=True)]
)
@pytest.mark.parametrize("calls", [*range(6), 1000])
def test_a_transfer_of_a_block_that_is_not_its_whole_directory_selects_nothing_by_metadata(block, calls):
    client = FakeTS()
    client.callsLeft = calls
    if calls < 1000:
        with pytest.raises(TemporaryFailure):
            transfers(client).openTransfer(block, "JINR-EOS", NAME)
    client.callsLeft = 1000
    number = transfers(client).openTransfer(block, "JINR-EOS", NAME)
    found = client.transformations[number]
    assert (found["Status"], found["Block"], client.queries) == ("Active", block.name, {})


def test_a_transfer_whose_query_would_find_files_of_other_blocks_loses_it():
    client = FakeTS()
    number = transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME)
    for _ in range(2):
        transfers(client).forgetQueries([number])
        assert client.queries == {}
    transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME)
    assert client.queries
    shared = Block(BLOCK.typeName, BLOCK.name, BLOCK.directory, hasFollowUps=True)
    assert transfers(client).openTransfer(shared, "JINR-EOS", NAME) == number
    assert client.queries == {}


@pytest.mark.parametrize(("block", "targetSE"), [(Block("RTRaw", "20230302", "/x"), "JINR-EOS"), (BLOCK, "CNAF-STORM")])
def test_the_name_of_another_transfer_is_refused(block, targetSE):
    client = FakeTS()
    transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME)
    with pytest.raises(ServiceRefusal, match="TransformationRule"):
        transfers(client).openTransfer(block, targetSE, NAME)
    assert isComplete(client)


def test_a_cleaned_transformation_is_not_adopted():
    client = FakeTS()
    number = transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME)
    client.transformations[number]["Status"] = "Cleaned"
    with pytest.raises(ServiceRefusal, match="Cleaned"):
        transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME)


def test_a_transfer_that_somebody_stopped_stays_stopped():
    client = FakeTS()
    number = transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME)
    client.transformations[number]["Status"] = "Stopped"
    transfers(client).openTransfer(BLOCK, "JINR-EOS", NAME)
    assert client.transformations[number]["Status"] == "Stopped"


def test_files_are_attached_to_all_transfers_once_each_and_in_chunks_that_the_service_takes():
    client = FakeTS()
    lfns = [f"/juno/f{number}" for number in range(25_000)]
    result = transfers(client, filesPerCall=1_000_000).attachFiles([4, 5], lfns[:10] + lfns)
    assert result.successful == tuple(lfns)
    assert result.failed == {}
    assert client.attached == {4: lfns, 5: lfns}
    assert client.chunks == [10_000, 10_000, 5_000]


def test_what_the_service_says_of_single_files_is_handed_on():
    result = transfers(FakeTS()).attachFiles([4], ["/juno/f0", "/juno/twin"])
    assert (result.successful, result.failed) == (("/juno/f0",), {"/juno/twin": "twin"})


def test_a_service_that_does_not_answer_is_asked_again_later():
    client = FakeTS()
    client.callsLeft = 0
    with pytest.raises(TemporaryFailure):
        transfers(client).attachFiles([4], ["/juno/f0"])


def test_diracs_own_service_is_told_from_one_of_the_extension():
    client = FakeTS()
    client.addFilesToTransformations = lambda _numbers, _lfns: S_ERROR("Unknown method addFilesToTransformations")
    with pytest.raises(ServiceRefusal, match="restart it"):
        transfers(client).attachFiles([4], ["/juno/f0"])
