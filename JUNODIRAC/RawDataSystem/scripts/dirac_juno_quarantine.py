"""
Look at announcements that were refused, and decide what becomes of them

  list    those that wait for a decision, with reason and remedy
  show    everything of one, with the message as it came
  replay  put the message into its topic again, byte for byte, after what was wrong has been put right
  waive   give the file up: its block can be complete without it, and names it
  drop    declare the announcement a mistake: there is no such file

A change takes numbers, or the options that choose; says first what it would do; needs --reason and the property
ProductionManagement; and is written to the journal.

Usage:
  dirac-juno-quarantine [options] VERB [ID ...]

Arguments:
  VERB: list, show, replay, waive or drop
  ID:   number of a record, as list shows it

Example:
  $ dirac-juno-quarantine list --type Raw --since 2d
  $ dirac-juno-quarantine show 17 --output message.json
  $ dirac-juno-quarantine replay --code TooLarge --block 20230302 --reason "MaxSizeBytes was raised to 20 GB"
  $ dirac-juno-quarantine waive 17 18 --reason "lost with the disk of node 5"
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.Core.Utilities.Moment import shortText
from JUNODIRAC.Core.Utilities.TextTable import Cell, cut, hexDump, paint, printable, renderTable

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

TITLES = ("ID", "Time (UTC)", "Type", "Block", "File", "Code", "State", "Detail")
METHODS = {"replay": "replayQuarantined", "waive": "waiveQuarantined", "drop": "dropQuarantined"}
DONE = {"replay": "replayed", "waive": "waived", "drop": "dropped"}
_FILTERS = {"type": "Type", "code": "Code", "block": "Block", "file": "File", "since": "Since", "until": "Until"}
_DETAIL_CHARS = 90
_DEFAULT_LIMIT = 200
# records in one call: each call ends within its time limit, and what it did is known
_RECORDS_PER_CALL = 500
_SHOWN_FIELDS = (
    "Time", "Type", "Block", "FileName", "LFN", "Code", "Sentence", "Detail", "Remedy", "State", "ClosedTime", "ClosedBy",
    "ClosedReason", "SizeBytes", "Checksum", "Topic", "Partition", "Offset", "Key", "PayloadBytes",
)  # fmt: skip


def listText(answer: dict[str, Any], colour: bool) -> str:
    """The records as a table, and below it how many there are of each reason and what to do."""
    records = answer["Records"]
    withState = any(record["State"] != "Open" for record in records)
    titles = [title for title in TITLES if title != "State" or withState]
    lines = [renderTable(titles, [_row(record, withState) for record in records], ("ID",), colour)] if records else []
    lines.append(f"{answer['Total']} record(s)" if answer["Total"] else "no records")
    if answer["Total"] > len(records):
        lines[-1] += f", the newest {len(records)} are shown; choose with options, or use --limit"
    for code, count in sorted(answer["Counts"].items()):
        words = answer["Reasons"].get(code)
        lines.append(f"  {count} {paint(code, 'bad', colour)}" + (f": {words['Sentence']}; {words['Remedy']}" if words else ""))
    return "\n".join(lines)


def _row(record: dict[str, Any], withState: bool) -> list[Cell]:
    state = [Cell(record["State"], "busy" if record["State"] == "Open" else "dim")] if withState else []
    return [
        Cell(str(record["ID"])),
        Cell(shortText(record["Time"]), "dim"),
        Cell(record["Type"]),
        Cell(printable(record["Block"] or "-")),
        Cell(printable(record["FileName"] or "-")),
        Cell(record["Code"], "bad"),
        *state,
        Cell(cut(printable(_shortDetail(record)), _DETAIL_CHARS)),
    ]


def _shortDetail(record: dict[str, Any]) -> str:
    """The name of the file stands in a column of its own."""
    detail = str(record["Detail"])
    for name in (record["LFN"], record["FileName"]):
        detail = detail.replace(name, "it") if name else detail
    return detail


def recordText(record: dict[str, Any], colour: bool) -> str:
    """Everything of one record, with its message and what people did."""
    lines = [f"record {record['ID']}"]
    for name in _SHOWN_FIELDS:
        if record.get(name) not in (None, ""):
            lines.append(f"  {name:<13} {printable(str(record[name]))}")
    for entry in record["Journal"]:
        what = f"{entry['Action']} by {entry['Actor']} of {entry['Group']}: {entry['Reason']}"
        lines.append(f"  {'Journal':<13} {shortText(entry['Time'])}  {printable(what)}")
    lines += [paint("  the message:", "head", colour), payloadText(base64.b64decode(record["PayloadBase64"]))]
    return "\n".join(lines)


def payloadText(payload: bytes) -> str:
    """Text as it is, with characters that a terminal would obey written out; other bytes in hexadecimal."""
    try:
        return printable(payload.decode("utf-8"), keep="\n\t") or "(empty)"
    except UnicodeDecodeError:
        return hexDump(payload)


def filtersOf(command: CommandLine) -> dict[str, Any]:
    """The options that choose, as the service takes them: times as ISO texts in UTC."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError, momentOf

    filters: dict[str, Any] = {}
    for switch, name in _FILTERS.items():
        value = command.switch(switch)
        if value:
            filters[name] = momentOf(value) if name in ("Since", "Until") else value
    if command.arguments[1:]:
        try:
            filters["IDs"] = [int(number) for number in command.arguments[1:]]
        except ValueError as error:
            raise CommandError(f"an ID is a number, as list shows it: {error}") from error
    return filters


