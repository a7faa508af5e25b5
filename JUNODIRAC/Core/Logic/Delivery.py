"""A message that a batch has to bring to its end: from Kafka, or one that waited for its file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from JUNODIRAC.Core.Domain.EndOfBlock import EndOfBlock
from JUNODIRAC.Core.Logic.Ports import Message, WaitingMessage


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message.

    :param since: when its file was first found missing on the source storage; None if it comes from Kafka
    :param attempts: how many times the storage was asked for the file before
    """

    message: Message
    since: datetime | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class BlockEnd:
    """An end-of-block announcement that could be read."""

    message: Message
    end: EndOfBlock


def gatherDeliveries(messages: Iterable[Message], waiting: Iterable[WaitingMessage]) -> list[Delivery]:
    """Those that waited first, oldest first. A message that comes both ways (after a crash) is taken once."""
    found = {
        item.message.position: Delivery(item.message, item.since, item.attempts)
        for item in sorted(waiting, key=lambda item: (item.since, item.message.position))
    }
    for message in messages:
        found.setdefault(message.position, Delivery(message))
    return list(found.values())
