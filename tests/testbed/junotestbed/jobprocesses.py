"""The processes of jobs on the worker nodes, for those who kill them and hold them up."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from junotestbed.settings import SITES, Settings
from junotestbed.worker_nodes import folder_of


@dataclass(frozen=True)
class JobProcess:
    """:param words: its command line"""

    pid: int
    words: tuple[str, ...]

    @property
    def isProgram(self) -> bool:
        """Whether it is that of the step, which reads and writes events."""
        return any(Path(word).name in ("juno-rawrec", "juno-merge") for word in self.words[:3])

    @property
    def isWrapper(self) -> bool:
        """Whether it belongs to DIRAC's wrapper around the job, which says that it is alive."""
        return any(re.search(r"/Wrapper_\d+|/Job\d+$", word) for word in self.words)


def processesOf(settings: Settings, job: int) -> list[JobProcess]:
    """All that belong to a job: the wrapper, the workflow that it started, and the program."""
    folders = [str(folder_of(settings, site) / str(job)) for site in SITES if site.processors]
    nodes = [str(folder_of(settings, site)) for site in SITES if site.processors]
    wrapper = re.compile(rf"/(Wrapper_|Job){job}(\.sh)?$")
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            where = os.readlink(entry / "cwd")
            words = tuple(word.decode(errors="replace") for word in (entry / "cmdline").read_bytes().split(b"\0") if word)
            isInside = any(where == folder or where.startswith(f"{folder}/") for folder in folders)
            isOurs = any(word.startswith(node) and wrapper.search(word) for word in words for node in nodes)
            if isInside or isOurs:
                found.append(JobProcess(int(entry.name), words))
    return found


def send(processes: list[JobProcess], number: signal.Signals) -> int:
    """:returns: how many were still there to get it"""
    reached = 0
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
            reached += 1
    return reached


def killJob(settings: Settings, job: int) -> int:
    """``kill -9`` of everything that belongs to a job, as when its machine dies.

    :returns: how many processes it had
    """
    count = 0
    # what started another process between the look and the blow
    while found := processesOf(settings, job):
        count += send(found, signal.SIGKILL)
        if count > 100:
            break
    return count
