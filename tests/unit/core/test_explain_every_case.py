"""Whatever the facts are, there is exactly one verdict: in words, with who has to act and, if somebody has to, what to type."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whycases import (
    AT_SITE,
    BLOCK,
    FILE,
    JUST_NOW,
    LFN,
    LIVING,
    LONG_AGO,
    NOW,
    ORIGIN,
    POLICY,
    RECEIVER,
    RECORD,
    SE,
    SITE,
    refused,
    repair,
    validation,
)

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Explanation import Action, Explanation, Link, LinkState, Role, Stage, Verdict
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.RepairRecords import Pause, RepairState
from JUNODIRAC.Core.Domain.TransferErrors import ErrorClass
from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts
from JUNODIRAC.Core.Domain.Validation import Difference
from JUNODIRAC.Core.Domain.Validation import Verdict as Found
from JUNODIRAC.Core.Domain.WhyFacts import (
    BlockFacts,
    BlockSiteFacts,
    GivenUp,
    OriginFacts,
    RefusedFiles,
    SiteFacts,
    SourceCopy,
    WaitingFacts,
)
from JUNODIRAC.Core.Logic.Explain import explainFile
from JUNODIRAC.Core.Logic.ExplainBlock import explainBlock
from JUNODIRAC.Core.Logic.ExplainFailure import classAction
from JUNODIRAC.Core.Logic.ExplainOrigin import quarantineAction

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
FILE_STATUSES = (None, "Unused", "Assigned", "Processed", "Problematic", "MaxReset", "MissingInFC", "Removed")
TASKS = ((None, None), (3, None), (3, "Created"), (3, "Submitted"))
REQUESTS = (None, "Waiting", "Assigned", "Scheduled", "Failed", "Canceled", "Done", "Gone", "unknown")
TRANSFERS = (None, "New", "Submitted", "Active", "Staging", "Finished", "Failed", "Canceled", "Defunct")
COPIES = (*((copy, "it said so") for copy in CopyState), (CopyState.UNKNOWN, ""))
SERVICES = (
    "Transformation/TransformationManager",
    "RequestManagement/ReqManager",
    "DataManagement/FTS3Manager",
    "DataManagement/FileCatalog",
    "Kafka",
    f"storage {SE}",
)


# ---- which commands there are


def knownCommands() -> set[str]:
    """Ours, by setup.cfg, and those of DIRAC that the documentation names."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    ours = {line.partition("=")[0].strip() for line in setup["options.entry_points"]["console_scripts"].split("\n")}
    named = {found for page in (ROOT / "docs").glob("*.rst") for found in re.findall(r"dirac-[a-z][a-z0-9-]+", page.read_text())}
    return (ours - {""}) | {name for name in named if not name.startswith("dirac-juno-")}


KNOWN_COMMANDS = knownCommands()


def knownWords() -> dict[str, set[str]]:
    """The switches and verbs of each of our commands."""
    folder = ROOT / "JUNODIRAC/RawDataSystem"
    words = {}
    for path in (folder / "scripts").glob("dirac_juno_*.py"):
        text = path.read_text()
        found = {f"--{name}" for name in re.findall(r'registerSwitch\(\s*"\w?",\s*"([\w-]+)', text)}
        words[path.stem.replace("_", "-")] = found | set(re.findall(r'^    "?(\w+)"?: ', text, re.MULTILINE))
    for path in (folder / "Client/BlockVerbs").glob("*Verb*.py"):
        words["dirac-juno-block"] |= set(re.findall(r'"(\w+)": \w+', path.read_text().partition("\nVERBS")[2]))
    words["dirac-juno-quarantine"] |= {"list", "show", "replay", "waive", "drop"}
    return words


KNOWN_WORDS = knownWords()


def commandsIn(text: str) -> list[str]:
    """The name of each command of a line that is typed."""
    steps = [step.split() for step in re.split(r"&&|\|", text)]
    return [step[0] for step in steps if step[0] != "echo"]


