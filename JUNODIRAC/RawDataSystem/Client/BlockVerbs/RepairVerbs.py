"""``dirac-juno-block retransfer``, ``pause``, ``resume`` and ``pauses``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from JUNODIRAC.Core.Utilities.Moment import ageText
from JUNODIRAC.Core.Utilities.TextTable import formatBytes, printable
from JUNODIRAC.RawDataSystem.Client.BlockVerbs.OpenVerb import oneBlock

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine

_KEPT_SHOWN = 10


def retransfer(command: CommandLine) -> int:
    """Copy files of a block once more."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    blockName, typeName, reason = oneBlock(command), command.needed("type"), command.needed("reason")
    what = (typeName, blockName, _sites(command), _names(command), "only-failed" in command.switches)
    plan = command.call("getRetransferPlan", *what)
    command.warn(planText(blockName, plan))
    if not any(site["Files"] for site in plan):
        raise CommandError(f"no file of block {blockName} is to be copied once more; nothing was changed")
    command.confirm("Copy these files once more?")
    done = command.call("retransferFiles", *what, reason)
    if command.wantsJSON:
        command.writeJSON({"Block": blockName, "Type": typeName, "Files": done})
    else:
        command.write(f"block {blockName}: {', '.join(f'{count} file(s) to {se}' for se, count in sorted(done.items()))}")
    return 0


def planText(blockName: str, plan: list[dict[str, Any]]) -> str:
    """What would be copied."""
    lines = [f"block {blockName}, once more:"]
    for site in plan:
        line = f"  to {site['SE']}: {site['Files']} file(s), {formatBytes(site['SizeBytes'])}"
        if site["Registered"]:
            line += f"; {site['Registered']} replica(s) there are taken out of the catalogue, and their files overwritten"
        if site["UnderWay"]:
            line += f"; {site['UnderWay']} that are under way are left alone"
        if site["Requests"]:
            line += f"; {site['Requests']} request(s) that are under way are cancelled"
        lines.append(line)
        kept = site["Kept"]
        lines += [f"    stays, it is the only replica: {printable(lfn)}" for lfn in kept[:_KEPT_SHOWN]]
        if len(kept) > _KEPT_SHOWN:
            lines.append(f"    and {len(kept) - _KEPT_SHOWN} more")
    return "\n".join(lines)


def pause(command: CommandLine) -> int:
    """Copy nothing to a site."""
    se, (blockName, typeName), reason = command.needed("site"), _blockOrAll(command), command.needed("reason")
    seconds = _secondsOf(command.switch("for")) if command.switch("for") else 0
    what = f"block {blockName} of Type {typeName}" if blockName else "any block"
    until = f"for {ageText(seconds)}" if seconds else "until somebody resumes"
    command.warn(f"no file of {what} is copied to {se} {until}; copies that FTS3 has begun are finished")
    command.confirm("Pause?")
    command.call("pauseSite", se, typeName, blockName, seconds, reason)
    _tell(command, {"SE": se, "Block": blockName, "Type": typeName, "Seconds": seconds}, f"{se} is paused {until}")
    return 0


def resume(command: CommandLine) -> int:
    """Copy to a site again."""
    se, (blockName, typeName), reason = command.needed("site"), _blockOrAll(command), command.needed("reason")
    mine = [each for each in command.call("getPauses") if (each["SE"], each["Block"]) == (se, blockName)]
    command.warn("\n".join(_pauseText(each) for each in mine) or f"{se} is not paused{f' for {blockName}' * bool(blockName)}")
    command.confirm("Resume?")
    count = command.call("resumeSite", se, typeName, blockName, reason)
    _tell(command, {"SE": se, "Block": blockName, "Type": typeName, "Ended": count}, f"{se}: {count} pause(s) ended")
    return 0


def pauses(command: CommandLine) -> int:
    """List the pauses that hold."""
    found = command.call("getPauses")
    if command.wantsJSON:
        command.writeJSON(found)
    else:
        command.write("\n".join(_pauseText(each) for each in found) or "nothing is paused")
    return 0


def _pauseText(found: dict[str, Any]) -> str:
    what = f"block {found['Block']} of Type {found['Type']}" if found["Block"] else "all blocks"
    until = f"until {found['Until'][:19].replace('T', ' ')} UTC" if found["Until"] else "until somebody resumes"
    since = found["Since"][:19].replace("T", " ")
    return printable(f"{found['SE']}: {what}, since {since} UTC, {until}, by {found['Actor']}: {found['Reason']}")


def _tell(command: CommandLine, document: dict[str, Any], sentence: str) -> None:
    if command.wantsJSON:
        command.writeJSON(document)
    else:
        command.write(sentence)


def _sites(command: CommandLine) -> list[str]:
    return [name.strip() for name in command.switch("site").split(",") if name.strip()]


def _names(command: CommandLine) -> list[str]:
    """The names in the file of ``--files``, one a line."""
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    path = command.switch("files")
    if not path:
        return []
    try:
        names = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--files={path} cannot be read: {error}") from error
    if not names:
        raise CommandError(f"--files={path} names no file; one LFN or file name a line is needed")
    return names


def _blockOrAll(command: CommandLine) -> tuple[str, str]:
    """Block and Type, or twice nothing."""
    if len(command.arguments) == 1:
        return "", ""
    return oneBlock(command), command.needed("type")


def _secondsOf(text: str) -> int:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not (number.isascii() and number.isdigit() and 0 < int(number) < 10**6):
        raise CommandError(f"--for is a time like 30m, 2h or 1d, not '{text}'")
    return int(number) * units[unit]


VERBS: dict[str, Callable[[CommandLine], int]] = {
    "retransfer": retransfer,
    "pause": pause,
    "resume": resume,
    "pauses": pauses,
}
