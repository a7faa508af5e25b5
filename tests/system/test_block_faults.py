"""Whatever goes wrong with copies, sites, FTS3 or our processes: a block ends Done without a hand, or in Problem with the reason.

All cases run at once, each with a block of its own, before the first test looks at its outcome; only those of the tests that were
selected. The record of them, ``block_faults.json`` and ``block_faults.md``, is written to ``run/faults`` of the state folder.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from junotestbed import copyfaults, processfaults  # noqa: F401 they enter their cases into the matrix
from junotestbed.faultmatrix import CASES, DONE, PROBLEM, Matrix, Outcome

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def outcomes(testbed, request) -> Iterator[dict[str, Outcome]]:
    """What became of the cases of the selected tests; afterwards their blocks are taken out of the ledger."""
    from junotestbed.forgetting import forgetBlock
    from junotestbed.observe import Database

    selected = {mark.args[0] for item in request.session.items for mark in item.iter_markers("fault")}
    matrix = Matrix(testbed, [case for name, case in CASES.items() if name in selected])
    try:
        yield matrix.run()
    finally:
        folder = testbed.settings.run / "faults"
        matrix.record(folder)
        print(f"\n{matrix.toMarkdown()}\nrecorded in {folder}")
        for outcome in matrix.outcomes.values():
            forgetBlock(Database(testbed), outcome.day)


@pytest.fixture
def outcome(outcomes, request) -> Outcome:
    return outcomes[request.node.get_closest_marker("fault").args[0]]


def fault(name: str) -> pytest.MarkDecorator:
    """The case that a test looks at."""
    assert name in CASES
    return pytest.mark.fault(name)


def assertDone(outcome: Outcome) -> None:
    """Done, without a person; ledger, catalogue and storage are the same, no replica with wrong bytes is registered."""
    assert not outcome.error, outcome.error
    assert outcome.ended == DONE, outcome.problem
    assert outcome.verdict == {}
    assert set(outcome.siteSeconds.values()) & {None} == set()


def assertProblem(outcome: Outcome, *words: str) -> None:
    """A person is asked, with the reason in the block's problem and from dirac-juno-why."""
    assert not outcome.error, outcome.error
    assert outcome.ended == PROBLEM
    assert "wrong" not in outcome.verdict
    for word in words:
        assert word.lower() in outcome.problem.lower()
    assertNamed(outcome, *words)


def assertNamed(outcome: Outcome, *words: str) -> None:
    """While the fault stood, dirac-juno-why said what it is."""
    said = outcome.said("during").lower()
    assert any(word.lower() in said for word in words), said


# ---- without a fault


@fault("no fault")
def test_a_block_without_a_fault_goes_from_its_first_file_to_done_by_itself(outcome):
    assertDone(outcome)
    assert outcome.repairs == {}


# ---- sites


@fault("site refuses")
def test_a_site_that_refuses_everything_for_a_while_is_named_and_catches_up_by_itself(outcome):
    assertDone(outcome)
    assertNamed(outcome, "refused")


@fault("site times out")
def test_a_site_whose_copies_time_out_is_named_and_catches_up_by_itself(outcome):
    assertDone(outcome)
    assertNamed(outcome, "timeout", "timed out")


@fault("destination full")
def test_a_full_destination_is_named_and_filled_as_soon_as_there_is_room(outcome):
    assertDone(outcome)
    assertNamed(outcome, "full", "space", "no room")


@fault("no permission")
def test_a_destination_that_may_not_be_written_is_paused_named_and_goes_on_by_itself_when_it_may(outcome):
    assertDone(outcome)
    assert outcome.facts["the site is paused"] == "yes"
    assertNamed(outcome, "permission", "let us write")


# ---- copies


@fault("truncated")
def test_a_truncated_copy_is_found_named_and_replaced(outcome):
    assertDone(outcome)
    assertNamed(outcome, "size")


@fault("wrong bytes")
def test_a_copy_with_wrong_bytes_is_found_named_and_replaced(outcome):
    assertDone(outcome)
    assertNamed(outcome, "checksum")


