"""``dirac-juno-block open``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine


def planText(plan: dict[str, Any]) -> str:
    """What opening would make sure of."""
    place = f"directory {plan['Directory']} with its metadata, and"
    if plan.get("Parent"):
        place = f"late files of block {plan['Parent']}, with"
    lines = [f"block {plan['Block']} of Type {plan['Type']}: {place}"]
    for se, transfer in sorted(plan["Transfers"].items()):
        known = transfer["TransformationID"]
        lines.append(f"  transfer {transfer['Name']} to {se}: {f'transformation {known}' if known else 'to be made'}")
    return "\n".join(lines)


def openBlock(command: CommandLine) -> int:
    """Make sure that directory metadata and all configured transfers exist and have the block's registered files."""
    blockName, typeName, reason = oneBlock(command), command.needed("type"), command.needed("reason")
    plan = command.call("getTransferPlan", blockName, typeName)
    command.warn(planText(plan))
    command.confirm("Open or repair this block?")
    opened = command.call("openTransfers", blockName, typeName, reason)
    if command.wantsJSON:
        command.writeJSON(opened)
    else:
        transfers = ", ".join(f"{se} {transformationID}" for se, transformationID in sorted(opened["Transfers"].items()))
        command.write(f"block {blockName} is open: transformations {transfers}; {opened['Files']} file(s) attached to each")
    return 0


def oneBlock(command: CommandLine) -> str:
    """The block that stands behind the verb.

    :raises CommandError: if there is none, or more than one
    """
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    verb, *names = command.arguments
    if len(names) != 1:
        raise CommandError(f"{verb} takes one BLOCK, not {len(names)}; see dirac-juno-block -h")
    return names[0]


VERBS: dict[str, Callable[[CommandLine], int]] = {"open": openBlock}
