"""Feeding chains: which files go in and when, what holds a step, and when it has ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from chainworld import CNAF, IHEP, JINR, LIMITS, NOW, ChainWorld, Crash, rerec
from hypothesis import given, settings
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.ChainDescription import Gate, RunRange, StepInput
from JUNODIRAC.Core.Domain.ChainRecords import ChainBlockState, ChainScope, ChainState

pytestmark = pytest.mark.unit
DONE, OPEN, CLOSED, VALIDATED = BlockState.DONE, BlockState.OPEN, BlockState.CLOSED, BlockState.VALIDATED


def world_with(*gates: Gate, **kwargs) -> ChainWorld:
    world = ChainWorld(rerec(*gates, **kwargs))
    world.addBlock()
    return world


def waits(world: ChainWorld, blockID: int = 1) -> str:
    return world.inChain[blockID].waits


# ---- blocks


def test_each_new_block_and_its_late_files_come_in_and_older_blocks_do_not():
    world = ChainWorld(scope=ChainScope(eachNewBlock=True, newSince=NOW + timedelta(seconds=5)))
    world.addBlock(1, "20291231")
    world.addBlock(9, "other", typeName="Raw")
    world.run()
    assert world.inChain == {}
    world.addBlock(2, "20300101")
    world.run()
    world.addBlock(3, "20300101-late1", parentID=2)
    world.restart()
    world.run()
    assert set(world.inChain) == {2, 3}
    added = [name for action, name in world.journal if action == "addBlock"]
    assert added == ["rerec-J1-v1 RTRaw/20300101", "rerec-J1-v1 RTRaw/20300101-late1"]
    assert sum("has a new block" in line for line in world.news) == 2


def test_a_block_that_went_through_this_version_in_another_chain_is_left_out_and_not_tried_in_each_cycle():
    world = ChainWorld(scope=ChainScope(blocks=("20300101", "20300102")))
    world.addBlock(1, "20300101")
    world.addBlock(2, "20300102")
    world.othersBlocks = {1}
    for _ in range(4):
        world.run()
    assert set(world.inChain) == {2}
    assert world.calls["addChainBlocks"] <= 2
    assert [name for action, name in world.journal if action == "addBlock"] == ["rerec-J1-v1 RTRaw/20300102"]


def test_a_start_that_was_cut_short_is_completed_after_a_while_and_one_that_is_under_way_is_left_alone():
    world = world_with()
    world.chainState = ChainState.STARTING
    world.register(1, CNAF)
    world.run(seconds=60)
    assert (world.calls["complete"], world.given) == (0, set())
    world.run(seconds=60)
    assert (world.calls["complete"], world.given) == (1, {1})


# ---- which files


def test_a_file_goes_in_when_it_is_at_a_site_of_the_step_and_not_before():
    world = world_with()
    world.register(1, IHEP)
    world.register(2, IHEP, CNAF)
    world.run()
    assert world.given == {2}
    assert waits(world) == "rawrec: 1 file waits for a replica at CNAF-STORM or JINR-EOS: dirac-juno-why 20300101"
    world.copy(1, JINR)
    world.run()
    assert (world.given, waits(world)) == ({1, 2}, "")


def test_what_the_query_does_not_take_is_not_wanted_and_waits_for_nothing():
    wanted = StepInput("RTRaw", ("Physics.Global", "Calib"), (RunRange(7, 8),), ("good", "fair"))
    world = world_with(wanted=wanted)
    world.flag(7, "good")
    world.flag(8, "bad")
    world.register(1, CNAF, run=7)
    world.register(2, CNAF, run=7, stream="Calib.ACU")
    world.register(3, CNAF, run=7, stream="Physics.Other")
    world.register(4, CNAF, run=8)
    world.register(5, CNAF, run=9)
    world.register(6, CNAF, run=None)
    world.run()
    assert world.given == {1, 2}
    assert (world.inChain[1].wantedFiles, waits(world)) == (2, "")


def test_where_a_quality_is_asked_for_files_of_runs_without_a_flag_wait_for_it():
    world = world_with(wanted=StepInput("RTRaw", qualities=("fair", "good")))
    world.register(1, CNAF, run=7802)
    world.run()
    assert world.given == set()
    assert waits(world) == (
        "rawrec: 1 file waits for run 7802 to be flagged fair or good: dirac-juno-run flag 7802 --quality fair"
    )
    world.flag(7802, "bad")
    world.run()
    assert (waits(world), world.inChain[1].wantedFiles) == ("", 0)


def test_with_the_gate_for_good_runs_others_wait_and_say_so():
    world = world_with(Gate.RUN_GOOD)
    for number in range(1, 1202):
        world.register(number, CNAF, run=7802 if number <= 1200 else 7803)
    world.flag(7803, "bad")
    world.run()
    assert world.given == set()
    assert waits(world).splitlines() == [
        "rawrec: 1,200 files wait for run 7802 to be flagged good: dirac-juno-run flag 7802 --quality good",
        "rawrec: 1 file waits because run 7803 was flagged bad: dirac-juno-run flag 7803 --quality good would let them in",
    ]
    assert world.calls["replicasOf"] == 0
    world.flag(7802, "good")
    world.run()
    assert world.given == set(range(1, 1201))


def test_a_file_that_went_in_is_not_taken_back_when_its_run_turns_bad():
    world = world_with(Gate.RUN_GOOD)
    world.register(1, CNAF)
    world.flag(7, "good")
    world.run()
    world.flag(7, "bad")
    world.run()
    assert (world.given, world.inChain[1].attachedFiles) == ({1}, 1)


def test_files_go_in_where_their_block_is_validated_and_the_catalogue_is_not_asked_before():
    world = world_with(Gate.BLOCK_VALIDATED)
    world.register(1, IHEP, CNAF)
    world.register(2, IHEP, JINR)
    world.run()
    assert (world.given, world.calls["replicasOf"]) == (set(), 0)
    assert waits(world) == (
        "rawrec: 2 files wait for the block to be validated at CNAF-STORM or JINR-EOS: dirac-juno-block-status 20300101"
    )
    world.setState(CLOSED, CNAF=VALIDATED)
    world.run()
    assert world.given == {1}
    assert "1 file waits for the block to be validated at JINR-EOS (it is Open there)" in waits(world)
    world.setState(DONE, JINR=DONE)
    world.run()
    assert world.given == {1, 2}


def test_where_files_arrive_the_block_itself_stands_for_the_site():
    world = world_with(Gate.BLOCK_VALIDATED, sites=("GRID.IHEP.cn",))
    world.register(1, IHEP)
    world.setState(CLOSED, CNAF=VALIDATED)
    world.run()
    assert world.given == set()
    world.setState(VALIDATED)
    world.run()
    assert world.given == {1}


def test_files_at_a_storage_that_does_not_answer_wait_and_those_elsewhere_go_in():
    world = world_with(Gate.STORAGE)
    world.failures["storage CNAF-STORM"] = "no answer within 10 s"
    world.register(1, CNAF)
    world.register(2, CNAF, JINR)
    world.run()
    assert world.given == {2}
    assert "1 file waits for the storage CNAF-STORM, which does not answer (no answer within 10 s)" in waits(world)
    assert world.statusOf[11] == "Active"
    world.failures.clear()
    world.run()
    assert world.given == {1, 2}


# ---- cheap, and right again


def test_where_nothing_changed_neither_catalogue_nor_files_are_asked_for():
    world = world_with()
    world.register(1, IHEP)
    for number in range(2, 50):
        world.register(number, CNAF)
    world.run()
    asked = world.calls["replicasOf"], world.calls["unattachedFiles"], world.calls["fileCounts"]
    for _ in range(5):
        world.run()
    assert (world.calls["replicasOf"], world.calls["unattachedFiles"], world.calls["fileCounts"]) == asked
    world.run(seconds=3600)
    assert world.calls["replicasOf"] > asked[0]


def test_a_catalogue_that_is_away_holds_up_only_what_has_to_be_asked():
    world = world_with()
    world.scope = ChainScope(blocks=("20300101", "20300102"))
    world.addBlock(2, "20300102")
    world.register(1, CNAF)
    world.down.add("catalogue")
    report = world.run()
    assert list(report.troubles) == ["rerec-J1-v1 block 20300101"]
    assert world.inChain[2].endedSteps == 0
    world.down.clear()
    world.run()
    assert world.given == {1}


def test_files_that_the_transformation_did_not_take_are_given_again():
    world = world_with()
    world.register(1, CNAF)
    world.register(2, CNAF)
    world.refused = {"/rtraw/2"}
    assert "1 file(s) were not attached" in world.run().troubles["rerec-J1-v1 block 20300101"]
    world.refused = set()
    world.run(seconds=30)
    assert world.given == {1, 2}


def test_files_that_got_lost_while_the_transformation_system_was_away_are_given_as_soon_as_it_is_back():
    world = world_with()
    world.register(1, CNAF)
    world.run()
    world.register(2, CNAF)
    world.down = {"transformations"}
    assert list(world.run().troubles) == ["rerec-J1-v1 block 20300101", "files of rerec-J1-v1"]
    assert (world.given, set(world.inputs)) == ({1}, {(1, 1), (1, 2)})
    world.down = set()
    world.run(seconds=30)
    assert world.given == {1, 2}


def test_outputs_that_the_next_step_did_not_get_are_given_to_it():
    world = world_with()
    world.register(1, CNAF)
    world.run()
    world.process(1)
    world.attached[12].clear()
    world.run(seconds=3600)
    assert set(world.attached[12]) == {"/esd/1"}


@st.composite
def histories(draw):
    """What happens, in any order: files, copies, flags, states of the block, cycles, and kills of the agent."""
    event = st.one_of(
        st.tuples(st.just("register"), st.integers(1, 6), st.sampled_from([IHEP, CNAF])),
        st.tuples(st.just("copy"), st.integers(1, 6), st.sampled_from([CNAF, JINR])),
        st.tuples(st.just("flag"), st.integers(7, 9), st.sampled_from(["good", "bad"])),
        st.tuples(st.just("state"), st.sampled_from([OPEN, CLOSED, VALIDATED]), st.sampled_from([OPEN, VALIDATED])),
        st.tuples(st.just("cycle"), st.just(0), st.just(0)),
        st.tuples(st.just("crash"), st.integers(1, 4), st.booleans()),
        st.tuples(st.just("away"), st.sampled_from(["catalogue", "transformations"]), st.just(0)),
    )
    return draw(st.lists(event, max_size=25))


def cycleOrCrash(world: ChainWorld) -> None:
    try:
        world.run()
    except Crash:
        world.restart()


@settings(max_examples=300, deadline=None)
@given(events=histories(), gates=st.sets(st.sampled_from([Gate.RUN_GOOD, Gate.BLOCK_VALIDATED])))
def test_each_file_goes_in_exactly_once_whatever_comes_in_which_order(events, gates):
    world = world_with(*gates)
    for what, one, other in events:
        if what == "register" and one not in world.files:
            world.register(one, other, run=7 + one % 3)
        elif what == "copy" and one in world.files:
            world.copy(one, other)
        elif what == "flag":
            world.flag(one, other)
        elif what == "state":
            world.setState(one, CNAF=other, JINR=OPEN)
        elif what == "crash":
            world.crashAt, world.crashAfter = world.changes + one, other
            cycleOrCrash(world)
            world.crashAt = None
        elif what == "away":
            world.down = {one}
            cycleOrCrash(world)
            world.down = set()
        else:
            cycleOrCrash(world)
    for run in (7, 8, 9):
        world.flag(run, "good")
    world.setState(VALIDATED, CNAF=VALIDATED, JINR=VALIDATED)
    for _ in range(2):
        world.run(seconds=60)
    assert world.given == {each for each, stored in world.files.items() if stored.replicas & {CNAF, JINR}}
    assert world.given == {fileID for _, fileID in world.inputs}
    assert set(world.added.values()) <= {1}


# ---- services


def test_a_step_is_held_while_a_service_is_away_and_goes_on_after_two_answers():
    world = world_with(Gate.CONDITIONS)
    world.run()
    assert world.statusOf[11] == "Active"
    world.failures["conditions"] = "no answer within 10 s"
    world.run()
    assert world.statusOf == {11: "Stopped", 12: "Active"}
    assert world.steps[0].held == "conditions-up: the conditions service does not answer: no answer within 10 s"
    world.failures.clear()
    world.run()
    assert world.statusOf[11] == "Stopped"
    world.run()
    assert (world.statusOf[11], world.steps[0].held) == ("Active", "")
    assert [action for action, _ in world.journal if "Step" in action] == ["holdStep", "releaseStep"]
    assert len([line for line in world.news if "is held" in line or "goes on" in line]) == 2


def test_services_are_not_asked_in_each_cycle():
    world = world_with(Gate.CATALOGUE)
    limits = replace(LIMITS, probePeriodSeconds=100)
    for _ in range(5):
        world.run(limits=limits)
    assert world.calls["probe"] == 1


def test_a_step_is_not_held_while_one_of_its_storages_answers():
    world = world_with(Gate.STORAGE)
    world.failures = {"storage CNAF-STORM": "away"}
    report = world.run()
    assert (world.statusOf[11], report.troubles) == ("Active", {})
    world.failures["storage JINR-EOS"] = "away"
    world.run()
    assert world.statusOf[11] == "Stopped"


def test_what_a_person_stopped_is_never_started():
    world = world_with(Gate.CATALOGUE)
    world.statusOf[11] = "Stopped"
    world.failures["catalogue"] = "away"
    world.run()
    assert world.steps[0].held == ""
    world.failures.clear()
    for _ in range(3):
        world.run()
    assert world.statusOf[11] == "Stopped"


def test_a_stopped_chain_is_left_alone_also_one_that_was_held():
    world = world_with(Gate.CATALOGUE)
    world.failures["catalogue"] = "away"
    world.run()
    world.chainState = ChainState.STOPPED
    world.register(1, CNAF)
    world.failures.clear()
    for _ in range(3):
        world.run()
    assert (world.statusOf[11], world.given) == ("Stopped", set())


def test_a_person_who_stops_a_chain_at_the_moment_of_a_release_is_not_overtaken():
    world = world_with(Gate.CATALOGUE)
    world.failures["catalogue"] = "away"
    world.run()
    world.failures.clear()
    world.stopsWhenActive = True
    for _ in range(3):
        world.run()
    assert world.statusOf[11] == "Stopped"


@pytest.mark.parametrize("isAfter", [False, True])
@pytest.mark.parametrize("number", range(1, 5))
def test_a_kill_while_holding_or_releasing_leaves_no_step_stopped_for_ever(number, isAfter):
    world = world_with(Gate.CATALOGUE)
    world.run()
    world.failures["catalogue"] = "away"
    world.crashAt, world.crashAfter = world.changes + number, isAfter
    for _ in range(3):
        cycleOrCrash(world)
    assert world.statusOf[11] == "Stopped"
    assert world.steps[0].held
    world.failures.clear()
    for _ in range(4):
        cycleOrCrash(world)
    assert (world.statusOf[11], world.steps[0].held) == ("Active", "")


def test_a_restart_does_not_release_after_a_single_answer():
    world = world_with(Gate.CATALOGUE)
    world.failures["catalogue"] = "away"
    world.run()
    world.failures.clear()
    world.restart()
    world.run()
    assert world.statusOf[11] == "Stopped"


def test_a_site_that_is_not_configured_holds_up_its_own_chain_alone():
    world = world_with(Gate.STORAGE, sites=("GRID.Nowhere.org",))
    world.register(1, CNAF)
    report = world.run()
    assert set(report.troubles) == {"services for rerec-J1-v1", "rerec-J1-v1 block 20300101"}
    assert "no storage element" in report.troubles["services for rerec-J1-v1"]


# ---- ends


def ended(world: ChainWorld) -> tuple[int, ChainBlockState]:
    return world.inChain[1].endedSteps, world.inChain[1].state


def test_steps_end_one_after_the_other_and_are_at_work_again_when_a_late_file_comes():
    world = world_with()
    world.run()
    assert ended(world) == (0, ChainBlockState.WAITING)
    world.register(1, CNAF)
    world.register(2, CNAF)
    world.run()
    assert ended(world) == (0, ChainBlockState.RUNNING)
    world.process(1)
    world.setState(CLOSED)
    world.run()
    assert ended(world) == (0, ChainBlockState.RUNNING)
    world.process(2)
    world.run()
    assert ended(world) == (1, ChainBlockState.RUNNING)
    world.finishCopies()
    world.run()
    assert ended(world) == (2, ChainBlockState.RUNNING)
    world.inChain[1] = replace(world.inChain[1], state=ChainBlockState.DONE)
    world.setState(DONE)
    world.run()
    assert ended(world) == (2, ChainBlockState.DONE)
    world.setState(OPEN)
    world.register(3, CNAF)
    world.run()
    assert ended(world) == (0, ChainBlockState.RUNNING)


def test_a_step_does_not_end_while_the_block_is_open_or_a_file_waits_or_an_output_is_not_registered():
    world = world_with(Gate.RUN_GOOD)
    world.flag(7, "good")
    world.register(1, CNAF)
    world.run()
    world.process(1)
    world.finishCopies()
    world.run()
    assert ended(world) == (0, ChainBlockState.RUNNING)
    world.register(2, CNAF, run=8)
    world.setState(CLOSED)
    world.run()
    assert ended(world)[0] == 0
    world.flag(8, "good")
    world.run()
    world.process(2, state="Committed")
    world.run()
    assert ended(world) == (0, ChainBlockState.RUNNING)


def test_nothing_ends_while_it_is_not_known_what_waits():
    world = world_with()
    world.register(1, CNAF)
    world.setState(CLOSED)
    world.down.add("catalogue")
    world.run()
    assert ended(world) == (0, ChainBlockState.WAITING)


def test_a_lost_attachment_is_no_end():
    world = world_with()
    world.register(1, CNAF)
    world.setState(CLOSED)
    world.run()
    world.process(1)
    world.attached[12].clear()
    world.run()
    assert ended(world) == (1, ChainBlockState.RUNNING)


def test_what_was_given_up_makes_a_problem_and_what_was_waived_does_not():
    world = world_with()
    world.register(1, CNAF)
    world.setState(CLOSED)
    world.run()
    world.givenUp[1] = "GivenUp"
    world.run()
    assert ended(world) == (2, ChainBlockState.PROBLEM)
    assert world.inChain[1].problem.startswith("GivenUp: ")
    world.givenUp[1] = "Waived"
    world.run()
    assert (ended(world), world.inChain[1].problem) == ((2, ChainBlockState.RUNNING), "")


def test_a_problem_that_others_found_stays():
    world = world_with()
    world.register(1, CNAF)
    world.run()
    world.inChain[1] = replace(world.inChain[1], state=ChainBlockState.PROBLEM, problem="Audit: 1 input without daughter")
    world.run()
    assert ended(world) == (0, ChainBlockState.PROBLEM)


def test_a_step_that_is_held_for_long_is_a_problem_of_its_blocks_until_it_goes_on():
    world = world_with(Gate.CATALOGUE)
    world.register(1, CNAF)
    world.failures["catalogue"] = "away"
    world.run()
    assert ended(world) == (0, ChainBlockState.RUNNING)
    world.run(seconds=700)
    assert ended(world) == (0, ChainBlockState.PROBLEM)
    assert "Held: step rawrec since" in world.inChain[1].problem
    world.failures.clear()
    for _ in range(2):
        world.run()
    assert ended(world) == (0, ChainBlockState.RUNNING)
