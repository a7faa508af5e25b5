"""The scheduler with copies that only pretend."""

from multiprocessing import Pipe

import pytest
from fts3_standin.copier import WRITING
from fts3_standin.rules import RuleBook
from fts3_standin.scheduler import ProxyFiles, Scheduler, Settings
from fts3_standin.store import Outcome, Store
from fts3_standin.submission import parse_submission


class FakeCopy:
    def __init__(self, task):
        self.task, self.killed = task, False
        self.connection, self.child = Pipe(duplex=False)

    def end(self, outcome):
        self.child.send(outcome)
        self.child.close()

    def kill(self):
        self.killed = True
        self.join()

    def join(self):
        self.connection.close()


class World:
    """A scheduler that is driven by hand."""

    def __init__(self, folder, **settings):
        self.now, self.copies = 1000.0, []
        self.store = Store(folder / "db", retry_delay=10, clock=lambda: self.now)
        self.rules = RuleBook(folder / "rules.json", self.store, allow_instant=True)
        self.proxies = ProxyFiles(folder / "proxies", self.store)
        self.store.save_credential("id", "/CN=me", "PEM", 1e10)
        self.scheduler = Scheduler(
            self.store, self.rules, self.proxies, Settings(**settings), launch=self.launch, monotonic=lambda: self.now
        )

    def launch(self, task):
        self.copies.append(FakeCopy(task))
        return self.copies[-1]

    def submit(self, files=1, cred_id="id", **params):
        entries = [{"sources": [f"root://a//{n}"], "destinations": [f"root://b//{n}"], "filesize": 7} for n in range(files)]
        return self.store.add_job(
            parse_submission({"files": entries, "params": {"retry": 1, **params}}), "/CN=me", cred_id, "juno"
        )

    def step(self, seconds=0.0):
        self.now += seconds
        self.scheduler.step()

    def states(self, job_id):
        return [row["state"] for row in self.store.files(job_id)]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, parallel=2, per_link=2, kill_margin=5)
    yield made
    made.store.close()


def test_no_more_copies_than_places_and_the_next_starts_when_one_ends(world):
    job_id = world.submit(files=3)
    world.step()
    assert world.states(job_id) == ["ACTIVE", "ACTIVE", "SUBMITTED"]
    world.copies[0].end(Outcome(True))
    world.step()
    assert world.states(job_id) == ["FINISHED", "ACTIVE", "ACTIVE"]
    assert len(world.copies) == 3


def test_copies_that_hang_on_one_link_leave_places_for_other_links(tmp_path):
    world = World(tmp_path, parallel=4, per_link=2)
    world.rules.add({"action": "hang", "destination": "b"})
    world.submit(files=9)
    entry = {"sources": ["root://a//x"], "destinations": ["root://c//x"]}
    other = world.store.add_job(parse_submission({"files": [entry]}), "/CN=me", "id", "juno")
    world.step()
    assert world.states(other) == ["ACTIVE"]
    assert world.scheduler.status()["running"] == 3
    world.store.close()


def test_a_copy_that_dies_without_a_result_is_tried_again(world):
    job_id = world.submit()
    world.step()
    world.copies[0].child.close()
    world.step()
    assert world.states(job_id) == ["SUBMITTED"]
    assert world.scheduler.sleep_seconds() == pytest.approx(10.01)
    world.step(10)
    world.copies[1].end(Outcome(True))
    world.step()
    assert world.states(job_id) == ["FINISHED"]


def test_a_canceled_copy_is_killed_and_what_it_wrote_removed_unless_the_job_disables_that(world):
    for cleanup in (True, False):
        world.copies.clear()
        job_id = world.submit(disable_cleanup=not cleanup)
        world.step()
        copy = world.copies[0]
        copy.child.send(WRITING)
        world.step()
        world.scheduler.cancel(world.store.cancel(job_id))
        world.step()
        assert copy.killed
        assert world.states(job_id) == ["CANCELED"]
        assert [cleaner.task.only_cleanup for cleaner in world.copies[1:]] == ([True] if cleanup else [])


