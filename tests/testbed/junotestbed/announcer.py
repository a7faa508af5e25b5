"""Makes announcements by the thousand, good and bad ones mixed, and keeps of each what must become of it."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from junotestbed.settings import Settings, TestbedError
from junotestbed.traffic import SOURCE, MadeFile, file_name

REGISTERED, DUPLICATE, QUARANTINED = "Registered", "Duplicate", "Quarantined"
# of several equal announcements one is registered and the others are duplicates: it is not known which
EITHER = "Registered or Duplicate"


@dataclass(frozen=True)
class Announced:
    """One message, and what must become of it.

    :param expected: Registered, Duplicate, Quarantined or EITHER of the first two
    :param reasons: the codes of which a quarantined one must have one
    :param file: the file that the message is about, None if it is about none
    :param partition: where it is sent to, else by the key; -1 as long as Kafka has not said where it stands
    """

    topic: str
    key: str
    payload: bytes
    expected: str
    reasons: tuple[str, ...] = ()
    file: MadeFile | None = None
    partition: int = -1
    offset: int = -1

    @property
    def position(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset

    @property
    def name(self) -> str:
        """For reports."""
        return f"{self.file.lfn if self.file else '(no file)'} {self.topic}[{self.partition}]@{self.offset}"


class Announcer:
    """One idempotent producer; ``sent`` has what Kafka confirmed, in the order of each partition.

    While Kafka is away the messages wait in the producer.
    """

    def __init__(self, settings: Settings) -> None:
        from confluent_kafka import Producer

        self._producer = Producer({"bootstrap.servers": settings.kafka_brokers, "enable.idempotence": True, "log_level": 2})
        self._failures: list[str] = []
        self.sent: list[Announced] = []

    def send(self, messages: Iterable[Announced]) -> None:
        """Hand messages to the producer; :meth:`flush` waits until Kafka has them."""
        for message in messages:

            def delivered(error, confirmed, message=message) -> None:
                if error:
                    self._failures.append(str(error))
                else:
                    self.sent.append(replace(message, partition=confirmed.partition(), offset=confirmed.offset()))

            place = {"partition": message.partition} if message.partition >= 0 else {}
            while True:
                try:
                    self._producer.produce(message.topic, message.payload, message.key.encode(), on_delivery=delivered, **place)
                    break
                except BufferError:
                    self._producer.poll(0.5)
            self._producer.poll(0)

    def flush(self, timeoutSeconds: float = 240) -> None:
        """:raises TestbedError: if Kafka did not take a message"""
        left = self._producer.flush(timeoutSeconds)
        if left or self._failures:
            raise TestbedError(f"{left} messages not taken by Kafka, {len(self._failures)} failed: {self._failures[:1]}")


class Traffic:
    """Announcements of one block, as they come: most are good, some come again, contradict themselves or are broken.

    The same seed makes the same traffic. Files are written to the source storage's disk directly, which takes no time.
    """

    def __init__(self, settings: Settings, typeName: str, topic: str, block: str, run: int, seed: int) -> None:
        self._settings = settings
        self._typeName, self._topic, self._block, self._run = typeName, topic, block, run
        self._random = random.Random(f"{seed} {typeName} {block} {run}")
        self._sequence = 0
        self._registered: list[MadeFile] = []
        self._corrected: list[MadeFile] = []

    def messages(self, count: int) -> list[Announced]:
        return [self._next() for _ in range(count)]

    def goodFile(self) -> MadeFile:
        """A new file on the source storage."""
        self._sequence += 1
        return writeFile(
            self._settings, self._typeName, self._block, file_name(self._typeName, self._run, self._sequence, self._block)
        )

    def good(self, file: MadeFile) -> Announced:
        return self._message(file.announcement(), REGISTERED, (), file)

    def _next(self) -> Announced:
        draw = self._random.random()
        if self._corrected and draw < 0.03:
            return self._register(self._corrected.pop())
        if not self._registered or draw < 0.72:
            return self._register(self.goodFile())
        known = self._random.choice(self._registered)
        if draw < 0.84:
            return self._message(known.announcement(), DUPLICATE, (), known)
        if draw < 0.90:
            change = self._random.choice([{"Checksum": "deadbeef"}, {"FileSize": known.size + 1}])
            return self._message(known.announcement(**change), QUARANTINED, ("Conflict",), known)
        return self._bad()

    def _register(self, file: MadeFile) -> Announced:
        self._registered.append(file)
        return self.good(file)

    def _bad(self) -> Announced:
        """Something that is refused; the file of some of it is announced properly later."""
        file = self.goodFile()
        if self._random.random() < 0.3:
            self._corrected.append(file)
            return self._message(file.announcement(FileSize=0), QUARANTINED, ("ZeroSize",), file)
        content: dict[str, object] | bytes
        content, reason = self._random.choice(
            [
                (file.announcement(Checksum="xyz"), "BadChecksum"),
                (file.announcement(Checksum=None), "BadChecksum"),
                (file.announcement(FileName="wrong.name"), "BadName"),
                (file.announcement(FilePath=f"/elsewhere/{file.file_name}"), "BadPath"),
                (file.announcement(FileSize=-1), "BadField"),
                (json.dumps(file.announcement()).encode()[:-20], "Undecodable"),
                (b"\xff\xfe" + file.file_name.encode(), "Undecodable"),
                (b"", "Undecodable"),
            ]
        )
        return self._message(content, QUARANTINED, (reason,), None)

    def _message(
        self, content: dict[str, object] | bytes, expected: str, reasons: tuple[str, ...], file: MadeFile | None
    ) -> Announced:
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        return Announced(self._topic, self._block, payload, expected, reasons, file)


def writeFile(settings: Settings, typeName: str, block: str, name: str) -> MadeFile:
    """A small file of its own content, put onto the disk of the source storage."""
    content = f"{name}\n".encode() * 3
    directory = f"/juno/{typeName.lower()}/{block[:4]}/{block[4:]}"
    made = MadeFile(typeName, block, name, directory, len(content), f"{zlib.adler32(content):08x}")
    path = settings.storage / SOURCE.se / "data" / made.path.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return made


def freeBlocks(database, count: int) -> list[str]:
    """Days that no Type ever had a block of, far from those of other tests: what was taken out of the ledger is still there."""
    query = "SELECT DISTINCT CONCAT(SUBSTRING(DirName, -9, 4), RIGHT(DirName, 4)) FROM FC_DirectoryLevelTree WHERE Level = 4"
    known = {row[0] for row in database.rows("FileCatalogDB", query)}
    days = [f"{year}{month:02d}{day:02d}" for year in range(2040, 2100) for month in range(1, 13) for day in range(1, 29)]
    return [day for day in days if day not in known][:count]


def mixed(sources: Sequence[Traffic], count: int, chooser: random.Random) -> list[Announced]:
    """Messages of several blocks, taken in turns of random length."""
    messages: list[Announced] = []
    while len(messages) < count:
        messages += chooser.choice(sources).messages(min(chooser.randint(1, 20), count - len(messages)))
    return messages
