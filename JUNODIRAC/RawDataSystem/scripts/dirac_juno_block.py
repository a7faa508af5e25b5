"""
Change a block

  open  make sure that the block's directory has its metadata, that each configured destination has an active transfer,
        and that all registered files of the block are in them; what is right already stays as it is
  validate  compare ledger, catalogue and storage for the block at all its sites or at those of --site, file by file, with
        checksums asked of the storage; the outcome is kept. Exit status 1 if a site is not good
  report  tell, without changing anything: declared = announced = catalogued = at each site, with every missing file by name;
        for some blocks, or with --from and --to for a range, and for their follow-up blocks. Exit status 1 if anything is missing

Says what it would do first. Needs the property ProductionManagement, except for report, and is written to the journal with its
reason.

Usage:
  dirac-juno-block [options] VERB BLOCK ...

Arguments:
  VERB:  what to do
  BLOCK: name of the block, for example 20230302

Example:
  $ dirac-juno-block open 20230302 --type Raw --reason "new destination JINR-EOS"
  $ dirac-juno-block validate 20230302 --type Raw --site JINR-EOS --reason "disk server was repaired"
  $ dirac-juno-block report --from 20230301 --to 20230307 --type RTRaw
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.RawDataSystem.Client.BlockVerbs import OpenVerb, ReportVerb, ValidateVerb

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

VERBS: dict[str, Callable[[CommandLine], int]] = {**OpenVerb.VERBS, **ValidateVerb.VERBS, **ReportVerb.VERBS}


def runVerb(command: CommandLine) -> int:
    """The command."""
    return VERBS[command.arguments[0]](command)


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "type=", "Type of the block, for example Raw")
    Script.registerSwitch("", "reason=", "why, for the journal")
    Script.registerSwitch("", "yes", "do it without asking")
    Script.registerSwitch("", "site=", "only at these storage elements, separated by commas")
    Script.registerSwitch("", "from=", "report: first block of a range")
    Script.registerSwitch("", "to=", "report: last block of a range")
    Script.registerSwitch("", "json", "one JSON document instead of a sentence")
    Script.registerArgument("VERB: what to do", values=list(VERBS))
    Script.registerArgument(["BLOCK: name of a block, for example 20230302"], mandatory=False)
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(runVerb)


if __name__ == "__main__":
    sys.exit(main())
