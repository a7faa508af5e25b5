"""Facts of files and blocks for the tests of explanations: all is right, and each test breaks one thing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fakes import raw_policy

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.FileHistory import CatalogueRecord, LedgerFile, QuarantineRecord
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.LedgerRecords import ReceiverRecord
from JUNODIRAC.Core.Domain.LivingBlock import LivingBlock, LivingSite
from JUNODIRAC.Core.Domain.RepairRecords import Pause, RepairRecord, RepairState
from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts
from JUNODIRAC.Core.Domain.Validation import Look, Validation, Verdict
from JUNODIRAC.Core.Domain.WhyFacts import BlockFacts, BlockSiteFacts, OriginFacts, SiteFacts

NOW = datetime(2023, 3, 4, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=5)
JUST_NOW = NOW - timedelta(seconds=20)
LFN = "/juno/raw/2023/0302/Daq.1.P.S.T.20230302120000.1.dat"
SE = "CNAF-STORM"
POLICY = raw_policy()
RECEIVER = ReceiverRecord("Raw", "RawReceiverAgent", "dirac01", 4711, LONG_AGO, JUST_NOW)
FILE = LedgerFile(
    LFN, "Raw", "20230302", FileState.REGISTERED, 2000, "0a1b2c3d", None, {}, "juno.raw", 0, 4, LONG_AGO, LONG_AGO, {SE: 7}
)
RECORD = CatalogueRecord(2000, "0a1b2c3d", "AprioriGood", LONG_AGO, {"IHEP-JUNOEOS": "root://x", SE: "root://y"})
ORIGIN = OriginFacts(LFN, FILE, policy=POLICY, typeName="Raw", block="20230302", receivers=(RECEIVER,), record=RECORD, lag=0)
SITE = LivingSite(SE, 7, BlockState.OPEN, LONG_AGO)
ARRIVED = TransferFacts(
    LFN,
    SE,
    7,
    fileStatus="Processed",
    fileTime=LONG_AGO,
    taskID=3,
    taskStatus="Done",
    taskTime=LONG_AGO,
    requestID=41,
    requestStatus="Done",
    requestFileStatus="Done",
    requestTime=LONG_AGO,
    operationID=55,
    ftsStatus="Finished",
    ftsJobID="a-b-c",
    ftsServer="https://fts:8446",
    ftsAttempts=1,
    ftsTime=LONG_AGO,
    hasReplica=True,
    copy=CopyState.GOOD,
    copyDetail="2000 bytes",
)
AT_SITE = SiteFacts(
    SE, "Raw", "20230302", LFN, LONG_AGO, POLICY, SITE, BlockState.OPEN, transformationStatus="Active", transfer=ARRIVED
)
# how far a file is, each with the facts of the step
ON_ITS_WAY = replace(ARRIVED, hasReplica=False, copy=CopyState.UNKNOWN, copyDetail="", fileStatus="Assigned", ftsTime=JUST_NOW)
UNUSED = TransferFacts(LFN, SE, 7, fileStatus="Unused", fileTime=JUST_NOW, hasReplica=False)
NOT_SUBMITTED = replace(UNUSED, fileStatus="Assigned", taskID=3, taskStatus="Created", taskTime=JUST_NOW)
REQUEST_WAITING = replace(NOT_SUBMITTED, taskStatus="Submitted", requestID=41, requestStatus="Waiting", requestTime=JUST_NOW)
COPYING = replace(ON_ITS_WAY, requestStatus="Scheduled", requestFileStatus="Scheduled", requestTime=JUST_NOW, ftsStatus="Active")
COPY_FAILED = replace(COPYING, ftsStatus="Failed", ftsAttempts=3, ftsError="DESTINATION [28] No space left on device")

PAUSE = Pause(1, SE, 0, LONG_AGO, NOW + timedelta(hours=1), "zhang", "network work")


def repair(state: RepairState, errorClass: str, error: str, attempts: int, **more: object) -> RepairRecord:
    return RepairRecord(1, SE, 9, state, "the copy failed", "Retry", errorClass, error, attempts, LONG_AGO, LONG_AGO, **more)


GIVEN_UP = repair(RepairState.GIVEN_UP, "DestinationDenied", "permission denied", 10)
REPAIRED = repair(RepairState.ACTIVE, "Timeout", "timed out", 2, nextTime=NOW + timedelta(minutes=5))


def refused(reason: str, number: int = 17, lfn: str = LFN, state: str = "Open") -> QuarantineRecord:
    return QuarantineRecord(
        "Raw", LFN.rpartition("/")[2], reason, "something exact", "juno.raw", 0, 4, b"", "", None, LONG_AGO, number, state,
        lfn=lfn, block="20230302",
    )  # fmt: skip


def validation(verdict: Verdict, started: datetime = LONG_AGO, **more: object) -> Validation:
    return Validation(1, SE, Look.FIRST, "BlockValidationAgent", started, started, verdict, 3, 6000, 3, **more)


def atSite(transfer: TransferFacts | None, **more: object) -> SiteFacts:
    return replace(AT_SITE, transfer=transfer, **more)


# a block of three files, all of them there
LIVING = LivingBlock(1, "Raw", "20230302", "/juno/raw/2023/0302", BlockState.OPEN, LONG_AGO, (SITE,), openedTime=LONG_AGO)
BLOCK_SITE = BlockSiteFacts(SE, SITE, 3, "Active", {"Processed": 3}, unfinished=0)
BLOCK = BlockFacts(
    "Raw",
    "20230302",
    BlockState.OPEN,
    LIVING,
    POLICY,
    {FileState.REGISTERED: 3},
    receivers=(RECEIVER,),
    sites=(BLOCK_SITE,),
    lastAnnounced=JUST_NOW,
)


def inState(state: BlockState, siteState: BlockState, **more: object) -> BlockFacts:
    """The block and its site in these states, entered long ago."""
    times = {f"{str(each).lower()}Time": LONG_AGO for each in BlockState if each not in (BlockState.KNOWN, BlockState.OPEN)}
    site = replace(SITE, state=siteState, **times)
    at = replace(BLOCK_SITE, site=site, **more)
    return replace(BLOCK, state=state, block=replace(LIVING, state=state, sites=(site,), **times), sites=(at,))
