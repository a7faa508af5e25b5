"""The ledger's tests: a database, a Type of its own for each test, and things to put into it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from DIRAC.ConfigurationSystem.Client.LocalConfiguration import LocalConfiguration
from DIRAC.ConfigurationSystem.Client.Utilities import getDBParameters

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.Ports import LedgerEntry, Message, QuarantinedMessage, WaitingMessage
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection
from JUNODIRAC.RawDataSystem.DB.LedgerSchema import schemaText
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

ANYTHING_BUT_UTF8 = bytes(range(256)) + b"\xff\xfe'\";%s--"
NOW = datetime(2030, 3, 2, 12, 0, tzinfo=UTC)


def configuredDatabase() -> LedgerConnection:
    """The database that the DIRAC configuration names; the test is left out if it names none."""
    localCfg = LocalConfiguration()
    localCfg.disableParsingCommandLine()
    localCfg.loadUserData()
    if not getDBParameters("RawData/RawDataDB")["OK"]:
        pytest.skip("the DIRAC configuration (DIRACSYSCONFIG) names no database RawData/RawDataDB")
    return LedgerConnection("RawDataDB", "RawData/RawDataDB")


def runScript(database: LedgerConnection, sql: str) -> None:
    """As dirac-install-db does it."""
    lines = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    for statement in lines.split(";"):
        if statement.strip():
            database.execute(statement)


@pytest.fixture(scope="module")
def ledger() -> RawDataDB:
    runScript(configuredDatabase(), schemaText())
    return RawDataDB()


@pytest.fixture
def typeName(ledger) -> Iterator[str]:
    """A Type of its own for each test, so that the tests can share a database with a running system."""
    name = f"Test{uuid.uuid4().hex[:12]}"
    yield name
    for table in ("Quarantine", "Waiting", "IngestRates", "Receivers", "Sweeps", "Alerts"):
        ledger.execute(f"DELETE FROM {table} WHERE Type = %s", (name,))
    for table in ("Runs", "Files"):
        sql = (
            f"DELETE t FROM Blocks b JOIN Directories d ON d.BlockID = b.BlockID JOIN {table} t ON t.DirectoryID = d.DirectoryID"
        )
        ledger.execute(f"{sql} WHERE b.Type = %s", (name,))
    for table in ("BlockTransfers", "Directories", "LateFiles", "BlockEvents"):
        ledger.execute(f"DELETE t FROM {table} t JOIN Blocks b ON b.BlockID = t.BlockID WHERE b.Type = %s", (name,))
    ledger.execute("DELETE FROM Blocks WHERE Type = %s", (name,))


def makeFile(typeName: str, number: int = 1, block: str = "20230302", subdirectory: str = "") -> RawFile:
    fields = {"RunNumber": "0123", "StreamType": "Physics", "FileTag": "tag", "FileSequence": f"{number:05}", "MonthDay": "0302"}
    return RawFile(typeName, f"/juno/{typeName}/{block}{subdirectory}", f"Daq.123.Physics.{number:05}.dat", block, fields)


def makeEntry(file: RawFile, offset: int = 1, **changes: object) -> LedgerEntry:
    entry = LedgerEntry(
        file=file,
        state=FileState.ANNOUNCED,
        checksum="0a1b2c3d",
        sizeBytes=1000,
        eventCount=7,
        topic=f"juno.{file.typeName}",
        partition=0,
        offset=offset,
        extra={"Shift": "nächt"},
    )
    return replace(entry, **changes)


def makeQuarantined(typeName: str, offset: int, file: RawFile | None = None, **changes: object) -> QuarantinedMessage:
    message = Message(f"juno.{typeName}", 0, offset, ANYTHING_BUT_UTF8, b"key\xff")
    item = QuarantinedMessage(
        message, typeName, Reason.CATALOGUE_REFUSED, "other \udcff checksum ☂", file, "Daq.dat", "ffffffff", 5
    )
    return replace(item, **changes)


def stateOf(ledger: RawDataDB, file: RawFile) -> FileState | None:
    entry = ledger.findFiles([file]).get(file.lfn)
    return entry.state if entry else None


def makeWaiting(file: RawFile, offset: int = 1, **changes: object) -> WaitingMessage:
    item = WaitingMessage(
        message=Message(f"juno.{file.typeName}", 0, offset, ANYTHING_BUT_UTF8, b"key\xff"),
        typeName=file.typeName,
        file=file,
        reason=Reason.NOT_ON_STORAGE,
        detail="not ☂ there",
        checksum="0a1b2c3d",
        sizeBytes=1000,
        since=NOW,
        nextTime=NOW + timedelta(seconds=5),
    )
    return replace(item, **changes)


def announced(ledger: RawDataDB, *files: RawFile, offset: int = 1) -> None:
    ledger.recordAnnounced([makeEntry(file, offset) for file in files])


def quarantineIDs(ledger: RawDataDB, typeName: str) -> list[int]:
    return [record.quarantineID for record in ledger.readQuarantineList(typeName=typeName, states=())]