def checkAction(action: Action) -> None:
    if action.role is Role.NOBODY:
        assert not action.command
        return
    assert action.actor
    names = commandsIn(action.command)
    assert names
    assert set(names) <= KNOWN_COMMANDS, action.command
    for step in re.split(r"&&|\|", action.command):
        words = shlex.split(step)
        if words[0] in KNOWN_WORDS:
            verb = {words[1]} if words[0] in ("dirac-juno-block", "dirac-juno-quarantine") else set()
            assert {word for word in words if word.startswith("--")} | verb <= KNOWN_WORDS[words[0]], action.command
    assert "\n" not in action.command


def checkLink(link: Link) -> None:
    assert link.text.strip() == link.text
    assert "None" not in link.text, link.text
    checkAction(link.action)
    if link.state is LinkState.UNKNOWN:
        assert link.action.role is not Role.NOBODY


def checkVerdict(explanation: Explanation) -> Verdict:
    chains = (explanation.shared, *explanation.sites)
    for link in [link for chain in chains for link in (*chain.links, *chain.exampleLinks)]:
        checkLink(link)
    checkLink(explanation.verdict.link)
    if explanation.verdict.state is LinkState.HOLDS:
        assert all(chain.verdict.state is LinkState.HOLDS for chain in chains if chain.se)
    assert explanation.toDict()["Verdict"]["Actor"]
    return explanation.verdict


# ---- files


def transfersOf(statuses: Iterable[str | None]) -> Iterable[TransferFacts]:
    for file, (task, taskStatus), request, fts, replica, (copy, detail) in product(
        statuses, TASKS, REQUESTS, TRANSFERS, (None, False, True), COPIES
    ):
        yield TransferFacts(
            LFN,
            SE,
            7,
            fileStatus=file,
            fileTime=JUST_NOW,
            taskID=task,
            taskStatus=taskStatus,
            taskTime=LONG_AGO,
            requestID=41 if request else None,
            requestStatus=None if request == "unknown" else request,
            ftsStatus=fts,
            hasReplica=replica,
            copy=copy,
            copyDetail=detail,
        )


@pytest.mark.parametrize("status", FILE_STATUSES)
def test_every_state_of_a_transfer_has_one_verdict(status):
    for transfer in transfersOf((status,)):
        facts = replace(AT_SITE, transfer=transfer)
        found = checkVerdict(explainFile(ORIGIN, (facts,), NOW))
        isRight = transfer.fileStatus == "Processed" and transfer.hasReplica and transfer.copy is CopyState.GOOD
        if isRight:
            assert found.state is LinkState.HOLDS, found.link
        if transfer.hasReplica is False or transfer.copy in (CopyState.MISSING, CopyState.WRONG_SIZE):
            assert found.state is not LinkState.HOLDS, (transfer, found.link)


