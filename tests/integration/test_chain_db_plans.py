"""Planning of the tasks of a chain, on a real database."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ledgertools import makeFile
from plannedchain import CNAF, JINR, MERGE, NOW, PROCESS, STORAGES, PlannedChain

from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.ProductionSystem.Client.PlanDesk import PlanDesk
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

pytestmark = pytest.mark.integration


@pytest.fixture
def chain(ledger: RawDataDB, typeName: str) -> Iterator[PlannedChain]:
    made = PlannedChain(ChainLedger(), typeName)
    yield made
    made.delete()


def lfns(files: Sequence[RawFile]) -> list[str]:
    return [file.lfn for file in files]


# ---- process


def test_each_input_goes_to_a_site_that_has_it_and_its_stream_stays_there_also_after_a_restart(chain):
    files = lfns(chain.announce(3, 1, 2))
    chain.give()
    groups = chain.planned(PROCESS, {files[0]: [JINR], files[1]: [JINR], files[2]: [JINR]})
    assert groups == [(JINR, [lfn]) for lfn in sorted(files)]
    chain.desk = PlanDesk(chain.chains, STORAGES.__getitem__)
    assert chain.planned(PROCESS, {files[0]: [CNAF, JINR]}) == [(JINR, files[:1])]


def test_an_input_that_is_not_at_the_site_of_its_stream_is_looked_up_again_until_its_patience_is_over(chain):
    files = lfns(chain.announce(1, 2))
    chain.give()
    chain.planned(PROCESS, {files[0]: [JINR]})
    answer = chain.desk.plan(chain.transformation(PROCESS), {files[1]: [CNAF]}, None, 1800)
    assert answer == {"Groups": [], "Awaited": [files[1]]}
    assert chain.planned(PROCESS, {files[1]: [CNAF]}, patience=0) == [(CNAF, [files[1]])]


def test_streams_of_blocks_are_spread_over_the_sites_by_the_inputs_that_are_not_done(chain):
    both = [CNAF, JINR]
    went: Counter[str] = Counter()
    for block, count in (("b1", 4), ("b2", 1), ("b3", 1), ("b4", 1)):
        files = lfns(chain.announce(*range(count), block=block))
        chain.give(block)
        went.update(se for se, _ in chain.planned(PROCESS, dict.fromkeys(files, both)))
    assert went == {CNAF: 4, JINR: 3}
    # three of the four are done
    chain.process(0, 1, 2, 3)
    files = lfns(chain.announce(1, block="b5"))
    chain.give("b5")
    assert chain.planned(PROCESS, {files[0]: both}) == [(CNAF, files)]


def test_a_block_that_is_copied_to_a_site_with_less_to_do_is_processed_there(chain):
    first = lfns(chain.announce(1, 2))
    chain.give()
    chain.planned(PROCESS, {lfn: [CNAF] for lfn in first})
    (file,) = lfns(chain.announce(1, block="b2"))
    chain.give("b2")
    sql = "INSERT INTO BlockTransfers (BlockID, SE, TransformationID, CreatedTime) VALUES (%s, %s, 1, %s)"
    chain.chains.execute(sql, (chain.blockID("b2"), JINR, NOW))
    assert chain.planned(PROCESS, {file: [CNAF]}) == []
    assert chain.planned(PROCESS, {file: [CNAF, JINR]}) == [(JINR, [file])]


def test_what_is_done_given_up_waived_or_no_input_of_the_chain_is_not_planned(chain):
    files = lfns(chain.announce(1, 2, 3, 4))
    given = chain.give()
    stranger = lfns(chain.announce(5))
    chain.process(1)
    chain.recover(PROCESS, given[files[1]], "GivenUp")
    chain.recover(PROCESS, given[files[2]], "Waived")
    asked = {lfn: [CNAF] for lfn in (*files, *stranger, "/juno/nowhere/file")}
    assert chain.planned(PROCESS, asked) == [(CNAF, [files[3]])]


def test_an_input_whose_job_could_not_run_at_its_site_goes_to_another_one(chain):
    files = lfns(chain.announce(1, 2))
    given = chain.give()
    asked = {lfn: [CNAF, JINR] for lfn in files}
    ((home, _), _) = chain.planned(PROCESS, asked)
    other = {CNAF: JINR, JINR: CNAF}[home]
    chain.recover(PROCESS, given[files[0]], "Recovering", "NoRoom")
    chain.recover(PROCESS, given[files[1]], "Recovering", "ProgramFailed")
    assert sorted(chain.planned(PROCESS, asked)) == sorted([(other, files[:1]), (home, files[1:])])


# ---- merge


def test_parts_are_merged_when_a_group_is_full_and_the_rest_when_the_block_is_closed(chain):
    chain.announce(*range(1, 6))
    chain.give()
    parts = chain.process(5, 3, 1, 4, 2)
    assert chain.merges(parts) == [[1, 2, 3]]
    chain.merge(parts[2:3] + parts[4:] + parts[1:2])
    # asked for once more, by an agent that does not know it yet
    assert chain.merges(parts) == []
    chain.close()
    assert chain.merges(parts) == [[4, 5]]


def test_a_closed_block_waits_for_what_is_not_processed_yet_but_for_nothing_that_was_given_up(chain):
    chain.announce(1, 2, 3, 4)
    given = chain.give()
    chain.close()
    parts = chain.process(1, 2, 4)
    assert chain.merges(parts) == []
    for state, expected in (("Recovering", []), ("GivenUp", [[1, 2, 4]]), ("Waived", [[1, 2, 4]])):
        chain.recover(PROCESS, given[makeFile(chain.typeName, 3, "b1").lfn], state)
        assert chain.merges(parts) == expected


@pytest.mark.parametrize(
    ("state", "isOpen", "groups"),
    [
        ("Registered", True, []),
        ("Registered", False, []),
        ("Announced", False, []),
        ("Waiting", False, []),
        ("Quarantined", True, []),
        ("Quarantined", False, [[2, 3, 4], [5]]),
        ("Waived", True, [[2, 3, 4]]),
        ("Dropped", False, [[2, 3, 4], [5]]),
    ],
)
def test_a_file_that_may_still_be_given_to_the_chain_holds_back_what_comes_after_it(chain, state, isOpen, groups):
    chain.announce(2, 3, 4, 5)
    chain.give()
    parts = chain.process(2, 3, 4, 5)
    chain.announce(1, state=state)
    if not isOpen:
        chain.close()
    assert chain.merges(parts) == groups


def test_a_file_that_was_never_announced_is_waited_for_while_the_block_is_open(chain):
    chain.announce(1, 2, 3, 4, 6, 7, 8, 9)
    chain.give()
    parts = chain.process(1, 2, 3, 4, 6, 7, 8, 9)
    assert chain.merges(parts) == [[1, 2, 3]]
    chain.close()
    assert chain.merges(parts) == [[1, 2, 3], [4, 6, 7], [8, 9]]


def test_a_run_that_goes_on_in_another_block_begins_there_where_the_first_left_off(chain):
    chain.announce(1, 2, block="b0")
    chain.announce(3, 4, 5, 6)
    chain.give()
    assert chain.merges(chain.process(3, 4, 5, 6)) == [[3, 4, 5]]


@pytest.mark.parametrize(("quality", "groups"), [("", []), ("good", []), ("bad", [[1, 2, 3], [4]])])
def test_a_run_that_nobody_flagged_yet_is_waited_for_and_one_that_is_not_wanted_is_not(chain, quality, groups):
    chain.addGate("run-good")
    chain.announce(0, 1, 2, 3, 4)
    run = random.randrange(10**12, 10**13)  # flags are of all chains
    chain.chains.execute("UPDATE Files SET RunNumber = %s WHERE FileID = %s", (run, chain.fileID(0)))
    given = [chain.fileID(number) for number in (1, 2, 3, 4)]
    chain.chains.recordChainInputs(chain.chainID, PROCESS, chain.blockID(), given, NOW)
    chain.close()
    parts = chain.process(1, 2, 3, 4, FirstRun=10**14, LastRun=10**14)
    if quality:
        chain.chains.flagRuns([run], quality, "prod", "test", NOW)
    assert chain.merges(parts) == groups
    chain.chains.execute("DELETE FROM RunQuality WHERE RunNumber = %s", (run,))


def test_a_part_that_is_made_and_not_given_to_the_merge_yet_holds_back_what_comes_after_it(chain):
    chain.announce(*range(1, 9))
    chain.give()
    chain.close()
    parts = chain.process(1, 2, 3, 5, 6, 7, 8)
    chain.process(4, State="Committed", RegisteredTime=None)
    assert chain.merges(parts) == [[1, 2, 3]]
    # registered, but after the agent has read what is free
    chain.chains.execute("UPDATE Products SET State = 'Registered', RegisteredTime = %s WHERE LFN = %s",
                         (datetime.now(UTC), chain.partOf(4)))  # fmt: skip
    assert chain.merges(parts) == [[1, 2, 3]]
    # long before: a task has it
    chain.chains.execute("UPDATE Products SET RegisteredTime = %s WHERE LFN = %s", (NOW - timedelta(hours=1), chain.partOf(4)))
    assert chain.merges(parts) == [[1, 2, 3], [5, 6, 7], [8]]


def test_a_merge_runs_where_most_of_its_parts_are_and_also_where_none_is(chain):
    chain.announce(1, 2, 3)
    chain.give()
    chain.close()
    one, two, three = chain.process(1, 2, 3)
    assert chain.planned(MERGE, {one: [CNAF], two: [JINR], three: [JINR]}) == [(JINR, [one, two, three])]
    assert chain.planned(MERGE, {lfn: ["IHEP-JUNOEOS"] for lfn in (one, two, three)}) == [(CNAF, [one, two, three])]


def test_parts_of_two_blocks_are_never_merged_into_one_file(chain):
    for block in ("b1", "b2"):
        chain.announce(1, 2, block=block)
        chain.give(block)
        chain.close(block)
    parts = [*chain.process(1, 2), *chain.process(1, 2, block="b2")]
    assert chain.merges(parts) == [[1, 2], [1, 2]]


# ---- both


@pytest.mark.parametrize("seed", range(3))
def test_each_file_is_in_one_merged_file_in_order_whatever_comes_when_and_who_forgets_what(chain, seed):
    """Files come, are given, processed and merged in any order; the agent stops between a plan and its tasks."""
    choose = random.Random(seed)
    numbers = list(range(1, 19))
    free: dict[int, dict[str, list[str]]] = {PROCESS: {}, MERGE: {}}
    merged: list[list[str]] = []
    toCome = choose.sample(numbers, len(numbers))
    for turn in range(60):
        if toCome and choose.random() < 0.7:
            chain.announce(*(toCome.pop() for _ in range(min(len(toCome), 3))))
        if choose.random() < 0.5 or not toCome:
            free[PROCESS].update({lfn: [choose.choice((CNAF, JINR))] for lfn in chain.give()})
        if not toCome and turn > 40:
            chain.close()
        for step in (PROCESS, MERGE):
            if not free[step]:
                continue
            for se, group in chain.planned(step, free[step], patience=0)[: choose.randint(0, 4) if turn < 40 else None]:
                if turn < 40 and choose.random() < 0.3:
                    continue
                for lfn in group:
                    del free[step][lfn]
                if step == MERGE:
                    merged.append(group)
                    chain.merge(group)
                else:
                    number = int(group[0].rpartition("/")[2].split(".")[3])
                    (part,) = chain.process(number, RegisteredTime=NOW - timedelta(minutes=1))
                    free[MERGE][part] = [se]
        if turn > 40 and sum(map(len, merged)) == len(numbers):
            break
    assert sorted(part for group in merged for part in group) == [chain.partOf(number) for number in numbers]
    assert all(group == sorted(group) and len(group) <= 3 for group in merged)
    # nothing was late: numbers that were missing were waited for
    assert sorted(merged) == [[chain.partOf(number) for number in numbers[at : at + 3]] for at in range(0, len(numbers), 3)]


def test_the_stamp_of_a_chain_changes_when_a_block_is_closed_or_an_input_given_up_and_not_when_files_come(chain):
    def stamp() -> Any:
        return chain.desk.turns([chain.transformation(MERGE), 2_147_000_000])

    chain.announce(1)
    stamps = [stamp()]
    assert list(stamps[0]) == [str(chain.transformation(MERGE))]
    chain.announce(2)
    given = chain.give()
    chain.process(1)
    assert stamp() == stamps[0]
    chain.close()
    stamps.append(stamp())
    chain.recover(PROCESS, next(iter(given.values())), "GivenUp")
    stamps.append(stamp())
    chain.announce(3, block="b2")
    stamps.append(stamp())
    assert len({str(each) for each in stamps}) == len(stamps)
