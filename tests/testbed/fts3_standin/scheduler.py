"""Picks files, starts a process for each copy, watches it, kills it when it must end. One thread, which sleeps in between."""

import errno
import logging
import multiprocessing
import os
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from .copier import WRITING, CopyTask, run_copy
from .rules import Action, Rule, RuleBook
from .states import FileState, default_timeout_seconds, is_recoverable, reason_text
from .store import Outcome, Store

LOG = logging.getLogger("fts3_standin.scheduler")

_CLEANUP_SECONDS = 30.0
_LOOK_AT_RULES_SECONDS = 2.0


@dataclass(frozen=True)
class Settings:
    """
    :param parallel: copies at the same time, overall
    :param per_link: copies at the same time between one source host and one destination host
    :param copy_timeout: seconds granted to a copy whose job names no timeout; 0 is FTS3's rule (10 min and 2 s for each MiB)
    :param kill_margin: seconds after the timeout until the process is killed; gfal2 should have given up by then
    :param streaming: allow a copy through this machine where the storages cannot do a third-party copy
    """

    parallel: int = 20
    per_link: int = 20
    copy_timeout: int = 0
    kill_margin: float = 60.0
    streaming: bool = False


class CopyHandle(Protocol):
    """A copy process: `connection` brings its messages and its end."""

    connection: Connection

    def kill(self) -> None: ...

    def join(self) -> None: ...


class CopyProcess:
    """A process forked from the helper that has loaded gfal2 (see the package's docstring)."""

    _context = multiprocessing.get_context("forkserver")
    _context.set_forkserver_preload(["fts3_standin.copier"])

    def __init__(self, task: CopyTask) -> None:
        self.connection, child = self._context.Pipe(duplex=False)
        self._process = self._context.Process(target=run_copy, args=(task, child), daemon=True)
        self._process.start()
        child.close()

    def kill(self) -> None:
        self._process.kill()
        self.join()

    def join(self) -> None:
        self._process.join(5)
        self.connection.close()