times = st.sampled_from([None, JUST_NOW, LONG_AGO, LONG_AGO.replace(year=2022)])
errors = st.sampled_from(["", "DESTINATION [28] No space left on device", "SOURCE [2] no such file", "proxy expired", "what?"])
anyTransfer = st.builds(
    TransferFacts,
    lfn=st.just(LFN),
    se=st.just(SE),
    transformationID=st.just(7),
    fileStatus=st.sampled_from(FILE_STATUSES),
    fileTime=times,
    errorCount=st.integers(0, 3),
    taskID=st.sampled_from([None, 3]),
    taskStatus=st.sampled_from([each[1] for each in TASKS]),
    taskTime=times,
    requestID=st.sampled_from([None, 41]),
    requestStatus=st.sampled_from(REQUESTS[:-1]),
    requestFileStatus=st.sampled_from([None, "Waiting", "Scheduled", "Failed", "Done"]),
    requestTime=times,
    requestError=errors,
    operationID=st.sampled_from([None, 55]),
    ftsStatus=st.sampled_from(TRANSFERS),
    ftsJobID=st.sampled_from([None, "a-b"]),
    ftsServer=st.sampled_from([None, "https://fts"]),
    ftsAttempts=st.integers(0, 9),
    ftsTime=times,
    ftsError=errors,
    hasReplica=st.sampled_from([None, False, True]),
    copy=st.sampled_from(CopyState),
    copyDetail=st.sampled_from(["", "it said so"]),
)
pauses = st.none() | st.builds(
    lambda blockID, until, errorClass: Pause(1, SE, blockID, LONG_AGO, until, "zhang", "work", errorClass),
    st.integers(0, 1),
    times,
    st.sampled_from(["", "Timeout"]),
)
repairs = st.none() | st.builds(
    lambda state, errorClass, error, attempts, following: repair(state, errorClass, error, attempts, nextTime=following),
    st.sampled_from(RepairState),
    st.sampled_from(["", "from another version", *map(str, ErrorClass)]),
    errors,
    st.integers(0, 11),
    times,
)
validations = st.none() | st.builds(
    lambda verdict, started, isNamed: validation(verdict, started, names={Difference.MISSING: [LFN]} if isNamed else {}),
    st.sampled_from(Found),
    times.filter(bool),
    st.booleans(),
)
downs = st.sets(st.sampled_from(SERVICES)).map(lambda names: dict.fromkeys(names, "connection refused"))
anySite = st.builds(
    SiteFacts,
    se=st.just(SE),
    typeName=st.just("Raw"),
    block=st.just("20230302"),
    lfn=st.just(LFN),
    registeredTime=times,
    policy=st.sampled_from([None, POLICY]),
    site=st.none() | st.sampled_from(BlockState).map(lambda state: replace(SITE, state=state, replicatedTime=LONG_AGO)),
    blockState=st.sampled_from([None, *BlockState]),
    transformationStatus=st.sampled_from([None, "Active", "Flush", "Stopped", "Completed", "Archived", "Deleted"]),
    transfer=st.none() | anyTransfer,
    pause=pauses,
    repair=repairs,
    validation=validations,
    unavailable=downs,
)
records = st.builds(
    refused, st.sampled_from([*map(str, Reason), "OfAnotherVersion"]), state=st.sampled_from(["Open", "Retried", "Waived"])
)
anyFile = st.none() | st.builds(
    lambda state, when, quarantine: replace(
        FILE, state=state, announcedTime=when, waitingTime=when, quarantine=tuple(quarantine)
    ),
    st.sampled_from(FileState),
    times,
    st.lists(records, max_size=2),
)
anyOrigin = st.builds(
    OriginFacts,
    lfn=st.just(LFN),
    file=anyFile,
    refused=st.lists(records, max_size=2),
    policy=st.sampled_from([None, POLICY]),
    typeName=st.just("Raw"),
    block=st.just("20230302"),
    waiting=st.sampled_from([None, WaitingFacts("NotOnStorage", "not there", LONG_AGO, NOW, 3)]),
    source=st.none() | st.builds(SourceCopy, st.sampled_from([None, True, False]), st.sampled_from([None, 2000])),
    lag=st.sampled_from([None, 0, 5]),
    receivers=st.lists(
        st.builds(lambda beat, trouble: replace(RECEIVER, heartbeatTime=beat, trouble=trouble), times.filter(bool),
                  st.sampled_from(["", "Kafka is away"])),
        max_size=2,
    ),
    record=st.sampled_from([None, RECORD, replace(RECORD, checksum="ffffffff")]),
    unavailable=downs,
)  # fmt: skip


@given(anyOrigin, st.lists(anySite, max_size=3))
def test_every_file_has_one_verdict(origin, sites):
    found = checkVerdict(explainFile(origin, sites, NOW))
    if origin.file and origin.file.state is FileState.QUARANTINED:
        assert found.link.code == "Quarantined"


# ---- blocks

