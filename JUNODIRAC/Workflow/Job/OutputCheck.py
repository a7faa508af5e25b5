"""Whether what a program wrote is whole: every event of the inputs, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Workflow.Job.JobState import JobInput
from JUNODIRAC.Workflow.Programs.EventRecords import MAGIC, BadRecord, FileCount, countFile


@dataclass(frozen=True)
class Summary:
    """What a program says that it did.

    :param inputEvents: of each input, in the order in which they were given
    """

    inputEvents: tuple[int, ...]
    outputEvents: int


def readSummary(path: Path, inputs: Sequence[Path]) -> Summary:
    """The summary of the contract of programs.

    :param inputs: as they were given
    :raises JobFailure: if it is missing, or does not keep the contract
    """
    try:
        content = json.loads(path.read_bytes())
        named = [each["file"] for each in content["inputs"]]
        events = tuple(_count(each) for each in content["inputs"])
        outputEvents = _count(content["output"])
    except OSError as error:
        raise JobFailure(JobError.NO_SUMMARY, f"{path.name}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise JobFailure(JobError.NO_SUMMARY, f"{path.name} is not what the contract says: {error!r}") from error
    wanted = [str(path) for path in inputs]
    if named != wanted:
        raise JobFailure(JobError.NO_SUMMARY, f"it speaks of the inputs {named}, and {wanted} were given")
    return Summary(events, outputEvents)


def checkOutput(inputs: Sequence[JobInput], summary: Summary, output: Path) -> int:
    """Compare what was announced, what the program says, and what is in its output.

    :returns: size of the output in bytes
    :raises JobFailure: NoOutput, EventsDiffer or BadRecords
    """
    try:
        sizeBytes = output.stat().st_size
    except OSError as error:
        raise JobFailure(JobError.NO_OUTPUT, f"{output.name}: {error.strerror}") from error
    if not sizeBytes:
        raise JobFailure(JobError.NO_OUTPUT, f"{output.name} is empty")
    for each, events in zip(inputs, summary.inputEvents, strict=True):
        if each.events is not None and each.events != events:
            raise JobFailure(JobError.EVENTS_DIFFER, f"{each.lfn} was announced with {each.events} events, {events} were read")
    eventsIn = sum(summary.inputEvents)
    if eventsIn != summary.outputEvents:
        raise JobFailure(
            JobError.EVENTS_DIFFER, f"{eventsIn} were read, and the program says that it wrote {summary.outputEvents}"
        )
    count = _countRecords(output)
    if count is not None and count.events != eventsIn:
        raise JobFailure(JobError.EVENTS_DIFFER, f"{eventsIn} were read, {count.events} are in {output.name}")
    return sizeBytes


def _countRecords(output: Path) -> FileCount | None:
    """Of a file of event records; what is in files of other formats only the program can say."""
    try:
        with output.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                return None
        return countFile(output)
    except (BadRecord, OSError) as error:
        raise JobFailure(JobError.BAD_RECORDS, str(error)) from error


def _count(part: Mapping[str, Any]) -> int:
    events = part["events"]
    if not isinstance(events, int) or isinstance(events, bool) or events < 0:
        raise ValueError(f"events is {events!r}")
    return events
