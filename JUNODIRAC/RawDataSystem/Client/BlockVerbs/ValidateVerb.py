"""``dirac-juno-block validate``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from JUNODIRAC.Core.Utilities.TextTable import paint, printable
from JUNODIRAC.RawDataSystem.Client.BlockVerbs.OpenVerb import oneBlock

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

#: names shown of each kind; --json has them all
MAX_NAMES = 100
_KINDS = {
    "Missing": "missing",
    "WrongSize": "wrong size",
    "WrongChecksum": "wrong checksum",
    "Uncatalogued": "not in the catalogue as it is",
    "Extra": "extra",
    "Unanswered": "no answer",
}
_STYLES = {"Good": "good", "Bad": "bad", "Incomplete": "busy"}
_FIRST_WAIT_SECONDS = 0.3
_MOST_WAIT_SECONDS = 3.0
# a service that is started anew is back by then
_PATIENCE_SECONDS = 60.0


def validateBlock(command: CommandLine) -> int:
    """Have a block looked at now at all or some of its sites, and show what was found."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    blockName, typeName, reason = oneBlock(command), command.needed("type"), command.needed("reason")
    sites = [name.strip() for name in command.switch("site").split(",") if name.strip()]
    plan = command.call("getValidationPlan", typeName, blockName, sites)
    command.warn(
        f"ledger, catalogue and storage are compared for the {plan['Files']} files of block {blockName} of Type {typeName}"
        f" at {', '.join(plan['Sites'])}; the storage is asked for each checksum, and the outcome is kept"
    )
    command.confirm("Validate this block?")
    found = _waitFor(command, command.call("startValidation", typeName, blockName, sites, reason))
    failures = [f"{site['SE']}: {site['Failure']}" for site in found if site["Failure"]]
    validations = [site["Validation"] for site in found if site["Validation"]]
    if command.wantsJSON:
        document = {"Block": blockName, "Type": typeName, "Validations": validations, "Failures": failures}
        command.writeJSON(document)
    else:
        for validation in validations:
            command.write(validationText(validation, command.isTerminal))
    if failures:
        raise CommandError("; ".join(failures))
    return 0 if all(validation["Verdict"] == "Good" for validation in validations) else 1


def validationText(validation: dict[str, Any], colour: bool) -> str:
    """One site's outcome with the files that differ."""
    verdict = validation["Verdict"]
    lines = [f"{validation['SE']}: {paint(verdict, _STYLES.get(verdict, ''), colour)}, {printable(validation['Summary'])}"]
    return "\n".join([*lines, *differenceLines(validation)])


def differenceLines(validation: dict[str, Any]) -> list[str]:
    """A line for each file that differs; those above a limit are counted."""
    lines = []
    for kind, words in _KINDS.items():
        names, count = validation["Names"].get(kind, []), validation[f"{kind}Files"]
        for lfn in names[:MAX_NAMES]:
            detail = validation["Details"].get(lfn, "")
            lines.append(printable(f"  {words}: {lfn}" + (f"  ({detail})" if detail else "")))
        if count > MAX_NAMES:
            lines.append(f"  {words}: {count - MAX_NAMES} more; --json names them")
    return lines


def _waitFor(command: CommandLine, token: str) -> list[dict[str, Any]]:
    """Show how far it is until all sites have ended."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import ServiceDown
    from JUNODIRAC.RawDataSystem.Client.ProgressBar import ProgressBar

    bar, wait, answered = ProgressBar("files"), _FIRST_WAIT_SECONDS, time.monotonic()
    while True:
        try:
            sites: list[dict[str, Any]] = command.call("getValidationProgress", token)
        except ServiceDown:
            if time.monotonic() - answered > _PATIENCE_SECONDS:
                raise
        else:
            answered = time.monotonic()
            bar.show([(site["SE"], site["Done"], site["Total"]) for site in sites])
            if all(site["Ended"] for site in sites):
                return sites
        time.sleep(wait)
        wait = min(_MOST_WAIT_SECONDS, wait * 1.5)


VERBS: dict[str, Callable[[CommandLine], int]] = {"validate": validateBlock}
