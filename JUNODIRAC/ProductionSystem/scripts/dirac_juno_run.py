"""
Say and see how good runs are

  flag  say what runs are: good, bad, unknown, or another word of the configuration. The last word counts. Files that wait in
        chains for a good run go in with it; what went in is not taken back
  list  what was said of which run, the latest run first (--quality: only those with this word)

flag says first what it would do, also which files of which chains it sets free; it needs the property ProductionManagement, and
is written to the journal with its reason.

Usage:
  dirac-juno-run [options] VERB [RUN...]

Arguments:
  VERB: what to do
  RUN:  number of a run, or a range of runs FIRST-LAST

Example:
  $ dirac-juno-run flag 7802 7810-7815 --quality good --reason "data quality meeting of 3 May"
  $ dirac-juno-run list --quality bad
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.Core.Domain.RunQuality import runsText
from JUNODIRAC.Core.Utilities.Moment import shortText
from JUNODIRAC.Core.Utilities.TextTable import Cell, printable, renderTable

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

_STYLES = {"good": "good", "bad": "bad"}
_EFFECTS = {
    "Free": "{left:,} files go in that waited, or will when they come",
    "Wait": "{left:,} files wait on, because the step takes good runs alone",
    "Leave": "{left:,} files are not wanted any more",
}


def listText(flags: list[dict[str, Any]], colour: bool) -> str:
    """A line for each run."""
    if not flags:
        return "no run was flagged"
    rows = [
        [
            Cell(str(each["Run"])),
            Cell(each["Quality"], _STYLES.get(each["Quality"], "")),
            Cell(shortText(each["Time"])),
            Cell(each["Actor"]),
            Cell(printable(each["Reason"])),
        ]
        for each in flags
    ]
    return renderTable(("Run", "Quality", "Time (UTC)", "By", "Why"), rows, ("Run",), colour)


def planText(plan: dict[str, Any], verb: str) -> str:
    """What a flag changes.

    :param verb: for example "would flag"
    """
    runs = plan["Runs"]
    lines = [f"{verb} {len(runs)} run(s) {plan['Quality']}: {runsText(runs)}"]
    if plan["Before"]:
        words = ", ".join(f"{count} {word}" for word, count in sorted(plan["Before"].items()))
        lines.append(f"  flagged before: {words}; {len(plan['Changed'])} of {len(runs)} change")
    if plan["Unknown"]:
        lines.append(f"  no file of these runs is known yet: {runsText(plan['Unknown'])}")
    for each in plan["Chains"]:
        left = each["Files"] - each["Given"]
        effect = _EFFECTS[each["Effect"]].format(left=left)
        given = f"; {each['Given']:,} went in before and stay" if each["Given"] else ""
        lines.append(f"  chain {each['Production']}, step {each['Step']}: {effect}{given}")
    if not plan["Chains"]:
        lines.append("  no chain waits for it")
    return "\n".join(lines)


def flagRuns(command: CommandLine) -> int:
    """Flag runs, after a person agreed."""
    from JUNODIRAC.ProductionSystem.Client.ChainCommand import callChains

    runs, quality, reason = command.arguments[1:], command.needed("quality"), command.needed("reason")
    command.warn(planText(callChains("getRunFlagPlan", runs, quality), "would flag"))
    command.confirm("Flag them?")
    plan = callChains("flagRuns", runs, quality, reason)
    if command.wantsJSON:
        command.writeJSON(plan)
    else:
        command.write(planText(plan, "flagged"))
    return 0


def listRuns(command: CommandLine) -> int:
    """What was said."""
    from JUNODIRAC.ProductionSystem.Client.ChainCommand import callChains

    flags = callChains("listRunFlags", command.switch("quality"), command.arguments[1:])
    if command.wantsJSON:
        command.writeJSON(flags)
    else:
        command.write(listText(flags, command.isTerminal))
    return 0


VERBS: dict[str, Callable[[CommandLine], int]] = {"flag": flagRuns, "list": listRuns}


def runVerb(command: CommandLine) -> int:
    """The command."""
    return VERBS[command.arguments[0]](command)


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "quality=", "good, bad, unknown, or another word of the configuration")
    Script.registerSwitch("", "reason=", "why, for the journal")
    Script.registerSwitch("", "yes", "do it without asking")
    Script.registerSwitch("", "json", "one JSON document instead of a table")
    Script.registerArgument("VERB: what to do", values=list(VERBS))
    Script.registerArgument(["RUN: number of a run, or a range FIRST-LAST"], mandatory=False)
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(runVerb)


if __name__ == "__main__":
    sys.exit(main())
