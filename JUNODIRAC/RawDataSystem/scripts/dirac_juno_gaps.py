"""
Look for files that are missing

  - sequence numbers that no announcement had, for each run and stream
  - files on the source storage that were never announced, and names there that follow no pattern
  - announced files that are not on the source storage, or have another size there

Without --block, --run or --days: what was announced in the last 2 days, and the directories of these days.
Exit status: 0 if nothing is missing, 2 if something is, 1 if not everything could be asked and nothing missing was seen.

Usage:
  dirac-juno-gaps [options]

Example:
  $ dirac-juno-gaps --block 20230302 --type Raw
  $ dirac-juno-gaps --run 7750 --no-storage
  $ dirac-juno-gaps --days 1 --announce --reason "announcements lost when the producer was restarted"
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.Core.Domain.Gaps import rangesText
from JUNODIRAC.Core.Utilities.TextTable import Cell, cut, formatBytes, paint, printable, renderTable

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

FOUND = 2
_DEFAULT_DAYS = 2
_RANGES_CHARS = 100
_LINES = 50
# the storage may have to read a file to tell its checksum: a call must end within its time limit
_FILES_PER_CALL = 20
# what is told of a directory: key of the service's answer, and its words for a person
DIFFERENCES = {
    "NeverAnnounced": "on the storage and never announced",
    "NotOnStorage": "announced and not on the storage",
    "WrongSize": "with another size on the storage than announced",
    "BadNames": "on the storage with a name that follows no pattern",
}


def gapsText(answer: dict[str, Any], colour: bool) -> str:
    """The gaps in the numbers as a table, and what storage and ledger do not agree on, directory by directory."""
    lines = []
    if answer["Gaps"]:
        titles = ("Type", "Run", "Stream type", "Stream", "Files", "First", "Last", "Missing", "Missing numbers")
        rows = [_gapRow(gap) for gap in answer["Gaps"]]
        lines.append(renderTable(titles, rows, ("Run", "Files", "First", "Last", "Missing"), colour))
    total = sum(gap["MissingFiles"] for gap in answer["Gaps"])
    lines.append(f"{total} sequence number(s) missing in {answer['Series']} series of run and stream")
    for directory in answer["Directories"]:
        lines += _directoryLines(directory, colour)
    if answer["Directories"]:
        counts = [f"{sum(len(d[key]) for d in answer['Directories'])} {words}" for key, words in DIFFERENCES.items()]
        lines.append(f"directories compared with the storage: {len(answer['Directories'])}; files: {', '.join(counts)}")
    lines += [paint(f"not available: {text}", "bad", colour) for text in answer["Unavailable"]]
    return "\n".join(lines)


def _gapRow(gap: dict[str, Any]) -> list[Cell]:
    names = [gap["Type"], str(gap["RunNumber"]), gap["StreamType"] or "-", gap["StreamName"] or "-"]
    numbers = [str(gap[key]) for key in ("Files", "First", "Last")]
    ranges = cut(rangesText([(first, last) for first, last in gap["Missing"]]), _RANGES_CHARS)
    return [*map(Cell, names), *map(Cell, numbers), Cell(str(gap["MissingFiles"]), "bad"), Cell(ranges)]


def _directoryLines(directory: dict[str, Any], colour: bool) -> list[str]:
    lines = []
    for key, words in DIFFERENCES.items():
        files = directory[key]
        if files:
            lines.append(paint(f"{directory['Type']} {directory['Directory']}: {len(files)} file(s) {words}", "bad", colour))
            lines += [f"  {_fileText(key, file)}" for file in files[:_LINES]]
            if len(files) > _LINES:
                lines.append(f"  ... {len(files) - _LINES} more; all of them with --json")
    return lines


def _fileText(key: str, file: dict[str, Any]) -> str:
    name = printable(file["FileName"])
    if key == "WrongSize":
        return f"{name}  announced {file['SizeBytes']} bytes, on the storage {file['StoredBytes']}"
    if key == "BadNames":
        return name
    if key == "NotOnStorage":
        return f"{name}  {file['State']}"
    return f"{name}  {formatBytes(file['StoredBytes'])}"


def isAnythingMissing(answer: dict[str, Any]) -> bool:
    """Whether something was found."""
    return bool(answer["Gaps"]) or any(directory[key] for directory in answer["Directories"] for key in DIFFERENCES)


def findMissing(command: CommandLine) -> dict[str, Any]:
    """Ask the service: first for the numbers, then directory by directory for the storage."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError, ServiceDown

    selection = _selection(command)
    found = command.call("getGaps", selection)
    answer = {"Gaps": found["Gaps"], "Series": found["Series"], "Directories": [], "Unavailable": [*found["Unavailable"]]}
    if "no-storage" in command.switches:
        return answer
    total = len(found["Directories"])
    for number, directory in enumerate(found["Directories"], 1):
        command.warn(f"{number}/{total} {directory['Type']} {directory['Directory']}")
        try:
            answer["Directories"].append(command.call("compareStorage", directory["Type"], directory["Directory"]))
        except ServiceDown:
            raise
        except CommandError as error:
            answer["Unavailable"].append(f"{directory['Type']} {directory['Directory']}: {error}")
    return answer