def listRecords(command: CommandLine) -> int:
    """``list``."""
    filters = filtersOf(command) | {"AllStates": "all-states" in command.switches}
    answer = command.call("listQuarantine", filters, command.number("limit", _DEFAULT_LIMIT))
    if command.wantsJSON:
        command.writeJSON(answer)
    else:
        command.write(listText(answer, command.isTerminal))
    return 0


def showRecord(command: CommandLine) -> int:
    """``show``."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    numbers = filtersOf(command).get("IDs", [])
    if len(numbers) != 1:
        raise CommandError("show takes one ID; see dirac-juno-quarantine list")
    record = command.call("getQuarantined", numbers[0])
    output = command.switch("output")
    if output:
        try:
            with Path(output).open("xb") as file:
                file.write(base64.b64decode(record["PayloadBase64"]))
        except OSError as error:
            raise CommandError(f"{output} could not be written: {error.strerror}; name another file") from error
        command.warn(f"{record['PayloadBytes']} bytes of record {record['ID']} written to {output}")
    if command.wantsJSON:
        command.writeJSON(record)
    else:
        command.write(recordText(record, command.isTerminal))
    return 0


def changeRecords(command: CommandLine) -> int:
    """``replay``, ``waive`` and ``drop``."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    verb, reason, again = command.arguments[0], command.switch("reason"), "again" in command.switches
    if not reason:
        raise CommandError("--reason is needed: it is kept in the journal")
    if again and verb != "replay":
        raise CommandError("--again is for replay alone")
    filters = filtersOf(command)
    if not filters:
        raise CommandError(f"{verb} what? Give IDs, or choose with --type, --code, --block, --file, --since or --until")
    filters["AllStates"] = again or "IDs" in filters
    answer = command.call("listQuarantine", filters, command.number("limit", 10_000))
    chosen = [record["ID"] for record in answer["Records"]]
    unknown = sorted(set(filters.get("IDs", [])) - set(chosen))
    if unknown and answer["Total"] == len(chosen):
        raise CommandError(
            f"nothing was changed: no record {', '.join(map(str, unknown))} (or it is not what the options choose)"
        )
    command.warn(listText(answer, colour=False))
    if not chosen:
        raise CommandError("nothing was changed: no record is chosen")
    command.confirm(f"{verb.capitalize()} {len(chosen)} record(s)?")
    return _carryOut(command, verb, chosen, (reason, again) if verb == "replay" else (reason,))


def _carryOut(command: CommandLine, verb: str, chosen: list[int], arguments: tuple[Any, ...]) -> int:
    """Call by call; if one fails, what the calls before it did is said all the same."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    outcome: dict[str, Any] = {"Done": [], "Refused": [], "NotTried": []}
    failure: CommandError | None = None
    for start in range(0, len(chosen), _RECORDS_PER_CALL):
        numbers = chosen[start : start + _RECORDS_PER_CALL]
        try:
            answer = command.call(METHODS[verb], numbers, *arguments)
        except CommandError as error:
            failure, outcome["NotTried"] = error, chosen[start:]
            break
        outcome["Done"] += answer["Done"]
        outcome["Refused"] += answer["Refused"]
    if command.wantsJSON:
        command.writeJSON(outcome)
    elif outcome["Done"]:
        command.write(f"{DONE[verb]} {len(outcome['Done'])} record(s): {', '.join(map(str, outcome['Done']))}")
    for refused in outcome["Refused"]:
        command.warn(f"record {refused['ID']} not {DONE[verb]}: {printable(refused['Why'])}")
    if failure:
        left = ", ".join(map(str, outcome["NotTried"]))
        raise type(failure)(f"{failure}\nit is not known to be done for: {left}; look with dirac-juno-quarantine list")
    return 1 if outcome["Refused"] else 0


VERBS: dict[str, Callable[[CommandLine], int]] = {
    "list": listRecords,
    "show": showRecord,
    **dict.fromkeys(METHODS, changeRecords),
}


def runVerb(command: CommandLine) -> int:
    """The command."""
    return VERBS[command.arguments[0]](command)


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "type=", "only this Type, for example Raw")
    Script.registerSwitch("", "code=", "only this reason code, for example BadName")
    Script.registerSwitch("", "block=", "only this block, for example 20230302")
    Script.registerSwitch("", "file=", "only this file name or LFN")
    Script.registerSwitch("", "since=", "not before: a UTC time such as 2023-03-02T14:30:00, or an age such as 6h or 2d")
    Script.registerSwitch("", "until=", "not after: a UTC time or an age")
    Script.registerSwitch("", "all-states", "also those that were replayed, waived or dropped")
    Script.registerSwitch("", "limit=", "at most so many records, the newest (default 200 to list, 10000 to change)")
    Script.registerSwitch("", "output=", "with show: write the message, byte for byte, to this new file")
    Script.registerSwitch("", "reason=", "why it is changed, for the journal")
    Script.registerSwitch("", "again", "with replay: also what was replayed, waived or dropped before")
    Script.registerSwitch("", "yes", "do it without asking")
    Script.registerSwitch("", "json", "one JSON document instead of a table")
    Script.registerArgument("VERB: list, show, replay, waive or drop", values=list(VERBS))
    Script.registerArgument(["ID: number of a record, as list shows it"], mandatory=False)
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(runVerb)


if __name__ == "__main__":
    sys.exit(main())
