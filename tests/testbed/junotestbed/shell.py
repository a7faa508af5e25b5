"""Running commands and waiting, with errors that show the end of the right log."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from junotestbed.settings import TestbedError


def run(command: list[str], *, env: dict[str, str] | None = None, stdin: str | None = None, timeout: float = 300) -> str:
    """Run a command to its end.

    :returns: its output
    :raises TestbedError: with the end of its output, if it fails
    """
    try:
        done = subprocess.run(
            command,
            env=env,
            input=stdin or "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace") if isinstance(late.stdout, bytes) else late.stdout or ""
        raise TestbedError(f"'{' '.join(command)[:300]}' did not end within {timeout:.0f} s:\n{last_lines(said)}") from None
    if done.returncode:
        raise TestbedError(f"'{' '.join(command)[:300]}' failed with status {done.returncode}:\n{last_lines(done.stdout)}")
    return done.stdout


def last_lines(text: str, count: int = 15) -> str:
    return "\n".join("    " + line for line in text.rstrip().splitlines()[-count:])


def tail(path: Path, count: int = 15) -> str:
    """The last lines of a log, or why there is none."""
    try:
        with open(path, "rb") as log:
            log.seek(max(0, path.stat().st_size - max(20000, 500 * count)))
            return last_lines(log.read().decode(errors="replace"), count)
    except OSError as error:
        return f"    ({error})"


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def wait_for(what: str, condition: Callable[[], bool], timeout: float, log: Path | None = None, interval: float = 0.2) -> float:
    """Wait until the condition holds.

    :returns: seconds waited
    :raises TestbedError: after ``timeout`` seconds, with the end of the component's log
    """
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout:
            raise TestbedError(
                f"{what} does not answer after {timeout:.0f} s" + (f"; the end of {log}:\n{tail(log)}" if log else "")
            )
        time.sleep(interval)
    return time.monotonic() - started


def port_answers(host: str, port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex((host, port)) == 0


def pid_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
