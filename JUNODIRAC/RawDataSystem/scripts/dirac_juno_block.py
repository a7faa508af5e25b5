"""
Change a block

  open  make sure that the block's directory has its metadata, that each configured destination has an active transfer,
        and that all registered files of the block are in them; what is right already stays as it is

Says what it would do first. Needs the property ProductionManagement, and is written to the journal with its reason.

Usage:
  dirac-juno-block [options] open BLOCK --type=TYPE --reason=REASON

Arguments:
  open:  what to do
  BLOCK: name of the block, for example 20230302

Example:
  $ dirac-juno-block open 20230302 --type Raw --reason "new destination JINR-EOS"
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from DIRAC.Core.Base.Script import Script

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine


def planText(plan: dict[str, Any]) -> str:
    """What opening would make sure of."""
    lines = [f"block {plan['Block']} of Type {plan['Type']}: directory {plan['Directory']} with its metadata, and"]
    for se, transfer in sorted(plan["Transfers"].items()):
        known = transfer["TransformationID"]
        lines.append(f"  transfer {transfer['Name']} to {se}: {f'transformation {known}' if known else 'to be made'}")
    return "\n".join(lines)


def openBlock(command: CommandLine, blockName: str, typeName: str, reason: str) -> int:
    """``dirac-juno-block open``."""
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


VERBS: dict[str, Callable[[CommandLine, str, str, str], int]] = {"open": openBlock}


def changeBlock(command: CommandLine) -> int:
    """The command."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    verb, blockName = command.arguments
    values = {name: command.switch(name) for name in ("type", "reason")}
    for name, value in values.items():
        if not value:
            raise CommandError(f"--{name} is needed; see dirac-juno-block -h")
    return VERBS[verb](command, blockName, values["type"], values["reason"])


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "type=", "Type of the block, for example Raw")
    Script.registerSwitch("", "reason=", "why, for the journal")
    Script.registerSwitch("", "yes", "do it without asking")
    Script.registerSwitch("", "json", "one JSON document instead of a sentence")
    Script.registerArgument("VERB: what to do", values=list(VERBS))
    Script.registerArgument("BLOCK: name of the block, for example 20230302")
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(changeBlock)


if __name__ == "__main__":
    sys.exit(main())