class ProxyFiles:
    """Delegated proxies as files (0600), because the XRootD client takes a path."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self._store = folder, store
        self._written: dict[str, str] = {}
        folder.mkdir(mode=0o700, exist_ok=True)

    def path(self, cred_id: str) -> Path | None:
        """
        :returns: None if there is no valid credential
        """
        credential = self._store.credential(cred_id)
        if credential is None or credential["termination"] <= self._store.clock():
            return None
        path = self.folder / f"{cred_id}.pem"
        if self._written.get(cred_id) != credential["proxy_pem"]:
            temporary = path.with_suffix(".new")
            temporary.unlink(missing_ok=True)
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as output:
                output.write(credential["proxy_pem"])
            os.replace(temporary, path)
            self._written[cred_id] = credential["proxy_pem"]
        return path


@dataclass
class Attempt:
    """One attempt that holds a place: it waits for `due` (a rule's delay, or for ever), then a process copies."""

    row: sqlite3.Row
    rule: Rule | None
    attempt_id: int
    due: float
    deadline: float
    proxy_path: Path
    began: float
    handle: CopyHandle | None = None
    writing: bool = False


class Scheduler(threading.Thread):
    """
    :param launch: starts a copy; tests give their own
    :param monotonic: clock for delays and deadlines
    """

    def __init__(
        self,
        store: Store,
        rules: RuleBook,
        proxies: ProxyFiles,
        settings: Settings,
        launch: Callable[[CopyTask], CopyHandle] = CopyProcess,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="scheduler", daemon=True)
        self._store, self._rules, self._proxies, self._settings = store, rules, proxies, settings
        self._launch, self._monotonic = launch, monotonic
        self._running: dict[int, Attempt] = {}
        self._cleanups: list[tuple[float, CopyHandle]] = []
        self._canceled: deque[int] = deque()
        self._stopping = threading.Event()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)

    # ---- called from other threads --------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something changed: look now."""
        # A full pipe is full of earlier wake-ups: one is enough.
        with suppress(BlockingIOError):
            os.write(self._wake_writer, b"x")

    def cancel(self, file_ids: list[int]) -> None:
        """Stop the copies of these files, which the store already has as CANCELED."""
        self._canceled.extend(file_ids)
        self.wake()

    def stop(self) -> None:
        """End; copies under way are killed and their files stay ACTIVE in the store, to be done again at the next start."""
        self._stopping.set()
        self.wake()

    # ---- the loop -------------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.step()
            except Exception:
                # A fault in one cycle must not end the service for all jobs; the pause keeps a lasting one from filling the log.
                LOG.exception("A cycle of the scheduler failed")
                self._stopping.wait(1)
            self._wait()
        for attempt in self._running.values():
            if attempt.handle:
                attempt.handle.kill()
        for _, handle in self._cleanups:
            handle.kill()

    def step(self) -> None:
        """One cycle: take in what happened, then start what may start."""
        self._collect_messages()
        self._end_canceled()
        self._end_overdue()
        self._begin_due()
        while self._start_files():
            pass

    def _wait(self) -> None:
        connections = [attempt.handle.connection for attempt in self._running.values() if attempt.handle]
        connections += [handle.connection for _, handle in self._cleanups]
        ready = wait([*connections, self._wake_reader], timeout=self.sleep_seconds())
        if self._wake_reader in ready:
            os.read(self._wake_reader, 4096)

    def sleep_seconds(self) -> float | None:
        """Seconds until something is due by itself; None if only a message or a wake-up can bring work."""
        now = self._monotonic()
        times = [attempt.deadline - now for attempt in self._running.values()]
        times += [attempt.due - now for attempt in self._running.values() if not attempt.handle]
        times += [deadline - now for deadline, _ in self._cleanups]
        if any(_hangs(attempt) for attempt in self._running.values()):
            times.append(_LOOK_AT_RULES_SECONDS)
        retry_at = self._store.next_retry_at()
        if retry_at is not None:
            times.append(retry_at - self._store.clock() + 0.01)
        return max(0.0, min(times)) if times else None

    # ---- endings --------------------------------------------------------------------------------------------------------------

    def _collect_messages(self) -> None:
        for attempt in list(self._running.values()):
            while attempt.handle and attempt.handle.connection.poll():
                try:
                    message = attempt.handle.connection.recv()
                except (EOFError, OSError):
                    message = _failure(errno.EIO, "The copy process ended without a result")
                if message == WRITING:
                    attempt.writing = True
                    self._store.mark_writing(attempt.row["file_id"])
                else:
                    attempt.handle.join()
                    self._finish(attempt, message)
                    break
        for deadline, handle in list(self._cleanups):
            if handle.connection.poll() or deadline <= self._monotonic():
                handle.kill()
                self._cleanups.remove((deadline, handle))

    def _end_canceled(self) -> None:
        while self._canceled:
            attempt = self._running.get(self._canceled.popleft())
            if attempt:
                self._kill(attempt)
                self._finish(attempt, _failure(errno.ECANCELED, "Canceled"))

    def _end_overdue(self) -> None:
        now = self._monotonic()
        for attempt in [attempt for attempt in self._running.values() if attempt.deadline <= now]:
            self._kill(attempt)
            self._finish(attempt, _failure(errno.ETIMEDOUT, f"operation timeout after {now - attempt.began:.0f} seconds"))

    def _kill(self, attempt: Attempt) -> None:
        if attempt.handle is None:
            return
        attempt.handle.kill()
        row = attempt.row
        if attempt.writing and row["cleanup"] and not self._store.is_written_elsewhere(row["destination"], row["file_id"]):
            task = self._task(attempt, only_cleanup=True)
            self._cleanups.append((self._monotonic() + _CLEANUP_SECONDS, self._launch(task)))

    def _finish(self, attempt: Attempt, outcome: Outcome) -> None:
        row = attempt.row
        state = self._store.finish(row["file_id"], outcome)
        shown = "RETRY" if state == FileState.SUBMITTED else state
        self._store.end_attempt(attempt.attempt_id, shown, outcome)
        self._running.pop(row["file_id"], None)
        LOG.info(
            "file %d of %s: %s -> %s: %s after %.1f s%s%s",
            row["file_id"], row["job_id"], row["source"], row["destination"], shown, self._monotonic() - attempt.began,
            f": {outcome.reason}" if outcome.reason else "", f" (rule {attempt.rule.id})" if attempt.rule else "",
        )  # fmt: skip

    # ---- beginnings -----------------------------------------------------------------------------------------------------------

    def _start_files(self) -> bool:
        """
        :returns: True if places are free again at once, because rules ended what was started
        """
        busy = Counter((attempt.row["source_host"], attempt.row["dest_host"]) for attempt in self._running.values())
        free = self._settings.parallel - len(self._running)
        instant: list[tuple[sqlite3.Row, str]] = []
        failed = False
        for row in self._store.startable(busy, self._settings.per_link, free):
            rule = self._rules.take_for_attempt(row["source"], row["destination"])
            if rule and rule.action == Action.INSTANT and not rule.delay_seconds:
                instant.append((row, rule.id))
            else:
                failed |= not self._begin(row, rule)
        if instant:
            self._store.finish_without_copy(instant)
        return bool(instant) or failed

    def _begin(self, row: sqlite3.Row, rule: Rule | None) -> bool:
        """
        :returns: False if the attempt is over already
        """
        if not self._store.set_state(row["file_id"], FileState.READY):
            return True
        now = self._monotonic()
        timeout = row["timeout"] or self._settings.copy_timeout or default_timeout_seconds(row["user_filesize"] or 0)
        proxy_path = self._proxies.path(row["cred_id"])
        attempt = Attempt(
            row=row,
            rule=rule,
            attempt_id=self._store.begin_attempt(row, rule.id if rule else None),
            due=now + (rule.delay_seconds if rule else 0.0),
            deadline=now + timeout + self._settings.kill_margin,
            proxy_path=proxy_path or Path(),
            began=now,
        )
        if proxy_path is None:
            self._finish(attempt, _failure(errno.EACCES, "proxy expired: no valid delegated credential"))
            return False
        self._running[row["file_id"]] = attempt
        if not self._store.set_state(row["file_id"], FileState.ACTIVE):
            self._canceled.append(row["file_id"])
        if attempt.due <= now and not _hangs(attempt):
            self._act(attempt)
        return row["file_id"] in self._running

    def _begin_due(self) -> None:
        """End the delays that are over, and the hanging of attempts whose rule was removed."""
        present = {rule.id for rule in self._rules.rules()}
        now = self._monotonic()
        for attempt in [attempt for attempt in self._running.values() if not attempt.handle]:
            if _hangs(attempt):
                if attempt.rule and attempt.rule.id not in present:
                    self._copy(attempt)
            elif attempt.due <= now:
                self._act(attempt)

    def _act(self, attempt: Attempt) -> None:
        rule = attempt.rule
        if rule and rule.action == Action.FAIL:
            # A rule that names an error that FTS3 would never retry is obeyed all the same: the test says what it needs.
            self._finish(attempt, Outcome(False, reason_text(rule.phase, rule.code, rule.reason), rule.recoverable))
        elif rule and rule.action == Action.INSTANT:
            self._finish(attempt, Outcome(True, filesize=attempt.row["user_filesize"]))
        else:
            self._copy(attempt)

    def _copy(self, attempt: Attempt) -> None:
        attempt.handle = self._launch(self._task(attempt))

    def _task(self, attempt: Attempt, only_cleanup: bool = False) -> CopyTask:
        row = attempt.row
        return CopyTask(
            source=row["source"],
            destination=row["destination"],
            checksum=row["checksum"],
            checksum_mode=row["verify_checksum"],
            overwrite=bool(row["overwrite"] or row["resumed"]),
            cleanup=bool(row["cleanup"]),
            timeout=row["timeout"] or self._settings.copy_timeout,
            proxy_path=str(attempt.proxy_path),
            streaming=self._settings.streaming,
            action=attempt.rule.action if attempt.rule else "",
            only_cleanup=only_cleanup,
        )

    def status(self) -> dict[str, Any]:
        return {"running": len(self._running), "parallel": self._settings.parallel, "per_link": self._settings.per_link}


def _hangs(attempt: Attempt) -> bool:
    return attempt.handle is None and attempt.rule is not None and attempt.rule.action == Action.HANG


def _failure(code: int, message: str) -> Outcome:
    return Outcome(False, reason_text("TRANSFER", code, message), is_recoverable("TRANSFER", code, message))
