"""Whatever dies, hangs or comes twice: each announced file is registered once, and nothing is left half done.

Some of these tests take minutes. ``JUNO_TEST_KILLS``, ``JUNO_TEST_ANNOUNCEMENTS``, ``JUNO_TEST_OUTAGE_SECONDS`` and
``JUNO_TEST_SEED`` change the fault run.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import threading
import time
import uuid
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace

import pytest
from junotestbed.announcer import EITHER, QUARANTINED, Announced, Announcer, Traffic, mixed
from junotestbed.faults import TOPIC_PREFIX, TYPES, Progress, Receiver, away, frozen, killed, peakMemoryBytes, secondReceiver
from junotestbed.judge import Judge, Report
from junotestbed.observe import waitingOf, waitUntil
from junotestbed.shell import pid_alive
from junotestbed.traffic import MadeFile

pytestmark = pytest.mark.system

KILLS = int(os.environ.get("JUNO_TEST_KILLS", "30"))
ANNOUNCEMENTS = int(os.environ.get("JUNO_TEST_ANNOUNCEMENTS", "6000"))
OUTAGE_SECONDS = int(os.environ.get("JUNO_TEST_OUTAGE_SECONDS", "60"))
SEED = int(os.environ.get("JUNO_TEST_SEED") or secrets.randbelow(10**6))

# The group waits so long for a member that was killed; six seconds are the least that Kafka allows.
QUICK_SESSIONS = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1500}


@pytest.fixture(scope="module")
def faultBlocks(testbed, noTransfers) -> list[str]:
    """Days for all tests here; noTransfers clears them away at the end."""
    return noTransfers


@pytest.fixture
def blocks(faultBlocks) -> list[str]:
    """Five days for one test."""
    return [faultBlocks.pop() for _ in range(5)]


@pytest.fixture
def topic() -> str:
    return f"{TOPIC_PREFIX}{secrets.token_hex(4)}"


def judge(testbed, receivers: list[Receiver], announced: list[Announced]) -> Report:
    """Wait until everything is consumed, then compare; the report is printed."""
    for receiver in receivers:
        waitUntil(f"{receiver.topic} is consumed", lambda r=receiver: r.backlog() == 0, 240)
        # a storage that was asked too much at once gives some answers later
        waitUntil(f"nothing of {receiver.topic} waits", lambda r=receiver: not waitingOf(testbed, r.topic), 240)
    report = Judge(testbed, announced, {receiver.topic: receiver.group for receiver in receivers}).judge()
    print(report.toText())
    return report


# --- the fault run --------------------------------------------------------------------------------------------------------------


class FaultRun:
    """Kills one receiver after the other while announcements flow, and takes everything else away for a while too."""

    def __init__(self, testbed, database, receivers: list[Receiver], blocks: list[str]) -> None:
        self.testbed, self.receivers, self.blocks = testbed, receivers, blocks
        self.random = random.Random(SEED)
        self.announcer = Announcer(testbed.settings)
        self.progress = {receiver.topic: Progress(database, receiver, blocks) for receiver in receivers}
        self.traffic = {
            r.topic: [Traffic(testbed.settings, r.typeName, r.topic, block, 7000, SEED) for block in blocks] for r in receivers
        }
        self.deaths: Counter = Counter()
        self.started = time.monotonic()
        self.outages = ExitStack()
        self.batchSeconds = 1.0

    def announce(self, receiver: Receiver, count: int) -> None:
        self.announcer.send(mixed(self.traffic[receiver.topic], count, self.random))

    def faultsBefore(self, kill: int) -> None:
        """What else goes wrong, spread over the run."""
        infra, dirac = self.testbed.infra, self.testbed.dirac
        if kill == KILLS // 6:
            killed(infra, "mariadb")
        elif kill == KILLS // 3:
            killed(infra, "kafka")
        elif kill == KILLS // 2:
            outage = ExitStack()
            outage.enter_context(away(dirac, "DataManagement_FileCatalog"))
            timer = threading.Timer(OUTAGE_SECONDS, outage.close)
            timer.start()
            self.outages.callback(timer.join)
        elif kill == KILLS * 4 // 5:
            killed(dirac, "Transformation_TransformationManager")
        elif kill == KILLS * 9 // 10:
            killed(dirac, "DataManagement_FileCatalog")

    def killOnce(self, receiver: Receiver, count: int) -> None:
        """Give it something to do, and kill it somewhere in the middle of that."""
        progress = self.progress[receiver.topic]
        before = progress.counts()
        self.announce(receiver, count)
        if self.random.random() < 0.85:
            progress.waitForChange(before, 15)
        time.sleep(self.random.uniform(0, 1.3 * self.batchSeconds))
        receiver.kill()
        stage = progress.stageOfDeath()
        self.deaths[stage] += 1
        print(f"{time.monotonic() - self.started:6.1f} s  {receiver.typeName} killed: {stage}", flush=True)

    def warmUp(self, count: int) -> None:
        """Opens the blocks and finds out how long a batch takes, so that the kills hit all its stages."""
        for receiver in self.receivers:
            before = self.progress[receiver.topic].counts()
            self.announce(receiver, count)
            self.announcer.flush()
            assert self.progress[receiver.topic].waitForChange(before, 60)
            waitUntil("the blocks are open", lambda r=receiver: r.backlog() == 0, 60)
            self.announce(receiver, count)
            self.announcer.flush()
            self.batchSeconds = self.progress[receiver.topic].secondsOfChange()

    def run(self) -> None:
        count = max(1, ANNOUNCEMENTS // (KILLS + 2 * len(self.receivers)))
        self.warmUp(count)
        print(f"{time.monotonic() - self.started:6.1f} s  a batch of {count} is written in {self.batchSeconds:.2f} s", flush=True)
        with self.outages:
            for kill in range(KILLS):
                self.faultsBefore(kill)
                self.killOnce(self.receivers[kill % len(self.receivers)], count)
            self.announcer.flush()


def test_nothing_is_lost_or_done_twice_when_everything_is_killed_again_and_again(testbed, database, topic, blocks):
    receivers = [Receiver(testbed, name, f"{topic}.{name.lower()}", kafka=QUICK_SESSIONS) for name in TYPES]
    started = time.monotonic()
    with ExitStack() as stack:
        for receiver in receivers:
            stack.enter_context(receiver.moved()).start()
        run = FaultRun(testbed, database, receivers, blocks)
        run.run()
        report = judge(testbed, receivers, run.announcer.sent)
    print(f"seed {SEED}, {sum(run.deaths.values())} kills in {time.monotonic() - started:.0f} s, by what was done of the batch:")
    print("\n".join(f"  {number:3d} {stage}" for stage, number in run.deaths.most_common()))
    assert report.problems == {}
    assert report.registered == report.files > ANNOUNCEMENTS // 2
    assert min(report.duplicates, sum(report.quarantined.values())) > 0
    idle = ("between batches", "nothing written yet")
    assert sum(n for stage, n in run.deaths.items() if stage not in idle) >= KILLS // 3, "the kills missed the batches"


# --- a second receiver ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["junodirac-Raw", "accident-Raw"], ids=["in the same group", "in a group of its own"])
def test_a_second_receiver_by_accident_registers_no_file_twice(testbed, topic, blocks, group):
    receiver = Receiver(testbed, "Raw", topic, kafka=QUICK_SESSIONS)
    other = replace(receiver, group=group)
    traffic = Traffic(testbed.settings, "Raw", topic, blocks[0], 7100, SEED)
    announcer = Announcer(testbed.settings)
    with receiver.moved():
        receiver.start()
        with secondReceiver(other, "SecondReceiverAgent"):
            members = 2 if other.group == receiver.group else 1
            waitUntil("both have partitions", lambda: receiver.members() == other.members() == members, 60)
            announcer.send(replace(traffic.good(traffic.goodFile()), partition=n % 3) for n in range(30))
            announcer.flush()
            waitUntil("both are at work", lambda: receiver.backlog() == other.backlog() == 0, 90)
            catalogue = testbed.dirac.state("DataManagement_FileCatalog").pid
            for _ in range(5):
                files = [traffic.goodFile() for _ in range(300)]
                # what both ask the catalogue meanwhile, it does in the same moment
                with frozen(catalogue):
                    # each file through two partitions, which two receivers may have: what the partition key prevents otherwise
                    for shift in (0, 1):
                        announced = [replace(traffic.good(file), expected=EITHER) for file in files]
                        announcer.send(replace(item, partition=(n + shift) % 3) for n, item in enumerate(announced))
                    announcer.flush()
                    time.sleep(3)
                waitUntil("both have done this round", lambda: receiver.backlog() == other.backlog() == 0, 90)
            report = judge(testbed, [receiver], announcer.sent)
    assert report.problems == {}
    assert report.registered == report.files == 1530


def test_files_that_the_catalogue_left_half_registered_are_completed(testbed, database, topic, blocks):
    """The catalogue writes its tables one after the other: when it dies in between, the first ones have rows."""
    receiver = Receiver(testbed, "Raw", topic)
    traffic, announcer = Traffic(testbed.settings, "Raw", topic, blocks[0], 7150, SEED), Announcer(testbed.settings)
    with receiver.moved():
        receiver.start()
        first, *files = [traffic.goodFile() for _ in range(5)]
        announcer.send([traffic.good(first)])
        announcer.flush()
        waitUntil("the first one is registered", lambda: receiver.backlog() == 0, 60)
        for file in files:
            forgeCatalogueRows(database, first, file, withInfo=file in files[2:])
        announcer.send(traffic.good(file) for file in files)
        announcer.flush()
        report = judge(testbed, [receiver], announcer.sent)
    assert report.problems == {}


def forgeCatalogueRows(database, first: MadeFile, file: MadeFile, withInfo: bool) -> None:
    """Rows of a file as the catalogue makes them, after those of another file of the same directory."""
    there = "FC_Files JOIN FC_DirectoryLevelTree d USING (DirID) WHERE d.DirName = %s AND FileName = %s"
    columns = "DirID, Size, UID, GID, Status, FileName"
    copied = f"INSERT INTO FC_Files ({columns}) SELECT DirID, %s, UID, GID, FC_Files.Status, %s FROM {there}"
    database.rows("FileCatalogDB", copied, file.size, file.file_name, first.directory, first.file_name)
    if withInfo:
        info = "INSERT INTO FC_FileInfo (FileID, GUID, Checksum, CheckSumType, CreationDate, ModificationDate, Mode)"
        values = f"SELECT FileID, %s, %s, 'Adler32', UTC_TIMESTAMP(), UTC_TIMESTAMP(), 775 FROM {there}"
        guid = str(uuid.uuid5(uuid.NAMESPACE_URL, file.lfn)).upper()
        database.rows("FileCatalogDB", f"{info} {values}", guid, file.checksum, file.directory, file.file_name)


# --- stopping -------------------------------------------------------------------------------------------------------------------


def test_a_receiver_that_is_asked_to_end_does_so_while_the_catalogue_hangs_and_loses_nothing(testbed, database, topic, blocks):
    receiver = Receiver(testbed, "Raw", topic, kafka=QUICK_SESSIONS)
    traffic = Traffic(testbed.settings, "Raw", topic, blocks[0], 7200, SEED)
    announcer, progress = Announcer(testbed.settings), Progress(database, receiver, blocks)
    ways = {
        "SIGTERM": lambda pid: os.kill(pid, signal.SIGTERM),
        "runit": lambda pid: receiver.tree.control("down", receiver.link, wait=1),
    }
    with receiver.moved():
        for way, ask in ways.items():
            receiver.start()
            announcer.send(traffic.messages(50))
            announcer.flush()
            waitUntil("the first ones are registered", lambda: receiver.backlog() == 0, 60)
            catalogue, pid, before = testbed.dirac.state("DataManagement_FileCatalog").pid, receiver.pid, progress.counts()
            with frozen(catalogue):
                announcer.send(traffic.messages(200))
                announcer.flush()
                assert progress.waitForChange(before, 30), "no batch was begun"
                time.sleep(2)
                assert receiver.backlog() > 0
                ask(pid)
                waitUntil(f"it has ended by {way}, though the catalogue still hangs", lambda pid=pid: not pid_alive(pid), 30)
        receiver.start()
        report = judge(testbed, [receiver], announcer.sent)
    assert report.problems == {}


# --- one Type and another -------------------------------------------------------------------------------------------------------


def poison(topic: str, count: int) -> list[Announced]:
    bad = [
        b"",
        b"\xff\xfe",
        b"{",
        b"[" * 10_000,
        b'{"a": 1, "a": 2}',
        b"9" * 5000,
        b'{"FileName": "' + b"x" * 200_000,
        b"[1, 2]",
        b"null",
    ]
    reasons = ("Undecodable", "BadField")
    return [Announced(topic, "", bad[n % len(bad)], QUARANTINED, reasons, partition=n % 3) for n in range(count)]


def test_a_poisoned_topic_of_one_type_holds_up_neither_the_other_type_nor_its_own_good_files(testbed, database, topic, blocks):
    raw, rtraw = (Receiver(testbed, name, f"{topic}.{name.lower()}", kafka=QUICK_SESSIONS) for name in TYPES)
    announcer, progress = Announcer(testbed.settings), Progress(database, rtraw, blocks)
    good = {r.topic: Traffic(testbed.settings, r.typeName, r.topic, blocks[0], 7300, SEED) for r in (raw, rtraw)}
    with raw.moved(), rtraw.moved():
        raw.start()
        rtraw.start()
        waitUntil("both are at work", lambda: raw.members() == rtraw.members() == 1, 60)
        pids, before = (raw.pid, rtraw.pid), progress.counts()
        announcer.send(poison(rtraw.topic, 3000))
        announcer.flush()
        assert progress.waitForChange(before, 60)
        # in the middle of its poison it stands still: nobody else waits for it
        with frozen(rtraw.pid):
            announcer.send(good[raw.topic].messages(100))
            announcer.flush()
            waitUntil("the other Type is done", lambda: raw.backlog() == 0, 60)
            assert rtraw.backlog() > 0
        announcer.send(good[rtraw.topic].messages(100))
        announcer.flush()
        report = judge(testbed, [raw, rtraw], announcer.sent)
        assert (raw.pid, rtraw.pid) == pids
    assert report.problems == {}
    assert report.quarantined["Undecodable"] > 2000


# --- memory ---------------------------------------------------------------------------------------------------------------------


def test_the_receiver_stays_below_300_megabytes_with_100000_messages_waiting(testbed, topic, blocks):
    receiver = Receiver(testbed, "Raw", topic, policy={"StorageCheck": "None", "ChecksumCheck": "Trust"})
    announcer, waiting, done = Announcer(testbed.settings), 100_000, 15_000
    directories = {block: f"/juno/raw/{block[:4]}/{block[4:]}" for block in blocks}
    with receiver.moved():
        for n in range(waiting):
            block = blocks[n % len(blocks)]
            name = f"Daq.7400.PHYSICS.GLOBAL_TRIGGER.TESTBED.{block}120000.{n:06d}.dat"
            payload = (
                f'{{"FileName": "{name}", "FilePath": "/eos{directories[block]}/", "Checksum": "{n:08x}", "FileSize": 1000, '
                f'"Padding": "{"x" * 400}"}}'
            )
            announcer.send([Announced(topic, block, payload.encode(), EITHER)])
        announcer.flush()
        assert receiver.backlog() == waiting
        receiver.start()
        waitUntil("many batches are done", lambda: receiver.backlog() <= waiting - done, 240)
        peak = peakMemoryBytes(receiver.pid)
        print(f"peak RSS {peak / 1e6:.0f} MB after {waiting - receiver.backlog()} of {waiting} messages")
    assert peak < 300 * 10**6
