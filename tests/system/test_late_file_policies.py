"""Files that come after their block was closed, through the real receiver: each policy of a Type."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from junotestbed.announcer import REGISTERED, Announced, Announcer, Traffic
from junotestbed.faults import TOPIC_PREFIX, Receiver
from junotestbed.observe import DESTINATIONS, Database, readTopic, waitUntil
from junotestbed.shell import write
from junotestbed.traffic import MadeFile

from JUNODIRAC.Core.Domain.BlockState import BlockState

pytestmark = pytest.mark.system


class Bench:
    """One receiver with a policy, and one block of a free day with three files, which is then closed."""

    def __init__(self, testbed, database: Database, day: str, topic: str) -> None:
        from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

        self.day, self.topic = day, topic
        self._testbed, self._database, self._ledger = testbed, database, RawDataDB()
        self._traffic = Traffic(testbed.settings, "Raw", topic, day, 7700, 1)
        self.files = [self._traffic.goodFile() for _ in range(5)]

    def announce(self, *files: MadeFile, **fields: object) -> list[tuple[str, int, int]]:
        """Send announcements, or with fields another message, and wait until they have their end.

        :returns: where they stand in Kafka
        """
        announcer = Announcer(self._testbed.settings)
        other = [Announced(self.topic, self.day, json.dumps(fields).encode(), REGISTERED)] if fields else []
        announcer.send([*(self._traffic.good(file) for file in files), *other])
        announcer.flush()
        positions = [each.position for each in announcer.sent]
        waitUntil("each has its status", lambda: set(positions) <= self.statuses().keys(), 60)
        return positions

    def statuses(self) -> dict[tuple[str, int, int], dict]:
        found = [json.loads(message.value()) for message in readTopic(self._testbed, f"{self.topic}.status")]
        return {(each["Topic"], each["Partition"], each["Offset"]): each for each in found}

    def move(self, *states: BlockState) -> None:
        """Bring the block from one state to the next."""
        blockID = self.block(self.day)[0]
        for old, new in itertools.pairwise(states):
            assert self._ledger.moveBlock(blockID, old, new, "test", "as a test wants it")

    def block(self, name: str) -> tuple:
        """Id, state, number of files that it shall have, id of its parent."""
        query = "SELECT BlockID, State, ExpectedFiles, ParentID FROM Blocks WHERE Type = 'Raw' AND Block = %s"
        (found,) = self._database.rows("RawDataDB", query, name)
        return found

    def attached(self, name: str) -> set[str]:
        """Files of the transformations of a block, if all of them have the same."""
        query = (
            "SELECT t.TransformationName, d.LFN FROM Transformations t JOIN TransformationFiles f USING (TransformationID)"
            " JOIN DataFiles d USING (FileID) WHERE t.TransformationName LIKE %s"
        )
        rows = self._database.rows("TransformationDB", query, f"%-{name}-%-%")
        found = {se: {lfn for title, lfn in rows if title == f"Commissioning-{name}-{se}"} for se in DESTINATIONS}
        assert len({frozenset(lfns) for lfns in found.values()}) == 1, found
        return found[DESTINATIONS[0]]

    def queries(self, name: str) -> int:
        """How many transformations of a block select files by metadata."""
        query = (
            "SELECT COUNT(DISTINCT TransformationID) FROM Transformations JOIN TransformationMetaQueries USING (TransformationID)"
            " WHERE TransformationName IN (%s, %s, %s)"
        )
        names = [f"Commissioning-{name}-{se}" for se in DESTINATIONS]
        return self._database.rows("TransformationDB", query, *names)[0][0]

    def shown(self, command, name: str) -> dict:
        """The block as dirac-juno-block-status tells it."""
        done = command("exec", "dirac-juno-block-status", name, "--type", "Raw", "--json")
        return json.loads(done.stdout)["Blocks"][0]


@pytest.fixture(scope="module")
def resting(testbed) -> Iterator[None]:
    """Nobody else moves blocks meanwhile."""
    agents = [state.name for state in testbed.dirac.states() if "_Block" in state.name]
    testbed.dirac.control("down", *agents, wait=30)
    try:
        yield
    finally:
        testbed.dirac.control("up", *agents)


@pytest.fixture(scope="module")
def receiver(testbed, noTransfers, resting) -> Iterator[Receiver]:
    """On a topic of its own."""
    with Receiver(testbed, "Raw", f"{TOPIC_PREFIX}{secrets.token_hex(4)}").moved() as moved:
        yield moved


@pytest.fixture
def receiving(testbed, database, noTransfers, receiver) -> Callable:
    @contextmanager
    def make(policy: str) -> Iterator[Bench]:
        receiver.policy = {"LateFiles": policy}
        write(testbed.settings.dirac_root / f"etc/{receiver.link}.cfg", receiver.configuration())
        receiver.start()
        try:
            bench = Bench(testbed, database, noTransfers.pop(), receiver.topic)
            bench.announce(*bench.files[:3], EndOfBlock=bench.day, FileCount=3)
            yield bench
        finally:
            receiver.stop()

    return make


def lfns(files: list[MadeFile]) -> set[str]:
    return {file.lfn for file in files}


def test_appended_files_take_a_validated_block_back_and_are_in_its_transfers(receiving, database):
    with receiving("Append") as bench:
        assert bench.block(bench.day)[2] == 3
        bench.move(BlockState.OPEN, BlockState.CLOSED, BlockState.REPLICATED, BlockState.VALIDATED)
        bench.announce(*bench.files[3:])
        again = bench.announce(bench.files[4], EndOfBlock=bench.day, FileCount=4)
        blockID, state, expected, _ = bench.block(bench.day)
        assert (state, expected) == ("Closed", 3)
        (reason,) = database.rows(
            "RawDataDB", "SELECT Reason FROM BlockEvents WHERE BlockID = %s AND FromState = 'Validated'", blockID
        )
        assert bench.files[3].file_name in reason[0]
        assert bench.attached(bench.day) == lfns(bench.files)
        assert sorted((bench.statuses()[each]["Status"], bench.statuses()[each].get("Reason")) for each in again) == [
            ("Duplicate", None), ("Quarantined", "Conflict"),
        ]  # fmt: skip


def test_late_files_of_a_follow_up_block_are_nowhere_else(receiving, command):
    with receiving("FollowUp") as bench:
        bench.move(BlockState.OPEN, BlockState.CLOSED)
        late = f"{bench.day}-late1"
        positions = bench.announce(*bench.files[3:])
        assert {bench.statuses()[each]["Block"] for each in positions} == {late}
        assert bench.block(late)[3] == bench.block(bench.day)[0]
        opened = command("exec", "dirac-juno-block", "open", bench.day, "--type", "Raw", "--yes", "--reason", "test", "--json")
        assert opened.returncode == 0, opened.output
        assert (bench.attached(bench.day), bench.attached(late)) == (lfns(bench.files[:3]), lfns(bench.files[3:]))
        assert (bench.queries(bench.day), bench.queries(late)) == (0, 0)
        parent, follow = bench.shown(command, bench.day), bench.shown(command, late)
        assert [(each["Files"], each["Catalogued"], each["Directory"] != "") for each in (parent, follow)] == [
            (3, 3, True),
            (2, 2, False),
        ]
        assert bench.block(bench.day)[1] == "Closed"


def test_refused_late_files_are_registered_when_the_block_was_opened_again(receiving):
    with receiving("Quarantine") as bench:
        bench.move(BlockState.OPEN, BlockState.CLOSED)
        (position,) = bench.announce(bench.files[3])
        assert (bench.statuses()[position]["Status"], bench.statuses()[position].get("Reason")) == ("Quarantined", "LateFile")
        assert bench.attached(bench.day) == lfns(bench.files[:3])
        bench.move(BlockState.CLOSED, BlockState.OPEN)
        (position,) = bench.announce(bench.files[3])
        assert bench.statuses()[position]["Status"] == "Registered"
        assert bench.attached(bench.day) == lfns(bench.files[:4])