def _selection(command: CommandLine) -> dict[str, Any]:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    chosen = [name for name in ("block", "run", "days") if command.switch(name)]
    if len(chosen) > 1:
        raise CommandError(f"--{chosen[0]} and --{chosen[1]} cannot be combined: choose by block, by run or by days")
    selection: dict[str, Any] = {"Type": command.switch("type")}
    if command.switch("block"):
        selection["Block"] = command.switch("block")
    elif command.switch("run"):
        selection["Run"] = command.number("run", 0)
    else:
        selection["Days"] = command.number("days", _DEFAULT_DAYS)
    return selection


def announceForgotten(command: CommandLine, answer: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Have the forgotten files announced, after a person agreed.

    :returns: Done and Refused, files of both
    """
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    outcome: dict[str, list[dict[str, Any]]] = {"Done": [], "Refused": []}
    forgotten = [(d["Type"], [file["LFN"] for file in d["NeverAnnounced"]]) for d in answer["Directories"]]
    number = sum(len(lfns) for _, lfns in forgotten)
    if not number:
        command.warn("no file has to be announced")
        return outcome
    command.confirm(f"Announce {number} file(s)?")
    for typeName, lfns in forgotten:
        for piece in _pieces(lfns):
            try:
                done = command.call("announceForgotten", typeName, piece, command.switch("reason"))
            except CommandError as error:
                command.warn(f"announced before that: {len(outcome['Done'])} of {number} file(s)")
                raise type(error)(f"{error}\nrepeat the command: what is announced is not announced again") from error
            outcome["Done"] += done["Done"]
            outcome["Refused"] += done["Refused"]
    for refused in outcome["Refused"]:
        command.warn(f"not announced: {printable(refused['LFN'])}: {printable(refused['Why'])}")
    return outcome


def _pieces(lfns: list[str]) -> Iterable[list[str]]:
    return (lfns[start : start + _FILES_PER_CALL] for start in range(0, len(lfns), _FILES_PER_CALL))


def showGaps(command: CommandLine) -> int:
    """The command."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    isAnnouncing = "announce" in command.switches
    if isAnnouncing and "no-storage" in command.switches:
        raise CommandError("--announce needs the storage: leave --no-storage out")
    if isAnnouncing and not command.switch("reason"):
        raise CommandError("--reason is needed with --announce: it is kept in the journal")
    answer = findMissing(command)
    if not command.wantsJSON:
        command.write(gapsText(answer, command.isTerminal))
    try:
        if isAnnouncing:
            answer["Announced"] = announceForgotten(command, answer)
    finally:
        if command.wantsJSON:
            command.writeJSON(answer)
    if isAnnouncing and not command.wantsJSON:
        command.write(f"announced {len(answer['Announced']['Done'])} file(s)")
    if isAnythingMissing(answer):
        return FOUND
    return 1 if answer["Unavailable"] else 0


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "type=", "only this Type, for example Raw; all Types if it is not given")
    Script.registerSwitch("", "block=", "files of this block, and their neighbours in the same runs")
    Script.registerSwitch("", "run=", "files of this run, in all its blocks")
    Script.registerSwitch(
        "", "days=", "what was announced in the last so many days, and the directories of these days (default 2)"
    )
    Script.registerSwitch("", "storage", "compare with the source storage (that is the default)")
    Script.registerSwitch("", "no-storage", "only the sequence numbers: the storage is not asked")
    Script.registerSwitch("", "announce", "announce the files that were never announced")
    Script.registerSwitch("", "reason=", "with --announce: why, for the journal")
    Script.registerSwitch("", "yes", "with --announce: do it without asking")
    Script.registerSwitch("", "json", "one JSON document instead of a table")
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(showGaps)


if __name__ == "__main__":
    sys.exit(main())
