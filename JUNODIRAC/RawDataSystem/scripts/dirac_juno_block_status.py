"""
Show how far blocks are at each of their destinations

For each block and site: the registered files, those with a replica at the site, per cent, bytes at the site, the states of the
block and of its copy at the site, the time until the last file is there at the rate of the last hour (ETA, "-" if nothing is
missing or nothing moves), the transformation with its status and its files by status. Blocks with a problem, and blocks that made
no progress for longer than their Type allows (overdue), are named below. A block is complete at a site when all its files have a
replica there and the transformation has finished with all of them. It is complete when that holds for all its sites and each file
that was ever announced is registered, waived or dropped. With BLOCK the waived files are named, with --json always. Below stands
a line for each chain that runs on a block, with BLOCK also what its files wait for there.

Usage:
  dirac-juno-block-status [options] [BLOCK]

Arguments:
  BLOCK: name of a block, for example 20230302; all blocks if it is not given

Example:
  $ dirac-juno-block-status 20230302 --type Raw
  $ dirac-juno-block-status --watch
  $ dirac-juno-block-status --json | jq '.Blocks[] | select(.Complete | not) | .Block'
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.Core.Utilities.Moment import ageText, shortText
from JUNODIRAC.Core.Utilities.TextTable import Cell, formatBytes, paint, printable, renderTable

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

TITLES = (
    "Block", "Type", "Site", "Files", "Done", "%", "Bytes", "Block is", "At site", "ETA", "Transf.", "Status",
    "Files of the transformation",
)  # fmt: skip
NUMBERS = ("Files", "Done", "%", "Bytes", "Transf.")
_STATE_STYLES = {"Done": "good", "Validated": "good", "Problem": "bad"}
NOTEWORTHY = {
    "Announced": ("announced and not yet registered", "busy"),
    "Waiting": ("not yet visible on the source storage", "busy"),
    "Quarantined": ("quarantined", "bad"),
    "Waived": ("waived: the block goes without them", "dim"),
    "Dropped": ("dropped: their announcements were mistakes", "dim"),
}
_CLEAR = "\033[H\033[2J"


def statusText(answer: dict[str, Any], colour: bool, withNames: bool = False) -> str:
    """The service's answer as a table, with what is noteworthy below it.

    :param withNames: name the waived files, and say what files wait for in chains
    """
    rows = [row for block in answer["Blocks"] for row in _rowsOf(block)]
    lines = [renderTable(TITLES, rows, NUMBERS, colour) if rows else "no blocks"]
    for block in answer["Blocks"]:
        for state, (what, style) in NOTEWORTHY.items():
            if block[state]:
                lines.append(paint(f"{block['Type']} {block['Block']}: {block[state]} file(s) {what}", style, colour))
        lines += [f"  {_waivedText(file)}" for file in block["WaivedFiles"] if withNames]
        lines += [paint(text, "bad", colour) for text in _alarms(block)]
        lines += [line for chain in block.get("Chains", ()) for line in _chainLines(block, chain, colour, withNames)]
    for typeName, reasons in sorted(answer["Quarantine"].items()):
        counts = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        lines.append(f"refused announcements of {typeName}, open: {counts}")
    if answer["Total"] > len(answer["Blocks"]):
        lines.append(f"the newest {len(answer['Blocks'])} of {answer['Total']} blocks; name a block or use --limit for others")
    lines += [paint(f"not available: {text}", "bad", colour) for text in answer["Unavailable"]]
    return "\n".join(lines)


def _chainLines(block: dict[str, Any], chain: dict[str, Any], colour: bool, withWaits: bool) -> list[str]:
    """How far a block is in a chain, in one short line, and what keeps it back."""
    state = paint(chain["State"], _STATE_STYLES.get(chain["State"], ""), colour)
    steps = f"{chain['EndedSteps']} of {chain['Steps']} steps ended"
    files = f"{chain['Attached']} of {chain['Wanted']} files went in"
    stopped = "" if chain["ChainState"] == "Active" else f", the chain is {chain['ChainState']}"
    lines = [f"{block['Type']} {block['Block']}: chain {chain['Chain']}: {state}, {steps}, {files}{stopped}"]
    reasons = [chain["Problem"]] if chain["Problem"] else []
    reasons += [*chain["Held"], *chain["Waits"]] if withWaits else []
    return lines + [paint(f"  {printable(text)}", "bad" if text == chain["Problem"] else "busy", colour) for text in reasons]


def _waivedText(file: dict[str, Any]) -> str:
    """A file that the block goes without, and why."""
    detail = file["Detail"].replace(file["LFN"], "it")
    who = f"by {file['ClosedBy']} {shortText(file['ClosedTime'])}"
    return printable(f"waived: {file['FileName']}  {file['Code']}: {detail}; {who}" + (f": {file['Why']}" if file["Why"] else ""))


def allComplete(answer: dict[str, Any]) -> bool:
    """Whether there is nothing left to wait for."""
    blocks = answer["Blocks"]
    return bool(blocks) and not answer["Unavailable"] and all(block["Complete"] for block in blocks)


def _rowsOf(block: dict[str, Any]) -> list[list[Cell]]:
    head, state = [Cell(block["Block"]), Cell(block["Type"])], Cell(block["State"], _STATE_STYLES.get(block["State"], ""))
    if not block["Sites"]:
        return [[*head, Cell("-", "dim"), Cell(str(block["Files"])), *[Cell("")] * 3, state, *[Cell("")] * 5]]
    return [[*head, *_cellsOf(site, state)] for site in block["Sites"]]


def _cellsOf(site: dict[str, Any], blockState: Cell) -> list[Cell]:
    style = "good" if site["Complete"] else "busy"
    percent = "?" if site["Percent"] is None else f"{site['Percent']:.1f}"
    counts = site["TransformationFiles"]
    detail = "?" if counts is None else ", ".join(f"{status} {count}" for status, count in sorted(counts.items()))
    state = site.get("State", "?")
    return [
        Cell(site["SE"]),
        Cell(str(site["Files"])),
        Cell("?" if site["Done"] is None else str(site["Done"]), style),
        Cell(percent, style),
        Cell(formatBytes(site["DoneBytes"])),
        blockState,
        Cell(state, _STATE_STYLES.get(state, "")),
        _etaCell(site),
        Cell(str(site["TransformationID"])),
        Cell(site["TransformationStatus"] or "?"),
        Cell(detail),
    ]


def _etaCell(site: dict[str, Any]) -> Cell:
    """When the last file will be there at the present rate, and whether it should be further already."""
    seconds = site.get("ETASeconds")
    eta = "-" if seconds is None else ageText(seconds)
    if not site.get("Overdue"):
        return Cell(eta)
    return Cell("overdue" if seconds is None else f"{eta}, overdue", "bad")


def _alarms(block: dict[str, Any]) -> list[str]:
    """What a person should look at."""
    name = f"{block['Type']} {block['Block']}"
    lines = [f"{name}: Problem: {printable(block['Problem'])}"] if block.get("Problem") else []
    if block.get("Overdue"):
        lines.append(f"{name}: overdue since {shortText(block['OverdueSince'])}; see dirac-juno-why {block['Block']}")
    return lines


def showStatus(command: CommandLine) -> int:
    """The command."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError, ServiceDown

    blockName = command.arguments[0] if command.arguments else ""
    try:
        limit, interval = int(command.switch("limit", "200")), float(command.switch("interval", "5"))
    except ValueError as error:
        raise CommandError(f"--limit and --interval are numbers: {error}") from error
    watch, seen = "watch" in command.switches, False
    while True:
        try:
            answer = command.call("getBlockStatus", blockName, command.switch("type"), limit)
        except ServiceDown as error:
            if not (watch and seen):
                raise
            command.warn(f"{error}; asking again")
        else:
            seen = True
            isLast = not watch or allComplete(answer)
            if command.wantsJSON and isLast:
                command.writeJSON(answer)
            elif not command.wantsJSON:
                clear = _CLEAR if watch and command.isTerminal else ""
                command.write(clear + statusText(answer, command.isTerminal, withNames=bool(blockName)))
            if isLast:
                return 0
        time.sleep(max(interval, 1.0))


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "type=", "only blocks of this Type, for example Raw")
    Script.registerSwitch("", "watch", "show again and again until all is complete")
    Script.registerSwitch("", "interval=", "seconds between two looks with --watch (default 5)")
    Script.registerSwitch("", "limit=", "show at most so many blocks, the newest (default 200)")
    Script.registerSwitch("", "json", "one JSON document instead of a table; with --watch when all is complete")
    Script.registerArgument("BLOCK: name of a block, for example 20230302", mandatory=False)
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(showStatus)


if __name__ == "__main__":
    sys.exit(main())
