"""The output of a job: it is uploaded only if it has every event, and is taken for uploaded only if the storage has it whole."""

from __future__ import annotations

import json

import pytest
from jobfakes import FakeStorage, adler, eventBytes

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Workflow.Job.JobState import JobInput
from JUNODIRAC.Workflow.Job.OutputCheck import Summary, checkOutput, readSummary
from JUNODIRAC.Workflow.Job.OutputUploader import OutputUploader

pytestmark = pytest.mark.unit

LFN = "/juno/esd/out.esd"
CONTENT = b"the output"


def inputs(*events):
    return [JobInput(f"/in/{number}", 1, "", count) for number, count in enumerate(events)]


def code(function, *args) -> JobError:
    with pytest.raises(JobFailure) as caught:
        function(*args)
    return caught.value.error


# ---- summary


def summary(tmp_path, content) -> object:
    path = tmp_path / "summary.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def of(tmp_path, *events, output=None):
    named = [{"file": str(tmp_path / str(number)), "events": count} for number, count in enumerate(events)]
    return {"inputs": named, "output": {"events": sum(events) if output is None else output}}


def test_a_summary_says_the_events_of_each_input_and_of_the_output(tmp_path):
    path = summary(tmp_path, of(tmp_path, 3, 0, 4))
    assert readSummary(path, [tmp_path / "0", tmp_path / "1", tmp_path / "2"]) == Summary((3, 0, 4), 7)


@pytest.mark.parametrize(
    "content",
    [
        "", "null", "[]", "{}", '{"inputs": [], "output": 3}', '{"inputs": [{"file": 1}], "output": {"events": 1}}',
        '{"inputs": [], "output": {"events": -1}}', '{"inputs": [], "output": {"events": true}}',
        '{"inputs": [], "output": {"events": "3"}}', '{"inputs": [], "output": {"events": 0}}',
    ],
)  # fmt: skip
def test_a_summary_that_does_not_keep_the_contract_is_none(tmp_path, content):
    assert code(readSummary, summary(tmp_path, content), [tmp_path / "0"]) is JobError.NO_SUMMARY


def test_a_summary_of_other_inputs_or_in_another_order_is_none(tmp_path):
    path = summary(tmp_path, of(tmp_path, 3, 4))
    assert code(readSummary, path, [tmp_path / "1", tmp_path / "0"]) is JobError.NO_SUMMARY
    assert code(readSummary, path, [tmp_path / "0"]) is JobError.NO_SUMMARY
    assert code(readSummary, tmp_path / "nothing", [tmp_path / "0"]) is JobError.NO_SUMMARY


# ---- check


def test_an_output_with_every_event_is_good(tmp_path):
    content = eventBytes(tmp_path / "out", range(7))
    assert checkOutput(inputs(3, None), Summary((3, 4), 7), tmp_path / "out") == len(content)


def test_of_a_file_of_another_format_the_program_alone_can_say_what_is_in_it(tmp_path):
    (tmp_path / "out").write_bytes(b"root file")
    assert checkOutput(inputs(3), Summary((3,), 3), tmp_path / "out") == 9


@pytest.mark.parametrize(
    ("announced", "said", "written"),
    [
        ((4,), Summary((3,), 3), 3),
        ((3,), Summary((3,), 2), 3),
        ((3,), Summary((3,), 2), 2),
        ((3,), Summary((3,), 3), 2),
        ((3,), Summary((3,), 3), 4),
    ],
)
def test_events_that_differ_anywhere_are_found(tmp_path, announced, said, written):
    eventBytes(tmp_path / "out", range(written))
    assert code(checkOutput, inputs(*announced), said, tmp_path / "out") is JobError.EVENTS_DIFFER


def test_a_missing_or_empty_output_is_none(tmp_path):
    assert code(checkOutput, inputs(0), Summary((0,), 0), tmp_path / "out") is JobError.NO_OUTPUT
    (tmp_path / "out").touch()
    assert code(checkOutput, inputs(0), Summary((0,), 0), tmp_path / "out") is JobError.NO_OUTPUT


def test_a_damaged_or_cut_record_is_found(tmp_path):
    content = eventBytes(tmp_path / "out", range(3))
    for bad in (content[:-1], content[:100] + b"?" + content[101:]):
        (tmp_path / "out").write_bytes(bad)
        assert code(checkOutput, inputs(3), Summary((3,), 3), tmp_path / "out") is JobError.BAD_RECORDS


# ---- upload


@pytest.fixture
def storages():
    return {"OWN-SE": FakeStorage(), "OTHER-SE": FakeStorage()}


@pytest.fixture
def noted():
    return []


@pytest.fixture
def upload(storages, noted, tmp_path):
    (tmp_path / "out").write_bytes(CONTENT)
    uploader = OutputUploader(storages.__getitem__, noted.append, lambda seconds: None, lambda text: None)
    return lambda: uploader.upload(tmp_path / "out", LFN, len(CONTENT), adler(CONTENT), ["OWN-SE", "OTHER-SE"])


def test_the_sites_own_storage_gets_the_output(upload, storages, noted):
    assert upload() == "OWN-SE"
    assert storages["OWN-SE"].files == {LFN: CONTENT}
    assert noted == ["OWN-SE"]
    assert not storages["OTHER-SE"].asked


def refusing(storage):
    storage.writeTrouble = "disk full"


def corrupting(storage):
    storage.corrupts = True


def silent(storage):
    storage.trouble = "Connection timed out"


@pytest.mark.parametrize("trouble", [refusing, corrupting, silent])
def test_a_storage_that_does_not_take_it_whole_is_passed_over_and_left_clean(upload, storages, noted, trouble):
    trouble(storages["OWN-SE"])
    assert upload() == "OTHER-SE"
    assert storages["OTHER-SE"].files == {LFN: CONTENT}
    assert storages["OWN-SE"].files == {}
    assert noted == ["OWN-SE", "OTHER-SE"]


def test_if_no_storage_takes_it_the_job_fails_and_says_what_each_said(upload, storages):
    refusing(storages["OWN-SE"])
    corrupting(storages["OTHER-SE"])
    with pytest.raises(JobFailure) as caught:
        upload()
    assert caught.value.error is JobError.UPLOAD_FAILED
    assert "OWN-SE: disk full" in caught.value.detail
    assert f"not {adler(CONTENT)}" in caught.value.detail
    assert not any(storage.files for storage in storages.values())


def test_nothing_is_written_before_the_service_knows_where(storages, tmp_path):
    def refuse(se):
        raise JobFailure(JobError.DECLARED_DEAD, se)

    (tmp_path / "out").write_bytes(CONTENT)
    uploader = OutputUploader(storages.__getitem__, refuse, lambda seconds: None, lambda text: None)
    assert code(uploader.upload, tmp_path / "out", LFN, 1, "", ["OWN-SE"]) is JobError.DECLARED_DEAD
    assert not storages["OWN-SE"].files
