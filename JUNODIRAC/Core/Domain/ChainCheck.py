"""Makes a chain of what was read from a file, or says everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from JUNODIRAC.Core.Domain import ChainValues as values
from JUNODIRAC.Core.Domain.ChainDescription import (
    DEFAULT_MERGE_BYTES,
    ChainDescription,
    ChainStep,
    Gate,
    Retirement,
    StepInput,
    StepKind,
    StepOutput,
)
from JUNODIRAC.Core.Domain.ChainItem import BadChain, Findings, Item, Section, cut, similar
from JUNODIRAC.Core.Domain.ChainRules import Known, Place, checkRules

CHAIN_KEYS = ("name", "version", "description", "steps")
INPUT_KEYS = ("type", "streams", "runs", "quality")
OUTPUT_KEYS = ("type", "directory", "name", "failover")
GROUP_KEYS = ("files", "bytes")
_JOB_KEYS = ("executable", "arguments", "cores", "cpu-time", "memory", "output", "sites")
_ANY_KEYS = ("name", "kind", "input", "group", "priority", "gates")
#: what each kind of step may have
STEP_KEYS = {
    StepKind.PROCESS: (*_ANY_KEYS, *_JOB_KEYS, "max-wait"),
    StepKind.MERGE: (*_ANY_KEYS, *_JOB_KEYS, "retire"),
    StepKind.REPLICATE: (*_ANY_KEYS, "destinations", "max-wait"),
}
_ALL_KEYS = tuple(dict.fromkeys(key for keys in STEP_KEYS.values() for key in keys))

DEFAULT_DIRECTORY = "/juno/chains/{Chain}-{Version}-v{OutputVersion}/{Step}/{Block}"
DEFAULT_NAME = "{Type}_{Run}_{Stream}_{Sequence}_{Task}_{Attempt}"
DEFAULT_MERGE_PROGRAM = "juno-merge"
DEFAULT_GROUP_FILES = {StepKind.PROCESS: 1, StepKind.MERGE: 1000, StepKind.REPLICATE: 50}
# where only the bytes of a group are told
_SIZE_ALONE_FILES = 1000
DEFAULT_CPU_SECONDS = 86400
DEFAULT_WAIT_SECONDS = 60
DEFAULT_MEMORY_MB = 4000

_MAX_STEPS = 20
_DAY = 86400
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class _Read:
    """A step and where it stands."""

    step: ChainStep
    place: Place


def checkChain(root: Item, text: str, fileName: str, known: Known | None = None) -> ChainDescription:
    """The chain that a file describes.

    :param text: of the file
    :param known: what the configuration knows; None: not asked
    :raises BadChain: with all that is wrong
    """
    findings = Findings()
    section = Section("the chain", root, 1, CHAIN_KEYS, findings)
    name = values.name(section, "name", 64, "write for example name: rerec")
    version = values.name(section, "version", 64, "write for example version: J24.1")
    description = values.text(section, "description")
    read = _steps(section, findings)
    if read:
        checkRules([(each.step, each.place) for each in read], findings, known or Known())
    if findings.errors:
        raise BadChain(fileName, findings.errors)
    return ChainDescription(name, version, text, tuple(each.step for each in read), description)


def _steps(section: Section, findings: Findings) -> list[_Read]:
    remedy = "write steps: and under it a list, each step beginning with - name: NAME"
    item = section.item("steps", remedy)
    if item is None:
        return []
    if not item.elements:
        section.wrong("steps", "steps is no list, or an empty one", remedy)
        return []
    if len(item.elements) > _MAX_STEPS:
        section.wrong("steps", f"there are {len(item.elements)} steps", f"write at most {_MAX_STEPS}")
        return []
    read: list[_Read] = []
    isEachKnown = True
    for number, each in enumerate(item.elements, 1):
        where, kind = _identify(number, each)
        step = Section(where, each, each.line, STEP_KEYS[kind] if kind else _ALL_KEYS, findings)
        if kind:
            read.append(_step(number, step, kind, [one.step for one in read], findings))
        else:
            isEachKnown = False
            values.word(step, "kind", StepKind, StepKind.PROCESS, f"write one of {', '.join(StepKind)}")
    # what a step of unknown kind makes is not known: others would be blamed for it
    return read if isEachKnown else []


def _step(number: int, section: Section, kind: StepKind, before: list[ChainStep], findings: Findings) -> _Read:
    where = section.where
    name = values.name(section, "name", 64, "give it one, for example name: rawrec")
    takes = Section(f"input of {where}", section.item("input", "write input: {type: TYPE}"), section.line, INPUT_KEYS, findings)
    group = Section(f"group of {where}", section.item("group"), section.line, GROUP_KEYS, findings)
    isMerge, isJob = kind is StepKind.MERGE, kind is not StepKind.REPLICATE
    makes = Section(f"output of {where}", section.item("output"), section.line, OUTPUT_KEYS, findings)
    needsProgram = "write the program that makes the output, for example executable: juno-rawrec"
    program = values.text(
        section, "executable", DEFAULT_MERGE_PROGRAM if isMerge else "", needsProgram if kind is StepKind.PROCESS else ""
    )
    step = ChainStep(
        number=number,
        name=name,
        kind=kind,
        input=_input(takes) if "input" in section else StepInput(""),
        output=_output(section, makes) if isJob else None,
        executable=program if isJob else "",
        arguments=values.texts(section, "arguments"),
        cores=values.whole(section, "cores", 1, 1, 256),
        cpuSeconds=values.seconds(section, "cpu-time", DEFAULT_CPU_SECONDS, 60, 60 * _DAY),
        memoryMB=_memory(section),
        groupFiles=values.whole(group, "files", _SIZE_ALONE_FILES if "bytes" in group else DEFAULT_GROUP_FILES[kind], 1, 10_000),
        groupBytes=values.size(group, "bytes", DEFAULT_MERGE_BYTES if isMerge else None),
        maxWaitSeconds=values.seconds(section, "max-wait", DEFAULT_WAIT_SECONDS, 0, 30 * _DAY),
        sites=_sites(section, isMerge, takes, before) if isJob else (),
        destinations=_destinations(section) if not isJob else (),
        priority=values.whole(section, "priority", 1, 1, 10 if isJob else 5),
        gates=_gates(section),
        retirement=values.word(section, "retire", Retirement, Retirement.KEEP),
    )
    return _Read(step, Place(section, takes, makes, group))


def _identify(number: int, item: Item) -> tuple[str, StepKind | None]:
    """What to call a step in messages, and its kind, as far as it tells."""
    told = {str(key.value): value.value for key, value in item.pairs or []}
    name, kind = told.get("name"), told.get("kind")
    kinds = [each for each in StepKind if isinstance(kind, str) and each.value == kind.strip()]
    return f"step {cut(name)}" if isinstance(name, str) else f"step {number}", kinds[0] if kinds else None


def _input(section: Section) -> StepInput:
    return StepInput(
        typeName=values.name(section, "type", 64, "write the Type of its input files, for example type: RTRaw"),
        streams=values.words(section, "streams"),
        runs=values.runs(section, "runs"),
        qualities=values.words(section, "quality"),
    )


def _output(step: Section, section: Section) -> StepOutput | None:
    if step.item("output", "write output: {type: TYPE}") is None:
        return None
    return StepOutput(
        typeName=values.name(section, "type", 64, "write the Type of its output files, for example type: ESD"),
        directoryRule=values.text(section, "directory", DEFAULT_DIRECTORY).rstrip("/"),
        nameRule=values.text(section, "name", DEFAULT_NAME),
        failover=values.words(section, "failover"),
    )


def _memory(section: Section) -> int:
    sizeBytes = values.size(section, "memory", DEFAULT_MEMORY_MB * _MEGABYTE) or 0
    if not 100 * _MEGABYTE <= sizeBytes <= 1_000_000 * _MEGABYTE:
        section.wrong(
            "memory", f"memory is {sizeBytes} bytes", "write a size from 100 MB to 1 TB with its unit, for example 4 GB"
        )
    return sizeBytes // _MEGABYTE


def _sites(section: Section, isMerge: bool, takes: Section, before: list[ChainStep]) -> tuple[str, ...]:
    """Where the jobs may run; a merge runs where its input is made, if nothing else is said."""
    typeName = takes.item("type")
    makers = [each for each in before if each.output and typeName and each.output.typeName == typeName.value]
    if "sites" not in section and isMerge and makers:
        return makers[-1].sites
    return values.words(section, "sites", "write the sites that may run the jobs, for example sites: [DIRAC.CNAF.it]")


def _destinations(section: Section) -> tuple[str, ...]:
    return values.words(
        section, "destinations", "write the storage elements that get a copy, for example destinations: [CNAF-STORM]"
    )


def _gates(section: Section) -> frozenset[Gate]:
    known = {gate.value: gate for gate in Gate}
    gates = set()
    for word in values.words(section, "gates"):
        if word in known:
            gates.add(known[word])
        else:
            hint = similar(word, known)
            also = "" if hint.startswith("known") else f" Known are {', '.join(sorted(known))}"
            section.wrong("gates", f"gate '{cut(word)}' is not known", f"{hint}{also}")
    return frozenset(gates)