givenUps = st.lists(
    st.builds(GivenUp, st.sampled_from(["", *map(str, ErrorClass)]), st.integers(1, 5), errors, times), max_size=2
)
anyBlockSite = st.builds(
    BlockSiteFacts,
    se=st.just(SE),
    site=st.none()
    | st.builds(
        lambda state, one, two: replace(
            SITE, state=state, replicatedTime=one, validatedTime=one, progressTime=two, closedTime=two
        ),
        st.sampled_from(BlockState),
        times,
        times,
    ),
    done=st.sampled_from([None, 0, 2, 3]),
    transformationStatus=st.sampled_from([None, "Active", "Stopped", "Completed"]),
    fileCounts=st.sampled_from([None, {"Processed": 3}, {"Unused": 1, "Processed": 2}, {}]),
    etaSeconds=st.sampled_from([None, 0.0, 700.0]),
    overdueSince=times,
    pause=pauses,
    givenUp=givenUps,
    validation=validations,
    files=st.lists(anySite, max_size=3),
    unfinished=st.sampled_from([None, 0, 3]),
    unavailable=downs,
)
anyBlock = st.builds(
    BlockFacts,
    typeName=st.just("Raw"),
    name=st.just("20230302"),
    state=st.sampled_from(BlockState),
    block=st.none()
    | st.builds(
        lambda state, expected, when: replace(LIVING, state=state, expectedFiles=expected, closedTime=when, expectedTime=when),
        st.sampled_from(BlockState),
        st.sampled_from([None, 0, 3, 5]),
        times,
    ),
    policy=st.sampled_from([None, POLICY]),
    fileCounts=st.dictionaries(st.sampled_from(FileState), st.integers(0, 4)),
    refused=st.lists(
        st.builds(lambda record, files: RefusedFiles(record.reason, files, record), records, st.integers(1, 3)), max_size=2
    ),
    oldestUnsettled=times,
    day=st.sampled_from([None, LONG_AGO.date(), NOW.date()]),
    lastAnnounced=times,
    receivers=st.sampled_from([(), (RECEIVER,)]),
    sites=st.lists(anyBlockSite, max_size=2),
    unavailable=downs,
)


@given(anyBlock)
def test_every_block_has_one_verdict(block):
    found = checkVerdict(explainBlock(block, NOW))
    if block.state not in (BlockState.DONE,):
        assert found.state is not LinkState.HOLDS


@given(anyBlockSite)
def test_every_file_of_a_block_that_is_behind_is_counted_once(site):
    chains = explainBlock(replace(BLOCK, sites=(site,)), NOW).sites
    if site.site is None:
        return
    behind = [each for each in site.files if explainFile(ORIGIN, (each,), NOW).verdict.state is not LinkState.HOLDS]
    assert sum(standing.files for standing in chains[0].standings) == len(behind)
    assert bool(chains[0].example) == bool(behind)


# ---- tables


PAUSES = [None, Pause(1, SE, 0, LONG_AGO, None, "zhang", "work"), Pause(1, SE, 1, LONG_AGO, None, "a", "b", "c")]


@pytest.mark.parametrize("errorClass", list(ErrorClass))
@pytest.mark.parametrize("pause", PAUSES)
def test_every_class_of_errors_has_somebody_who_acts_and_a_command(errorClass, pause):
    action = classAction(errorClass, replace(AT_SITE, pause=pause))
    assert action.role is not Role.NOBODY
    checkAction(action)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_of_the_quarantine_has_somebody_who_acts_and_a_command(reason):
    action = quarantineAction(refused(str(reason)))
    assert action.role in (Role.SOURCE, Role.DATA_MANAGER)
    checkAction(action)


def test_a_link_that_needs_somebody_without_a_command_cannot_be_made():
    with pytest.raises(ValueError, match="a command is needed"):
        Action(Role.SITE)
    with pytest.raises(ValueError, match="has to act"):
        Link(Stage.BLOCK, LinkState.HOLDS, "Code", "text", action=Action(Role.SITE, "dirac-juno-why"))
