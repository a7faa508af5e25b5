"""The looks at the blocks of one site, one after the other, in a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from JUNODIRAC.Core.Domain.Validation import Validation
from JUNODIRAC.Core.Logic.LooksDue import DueLook
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure
from JUNODIRAC.Core.Logic.ValidateBlock import BlockLook

Key = tuple[int, str]


class ValidationBook(Protocol):
    """Where the outcome of a look is kept."""

    def recordValidation(self, found: Validation) -> int: ...


@dataclass(frozen=True)
class Patience:
    """What did not answer is asked again after this time, and after twice of it the next time, up to the longest, in seconds."""

    firstSeconds: float = 300.0
    mostSeconds: float = 21600.0

    def after(self, attempts: int) -> timedelta:
        """How long to wait after so many attempts."""
        return timedelta(seconds=min(self.mostSeconds, self.firstSeconds * 2 ** min(max(attempts - 1, 0), 20)))


class _Delays:
    """What has to wait until when, because it was tried in vain."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._until: dict[object, tuple[int, datetime]] = {}

    def isOver(self, key: object, now: datetime) -> bool:
        return key not in self._until or now >= self._until[key][1]

    def begin(self, key: object, now: datetime) -> datetime:
        attempts = self._until.get(key, (0, now))[0] + 1
        self._until[key] = attempts, now + self._patience.after(attempts)
        return self._until[key][1]

    def end(self, key: object) -> None:
        self._until.pop(key, None)


class SiteLooks:
    """Works on what is due at a site. Part results of a large block are kept from one run to the next.

    :param makeLook: begins a look
    :param book: where the outcome is kept
    :param log: DIRAC's logger
    :param now: the time, UTC
    """

    def __init__(
        self,
        se: str,
        makeLook: Callable[[DueLook, datetime], BlockLook],
        book: ValidationBook,
        log: Any,
        actor: str,
        patience: Patience | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.se = se
        self._makeLook, self._book, self._log, self._actor, self._now = makeLook, book, log, actor, now
        self._blocks = _Delays(patience or Patience())
        self._storage = _Delays(patience or Patience())
        self._current: tuple[DueLook, BlockLook] | None = None
        self._thread: threading.Thread | None = None
        self._isStopped = threading.Event()
        #: outcomes since :meth:`takeOutcomes` was called last
        self._outcomes: list[Validation] = []

    # ---- from the agent's thread

    def start(self, due: Sequence[DueLook], until: datetime) -> bool:
        """Work in a thread until that time.

        :returns: False if the last run still waits for the storage
        """
        if self._thread and self._thread.is_alive():
            return False
        self._isStopped.clear()
        self._thread = threading.Thread(target=self.run, args=(due, until), name=f"validation {self.se}", daemon=True)
        self._thread.start()
        return True

    def join(self, seconds: float) -> None:
        """Wait for the end of a run, but not longer."""
        if self._thread:
            self._thread.join(max(0.0, seconds))

    def stop(self) -> None:
        """End after the slice of now; does not wait for it."""
        self._isStopped.set()

    def takeOutcomes(self) -> list[Validation]:
        """What was found since this was asked last."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    @property
    def progress(self) -> str:
        """The look of now in words, or nothing."""
        if not self._current:
            return ""
        due, look = self._current
        return f"{due.site}: {look.doneFiles} of {look.total} files"

    # ---- in the site's thread

    def run(self, due: Sequence[DueLook], until: datetime) -> None:
        """Work on what is due, oldest first, until that time or until a service does not answer."""
        waiting = {each.site.key: each for each in due}
        if self._current and self._current[0].site.key not in waiting:
            self._current = None  # it need not be looked at any more
        elif self._current:
            waiting.pop(self._current[0].site.key)
        queue = list(waiting.values())
        while not self._isStopped.is_set() and self._now() < until and self._hasWork(queue):
            assert self._current
            try:
                self._slice(*self._current)
            except (TemporaryFailure, Refusal) as error:
                # of the ledger or the catalogue: what the storage told is kept
                self._log.warn(f"The look at {self._current[0].site} goes on later:", str(error))
                return
            except Exception as error:  # noqa: BLE001 one block never stops the others
                self._log.exception(f"The look at {self._current[0].site} failed:", lException=error)
                self._blocks.begin(self._current[0].site.key, self._now())
                self._current = None

    def _hasWork(self, queue: list[DueLook]) -> bool:
        """Whether there is a look to go on with; begins the next one."""
        if self._current:
            return True
        now = self._now()
        if not self._storage.isOver(self.se, now):
            return False
        while queue:
            due = queue.pop(0)
            if self._blocks.isOver(due.site.key, now):
                self._current = due, self._makeLook(due, now)
                return True
        return False

    def _slice(self, due: DueLook, look: BlockLook) -> None:
        if not look.isDone:
            look.step()
        if not look.isDone:
            return
        if look.isDiscarded:
            self._log.info(f"{due.site} changed while it was looked at; it is looked at anew", "")
        else:
            self._keep(due, look)
        self._current = None

    def _keep(self, due: DueLook, look: BlockLook) -> None:
        now = self._now()
        found = look.validation(self._actor, now)
        self._book.recordValidation(found)
        self._outcomes.append(found)
        seconds = (found.endedTime - found.startedTime).total_seconds()
        line = f"{due.site}: {found.verdict} at the {found.look.lower()} look:"
        self._log.notice(line, f"{found.summary} ({seconds:.0f} s)")
        if look.failure:  # the storage's matter, not this block's
            again = self._storage.begin(self.se, now)
            self._log.warn(f"{self.se} is asked again at {again:%H:%M:%S} UTC:", look.failure)
            return
        self._storage.end(self.se)
        if found.isConclusive:
            self._blocks.end(due.site.key)
        else:
            self._blocks.begin(due.site.key, now)
