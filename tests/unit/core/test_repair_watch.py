"""What people are told of repairs, and when sites are paused."""

from datetime import UTC, datetime, timedelta

import pytest

from JUNODIRAC.Core.Domain.RepairRecords import Pause, nextPauseSeconds
from JUNODIRAC.Core.Domain.TransferErrors import MAX_PAUSE_SECONDS, POLICIES, ErrorClass
from JUNODIRAC.Core.Logic.AutoPause import pauseNeeded
from JUNODIRAC.Core.Logic.RepairCycle import Failure
from JUNODIRAC.Core.Logic.RepairWatch import BadReplicaSign, GivenUpSign, RepairSigns, repairProblems

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SE = "CNAF-EOS"
FULL = ErrorClass.DESTINATION_FULL
FIRST = POLICIES[FULL].pauseSeconds


def pause(since=NOW, seconds=600.0, errorClass="DestinationFull", ended=None) -> Pause:
    return Pause(1, SE, 0, since, since + timedelta(seconds=seconds), "BlockRepairAgent", "no room", errorClass, ended=ended)


def failure(number=0, errorClass=FULL, time=NOW) -> Failure:
    return Failure(f"/f{number}", errorClass, time, "DESTINATION [28] No space left on device")


def test_one_full_destination_is_enough_for_a_pause_and_other_errors_need_more_files():
    assert pauseNeeded([failure()], [], NOW).until == NOW + timedelta(seconds=FIRST)
    down = [failure(number, ErrorClass.DESTINATION_DOWN) for number in range(3)]
    assert pauseNeeded(down[:2], [], NOW) is None
    assert pauseNeeded([down[0]] * 3, [], NOW) is None
    assert pauseNeeded(down, [], NOW).errorClass is ErrorClass.DESTINATION_DOWN


@pytest.mark.parametrize("errorClass", [each for each in ErrorClass if not POLICIES[each].pauseFiles])
def test_what_is_not_the_sites_fault_never_pauses_it(errorClass):
    assert pauseNeeded([failure(number, errorClass) for number in range(100)], [], NOW) is None


def test_failures_from_before_the_last_pause_do_not_count_again():
    before = [pause(since=NOW - timedelta(seconds=700))]
    assert pauseNeeded([failure(time=NOW - timedelta(seconds=800))], before, NOW) is None
    assert pauseNeeded([failure(time=NOW - timedelta(seconds=50))], before, NOW) is not None


def test_a_site_that_is_paused_is_not_paused_again():
    assert pauseNeeded([failure(time=NOW + timedelta(seconds=1))], [pause()], NOW + timedelta(seconds=2)) is None


def test_a_pause_is_doubled_if_the_error_comes_again_and_up_to_a_limit():
    now, seconds, before = NOW, [], []
    for _ in range(8):
        lasts = nextPauseSeconds(before, FULL, FIRST, MAX_PAUSE_SECONDS, now)
        seconds.append(lasts)
        before.append(pause(since=now, seconds=lasts))
        now += timedelta(seconds=lasts + 60)
    assert seconds[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert seconds[-1] == MAX_PAUSE_SECONDS


def test_after_a_quiet_time_or_a_persons_resume_a_pause_is_short_again():
    long = pause(seconds=4 * FIRST)
    later = NOW + timedelta(seconds=4 * FIRST + 9 * FIRST)
    assert nextPauseSeconds([long], FULL, FIRST, MAX_PAUSE_SECONDS, later) == FIRST
    resumed = pause(seconds=4 * FIRST, ended=NOW + timedelta(seconds=10))
    assert nextPauseSeconds([resumed], FULL, FIRST, MAX_PAUSE_SECONDS, NOW + timedelta(seconds=20)) == FIRST


def test_given_up_files_of_a_site_are_one_problem_with_who_acts_and_the_command():
    signs = [GivenUpSign(SE, "Raw", f"2023030{day}", {"DestinationFull": 3, "Timeout": 1}, NOW, "no room") for day in (1, 2)]
    (problem,) = repairProblems(RepairSigns(givenUp=signs), NOW)
    assert problem.key == f"givenup:{SE}"
    assert "6 DestinationFull, 2 Timeout" in problem.detail
    assert "the destination site" in problem.remedy
    assert f"dirac-juno-block retransfer BLOCK --type TYPE --site {SE} --only-failed" in problem.remedy


def test_a_pause_is_told_and_is_over_only_when_its_site_had_as_much_time_again():
    found = pause(seconds=600)
    for seconds, isTold in ((1, True), (601, True), (1199, True), (1201, False)):
        problems = list(repairProblems(RepairSigns(pauses=[found]), NOW + timedelta(seconds=seconds)))
        assert bool(problems) is isTold


def test_bad_replicas_of_a_site_are_one_problem():
    (problem,) = repairProblems(RepairSigns(badReplicas=[BadReplicaSign(SE, 4, NOW, "/f", "adler32 1")]), NOW)
    assert (problem.key, problem.detail) == (f"badreplica:{SE}", "4, e.g. /f: adler32 1")
