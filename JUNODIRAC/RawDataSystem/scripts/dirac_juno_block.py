"""
Change a block

  open  make sure that the block's directory has its metadata, that each configured destination has an active transfer,
        and that all registered files of the block are in them; what is right already stays as it is
  close  close an open block, whatever its Type says of it: its tail is sent out, and a file that comes later is late. With
        --expect also tell how many files a block shall have, open or not, instead of what was declared
  reopen  make a block take files on again, from any later state, with its sites
  flush  send out what waits for more files to go with, and leave the block as it is
  validate  compare ledger, catalogue and storage for the block at all its sites or at those of --site, file by file, with
        checksums asked of the storage; the outcome is kept. Exit status 1 if a site is not good
  report  tell, without changing anything: declared = announced = catalogued = at each site, with every missing file by name;
        for some blocks, or with --from and --to for a range, and for their follow-up blocks. Exit status 1 if anything is missing
  retransfer  copy files of the block once more: all of them, those named in the file of --files, or with --only-failed those
        that were given up, failed, or have no replica there; at all its sites or at those of --site. A replica that is there is
        taken out of the catalogue first, but never the only one
  pause, resume  copy nothing to --site, or again; for all blocks, or for BLOCK alone. --for ends the pause by itself
  pauses  list the pauses that hold, those that the repair made included

Says what it would do first. Needs the property ProductionManagement, except for report and pauses, and is written to the journal
with its reason.

Usage:
  dirac-juno-block [options] VERB BLOCK ...

Arguments:
  VERB:  what to do
  BLOCK: name of the block, for example 20230302

Example:
  $ dirac-juno-block open 20230302 --type Raw --reason "new destination JINR-EOS"
  $ dirac-juno-block close 20230302 --type Raw --reason "the run was ended by hand"
  $ dirac-juno-block validate 20230302 --type Raw --site JINR-EOS --reason "disk server was repaired"
  $ dirac-juno-block report --from 20230301 --to 20230307 --type RTRaw
  $ dirac-juno-block retransfer 20230302 --type Raw --site JINR-EOS --only-failed --reason "the disk server is back"
  $ dirac-juno-block pause --site CNAF-STORM --for 4h --reason "site downtime"
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.RawDataSystem.Client.BlockVerbs import LifeVerbs, OpenVerb, RepairVerbs, ReportVerb, ValidateVerb

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

VERBS: dict[str, Callable[[CommandLine], int]] = {
    **OpenVerb.VERBS,
    **LifeVerbs.VERBS,
    **ValidateVerb.VERBS,
    **ReportVerb.VERBS,
    **RepairVerbs.VERBS,
}


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
    Script.registerSwitch("", "expect=", "close: so many files the block shall have")
    Script.registerSwitch("", "files=", "retransfer: a text file with one LFN or file name a line")
    Script.registerSwitch("", "only-failed", "retransfer: only files that were given up, failed, or have no replica there")
    Script.registerSwitch("", "for=", "pause: how long, for example 30m, 2h or 1d")
    Script.registerSwitch("", "json", "one JSON document instead of a sentence")
    Script.registerArgument("VERB: what to do", values=list(VERBS))
    Script.registerArgument(["BLOCK: name of a block, for example 20230302"], mandatory=False)
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(runVerb)


if __name__ == "__main__":
    sys.exit(main())
