"""Inputs of a job: what it works on is byte for byte what the ledger declares, from wherever a good copy is."""

from __future__ import annotations

import pytest
from jobfakes import FakeCatalogue, FakeStorage, adler

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Workflow.Job import InputFetcher as module
from JUNODIRAC.Workflow.Job.InputFetcher import InputFetcher
from JUNODIRAC.Workflow.Job.JobState import JobInput
from JUNODIRAC.Workflow.Job.Patience import Patience

pytestmark = pytest.mark.unit

ONE, TWO = "/juno/rtraw/2023/0302/one.rtraw", "/juno/rtraw/2023/0303/one.rtraw"
GOOD = b"good content"


def wanted(lfn: str, content: bytes = GOOD) -> JobInput:
    return JobInput(lfn, len(content), adler(content), None)


@pytest.fixture
def storages():
    return {"AAA-SE": FakeStorage({ONE: GOOD}), "CNAF-STORM": FakeStorage({ONE: GOOD})}


@pytest.fixture
def waits():
    return []


@pytest.fixture
def said():
    return []


@pytest.fixture
def fetcher(storages, waits, said):
    catalogue = FakeCatalogue(storages)
    made = InputFetcher(catalogue, storages.__getitem__, ["CNAF-STORM"], Patience(waits.append, patienceSeconds=10), said.append)
    made.catalogue = catalogue
    return made


def failure(fetcher, tmp_path, *inputs) -> JobFailure:
    with pytest.raises(JobFailure) as caught:
        fetcher.fetch(inputs or [wanted(ONE)], tmp_path)
    return caught.value


def test_inputs_come_from_the_sites_own_storage(fetcher, storages, tmp_path):
    (path,) = fetcher.fetch([wanted(ONE)], tmp_path)
    assert path.read_bytes() == GOOD
    assert storages["AAA-SE"].asked == []


def test_inputs_of_one_name_do_not_overwrite_each_other_and_keep_their_order(fetcher, storages, tmp_path):
    storages["CNAF-STORM"].files[TWO] = b"other"
    first, second = fetcher.fetch([wanted(TWO, b"other"), wanted(ONE)], tmp_path)
    assert (first.read_bytes(), second.read_bytes()) == (b"other", GOOD)


@pytest.mark.parametrize("bad", [b"bad contents", b"good", b""])
def test_a_corrupt_replica_is_passed_over_for_a_good_one(fetcher, storages, said, tmp_path, bad):
    storages["CNAF-STORM"].files[ONE] = bad
    (path,) = fetcher.fetch([wanted(ONE)], tmp_path)
    assert path.read_bytes() == GOOD
    assert "CNAF-STORM" in said[0]


def test_a_storage_that_does_not_answer_is_passed_over(fetcher, storages, tmp_path):
    storages["CNAF-STORM"].trouble = "Connection timed out"
    (path,) = fetcher.fetch([wanted(ONE)], tmp_path)
    assert path.read_bytes() == GOOD


def test_an_input_of_which_every_replica_is_corrupt_is_corrupt_and_not_kept(fetcher, storages, tmp_path):
    for storage in storages.values():
        storage.files[ONE] = b"bad"
    caught = failure(fetcher, tmp_path)
    assert caught.error is JobError.INPUT_CORRUPT
    assert ONE in caught.detail
    assert "AAA-SE" in caught.detail
    assert "CNAF-STORM" in caught.detail
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_input_is_not_called_corrupt_while_a_replica_could_not_be_read(fetcher, storages, tmp_path):
    storages["CNAF-STORM"].files[ONE] = b"bad"
    storages["AAA-SE"].trouble = "Connection timed out"
    assert failure(fetcher, tmp_path).error is JobError.INPUT_UNREADABLE


def test_an_input_without_replicas_is_gone(fetcher, storages, tmp_path):
    assert failure(fetcher, tmp_path, wanted(TWO)).error is JobError.INPUT_GONE


def test_a_catalogue_that_is_away_for_a_while_is_waited_for(fetcher, waits, tmp_path):
    fetcher.catalogue.down = 2
    assert fetcher.fetch([wanted(ONE)], tmp_path)
    assert waits == sorted(waits)
    assert len(waits) == 2


def test_a_catalogue_that_stays_away_is_no_fault_of_the_input(fetcher, tmp_path):
    fetcher.catalogue.down = 10**6
    assert failure(fetcher, tmp_path).error is JobError.SERVICE_AWAY


def test_too_little_room_is_seen_before_anything_is_copied(fetcher, storages, tmp_path, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Usage)
    caught = failure(fetcher, tmp_path)
    assert (caught.error, storages["CNAF-STORM"].asked) == (JobError.NO_ROOM, [])


def test_a_disk_that_fills_up_meanwhile_is_no_fault_of_the_storage(fetcher, storages, tmp_path):
    storages["CNAF-STORM"].trouble = "open: No space left on device"
    assert failure(fetcher, tmp_path).error is JobError.NO_ROOM
