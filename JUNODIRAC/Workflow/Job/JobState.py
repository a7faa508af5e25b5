"""What the modules of one job hand on to each other."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from JUNODIRAC.Core.Domain.JobRecords import CommittedOutput

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class JobStep:
    """The step that a job executes."""

    chain: str
    name: str
    kind: str
    executable: str
    arguments: tuple[str, ...]
    cores: int
    memoryMB: int

    @classmethod
    def fromAnswer(cls, answer: Mapping[str, Any]) -> JobStep:
        """Of what beginTask answers."""
        return cls(
            answer["Chain"], answer["Name"], answer["Kind"], answer["Executable"], tuple(answer["Arguments"]), answer["Cores"],
            answer["MemoryMB"],
        )  # fmt: skip


@dataclass(frozen=True)
class JobInput:
    """An input as the ledger has it.

    :param events: None where the announcement did not say it
    """

    lfn: str
    sizeBytes: int
    checksum: str
    events: int | None

    @classmethod
    def fromAnswer(cls, answer: Mapping[str, Any]) -> JobInput:
        """Of what beginTask answers."""
        return cls(answer["LFN"], answer["SizeBytes"], answer["Checksum"], answer["Events"])

    @property
    def name(self) -> str:
        """Its file name."""
        return self.lfn.rpartition("/")[2]


@dataclass
class JobState:
    """Filled by one module after the other.

    :param attemptID: 0 as long as the service has given none
    :param isDone: there is nothing to do: other jobs have done all inputs
    :param storages: where the output may go, best first
    :param siteStorages: those of the job's own site
    :param inputEvents: of each input, in order
    :param registration: what counts and has to be registered
    """

    attemptID: int = 0
    isDone: bool = False
    step: JobStep | None = None
    inputs: list[JobInput] = field(default_factory=list)
    outputLFN: str = ""
    storages: list[str] = field(default_factory=list)
    siteStorages: list[str] = field(default_factory=list)
    inputFiles: list[Path] = field(default_factory=list)
    inputEvents: list[int] = field(default_factory=list)
    outputFile: Path | None = None
    summaryFile: Path | None = None
    sizeBytes: int = 0
    checksum: str = ""
    storage: str = ""
    registration: list[CommittedOutput] = field(default_factory=list)
    said: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def theStep(self) -> JobStep:
        """The step, which is there after the first module."""
        if self.step is None:
            raise RuntimeError("the job has not begun its task")
        return self.step

    @property
    def theOutput(self) -> Path:
        """The local output file, which has its name after the second module."""
        if self.outputFile is None:
            raise RuntimeError("the job has no output yet")
        return self.outputFile


def adler32(path: Path) -> str:
    """adler32 of a file, 8 lower-case hex digits.

    :raises OSError: if it cannot be read
    """
    value = 1
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            value = zlib.adler32(chunk, value)
    return f"{value:08x}"
