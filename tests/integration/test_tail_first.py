"""The last files of a closed block overtake the queue of the next block: the order in which the FTS3 stand-in finished copies."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from itertools import count

import pytest
from fts3_standin.client import StandinRules
from junotestbed.observe import isComplete, unpack, waitUntil
from junotestbed.settings import SITES
from junotestbed.traffic import MadeFile, announce, make_files, site_of

pytestmark = pytest.mark.integration

JINR = SITES[3].se
RUNS = count(int(time.time()))
# longer than the workers keep the answer of the service
_CACHED_SECONDS = 12


class Queue:
    """The stand-in's copies to one storage element."""

    def __init__(self, testbed, se: str) -> None:
        self._path = testbed.settings.run / "fts3/fts3_standin.sqlite"
        host, port = testbed.settings.site_address(site_of(se))
        self.host = f"{host}:{port}"

    def _rows(self, files: Sequence[MadeFile]) -> list[tuple[str, float | None, int]]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT destination, state, finish_time, priority FROM files WHERE destination LIKE ?", (f"%{self.host}/%",)
            ).fetchall()
        names = {file.file_name for file in files}
        return [(state, finished, priority) for url, state, finished, priority in rows if url.rpartition("/")[2] in names]

    def submitted(self, files: Sequence[MadeFile]) -> int:
        return len(self._rows(files))

    def finished(self, files: Sequence[MadeFile]) -> list[float]:
        return sorted(finished for state, finished, _ in self._rows(files) if state == "FINISHED" and finished)

    def priorities(self, files: Sequence[MadeFile]) -> set[int]:
        return {priority for _, _, priority in self._rows(files)}


def send(testbed, block: str, number: int) -> list[MadeFile]:
    made = make_files(testbed.settings, "Raw", block, number, 5_000, run=next(RUNS))
    announce(testbed.settings, "juno.raw", [(file.block, file.announcement()) for file in made])
    return made


def tailsOf(database, block: str) -> bool:
    """Whether the service calls the block's copy at JINR a tail."""
    from JUNODIRAC.RawDataSystem.Client.RawDataManagerClient import RawDataManagerClient

    query = (
        "SELECT t.TransformationID FROM BlockTransfers t JOIN Blocks b ON b.BlockID = t.BlockID WHERE b.Block = %s AND t.SE = %s"
    )
    numbers = [number for (number,) in database.rows("RawDataDB", query, block, JINR)]
    return bool(set(numbers) & set(unpack(RawDataManagerClient().getTails())))


def test_the_last_file_of_a_closed_block_does_not_wait_behind_the_next_block(testbed, database, freshDay):
    from JUNODIRAC.RawDataSystem.Client.RawDataManagerClient import RawDataManagerClient

    queue, rules = Queue(testbed, JINR), StandinRules(testbed.settings.fts3_endpoint)
    old = freshDay
    new = (date(int(old[:4]), int(old[4:6]), int(old[6:])) + timedelta(days=1)).strftime("%Y%m%d")
    try:
        # something is outstanding at JINR, so that the block stays Closed
        hangs = rules.add("hang", destination=queue.host, lfn=f"*/{old[:4]}/{old[4:]}/*", count=1)
        send(testbed, old, 1)
        waitUntil("the first file hangs", lambda: rules.list_rules()[0]["matched"] == 1, 120)
        unpack(RawDataManagerClient().closeBlock(old, "Raw", 0, "the test of tails"))
        waitUntil("the closed block is a tail", lambda: tailsOf(database, old), 60)
        time.sleep(_CACHED_SECONDS)
        # ten places on the link, each for three seconds: a queue of half a minute
        rules.add("delay", destination=queue.host, delay_seconds=3)
        many = send(testbed, new, 70)
        waitUntil("the next block queues", lambda: queue.submitted(many) == len(many), 120)
        (last,) = send(testbed, old, 1)
        waitUntil("the last file is there", lambda: bool(queue.finished([last])), 120)
        (arrived,) = queue.finished([last])
        waitUntil("the next block is there", lambda: len(queue.finished(many)) == len(many), 180)
        after = [finished for finished in queue.finished(many) if finished > arrived]
        assert queue.priorities([last]) == {max(queue.priorities(many)) + 1}
        # all of them were asked for before; in the order of asking it would have been the last
        assert len(after) > 10
        rules.remove(hangs)
    finally:
        rules.clear()
    waitUntil("both blocks are complete", lambda: isComplete(testbed, "Raw", old, 2) and isComplete(testbed, "Raw", new, 70), 180)