@fault("lasting failure")
def test_a_file_that_nothing_helps_ends_at_a_person_after_a_bounded_number_of_attempts(outcome):
    assertProblem(outcome, "CNAF")
    assertNamed(outcome, "nobody has seen")


# ---- sources


@fault("source corrupt")
def test_a_corrupt_source_without_another_replica_is_a_problem_that_says_so_and_is_copied_nowhere(outcome):
    assertProblem(outcome, "SourceCorrupt")


@fault("source missing")
def test_a_source_that_is_gone_without_another_replica_is_a_problem_that_says_so(outcome):
    assertProblem(outcome, "SourceMissing")


@fault("another source")
def test_with_a_corrupt_source_the_file_is_taken_from_a_good_replica_and_the_source_is_known_as_bad(outcome):
    assertDone(outcome)
    # the replica of the source stays registered until its site has put it right, and is never copied from
    assert len(outcome.knownBad) == 1
    assert "IHEP-JUNOEOS" in outcome.knownBad[0]


# ---- FTS3


@fault("FTS forgets a job")
def test_a_job_that_fts3_forgot_is_submitted_again(outcome):
    assertDone(outcome)


@fault("FTS loses a job")
def test_a_job_that_fts3_knows_nothing_of_any_more_loses_no_file(outcome):
    assertDone(outcome)


@fault("FTS refuses jobs")
def test_jobs_that_fts3_refuses_for_a_while_are_submitted_later(outcome):
    assertDone(outcome)


@fault("FTS restarts")
def test_copies_under_way_survive_a_restart_of_fts3(outcome):
    assertDone(outcome)


@fault("FTS starts empty")
def test_copies_under_way_survive_an_fts3_that_lost_its_database(outcome):
    assertDone(outcome)


# ---- behind the catalogue's back


@fault("replica deleted after Done")
def test_a_replica_deleted_after_done_is_found_by_the_next_look_named_and_made_again(outcome):
    assertDone(outcome)
    assertNamed(outcome, "missing")


@fault("replica corrupted after Done")
def test_a_replica_corrupted_after_done_is_found_by_the_next_look_named_and_made_again(outcome):
    assertDone(outcome)
    assertNamed(outcome, "checksum")


@fault("late cleanup")
def test_a_copy_that_a_late_cleanup_deleted_is_found_by_the_second_look_and_made_again(outcome):
    assertDone(outcome)
    assertNamed(outcome, "missing")


# ---- what was declared


@fault("file never announced")
def test_a_declared_file_that_never_came_is_a_problem_that_gives_both_numbers(outcome):
    assertProblem(outcome, "7", "6")
    assert outcome.verdict == {}


# ---- processes


@fault("RequestTaskAgent killed")
def test_tasks_of_a_killed_request_task_agent_are_submitted(outcome):
    assertDone(outcome)
    assert outcome.facts["killed in the middle"] == "yes"


@fault("RequestExecutingAgent killed")
def test_requests_of_a_killed_request_executing_agent_are_executed(outcome):
    assertDone(outcome)
    assert outcome.facts["killed in the middle"] == "yes"


@fault("FTS3Agent killed")
def test_operations_of_a_killed_fts3_agent_are_treated(outcome):
    assertDone(outcome)
    assert outcome.facts["killed in the middle"] == "yes"


@fault("TransformationAgent killed")
def test_files_of_a_killed_transformation_agent_get_their_tasks(outcome):
    assertDone(outcome)


@fault("MariaDB killed")
def test_a_block_under_way_survives_a_kill_of_the_database(outcome):
    assertDone(outcome)


@fault("storage stopped")
def test_a_storage_that_is_stopped_for_a_while_catches_up_by_itself(outcome):
    assertDone(outcome)


def test_every_case_of_the_matrix_is_looked_at_by_a_test(request):
    import ast
    from pathlib import Path

    calls = [node for node in ast.walk(ast.parse(Path(__file__).read_text())) if isinstance(node, ast.Call)]
    looked = {node.args[0].value for node in calls if getattr(node.func, "id", "") == "fault" and node.args}
    assert looked == set(CASES)