def test_a_copy_beyond_its_timeout_is_killed_and_tried_again(world):
    job_id = world.submit(timeout=30)
    world.step()
    world.step(34)
    assert not world.copies[0].killed
    world.step(2)
    assert world.copies[0].killed
    (entry,) = world.store.files(job_id)
    assert (entry["state"], entry["reason"]) == ("SUBMITTED", "TRANSFER [110] operation timeout after 36 seconds")


def test_a_delay_holds_a_place_and_then_the_copy_is_made(world):
    world.rules.add({"action": "delay", "delay_seconds": 20})
    world.submit()
    world.step()
    assert world.copies == []
    assert world.scheduler.status()["running"] == 1
    assert world.scheduler.sleep_seconds() == 20
    world.step(20)
    assert len(world.copies) == 1


def test_a_hanging_copy_goes_on_when_its_rule_is_removed(world):
    world.rules.add({"action": "hang", "id": "h"})
    job_id = world.submit()
    world.step()
    world.step(100)
    assert (world.copies, world.states(job_id)) == ([], ["ACTIVE"])
    world.rules.remove("h")
    world.step()
    assert len(world.copies) == 1


def test_an_injected_failure_says_what_the_rule_says(world):
    world.rules.add({"action": "fail", "phase": "SOURCE", "code": 2, "reason": "gone", "recoverable": False})
    job_id = world.submit(files=3)
    world.step()
    rows = world.store.files(job_id)
    assert {(row["state"], row["reason"], row["recoverable"]) for row in rows} == {("FAILED", "SOURCE [2] gone", 0)}


def test_instant_files_finish_in_one_cycle_whatever_the_number_of_places_and_no_copy_is_made(world):
    world.rules.add({"action": "instant"})
    job_id = world.submit(files=50)
    world.step()
    assert world.store.job(job_id)["state"] == "FINISHED"
    assert {row["filesize"] for row in world.store.files(job_id)} == {7}
    assert world.copies == []
    assert len(world.store.attempts()) == 50


def test_without_a_valid_credential_no_copy_is_made(world):
    world.store.save_credential("old", "/CN=me", "PEM", world.now - 1)
    job_id = world.submit(cred_id="old")
    world.step()
    (entry,) = world.store.files(job_id)
    assert (entry["state"], entry["recoverable"], world.copies) == ("FAILED", 0, [])
    assert "proxy expired" in entry["reason"]


def test_an_interrupted_copy_may_overwrite_its_own_rest_and_nothing_else(world):
    world.submit(files=2, overwrite=False)
    world.step()
    world.copies[0].child.send(WRITING)
    world.step()
    world.store.requeue_interrupted()
    again = Scheduler(world.store, world.rules, world.proxies, Settings(), launch=world.launch, monotonic=lambda: world.now)
    world.now += 10
    world.copies.clear()
    again.step()
    assert {copy.task.source: copy.task.overwrite for copy in world.copies} == {"root://a//0": True, "root://a//1": False}


def test_every_attempt_is_on_record_with_its_source_and_result(world):
    world.submit()
    world.step()
    world.copies[0].end(Outcome(False, "TRANSFER [5] x"))
    world.step()
    world.step(10)
    world.copies[1].end(Outcome(True, filesize=7))
    world.step()
    assert [(row["source"], row["state"], row["retry"]) for row in world.store.attempts()] == [
        ("root://a//0", "RETRY", 0),
        ("root://a//0", "FINISHED", 1),
    ]


def test_proxy_files_are_private_and_follow_a_new_delegation(world):
    path = world.proxies.path("id")
    assert (path.read_text(), path.stat().st_mode & 0o077) == ("PEM", 0)
    world.store.save_credential("id", "/CN=me", "NEW", 1e10)
    assert world.proxies.path("id").read_text() == "NEW"
