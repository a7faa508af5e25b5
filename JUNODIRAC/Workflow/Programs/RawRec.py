"""The command ``juno-rawrec``, a stand-in for JUNO's reconstruction of RTRaw files."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence

from JUNODIRAC.Workflow.Programs.EventRecords import EventRecord, makeRecord
from JUNODIRAC.Workflow.Programs.ProgramFrame import makeParser, runProgram

_DESCRIPTION = (
    "A stand-in for JUNO's reconstruction program: it has its contract and none of its physics. It reads and checks each event "
    "record of its inputs and writes one ESD record for it, with the same run and event number and an eighth of the payload."
)
_KEEP_EVERY = 8


def reconstructed(record: EventRecord) -> EventRecord:
    """What the stand-in makes of an event: as payload the SHA-256 of the one it read, and every eighth byte of it."""
    payload = record.payload
    return makeRecord(record.run, record.event, hashlib.sha256(payload).digest() + payload[::_KEEP_EVERY])


def run(arguments: Sequence[str] | None = None) -> int:
    """:returns: the exit code, see :class:`JUNODIRAC.Workflow.Programs.ProgramFrame.ProgramExit`"""
    parser = makeParser("juno-rawrec", _DESCRIPTION)
    parser.add_argument(
        "--event-seconds", type=float, default=0.0, metavar="S", help="sleep so long on each event (default: %(default)s)"
    )
    given = parser.parse_args(arguments)

    def slowly(record: EventRecord) -> EventRecord:
        time.sleep(given.event_seconds)
        return reconstructed(record)

    return runProgram(parser, given, slowly if given.event_seconds else reconstructed)


def main() -> None:
    """The console script."""
    sys.exit(run())
