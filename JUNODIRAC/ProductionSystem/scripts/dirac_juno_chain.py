"""
Chains: programs, merging and copies that run on blocks by themselves

  check  check descriptions: every error with its line and remedy. Exit status 1 if one is wrong. Without a configuration the
        Types, sites and storage elements are not looked at
  start  start a chain over blocks: --blocks, --from and --to, those of --dataset, or --each-new-block; files that arrive later
        flow in by themselves. A block goes through a version of a chain once; with --again it does once more, into a new version
        of the output. A start that was cut short is completed by the same command
  extend  give a started chain more blocks
  list  each chain that was started
  status  steps and blocks of a chain, or of all that are not Ended: files, jobs, events in and out, what waits and why
  stop, resume  begin nothing new, or go on. What runs goes on either way
  waive  go on without files that could not be processed or copied; with --undo they are tried again from the beginning

CHAIN is what start says and list shows, for example rerec-J24.1-v1; NAME a chain that comes with the installation, for example
rerec, and FILE a description of your own. What changes something says what it would do first, needs the property
ProductionManagement and a reason, and is written to the journal.

Usage:
  dirac-juno-chain [options] VERB [NAME|FILE|CHAIN] [LFN ...]

Arguments:
  VERB:  what to do
  CHAIN: a chain, the name of one, or a file

Example:
  $ dirac-juno-chain check my-chain.yaml
  $ dirac-juno-chain start rerec --blocks 20231001,20231002 --reason "first pass with J24.1"
  $ dirac-juno-chain start my-chain.yaml --each-new-block --reason "prompt reconstruction"
  $ dirac-juno-chain extend rerec-J24.1-v1 --from 20231003 --to 20231007 --reason "the rest of the week"
  $ dirac-juno-chain status rerec-J24.1-v1 --block 20231001
  $ dirac-juno-chain waive rerec-J24.1-v1 /juno/rtraw/2023/1001/f.rtraw --reason "unreadable, the run is bad anyway"
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.ProductionSystem.Client.ChainVerbs import DecideVerbs, LookVerbs, StartVerbs

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

VERBS: dict[str, Callable[[CommandLine], int]] = {**LookVerbs.VERBS, **StartVerbs.VERBS, **DecideVerbs.VERBS}


def runVerb(command: CommandLine) -> int:
    """The command."""
    return VERBS[command.arguments[0]](command)


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "blocks=", "start, extend: names of blocks, separated by commas")
    Script.registerSwitch("", "from=", "start, extend: first block of a range")
    Script.registerSwitch("", "to=", "start, extend: last block of a range")
    Script.registerSwitch("", "dataset=", "start, extend: the blocks of a dataset, those that it gets later included")
    Script.registerSwitch("", "each-new-block", "start, extend: each block that is opened from now on")
    Script.registerSwitch("", "again", "start, extend: also blocks that went through this version already")
    Script.registerSwitch("", "block=", "status: only this block")
    Script.registerSwitch("", "undo", "waive: have the files tried again from the beginning")
    Script.registerSwitch("", "reason=", "why, for the journal")
    Script.registerSwitch("", "yes", "do it without asking")
    Script.registerSwitch("", "json", "one JSON document instead of a text")
    Script.registerArgument("VERB: what to do", values=list(VERBS))
    Script.registerArgument(["CHAIN: a chain, the name of one, or a file; for waive also LFNs"], mandatory=False)
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(runVerb)


if __name__ == "__main__":
    sys.exit(main())
