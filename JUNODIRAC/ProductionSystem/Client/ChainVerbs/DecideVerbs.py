"""``dirac-juno-chain stop``, ``resume`` and ``waive``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from JUNODIRAC.Core.Utilities.TextTable import printable
from JUNODIRAC.ProductionSystem.Client.ChainVerbs.StartVerbs import oneArgument

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine


def stopChain(command: CommandLine) -> int:
    """Begin nothing new in a chain."""
    return _switch(command, "stop", "Stop this chain? What runs goes on, nothing new is begun.", "stopChain")


def resumeChain(command: CommandLine) -> int:
    """Let a stopped chain go on."""
    return _switch(command, "resume", "Let this chain go on?", "resumeChain")


def _switch(command: CommandLine, verb: str, question: str, method: str) -> int:
    from JUNODIRAC.ProductionSystem.Client.ChainCommand import callChains

    production, reason = oneArgument(command, "chain"), command.needed("reason")
    plan = callChains("getSwitchPlan", production, verb)
    lines = [f"chain {production} is {plan['State']} and becomes {plan['NewState']}, with its transformations:"]
    for each in plan["Transformations"]:
        held = f", stays held: {each['Held']}" if each["Held"] and verb == "resume" else ""
        lines.append(f"  {each['TransformationID']} {each['Step']}{' to ' + each['SE'] if each['SE'] else ''}{held}")
    command.warn(printable("\n".join(lines), keep="\n"))
    command.confirm(question)
    done = callChains(method, production, reason)
    if command.wantsJSON:
        command.writeJSON(done)
    else:
        command.write(f"chain {done['Production']} is {done['State']}")
    return 0


def waiveFiles(command: CommandLine) -> int:
    """Go on without files, or have them tried again."""
    from JUNODIRAC.ProductionSystem.Client.ChainCommand import callChains
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    if len(command.arguments) < 3:
        raise CommandError("name a chain and the LFNs of files; see -h")
    production, *lfns = command.arguments[1:]
    reason, undo = command.needed("reason"), "undo" in command.switches
    command.warn(waiveText(callChains("getWaivePlan", production, lfns), undo))
    command.confirm("Have them tried again?" if undo else "Let the chain go on without them?")
    done = callChains("waiveInputs", production, lfns, undo, reason)
    if command.wantsJSON:
        command.writeJSON(done)
    else:
        command.write(f"{done['Changed']} inputs and copies are {'tried again' if undo else 'waived'}")
    return 0


def waiveText(plan: list[dict[str, Any]], undo: bool) -> str:
    """What would be waived, or tried again."""
    what = "these are tried again from the beginning" if undo else "the chain goes on without these"
    lines = [f"{what}:"]
    for each in plan:
        to = f" to {each['SE']}" if each["SE"] else ""
        lines.append(
            f"  {each['LFN']} of block {each['Block']} in {each['Step']}{to}: {each['State']} after {each['Attempts']} attempts,"
            f" {each['Error']}: {each['Detail']}"
        )
    return printable("\n".join(lines), keep="\n")


VERBS: dict[str, Callable[[CommandLine], int]] = {"stop": stopChain, "resume": resumeChain, "waive": waiveFiles}
