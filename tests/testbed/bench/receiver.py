"""The real receiver as a process of its own: an instance of DataReceiverAgent for the Type of the benchmark."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from junotestbed.configuration import write_cfg
from junotestbed.settings import Settings, TestbedError
from junotestbed.shell import tail, wait_for

from bench.workload import TYPE_NAME

# the part in parentheses: seconds by stage
_BATCH = re.compile(r"^(\S+) .*Batch +(\d+) messages: (\d+) registered, .* in ([\d.]+) s(?: \((.*)\))?", re.MULTILINE)
_STAGE = re.compile(r"([\w ]+?) ([\d.]+)(?:, |$)")


def addArguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the receiver that is not its default"
    )


def agentOptions(arguments: argparse.Namespace) -> dict[str, str]:
    """What ``--option`` said.

    :raises TestbedError: if it is not NAME=VALUE
    """
    for text in arguments.option:
        if "=" not in text:
            raise TestbedError(f"--option {text}: write it as NAME=VALUE, for example BatchSize=2000")
    return dict(text.split("=", 1) for text in arguments.option)


class Receiver:
    """One receiver process, as runit would start it; what it must know of the Type stands in its local configuration.

    :param typeOptions: the Type's section
    :param agentOptions: options of the agent that differ from its defaults
    :param typeName: of the Type
    """

    def __init__(
        self,
        settings: Settings,
        typeOptions: Mapping[str, str],
        agentOptions: Mapping[str, str] | None = None,
        typeName: str = TYPE_NAME,
    ) -> None:
        self._settings = settings
        self._instance = f"{typeName}ReceiverAgent"
        self.folder = settings.run / "bench"
        self.folder.mkdir(exist_ok=True)
        self.log = self.folder / ("receiver.log" if typeName == TYPE_NAME else f"{self._instance}.log")
        self._cfg = self.folder / f"{self._instance}.cfg"
        agent = {"Module": "DataReceiverAgent", "PollingTime": "10", "MaxCycles": "0", **(agentOptions or {})}
        write_cfg(
            self._cfg,
            {
                "Operations": {"Defaults": {"RawData": {"Types": {typeName: dict(typeOptions)}}}},
                "Systems": {"RawData": {"Agents": {self._instance: agent}}},
            },
        )
        self.process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self, *wrapper: str) -> Iterator[Receiver]:
        """Start it, and stop it at the end.

        :param wrapper: a command that runs the agent, for example a profiler
        """
        root = self._settings.dirac_root
        command = ["bash", "-c", f'source {root}/bashrc; export X509_USER_PROXY={root}/etc/no-proxy.pem; exec "$@"', "receiver"]
        command += [*wrapper, "dirac-agent", f"RawData/{self._instance}", "--cfg", str(self._cfg)]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"JUNO_TESTBED_STATE": str(self._settings.state), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            )
        try:
            yield self
        finally:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def waitForConnection(self) -> None:
        """Until it says that it receives."""
        wait_for("the receiver", lambda: self.isAlive() and "Receiving" in self._text(), 120, self.log, interval=0.02)

    def waitForSecondCycle(self) -> None:
        """Until its work is steady: the first cycle of the agent is short, and DIRAC pauses after it for up to ten seconds."""

        def hasBegun() -> bool:
            return self.isAlive() and self._text().count("Starting cycle") > 1

        wait_for("the receiver's second cycle", hasBegun, 60, self.log, interval=0.1)

    def isAlive(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise TestbedError(f"the receiver has ended; the end of {self.log}:\n{tail(self.log)}")
        return True

    def peakBytes(self) -> int:
        """The most memory that it ever held (VmHWM)."""
        assert self.process is not None
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0

    def cpuSeconds(self) -> float:
        assert self.process is not None
        return cpuSeconds(self.process.pid)

    def batches(self) -> dict[str, object]:
        """Of the lines that it writes for its batches: how many, and the seconds of each stage, summed up."""
        stages: Counter[str] = Counter()
        count, seconds = 0, 0.0
        for found in _BATCH.finditer(self._text()):
            count += 1
            seconds += float(found[4])
            for name, spent in _STAGE.findall(found[5] or ""):
                stages[name] += float(spent)
        return {"batches": count, "batch_seconds": round(seconds, 2), "stages": {k: round(v, 2) for k, v in stages.items()}}

    def firstBatchTime(self) -> float:
        """When it began with its first batch: seconds since 1970. DIRAC pauses between connecting and that for ten seconds."""
        found = _BATCH.search(self._text())
        assert found is not None
        end = datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%S,%fZ").replace(tzinfo=UTC)
        return end.timestamp() - float(found[4])

    def _text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def cpuSeconds(pid: int) -> float:
    """Seconds of CPU that a process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
