"""One copy, done by a process of its own. What happens, and in which order, is what ``fts_url_copy`` of FTS 3.12 does.

source stat -> source checksum (modes source, both) -> destination exists? (removed, or the end) -> parent directories ->
third-party copy by gfal2, which compares the target's checksum (modes target, both) -> sizes compared. After a failed copy the
destination is removed unless the job has ``disable_cleanup``. DIRAC's jobs have it: then whatever the storages left stays there,
and the overwrite of the next attempt deals with it. (XRootD's client itself removes a target whose checksum was wrong.)
"""

import errno
import os
import select
import signal
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gfal2

from .rules import Action
from .states import default_timeout_seconds, is_recoverable, reason_text
from .store import Outcome
from .submission import split_checksum

_CHUNK_BYTES = 1 << 20

#: Sent to the scheduler once the destination was found free (or freed) and the copy begins.
WRITING = "writing"


@dataclass(frozen=True)
class CopyTask:
    """What the process is told.

    :param action: CORRUPT or TRUNCATE make a wrong copy on purpose
    :param overwrite: the job's, or that an interrupted copy of ours may have left something
    :param timeout: seconds, 0 for FTS3's default
    """

    source: str
    destination: str
    checksum: str
    checksum_mode: str
    overwrite: bool
    cleanup: bool
    timeout: int
    proxy_path: str
    streaming: bool = False
    action: str = ""
    only_cleanup: bool = False


class CopyError(Exception):
    """A step failed. `scope` is SOURCE, TRANSFER or DESTINATION."""

    def __init__(self, scope: str, code: int, message: str) -> None:
        super().__init__(message)
        self.scope, self.code, self.message = scope, code, message


def run_copy(task: CopyTask, connection: Connection) -> None:
    """Entry point of the process: sends :data:`WRITING`, then an :class:`~fts3_standin.store.Outcome`."""
    _die_with_reader(connection)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["X509_USER_PROXY"] = task.proxy_path
    # The XRootD client looks up the name of each address. Where no name server answers, or one that drops requests that come in
    # numbers, each lookup would take the resolver's 5 s, several times a copy.
    os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")
    context = gfal2.creat_context()
    # One credential for every storage of this process: it belongs to one user.
    for prefix in (task.source, task.destination):
        if task.proxy_path:
            gfal2.cred_set(context, prefix, gfal2.cred_new("X509_CERT", task.proxy_path))
    if task.only_cleanup:
        _remove_quietly(context, task.destination)
        return
    started = time.monotonic()
    size: int | None = None
    try:
        size = _stat(context, task.source, "SOURCE").st_size
        _prepare(context, task)
        connection.send(WRITING)
        _transfer(context, task, size)
        outcome = Outcome(ok=True, filesize=size, tx_seconds=time.monotonic() - started)
    except CopyError as error:
        reason = reason_text(error.scope, error.code, error.message)
        recoverable = is_recoverable(error.scope, error.code, error.message)
        outcome = Outcome(False, reason, recoverable, size, time.monotonic() - started)
    connection.send(outcome)
    # The XRootD client's threads are of no use any more and may take seconds to end.
    os._exit(0)


def _die_with_reader(connection: Connection) -> None:
    """End this process when the server is gone, seen by the closing of the other end of its pipe.

    Without this a killed server would leave copies behind that write to the same places as those made after its restart. The
    kernel's "signal on the parent's death" is no help: the parent is the helper that forks, and it lives as long as its children.
    """

    def watch() -> None:
        poll = select.poll()
        poll.register(connection.fileno(), 0)  # an error (no reader left) is always reported
        poll.poll()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _stat(context: Any, url: str, scope: str) -> Any:
    try:
        return context.stat(url)
    except gfal2.GError as error:
        raise CopyError(scope, error.code, error.message) from error


def _prepare(context: Any, task: CopyTask) -> None:
    if task.checksum_mode in ("source", "both"):
        _check_source_checksum(context, task)
    try:
        context.stat(task.destination)
    except gfal2.GError as error:
        if error.code != errno.ENOENT:
            raise CopyError("DESTINATION", error.code, error.message) from error
        parent = task.destination.split("?")[0].rsplit("/", 1)[0]
        try:
            context.mkdir_rec(parent, 0o755)
        except gfal2.GError as failure:
            if failure.code != errno.EEXIST:
                raise CopyError("DESTINATION", failure.code, failure.message) from failure
        return
    if not task.overwrite:
        raise CopyError("DESTINATION", errno.EEXIST, "Destination file exists and overwrite is not enabled")
    try:
        context.unlink(task.destination)
    except gfal2.GError as error:
        if error.code != errno.ENOENT:
            raise CopyError("DESTINATION", error.code, error.message) from error


def _check_source_checksum(context: Any, task: CopyTask) -> None:
    algorithm, wanted = split_checksum(task.checksum)
    try:
        found = context.checksum(task.source, algorithm).lower()
    except gfal2.GError as error:
        raise CopyError("SOURCE", error.code, error.message) from error
    if wanted and found.lstrip("0") != wanted.lstrip("0"):
        raise CopyError("SOURCE", errno.EIO, f"Source and user-defined {algorithm} checksum do not match ({found} != {wanted})")


def _transfer(context: Any, task: CopyTask, size_bytes: int) -> None:
    try:
        if task.action in (Action.CORRUPT, Action.TRUNCATE):
            _wrong_copy(context, task, size_bytes)
            return
        context.filecopy(_parameters(context, task, size_bytes), task.source, task.destination)
        if _stat(context, task.destination, "DESTINATION").st_size != size_bytes:
            raise CopyError("DESTINATION", errno.EINVAL, "Source and destination file size mismatch")
    except gfal2.GError as error:
        failure = CopyError("TRANSFER", error.code, error.message)
        if task.cleanup and error.code != errno.EEXIST:
            _remove_quietly(context, task.destination)
        raise failure from error
    except CopyError:
        if task.cleanup:
            _remove_quietly(context, task.destination)
        raise


def _parameters(context: Any, task: CopyTask, size_bytes: int) -> Any:
    parameters = context.transfer_parameters()
    parameters.overwrite = task.overwrite
    parameters.create_parent = False
    parameters.local_transfers = task.streaming
    parameters.timeout = task.timeout or default_timeout_seconds(size_bytes)
    algorithm, value = split_checksum(task.checksum)
    if task.checksum_mode != "none":
        mode = getattr(gfal2.checksum_mode, task.checksum_mode)
        parameters.set_checksum(mode, algorithm, value)
    return parameters


def _wrong_copy(context: Any, task: CopyTask, size_bytes: int) -> None:
    """Put a damaged file in place: the first byte of each MiB changed, or only the first half. Nothing is verified."""
    with tempfile.TemporaryDirectory(prefix="fts3_standin_") as folder:
        local = Path(folder) / "wrong"
        source = context.open(task.source, "r")
        wanted = size_bytes // 2 if task.action == Action.TRUNCATE else size_bytes
        with local.open("wb") as output:
            while output.tell() < wanted:
                chunk = source.read_bytes(min(_CHUNK_BYTES, wanted - output.tell()))
                if not chunk:
                    break
                output.write(bytes([chunk[0] ^ 0xFF]) + chunk[1:] if task.action == Action.CORRUPT else chunk)
        parameters = context.transfer_parameters()
        parameters.overwrite, parameters.local_transfers = True, True
        context.filecopy(parameters, f"file://{local}", task.destination)


def _remove_quietly(context: Any, url: str) -> None:
    """Best effort: that the clean-up failed must not hide why the copy failed."""
    with suppress(gfal2.GError):
        context.unlink(url)
