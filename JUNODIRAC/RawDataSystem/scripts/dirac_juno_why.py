"""
Say why a file or a block is where it is, and who has to act

Walks from the announcement over ledger, file catalogue, transformation, task, request and FTS3 job to the storage, and for
blocks over closing and validation to the state. Of blocks in chains it shows the chains, of files their way through each step, of
outputs of chains the same. Shows each link with its time, the first one that does not hold, the reason in
words, who has to act, and the command to type. Without a problem it says what is waited for and since when, or that all is
right.

Exit status: 0 if all is right or waited for as it should be, 1 if something does not hold or somebody did not answer, 2 if there
is no such block or file.

Usage:
  dirac-juno-why [options] BLOCK|LFN

Arguments:
  BLOCK|LFN: name of a block, for example 20230302, or the LFN of a file or of an output of a chain, which begins with /

Example:
  $ dirac-juno-why 20230302 --type Raw
  $ dirac-juno-why 20230302 --type Raw --site JINR-EOS
  $ dirac-juno-why /juno/raw/2023/0302/Daq.123.Physics.stream.tag.20230302.1.dat
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from DIRAC.Core.Base.Script import Script

from JUNODIRAC.Core.Utilities.Moment import ageText, shortText
from JUNODIRAC.Core.Utilities.TextTable import Cell, cut, paint, printable, renderTable

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

TITLES = ("Link", "State", "Since (UTC)", "What")
NOT_RIGHT, UNUSABLE = 1, 2
_STYLES = {"holds": "good", "waits": "busy", "broken": "bad", "unknown": "bad"}
_HEADS = {"holds": "all right", "waits": "waits", "broken": "does not hold", "unknown": "not known"}
_MIN_SHOWN = 2
# the verdict has its text whole, and so has the JSON document
_TEXT_CHARS = 120


def whyText(answer: dict[str, Any], colour: bool) -> str:
    """The service's answer for a person."""
    lines = [_headOf(answer), *(["", _table(answer["Chain"], colour)] if answer["Chain"] else [])]
    for site in answer["Sites"]:
        # one way tells enough of a block; with --site that of any site can be asked for
        withWay = site["SE"] == answer["Verdict"]["SE"] or len(answer["Sites"]) == 1
        lines += ["", paint(f"to {site['SE']}", "head", colour), _table(site["Chain"], colour), *_filesOf(site, withWay, colour)]
    for chain in answer.get("Chains", ()):
        lines += ["", paint(f"in chain {chain['Production']}", "head", colour), _table(chain["Chain"], colour)]
    lines += ["", *verdictLines(answer["Verdict"], answer["Time"], colour)]
    lines += [paint(f"not available: {printable(text)}", "bad", colour) for text in answer["Unavailable"]]
    return "\n".join(lines)


def verdictLines(verdict: dict[str, Any], now: str, colour: bool) -> list[str]:
    """The verdict: what, since when, who, and what to type."""
    style = _STYLES[verdict["State"]]
    where = f" at {verdict['SE']}" if verdict["SE"] else ""
    lines = [paint(f"{_HEADS[verdict['State']]}{where}: {verdict['Link']}", style, colour)]
    lines.append(f"  {printable(verdict['Text'])}")
    if verdict["Since"]:
        lines.append(f"  since      {_sinceText(verdict['Since'], now)}")
    if verdict["State"] != "holds":
        lines.append(f"  who acts   {verdict['Actor']}")
    if verdict["Command"]:
        lines.append(f"  type       {paint(printable(verdict['Command']), 'head', colour)}")
    return lines


def isRight(answer: dict[str, Any]) -> bool:
    """Whether nothing has to be done, by whomever it is."""
    return answer["Verdict"]["State"] in ("holds", "waits")


def _headOf(answer: dict[str, Any]) -> str:
    if answer["Kind"] == "Output":
        return f"{answer['LFN']}\n  output of a chain, block {answer['Block']} of Type {answer['Type']}"
    if answer["Kind"] == "File":
        belongs = f", block {answer['Block']}" if answer["Block"] else ""
        return f"{answer['LFN']}\n  Type {answer['Type'] or 'unknown'}{belongs}"
    return f"block {answer['Block']} of Type {answer['Type']}: {answer['State']}"


def _table(links: list[dict[str, Any]], colour: bool) -> str:
    rows = [
        [
            Cell(link["Link"]),
            Cell(link["State"], _STYLES[link["State"]]),
            Cell(shortText(link["Time"]), "dim"),
            Cell(cut(printable(link["Text"]), _TEXT_CHARS)),
        ]
        for link in links
        if link["Code"] != "NotYet" or len(links) < _MIN_SHOWN
    ]
    return renderTable(TITLES, rows, (), colour)


def _filesOf(site: dict[str, Any], withWay: bool, colour: bool) -> list[str]:
    """Of a block: where its unfinished files stand, and the way of one of them."""
    lines = []
    for each in site["Standings"]:
        files = "1 file stands" if each["Files"] == 1 else f"{each['Files']} files stand"
        lines.append(f"  {files} at {each['Link']}: {each['Code']}, for example {printable(each['LFN'])}")
    if withWay and site.get("Example"):
        lines += [f"  the way of {printable(site['Example']['LFN'])}:", _indented(_table(site["Example"]["Chain"], colour))]
    return lines


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _sinceText(since: str, now: str) -> str:
    seconds = (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds()
    return f"{shortText(since)} ({ageText(seconds)} ago)" if seconds >= 0 else f"{shortText(since)}"


def explain(command: CommandLine) -> int:
    """The command."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError, ServiceDown

    target, site = command.arguments[0].removeprefix("LFN:"), command.switch("site")
    try:
        if target.startswith("/"):
            answer = command.call("getFileExplanation", target, site)
        else:
            answer = command.call("getBlockExplanation", target, command.switch("type"), site)
    except ServiceDown:
        raise
    except CommandError as error:
        command.warn(f"ERROR: {error}")
        return UNUSABLE
    if command.wantsJSON:
        command.writeJSON(answer)
    else:
        command.write(whyText(answer, command.isTerminal))
    return 0 if isRight(answer) else NOT_RIGHT


@Script()
def main() -> int:
    """Entry point."""
    Script.registerSwitch("", "type=", "Type of the block, where several have one of this name")
    Script.registerSwitch("", "site=", "only at this storage element")
    Script.registerSwitch("", "json", "one JSON document instead of text")
    Script.registerArgument("BLOCK|LFN: name of a block, or LFN of a file")
    from JUNODIRAC.RawDataSystem.Client.CommandLine import runCommand

    return runCommand(explain)


if __name__ == "__main__":
    sys.exit(main())
