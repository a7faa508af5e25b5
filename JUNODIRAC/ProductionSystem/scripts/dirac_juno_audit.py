"""
Count every event of a block in a chain, or of all blocks of a chain

Compares what the ledger, the Transformation System, the file catalogue with its ancestors, and the storages say: for each step
inputs, outputs and events, inputs without daughter or with more than one, outputs without parent, and files that are missing,
wrong or too many anywhere. What is not as it should be is named. The outcome is kept and shown by dirac-juno-block report.

Exit status: 0 if every block is exact, 1 if anything is off, 2 if nothing is off and something is not done or did not answer.

Usage:
  dirac-juno-audit [options] BLOCK|CHAIN

Arguments:
  BLOCK|CHAIN: name of a block, of a started chain (rerec-merge-J24.1-v1), or of a chain in all its versions (rerec-merge)

Example:
  $ dirac-juno-audit 20230302
  $ dirac-juno-audit rerec-merge-J24.1-v1 --json
  $ dirac-juno-audit 20230302 --chain rerec-merge --last
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.Core.Domain.ChainAudit import REMARKS, UNFINISHED, WORDS, Finding
from JUNODIRAC.Core.Utilities.Moment import shortText
from JUNODIRAC.Core.Utilities.TextTable import Cell, formatBytes, paint, printable, renderTable

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

OFF, NOT_DONE = 1, 2
TITLES = (
    "Step", "Kind", "Inputs", "Derived", "Given up", "Waived", "Outputs", "Retired", "Bytes",
    "Events announced", "read", "written", "Copies",
)  # fmt: skip
NUMBERS = TITLES[2:12]
_GIVEN_UP = 2
#: names shown of each finding; --json has more
MAX_NAMES = 30
_STYLES = {"Exact": "good", "Off": "bad", "Unfinished": "busy", "Unanswered": "bad"}
_FIRST_WAIT_SECONDS = 0.3
_MOST_WAIT_SECONDS = 3.0


def auditText(audit: dict[str, Any], colour: bool) -> str:
    """One audit as a table of its steps, with what was found below."""
    verdict = audit["Verdict"]
    head = f"{audit['Chain']}  block {audit['Block']} of Type {audit['Type']}  {shortText(audit['EndedTime'])} UTC"
    lines = [head, renderTable(TITLES, [_rowOf(step) for step in audit["Steps"]], NUMBERS, colour)]
    lines += _findingLines(audit, colour)
    lines.append(paint(printable(f"{verdict}: {audit['Sentence']}"), _STYLES[verdict], colour))
    return "\n".join(lines)


def _rowOf(step: dict[str, Any]) -> list[Cell]:
    isMaker = step["Kind"] != "replicate"
    counts = [step[name] for name in ("Inputs", "Derived", "GivenUp", "Waived", "Outputs", "Retired")]
    events = [step["EventsAnnounced"], step["EventsRead"], step["EventsOut"]]
    cells = [Cell(step["Step"]), Cell(step["Kind"])]
    cells += [Cell(str(number), "bad" if place == _GIVEN_UP and number else "") for place, number in enumerate(counts)]
    cells.append(Cell(formatBytes(step["SizeBytes"]) if isMaker else ""))
    cells += [Cell("-" if number is None else str(number)) if isMaker else Cell("") for number in events]
    copies = ", ".join(f"{se} {count}/{step['Inputs']}" for se, count in step["Copies"].items())
    return [*cells, Cell(copies)]


def _findingLines(audit: dict[str, Any], colour: bool) -> list[str]:
    lines = []
    for kind in Finding:
        count = audit["Counts"].get(kind.value, 0)
        if not count:
            continue
        style = "dim" if kind in REMARKS else "busy" if kind in UNFINISHED else "bad"
        lines.append(paint(f"{count} {WORDS[kind]}", style, colour))
        named = [each for each in audit["Findings"] if each["Kind"] == kind.value]
        for each in named[:MAX_NAMES]:
            step = f"{each['Step']}: " if each["Step"] else ""
            lines.append(printable(f"  {step}{each['LFN']}  ({each['Detail']})"))
        if count > MAX_NAMES:
            lines.append(f"  ... {count - min(count, MAX_NAMES)} more; the first 200 with --json")
    return lines


def statusOf(audits: list[dict[str, Any]]) -> int:
    """The exit status."""
    verdicts = {audit["Verdict"] for audit in audits}
    if "Off" in verdicts:
        return OFF
    return 0 if verdicts == {"Exact"} else NOT_DONE


def auditAll(command: CommandLine) -> int:
    """The command."""
    from JUNODIRAC.ProductionSystem.Client.ChainCommand import callChains
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    name = command.arguments[0]
    targets = callChains("findAudits", name, command.switch("chain"), command.switch("type"))
    audits, failures = [], []
    for number, target in enumerate(targets, 1):
        where = (target["Chain"], target["Type"], target["Block"])
        if "last" in command.switches:
            if target["Last"] is None:
                failures.append(f"{' '.join(where)} was never audited; leave --last out to have it done now")
                continue
            audit = target["Last"]
        else:
            audit = _auditNow(command, where, f"{number}/{len(targets)} ")
        audits.append(audit)
        if not command.wantsJSON:
            command.write(auditText(audit, command.isTerminal) + ("\n" if number < len(targets) else ""))
    if command.wantsJSON:
        command.writeJSON({"Audits": audits, "Failures": failures})
    if failures:
        raise CommandError("; ".join(failures))
    return statusOf(audits)


def _auditNow(command: CommandLine, where: tuple[str, str, str], prefix: str) -> dict[str, Any]:
    """Start it, and show how far it is until it has ended."""
    from JUNODIRAC.ProductionSystem.Client.ChainCommand import callChains
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError
    from JUNODIRAC.RawDataSystem.Client.ProgressBar import ProgressBar

    token, bar, wait = callChains("startAudit", *where), ProgressBar("files"), _FIRST_WAIT_SECONDS
    while True:
        told = callChains("getAuditProgress", token)
        bar.show([(f"{prefix}{where[2]}", told["Done"], told["Total"])])
        if told["Ended"]:
            break
        time.sleep(wait)
        wait = min(_MOST_WAIT_SECONDS, wait * 1.5)
    if told["Failure"]:
        raise CommandError(f"{' '.join(where)}: {told['Failure']}")
    audit: dict[str, Any] = told["Audit"]
    return audit


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "chain=", "only in this chain")
    Script.registerSwitch("", "type=", "only blocks of this Type")
    Script.registerSwitch("", "last", "show the last audit that was kept, ask nobody")
    Script.registerSwitch("", "json", "one JSON document instead of tables")
    Script.registerArgument("BLOCK|CHAIN: name of a block, or of a chain")
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(auditAll)


if __name__ == "__main__":
    sys.exit(main())
