"""States of files and jobs as FTS 3.12 has them, and which errors it tries again."""

import errno
from collections.abc import Iterable
from enum import StrEnum


class FileState(StrEnum):
    """A file entry. ``NOT_USED`` is an alternative source that was not (or not yet) needed."""

    SUBMITTED = "SUBMITTED"
    READY = "READY"
    ACTIVE = "ACTIVE"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    NOT_USED = "NOT_USED"


class JobState(StrEnum):
    SUBMITTED = "SUBMITTED"
    ACTIVE = "ACTIVE"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    FINISHEDDIRTY = "FINISHEDDIRTY"
    CANCELED = "CANCELED"


TERMINAL_FILE_STATES = frozenset({FileState.FINISHED, FileState.FAILED, FileState.CANCELED})
LIVE_FILE_STATES = frozenset({FileState.SUBMITTED, FileState.READY, FileState.ACTIVE})
TERMINAL_JOB_STATES = frozenset({JobState.FINISHED, JobState.FAILED, JobState.FINISHEDDIRTY, JobState.CANCELED})

FILE_TRANSITIONS: dict[FileState, frozenset[FileState]] = {
    FileState.SUBMITTED: frozenset({FileState.READY, FileState.CANCELED, FileState.FAILED}),
    FileState.READY: frozenset({FileState.ACTIVE, FileState.SUBMITTED, FileState.FAILED, FileState.CANCELED}),
    FileState.ACTIVE: frozenset({FileState.FINISHED, FileState.FAILED, FileState.CANCELED, FileState.SUBMITTED}),
    FileState.NOT_USED: frozenset({FileState.SUBMITTED, FileState.CANCELED}),
    FileState.FINISHED: frozenset(),
    FileState.FAILED: frozenset(),
    FileState.CANCELED: frozenset(),
}

REASON_JOB_FAILED = "One or more files failed. Please have a look at the details for more information"
REASON_CANCELED = "Job canceled by the user"


class IllegalTransition(Exception):
    """A file was to go to a state that FTS3 never reaches from the present one."""


def check_transition(current: FileState, target: FileState) -> None:
    """
    :raises IllegalTransition: if `target` cannot follow `current`
    """
    if target not in FILE_TRANSITIONS[current]:
        raise IllegalTransition(f"{current} -> {target}")


def job_state(files: Iterable[tuple[int, FileState]], touched: bool = False) -> JobState:
    """State of a job from its files.

    :param files: (file_index, state); entries of one index are alternative sources of one file
    :param touched: a file was tried before and waits for another attempt, so the job is under way although all are SUBMITTED
    """
    by_index: dict[int, set[FileState]] = {}
    for index, state in files:
        by_index.setdefault(index, set()).add(state)
    outcomes = [_outcome(states) for states in by_index.values()]
    if any(state in LIVE_FILE_STATES for state in outcomes):
        waiting = not touched and all(state == FileState.SUBMITTED for state in outcomes)
        return JobState.SUBMITTED if waiting else JobState.ACTIVE
    if FileState.CANCELED in outcomes:
        return JobState.CANCELED
    finished = outcomes.count(FileState.FINISHED)
    if finished == len(outcomes):
        return JobState.FINISHED
    return JobState.FINISHEDDIRTY if finished else JobState.FAILED


def _outcome(states: set[FileState]) -> FileState:
    """What the alternatives of one file amount to: one that goes on or has succeeded outweighs those that failed."""
    order = (FileState.FINISHED, FileState.ACTIVE, FileState.READY, FileState.SUBMITTED, FileState.CANCELED)
    return next((state for state in order if state in states), FileState.FAILED)


_TEXT_RECOVERABLE = ("Connection timed out", "end of file occurred", "was forcefully killed", "operation timeout")
_TEXT_FINAL = (
    "proxy expired",
    "No such file or directory",
    "File exists",
    "Permission denied",
    "checksum do not match",
    "CHECKSUM MISMATCH",
)
_CODES_FINAL: dict[str, frozenset[int]] = {
    "SOURCE": frozenset(
        {
            errno.ENOENT,
            errno.EPERM,
            errno.EACCES,
            errno.EISDIR,
            errno.ENAMETOOLONG,
            errno.E2BIG,
            errno.ENOTDIR,
            errno.EPROTONOSUPPORT,
        }
    ),
    "DESTINATION": frozenset(
        {errno.EPERM, errno.EACCES, errno.EISDIR, errno.ENAMETOOLONG, errno.E2BIG, errno.EPROTONOSUPPORT, errno.EEXIST}
    ),
    "TRANSFER": frozenset(
        {
            errno.ENOSPC,
            errno.EPERM,
            errno.EACCES,
            errno.EEXIST,
            errno.EFBIG,
            errno.EROFS,
            errno.ENAMETOOLONG,
            errno.EPROTONOSUPPORT,
        }
    ),
}


def is_recoverable(scope: str, code: int, message: str) -> bool:
    """Whether FTS3 would try again, decided as FTS3 does: by the words first, then by the code of the phase.

    :param scope: SOURCE, TRANSFER or DESTINATION
    :param code: errno
    """
    if code == errno.ETIMEDOUT or any(text in message for text in _TEXT_RECOVERABLE):
        return True
    if code == errno.ECANCELED or any(text in message for text in _TEXT_FINAL):
        return False
    return code not in _CODES_FINAL.get(scope, frozenset())


def reason_text(scope: str, code: int, message: str) -> str:
    """`SOURCE [2] Failed to stat file (No such file or directory)`; control characters of the XRootD client are dropped."""
    # gfal2 hands over the XRootD client's NUL both as a character and as the four characters "\\x00".
    clean = " ".join("".join(char if char.isprintable() else " " for char in message.replace("\\x00", " ")).split())
    return f"{scope} [{code}] {clean}"


def retry_after_seconds(
    job_retry: int, attempts_done: int, recoverable: bool, job_delay: int, server_delay: float
) -> float | None:
    """Seconds to wait before the next attempt, None if there is none.

    :param job_retry: retries the job asked for; 0 or less is none (0 is "server default", which is none here as on a fresh FTS3)
    :param attempts_done: retries already used
    :param job_delay: the job's own delay in seconds; FTS3 takes 0 as "use the server's", 120 s on a real one
    """
    if not recoverable or attempts_done >= max(job_retry, 0):
        return None
    return float(job_delay) if job_delay > 0 else server_delay


def default_timeout_seconds(size_bytes: int) -> int:
    """What FTS3 grants a copy if the job says nothing: 10 minutes and 2 s for each MiB."""
    return 600 + 2 * -(-size_bytes // (1 << 20))
