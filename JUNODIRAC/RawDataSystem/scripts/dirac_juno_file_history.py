"""
Show everything known of one file, in time order

Its announcements with their place in Kafka, its registration, refused announcements with reason and remedy, the catalogue's
entry and replicas, its state in each transfer of its block, and the tasks, requests and FTS3 jobs that carried it.

Usage:
  dirac-juno-file-history [options] LFN

Arguments:
  LFN: logical name of the file, for example /juno/raw/2023/0302/Daq.123.Physics.stream.tag.20230302.1.dat

Example:
  $ dirac-juno-file-history /juno/raw/2023/0302/Daq.123.Physics.stream.tag.20230302.1.dat
  $ dirac-juno-file-history /juno/raw/2023/0302/Daq.123.Physics.stream.tag.20230302.1.dat --json
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.Core.Utilities.TextTable import Cell, paint, renderTable

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine


def historyText(answer: dict[str, Any], colour: bool) -> str:
    """The service's answer for a person."""
    head = f"{answer['LFN']}\n  "
    if answer["State"]:
        head += f"Type {answer['Type']}, block {answer['Block']}, {answer['State']}"
        fields = ", ".join(f"{name} {value}" for name, value in answer["Fields"].items())
        head += f"\n  {fields}" if fields else ""
    else:
        head += "the ledger has no file of this name"
    rows = [
        [Cell(_timeOf(event), "dim"), Cell(event["Source"]), Cell(event["Event"], _styleOf(event))] for event in answer["Events"]
    ]
    table = renderTable(("Time (UTC)", "From", "What"), rows, (), colour)
    missing = [paint(f"not available: {text}", "bad", colour) for text in answer["Unavailable"]]
    return "\n".join([head, table, *missing])


def _timeOf(event: dict[str, Any]) -> str:
    """With milliseconds where the source keeps them; the catalogue's replicas have no time."""
    time = str(event["Time"] or "-").replace("T", " ")
    return time.removesuffix("+00:00").removesuffix(".000")


def _styleOf(event: dict[str, Any]) -> str:
    if event.get("Reason") or event.get("Error") or event.get("Status") in ("Failed", "Problematic", "Defunct", "MaxReset"):
        return "bad"
    return "good" if event.get("Status") in ("Processed", "Done", "Finished") else ""


def showHistory(command: CommandLine) -> int:
    """The command."""
    answer = command.call("getFileHistory", command.arguments[0].removeprefix("LFN:"))
    if command.wantsJSON:
        command.writeJSON(answer)
    else:
        command.write(historyText(answer, command.isTerminal))
    return 0


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "json", "one JSON document instead of a table")
    Script.registerArgument("LFN: logical name of the file")
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(showHistory)


if __name__ == "__main__":
    sys.exit(main())
