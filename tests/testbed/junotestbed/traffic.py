"""Makes RAW files, puts them on the source storage and announces them on Kafka, by the rules of a Type's policy."""

from __future__ import annotations

import json
import os
import subprocess
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from junotestbed.settings import SITES, Settings, Site, TestbedError

SOURCE = SITES[0]


def site_of(se: str) -> Site:
    return next(site for site in SITES if site.se == se)


@dataclass(frozen=True)
class MadeFile:
    """A file that was made: where it lies and what it must be everywhere."""

    type_name: str
    block: str
    file_name: str
    directory: str
    size: int
    checksum: str

    @property
    def lfn(self) -> str:
        """LFN by the default rule, which keeps the path below the EOS root."""
        return f"{self.directory}/{self.file_name}"

    @property
    def path(self) -> str:
        """Path on the source storage."""
        return SOURCE.path + self.lfn

    def announcement(self, **changes: object) -> dict[str, object]:
        content: dict[str, object] = {
            "FileName": self.file_name,
            "FilePath": self.path,
            "Checksum": self.checksum,
            "FileSize": self.size,
        }
        return {key: value for key, value in (content | changes).items() if value is not None}


def file_name(type_name: str, run: int, sequence: int, day: str) -> str:
    """A name as the testbed's configuration has it for this Type."""
    start, end = {"Raw": ("Daq", "dat"), "RTRaw": ("RTRaw", "rtraw")}[type_name]
    return f"{start}.{run}.PHYSICS.GLOBAL_TRIGGER.TESTBED.{day}120000.{sequence:04d}.{end}"


def make_files(settings: Settings, type_name: str, block: str, count: int, size: int, run: int, first: int = 1) -> list[MadeFile]:
    """Put files of random bytes on the source storage.

    :param block: the day, YYYYMMDD
    :param size: bytes of each file
    """
    directory = f"/juno/{type_name.lower()}/{block[:4]}/{block[4:]}"
    with ThreadPoolExecutor(4) as pool:
        numbers = range(first, first + count)
        return list(
            pool.map(
                lambda n: put_file(settings, type_name, block, directory, file_name(type_name, run, n, block), size), numbers
            )
        )


def put_file(settings: Settings, type_name: str, block: str, directory: str, name: str, size: int) -> MadeFile:
    content = os.urandom(size)
    local = settings.run / "made" / name
    local.parent.mkdir(exist_ok=True)
    local.write_bytes(content)
    made = MadeFile(type_name, block, name, directory, size, f"{zlib.adler32(content):08x}")
    try:
        copy_to(settings, local, SOURCE, made.lfn)
    finally:
        local.unlink()
    return made


def copy_to(settings: Settings, local: Path, site: Site, lfn: str) -> None:
    command = ["xrdcp", "-s", "-f", "-p", str(local), settings.site_url(site) + lfn]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise TestbedError(f"{lfn} could not be written to {site.se}: {done.stderr.strip()}")


def stored_checksum(settings: Settings, site: Site, lfn: str) -> str:
    """The adler32 that a storage computes of its copy; empty if it has none."""
    host, port = settings.site_address(site)
    command = ["xrdfs", f"root://{host}:{port}", "query", "checksum", site.path + lfn]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    words = done.stdout.split()
    return words[1] if not done.returncode and len(words) > 1 else ""


def announce(settings: Settings, topic: str, messages: Sequence[tuple[str, dict | bytes]]) -> None:
    """Send announcements, keyed by their block so that a block's files stay in one partition; waits until Kafka has them."""
    from confluent_kafka import Producer

    # right after its start Kafka has the client try again, which is none of the user's business; what fails is reported below
    quiet = {"log_level": 3}
    producer = Producer({"bootstrap.servers": settings.kafka_brokers, "enable.idempotence": True} | quiet)
    failures: list[str] = []

    def delivered(error, _message) -> None:
        if error:
            failures.append(str(error))

    for key, content in messages:
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        producer.produce(topic, payload, key=key.encode(), on_delivery=delivered)
        producer.poll(0)
    producer.flush(60)
    if failures:
        raise TestbedError(f"{len(failures)} announcements were not taken by Kafka: {failures[0]}")
