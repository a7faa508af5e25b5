"""Registration in the file catalogue: bulk, repeatable, and one bad file harms no other."""

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Logic.Ports import CatalogueFile, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import DFCCatalogue
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal

TOO_LONG = "MySQL Error ( 1131 : Execution failed.: ((1406, \"Data too long for column 'FileName' at row 1\") ))"
SOURCE = "IHEP-JUNOEOS"


class FakeDFC:
    """Answers as DIRAC's FileManager and DirectoryMetadata do."""

    def __init__(self, files=None):
        self.files = dict(files or {})  # lfn -> entry with a set of SEs
        self.bad = set()
        self.down = ""
        self.batches = []
        self.directories = set()
        self.fields = {"DirectoryMetaFields": {}, "FileMetaFields": {}}
        self.metadata = {}

    def addFile(self, entries):
        self.batches.append(len(entries))
        if self.down:
            return S_ERROR(self.down)
        failed = {}
        for lfn, entry in entries.items():
            known = self.files.get(lfn)
            if not known:
                continue
            if any(known[key] != entry[key] for key in ("GUID", "Size", "Checksum")):
                failed[lfn] = "File already registered with alternative metadata"
            elif not known["SEs"]:
                failed[lfn] = "File already registered with no replicas"
            elif entry["SE"] not in known["SEs"]:
                failed[lfn] = "File already registered with alternative replicas"
        new = {lfn for lfn in entries if lfn not in self.files}
        if self.bad & new:
            failed.update(dict.fromkeys(new, TOO_LONG))
        else:
            self.files.update({lfn: {**entries[lfn], "SEs": {entries[lfn]["SE"]}} for lfn in new})
        return S_OK({"Successful": {lfn: True for lfn in entries if lfn not in failed}, "Failed": failed})

    def getFileMetadata(self, lfns):
        return S_OK({"Successful": {lfn: self.files[lfn] for lfn in lfns}, "Failed": {}})

    def addReplica(self, replicas):
        for lfn, replica in replicas.items():
            self.files[lfn]["SEs"].add(replica["SE"])
        return S_OK({"Successful": dict.fromkeys(replicas, True), "Failed": {}})

    def getMetadataFields(self):
        return S_OK(self.fields)

    def addMetadataField(self, name, fieldType, kind):
        self.fields["DirectoryMetaFields"][name] = (fieldType, kind)
        return S_OK()

    def createDirectory(self, directories):
        self.directories.update(directories)
        return S_OK({"Successful": dict.fromkeys(directories, True), "Failed": {}})

    def getDirectoryUserMetadata(self, directory):
        return S_OK(dict(self.metadata.get(directory, {})))

    def setMetadata(self, directory, values):
        self.metadata.setdefault(directory, {}).update(values)
        return S_OK()


def files(count, start=0):
    return [
        CatalogueFile(f"/juno/raw/2023/0302/f{number}.dat", 100 + number, f"{number:08x}", f"guid-{number}")
        for number in range(start, start + count)
    ]


def catalogue(client, filesPerCall=1000):
    return DFCCatalogue(client, lambda se, lfns: {lfn: f"root://{se}//eos{lfn}" for lfn in lfns}, filesPerCall)


def test_files_are_registered_with_the_url_that_stock_tools_register():
    client = FakeDFC()
    result = catalogue(client).registerFiles(files(3), SOURCE)
    assert set(result.successful) == set(client.files)
    assert not result.failed
    assert client.files["/juno/raw/2023/0302/f1.dat"]["PFN"] == "root://IHEP-JUNOEOS//eos/juno/raw/2023/0302/f1.dat"


def test_registering_goes_in_chunks():
    client = FakeDFC()
    catalogue(client, filesPerCall=40).registerFiles(files(100), SOURCE)
    assert client.batches == [40, 40, 20]


def test_registering_again_changes_nothing_and_succeeds():
    client = FakeDFC()
    catalogue(client).registerFiles(files(5), SOURCE)
    before = {lfn: dict(entry) for lfn, entry in client.files.items()}
    assert len(catalogue(client).registerFiles(files(5), SOURCE).successful) == 5
    assert client.files == before


