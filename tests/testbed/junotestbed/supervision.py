"""runit: two trees of supervised processes, one for the infrastructure and one in the layout of DIRAC's ComponentInstaller."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from junotestbed.settings import Settings, TestbedError
from junotestbed.shell import pid_alive, wait_for, write


@dataclass(frozen=True)
class State:
    """What runit says of one process; ``name`` is the folder's name in the tree."""

    name: str
    state: str
    pid: int
    uptime: int


class Tree:
    """One runsvdir with the links in its ``startup`` folder."""

    def __init__(self, root: Path, env: dict[str, str]) -> None:
        self.root = root
        self.startup = root / "startup"
        self.pid_file = root / "runsvdir.pid"
        self.env = env

    @property
    def pid(self) -> int:
        """Pid of runsvdir, 0 if it does not run."""
        try:
            pid = int(self.pid_file.read_text())
            running = b"runsvdir" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return 0
        return pid if running and pid_alive(pid) else 0

    def start(self) -> None:
        if self.pid:
            return
        self.startup.mkdir(parents=True, exist_ok=True)
        with open(self.root / "runsvdir.log", "ab") as log:
            process = subprocess.Popen(
                ["runsvdir", "-P", str(self.startup)],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        write(self.pid_file, str(process.pid))

    def service_dir(self, name: str) -> Path:
        return (self.startup / name).resolve()

    def states(self) -> list[State]:
        names = sorted(path.name for path in self.startup.iterdir()) if self.startup.is_dir() else []
        return [self.state(name) for name in names]

    def state(self, name: str) -> State:
        if not self.pid:
            return State(name, "down", 0, 0)
        said = subprocess.run(["sv", "status", str(self.startup / name)], capture_output=True, text=True).stdout
        match = re.match(r"(\w+):[^:]*: (?:\(pid (\d+)\) )?(\d+)s", said)
        if not match:
            return State(name, "unsupervised", 0, 0)
        return State(name, match[1], int(match[2] or 0), int(match[3]))

    def control(self, action: str, *names: str, wait: int = 10) -> None:
        """``sv`` with up, down, restart, kill, ..."""
        subprocess.run(
            ["sv", "-w", str(wait), action, *[str(self.startup / name) for name in names]], capture_output=True, check=False
        )

    def stop(self, grace_seconds: float = 20) -> None:
        """End all processes of the tree; what does not end within the grace time is killed."""
        pid = self.pid
        if not pid:
            return
        supervisors = _children(pid)
        os.kill(pid, signal.SIGHUP)
        try:
            wait_for("runsvdir", lambda: not any(pid_alive(child) for child in [pid, *supervisors]), grace_seconds)
        except TestbedError:
            self.control("force-stop", *[state.name for state in self.states()], wait=2)
            for child in supervisors:
                # runsv before what it supervises: it would start its logger again, and wait for the end of that one for ever
                for process in [child, *_children(child)]:
                    _kill(process)
            wait_for("runsvdir", lambda: not any(pid_alive(child) for child in [pid, *supervisors]), 10)
        self.pid_file.unlink(missing_ok=True)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def leftovers(settings: Settings) -> list[int]:
    """Processes of this testbed, recognised by the state folder in their environment, other than the caller's own line."""
    mark = f"JUNO_TESTBED_STATE={settings.state}".encode()
    own = _ancestors()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) not in own:
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in environment and b"JUNO_TESTBED_SUPERVISED=yes" in environment:
                found.append(int(folder.name))
    return found


def kill_leftovers(settings: Settings) -> int:
    """Kill what a dead supervisor left behind.

    :returns: how many there were
    """
    pids = leftovers(settings)
    for pid in pids:
        _kill(pid)
    return len(pids)


def _ancestors() -> set[int]:
    pids, pid = set(), os.getpid()
    while pid:
        pids.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            break
    return pids


def infra_tree(settings: Settings) -> Tree:
    return Tree(settings.infra, settings.environment() | {"JUNO_TESTBED_SUPERVISED": "yes"})


def dirac_tree(settings: Settings) -> Tree:
    env = {"JUNO_TESTBED_STATE": str(settings.state), "JUNO_TESTBED_SUPERVISED": "yes", "HOME": str(settings.dirac_root / "work")}
    return Tree(settings.dirac_root, env | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"})
