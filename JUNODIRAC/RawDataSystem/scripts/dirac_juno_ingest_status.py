"""
Show how the receivers are, Type by Type

For each Type: messages that Kafka has and the receiver has not finished, files a second, the last announcement, files by
state, the file that waits longest for its storage, open quarantine by reason, the receivers with their sign of life and what
they wait for, and the last comparison with the storage. Then the problems of which people were told.

Usage:
  dirac-juno-ingest-status [options]

Example:
  $ dirac-juno-ingest-status --type Raw
  $ dirac-juno-ingest-status --json | jq '.Types[] | {Type, Lag}'
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.Core.Utilities.Moment import ageText, shortText
from JUNODIRAC.Core.Utilities.TextTable import Cell, paint, printable, renderTable

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

TITLES = ("Type", "Lag", "Files/s 5 min", "Files/s 1 h", "Last announcement", *(
    "Announced", "Waiting", "Registered", "Quarantined", "Waived", "Dropped"))  # fmt: skip
STATES = TITLES[5:]
NUMBERS = ("Lag", "Files/s 5 min", "Files/s 1 h", *STATES)
OLDEST = {
    "OldestWaiting": "waits longest for the storage to show it",
    "OldestAnnounced": "longest announced and not registered",
}
# the receiver shows a sign of life several times a minute
_LATE_SECONDS = 120
_DEFAULT_DAYS = 7


def statusText(answer: dict[str, Any], colour: bool) -> str:
    """The service's answer: a table of the Types, and below it what is noteworthy of each."""
    lines = [renderTable(TITLES, [_row(each) for each in answer["Types"]], NUMBERS, colour)]
    for each in answer["Types"]:
        lines += [f"{each['Type']}: {line}" for line in _details(each, colour)]
    for alert in answer["Alerts"]:
        since = f"since {shortText(alert['Since'])}"
        lines.append(paint(f"problem {since}: {printable(alert['Sentence'])}; {printable(alert['Remedy'])}", "bad", colour))
    if not answer["Alerts"]:
        lines.append("no problem is reported")
    lines += [paint(f"not available: {text}", "bad", colour) for text in answer["Unavailable"]]
    return "\n".join(lines)


def _row(each: dict[str, Any]) -> list[Cell]:
    rates = [f"{rate:.2f}" for rate in (each["FilesPerSecond"]["FiveMinutes"], each["FilesPerSecond"]["Hour"])]
    lag = each["Lag"]
    return [
        Cell(each["Type"]),
        Cell("?" if lag is None else str(lag), "busy" if lag else "good"),
        *map(Cell, rates),
        Cell(shortText(each["LastAnnouncement"])),
        *(Cell(str(each["States"].get(state, 0)), _styleOf(state, each["States"].get(state, 0))) for state in STATES),
    ]


def _styleOf(state: str, count: int) -> str:
    return {"Quarantined": "bad", "Announced": "busy", "Waiting": "busy"}.get(state, "") if count else "dim"


def _details(each: dict[str, Any], colour: bool) -> list[str]:
    lines = []
    if each["Partitions"]:
        lags = ", ".join(f"{p['Partition']}: {p['Lag']}" for p in each["Partitions"] if p["Lag"])
        lines.append(f"topic {each['Topic']}, {len(each['Partitions'])} partitions" + (f", lag of {lags}" if lags else ""))
    for key, words in OLDEST.items():
        oldest = each[key]
        if oldest:
            lines.append(paint(f"{words}, for {ageText(oldest['AgeSeconds'])}: {printable(oldest['LFN'])}", "busy", colour))
    if each["Quarantine"]:
        counts = ", ".join(f"{code} {count}" for code, count in sorted(each["Quarantine"].items()))
        lines.append(paint(f"quarantine, open: {counts}", "bad", colour))
    for receiver in each["Receivers"]:
        lines.append(_receiverText(receiver, colour))
    if not each["Receivers"]:
        lines.append(paint("no receiver has ever shown a sign of life", "bad", colour))
    sweep = each["LastSweep"]
    if sweep:
        found = f"{sweep['NeverAnnounced']} never announced, {sweep['NotOnStorage']} not on the storage"
        lines.append(f"last sweep {shortText(sweep['Time'])} of {sweep['Directory']}: {found}")
    return lines


def _receiverText(receiver: dict[str, Any], colour: bool) -> str:
    age = receiver["HeartbeatAgeSeconds"]
    where = f"receiver {receiver['Instance']} on {receiver['Host']}, process {receiver['PID']}"
    text = f"{where}: last sign of life {ageText(age)} ago"
    if receiver["Trouble"]:
        text += f"; since {shortText(receiver['TroubleSince'])} it waits for: {printable(receiver['Trouble'])}"
    style = "bad" if age > _LATE_SECONDS or receiver["Trouble"] else ""
    return paint(text, style, colour)


def showStatus(command: CommandLine) -> int:
    """The command."""
    answer = command.call("getIngestStatus", command.switch("type"), command.number("days", _DEFAULT_DAYS))
    if command.wantsJSON:
        command.writeJSON(answer)
    else:
        command.write(statusText(answer, command.isTerminal))
    return 0


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "type=", "only this Type, for example Raw")
    Script.registerSwitch("", "days=", "count the files of directories that are at most so many days old (default 7)")
    Script.registerSwitch("", "json", "one JSON document instead of a table")
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(showStatus)


if __name__ == "__main__":
    sys.exit(main())
