"""What the source storage says: a missing file is an answer, silence is not, and one bad file is not a storage away."""

import errno
import threading
from datetime import UTC, datetime

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.Core.Logic.Ports import StoredFile, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal
from JUNODIRAC.RawDataSystem.Client.SourceStorage import SourceStorage
from JUNODIRAC.RawDataSystem.Client.StorageAccess import DirectoryEntry, StorageError

BASE = "root://host:1094//eos"
TIME = datetime(2023, 3, 2, tzinfo=UTC)


class FakeSE:
    localAccessProtocolList = ("root",)

    def __init__(self, banned=False):
        self.banned = banned

    def isValid(self, _operation):
        return S_ERROR("SE.isValid: Check access not currently permitted.") if self.banned else S_OK()

    def getURL(self, lfns, protocol):
        assert protocol == self.localAccessProtocolList
        return S_OK({"Successful": {lfn: BASE + lfn for lfn in lfns}, "Failed": {}})


class FakeAccess:
    """A storage with files by LFN; ``failing`` says with which errno an LFN, a directory or the base ("") fails."""

    def __init__(self, sizes, failing=None, failingChecksums=None):
        self.sizes = dict(sizes)
        self.failing = failing or {}
        self.failingChecksums = failingChecksums or {}
        self.asked, self.listed, self.threads = [], [], set()
        self.hang = None

    def _answer(self, url, failing):
        self.threads.add(threading.get_ident())
        if self.hang is not None:
            self.hang.wait(20)
        lfn = url.removeprefix(BASE)
        if lfn in failing:
            raise StorageError(failing[lfn], f"{lfn} failed")
        return lfn

    def exists(self, url):
        self._answer(url, self.failing)

    def sizeBytes(self, url):
        self.asked.append(url.removeprefix(BASE))
        return self.sizes.get(self._answer(url, self.failing))

    def checksum(self, url):
        return f"{self.sizes[self._answer(url, self.failingChecksums)]:08x}"

    def list(self, url):
        directory = self._answer(url, self.failing)
        self.listed.append(directory)
        inside = [lfn for lfn in self.sizes if lfn.startswith(f"{directory}/")]
        if not inside:
            raise StorageError(errno.ENOENT, "no such directory")
        names = {lfn.removeprefix(f"{directory}/") for lfn in inside}
        files = [
            DirectoryEntry(name, True, False, self.sizes[f"{directory}/{name}"], TIME.timestamp())
            for name in names
            if "/" not in name
        ]
        directories = {name.partition("/")[0] for name in names if "/" in name}
        return files + [DirectoryEntry(name, False, True, 0, TIME.timestamp()) for name in directories]


def storage(access, **options):
    return SourceStorage("IHEP-JUNOEOS", "juno", access=access, storageElement=lambda *_: FakeSE(), **options)


def files(count, directory="/juno/d"):
    return {f"{directory}/f{number}": number for number in range(1, count + 1)}


@pytest.mark.parametrize("count", [1, 49, 50, 300])
def test_each_file_has_its_size_and_a_missing_one_has_none(count):
    found = storage(FakeAccess(files(count))).look([*files(count), "/juno/d/missing", "/juno/e/missing"])
    expected = {lfn: StoredFile(size) for lfn, size in files(count).items()}
    assert found == {**expected, "/juno/d/missing": StoredFile(None), "/juno/e/missing": StoredFile(None)}


def test_many_files_of_a_directory_cost_one_question():
    access = FakeAccess(files(1000))
    storage(access).look(list(files(1000)))
    assert access.listed == ["/juno/d"]
    assert access.asked == []


def test_a_directory_with_far_more_files_than_asked_for_is_not_listed_again():
    access = FakeAccess(files(5000))
    asked = storage(access)
    for _ in range(3):
        asked.look(list(files(50)))
    assert access.listed == ["/juno/d"]
    assert len(access.asked) == 100


def test_a_listing_that_fails_leaves_the_files_to_be_asked_one_by_one():
    found = storage(FakeAccess(files(100), failing={"/juno/d": errno.EIO})).look(list(files(100)))
    assert found == {lfn: StoredFile(size) for lfn, size in files(100).items()}


def test_a_file_without_an_answer_is_not_called_missing_while_others_are_answered():
    found = storage(FakeAccess(files(3), failing={"/juno/d/f2": errno.EIO})).look(list(files(3)))
    assert found["/juno/d/f1"] == StoredFile(1)
    assert found["/juno/d/f2"] == StoredFile(None, failure="/juno/d/f2 failed")


def test_a_single_file_that_fails_is_its_own_fault_where_its_directory_can_be_read():
    found = storage(FakeAccess(files(3), failing={"/juno/d/f2": errno.EIO})).look(["/juno/d/f2"])
    assert found["/juno/d/f2"].failure


