"""One message that makes the program fail must not hold the topic, and a broken program must not quarantine the topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from JUNODIRAC.Core.Logic.Delivery import Delivery
from JUNODIRAC.Core.Logic.IngestSummary import IngestSummary
from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure

#: messages of one batch, or in a row without one that goes through, that may be at fault themselves
MOST_AT_FAULT = 10
#: times that a message must fail where no other message goes through to show that the program works
ATTEMPTS_ALONE = 5

# Somebody else is out of order: the whole batch waits for him.
_HELD = (TemporaryFailure, Refusal)

Failed = list[tuple[Delivery, Exception]]


class Isolation:
    """Runs a batch, and where that fails unexpectedly, finds the messages at fault by halving it.

    They are given up (quarantined) if others of the batch go through. If none does, it is more likely the program or the
    machine: the error is raised, the caller keeps the batch and tries again, and after :data:`ATTEMPTS_ALONE` times the
    messages are given up all the same. Never more than :data:`MOST_AT_FAULT` of a batch, and never more than so many
    without any success between them: then the error is raised for good.

    What is kept between batches is only how often the last ones failed; a restart forgets it.

    :param ingest: brings messages to their end; may be repeated
    :param giveUp: quarantines messages with the error of each
    """

    def __init__(
        self,
        ingest: Callable[[Sequence[Delivery], datetime], IngestSummary],
        giveUp: Callable[[Failed], IngestSummary],
    ) -> None:
        self._ingest = ingest
        self._giveUp = giveUp
        self._failures: dict[tuple[str, int, int], int] = {}
        self._givenUpInARow = 0

    def run(self, deliveries: Sequence[Delivery], now: datetime) -> IngestSummary:
        """Bring each message to its end.

        :raises TemporaryFailure: somebody did not answer
        :raises Refusal: a service refuses everything
        :raises Exception: what the messages failed with, if it is not their fault
        """
        try:
            summary = self._ingest(deliveries, now)
        except _HELD:
            raise
        except Exception as error:  # noqa: BLE001 whatever it is: one message may be the reason
            return self._search(deliveries, now, error)
        self._noteSuccess()
        return summary

    def _search(self, deliveries: Sequence[Delivery], now: datetime, error: Exception) -> IngestSummary:
        parts: list[IngestSummary] = []
        failed: Failed = []
        self._halve(deliveries, now, error, parts, failed)
        if parts:
            self._noteSuccess()
        elif not self._mayGiveUp(failed):
            raise error
        if failed:
            parts.append(self._giveUp(failed))
            self._givenUpInARow += len(failed)
        return IngestSummary.joined(parts)

    def _halve(
        self, deliveries: Sequence[Delivery], now: datetime, error: Exception, parts: list[IngestSummary], failed: Failed
    ) -> None:
        """Run both halves of what failed with ``error``, and halve what fails again."""
        if len(deliveries) == 1:
            failed.append((deliveries[0], error))
            if len(failed) > MOST_AT_FAULT:
                raise error
            return
        middle = len(deliveries) // 2
        for half in (deliveries[:middle], deliveries[middle:]):
            try:
                parts.append(self._ingest(half, now))
            except _HELD:
                raise
            except Exception as halfError:  # noqa: BLE001 as above
                self._halve(half, now, halfError, parts, failed)

    def _mayGiveUp(self, failed: Failed) -> bool:
        """Whether messages of which none went through have failed often enough."""
        positions = [delivery.message.position for delivery, _ in failed]
        self._failures = {position: self._failures.get(position, 0) + 1 for position in positions}
        isTried = min(self._failures.values()) >= ATTEMPTS_ALONE
        return isTried and self._givenUpInARow + len(failed) <= MOST_AT_FAULT

    def _noteSuccess(self) -> None:
        self._failures = {}
        self._givenUpInARow = 0
