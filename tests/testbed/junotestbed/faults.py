"""Receivers that tests may kill, stop, double and starve: on topics of their own, which no other test reads or replays."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from junotestbed.infrastructure import make_topics
from junotestbed.observe import DESTINATIONS, Database, committedOffsets, waitUntil
from junotestbed.shell import pid_alive, write
from junotestbed.supervision import Tree

TYPES = ("Raw", "RTRaw")
# of the names of all topics that receivers are moved to
TOPIC_PREFIX = "faults."


def section(name: str, *content: str) -> str:
    return f"{name}\n{{\n" + "\n".join(content) + "\n}\n"


def options(values: Mapping[str, object]) -> str:
    return "\n".join(f"{name} = {value}" for name, value in values.items())


@dataclass
class Receiver:
    """One of the testbed's receivers, moved to a topic of its own.

    :param policy: options of its Type that differ
    :param kafka: options of librdkafka
    :param agent: options of the component
    """

    testbed: object
    typeName: str
    topic: str
    policy: Mapping[str, object] = field(default_factory=dict)
    kafka: Mapping[str, object] = field(default_factory=dict)
    agent: Mapping[str, object] = field(default_factory=dict)
    group: str = ""

    def __post_init__(self) -> None:
        self.group = self.group or f"junodirac-{self.typeName}"

    @property
    def name(self) -> str:
        return f"{self.typeName}ReceiverAgent"

    @property
    def link(self) -> str:
        return f"RawData_{self.name}"

    @property
    def tree(self) -> Tree:
        return self.testbed.dirac

    @property
    def pid(self) -> int:
        return self.tree.state(self.link).pid

    def configuration(self) -> str:
        """A local configuration, which completes and overrides the central one."""
        kafka = section("Kafka", f"GroupPrefix = {self.group.rpartition('-')[0]}", section("Options", options(self.kafka)))
        topics = {"Topic": self.topic, "StatusTopic": f"{self.topic}.status", "DeadLetterTopic": f"{self.topic}.dead"}
        types = section("Types", section(self.typeName, options({**topics, **self.policy})))
        operations = section("Operations", section("Defaults", section("RawData", kafka, types)))
        agent = {"Type": self.typeName, "Module": "DataReceiverAgent", **self.agent}
        return operations + section("Systems", section("RawData", section("Agents", section(self.name, options(agent)))))

    @contextmanager
    def moved(self) -> Iterator[Receiver]:
        """The testbed's own instance on this topic, with these options; afterwards it is as it was."""
        make_topics(self.testbed.settings, [self.topic, f"{self.topic}.status", f"{self.topic}.dead"])
        local = self.testbed.settings.dirac_root / f"etc/{self.link}.cfg"
        before = local.read_text()
        try:
            self.stop()
            write(local, self.configuration())
            yield self
        finally:
            self.stop()
            write(local, before)
            self.start()

    def start(self) -> None:
        self.tree.control("up", self.link)

    def stop(self, waitSeconds: int = 20) -> None:
        """Ends it, with force if it does not end by itself."""
        self.tree.control("down", self.link, wait=waitSeconds)
        if self.pid:
            self.tree.control("force-stop", self.link, wait=1)

    def kill(self) -> None:
        """``kill -9``; runit starts the next one."""
        pid = self.pid
        if pid:
            os.kill(pid, signal.SIGKILL)
            waitUntil("it is dead", lambda: not pid_alive(pid), 10)

    def backlog(self) -> int:
        """Messages that are not committed."""
        return sum(end - committed for committed, end in committedOffsets(self.testbed, self.topic, self.group).values())

    def members(self) -> int:
        """Members of its group that have partitions."""
        from confluent_kafka.admin import AdminClient

        admin = AdminClient({"bootstrap.servers": self.testbed.settings.kafka_brokers})
        described = admin.describe_consumer_groups([self.group])[self.group].result(20)
        return sum(1 for member in described.members if member.assignment.topic_partitions)


