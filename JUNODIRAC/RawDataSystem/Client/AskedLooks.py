"""Looks at blocks that people asked for: each in a thread of the service, which is asked for its progress meanwhile."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from JUNODIRAC.Core.Domain.Validation import Validation
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure
from JUNODIRAC.Core.Logic.ValidateBlock import BlockLook
from JUNODIRAC.RawDataSystem.Client.SiteLooks import ValidationBook

_MAX_RUNNING = 12
_KEPT_SECONDS = 3600
_ATTEMPTS = 5
_PAUSE_SECONDS = 3.0


class UnknownLook(Exception):
    """The service does not know (any more) what somebody asked for."""

    def __init__(self) -> None:
        super().__init__(
            "this validation is not known: the service was started anew meanwhile, or it ended more than an hour ago. Sites that"
            " had ended are kept (dirac-juno-block report shows them); of the others nothing is: type the command again"
        )


class TooManyLooks(Exception):
    """There are threads for only so many."""

    def __init__(self) -> None:
        super().__init__(
            f"{_MAX_RUNNING} validations that people asked for are running already; wait for one to end, or for the agent,"
            " which looks at each block by itself when it was copied"
        )


class _RunningLook:
    """One block at one site, in a thread."""

    def __init__(self, make: Callable[[], BlockLook], book: ValidationBook, actor: str, pauseSeconds: float) -> None:
        self._make, self._book, self._actor, self._pauseSeconds = make, book, actor, pauseSeconds
        self._look = make()
        self._found: Validation | None = None
        self._failure = ""
        self.endedAt: float | None = None
        self.se = self._look.se
        threading.Thread(target=self._run, name=f"asked {self.se}", daemon=True).start()

    def toDict(self) -> dict[str, Any]:
        """How far it is, for JSON."""
        return {
            "SE": self.se,
            "Done": self._look.doneFiles,
            "Total": self._look.total,
            "Ended": self.endedAt is not None,
            "Failure": self._failure,
            "Validation": self._found.toDict() if self._found else None,
        }

    def _run(self) -> None:
        try:
            self._found = self._workUntilDone()
        except Exception as error:  # noqa: BLE001 whatever it is, the person who asked is told
            self._failure = str(error) or repr(error)
        finally:
            self.endedAt = time.monotonic()

    def _workUntilDone(self) -> Validation:
        for _ in range(_ATTEMPTS):
            self._finishLook()
            if not self._look.isDiscarded:
                found = self._look.validation(self._actor, datetime.now(UTC))
                self._patiently(lambda: self._book.recordValidation(found))  # noqa: B023 called at once
                return found
            self._look = self._make()
        raise RuntimeError("files of the block were registered while it was looked at, again and again; ask when it is closed")

    def _finishLook(self) -> None:
        while not self._look.isDone:
            self._patiently(self._look.step)

    def _patiently(self, work: Callable[[], Any]) -> None:
        """Ledger and catalogue may be away for a moment."""
        for _ in range(_ATTEMPTS - 1):
            try:
                work()
                return
            except TemporaryFailure:
                time.sleep(self._pauseSeconds)
            except Refusal:
                break
        work()


class AskedLooks:
    """What people asked for; known until an hour after its end, or until the service ends.

    :param pauseSeconds: between two attempts to reach the ledger or the catalogue
    """

    def __init__(self, pauseSeconds: float = _PAUSE_SECONDS) -> None:
        self._pauseSeconds = pauseSeconds
        self._lock = threading.Lock()
        self._running: dict[tuple[int, str], _RunningLook] = {}
        self._asked: dict[str, list[_RunningLook]] = {}

    def start(self, makers: Sequence[Callable[[], BlockLook]], blockID: int, book: ValidationBook, actor: str) -> str:
        """Begin the looks; where the same one runs already, that one is taken.

        :param makers: each makes the look at one site
        :returns: what to ask for the progress with
        :raises TooManyLooks: nothing is begun then
        """
        with self._lock:
            self._forgetOld()
            busy = sum(look.endedAt is None for look in self._running.values())
            if busy + len(makers) > _MAX_RUNNING:
                raise TooManyLooks
            looks = [self._lookOf(make, blockID, book, actor) for make in makers]
            token = uuid.uuid4().hex
            self._asked[token] = looks
        return token

    def progress(self, token: str) -> list[dict[str, Any]]:
        """How far each site is.

        :raises UnknownLook: nobody asked for it here
        """
        with self._lock:
            self._forgetOld()
            looks = self._asked.get(token)
        if looks is None:
            raise UnknownLook
        return [look.toDict() for look in looks]

    def _lookOf(self, make: Callable[[], BlockLook], blockID: int, book: ValidationBook, actor: str) -> _RunningLook:
        key = blockID, make().se
        there = self._running.get(key)
        if there is None or there.endedAt is not None:
            there = self._running[key] = _RunningLook(make, book, actor, self._pauseSeconds)
        return there

    def _forgetOld(self) -> None:
        now = time.monotonic()

        def isOld(look: _RunningLook) -> bool:
            return look.endedAt is not None and now - look.endedAt > _KEPT_SECONDS

        self._running = {key: look for key, look in self._running.items() if not isOld(look)}
        self._asked = {token: looks for token, looks in self._asked.items() if not all(map(isOld, looks))}
