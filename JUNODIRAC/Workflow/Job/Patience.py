"""Asking services that may be away for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, valueOrRaise

T = TypeVar("T")

SERVICE = "Production/ChainManager"
DEFAULT_PATIENCE_SECONDS = 600.0
_FIRST_WAIT_SECONDS = 2.0
_LONGEST_WAIT_SECONDS = 60.0


class Patience:
    """Repeats a question with growing waits, as long as nobody answers.

    :param patienceSeconds: sum of the waits
    :param sleep: waits so many seconds
    :param say: tells people that it waits, and why
    """

    def __init__(
        self,
        sleep: Callable[[float], None],
        say: Callable[[str], None] = lambda text: None,
        patienceSeconds: float = DEFAULT_PATIENCE_SECONDS,
    ) -> None:
        self._sleep, self._say, self._patienceSeconds = sleep, say, patienceSeconds

    def ask(self, question: Callable[[], T]) -> T:
        """What the question answers.

        :raises JobFailure: ServiceAway if it raised TemporaryFailure all the time, Internal if it raised ServiceRefusal
        """
        left, wait = self._patienceSeconds, _FIRST_WAIT_SECONDS
        while True:
            try:
                return question()
            except TemporaryFailure as error:
                if left <= 0:
                    raise JobFailure(JobError.SERVICE_AWAY, str(error)) from error
                wait = min(wait, left)
                self._say(f"{error}; asking again in {wait:.0f} s")
            except ServiceRefusal as error:
                raise JobFailure(JobError.INTERNAL, str(error)) from error
            self._sleep(wait)
            left -= wait
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)


class ChainCalls:
    """The methods of Production/ChainManager for jobs, patiently asked.

    All raise JobFailure: what the service says against the job, or ServiceAway.

    :param client: of the service
    """

    def __init__(self, client: Any, patience: Patience) -> None:
        self._client, self._patience = client, patience

    def beginTask(self, transformationID: int, taskID: int, jobID: int, site: str, host: str) -> dict[str, Any]:
        """See JobMethods; an answer with an Error is returned as it is, since it has an attempt to end."""
        return self._ask("beginTask", transformationID, taskID, jobID, site, host)

    def noteUpload(self, attemptID: int, se: str) -> None:
        """See JobMethods."""
        _raiseError(self._ask("noteUpload", attemptID, se))

    def commitOutput(self, attemptID: int, output: dict[str, Any], inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """See JobMethods."""
        answer = self._ask("commitOutput", attemptID, output, inputs)
        _raiseError(answer)
        return answer

    def endAttempt(self, attemptID: int, exitCode: int, error: str, detail: str) -> None:
        """See JobMethods."""
        self._ask("endAttempt", attemptID, exitCode, error, detail)

    def _ask(self, method: str, *args: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._patience.ask(lambda: valueOrRaise(getattr(self._client, method)(*args), SERVICE))
        return answer


def _raiseError(answer: dict[str, Any]) -> None:
    if answer["Error"]:
        raise JobFailure(JobError.named(answer["Error"]), answer["Detail"])
