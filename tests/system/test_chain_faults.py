"""Whatever happens to jobs, sites, services and agents: each event is in exactly one merged file, or it is named as lost.

All cases run at once in one chain, each with a block of its own, before the first test looks at its outcome; only those of the
tests that were selected. The record, ``chain_faults.json`` and ``chain_faults.md``, is written to ``run/faults`` of the state
folder.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from junotestbed import chainfaults  # noqa: F401 it enters its cases into the matrix
from junotestbed.chainmatrix import CASES, EXACT, LOSES, ChainMatrix, Outcome

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def outcomes(testbed, request) -> Iterator[dict[str, Outcome]]:
    """What became of the cases of the selected tests; afterwards the chain and its blocks are forgotten."""
    from junotestbed.forgetting import forgetBlock, forgetChain
    from junotestbed.observe import Database

    selected = {mark.args[0] for item in request.session.items for mark in item.iter_markers("chainfault")}
    matrix = ChainMatrix(testbed, [case for name, case in CASES.items() if name in selected])
    try:
        yield matrix.run()
    finally:
        folder = testbed.settings.run / "faults"
        matrix.record(folder)
        print(f"\n{matrix.toMarkdown()}\nrecorded in {folder}")
        forgetChain(Database(testbed), matrix.production)
        for outcome in matrix.outcomes.values():
            forgetBlock(Database(testbed), outcome.day)


@pytest.fixture
def outcome(outcomes, request) -> Outcome:
    return outcomes[request.node.get_closest_marker("chainfault").args[0]]


def fault(name: str) -> pytest.MarkDecorator:
    """The case that a test looks at."""
    assert name in CASES
    return pytest.mark.chainfault(name)


def assertExact(outcome: Outcome) -> None:
    """Done without a person: the audit says that every event is there once, and so does who knows bytes and tables alone."""
    assert not outcome.error, outcome.error
    assert outcome.ended == "Done", outcome.problem
    assert outcome.after["Verdict"] == EXACT, outcome.after
    assert outcome.verdict == {}, outcome.judged


def attemptsOf(outcome: Outcome, state: str) -> int:
    return sum(number for what, number in outcome.attempts.items() if what.split()[1] == state)


@fault("no fault")
def test_a_block_without_a_fault_is_done_at_the_first_attempt(outcome):
    assertExact(outcome)
    assert outcome.recoveries == {}
    assert set(outcome.attempts) == {"rawrec Committed", "merge Committed"}


# ---- jobs


@fault("programs killed")
def test_programs_that_are_killed_at_random_times_cost_attempts_and_no_event(outcome):
    assertExact(outcome)
    assert outcome.facts["programs killed"] > 0


@fault("jobs killed")
def test_jobs_that_are_killed_at_random_times_cost_attempts_and_no_event(outcome):
    assertExact(outcome)
    assert outcome.facts["jobs killed"] > 0


@fault("job runs twice")
def test_of_two_jobs_that_do_the_same_task_at_once_one_counts(outcome):
    assertExact(outcome)
    states = outcome.facts["the two attempts"]
    assert states.count("Committed") == 1, states
    assert "Refused" in states, states


@fault("dead job comes back")
def test_a_dead_job_that_comes_back_and_finishes_changes_nothing_and_leaves_nothing_behind(outcome):
    assertExact(outcome)
    assert "Dead" in outcome.facts["the dead one"]


# ---- between upload and registration


@fault("killed after upload")
def test_what_a_job_uploaded_that_died_before_it_said_so_is_removed_and_made_again(outcome):
    assertExact(outcome)
    assert outcome.facts["caught"] != "no"
    assert attemptsOf(outcome, "Dead") >= 1


@fault("killed after commit")
def test_what_a_job_committed_that_died_before_it_registered_is_registered_for_it(outcome):
    assertExact(outcome)
    assert outcome.facts["caught"] != "no"
    # its work was not thrown away
    assert attemptsOf(outcome, "Committed") == 3


@fault("catalogue away at registration")
def test_an_output_whose_registration_fails_is_registered_later_and_not_made_again(outcome):
    assertExact(outcome)
    assert outcome.facts["caught"] != "no"
    assert attemptsOf(outcome, "Committed") == 3


# ---- sites and inputs


@fault("site away during upload")
def test_an_output_that_meets_a_storage_that_is_away_waits_for_it_or_is_put_elsewhere_or_made_again(outcome):
    assertExact(outcome)


@fault("site refuses outputs")
def test_outputs_that_the_storage_of_a_jobs_own_site_refuses_go_to_another_one_at_the_first_attempt(outcome):
    assertExact(outcome)
    assert outcome.facts["parts at"] == "IHEP-JUNOEOS"
    assert attemptsOf(outcome, "Failed") == 0


@fault("input corrupt at a site")
def test_an_input_that_is_corrupt_at_the_site_of_its_job_is_taken_from_elsewhere(outcome):
    assertExact(outcome)


@fault("input corrupt everywhere")
def test_an_input_that_is_corrupt_everywhere_is_named_as_lost_and_the_rest_goes_on(outcome):
    assert not outcome.error, outcome.error
    assert outcome.ended == "Problem"
    assert outcome.after["Verdict"] == LOSES
    assert outcome.after["ExitCode"] == 1
    named = {each["LFN"] for each in outcome.after["Findings"] if each["Kind"] == "GivenUp"}
    assert {lfn.rpartition("/")[2] for lfn in named} == {outcome.facts["corrupt"]}
    assert "InputCorrupt" in str(outcome.after["Findings"])
    assert "InputCorrupt" in str(outcome.recoveries)
    # and nothing else
    assert set(outcome.lost) == named
    assert set(outcome.verdict) <= {"lost", "unsettled"}, outcome.judged


# ---- services and agents


@fault("services killed")
def test_services_that_are_killed_while_jobs_work_cost_no_event(outcome):
    assertExact(outcome)


@fault("WorkflowTaskAgent killed")
def test_tasks_of_an_agent_that_was_killed_while_it_submitted_are_done(outcome):
    assertExact(outcome)
    assert outcome.facts["killed in the middle"] == "yes"


@fault("agents killed")
def test_agents_of_chains_that_are_killed_again_and_again_cost_no_event(outcome):
    assertExact(outcome)


@fault("MariaDB killed")
def test_a_database_that_is_killed_while_jobs_work_costs_no_event(outcome):
    assertExact(outcome)


def test_every_case_of_the_matrix_of_chains_is_looked_at_by_a_test():
    import ast
    from pathlib import Path

    calls = [node for node in ast.walk(ast.parse(Path(__file__).read_text())) if isinstance(node, ast.Call)]
    looked = {node.args[0].value for node in calls if getattr(node.func, "id", "") == "fault" and node.args}
    assert looked == set(CASES)
