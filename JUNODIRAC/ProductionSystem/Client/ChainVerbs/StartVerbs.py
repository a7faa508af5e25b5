"""``dirac-juno-chain start`` and ``extend``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from JUNODIRAC.Core.Utilities.TextTable import formatBytes, printable

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

_MAX_NAMES = 12


def oneArgument(command: CommandLine, what: str) -> str:
    """The one argument after the verb.

    :raises CommandError: if there is another number of them
    """
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    if len(command.arguments) != 2:
        raise CommandError(f"name one {what}; see -h")
    return command.arguments[1]


def startChain(command: CommandLine) -> int:
    """Start a chain over blocks."""
    from JUNODIRAC.ProductionSystem.Client.ChainCommand import callChains
    from JUNODIRAC.ProductionSystem.Client.ChainVerbs.ChainFiles import findFile, readText

    path, reason, blocks = findFile(oneArgument(command, "chain or file")), command.needed("reason"), _blocks(command)
    text = readText(path)
    command.warn(startText(callChains("getStartPlan", text, str(path), blocks)))
    command.confirm("Start this chain?")
    done = callChains("startChain", text, str(path), blocks, reason)
    if command.wantsJSON:
        command.writeJSON(done)
        return 0
    numbers = ", ".join(f"{step} = {number}" for step, number in done["Transformations"].items())
    command.write(
        f"chain {done['Production']} is {done['State']}: production {done['ProductionID']}, {done['Blocks']} blocks,"
        f" transformations {numbers}; ChainAgent gives it files, dirac-juno-chain status {done['Production']} follows it"
    )
    return 0


def extendChain(command: CommandLine) -> int:
    """Give a chain more blocks."""
    from JUNODIRAC.ProductionSystem.Client.ChainCommand import callChains

    production, reason, blocks = oneArgument(command, "chain"), command.needed("reason"), _blocks(command)
    plan = callChains("getExtendPlan", production, blocks)
    new = (
        f"{len(plan['New'])} blocks that it does not have: {_names(plan['New'])}"
        if plan["New"]
        else "no block that it does not have"
    )
    lines = [f"chain {plan['Production']} is {plan['State']} and gets {new}", *_blockLines(plan), *_earlierLines(plan)]
    command.warn(printable("\n".join(lines), keep="\n"))
    command.confirm("Give it these blocks?")
    done = callChains("extendChain", production, blocks, reason)
    if command.wantsJSON:
        command.writeJSON(done)
    else:
        command.write(f"chain {done['Production']}: {done['Added']} blocks were added by name; ChainAgent takes in the others")
    return 0


def startText(plan: dict[str, Any]) -> str:
    """What would be started."""
    how = "completes the start of" if plan["Completes"] else "starts"
    which = f"chain {plan['Chain']}, version {plan['Version']}, output {plan['OutputVersion']}"
    lines = [f"this {how} {plan['Production']}, a production of {which}:"]
    for step in plan["Steps"]:
        made = f" -> {step['Output']}" if step["Output"] else ""
        where = ", ".join([*step["Sites"], *step["Destinations"]])
        gates = f", gates {', '.join(step['Gates'])}" if step["Gates"] else ""
        lines.append(f"  {step['Step']}: {step['Kind']} {step['Input']}{made} at {where}{gates}")
        lines.append(f"    transformations {', '.join(step['Transformations'])}")
        if step["Directory"]:
            lines.append(f"    writes to {step['Directory']}")
    lines += _blockLines(plan)
    if plan["Differs"]:
        lines.append(f"  NOTE: the description is not that of {plan['Differs']}, which has the same version")
    return printable("\n".join([*lines, *_earlierLines(plan)]), keep="\n")


def _blockLines(plan: dict[str, Any]) -> list[str]:
    more = [
        *(f"what dataset {name} gets later" for name in plan["Datasets"]),
        *(["each new block"] if plan["EachNewBlock"] else []),
    ]
    lines = [
        f"  {len(plan['Blocks'])} blocks of now with {plan['Files']} registered files, {formatBytes(plan['SizeBytes'])}:"
        f" {_names(plan['Blocks'])}"
    ]
    return [*lines, *([f"  and {', '.join(more)}"] if more else [])]


def _earlierLines(plan: dict[str, Any]) -> list[str]:
    """Blocks that are done once more."""
    return [f"  AGAIN: block {each['Block']} went through {each['Production']}" for each in plan["Earlier"][:_MAX_NAMES]]


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more if names else "none"


def _blocks(command: CommandLine) -> dict[str, Any]:
    return {
        "Blocks": [name.strip() for name in command.switch("blocks").split(",") if name.strip()],
        "From": command.switch("from"),
        "To": command.switch("to"),
        "Dataset": command.switch("dataset"),
        "EachNewBlock": "each-new-block" in command.switches,
        "Again": "again" in command.switches,
    }


VERBS: dict[str, Callable[[CommandLine], int]] = {"start": startChain, "extend": extendChain}
