"""What must hold between the parts of a chain, and between a chain and the configuration."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from string import Formatter

from JUNODIRAC.Core.Domain.ChainDescription import SERVICE_GATES, ChainStep, Gate, Retirement, StepKind, transformationName
from JUNODIRAC.Core.Domain.ChainItem import Findings, Section, cut, similar

DIRECTORY_PARTS = ("Chain", "Version", "OutputVersion", "Step", "Type", "Block")
NAME_PARTS = ("Type", "Run", "Stream", "Sequence", "Step", "Task", "Attempt")
_NEEDED_IN_DIRECTORY = ("Chain", "Version", "OutputVersion", "Block")
_NEEDED_IN_NAME = ("Task", "Attempt")
#: of the file catalogue: levels of directories
_MAX_LEVELS = 14
_LITERAL = re.compile(r"[A-Za-z0-9_.+-]*")
_GOOD = "good"


@dataclass(frozen=True)
class Known:
    """What the configuration knows; None: not asked.

    :param conditions: where the conditions service is, empty if the configuration does not say it
    """

    types: Collection[str] | None = None
    sites: Collection[str] | None = None
    storageElements: Collection[str] | None = None
    conditions: str | None = None


@dataclass(frozen=True)
class Place:
    """Where a step and its parts stand in the file."""

    step: Section
    input: Section
    output: Section
    group: Section


Read = Sequence[tuple[ChainStep, Place]]


def checkRules(read: Read, findings: Findings, known: Known) -> None:
    """Adds to the findings what is wrong."""
    _checkNames(read)
    _checkTransformations(read)
    _checkOutputTypes(read, known)
    _checkDirectories(read)
    for index, (step, place) in enumerate(read):
        _checkInput(step, place, read[:index], read[index + 1 :], known)
        _checkQuality(step, place)
        if Gate.CONDITIONS in step.gates and known.conditions == "":
            remedy = "set RawData/Chains/Conditions/Endpoint in /Operations, see docs/chains.rst, or take the gate away"
            place.step.wrong("gates", f"gate {Gate.CONDITIONS} has nothing to ask: no conditions service is configured", remedy)
        _checkWhere(step, place, known)
        if step.output:
            _checkRule(place.output, "directory", step.output.directoryRule, DIRECTORY_PARTS, _NEEDED_IN_DIRECTORY)
            _checkRule(place.output, "name", step.output.nameRule, NAME_PARTS, _NEEDED_IN_NAME)
    _checkRetirement(read)


def _checkNames(read: Read) -> None:
    seen: dict[str, int] = {}
    for step, place in read:
        if step.name in seen:
            place.step.wrong(
                "name", f"there is a step {step.name} in line {seen[step.name]} already", "give each step its own name"
            )
        elif step.name:
            seen[step.name] = place.step.lineOf("name")


def _checkTransformations(read: Read) -> None:
    """Transformations are named by step and destination."""
    seen: dict[str, str] = {}
    for step, place in read:
        for each in (transformationName("", step.name, se) for se in step.destinations or ("",)):
            if each and seen.setdefault(each, step.name) != step.name:
                remedy = "give one of the steps another name"
                place.step.wrong("name", f"with its destination it is called {each}, as step {seen[each]}", remedy)


def _checkOutputTypes(read: Read, known: Known) -> None:
    seen: dict[str, str] = {}
    for step, place in read:
        typeName = step.output.typeName if step.output else ""
        if not typeName:
            continue
        if typeName in seen:
            place.output.wrong(
                "type",
                f"step {seen[typeName]} makes {typeName}, too",
                "give each output a Type of its own: later steps know their input by it",
            )
        if typeName in (known.types or ()):
            place.output.wrong("type", f"{typeName} is a Type of announced files", "give the output a Type of its own")
        seen.setdefault(typeName, step.name)


def _checkInput(step: ChainStep, place: Place, before: Read, after: Read, known: Known) -> None:
    typeName = step.input.typeName
    if not typeName:
        return
    if step.output and step.output.typeName == typeName:
        place.input.wrong("type", f"it takes {typeName} and makes {typeName}", "give its output another Type")
        return
    if any(each.output and each.output.typeName == typeName for each, _ in before):
        _checkConditions(place)
        return
    later = next((each.name for each, _ in after if each.output and each.output.typeName == typeName), "")
    if later:
        place.input.wrong("type", f"{typeName} is made only later, by step {later}", f"put step {later} before this one")
        return
    if step.kind is not StepKind.PROCESS:
        remedy = _madeBefore(typeName, before)
        place.input.wrong("type", f"no earlier step makes {typeName}, and a {step.kind} step takes what a step made", remedy)
        return
    _checkLedgerType(step, place, before, known)


def _madeBefore(typeName: str, before: Read) -> str:
    made = [each.output.typeName for each, _ in before if each.output and each.output.typeName]
    return similar(typeName, made) if made else "put a process step before it"


def _checkLedgerType(step: ChainStep, place: Place, before: Read, known: Known) -> None:
    """A step that takes announced files."""
    typeName = step.input.typeName
    made = [each.output.typeName for each, _ in before if each.output and each.output.typeName]
    first = next((each.input.typeName for each, _ in before if each.kind is StepKind.PROCESS), typeName)
    if known.types is not None and typeName not in known.types:
        place.input.wrong(
            "type", f"{typeName} is no Type of /Operations/.../RawData/Types", similar(typeName, [*known.types, *made])
        )
    elif first and typeName != first:
        remedy = f"take {first}, or what a step before it makes: {', '.join(made) or 'nothing'}"
        place.input.wrong("type", f"no earlier step makes {typeName}, and the chain starts from {first}", remedy)


def _checkConditions(place: Place) -> None:
    """Conditions belong to the step that takes announced files: what was made of them has passed them."""
    for key in ("streams", "runs", "quality"):
        if key in place.input:
            place.input.wrong(key, f"{key} is asked of the output of a step", "put it into the input of the first step")
    files = {gate.value for gate in Gate} - {gate.value for gate in SERVICE_GATES}
    item = place.step.item("gates")
    asked = {str(each.value).strip() for each in (item.elements or [item])} & files if item else set()
    for gate in sorted(asked):
        place.step.wrong("gates", f"gate {gate} is for files that were announced", "put it into the first step")


def _checkQuality(step: ChainStep, place: Place) -> None:
    qualities = step.input.qualities
    if Gate.RUN_GOOD in step.gates and qualities and _GOOD not in qualities:
        place.step.wrong(
            "gates",
            f"gate {Gate.RUN_GOOD} lets no file of quality {', '.join(qualities)} pass",
            f"take the gate away, or the quality in line {place.input.lineOf('quality')}",
        )


def _checkWhere(step: ChainStep, place: Place, known: Known) -> None:
    if known.sites is not None and "sites" in place.step:
        for site in step.sites:
            if site not in known.sites:
                place.step.wrong("sites", f"site {cut(site)} is not in /Resources/Sites", similar(site, known.sites))
    if known.storageElements is None:
        return
    wanted = [(place.step, "destinations", se) for se in step.destinations]
    wanted += [(place.output, "failover", se) for se in step.output.failover] if step.output else []
    for section, key, se in wanted:
        if se not in known.storageElements:
            section.wrong(key, f"{cut(se)} is not in /Resources/StorageElements", similar(se, known.storageElements))


def _checkRule(section: Section, key: str, rule: str, parts: Sequence[str], needed: Sequence[str]) -> None:
    try:
        pieces = [(literal, field, spec, conversion) for literal, field, spec, conversion in Formatter().parse(rule)]
    except ValueError:
        section.wrong(
            key, f"{key} '{cut(rule)}' has a brace too many or too few", f"write {{PART}} with one of {', '.join(parts)}"
        )
        return
    fields = [field for _, field, _, _ in pieces if field is not None]
    for literal, field, spec, conversion in pieces:
        allowed = literal.replace("/", "") if key == "directory" else literal
        if not _LITERAL.fullmatch(allowed):
            section.wrong(
                key, f"{key} '{cut(rule)}' has other characters", "write letters, digits, dots, dashes, underscores and plus"
            )
        if field is not None and field not in parts:
            section.wrong(key, f"{key} has the part {{{cut(field)}}}", similar(field, parts))
        elif spec or conversion:
            section.wrong(key, f"{key} has a format in {{{field}}}", f"write {{{field}}}")
    for part in needed:
        if part not in fields:
            section.wrong(
                key, f"{key} '{cut(rule)}' has no {{{part}}}", f"put {{{part}}} into it, so that no two outputs have one name"
            )
    if key == "directory":
        _checkLevels(section, rule)


def _checkLevels(section: Section, rule: str) -> None:
    levels = rule.split("/")
    if not rule.startswith("/") or any(level in ("", ".", "..") for level in levels[1:]):
        section.wrong(
            "directory", f"directory '{cut(rule)}' is no full path", "write it from the root, for example /juno/esd/..."
        )
    elif len(levels) > _MAX_LEVELS:
        section.wrong("directory", f"directory has {len(levels) - 1} levels", f"write at most {_MAX_LEVELS - 1}")


def _checkDirectories(read: Read) -> None:
    """No two outputs in one directory, and none below another: the catalogue's metadata are those of a directory."""
    seen: list[tuple[str, str]] = []
    for step, place in read:
        if not step.output:
            continue
        rule = step.output.directoryRule.replace("{Step}", step.name).replace("{Type}", step.output.typeName)
        for other, name in seen:
            if f"{rule}/".startswith(f"{other}/") or f"{other}/".startswith(f"{rule}/"):
                remedy = "put {Step} or {Type} into both, before {Block}"
                place.output.wrong("directory", f"its directory is that of step {name}, or one lies in the other", remedy)
        seen.append((rule, step.name))


def _checkRetirement(read: Read) -> None:
    """What is copied or processed by others cannot be removed after the merge."""
    for step, place in read:
        takers = [
            each.name
            for each, _ in read
            if each is not step and each.input.typeName == step.input.typeName and each.input.typeName
        ]
        if step.kind is StepKind.MERGE and step.retirement is Retirement.REMOVE and takers:
            place.step.wrong(
                "retire",
                f"step {takers[0]} takes {step.input.typeName}, too, which is removed after the merge",
                f"write retire: keep, or let {takers[0]} take {step.output.typeName if step.output else 'the merged files'}",
            )
