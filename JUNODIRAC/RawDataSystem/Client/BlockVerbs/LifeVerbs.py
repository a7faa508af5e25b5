"""``dirac-juno-block close``, ``reopen`` and ``flush``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from JUNODIRAC.RawDataSystem.Client.BlockVerbs.OpenVerb import oneBlock

if TYPE_CHECKING:
    from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandLine


def planText(plan: dict[str, Any]) -> str:
    """What would be done."""
    sites = ", ".join(f"{se} {state}" for se, state in sorted(plan["Sites"].items()))
    lines = [
        f"block {plan['Block']} of Type {plan['Type']} is {plan['State']} ({sites or 'no sites'}), with {plan['Registered']}"
        f" registered, {plan['Waiting']} waiting, {plan['Quarantined']} quarantined and {plan['Waived']} waived files:"
    ]
    return "\n".join([*lines, *(f"  {step}" for step in plan["Steps"])])


def closeBlock(command: CommandLine) -> int:
    """Close a block, or tell how many files it shall have."""
    expected = command.number("expect", 1) if command.switch("expect") else 0
    return _change(command, "close", "Close this block?", "closeBlock", expected)


def reopenBlock(command: CommandLine) -> int:
    """Make a block take files on again."""
    return _change(command, "reopen", "Reopen this block?", "reopenBlock")


def flushBlock(command: CommandLine) -> int:
    """Have the tail of a block sent out."""
    return _change(command, "flush", "Send these files out?", "flushBlock")


def _change(command: CommandLine, verb: str, question: str, method: str, *more: int) -> int:
    blockName, typeName, reason = oneBlock(command), command.needed("type"), command.needed("reason")
    command.warn(planText(command.call("getLifePlan", verb, blockName, typeName, *(more or (0,)))))
    command.confirm(question)
    done = command.call(method, blockName, typeName, *more, reason)
    if command.wantsJSON:
        command.writeJSON(done)
        return 0
    if verb == "flush":
        command.write("sent out: " + ", ".join(f"{files} files to {se}" for se, files in sorted(done["Flushed"].items())))
    else:
        command.write(f"block {blockName} of Type {typeName}: {done['OldState']} -> {done['State']}; BlockAgent does the rest")
    return 0


VERBS: dict[str, Callable[[CommandLine], int]] = {"close": closeBlock, "reopen": reopenBlock, "flush": flushBlock}
