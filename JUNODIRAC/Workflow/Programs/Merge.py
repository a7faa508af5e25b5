"""The command ``juno-merge``, a stand-in for JUNO's program that puts ESD files together."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from JUNODIRAC.Workflow.Programs.EventRecords import EventRecord
from JUNODIRAC.Workflow.Programs.ProgramFrame import makeParser, runProgram

_DESCRIPTION = (
    "A stand-in for JUNO's merging program: it copies the event records of its inputs byte for byte, in the order in which the "
    "inputs are given, and refuses inputs whose events are not in ascending order of run and event number."
)


def unchanged(record: EventRecord) -> EventRecord:
    """What merging makes of an event."""
    return record


def run(arguments: Sequence[str] | None = None) -> int:
    """:returns: the exit code, see :class:`JUNODIRAC.Workflow.Programs.ProgramFrame.ProgramExit`"""
    parser = makeParser("juno-merge", _DESCRIPTION)
    return runProgram(parser, parser.parse_args(arguments), unchanged)


def main() -> None:
    """The console script."""
    sys.exit(run())
