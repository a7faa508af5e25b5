"""Jobs, files and attempts. Each method is one transaction, committed on return."""

import json
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .database import CredentialStore
from .states import (
    LIVE_FILE_STATES,
    REASON_CANCELED,
    REASON_JOB_FAILED,
    TERMINAL_JOB_STATES,
    FileState,
    JobState,
    check_transition,
    job_state,
    retry_after_seconds,
)
from .submission import Submission, storage_element, storage_host

#: Seconds after a restart until a copy that was broken off is begun again: the storage has to notice that its client is gone.
RESUME_GRACE_SECONDS = 1.0

_LIVE_SQL = ",".join(f"'{state}'" for state in sorted(LIVE_FILE_STATES))


@dataclass(frozen=True)
class Outcome:
    """How one attempt at a file ended."""

    ok: bool
    reason: str = ""
    recoverable: bool = True
    filesize: int | None = None
    tx_seconds: float = 0.0


class Store(CredentialStore):
    """Jobs, files and attempts (and, inherited, credentials and rules' counts).

    :param path: the SQLite file
    :param retry_delay: seconds before a recoverable failure is tried again if the job names no delay
    :param clock: seconds since the epoch
    """

    def __init__(self, path: Path, retry_delay: float = 120.0, clock: Callable[[], float] = time.time) -> None:
        super().__init__(path)
        self.retry_delay = retry_delay
        self.clock = clock

    # ---- jobs -----------------------------------------------------------------------------------------------------------------

    def add_job(self, submission: Submission, user_dn: str, cred_id: str, vo_name: str, hidden: bool = False) -> str:
        """
        :returns: the new job id; the job is on disk by then
        """
        job_id, now = str(uuid.uuid1()), self.clock()
        sources = {storage_element(entry.source) for entry in submission.files}
        targets = {storage_element(entry.destination) for entry in submission.files}
        with self._transaction() as db:
            db.execute(
                "INSERT INTO jobs VALUES (?,?,?,?,?,NULL,?,NULL,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    job_id, user_dn, cred_id, vo_name, JobState.SUBMITTED, now,
                    submission.priority, submission.retry, submission.retry_delay, submission.verify_checksum,
                    submission.overwrite, submission.cleanup, submission.timeout,
                    json.dumps(submission.metadata), json.dumps(submission.params),
                    sources.pop() if len(sources) == 1 else None, targets.pop() if len(targets) == 1 else None, hidden,
                ),
            )  # fmt: skip
            seen: set[int] = set()
            for entry in submission.files:
                state = FileState.NOT_USED if entry.index in seen else FileState.SUBMITTED
                seen.add(entry.index)
                db.execute(
                    "INSERT INTO files (job_id, file_index, state, source, destination, source_host, dest_host, checksum,"
                    " user_filesize, metadata, activity, strategy, priority) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    (
                        job_id, entry.index, state, entry.source, entry.destination,
                        storage_host(entry.source), storage_host(entry.destination), entry.checksum,
                        entry.user_filesize, json.dumps(entry.metadata), entry.activity, entry.strategy, submission.priority,
                    ),
                )  # fmt: skip
        return job_id

    def job(self, job_id: str) -> sqlite3.Row | None:
        """The job, None if unknown or lost on a rule's demand."""
        rows = self._rows("SELECT * FROM jobs WHERE job_id=? AND hidden=0", job_id)
        return rows[0] if rows else None

    def jobs(self, user_dn: str, states: list[str], limit: int = 500) -> list[sqlite3.Row]:
        """Jobs of a user in the given states; without states those that are not finished."""
        wanted = states or [state for state in JobState if state not in TERMINAL_JOB_STATES]
        marks = ",".join("?" * len(wanted))
        return self._rows(
            f"SELECT * FROM jobs WHERE hidden=0 AND user_dn=? AND state IN ({marks}) ORDER BY submit_time DESC LIMIT ?",
            user_dn, *wanted, limit,
        )  # fmt: skip

    def files(self, job_id: str) -> list[sqlite3.Row]:
        return self._rows("SELECT * FROM files WHERE job_id=? ORDER BY file_id", job_id)

    def cancel(self, job_id: str, file_ids: list[int] | None = None) -> list[int]:
        """Cancel a job, or some of its files.

        :returns: ids of the files that this call canceled
        """
        now = self.clock()
        with self._transaction() as db:
            rows = db.execute(
                f"SELECT file_id FROM files WHERE job_id=? AND state IN ({_LIVE_SQL},'{FileState.NOT_USED}')", (job_id,)
            ).fetchall()
            chosen = [row["file_id"] for row in rows if file_ids is None or row["file_id"] in file_ids]
            db.executemany(
                "UPDATE files SET state=?, reason=?, recoverable=0, finish_time=? WHERE file_id=?",
                [(FileState.CANCELED, REASON_CANCELED, now, file_id) for file_id in chosen],
            )
            if chosen:
                self._refresh_job(db, job_id)
            if file_ids is None and chosen:
                db.execute(
                    "UPDATE jobs SET state=?, reason=?, finish_time=? WHERE job_id=?",
                    (JobState.CANCELED, REASON_CANCELED, now, job_id),
                )
        return chosen

    def _refresh_job(self, db: sqlite3.Connection, job_id: str) -> None:
        rows = db.execute("SELECT file_index, state, retry_count FROM files WHERE job_id=?", (job_id,)).fetchall()
        states = [(row["file_index"], FileState(row["state"])) for row in rows]
        state = job_state(states, touched=any(row["retry_count"] for row in rows))
        reason = {
            JobState.FAILED: REASON_JOB_FAILED,
            JobState.FINISHEDDIRTY: REASON_JOB_FAILED,
            JobState.CANCELED: REASON_CANCELED,
        }.get(state)
        finished = self.clock() if state in TERMINAL_JOB_STATES else None
        db.execute(
            "UPDATE jobs SET state=?, reason=?, finish_time=? WHERE job_id=? AND state<>?",
            (state, reason, finished, job_id, state),
        )

    # ---- what the scheduler does with files -----------------------------------------------------------------------------------

    def startable(self, busy_links: dict[tuple[str, str], int], per_link: int, limit: int) -> list[sqlite3.Row]:
        """Files whose turn it is: by priority, then in the order of submission, no link above its limit.

        :param busy_links: copies under way on each (source host, destination host)
        :param limit: free places overall
        """
        if limit <= 0:
            return []
        with self._lock:
            links = self._rows("SELECT DISTINCT source_host, dest_host FROM files WHERE state=?", FileState.SUBMITTED)
            found: list[sqlite3.Row] = []
            for source_host, dest_host in links:
                free = min(limit, per_link - busy_links.get((source_host, dest_host), 0))
                if free > 0:
                    found += self._rows(
                        "SELECT f.*, j.user_dn, j.cred_id, j.verify_checksum, j.overwrite, j.cleanup, j.timeout"
                        " FROM files f JOIN jobs j USING (job_id) WHERE f.state=? AND f.source_host=? AND f.dest_host=?"
                        " AND f.retry_at<=? ORDER BY f.priority DESC, f.file_id LIMIT ?",
                        FileState.SUBMITTED, source_host, dest_host, self.clock(), free,
                    )  # fmt: skip
        return sorted(found, key=lambda row: (-row["priority"], row["file_id"]))[:limit]

    def next_retry_at(self) -> float | None:
        """When the earliest postponed file is due (seconds since the epoch)."""
        row = self._rows(
            "SELECT MIN(retry_at) AS due FROM files WHERE state=? AND retry_at>?", FileState.SUBMITTED, self.clock()
        )[0]
        return row["due"]

    def set_state(self, file_id: int, target: FileState) -> bool:
        """READY or ACTIVE.

        :returns: False if the file was canceled meanwhile; nothing is written then
        """
        with self._transaction() as db:
            row = db.execute("SELECT job_id, state FROM files WHERE file_id=?", (file_id,)).fetchone()
            if row["state"] == FileState.CANCELED:
                return False
            check_transition(FileState(row["state"]), target)
            started = self.clock() if target == FileState.ACTIVE else None
            db.execute("UPDATE files SET state=?, start_time=COALESCE(?, start_time) WHERE file_id=?", (target, started, file_id))
            self._refresh_job(db, row["job_id"])
        return True

    def mark_writing(self, file_id: int) -> None:
        with self._transaction() as db:
            db.execute("UPDATE files SET writing=1 WHERE file_id=?", (file_id,))

    def finish(self, file_id: int, outcome: Outcome) -> FileState:
        """Enter the end of an attempt: FINISHED, another attempt later, an alternative source, or FAILED.

        A file that was canceled meanwhile stays CANCELED.

        :returns: the state that the file has now
        """
        with self._transaction() as db:
            row = db.execute(
                "SELECT f.*, j.retry, j.retry_delay FROM files f JOIN jobs j USING (job_id) WHERE file_id=?", (file_id,)
            ).fetchone()
            if row["state"] == FileState.CANCELED:
                return FileState.CANCELED
            target, retry_at = self._after_attempt(row, outcome)
            check_transition(FileState(row["state"]), target)
            db.execute(
                "UPDATE files SET state=?, reason=?, recoverable=?, filesize=COALESCE(?, filesize), tx_seconds=?,"
                " finish_time=?, writing=0, retry_at=?, retry_count=retry_count+? WHERE file_id=?",
                (
                    target, outcome.reason or None, None if outcome.ok else outcome.recoverable, outcome.filesize,
                    outcome.tx_seconds, None if target == FileState.SUBMITTED else self.clock(), retry_at,
                    target == FileState.SUBMITTED, file_id,
                ),
            )  # fmt: skip
            if target == FileState.FAILED:
                self._use_next_source(db, row)
            self._refresh_job(db, row["job_id"])
        return target

    def _after_attempt(self, row: sqlite3.Row, outcome: Outcome) -> tuple[FileState, float]:
        """
        :returns: (next state, when it may be tried again)
        """
        if outcome.ok:
            return FileState.FINISHED, 0.0
        delay = retry_after_seconds(row["retry"], row["retry_count"], outcome.recoverable, row["retry_delay"], self.retry_delay)
        return (FileState.FAILED, 0.0) if delay is None else (FileState.SUBMITTED, self.clock() + delay)

    @staticmethod
    def _use_next_source(db: sqlite3.Connection, row: sqlite3.Row) -> None:
        db.execute(
            "UPDATE files SET state=? WHERE file_id=(SELECT MIN(file_id) FROM files WHERE job_id=? AND file_index=? AND state=?)",
            (FileState.SUBMITTED, row["job_id"], row["file_index"], FileState.NOT_USED),
        )

    def finish_without_copy(self, rows: list[tuple[sqlite3.Row, str]]) -> None:
        """Report files as FINISHED in one transaction, for benchmarks of the control plane.

        :param rows: (file, id of the rule that asked for it)
        """
        now = self.clock()
        with self._transaction() as db:
            for row, rule_id in rows:
                db.execute(
                    "UPDATE files SET state='FINISHED', filesize=user_filesize, tx_seconds=0, start_time=?, finish_time=?"
                    " WHERE file_id=? AND state='SUBMITTED'",
                    (now, now, row["file_id"]),
                )
                db.execute(
                    "INSERT INTO attempts (file_id, job_id, user_dn, source, destination, retry, started, finished, state, rule)"
                    " VALUES (?,?,?,?,?,?,?,?,'FINISHED',?)",
                    (
                        row["file_id"], row["job_id"], row["user_dn"], row["source"], row["destination"], row["retry_count"],
                        now, now, rule_id,
                    ),
                )  # fmt: skip
            for job_id in {row["job_id"] for row, _ in rows}:
                self._refresh_job(db, job_id)

    def requeue_interrupted(self) -> int:
        """After a restart: what was READY or ACTIVE has nobody who copies it any more and is done again.

        :returns: number of files
        """
        with self._transaction() as db:
            rows = db.execute("SELECT file_id, job_id FROM files WHERE state IN ('READY','ACTIVE')").fetchall()
            db.execute(
                "UPDATE files SET state='SUBMITTED', start_time=NULL, writing=0,"
                " resumed=resumed OR writing,"
                " retry_at=CASE writing WHEN 1 THEN ? ELSE 0 END WHERE state IN ('READY','ACTIVE')",
                (self.clock() + RESUME_GRACE_SECONDS,),
            )
            for job_id in {row["job_id"] for row in rows}:
                self._refresh_job(db, job_id)
            db.execute("UPDATE attempts SET state='INTERRUPTED', finished=? WHERE state IS NULL", (self.clock(),))
        return len(rows)

    def is_written_elsewhere(self, destination: str, file_id: int) -> bool:
        """Whether another file entry is being copied to the same place, so that cleaning up would destroy its work."""
        return bool(
            self._rows(
                "SELECT 1 FROM files WHERE state IN ('READY','ACTIVE') AND destination=? AND file_id<>?", destination, file_id
            )
        )

    def counts(self) -> dict[str, int]:
        return {row["state"]: row["n"] for row in self._rows("SELECT state, COUNT(*) AS n FROM files GROUP BY state")}

    # ---- attempts -------------------------------------------------------------------------------------------------------------

    def begin_attempt(self, row: sqlite3.Row, rule_id: str | None) -> int:
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO attempts (file_id, job_id, user_dn, source, destination, retry, started, rule)"
                " VALUES (?,?,?,?,?,?,?,?)",
                (
                    row["file_id"], row["job_id"], row["user_dn"], row["source"], row["destination"], row["retry_count"],
                    self.clock(), rule_id,
                ),
            )  # fmt: skip
            return int(cursor.lastrowid or 0)

    def end_attempt(self, attempt_id: int, state: str, outcome: Outcome) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE attempts SET finished=?, state=?, reason=?, filesize=?, tx_seconds=? WHERE attempt_id=?",
                (self.clock(), state, outcome.reason or None, outcome.filesize, outcome.tx_seconds, attempt_id),
            )

    def attempts(self, after: int = 0, file_id: int | None = None, limit: int = 10000) -> list[sqlite3.Row]:
        """Attempts in the order in which they began, from attempt id `after` (exclusive)."""
        return self._rows(
            "SELECT * FROM attempts WHERE attempt_id>? AND (? IS NULL OR file_id=?) ORDER BY attempt_id LIMIT ?",
            after, file_id, file_id, limit,
        )  # fmt: skip
