"""Blocks are held by one receiver at a time, whatever happens to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.DB import BlockLocks

HOLDER = """
import sys, time
from ledgertools import configuredDatabase
configuredDatabase()
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB
with RawDataDB().holdBlocks([(sys.argv[1], block) for block in sys.argv[2:]]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(BlockLocks, "WAIT_SECONDS", 0.2)


def inThread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def hold(ledger, *blocks: tuple[str, str]) -> None:
    with ledger.holdBlocks(blocks):
        pass


def canHold(ledger, *blocks: tuple[str, str]) -> bool:
    try:
        hold(ledger, *blocks)
    except TemporaryFailure:
        return False
    return True


def lockConnections(ledger) -> list[int]:
    return [conn.thread_id() for conn in ledger._lockConnections]


def lockConnection(ledger, typeName: str):
    """The connection that the next one to hold a block gets."""
    with ledger.holdBlocks([(typeName, "warm")]):
        pass
    return ledger._lockConnections[-1]


def test_of_many_threads_with_overlapping_blocks_only_one_at_a_time_is_inside(ledger, typeName):
    blocks = [(typeName, name) for name in ("c", "a", "b")]
    inside, most, done = [], [], []

    def work(number: int) -> None:
        for turn in range(10):
            # each pair of these has a block in common, in any order
            mine = [blocks[(number + turn + 1) % 3], blocks[(number + turn) % 3]]
            with ledger.holdBlocks(mine):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.001)
                inside.remove(number)
            done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(done) == 40


def test_a_held_block_is_named_to_the_one_who_waited_in_vain_and_other_blocks_are_free(ledger, typeName, impatient):
    with ledger.holdBlocks([(typeName, "held")]):
        with pytest.raises(TemporaryFailure, match=f"block held of Type {typeName}") as raised:
            inThread(lambda: hold(ledger, (typeName, "free"), (typeName, "held"), (typeName, "zoo")))
        assert "another receiver" in str(raised.value)
        assert inThread(lambda: canHold(ledger, (typeName, "free"), (typeName, "zoo"), (f"{typeName}2", "held")))
    assert canHold(ledger, (typeName, "held"))


def test_one_who_waits_gets_the_block_when_it_is_left(ledger, typeName):
    with ThreadPoolExecutor(1) as pool:
        with ledger.holdBlocks([(typeName, "a")]):
            waiting = pool.submit(canHold, ledger, (typeName, "b"), (typeName, "a"))
            time.sleep(0.3)
            assert not waiting.done()
        assert waiting.result()


def test_a_block_is_free_after_an_error_inside_and_the_error_is_the_one_that_is_told(ledger, typeName, impatient):
    with pytest.raises(ZeroDivisionError), ledger.holdBlocks([(typeName, "a")]):
        raise ZeroDivisionError
    assert inThread(lambda: canHold(ledger, (typeName, "a")))


def test_the_connection_that_holds_blocks_is_not_used_for_anything_else_and_is_used_again(ledger, typeName):
    with ledger.holdBlocks([(typeName, "a")]):
        ((other,),) = ledger.select("SELECT CONNECTION_ID()")
        assert ledger.select("SELECT RELEASE_ALL_LOCKS()") == ((0,),)
        assert not inThread(lambda: ledger.select("SELECT RELEASE_ALL_LOCKS()"))[0][0]
    before = lockConnections(ledger)
    with ledger.holdBlocks([(typeName, "a"), (typeName, "b")]):
        pass
    assert lockConnections(ledger) == before
    assert other not in before


def test_a_connection_that_is_lost_while_it_holds_makes_the_batch_be_repeated_with_a_new_one(ledger, typeName):
    connectionID = lockConnection(ledger, typeName).thread_id()
    reached = []

    def batch() -> None:
        with ledger.holdBlocks([(typeName, "a")]):
            ledger.execute("KILL %s", (connectionID,))
            reached.append(True)

    with pytest.raises(TemporaryFailure, match="connection that holds blocks"):
        batch()
    assert reached
    assert canHold(ledger, (typeName, "a"))
    assert connectionID not in lockConnections(ledger)


def test_a_connection_that_was_lost_between_two_batches_is_replaced_without_a_word(ledger, typeName):
    with ledger.holdBlocks([(typeName, "a")]):
        pass
    for connectionID in lockConnections(ledger):
        ledger.execute("KILL %s", (connectionID,))
    with ledger.holdBlocks([(typeName, "a")]):
        pass


def test_a_lock_that_was_taken_away_is_told_on_leaving(ledger, typeName):
    conn = lockConnection(ledger, typeName)

    def batch() -> None:
        with ledger.holdBlocks([(typeName, "a"), (typeName, "b")]), conn.cursor() as cursor:
            cursor.execute("SELECT RELEASE_LOCK(%s)", (ledger._lockName(typeName, "b"),))
            assert cursor.fetchall() == ((1,),)

    with pytest.raises(TemporaryFailure, match="1 of 2 locks"):
        batch()


def test_no_blocks_need_no_lock(ledger):
    with ledger.holdBlocks([]):
        pass


def test_locks_of_two_databases_and_of_names_that_run_together_differ(ledger, typeName, monkeypatch):
    names = {
        ledger._lockName("ab", "c"),
        ledger._lockName("a", "bc"),
        ledger._lockName("ab", "C"),
        ledger._lockName("x" * 64, "y" * 128),
    }
    monkeypatch.setattr(ledger, "dbName", "Another" + "x" * 57)
    names.add(ledger._lockName("ab", "c"))
    assert len({name.lower() for name in names}) == 5
    assert max(map(len, names)) <= 64


def test_a_holder_that_is_killed_frees_its_blocks(ledger, typeName, impatient):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    command = [sys.executable, "-c", HOLDER, typeName, "a", "b"]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    try:
        assert holder.stdout is not None
        assert any("held" in line for line in holder.stdout)
        assert not canHold(ledger, (typeName, "b"))
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    until = time.monotonic() + 10
    while not canHold(ledger, (typeName, "a"), (typeName, "b")):
        assert time.monotonic() < until


def test_two_processes_that_race_for_a_block_are_never_inside_together(ledger, typeName):
    """Each adds to a number in two statements; without the lock additions would be lost."""
    program = f"""
from ledgertools import configuredDatabase
configuredDatabase()
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB
ledger = RawDataDB()
for _ in range(100):
    with ledger.holdBlocks([("{typeName}", "a"), ("{typeName}", "b")]):
        ((count,),) = ledger.select("SELECT Messages FROM IngestRates WHERE Type = '{typeName}'")
        ledger.execute("UPDATE IngestRates SET Messages = %s WHERE Type = '{typeName}'", (count + 1,))
"""
    ledger.execute("INSERT INTO IngestRates (Type, Minute, LastTime) VALUES (%s, '2030-01-01', '2030-01-01')", (typeName,))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    racers = [subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [racer.wait() for racer in racers] == [0, 0, 0]
    assert ledger.select("SELECT Messages FROM IngestRates WHERE Type = %s", (typeName,)) == ((300,),)
