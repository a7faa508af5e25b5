"""
Change a block

  open  make sure that the block's directory has its metadata, that each configured destination has an active transfer,
        and that all registered files of the block are in them; what is right already stays as it is

Says what it would do first. Needs the property ProductionManagement, and is written to the journal with its reason.

Usage:
  dirac-juno-block [options] VERB BLOCK ...

Arguments:
  VERB:  what to do
  BLOCK: name of the block, for example 20230302

Example:
  $ dirac-juno-block open 20230302 --type Raw --reason "new destination JINR-EOS"
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.RawDataSystem.Client.BlockVerbs import OpenVerb

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

VERBS: dict[str, Callable[[CommandLine], int]] = {**OpenVerb.VERBS}


def runVerb(command: CommandLine) -> int:
    """The command."""
    return VERBS[command.arguments[0]](command)


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "type=", "Type of the block, for example Raw")
    Script.registerSwitch("", "reason=", "why, for the journal")
    Script.registerSwitch("", "yes", "do it without asking")
    Script.registerSwitch("", "json", "one JSON document instead of a sentence")
    Script.registerArgument("VERB: what to do", values=list(VERBS))
    Script.registerArgument(["BLOCK: name of a block, for example 20230302"])
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(runVerb)


if __name__ == "__main__":
    sys.exit(main())
