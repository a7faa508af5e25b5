"""``dirac-juno-block report``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from JUNODIRAC.Core.Utilities.Moment import shortText
from JUNODIRAC.Core.Utilities.TextTable import Cell, formatBytes, paint, printable, renderTable
from JUNODIRAC.RawDataSystem.Client.BlockVerbs.ValidateVerb import differenceLines

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

TITLES = (
    "Block", "Type", "State", "Declared", "Announced", "Catalogued",
    "Site", "Site state", "Files", "Missing", "Bytes", "Validation",
)  # fmt: skip
NUMBERS = ("Declared", "Announced", "Catalogued", "Files", "Missing", "Bytes")
_SETTLED = ("Waived", "Dropped")
_BAR_FROM_BLOCKS = 10


def reportBlocks(command: CommandLine) -> int:
    """What became of each file of some blocks: declared, announced, catalogued, at each site; every missing file by name."""
    reports = list(_reports(command))
    totals = totalsOf(reports)
    if command.wantsJSON:
        command.writeJSON({"Blocks": reports, "Totals": totals})
    else:
        command.write(reportText(reports, totals, command.isTerminal))
    return 0 if all(report["Whole"] for report in reports) else 1


def _reports(command: CommandLine) -> Iterable[dict[str, Any]]:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError
    from JUNODIRAC.RawDataSystem.Client.ProgressBar import ProgressBar

    _, *names = command.arguments
    first, last = command.switch("from"), command.switch("to")
    if bool(names) == bool(first or last):
        raise CommandError("report takes names of blocks, or --from FIRST --to LAST; see dirac-juno-block -h")
    if not names and not (first and last):
        raise CommandError("--from and --to go together")
    blocks = command.call("listReportBlocks", command.switch("type"), names, first, last)
    bar = ProgressBar("blocks") if len(blocks) >= _BAR_FROM_BLOCKS else None
    for done, (typeName, name) in enumerate(blocks, 1):
        yield command.call("getBlockReport", typeName, name)
        if bar:
            bar.show([("report", done, len(blocks))])


def totalsOf(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Files and bytes of all blocks together, and by site. What could not be asked counts as nothing."""
    sites: dict[str, dict[str, int]] = {}
    for report in reports:
        for site in report["Sites"]:
            total = sites.setdefault(site["SE"], {"Blocks": 0, "Expected": 0, "Files": 0, "Bytes": 0, "Missing": 0})
            total["Blocks"] += 1
            total["Expected"] += report["Registered"]
            total["Files"] += site["Files"] or 0
            total["Bytes"] += site["Bytes"] or 0
            total["Missing"] += len(site["Missing"])
    names = ("Announced", "Registered", "RegisteredBytes", "Catalogued", "Waived")
    return {
        "Blocks": len(reports),
        "WholeBlocks": sum(report["Whole"] for report in reports),
        **{name: sum(report[name] or 0 for report in reports) for name in names},
        "Sites": dict(sorted(sites.items())),
    }


def reportText(reports: list[dict[str, Any]], totals: dict[str, Any], colour: bool) -> str:
    """One table with totals, and below it every file that is missing, and what else is wrong."""
    rows = [row for report in reports for row in _rowsOf(report)]
    if len(reports) > 1:
        rows += [_totalRow(se, total) for se, total in totals["Sites"].items()]
    lines = [renderTable(TITLES, rows, NUMBERS, colour)]
    for report in reports:
        lines += _linesOf(report, colour)
    if len(reports) > 1:
        lines.append(
            f"{totals['WholeBlocks']} of {totals['Blocks']} blocks are whole; announced {totals['Announced']}, registered"
            f" {totals['Registered']} files with {formatBytes(totals['RegisteredBytes'])}, catalogued {totals['Catalogued']}"
        )
    return "\n".join(lines)


def _rowsOf(report: dict[str, Any]) -> list[list[Cell]]:
    style = "" if report["Whole"] else "bad"
    counts = [report[name] for name in ("Declared", "Announced", "Catalogued")]
    head = [
        Cell(report["Block"], style),
        Cell(report["Type"]),
        Cell(report["State"]),
        *(Cell(_number(count)) for count in counts),
    ]
    if not report["Sites"]:
        return [[*head, Cell("-", "dim"), *[Cell("")] * 5]]
    rows = []
    for site in report["Sites"]:
        missing, validation = len(site["Missing"]), site["Validation"]
        isBad = bool(missing) or (validation or {}).get("Verdict") == "Bad"
        told = f"{validation['Verdict']} {shortText(validation['StartedTime'])}" if validation else "-"
        rows.append(
            [
                *head,
                Cell(site["SE"]),
                Cell(site["State"]),
                Cell(_number(site["Files"]), "bad" if missing else "good"),
                Cell("?" if site["Files"] is None else str(missing), "bad" if missing else ""),
                Cell(formatBytes(site["Bytes"])),
                Cell(told, "bad" if isBad else "good" if validation else "dim"),
            ]
        )
    return rows


def _totalRow(se: str, total: dict[str, int]) -> list[Cell]:
    empty = [Cell("")] * 5
    numbers = [Cell(str(total["Files"])), Cell(str(total["Missing"])), Cell(formatBytes(total["Bytes"]))]
    return [Cell("total", "head"), *empty, Cell(se, "head"), Cell(f"{total['Blocks']} blocks"), *numbers, Cell("")]


def _linesOf(report: dict[str, Any], colour: bool) -> list[str]:
    """What is not as it should be with a block, and the files by name."""
    name = f"{report['Type']} {report['Block']}"
    lines = [paint(f"{name}: {printable(problem)}", "bad", colour) for problem in report["Problems"]]
    if report["Problem"]:
        lines.append(paint(f"{name}: {printable(report['Problem'])}", "bad", colour))
    for file in report["NotRegistered"]:
        why = f"  {file['Code']}: {file['Detail']}" if file["Code"] else ""
        lines.append(printable(f"  {file['State'].lower()}: {file['LFN']}{why if file['State'] not in _SETTLED else ''}"))
    lines += [printable(f"  not in the catalogue: {lfn}") for lfn in report["NotCatalogued"]]
    for site in report["Sites"]:
        if site["Problem"]:
            lines.append(paint(printable(f"  {site['SE']}: {site['Problem']}"), "bad", colour))
        lines += [printable(f"  missing at {site['SE']}: {lfn}") for lfn in site["Missing"]]
        validation = site["Validation"]
        if validation and validation["Verdict"] != "Good":
            lines.append(printable(f"  {site['SE']}, validation: {validation['Summary']}"))
            lines += [f"  {line}" for line in differenceLines(validation)]
    return lines + [_chainLine(chain, colour) for chain in report.get("Chains", ())]


def _chainLine(chain: dict[str, Any], colour: bool) -> str:
    audit = chain["Audit"]
    told = f"audit {shortText(audit['Time'])} {audit['Verdict']}: {audit['Sentence']}" if audit else "not audited yet"
    style = {"Exact": "good", "Off": "bad", "Unanswered": "bad"}.get(audit["Verdict"] if audit else "", "")
    head = f"  chain {chain['Chain']}: {chain['State']}, {chain['EndedSteps']} of {chain['Steps']} steps ended; "
    return head + paint(printable(told), style, colour)


def _number(count: int | None) -> str:
    return "-" if count is None else str(count)


VERBS: dict[str, Callable[[CommandLine], int]] = {"report": reportBlocks}
