"""Registration of outputs: however often it is begun and wherever it stops, it ends with each thing there once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from DIRAC import S_ERROR, S_OK
from jobfakes import AWAY

from JUNODIRAC.Core.Domain.JobRecords import CommittedOutput, outputGUID
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.ProductionSystem.Client.OutputRegistrar import OutputRegistrar

pytestmark = pytest.mark.unit

METADATA = {"Block": "20230302", "Type": "ESD", "Chain": "rerec-1-v1", "Step": "rawrec"}


class World:
    """Catalogue, Transformation System and service of chains in one; the n-th call fails if ``failAt`` is n."""

    def __init__(self):
        self.calls = 0
        self.failAt = 0
        self.fields, self.directories, self.files, self.replicas = {}, {}, {}, {}
        self.ancestors = {"/rtraw/1": {}, "/rtraw/2": {}}
        self.attached, self.statuses, self.registered = {}, {}, []
        self.log = []
        self.conflict = False

    def _call(self, name, value):
        self.calls += 1
        self.log.append(name)
        # before the change, or after it: the answer is lost in both cases
        if self.failAt == self.calls:
            return S_ERROR(AWAY)
        result = value()
        return S_ERROR(AWAY) if self.failAt == -self.calls else S_OK(result)

    def getMetadataFields(self):
        return self._call("fields", lambda: {"DirectoryMetaFields": dict(self.fields), "FileMetaFields": {}})

    def addMetadataField(self, name, kind, flag):
        return self._call("field", lambda: self.fields.__setitem__(name, kind))

    def createDirectory(self, directories):
        def create():
            for directory in directories:
                self.directories.setdefault(directory, {})
            return {"Successful": dict(directories), "Failed": {}}

        return self._call("directory", create)

    def getDirectoryUserMetadata(self, directory):
        return self._call("metadata", lambda: dict(self.directories[directory]))

    def setMetadata(self, directory, metadata):
        if self.conflict:
            # another job was quicker
            self.conflict = False
            self.directories[directory].update(metadata)
            return S_ERROR(f"Metadata conflict detected for Block for directory {directory}")
        return self._call("set", lambda: self.directories[directory].update(metadata))

    def addFile(self, entries):
        def add():
            for lfn, entry in entries.items():
                self.files.setdefault(lfn, entry)
                self.replicas.setdefault(lfn, set()).add(entry["SE"])
            return {"Successful": dict.fromkeys(entries, True), "Failed": {}}

        return self._call("addFile", add)

    def addFileAncestors(self, wanted):
        def add():
            answer = {"Successful": {}, "Failed": {}}
            for lfn, entry in wanted.items():
                if self.ancestors.get(lfn):
                    answer["Failed"][lfn] = "Failed to insert ancestor files: duplicate entry"
                    continue
                deeper = {old: depth + 1 for parent in entry["Ancestors"] for old, depth in self.ancestors[parent].items()}
                self.ancestors[lfn] = dict.fromkeys(entry["Ancestors"], 1) | deeper
                answer["Successful"][lfn] = True
            return answer

        return self._call("ancestors", add)

    def getFileAncestors(self, lfns, depths):
        found = {lfn: {key: depth for key, depth in self.ancestors[lfn].items() if depth in depths} for lfn in lfns}
        return self._call("getAncestors", lambda: {"Successful": found, "Failed": {}})

    def addFilesToTransformations(self, numbers, lfns):
        def add():
            for number in numbers:
                self.attached.setdefault(number, set()).update(lfns)
            return {"Successful": dict.fromkeys(lfns, "Added"), "Failed": {}}

        return self._call("attach", add)

    def setFileStatusForTransformation(self, number, status, lfns):
        return self._call("status", lambda: self.statuses.update({(number, lfn): status for lfn in lfns}))

    def registeredOutput(self, productIDs):
        return self._call("registered", lambda: self.registered.extend(productIDs))


def output(number: int, **changes) -> CommittedOutput:
    lfn = f"/esd/{number}"
    made = CommittedOutput(
        number, lfn, outputGUID(lfn), "CNAF-STORM", 10, "0000000a", (f"/rtraw/{number}",), METADATA, 101, (102, 103)
    )
    return replace(made, **changes)


ESD = [output(1), output(2, se="IHEP-JUNOEOS")]
MERGED = output(
    9, lfn="/merged/9", parents=("/esd/1", "/esd/2"), metadata=METADATA | {"Step": "merge"}, transformationID=102, takers=()
)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def registrar(world):
    return OutputRegistrar(world, world, world, lambda se, lfns: {lfn: f"root://{se}{lfn}" for lfn in lfns})


def checkWhole(world):
    assert world.directories["/esd"] == METADATA
    assert world.replicas == {"/esd/1": {"CNAF-STORM"}, "/esd/2": {"IHEP-JUNOEOS"}}
    assert world.ancestors["/esd/1"] == {"/rtraw/1": 1}
    assert world.attached == {102: {"/esd/1", "/esd/2"}, 103: {"/esd/1", "/esd/2"}}
    assert world.statuses == {(101, "/rtraw/1"): "Processed", (101, "/rtraw/2"): "Processed"}
    assert set(world.registered) == {1, 2}


def test_outputs_are_in_the_catalogue_with_metadata_and_ancestors_and_with_the_next_steps(world, registrar):
    assert set(registrar.register(ESD).successful) == {"/esd/1", "/esd/2"}
    checkWhole(world)
    assert set(world.fields) == set(METADATA)


def test_ancestors_of_all_depths_are_there(world, registrar):
    registrar.register(ESD)
    registrar.register([MERGED])
    assert world.ancestors["/merged/9"] == {"/esd/1": 1, "/esd/2": 1, "/rtraw/1": 2, "/rtraw/2": 2}
    assert world.statuses[102, "/esd/1"] == "Processed"


def test_registering_again_changes_nothing(world, registrar):
    registrar.register(ESD)
    assert set(registrar.register(ESD).successful) == {"/esd/1", "/esd/2"}
    checkWhole(world)


def test_it_may_stop_at_any_call_and_be_begun_again(world, registrar):
    registrar.register(ESD)
    calls = world.calls
    assert calls > 8
    for failAt in [*range(1, calls + 1), *range(-calls, 0)]:
        cut = World()
        cut.failAt = failAt
        again = OutputRegistrar(cut, cut, cut, lambda se, lfns: {lfn: lfn for lfn in lfns})
        with pytest.raises(TemporaryFailure):
            again.register(ESD)
        cut.failAt = 0
        again.register(ESD)
        checkWhole(cut)


def test_an_output_counts_as_registered_last(world, registrar):
    registrar.register(ESD)
    assert world.log[-1] == "registered"
    assert world.log.index("ancestors") < world.log.index("attach") < world.log.index("status")


def test_two_jobs_that_make_a_directory_at_the_same_moment_both_go_on(world, registrar):
    world.conflict = True
    assert registrar.register([ESD[0]]).failed == {}


def test_a_directory_of_another_chain_is_refused_and_what_else_there_is_goes_on(world, registrar):
    world.directories["/esd"] = METADATA | {"Chain": "other-1-v1"}
    other = output(2, lfn="/good/2")
    result = registrar.register([ESD[0], other])
    assert result.successful == ("/good/2",)
    assert "other-1-v1" in result.failed["/esd/1"]
    assert world.registered == [2]
    assert "/esd/1" not in world.files


def test_ancestors_that_cannot_be_set_keep_an_output_from_being_registered(world, registrar, monkeypatch):
    failing = {"Successful": {}, "Failed": {"/esd/1": "Failed to resolve ancestor files"}}
    monkeypatch.setattr(world, "addFileAncestors", lambda wanted: S_OK(failing))
    result = registrar.register([ESD[0]])
    assert "resolve ancestor files" in result.failed["/esd/1"]
    assert (world.registered, world.attached) == ([], {})


def test_ancestors_that_are_there_but_are_others_are_no_success(world, registrar):
    world.ancestors["/esd/1"] = {"/rtraw/2": 1}
    assert "/esd/1" in registrar.register([ESD[0]]).failed


def test_many_outputs_take_few_calls(world, registrar):
    many = [output(number, parents=("/rtraw/1",)) for number in range(500)]
    registrar.register(many)
    assert len(set(world.registered)) == 500
    assert world.calls < 25
