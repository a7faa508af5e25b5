"""What is a problem and what is not, from what was observed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from JUNODIRAC.Core.Domain.LedgerRecords import ReceiverRecord, SweepRecord
from JUNODIRAC.Core.Logic.IngestWatch import (
    ConflictSign,
    LedgerSigns,
    Observations,
    RateSign,
    ServiceSign,
    Thresholds,
    findProblems,
    unknownKinds,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LIMITS = Thresholds(
    windowSeconds=3600,
    quarantineShare=0.1,
    quarantineMinimum=10,
    receiverSilenceSeconds=300,
    troubleSeconds=600,
    serviceDownSeconds=120,
)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def observed(ledger: LedgerSigns | None = None, **others) -> Observations:
    seen = {"watchedSince": ago(9000), **others}
    return Observations(now=NOW, ledger=ledger or LedgerSigns(), **seen)


def keys(seen: Observations, standing: tuple[str, ...] = ()) -> list[str]:
    return [problem.key for problem in findProblems(seen, LIMITS, set(standing))]


def rate(messages: int, quarantined: int, **reasons: int) -> LedgerSigns:
    return LedgerSigns(rates={"Raw": RateSign(messages, quarantined, reasons)})


def receiver(heartbeat: float = 5, trouble: str = "", troubleSince: float = 0) -> ReceiverRecord:
    since = ago(troubleSince) if trouble else None
    return ReceiverRecord("Raw", "RawReceiverAgent", "host1", 17, ago(9000), ago(heartbeat), trouble, since)


def sweep(directory: str, neverAnnounced: int, notOnStorage: int, seconds: float = 60) -> SweepRecord:
    return SweepRecord("Raw", directory, ago(seconds), 10, 10, neverAnnounced, notOnStorage)


def service(name: str = "DataManagement/FileCatalog", since: float = 120) -> ServiceSign:
    return ServiceSign(name, ago(since), "connection refused", "start it")


def test_where_all_is_well_there_is_no_problem():
    ledger = LedgerSigns(
        rates={"Raw": RateSign(100, 10)},
        lastAnnouncements={"Raw": ago(10)},
        receivers=[receiver()],
        sweeps=[sweep("/juno/raw/2023/0302", 0, 0)],
    )
    assert findProblems(observed(ledger, silenceLimitsSeconds={"Raw": 60, "RTRaw": 0}), LIMITS, set()) == []


@pytest.mark.parametrize(
    ("messages", "quarantined", "told"), [(100, 11, True), (100, 10, False), (9, 9, False), (10, 10, True), (0, 0, False)]
)
def test_refused_announcements_are_a_problem_above_a_share_and_a_number(messages, quarantined, told):
    assert keys(observed(rate(messages, quarantined))) == (["quarantine:Raw"] if told else [])


def test_the_quarantine_problem_names_type_share_commonest_reasons_and_the_command():
    (problem,) = findProblems(observed(rate(400, 300, ZeroSize=200, BadName=80, BadPath=15, Undecodable=5)), LIMITS, set())
    assert "Type Raw" in problem.sentence
    assert "300 of 400 (75 %)" in problem.detail
    assert "ZeroSize 200 (the file is empty); BadName 80" in problem.detail
    assert "Undecodable" not in problem.detail
    assert "dirac-juno-quarantine list --type Raw" in problem.remedy


def test_a_quarantine_problem_ends_at_half_the_share_so_that_it_does_not_come_and_go():
    assert keys(observed(rate(100, 8)), ("quarantine:Raw",)) == ["quarantine:Raw"]
    assert keys(observed(rate(100, 5)), ("quarantine:Raw",)) == []


def test_a_conflict_is_a_problem_as_long_as_nobody_has_decided_it():
    ledger = LedgerSigns(conflicts={"Raw": ConflictSign(7, ago(900), ["a.dat", "b.dat"])})
    (problem,) = findProblems(observed(ledger), LIMITS, set())
    assert (problem.key, problem.since) == ("conflict:Raw", ago(900))
    assert "7: a.dat, b.dat, ..." in problem.detail
    assert "dirac-juno-quarantine list --type Raw --code Conflict" in problem.remedy


def test_silence_is_a_problem_only_for_types_that_set_a_limit_and_only_after_it():
    ledger = LedgerSigns(lastAnnouncements={"Raw": ago(100), "RTRaw": ago(100), "ESD": ago(100)})
    (problem,) = findProblems(observed(ledger, silenceLimitsSeconds={"Raw": 100, "RTRaw": 101, "ESD": 0}), LIMITS, set())
    assert (problem.key, problem.since) == ("silence:Raw", ago(100))


def test_a_type_of_which_nothing_ever_came_is_silent_since_the_watch_began():
    limits = {"Raw": 50, "RTRaw": 51}
    (problem,) = findProblems(observed(silenceLimitsSeconds=limits, watchedSince=ago(50)), LIMITS, set())
    assert (problem.key, problem.since) == ("silence:Raw", ago(50))
    assert "none ever came" in problem.detail


def test_a_type_has_a_silent_receiver_only_if_none_of_its_receivers_lives():
    dead = receiver(heartbeat=301)
    assert keys(observed(LedgerSigns(receivers=[dead]))) == ["receiver:Raw"]
    assert keys(observed(LedgerSigns(receivers=[dead, replace(receiver(), host="host2")]))) == []
    assert keys(observed(LedgerSigns(receivers=[receiver(heartbeat=299)]))) == []


def test_nobody_misses_the_receiver_of_a_type_that_is_no_longer_configured():
    ledger = LedgerSigns(receivers=[receiver(heartbeat=301)])
    assert keys(observed(ledger, silenceLimitsSeconds={"Raw": 0})) == ["receiver:Raw"]
    assert keys(observed(ledger, silenceLimitsSeconds={"RTRaw": 0})) == []


def test_after_the_ledger_was_away_nobody_is_late_before_he_could_have_written_to_it():
    ledger = LedgerSigns(receivers=[receiver(heartbeat=5000)], lastAnnouncements={"Raw": ago(5000)})
    limits = {"Raw": 600}
    assert keys(observed(ledger, silenceLimitsSeconds=limits, watchedSince=ago(299))) == []
    assert keys(observed(ledger, silenceLimitsSeconds=limits, watchedSince=ago(300))) == ["receiver:Raw"]
    assert keys(observed(ledger, silenceLimitsSeconds=limits, watchedSince=ago(600))) == ["silence:Raw", "receiver:Raw"]
    # what was told before has not ended because the ledger was away
    standing = ("silence:Raw", "receiver:Raw")
    assert keys(observed(ledger, silenceLimitsSeconds=limits, watchedSince=NOW), standing) == list(standing)


def test_a_receiver_in_trouble_is_a_problem_after_a_time_with_what_it_says():
    for seconds, told in ((599, False), (600, True)):
        ledger = LedgerSigns(receivers=[receiver(trouble="no group juno_prod", troubleSince=seconds)])
        problems = findProblems(observed(ledger), LIMITS, set())
        assert [problem.key for problem in problems] == (["trouble:Raw"] if told else [])
    assert "no group juno_prod" in problems[0].detail


def test_a_receiver_that_waits_for_a_service_that_is_down_is_not_told_twice():
    waiting = receiver(trouble="DataManagement/FileCatalog is not available: connection refused", troubleSince=700)
    ledger = LedgerSigns(receivers=[waiting])
    assert keys(observed(ledger, services=[service()])) == ["service:DataManagement/FileCatalog"]
    assert keys(observed(ledger, services=[service("Transformation/TransformationManager", 1)])) == ["trouble:Raw"]


def test_a_service_is_a_problem_after_a_time_and_then_until_it_answers():
    assert keys(observed(services=[service(since=119)])) == []
    assert keys(observed(services=[service(since=120)])) == ["service:DataManagement/FileCatalog"]
    # a restart of the watch forgets since when it is down
    assert keys(observed(services=[service(since=0)]), ("service:DataManagement/FileCatalog",)) != []


def test_differences_between_storage_and_ledger_are_one_problem_a_type():
    sweeps = [
        sweep("/juno/raw/2023/0301", 3, 0, 7000),
        sweep("/juno/raw/2023/0302", 0, 2),
        sweep("/juno/raw/2023/0303", 0, 0),
    ]
    (problem,) = findProblems(observed(LedgerSigns(sweeps=sweeps)), LIMITS, set())
    assert problem.key == "sweep:Raw"
    assert "0302: 0 never announced, 2 not on the storage; /juno/raw/2023/0301: 3 never announced" in problem.detail
    assert "0303" not in problem.detail


def test_a_wrong_configuration_is_told_with_what_is_wrong():
    (problem,) = findProblems(observed(badTypes="/Operations/Defaults/RawData/Types/Raw/Topic: it is missing"), LIMITS, set())
    assert problem.key == "configuration:Types"
    assert "Raw/Topic" in problem.detail


def test_while_the_ledger_is_away_only_services_are_judged_and_nothing_of_the_ledger_is_taken_for_over():
    seen = Observations(now=NOW, watchedSince=ago(9000), ledger=None, services=[service()], silenceLimitsSeconds={"Raw": 1})
    assert keys(seen) == ["service:DataManagement/FileCatalog"]
    ofIngest = {"quarantine", "conflict", "silence", "receiver", "trouble", "sweep", "chain"}
    assert ofIngest | {"givenup", "pause", "badreplica"} == unknownKinds(seen)
    assert unknownKinds(observed()) == set()
