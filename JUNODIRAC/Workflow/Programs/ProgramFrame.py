"""What the stand-ins have in common: the contract of programs (docs/chains.rst), and how they say what went wrong."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from JUNODIRAC.Workflow.Programs.EventRecords import BadRecord, EventRecord, FileCount, RecordReader, RecordWriter


class ProgramExit(IntEnum):
    """Exit codes of the stand-ins. A real program may have others: a job only tells 0 from all else."""

    GOOD = 0
    USAGE = 2
    INPUT_UNREADABLE = 3
    INPUT_BAD = 4
    INPUTS_OUT_OF_ORDER = 5
    OUTPUT_NOT_WRITABLE = 6


class ProgramFailure(Exception):
    """Why a program gives up, and its exit code."""

    def __init__(self, code: ProgramExit, sentence: str) -> None:
        self.code = code
        super().__init__(sentence)


#: makes the record that is written of one that was read
Transform = Callable[[EventRecord], EventRecord]


def makeParser(program: str, description: str) -> argparse.ArgumentParser:
    """The switches of the contract."""
    codes = ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ProgramExit)
    parser = argparse.ArgumentParser(prog=program, description=description, epilog=f"Exit codes: {codes}.", allow_abbrev=False)
    parser.add_argument("--input", nargs="+", type=Path, required=True, metavar="FILE", help="input files, in order")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the file to write")
    parser.add_argument("--summary", type=Path, required=True, metavar="FILE", help="the summary to write, JSON")
    parser.add_argument("--cores", type=int, default=1, metavar="N", help="cores that it may use; the stand-in uses one")
    parser.add_argument("--memory-mb", type=int, default=2000, metavar="N", help="memory that it may use; the stand-in needs 50")
    return parser


def runProgram(parser: argparse.ArgumentParser, given: argparse.Namespace, transform: Transform) -> int:
    """Write the transformed records of all inputs and the summary; the last line on stderr says what went wrong.

    :returns: the exit code
    """
    try:
        inputs, output = _writeAll(given.input, given.output, transform)
        summary = {
            "inputs": [{"file": str(path), **_asJSON(count)} for path, count in zip(given.input, inputs, strict=True)],
            "output": {"file": str(given.output), **_asJSON(output)},
        }
        with _writing(given.summary):
            given.summary.write_text(json.dumps(summary, indent=1) + "\n")
    except ProgramFailure as failure:
        given.output.unlink(missing_ok=True)
        sys.stderr.write(f"{parser.prog}: {failure}\n")
        return failure.code
    sys.stdout.write(f"{parser.prog}: {output.events} events of {len(inputs)} files written to {given.output}\n")
    return ProgramExit.GOOD


def _writeAll(paths: Sequence[Path], target: Path, transform: Transform) -> tuple[list[FileCount], FileCount]:
    """:returns: counts of the inputs, count of the output"""
    counts = []
    with _writing(target):
        writer = RecordWriter(target)
    for path in paths:
        reader = RecordReader(path)
        for record in _read(reader):
            if writer.count.last and record.key <= writer.count.last:
                raise ProgramFailure(
                    ProgramExit.INPUTS_OUT_OF_ORDER,
                    f"{path}: {record.key} is not after {writer.count.last}, the last event of the inputs before it",
                )
            with _writing(target):
                writer.write(transform(record))
        counts.append(reader.count)
    with _writing(target):
        writer.close()
    return counts, writer.count


def _read(reader: RecordReader) -> Iterator[EventRecord]:
    records = iter(reader)
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except BadRecord as error:
            raise ProgramFailure(ProgramExit.INPUT_BAD, str(error)) from error
        except OSError as error:
            raise ProgramFailure(ProgramExit.INPUT_UNREADABLE, f"{reader.path} cannot be read: {error.strerror}") from error
        yield record


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProgramFailure(ProgramExit.OUTPUT_NOT_WRITABLE, f"{path} cannot be written: {error.strerror}") from error


def _asJSON(count: FileCount) -> dict[str, object]:
    return {"events": count.events, "first": count.first, "last": count.last}