@contextmanager
def secondReceiver(receiver: Receiver, name: str) -> Iterator[subprocess.Popen]:
    """One more process of this kind, as somebody would start it by accident."""
    settings, work = receiver.testbed.settings, receiver.testbed.settings.run / "second"
    local = write(work / f"{name}.cfg", receiver.configuration().replace(receiver.name, name))
    script = f"source {settings.dirac_root}/bashrc; exec dirac-agent RawData/{name} --cfg {local}"
    with open(work / f"{name}.log", "ab") as log:
        process = subprocess.Popen(["bash", "-c", script], cwd=work, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        waitUntil("the second receiver is connected", lambda: "NOTICE: Receiving " in (work / f"{name}.log").read_text(), 60)
        yield process
        assert process.poll() is None, f"the second receiver ended: {(work / f'{name}.log').read_text()[-2000:]}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def peakMemoryBytes(pid: int) -> int:
    """The largest resident memory of a process so far."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process that is there and takes connections, but answers nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        # it may have been killed meanwhile
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def away(tree: Tree, link: str) -> Iterator[None]:
    """A component that was killed and is not started again."""
    tree.control("once", link)
    os.kill(tree.state(link).pid, signal.SIGKILL)
    try:
        yield
    finally:
        tree.control("up", link)


def killed(tree: Tree, link: str) -> None:
    """Killed, and started again by runit at once."""
    pid = tree.state(link).pid
    if pid:
        os.kill(pid, signal.SIGKILL)


class Progress:
    """What a receiver has written so far, cheap enough to look at every few milliseconds."""

    def __init__(self, database: Database, receiver: Receiver, blocks: list[str]) -> None:
        self._database, self._receiver = database, receiver
        marks = ", ".join(["%s"] * len(blocks))
        self._files = (
            "SELECT f.State, COUNT(*) FROM Files f JOIN Directories USING (DirectoryID) JOIN Blocks b USING (BlockID)"
            f" WHERE b.Type = %s AND b.Block IN ({marks}) GROUP BY f.State"
        )
        self._blocks = blocks

    def counts(self) -> Counter | None:
        """Files by state and quarantined messages; None while the database is away."""
        import MySQLdb

        try:
            files = dict(self._database.rows("RawDataDB", self._files, self._receiver.typeName, *self._blocks))
            ((quarantined,),) = self._database.rows(
                "RawDataDB", "SELECT COUNT(*) FROM Quarantine WHERE Topic = %s", self._receiver.topic
            )
        except MySQLdb.Error:
            return None
        return Counter(files) + Counter({"messages in quarantine": quarantined})

    def waitForChange(self, before: Counter | None, timeoutSeconds: float) -> bool:
        """Whether something was written within the timeout; that is when a batch is half done."""
        end = time.monotonic() + timeoutSeconds
        while time.monotonic() < end:
            now = self.counts()
            if now is not None and now != before:
                return True
            time.sleep(0.01)
        return False

    def secondsOfChange(self, quietSeconds: float = 3) -> float:
        """How long something was written, until nothing was for some seconds."""
        state, first, last = self.counts(), 0.0, time.monotonic()
        while not first or time.monotonic() - last < quietSeconds:
            now = self.counts()
            if now != state:
                state, last = now, time.monotonic()
                first = first or last
            time.sleep(0.01)
        return last - first

    def stageOfDeath(self) -> str:
        """How far the batch of a receiver that was just killed had come: what is durable beyond the committed offsets."""
        try:
            offsets = committedOffsets(self._receiver.testbed, self._receiver.topic, self._receiver.group)
        except Exception as error:  # noqa: BLE001 Kafka may be away at that moment: nobody can tell then
            return f"unknown ({type(error).__name__})"
        if self.counts() is None:
            return "unknown (database away)"
        beyond = " OR ".join(f"(KafkaPartition = {p} AND KafkaOffset >= {committed})" for p, (committed, _) in offsets.items())
        query = f"SELECT State, COUNT(*) FROM Files WHERE Topic = %s AND ({beyond}) GROUP BY State"
        states = dict(self._database.rows("RawDataDB", query, self._receiver.topic))
        quarantine = f"SELECT COUNT(*) FROM Quarantine WHERE Topic = %s AND ({beyond})"
        ((quarantined,),) = self._database.rows("RawDataDB", quarantine, self._receiver.topic)
        if states.get("Announced"):
            return self._stageOfAnnounced(beyond)
        if states.get("Registered"):
            return "registered, not committed"
        if quarantined or states:
            return "quarantined, not announced yet"
        return "between batches" if all(committed == end for committed, end in offsets.values()) else "nothing written yet"

    def _stageOfAnnounced(self, beyond: str) -> str:
        query = (
            "SELECT d.Directory, f.FileName FROM Files f JOIN Directories d USING (DirectoryID)"
            f" WHERE f.State = 'Announced' AND f.Topic = %s AND ({beyond})"
        )
        names = self._database.rows("RawDataDB", query, self._receiver.topic)
        lfns = [f"{directory}/{name}" for directory, name in names]
        marks = ", ".join(["%s"] * len(names))
        query = "SELECT COUNT(*) FROM FC_Files JOIN FC_DirectoryLevelTree USING (DirID) WHERE (DirName, FileName) IN ({})"
        pairs = ", ".join(["(%s, %s)"] * len(names))
        ((there,),) = self._database.rows("FileCatalogDB", query.format(pairs), *[value for pair in names for value in pair])
        query = f"SELECT COUNT(*) FROM TransformationFiles JOIN DataFiles USING (FileID) WHERE LFN IN ({marks})"
        ((attached,),) = self._database.rows("TransformationDB", query, *lfns)
        if not there:
            return "announced, not in the catalogue yet"
        if attached < len(DESTINATIONS) * there:
            quarter = 4 * attached // (len(DESTINATIONS) * len(names))
            return f"in the catalogue, {25 * quarter} to {25 * quarter + 25} % attached"
        return "some blocks done, others not" if there < len(names) else "all attached, not registered in the ledger"
