import pytest
from fts3_standin.states import FileState, IllegalTransition
from fts3_standin.store import RESUME_GRACE_SECONDS, Outcome, Store
from fts3_standin.submission import parse_submission


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    made = Store(tmp_path / "db", retry_delay=120, clock=clock)
    yield made
    made.close()


def add(store, files=1, sources=1, source="a", target="b", **params):
    entries = [
        {"sources": [f"root://{source}//{n}-{m}" for m in range(sources)], "destinations": [f"root://{target}//{n}"]}
        for n in range(files)
    ]
    return store.add_job(parse_submission({"files": entries, "params": {"retry": 2, **params}}), "/CN=me", "id", "juno")


def begin(store, file_id):
    assert store.set_state(file_id, FileState.READY)
    assert store.set_state(file_id, FileState.ACTIVE)


def startable(store, per_link=99, limit=99, busy=None):
    return [row["file_id"] for row in store.startable(busy or {}, per_link, limit)]


def test_a_file_goes_through_ready_and_active_to_finished_and_takes_its_job_along(store):
    job_id = add(store)
    (file_id,) = startable(store)
    assert store.job(job_id)["state"] == "SUBMITTED"
    begin(store, file_id)
    assert store.job(job_id)["state"] == "ACTIVE"
    assert store.finish(file_id, Outcome(True, filesize=5, tx_seconds=2)) == FileState.FINISHED
    job, (entry,) = store.job(job_id), store.files(job_id)
    assert (job["state"], job["reason"], entry["filesize"], entry["tx_seconds"]) == ("FINISHED", None, 5, 2)
    assert startable(store) == []


def test_an_illegal_transition_raises_and_writes_nothing(store):
    job_id = add(store)
    with pytest.raises(IllegalTransition):
        store.finish(startable(store)[0], Outcome(True))
    assert store.files(job_id)[0]["state"] == "SUBMITTED"


def test_a_recoverable_failure_waits_for_the_delay_and_fails_when_its_retries_are_used_up(store, clock):
    job_id = add(store)
    (file_id,) = startable(store)
    for attempt in (1, 2):
        begin(store, file_id)
        assert store.finish(file_id, Outcome(False, "TRANSFER [5] x")) == FileState.SUBMITTED
        assert store.files(job_id)[0]["retry_count"] == attempt
        assert store.job(job_id)["state"] == "ACTIVE"
        assert store.next_retry_at() == clock.now + 120
        clock.now += 119
        assert startable(store) == []
        clock.now += 1
        assert startable(store) == [file_id]
    begin(store, file_id)
    assert store.finish(file_id, Outcome(False, "TRANSFER [5] x")) == FileState.FAILED
    assert store.job(job_id)["state"] == "FAILED"
    assert store.job(job_id)["reason"].startswith("One or more files failed")


def test_an_unrecoverable_failure_is_never_tried_again(store):
    job_id = add(store)
    (file_id,) = startable(store)
    begin(store, file_id)
    assert store.finish(file_id, Outcome(False, "SOURCE [2] gone", recoverable=False)) == FileState.FAILED
    assert store.files(job_id)[0]["recoverable"] == 0
    assert store.next_retry_at() is None


def test_the_next_source_is_used_only_after_the_one_before_failed_for_good(store):
    job_id = add(store, sources=3)
    for expected in range(3):
        (file_id,) = startable(store)
        assert store.files(job_id)[expected]["file_id"] == file_id
        begin(store, file_id)
        store.finish(file_id, Outcome(expected == 2, "SOURCE [2] gone", recoverable=False))
    assert store.job(job_id)["state"] == "FINISHED"


def test_the_result_of_a_canceled_copy_is_ignored(store):
    job_id = add(store, files=2)
    first, second = startable(store)
    begin(store, first)
    assert sorted(store.cancel(job_id)) == [first, second]
    assert store.finish(first, Outcome(True)) == FileState.CANCELED
    assert store.set_state(second, FileState.READY) is False
    assert {row["state"] for row in store.files(job_id)} == {"CANCELED"}
    assert store.job(job_id)["reason"] == "Job canceled by the user"
    assert store.cancel(job_id) == []


def test_canceling_a_finished_job_changes_nothing(store):
    job_id = add(store)
    (file_id,) = startable(store)
    begin(store, file_id)
    store.finish(file_id, Outcome(True))
    assert store.cancel(job_id) == []
    assert store.job(job_id)["state"] == "FINISHED"


def test_single_files_can_be_canceled(store):
    job_id = add(store, files=2)
    first, second = startable(store)
    assert store.cancel(job_id, [first]) == [first]
    assert startable(store) == [second]
    assert store.job(job_id)["state"] == "ACTIVE"


def test_higher_priority_goes_first_then_the_order_of_submission_and_no_link_exceeds_its_limit(store):
    low = add(store, files=3, priority=1)
    high = add(store, files=1, priority=5)
    other = add(store, files=1, target="c", priority=2)
    ids = {job: [row["file_id"] for row in store.files(job)] for job in (low, high, other)}
    assert startable(store) == [*ids[high], *ids[other], *ids[low]]
    assert startable(store, limit=1) == ids[high]
    assert startable(store, per_link=2) == [*ids[high], *ids[other], ids[low][0]]
    assert startable(store, per_link=2, busy={("a", "b"): 2}) == ids[other]
    assert startable(store, limit=0) == []


def test_after_a_restart_nothing_is_lost_and_what_was_under_way_is_done_again(tmp_path, clock):
    store = Store(tmp_path / "db", clock=clock)
    job_id = add(store, files=4)
    active, writing, done, waiting = startable(store)
    for file_id in (active, writing, done):
        begin(store, file_id)
    store.mark_writing(writing)
    store.finish(done, Outcome(True))
    store.save_credential("id", "/CN=me", "PEM", clock.now + 60)
    store.close()

    again = Store(tmp_path / "db", clock=clock)
    assert again.requeue_interrupted() == 2
    assert [row["state"] for row in again.files(job_id)] == ["SUBMITTED", "SUBMITTED", "FINISHED", "SUBMITTED"]
    assert startable(again) == [active, waiting]
    clock.now += RESUME_GRACE_SECONDS
    assert startable(again) == [active, writing, waiting]
    # Only where our own copy had begun may the redo overwrite what it finds.
    assert [bool(row["resumed"]) for row in again.files(job_id)] == [False, True, False, False]
    assert again.credential("id")["proxy_pem"] == "PEM"
    assert again.requeue_interrupted() == 0


def test_the_database_with_its_private_keys_is_readable_by_its_owner_only(tmp_path):
    Store(tmp_path / "db").close()
    assert (tmp_path / "db").stat().st_mode & 0o077 == 0


def test_clients_that_delegate_at_the_same_time_share_one_key(store):
    store.save_proxy_request("id", "key 1", "csr 1")
    store.save_proxy_request("id", "key 2", "csr 2")
    assert store.proxy_request("id")["key_pem"] == "key 1"
