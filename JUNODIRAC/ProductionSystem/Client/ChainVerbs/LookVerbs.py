"""``dirac-juno-chain check``, ``list`` and ``status``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep
from JUNODIRAC.Core.Domain.ChainItem import BadChain, cut
from JUNODIRAC.Core.Domain.ChainRules import Known
from JUNODIRAC.Core.Utilities.Moment import shortText
from JUNODIRAC.Core.Utilities.TextTable import Cell, formatBytes, paint, printable, renderTable

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

_STYLES = {"Active": "good", "Done": "good", "Running": "busy", "Starting": "busy", "Waiting": "dim", "Problem": "bad"}
_MAX_TROUBLES, _MAX_NAMES, _MAX_DETAIL = 20, 3, 200


# ---- check


def checkFiles(command: CommandLine) -> int:
    """Check descriptions, against the configuration if it can be reached."""
    from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
    from JUNODIRAC.ProductionSystem.Client.ChainVerbs.ChainFiles import findFile, readText
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    if len(command.arguments) < 2:
        raise CommandError("name the files or chains to be checked")
    known = _configuration()
    documents = []
    for name in command.arguments[1:]:
        path = findFile(name)
        try:
            documents.append(_goodDocument(str(path), readChain(readText(path), str(path), known)))
        except BadChain as error:
            errors = [{"Line": each.line, "Problem": each.problem, "Remedy": each.remedy} for each in error.errors]
            documents.append({"File": str(path), "OK": False, "Errors": errors})
    unchecked = [what for what, value in _parts(known).items() if value is None]
    if command.wantsJSON:
        command.writeJSON({"Files": documents, "NotChecked": unchecked})
    else:
        for document in documents:
            command.write(_checkText(document))
    if unchecked:
        command.warn(
            f"The configuration was not reached, or has none of these: {', '.join(unchecked)} were not compared with it."
        )
    return 0 if all(document["OK"] for document in documents) else 1


def _configuration() -> Known:
    from DIRAC.ConfigurationSystem.Client.Helpers.CSGlobals import getVO

    from JUNODIRAC.ProductionSystem.Client.ChainConfiguration import knownConfiguration

    return knownConfiguration(getVO())


def _parts(known: Known) -> dict[str, Any]:
    return {"Types": known.types, "sites": known.sites, "storage elements": known.storageElements}


def _goodDocument(fileName: str, chain: ChainDescription) -> dict[str, Any]:
    steps = [
        {
            "Step": step.name,
            "Kind": step.kind.value,
            "Input": step.input.typeName,
            "Output": step.output.typeName if step.output else "",
            "From": source.name if (source := chain.source(step)) else "",
            "Where": list(step.sites or step.destinations),
            "Program": _program(step),
            "Gates": sorted(gate.value for gate in step.gates),
        }
        for step in chain.steps
    ]
    return {"File": fileName, "OK": True, "Name": chain.name, "Version": chain.version, "Steps": steps, "Errors": []}


def _program(step: ChainStep) -> str:
    return " ".join((step.executable, *step.arguments))


def _checkText(document: dict[str, Any]) -> str:
    if not document["OK"]:
        return "\n".join(
            printable(f"{document['File']}:{each['Line']}: {each['Problem']}; {each['Remedy']}") for each in document["Errors"]
        )
    lines = [f"{document['File']}: chain {document['Name']}, version {document['Version']}, is good"]
    for step in document["Steps"]:
        made = f" -> {step['Output']}" if step["Output"] else ""
        how = f", {step['Program']}" if step["Program"] else ""
        lines.append(f"  {step['Step']}: {step['Kind']} {step['Input']}{made} at {', '.join(step['Where'])}{how}")
    return printable("\n".join(lines), keep="\n")


# ---- list


def listChains(command: CommandLine) -> int:
    """Each start of a chain."""
    from JUNODIRAC.ProductionSystem.Client.ChainCommand import callChains

    chains = callChains("listChains")
    if command.wantsJSON:
        command.writeJSON(chains)
    elif not chains:
        command.write("no chain was started yet")
    else:
        titles = ("Chain", "State", "Type", "Blocks", "Started", "By")
        rows = [
            [
                Cell(each["Production"]),
                Cell(each["State"], _STYLES.get(each["State"], "")),
                Cell(each["Type"]),
                Cell(_counts(each["Blocks"]) or "none"),
                Cell(shortText(each["CreatedTime"])),
                Cell(each["CreatedBy"]),
            ]
            for each in chains
        ]
        command.write(renderTable(titles, rows, (), command.isTerminal))
    return 0


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


# ---- status


def showStatus(command: CommandLine) -> int:
    """Steps x blocks of one chain, or of each that is not Ended."""
    from JUNODIRAC.ProductionSystem.Client.ChainCommand import callChains
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    names = command.arguments[1:] or [each["Production"] for each in callChains("listChains") if each["State"] != "Ended"]
    block = command.switch("block")
    if block and len(names) != 1:
        raise CommandError("--block goes with one chain: dirac-juno-chain status CHAIN --block BLOCK")
    documents = [callChains("getChainStatus", name, block) for name in names]
    if command.wantsJSON:
        command.writeJSON(documents[0] if command.arguments[1:] and len(documents) == 1 else documents)
    elif not documents:
        command.write("no chain is at work; dirac-juno-chain list shows all that were started")
    else:
        command.write("\n\n".join(statusText(document, command.isTerminal) for document in documents))
    for document in documents:
        for why in document["Unavailable"]:
            command.warn(f"NOT COMPLETE: {why}")
    return 0


def statusText(document: dict[str, Any], colour: bool) -> str:
    """A chain for a terminal."""
    scope = document["Scope"]
    new = [*(f"dataset {name}" for name in scope["Datasets"]), *(["each new block"] if scope["EachNewBlock"] else [])]
    also = f", takes {' and '.join(new)}" if new else ""
    state = paint(document["State"], _STYLES.get(document["State"], ""), colour)
    lines = [f"{document['Production']}: {state}, from {document['Type']}, {len(document['Blocks'])} blocks{also}", ""]
    lines += [_stepTable(document, colour), ""]
    lines += [_heldLine(step, each, colour) for step in document["Steps"] for each in step["Transformations"] if each["Held"]]
    if document["Blocks"]:
        lines += [_blockTable(document, colour)]
    lines += [
        paint(printable(f"  block {each['Block']}: {each[key]}"), "bad" if key == "Problem" else "dim", colour)
        for each in document["Blocks"]
        for key in ("Waits", "Problem")
        if each[key]
    ]
    return "\n".join([*lines, *_troubleLines(document, colour)])


def _heldLine(step: dict[str, Any], transformation: dict[str, Any], colour: bool) -> str:
    where = f" to {transformation['SE']}" if transformation["SE"] else ""
    since = shortText(transformation["HeldTime"])
    return paint(printable(f"  step {step['Step']}{where} is held since {since}: {transformation['Held']}"), "bad", colour)


def _stepTable(document: dict[str, Any], colour: bool) -> str:
    titles = ("Step", "Kind", "To", "Transformation", "Files", "Jobs", "Last hour", "ETA")
    rows = []
    for step in document["Steps"]:
        for each in step["Transformations"] or [{"TransformationID": "-", "SE": "", "Status": "-", "Files": {}, "Held": ""}]:
            isJob = step["Kind"] != "replicate"
            rows.append(
                [
                    Cell(step["Step"]),
                    Cell(step["Kind"]),
                    Cell(each["SE"] or step["Output"]),
                    Cell(f"{each['TransformationID']} {each['Status']}", "bad" if each["Held"] else ""),
                    Cell(_counts(each["Files"]) or "none"),
                    Cell(str(step["RunningJobs"]) if isJob else ""),
                    Cell(str(step["DerivedLastHour"]) if isJob else ""),
                    Cell(shortText(step["ETA"]) if isJob else ""),
                ]
            )
    return renderTable(titles, rows, ("Jobs", "Last hour"), colour)


def _blockTable(document: dict[str, Any], colour: bool) -> str:
    titles = ("Block", "State", "Step", "In", "Done", "Given up", "Out", "Events in", "Events out", "Bytes")
    rows = []
    for block in document["Blocks"]:
        for number, step in enumerate(block["Steps"]):
            isReplicate = document["Steps"][number]["Kind"] == "replicate"
            figures = [
                Cell("ended" if step["HasEnded"] and isReplicate else "" if isReplicate else str(step["Derived"])),
                Cell(str(step["GivenUp"]), "bad" if step["GivenUp"] else ""),
            ]
            made = ("Outputs", "EventsIn", "EventsOut")
            figures += [Cell("" if isReplicate else str(step[key])) for key in made]
            figures.append(Cell("" if isReplicate else formatBytes(step["SizeBytes"])))
            isFirst = number == 0
            head = [
                Cell(block["Block"] if isFirst else ""),
                Cell(block["State"] if isFirst else "", _STYLES.get(block["State"], "")),
            ]
            inputs = str(step["Inputs"]) if number else f"{step['Inputs']}/{block['Wanted']}"
            rows.append([*head, Cell(step["Step"]), Cell(inputs), *figures])
    return renderTable(titles, rows, titles[3:], colour)


def _troubleLines(document: dict[str, Any], colour: bool) -> list[str]:
    """Files that are not well, those with the same trouble together."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for each in document["Troubles"]:
        groups.setdefault(tuple(each[key] for key in ("State", "Step", "SE", "Error", "Detail")), []).append(each)
    lines = []
    for (state, step, se, error, detail), files in list(groups.items())[:_MAX_TROUBLES]:
        attempts = max(each["Attempts"] for each in files)
        where = f"{step} to {se}" if se else step
        text = f"  {state}: {len(files)} files in {where} after {attempts} attempts: {error}: {cut(detail, _MAX_DETAIL)}"
        lines.append(paint(printable(text), "bad" if state == "GivenUp" else "dim", colour))
        lines += [printable(f"    {each['LFN']}") for each in files[:_MAX_NAMES]]
        if len(files) > _MAX_NAMES:
            lines.append(f"    and {len(files) - _MAX_NAMES} more")
    if len(groups) > _MAX_TROUBLES or document["TroublesTotal"] > len(document["Troubles"]):
        lines.append(f"  {document['TroublesTotal']} files are not well in all; --json names more of them")
    return lines


VERBS: dict[str, Callable[[CommandLine], int]] = {"check": checkFiles, "list": listChains, "status": showStatus}