@pytest.mark.parametrize("lfns", [["/juno/d/f1"], list(files(300))])
def test_a_storage_that_fails_for_everything_is_away(lfns):
    failing = dict.fromkeys([*files(300), "/juno/d", ""], errno.ECONNREFUSED)
    with pytest.raises(TemporaryFailure, match="storage IHEP-JUNOEOS"):
        storage(FakeAccess(files(300), failing)).look(lfns)


def test_a_storage_that_fails_for_all_files_and_their_directory_is_away_though_its_base_answers():
    failing = dict.fromkeys([*files(300), "/juno/d"], errno.EACCES)
    with pytest.raises(TemporaryFailure, match="300 file"):
        storage(FakeAccess(files(300), failing)).look(list(files(300)))


def test_a_storage_whose_base_directory_is_gone_has_not_lost_its_files():
    with pytest.raises(TemporaryFailure, match="base directory"):
        storage(FakeAccess({}, failing={"": errno.ENOENT})).look(["/juno/d/f1"])


def test_a_banned_storage_is_a_temporary_failure():
    asked = SourceStorage("S", "juno", access=FakeAccess(files(1)), storageElement=lambda *_: FakeSE(banned=True))
    with pytest.raises(TemporaryFailure, match="not currently permitted"):
        asked.look(["/juno/d/f1"])


def test_a_storage_that_hangs_is_away():
    access = FakeAccess(files(10))
    access.hang = threading.Event()
    try:
        with pytest.raises(TemporaryFailure, match="no answer within"):
            storage(access, timeoutSeconds=0.05, checkSeconds=0.05).look(list(files(10)))
    finally:
        access.hang.set()


def test_checksums_are_asked_for_the_files_that_need_one_and_are_there():
    found = storage(FakeAccess(files(3))).look([*files(3), "/juno/d/missing"], {"/juno/d/f3", "/juno/d/missing"})
    assert found["/juno/d/f3"] == StoredFile(3, "00000003")
    assert found["/juno/d/f1"] == StoredFile(1)
    assert found["/juno/d/missing"] == StoredFile(None)


def test_a_checksum_without_an_answer_is_a_failure_of_its_file():
    found = storage(FakeAccess(files(3), failingChecksums={"/juno/d/f1": errno.ETIMEDOUT})).look(list(files(3)), set(files(3)))
    assert "checksum" in found["/juno/d/f1"].failure
    assert found["/juno/d/f2"] == StoredFile(2, "00000002")


def test_a_checksum_that_is_being_computed_is_asked_for_again():
    access = FakeAccess(files(3))
    checksum, asked = access.checksum, []

    def stale(url):
        asked.append(url)
        if len(asked) == 1:
            raise StorageError(errno.ESTALE, "Stale file handle")
        return checksum(url)

    access.checksum = stale
    found = storage(access).look(list(files(3)), set(files(3)))
    assert found["/juno/d/f1"] == StoredFile(1, "00000001")
    assert len(asked) == 4


def test_files_for_which_there_was_no_time_to_ask_are_told_from_those_that_gave_no_answer():
    access = FakeAccess(files(40))
    hang = threading.Event()
    checksum = access.checksum

    def slow(url):
        hang.wait(20)
        return checksum(url)

    access.checksum = slow
    try:
        found = storage(access, checksumThreads=1, timeoutSeconds=0.2).look(list(files(40)), set(files(40)))
    finally:
        hang.set()
    assert [file.isAsked for file in found.values()] == [True] + [False] * 39
    assert all(file.failure for file in found.values())


def test_a_storage_that_tells_no_checksums_stops_everything_and_names_the_option():
    with pytest.raises(ServiceRefusal, match="ChecksumCheck"):
        storage(FakeAccess(files(3), failingChecksums={"/juno/d/f1": errno.ENOTSUP})).look(list(files(3)), set(files(3)))


def test_no_more_questions_at_a_time_than_configured():
    access = FakeAccess(files(49))
    storage(access, threads=3).look(list(files(49)))
    assert 1 <= len(access.threads) <= 3


def test_nothing_to_ask_asks_nothing():
    assert SourceStorage("S", "juno", access=FakeAccess({}), storageElement=None).look([]) == {}


def test_a_listing_has_files_with_size_and_time_and_directories_apart():
    asked = storage(FakeAccess({"/juno/d/f1": 7, "/juno/d/sub/f2": 8}))
    assert asked.listDirectory("/juno/d") == {"f1": (7, TIME)}
    assert asked.listDirectories("/juno/d") == ["sub"]
    assert asked.listDirectory("/juno/nothing") == {}


@pytest.mark.parametrize("failing", [{"/juno/d": errno.EACCES}, {"/juno/d": errno.ENOENT, "": errno.ENOENT}])
def test_a_directory_that_cannot_be_read_is_not_called_empty(failing):
    with pytest.raises(TemporaryFailure):
        storage(FakeAccess(files(1), failing)).listDirectory("/juno/d")