@pytest.mark.parametrize("badNumbers", [[0], [99], [0, 50, 51, 99]])
def test_a_bad_file_fails_alone(badNumbers):
    client = FakeDFC()
    client.bad = {f"/juno/raw/2023/0302/f{number}.dat" for number in badNumbers}
    result = catalogue(client).registerFiles(files(100), SOURCE)
    assert set(result.failed) == client.bad
    assert len(result.successful) == 100 - len(badNumbers)
    assert set(result.successful) == set(client.files)
    assert len(client.batches) < 20 * len(badNumbers)


def test_a_different_file_fails_with_what_the_catalogue_has_and_is_not_overwritten():
    client = FakeDFC()
    catalogue(client).registerFiles(files(1), SOURCE)
    other = CatalogueFile("/juno/raw/2023/0302/f0.dat", 7, "ffffffff", "guid-0")
    result = catalogue(client).registerFiles([other, *files(1, start=1)], SOURCE)
    assert "100 bytes and adler32 00000000, not 7 bytes and ffffffff" in result.failed[other.lfn]
    assert client.files[other.lfn]["Size"] == 100
    assert result.successful == ("/juno/raw/2023/0302/f1.dat",)


@pytest.mark.parametrize("storages", [set(), {"CNAF-STORM"}])
def test_the_same_file_without_its_source_replica_gets_it(storages):
    file = files(1)[0]
    client = FakeDFC({file.lfn: {"Size": 100, "Checksum": file.checksum, "GUID": "other", "SEs": set(storages)}})
    assert catalogue(client).registerFiles([file], SOURCE).successful == (file.lfn,)
    assert client.files[file.lfn]["SEs"] == storages | {SOURCE}


@pytest.mark.parametrize("message", ["Connection closed by peer", "MySQL Error ( 1131 : Could not connect: (2003, 'x'))"])
def test_a_catalogue_out_of_order_is_not_bisected(message):
    client = FakeDFC()
    client.down = message
    with pytest.raises(TemporaryFailure):
        catalogue(client).registerFiles(files(100), SOURCE)
    assert len(client.batches) == 1


def test_a_database_out_of_order_blames_no_file():
    """The catalogue gives such a failure as the reason of each file."""
    client = FakeDFC()
    reason = "MySQL Error ( 1131 : Execution failed.: ((2006, 'Server has gone away') ))"
    client.addFile = lambda entries: S_OK({"Successful": {}, "Failed": dict.fromkeys(entries, reason)})
    with pytest.raises(TemporaryFailure):
        catalogue(client).registerFiles(files(10), SOURCE)


def test_an_unauthorized_caller_blames_no_file():
    client = FakeDFC()
    client.down = "Unauthorized query ( 1111 : Unauthorized query)"
    with pytest.raises(ServiceRefusal):
        catalogue(client).registerFiles(files(10), SOURCE)


BLOCK = Block("Raw", "20230302", "/juno/raw/2023/0302")


def test_opening_a_block_makes_directory_fields_and_metadata():
    client = FakeDFC()
    catalogue(client).openBlock(BLOCK)
    assert client.directories == {BLOCK.directory}
    assert client.fields["DirectoryMetaFields"] == {"Block": ("VARCHAR(128)", "-d"), "Type": ("VARCHAR(128)", "-d")}
    assert client.metadata[BLOCK.directory] == {"Block": "20230302", "Type": "Raw"}


def test_opening_a_block_again_changes_nothing():
    client = FakeDFC()
    catalogue(client).openBlock(BLOCK)
    client.setMetadata = None  # would raise
    catalogue(client).openBlock(BLOCK)


def test_a_directory_never_changes_its_block():
    client = FakeDFC()
    client.metadata[BLOCK.directory] = {"Block": "other", "Type": "Raw"}
    with pytest.raises(ServiceRefusal, match="other.*BlockRule"):
        catalogue(client).openBlock(BLOCK)
    assert client.metadata[BLOCK.directory]["Block"] == "other"


def test_a_field_that_is_defined_for_files_is_refused():
    client = FakeDFC()
    client.fields["FileMetaFields"]["Block"] = "VARCHAR(128)"
    with pytest.raises(ServiceRefusal, match="Block is defined for files"):
        catalogue(client).openBlock(BLOCK)
