"""
Datasets: all files of a Type in a range of blocks

  list    the datasets (--type: only those of a Type)
  show    one dataset with its blocks
  create  make a dataset of the blocks of --type from --from to --to, both included; its content follows its blocks
  freeze  fix the content for ever, in the catalogue and with a hash in the ledger; says which blocks are not Done
  check   compare it with what there is: a frozen dataset with the ledger, the catalogue and its list of files there,
          another one's ledger with the catalogue. Every file that differs is named

create and freeze say first what they would do; they need the property ProductionManagement, and are written to the journal
with their reason. Exit status of check: 0 if all is as it should be, 1 if not.

Usage:
  dirac-juno-dataset [options] VERB [NAME]

Arguments:
  VERB: what to do
  NAME: name of the dataset, unique in the catalogue

Example:
  $ dirac-juno-dataset create first-week --type RTRaw --from 20231001 --to 20231007 --reason "for the first analysis"
  $ dirac-juno-dataset freeze first-week --reason "all blocks are Done"
  $ dirac-juno-dataset check first-week
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.Core.Utilities.Moment import shortText
from JUNODIRAC.Core.Utilities.TextTable import Cell, formatBytes, paint, printable, renderTable

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

_LINES = 50
_PLACES = {"Ledger": "ledger", "Catalogue": "catalogue", "DatasetList": "list of the dataset in the catalogue"}


def listText(datasets: list[dict[str, Any]], colour: bool) -> str:
    """A line for each dataset."""
    if not datasets:
        return "no dataset"
    titles = ("Name", "Type", "First block", "Last block", "Blocks", "Not Done", "Files", "Size", "State", "Frozen")
    rows = [[Cell(each["Name"]), *_summaryCells(each)] for each in datasets]
    return renderTable(titles, rows, ("Blocks", "Not Done", "Files", "Size"), colour)


def _summaryCells(each: dict[str, Any]) -> list[Cell]:
    texts = [each["Type"], each["FirstBlock"], each["LastBlock"], str(each["Blocks"])]
    numbers = [str(each["Files"]), formatBytes(each["SizeBytes"])]
    state = Cell(each["State"], "good" if each["State"] == "Frozen" else "")
    return [*map(Cell, texts), Cell(str(len(each["NotDone"]))), *map(Cell, numbers), state, Cell(shortText(each["Frozen"]))]


def datasetText(dataset: dict[str, Any], colour: bool) -> str:
    """One dataset and its blocks."""
    blocks = dataset["Blocks"]
    lines = [
        f"dataset {dataset['Name']} ({dataset['Path']}): {dataset['State']}, {dataset['Files']} files,"
        f" {formatBytes(dataset['SizeBytes'])}, in {len(blocks)} blocks of Type {dataset['Type']}"
        f" from {dataset['FirstBlock']} to {dataset['LastBlock']}"
    ]
    if dataset["Created"]:
        lines.append(f"made {shortText(dataset['Created'])} by {dataset['CreatedBy']}")
    if dataset["Frozen"]:
        lines.append(f"frozen {shortText(dataset['Frozen'])} by {dataset['FrozenBy']}: SHA-256 {dataset['ContentHash']}")
    rows = [
        [
            Cell(block["Block"]),
            Cell(block["State"], "good" if block["State"] == "Done" else "busy"),
            *(_ofParent(block) if block["Parent"] else (Cell(str(block["Files"])), Cell(formatBytes(block["SizeBytes"])))),
        ]
        for block in blocks
    ]
    lines.append(renderTable(("Block", "State", "Files", "Size"), rows, ("Files", "Size"), colour))
    return "\n".join(lines)


def _ofParent(block: dict[str, Any]) -> tuple[Cell, Cell]:
    """Late files lie in the directory of the block that they are late for, and are counted there."""
    return Cell(f"in {block['Parent']}", "dim"), Cell("")


def checkText(answer: dict[str, Any], colour: bool) -> str:
    """Whether a dataset is as it should be, and each file that is not."""
    what = f"dataset {answer['Name']} ({answer['State']})"
    if answer["Matches"]:
        return f"{what}: {answer['Files']} files, {formatBytes(answer['SizeBytes'])}, all as they should be"
    lines = [paint(f"{what} does not match", "bad", colour)]
    lines.append(f"  it should have {answer['Files']} files, {answer['SizeBytes']} bytes, SHA-256 {answer['ContentHash']}")
    lines.append(f"  the ledger has {answer['FilesNow']} files, {answer['SizeBytesNow']} bytes, SHA-256 {answer['HashNow']}")
    for where, kinds in answer["Counts"].items():
        counts = ", ".join(f"{number} {kind.lower()}" for kind, number in sorted(kinds.items()))
        lines.append(f"  {_PLACES[where]}: {counts}")
    lines += [f"  {_differenceText(each)}" for each in answer["Differences"][:_LINES]]
    rest = len(answer["Differences"]) - _LINES
    if rest > 0:
        lines.append(f"  ... {rest} more; with --json all of them")
    return "\n".join(lines)


def _differenceText(each: dict[str, Any]) -> str:
    def facts(values: dict[str, Any] | None) -> str:
        return f"{values['SizeBytes']} bytes adler32 {values['Checksum']}" if values else ""

    words = {
        "Missing": f"is missing, was {facts(each['Wanted'])}",
        "Added": f"was added{', ' if each['Found'] else ''}{facts(each['Found'])}",
        "Changed": f"was changed from {facts(each['Wanted'])} to {facts(each['Found'])}",
    }[each["Kind"]]
    return f"{printable(each['LFN'])}  {words} ({_PLACES[each['Where']]})"


def warnOfBlocks(command: CommandLine, dataset: dict[str, Any]) -> None:
    """Say which blocks may still change."""
    states = {block["Block"]: block["State"] for block in dataset["Blocks"]}
    for name in dataset["NotDone"]:
        command.warn(f"not Done: block {name} is {states[name]}")


# ---- verbs


def listDatasets(command: CommandLine) -> int:
    """All datasets, or those of a Type."""
    datasets = command.call("listDatasets", command.switch("type"))
    if command.wantsJSON:
        command.writeJSON(datasets)
    else:
        command.write(listText(datasets, command.isTerminal))
    return 0


def showDataset(command: CommandLine) -> int:
    """One dataset."""
    _write(command, command.call("getDataset", _name(command)))
    return 0


def createDataset(command: CommandLine) -> int:
    """Make one, after a person agreed."""
    selection = (_name(command), command.needed("type"), command.needed("from"), command.needed("to"))
    reason = command.needed("reason")
    command.warn(f"would make\n{datasetText(command.call('getDatasetPlan', *selection), False)}")
    command.confirm("Make this dataset?")
    _write(command, command.call("createDataset", *selection, reason))
    return 0


def freezeDataset(command: CommandLine) -> int:
    """Freeze one, after a person agreed."""
    name, reason = _name(command), command.needed("reason")
    dataset = command.call("getDataset", name)
    command.warn(f"would freeze {name}: {dataset['Files']} files, {formatBytes(dataset['SizeBytes'])}")
    warnOfBlocks(command, dataset)
    command.confirm("Freeze this dataset? It cannot be undone.")
    _write(command, command.call("freezeDataset", name, reason))
    return 0


def checkDataset(command: CommandLine) -> int:
    """Compare one with what there is."""
    answer = command.call("compareDataset", _name(command))
    if command.wantsJSON:
        command.writeJSON(answer)
    else:
        command.write(checkText(answer, command.isTerminal))
    return 0 if answer["Matches"] else 1


def _write(command: CommandLine, dataset: dict[str, Any]) -> None:
    if command.wantsJSON:
        command.writeJSON(dataset)
    else:
        command.write(datasetText(dataset, command.isTerminal))


def _name(command: CommandLine) -> str:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    verb, *names = command.arguments
    if len(names) != 1:
        raise CommandError(f"{verb} takes one NAME, not {len(names)}; see dirac-juno-dataset -h")
    return names[0]


VERBS: dict[str, Callable[[CommandLine], int]] = {
    "list": listDatasets,
    "show": showDataset,
    "create": createDataset,
    "freeze": freezeDataset,
    "check": checkDataset,
}


def runVerb(command: CommandLine) -> int:
    """The command."""
    return VERBS[command.arguments[0]](command)


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "type=", "Type of the blocks, for example Raw")
    Script.registerSwitch("", "from=", "first block of the range, for example 20230301")
    Script.registerSwitch("", "to=", "last block of the range")
    Script.registerSwitch("", "reason=", "why, for the journal")
    Script.registerSwitch("", "yes", "do it without asking")
    Script.registerSwitch("", "json", "one JSON document instead of a table")
    Script.registerArgument("VERB: what to do", values=list(VERBS))
    Script.registerArgument(["NAME: name of a dataset"], mandatory=False)
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(runVerb)


if __name__ == "__main__":
    sys.exit(main())
